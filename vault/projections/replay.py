"""Replaying the log: what the projections must be, and whether they are. ``rebuild`` writes them anew.

Memory holds one state per stream and nothing per event: the history index is compared as it streams by.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest

from vault.errors import IntegrityError
from vault.log.database import snapshot
from vault.log.records import Recorded
from vault.log.schema import INDEXES, TABLES
from vault.log.sealing import Sealing
from vault.log.store import MADE_HERE, EventStore
from vault.projections import heads, history
from vault.projections.engine import CHECKPOINTS, COMMAND, INDEX, Projections
from vault.projections.heads import Proof, log_head, model_term
from vault.projections.models import ReadModel, State, model_of, provider_part

Progress = Callable[[int, int], None]
CommandRow = tuple[bytes, int, int]
Chunk = tuple[int, list[history.IndexRow], list[CommandRow]]
CHUNK = 1000
REPLACED = {"history_index": "history", "commands": "commands"}
OLD = "_old"
STORED_COMMAND = "SELECT command, first, last FROM commands WHERE command = ?"
COMMANDS_DIFFER = "the index of command ids is not what the log says"


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


HISTORY_INDEXES = {name: sql for name, sql in INDEXES.items() if name.startswith("history_by_")}


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


class Track:
    """One stream, as far as it was replayed."""

    __slots__ = ("agent", "model", "name", "position", "rest", "state")

    def __init__(self, name: str) -> None:
        self.name = name
        self.model, self.agent, self.rest = model_of(name)
        self.state: State | None = None
        self.position = 0


class Replay:
    """Folds events into fresh states and compares them with what is stored."""

    def __init__(self, sealing: Sealing, projections: Projections) -> None:
        self._sealing = sealing
        self._projections = projections
        self._indexer = history.Indexer(sealing)
        self._subjects = history.Subjects(sealing.keys)
        self._command = ""
        self._run = (0, 0)
        self._commands: list[CommandRow] = []
        self.tracks: dict[bytes, Track] = {}

    @property
    def states(self) -> dict[tuple[str, bytes], State]:
        """The states of all streams that a read model follows, by model and stream id."""
        return {(t.model.name, key): t.state for key, t in self.tracks.items() if t.model and t.state}

    def fold(self, item: Recorded) -> None:
        """Fold one event into the state of its stream. Raises IntegrityError when it is in another stream than it says."""
        track = self.tracks.get(item.stream_id)
        if track is None or track.name != item.envelope.stream:
            track = self._follow(item)
        if (model := track.model) is not None:
            track.state = model.evolve(track.state, item, track.agent, track.rest)
        track.position = item.position

    def _follow(self, item: Recorded) -> Track:
        name = item.envelope.stream
        if self._sealing.stream_id(name) != item.stream_id:
            raise bad_record(item.position, "is in another stream than it says")
        track = self.tracks[item.stream_id] = Track(name)
        return track

    def take(self, item: Recorded) -> list[history.IndexRow]:
        """Fold one event in; its rows of the history index, sorted as stored."""
        self.fold(item)
        command = item.envelope.command
        if command == self._command:
            self._run = (self._run[0], item.position)
        else:
            self._close_command()
            self._command, self._run = command, (item.position, item.position)
        return self._indexer.rows(item, self._subjects)

    def _close_command(self) -> None:
        if self._command and not self._command.startswith(MADE_HERE):
            self._commands.append((self._sealing.keys.blind("command", self._command), *self._run))

    def chunks(self, items: Iterable[Recorded]) -> Iterator[Chunk]:
        """Take in events: (how many so far, their rows of the history index, of the index of command ids), by the chunk."""
        rows: list[history.IndexRow] = []
        done = 0
        for done, item in enumerate(items, start=1):
            rows += self.take(item)
            if not done % CHUNK:
                yield done, rows, self._commands
                rows, self._commands = [], []
        self._close_command()
        yield done, rows, self._commands
        self._commands = []

    def proof(self, head: tuple[int, bytes]) -> Proof:
        """What the heads row must say, once everything up to ``head`` was taken in."""
        proof = Proof(head, 0)
        for key, track in self.tracks.items():
            if track.model:
                proof.models += model_term(self._sealing.keys, track.model.name, key, track.position)
        proof.history = self._subjects.change()
        return proof

    def rows(self, proof: Proof) -> Iterator[tuple[str, bytes, bytes, bytes, int, bytes]]:
        """Fresh rows of ``read_models``."""
        yield self._projections.heads_row(proof)
        for key, track in self.tracks.items():
            if track.model and track.state:
                provider = provider_part(track.model.name, track.rest)
                yield self._projections.row(track.model, key, track.agent, provider, track.position, track.state)

    def compare(self, connection: sqlite3.Connection, proof: Proof, differences: Differences) -> None:
        """Compare read models and checkpoints with what is stored."""
        seen, head = 0, proof.head[0]
        for name, key, agent, provider, position, state in connection.execute(
            "SELECT model, key, agent, provider, position, state FROM read_models"
        ):
            if name == heads.NAME:
                if not self._projections.says(proof, (key, agent, provider, position, state)):
                    differences.add(name, None, "the heads of the read models are not what the log says")
                continue
            seen += 1
            track = self.tracks.get(key)
            if track is None or track.model is None or track.model.name != name:
                differences.add(str(name), None, f"the read model {name} has a row that the log doesn't know")
            elif not self._same(track, track.model, key, agent, provider, position, state):
                at = track.position
                differences.add(name, at, f"the read model {name} is not what the log says at position {at}")
        if seen < sum(1 for track in self.tracks.values() if track.model):
            differences.add("read_models", None, "a read model lacks a row")
        if connection.execute("SELECT count(*) FROM read_models WHERE model = ?", (heads.NAME,)).fetchone() != (1,):
            differences.add(heads.NAME, None, "the read models lack the row of heads")
        checkpoints = {
            m: (v, p) for m, v, p in connection.execute("SELECT model, model_version, position FROM checkpoints")
        }
        if checkpoints != {name: (version, head) for name, version in CHECKPOINTS.items()}:
            differences.add("checkpoints", None, "the checkpoints are not what the log says")

    def _same(
        self, track: Track, model: ReadModel, key: bytes, agent: bytes, provider: bytes, position: int, sealed: bytes
    ) -> bool:
        blind = self._sealing.blind
        due = (blind("agent", track.agent), blind("provider", provider_part(model.name, track.rest)), track.position)
        if (agent, provider, position) != due or track.state is None:
            return False
        try:
            opened = self._projections.opened(model, key, agent, provider, position, sealed)
        except IntegrityError:
            return False
        return model.encode(opened) == model.encode(track.state)


class IndexComparison:
    """Compares the stored history index and index of command ids with fresh rows as they come, in order."""

    def __init__(self, connection: sqlite3.Connection, differences: Differences) -> None:
        self._connection = connection
        self._stored = connection.execute(
            f"SELECT {history.COLUMNS} FROM history_index ORDER BY position, agent"  # noqa: S608
        )
        self._commands = 0
        self._differences = differences
        self._broken: set[str] = set()

    def take(self, rows: list[history.IndexRow], commands: list[CommandRow]) -> None:
        """Compare the rows of some events."""
        if rows and "history" not in self._broken:
            stored = self._stored.fetchmany(len(rows))
            if stored != rows:
                first = next(due for due, found in zip_longest(rows, stored) if due != found)
                what = f"the history index is not what the log says at position {first[0]}"
                self._differ("history", first[0], what)
        for row in commands:
            self._commands += 1
            if self._connection.execute(STORED_COMMAND, row[:1]).fetchone() != row:
                self._differ("commands", None, COMMANDS_DIFFER)

    def finish(self) -> None:
        """No row may be left over."""
        if "history" not in self._broken and self._stored.fetchone() is not None:
            self._differ("history", None, "the history index has a row that the log doesn't know")
        self._stored.close()
        if self._connection.execute("SELECT count(*) FROM commands").fetchone() != (self._commands,):
            self._differ("commands", None, COMMANDS_DIFFER)

    def _differ(self, table: str, position: int | None, what: str) -> None:
        if table not in self._broken:
            self._broken.add(table)
            self._differences.add(table, position, what)


def rebuild(store: EventStore, projections: Projections, progress: Progress = no_progress) -> tuple[int, Differences]:
    """Drop every projection and replay the log into fresh ones, in one transaction.

    While the log is replayed and compared with the old rows, another thread writes the big tables anew from the old ones: if
    each old row was what the log says, so is each new one. If not, they are written once more, from the log. Returns the number
    of events, and the differences the old projections had. Raises IntegrityError for an altered header.
    """
    differences = Differences()
    with store.database.sorting_on_disk(), store.writing() as connection:
        projections.forget()
        newest = log_head(connection, store.sealing.genesis)
        head = newest[0]
        replay = Replay(store.sealing, projections)
        with Aside(connection, _copy_tables), snapshot(store.database.path) as before:
            comparison = IndexComparison(before, differences)
            for done, rows, commands in replay.chunks(store.scan_within(before, 1, head)):
                comparison.take(rows, commands)
                progress(done, head)
            comparison.finish()
            proof = replay.proof(newest)
            replay.compare(before, proof, differences)
        if not differences.rows.keys().isdisjoint(REPLACED.values()):
            _replay_tables(connection, Replay(store.sealing, projections).chunks(store.scan(1, head)))
        connection.execute("DELETE FROM read_models")
        connection.executemany("INSERT INTO read_models VALUES (?,?,?,?,?,?)", replay.rows(proof))
        connection.execute("DELETE FROM checkpoints")
        connection.executemany(
            "INSERT INTO checkpoints VALUES (?,?,?)", [(name, version, head) for name, version in CHECKPOINTS.items()]
        )
    projections.forget()
    return head, differences


class Aside:
    """Work on a connection in a thread of its own; leaving the ``with`` waits for it, and raises what it raised."""

    def __init__(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], None]) -> None:
        self._connection = connection
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="vault-rebuild")

    def _run(self) -> None:
        try:
            self._work(self._connection)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._connection.interrupt()
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error


def _copy_tables(connection: sqlite3.Connection) -> None:
    with _fresh_tables(connection):
        for table in REPLACED:
            connection.execute(f"INSERT INTO {table} SELECT * FROM {table}{OLD}")  # noqa: S608


def _replay_tables(connection: sqlite3.Connection, chunks: Iterable[Chunk]) -> None:
    with _fresh_tables(connection):
        for _, rows, commands in chunks:
            connection.executemany(INDEX, rows)
            connection.executemany(COMMAND, commands)


@contextmanager
def _fresh_tables(connection: sqlite3.Connection) -> Iterator[None]:
    """Set the old tables aside, make empty ones; when those are filled, drop the old ones and build the indexes."""
    for name in HISTORY_INDEXES:
        connection.execute(f"DROP INDEX IF EXISTS {name}")
    for table in REPLACED:
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}{OLD}")
        connection.execute(TABLES[table])
    yield
    for table in REPLACED:
        connection.execute(f"DROP TABLE {table}{OLD}")
    for sql in HISTORY_INDEXES.values():
        connection.execute(sql)


def bad_record(position: int, what: str) -> IntegrityError:
    """The error for a record that is not what it must be."""
    return IntegrityError(
        f"the record at position {position} {what}", hint="restore the file from a backup", position=position
    )
