"""Replaying the log: what the projections must be, and whether they are. ``rebuild`` writes them anew.

Memory holds one state per stream and nothing per event: the history index is compared as it streams by.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from vault.errors import IntegrityError
from vault.log.records import Recorded
from vault.log.sealing import Sealing
from vault.log.store import MADE_HERE, EventStore
from vault.projections import history
from vault.projections.engine import CHECKPOINTS, COMMAND, INDEX, Projections
from vault.projections.models import MODELS, State, model_of, provider_part

Progress = Callable[[int, int], None]
CHUNK = 2000


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


INDEXES = (
    ("history_by_agent", "agent"),
    ("history_by_provider", "provider"),
    ("history_by_profile", "profile"),
    ("history_by_kind", "kind"),
)


@dataclass(slots=True)
class Differences:
    """Where the stored projections are not what the log says."""

    rows: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    what: str = ""

    def add(self, model: str, position: int | None, what: str) -> None:
        """Count one difference and remember the first."""
        self.rows[model] = self.rows.get(model, 0) + 1
        if not self.what:
            self.what, self.first = what, position

    def __bool__(self) -> bool:
        return bool(self.rows)


class Replay:
    """Folds events into fresh states and compares them with what is stored."""

    def __init__(self, sealing: Sealing, projections: Projections) -> None:
        self._sealing = sealing
        self._projections = projections
        self.states: dict[tuple[str, bytes], State] = {}
        self._places: dict[tuple[str, bytes], tuple[str, str, int]] = {}
        self.commands: list[tuple[bytes, int, int]] = []

    def fold(self, item: Recorded) -> None:
        """Fold one event into the state of its stream."""
        model, agent, rest = model_of(item.envelope.stream)
        if model is not None:
            key = (model.name, item.stream_id)
            self.states[key] = model.evolve(self.states.get(key), item, agent, rest)
            self._places[key] = (agent, rest, item.position)

    def take(self, item: Recorded) -> list[history.IndexRow]:
        """Fold one event in; its rows of the history index, sorted as stored."""
        self.fold(item)
        command = item.envelope.command
        if not command.startswith(MADE_HERE):
            blind = self._sealing.blind("command", command)
            if self.commands and self.commands[-1][0] == blind:
                self.commands[-1] = (blind, self.commands[-1][1], item.position)
            else:
                self.commands.append((blind, item.position, item.position))
        rows = history.index_rows(self._sealing, item)
        return sorted(rows) if len(rows) > 1 else rows

    def rows(self) -> Iterator[tuple[str, bytes, bytes, bytes, int, bytes]]:
        """Fresh rows of ``read_models``."""
        for (name, key), (agent, rest, position) in self._places.items():
            model = MODELS[name]
            yield self._projections.row(model, key, agent, provider_part(name, rest), position, self.states[name, key])

    def compare(self, connection: sqlite3.Connection, head: int, differences: Differences) -> None:
        """Compare read models, commands and checkpoints with what is stored."""
        blind = self._sealing.blind
        seen = 0
        for name, key, agent, provider, position, state in connection.execute(
            "SELECT model, key, agent, provider, position, state FROM read_models"
        ):
            seen += 1
            expected = self._places.get((name, key))
            if expected is None or name not in MODELS:
                differences.add(str(name), None, f"the read model {name} has a row that the log doesn't know")
                continue
            owner, rest, at = expected
            columns = (blind("agent", owner), blind("provider", provider_part(name, rest)), at)
            model = MODELS[name]
            try:
                opened = self._projections.opened(model, key, agent, provider, position, state)
                same = columns == (agent, provider, position)
                same = same and model.encode(opened) == model.encode(self.states[name, key])
            except IntegrityError:
                same = False
            if not same:
                differences.add(name, at, f"the read model {name} is not what the log says at position {at}")
        if seen < len(self._places):
            differences.add("read_models", None, "a read model lacks a row")
        stored = connection.execute("SELECT command, first, last FROM commands ORDER BY first").fetchall()
        if stored != self.commands:
            differences.add("commands", None, "the index of command ids is not what the log says")
        checkpoints = {
            m: (v, p) for m, v, p in connection.execute("SELECT model, model_version, position FROM checkpoints")
        }
        if checkpoints != {name: (version, head) for name, version in CHECKPOINTS.items()}:
            differences.add("checkpoints", None, "the checkpoints are not what the log says")


class IndexComparison:
    """Compares the stored history index with fresh rows as they come, in order."""

    def __init__(self, connection: sqlite3.Connection, table: str, differences: Differences) -> None:
        self._stored = connection.execute(
            f"SELECT position, agent, provider, profile, kind, actor, program FROM {table} ORDER BY position, agent"  # noqa: S608
        )
        self._differences = differences
        self._broken = False

    def take(self, rows: list[history.IndexRow]) -> None:
        """Compare the rows of one event."""
        if self._broken:
            return
        for row in rows:
            if self._stored.fetchone() != row:
                self._broken = True
                self._differences.add(
                    "history", row[0], f"the history index is not what the log says at position {row[0]}"
                )
                return

    def finish(self) -> None:
        """No row may be left over."""
        if not self._broken and self._stored.fetchone() is not None:
            self._differences.add("history", None, "the history index has a row that the log doesn't know")
        self._stored.close()


def rebuild(store: EventStore, projections: Projections, progress: Progress = no_progress) -> tuple[int, Differences]:
    """Drop every projection and replay the log into fresh ones, in one transaction.

    Returns the number of events, and the differences the old ones had. Raises IntegrityError for an altered header.
    """
    differences = Differences()
    sealing = store.sealing
    with store.writing() as connection:
        projections.forget()
        (head,) = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
        replay = Replay(sealing, projections)
        for name, _ in INDEXES:
            connection.execute(f"DROP INDEX IF EXISTS {name}")
        connection.execute("ALTER TABLE history_index RENAME TO history_index_old")
        connection.execute(_definition(connection))
        comparison = IndexComparison(connection, "history_index_old", differences)
        batch: list[history.IndexRow] = []
        for done, item in enumerate(store.scan(1, head), start=1):
            rows = replay.take(item)
            comparison.take(rows)
            batch += rows
            if len(batch) >= CHUNK:
                connection.executemany(INDEX, batch)
                batch.clear()
                progress(done, head)
        connection.executemany(INDEX, batch)
        comparison.finish()
        replay.compare(connection, head, differences)
        connection.execute("DROP TABLE history_index_old")
        for name, column in INDEXES:
            connection.execute(f"CREATE INDEX {name} ON history_index ({column}, position)")
        connection.execute("DELETE FROM read_models")
        connection.executemany("INSERT INTO read_models VALUES (?,?,?,?,?,?)", replay.rows())
        connection.execute("DELETE FROM commands")
        connection.executemany(COMMAND, replay.commands)
        connection.execute("DELETE FROM checkpoints")
        connection.executemany(
            "INSERT INTO checkpoints VALUES (?,?,?)", [(name, version, head) for name, version in CHECKPOINTS.items()]
        )
        progress(head, head)
    projections.forget()
    return head, differences


def _definition(connection: sqlite3.Connection) -> str:
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'history_index_old'").fetchone()
    return str(sql).replace("history_index_old", "history_index").replace('"history_index"', "history_index")
