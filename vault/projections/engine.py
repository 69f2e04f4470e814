"""Keeps the read models inside the append's transaction, and reads them back, checked.

A row's state is sealed and bound to its model, key, blind columns and position, so that no row can be changed, moved or put back
to an older one unseen: on reading, its position must be its stream's newest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from vault.crypto.encoding import pae, u64
from vault.errors import IntegrityError
from vault.log.records import Recorded
from vault.log.sealing import Sealing
from vault.log.store import MADE_HERE
from vault.projections import history
from vault.projections.models import MODELS, ReadModel, State, model_of, provider_part

CHECKPOINTS: dict[str, int] = {**{m.name: m.version for m in MODELS.values()}, history.NAME: history.VERSION}
UPSERT = (
    "INSERT INTO read_models (model, key, agent, provider, position, state) VALUES (?,?,?,?,?,?) "
    "ON CONFLICT (model, key) DO UPDATE SET position = excluded.position, state = excluded.state"
)
INDEX = "INSERT INTO history_index (position, agent, provider, profile, kind, actor, program) VALUES (?,?,?,?,?,?,?)"
COMMAND = "INSERT INTO commands (command, first, last) VALUES (?,?,?)"
REMEMBERED = 512
LAST_POSITION = 2**63 - 1


class Projections:
    """The inline projections of one unlocked vault."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing
        self._indexer = history.Indexer(sealing)
        self._states: dict[tuple[str, bytes], State] = {}

    # -- writing

    def apply(self, connection: sqlite3.Connection, recorded: Sequence[Recorded]) -> None:
        """Take in newly appended events."""
        if not recorded:
            return
        touched: dict[tuple[str, bytes], tuple[str, str, int]] = {}
        for item in recorded:
            model, agent, rest = model_of(item.stream)
            if model is None:
                continue
            key = (model.name, item.stream_id)
            state = self._states.get(key) or self._load(connection, model, item.stream_id, before=recorded[0].position)
            self._states[key] = model.evolve(state, item, agent, rest)
            touched[key] = (agent, provider_part(model.name, rest), item.position)
        for (name, stream_id), (agent, provider, position) in touched.items():
            row = self.row(MODELS[name], stream_id, agent, provider, position, self._states[name, stream_id])
            connection.execute(UPSERT, row)
        connection.executemany(INDEX, [row for item in recorded for row in self._indexer.rows(item)])
        self._index_command(connection, recorded)
        connection.execute("UPDATE checkpoints SET position = ?", (recorded[-1].position,))
        if len(self._states) > REMEMBERED:
            self._states.clear()

    def _index_command(self, connection: sqlite3.Connection, recorded: Sequence[Recorded]) -> None:
        command = recorded[0].envelope.command
        if not command.startswith(MADE_HERE):
            blind = self._sealing.keys.blind("command", command)
            connection.execute(COMMAND, (blind, recorded[0].position, recorded[-1].position))

    def forget(self) -> None:
        """Drop remembered states."""
        self._states.clear()

    def find_command(self, connection: sqlite3.Connection, command: str) -> tuple[int, int] | None:
        """First and last position of a command's events."""
        blind = self._sealing.keys.blind("command", command)
        found = connection.execute("SELECT first, last FROM commands WHERE command = ?", (blind,)).fetchone()
        return (found[0], found[1]) if found else None

    def row(
        self, model: ReadModel, key: bytes, agent: str, provider: str, position: int, state: State
    ) -> tuple[str, bytes, bytes, bytes, int, bytes]:
        """A row of ``read_models``."""
        blind_agent, blind_provider = self._sealing.blind("agent", agent), self._sealing.blind("provider", provider)
        epoch = self._sealing.keys.current
        aad = self._place(model, key, blind_agent, blind_provider, position, epoch.epoch)
        sealed = epoch.epoch.to_bytes(4, "big") + epoch.state.seal(model.encode(state), aad)
        return model.name, key, blind_agent, blind_provider, position, sealed

    # -- reading

    def state(self, connection: sqlite3.Connection, stream: str) -> State | None:
        """The state of a stream's row, or None when the stream is empty. Raises IntegrityError."""
        model, _, _ = model_of(stream)
        if model is None:
            return None
        return self._load(connection, model, self._sealing.stream_id(stream))

    def states(self, connection: sqlite3.Connection, name: str, agent: str, provider: str = "") -> Iterator[State]:
        """All states of a model for an agent (and a provider). Raises IntegrityError."""
        sql = "SELECT key, agent, provider, position, state FROM read_models WHERE model = ? AND agent = ?"
        arguments: list[object] = [name, self._sealing.blind("agent", agent)]
        if provider:
            sql += " AND provider = ?"
            arguments.append(self._sealing.blind("provider", provider))
        for row in connection.execute(sql, arguments).fetchall():
            yield self._checked(connection, MODELS[name], *row)

    def _load(
        self, connection: sqlite3.Connection, model: ReadModel, key: bytes, before: int = LAST_POSITION
    ) -> State | None:
        row = connection.execute(
            "SELECT key, agent, provider, position, state FROM read_models WHERE model = ? AND key = ?",
            (model.name, key),
        ).fetchone()
        if row is not None:
            _, agent, provider, position, state = row
            return self._checked(connection, model, key, agent, provider, position, state, before)
        if connection.execute("SELECT 1 FROM events WHERE stream = ? AND position < ?", (key, before)).fetchone():
            raise IntegrityError(f"a row of the read model {model.name} is missing", hint="run: vault rebuild")
        return None

    def _checked(
        self,
        connection: sqlite3.Connection,
        model: ReadModel,
        key: bytes,
        agent: bytes,
        provider: bytes,
        position: int,
        state: bytes,
        before: int = LAST_POSITION,
    ) -> State:
        newest = connection.execute(
            "SELECT position FROM events WHERE stream = ? AND position < ? ORDER BY version DESC LIMIT 1", (key, before)
        ).fetchone()
        if newest is None or newest[0] != position:
            raise IntegrityError(
                f"a row of the read model {model.name} is not the newest", hint="run vault verify, then vault rebuild"
            )
        return self.opened(model, key, agent, provider, position, state)

    def opened(
        self, model: ReadModel, key: bytes, agent: bytes, provider: bytes, position: int, sealed: bytes
    ) -> State:
        """The state of a row. Raises IntegrityError."""
        epoch = int.from_bytes(sealed[:4], "big")
        aad = self._place(model, key, agent, provider, position, epoch)
        try:
            opened: State = model.decoder.decode(self._sealing.keys.epoch(epoch).state.open(sealed[4:], aad))
        except (IntegrityError, msgspec.MsgspecError):
            raise IntegrityError(
                f"a row of the read model {model.name} was altered", hint="run: vault rebuild"
            ) from None
        return opened

    def _place(self, model: ReadModel, key: bytes, agent: bytes, provider: bytes, position: int, epoch: int) -> bytes:
        return pae(
            b"vault/read-model/v1",
            self._sealing.keys.vault_id,
            model.name.encode(),
            u64(model.version),
            key,
            agent,
            provider,
            u64(position),
            u64(epoch),
        )
