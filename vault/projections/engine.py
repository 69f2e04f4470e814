"""Keeps the read models inside the append's transaction, and reads them back, checked.

A row's state is sealed and bound to its model, key, blind columns and position, so that no row can be changed or moved. That none
is missing or was put back to an older one is proven by the heads row, before anything is read and before anything follows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from vault.crypto.encoding import pae, u64
from vault.errors import IntegrityError
from vault.log.records import Head, Recorded
from vault.log.sealing import Sealing
from vault.log.store import MADE_HERE, missing
from vault.projections import heads, history
from vault.projections.heads import Place, Proof, Sums, log_head, model_term, stale
from vault.projections.models import MODELS, ReadModel, State, model_of, provider_part

CHECKPOINTS: dict[str, int] = {
    **{m.name: m.version for m in MODELS.values()},
    history.NAME: history.VERSION,
    heads.NAME: heads.VERSION,
}
UPSERT = (
    "INSERT INTO read_models (model, key, agent, provider, position, state) VALUES (?,?,?,?,?,?) "
    "ON CONFLICT (model, key) DO UPDATE SET position = excluded.position, state = excluded.state"
)
INDEX = f"INSERT INTO history_index ({history.COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608
COMMAND = "INSERT INTO commands (command, first, last) VALUES (?,?,?)"
PLACES = "SELECT rowid, model, key, agent, provider, position FROM read_models NOT INDEXED"
AT = "SELECT key, agent, provider, position, state FROM read_models WHERE rowid = ?"
RECORD = "SELECT stream, version FROM events NOT INDEXED WHERE position = ?"
REMEMBERED = 512
T = TypeVar("T")
_sums = msgspec.json.Decoder(Sums)


class Projections:
    """The inline projections of one unlocked vault."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing
        self._indexer = history.Indexer(sealing)
        self._states: dict[tuple[str, bytes], State] = {}
        self._connection: sqlite3.Connection | None = None
        self._subjects = history.Subjects(sealing.keys, self._newest_of)
        self._proof: Proof | None = None

    # -- proving

    def proven(self, connection: sqlite3.Connection) -> Proof:
        """Where every row is, proven to be all there are and the newest. Raises IntegrityError."""
        (seen,) = connection.execute("PRAGMA data_version").fetchone()
        head = log_head(connection, self._sealing.genesis)
        proof = self._proof
        if proof is None or proof.head != head or proof.seen != seen:
            self.forget()
            proof = self._proof = self._prove(connection, head, seen)
        return proof

    def _prove(self, connection: sqlite3.Connection, head: tuple[int, bytes], seen: int) -> Proof:
        keys, proof, own = self._sealing.keys, Proof(head, seen), None
        for rowid, model, key, agent, provider, position in connection.execute(PLACES):
            if model == heads.NAME and key == heads.KEY:
                own = Place(rowid, agent, provider, position)
                continue
            proof.places[model, key] = Place(rowid, agent, provider, position)
            proof.models += model_term(keys, model, key, position)
        if own is None:
            if head[0] or proof.places:
                raise stale("the read models lack the row of heads, so they are")
            return proof
        sums = self._heads(connection, own)
        proof.history = int.from_bytes(sums.history, "big")
        if own.position != head[0] or sums != proof.sums():
            raise stale("the read models are")
        return proof

    def _heads(self, connection: sqlite3.Connection, place: Place) -> Sums:
        _, agent, provider, position, state = connection.execute(AT, (place.rowid,)).fetchone()
        return _opened(self._open(heads.NAME, heads.VERSION, heads.KEY, agent, provider, position, state), _sums)

    # -- writing

    def begin(self, connection: sqlite3.Connection, head: Head) -> None:
        """Get ready to follow events after ``head``. Raises IntegrityError when the read models aren't those of that head."""
        if self.proven(connection).head != (head.position, head.mac):
            raise stale("the read models are")

    def apply(self, connection: sqlite3.Connection, recorded: Sequence[Recorded], mac: bytes) -> int:
        """Take in newly appended events, the newest with ``mac``; how many rows were written. Raises IntegrityError."""
        proof, keys = self._proof, self._sealing.keys
        if not recorded or proof is None:
            return 0
        touched: dict[tuple[str, bytes], tuple[str, str, int]] = {}
        for item in recorded:
            model, agent, rest = model_of(item.stream)
            if model is None:
                continue
            key = (model.name, item.stream_id)
            state = self._states.get(key) or self._load(connection, proof, model, item.stream_id)
            if item.version != (state.version if state else 0) + 1:
                raise stale(f"the version of the record at position {item.position} is")
            self._states[key] = model.evolve(state, item, agent, rest)
            touched[key] = (agent, provider_part(model.name, rest), item.position)
        for (name, stream_id), (agent, provider, position) in touched.items():
            row = self.row(MODELS[name], stream_id, agent, provider, position, self._states[name, stream_id])
            rowid = connection.execute(UPSERT, row).lastrowid or 0
            old = proof.places.get((name, stream_id))
            if old is not None:
                rowid = old.rowid
                proof.models -= model_term(keys, name, stream_id, old.position)
            proof.models += model_term(keys, name, stream_id, position)
            proof.places[name, stream_id] = Place(rowid, row[2], row[3], position)
        self._connection = connection
        index = [row for item in recorded for row in self._indexer.rows(item, self._subjects)]
        connection.executemany(INDEX, index)
        proof.history += self._subjects.change()
        proof.head = (recorded[-1].position, mac)
        connection.execute(UPSERT, self.heads_row(proof))
        commands = self._index_command(connection, recorded)
        connection.execute("UPDATE checkpoints SET position = ?", (recorded[-1].position,))
        if len(self._states) > REMEMBERED:
            self._states.clear()
        return len(touched) + len(index) + 1 + commands + len(CHECKPOINTS)

    def subjects_of(self, event: Recorded) -> list[history.Columns]:
        """The blind subjects of an event, as the history index has them."""
        return self._indexer.columns(event)

    def _newest_of(self, column: str, value: bytes) -> history.Newest:
        """The newest row of a subject, for the append under way."""
        assert self._connection is not None  # noqa: S101 - apply sets it
        found = self._connection.execute(
            f"SELECT {column}_nth, position FROM history_index WHERE {column} = ? "  # noqa: S608 - one of SUBJECTS
            "ORDER BY position DESC, agent DESC LIMIT 1",
            (value,),
        ).fetchone()
        return (found[0], found[1]) if found else (0, 0)

    def heads_row(self, proof: Proof) -> tuple[str, bytes, bytes, bytes, int, bytes]:
        """The heads row for what is proven."""
        return self._sealed_row(
            heads.NAME, heads.VERSION, heads.KEY, "", "", proof.head[0], msgspec.json.encode(proof.sums())
        )

    def _index_command(self, connection: sqlite3.Connection, recorded: Sequence[Recorded]) -> int:
        command = recorded[0].envelope.command
        if command.startswith(MADE_HERE):
            return 0
        blind = self._sealing.keys.blind("command", command)
        connection.execute(COMMAND, (blind, recorded[0].position, recorded[-1].position))
        return 1

    def forget(self) -> None:
        """Drop what is remembered: states, subjects, the proof."""
        self._states.clear()
        self._subjects.forget()
        self._proof = None

    def find_command(self, connection: sqlite3.Connection, command: str) -> tuple[int, int] | None:
        """First and last position of a command's events."""
        blind = self._sealing.keys.blind("command", command)
        found = connection.execute("SELECT first, last FROM commands WHERE command = ?", (blind,)).fetchone()
        return (found[0], found[1]) if found else None

    def row(
        self, model: ReadModel, key: bytes, agent: str, provider: str, position: int, state: State
    ) -> tuple[str, bytes, bytes, bytes, int, bytes]:
        """A row of ``read_models``."""
        return self._sealed_row(model.name, model.version, key, agent, provider, position, model.encode(state))

    def _sealed_row(
        self, name: str, version: int, key: bytes, agent: str, provider: str, position: int, state: bytes
    ) -> tuple[str, bytes, bytes, bytes, int, bytes]:
        blind_agent, blind_provider = self._sealing.blind("agent", agent), self._sealing.blind("provider", provider)
        epoch = self._sealing.keys.current
        aad = self._aad(name, version, key, blind_agent, blind_provider, position, epoch.epoch)
        sealed = epoch.epoch.to_bytes(4, "big") + epoch.state.seal(state, aad)
        return name, key, blind_agent, blind_provider, position, sealed

    def says(self, proof: Proof, stored: tuple[bytes, bytes, bytes, int, bytes]) -> bool:
        """Whether a stored heads row is the one for what is proven."""
        none = self._sealing.blind("agent", ""), self._sealing.blind("provider", "")
        if stored[:4] != (heads.KEY, *none, proof.head[0]):
            return False
        try:
            return _opened(self._open(heads.NAME, heads.VERSION, *stored), _sums) == proof.sums()
        except IntegrityError:
            return False

    # -- reading

    def state(self, connection: sqlite3.Connection, stream: str) -> State | None:
        """The state of a stream's row, or None when the stream is empty. Raises IntegrityError."""
        model, _, _ = model_of(stream)
        if model is None:
            return None
        return self._load(connection, self.proven(connection), model, self._sealing.stream_id(stream))

    def version(self, connection: sqlite3.Connection, stream: str) -> int | None:
        """The proven version of a stream that a read model follows; None for another. Raises IntegrityError."""
        model, _, _ = model_of(stream)
        if model is None:
            return None
        key = self._sealing.stream_id(stream)
        proof = self.proven(connection)
        state = self._states.get((model.name, key)) or self._load(connection, proof, model, key)
        return state.version if state else 0

    def states(self, connection: sqlite3.Connection, name: str, agent: str, provider: str = "") -> Iterator[State]:
        """All states of a model for an agent (and a provider). Raises IntegrityError."""
        proof = self.proven(connection)
        wanted = self._sealing.blind("agent", agent)
        at = self._sealing.blind("provider", provider) if provider else None
        for (model, key), place in list(proof.places.items()):
            if model == name and place.agent == wanted and at in (None, place.provider):
                yield self._at(connection, MODELS[name], key, place)

    def _load(self, connection: sqlite3.Connection, proof: Proof, model: ReadModel, key: bytes) -> State | None:
        place = proof.places.get((model.name, key))
        return self._at(connection, model, key, place) if place else None

    def _at(self, connection: sqlite3.Connection, model: ReadModel, key: bytes, place: Place) -> State:
        found = connection.execute(AT, (place.rowid,)).fetchone()
        if found is None or (found[0], found[3]) != (key, place.position):
            raise stale("the read models are")
        state = self.opened(model, *found)
        record = connection.execute(RECORD, (place.position,)).fetchone()
        if record != (key, state.version):
            raise missing(place.position)
        return state

    def opened(
        self, model: ReadModel, key: bytes, agent: bytes, provider: bytes, position: int, sealed: bytes
    ) -> State:
        """The state of a row. Raises IntegrityError."""
        message = self._open(model.name, model.version, key, agent, provider, position, sealed)
        state: State = _opened(message, model.decoder)
        return state

    def _open(
        self, name: str, version: int, key: bytes, agent: bytes, provider: bytes, position: int, sealed: bytes
    ) -> bytes:
        epoch = int.from_bytes(sealed[:4], "big")
        aad = self._aad(name, version, key, agent, provider, position, epoch)
        try:
            return self._sealing.keys.epoch(epoch).state.open(sealed[4:], aad)
        except IntegrityError:
            raise IntegrityError(f"a row of the read model {name} was altered", hint="run: vault rebuild") from None

    def _aad(
        self, name: str, version: int, key: bytes, agent: bytes, provider: bytes, position: int, epoch: int
    ) -> bytes:
        return pae(
            b"vault/read-model/v1",
            self._sealing.keys.vault_id,
            name.encode(),
            u64(version),
            key,
            agent,
            provider,
            u64(position),
            u64(epoch),
        )


def _opened(message: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(message)
    except msgspec.MsgspecError:
        raise IntegrityError("a row of a read model has an unknown shape", hint="run: vault rebuild") from None
