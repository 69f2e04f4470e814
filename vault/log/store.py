"""The event store: append and read. Everything that is acknowledged here is in the log; everything read here was checked.

An append is one transaction: the head is read, expected versions are compared, each event is sealed and chained, the inline
projections follow, the commit reaches the disk, the anchor advances. A reader checks each record against its mac and its place
before anything is believed.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from vault.crypto.keys import KEY, KEY_ID
from vault.errors import Conflict, InputError, IntegrityError, RollbackDetected, StorageError, WrongExpectedVersion
from vault.events.codec import Codec
from vault.events.credentials import AnyCredential, decode_credential, encode_credential
from vault.log.anchor import Anchor, rolled_back
from vault.log.anchoring import compare, move
from vault.log.database import Database
from vault.log.records import COLUMNS, AnyRow, Cause, Draft, Head, Recorded, Row
from vault.log.sealing import Sealing
from vault.values import Clock

OPENED = "position, stream, version, epoch, header, substr(payload, 1, 0), x'', x''"
MADE_HERE = "~"


class Inline(Protocol):
    """What follows the log inside the append's own transaction."""

    def begin(self, connection: sqlite3.Connection, head: Head) -> None:
        """Get ready to follow events after ``head``. Raises IntegrityError when what is stored doesn't belong to it."""
        ...

    def apply(self, connection: sqlite3.Connection, recorded: Sequence[Recorded], mac: bytes) -> int:
        """Take in newly appended events, the newest with ``mac``; how many rows were written. Raises IntegrityError."""
        ...

    def version(self, connection: sqlite3.Connection, stream: str) -> int | None:
        """The proven version of a stream that is followed; None for one that isn't. Raises IntegrityError."""
        ...

    def forget(self) -> None:
        """Drop everything remembered: another process wrote, or a transaction failed."""
        ...

    def find_command(self, connection: sqlite3.Connection, command: str) -> tuple[int, int] | None:
        """First and last position of a command's events."""
        ...


class EventStore:
    """The log of one unlocked vault."""

    def __init__(
        self,
        database: Database,
        sealing: Sealing,
        anchor: Anchor,
        clock: Clock,
        inline: Inline,
        codec: Codec | None = None,
    ) -> None:
        self.database = database
        self.sealing = sealing
        self.anchor = anchor
        self.rollback: RollbackDetected | None = None
        self.anchor_made = False
        self.unanchored: StorageError | None = None
        self.appended = 0
        self._clock = clock
        self._inline = inline
        self._codec = codec or Codec()
        self._head: Head | None = None

    # -- appending

    def append(
        self, drafts: Sequence[Draft], cause: Cause, expected: Mapping[str, int] | None = None
    ) -> list[Recorded]:
        """Append events, all or none. ``expected`` maps a stream to the version it must be at (0 for none yet).

        A ``cause.command`` seen before appends nothing and returns what it did then. Raises WrongExpectedVersion, Conflict,
        RollbackDetected, TryAgain, StorageError, IntegrityError.
        """
        with self.writing() as connection:
            if cause.command:
                earlier = self._inline.find_command(connection, cause.command)
                if earlier:
                    return self._repeat(earlier, drafts, cause.command)
            return self.append_within(connection, drafts, cause, expected)

    @contextmanager
    def writing(self, *, accepting: bool = False) -> Iterator[sqlite3.Connection]:
        """A turn at writing: a transaction, then the anchor. Raises RollbackDetected when the log is not to be written.

        ``accepting`` is for the event with which a person accepts such a log; when it is committed the anchor follows.
        """
        if self.rollback and not accepting:
            raise self.rollback
        with self.database.turn():
            try:
                with self.database.transaction() as connection:
                    before = self._newest(connection, anchored=not accepting)
                    yield connection
                    after = self._head or before
                    if accepting:
                        self.anchor.stage(after.position, after.mac)
                    elif after.position != before.position:
                        self.anchor.prepare()
            except BaseException:
                self._head = None
                self._inline.forget()
                self.anchor.unstage()
                raise
            move(self.anchor, before, after, accepting=accepting)
            if after.position != before.position:
                self.appended = after.position

    def append_within(
        self,
        connection: sqlite3.Connection,
        drafts: Sequence[Draft],
        cause: Cause,
        expected: Mapping[str, int] | None = None,
    ) -> list[Recorded]:
        """Append inside a turn that ``writing`` gave. Raises InputError for a command id like those made here."""
        if cause.command.startswith(MADE_HERE):
            raise InputError(f"a command id doesn't start with {MADE_HERE}", hint="choose another id")
        head = self._head or self._newest(connection)
        self._inline.begin(connection, head)
        versions: dict[str, int] = {}
        for stream, version in (expected or {}).items():
            versions[stream] = self.version(connection, stream)
            if versions[stream] != version:
                raise WrongExpectedVersion("it changed while this command was deciding", hint="try again")
        position, mac = head.position, head.mac
        at = max(self._clock.now(), head.at)
        command = cause.command or MADE_HERE + uuid.uuid4().hex
        rows: list[Row] = []
        recorded: list[Recorded] = []
        for draft in drafts:
            position += 1
            stream = draft.stream
            if stream not in versions:
                versions[stream] = self.version(connection, stream)
            versions[stream] += 1
            header = self._codec.encode(
                draft.event,
                at=at,
                stream=stream,
                actor=cause.actor,
                command=command,
                correlation=cause.correlation,
                causation=cause.causation,
                reason=cause.reason,
            )
            row = self._sealed(connection, draft, header, versions[stream], position, mac)
            mac = row.mac
            rows.append(row)
            envelope, event = self._codec.decode(header)
            recorded.append(
                Recorded(position, row.stream, row.version, envelope, event, has_payload=row.payload is not None)
            )
        self._insert(connection, rows)
        before = connection.total_changes
        written = self._inline.apply(connection, recorded, mac)
        if connection.total_changes - before != written:
            raise _unwritten("the projections")
        self._head = Head(position, mac, at)
        return recorded

    def _insert(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Insert records, and prove that they are there and nothing else was written: no trigger took or changed one."""
        before = connection.total_changes
        connection.executemany(f"INSERT INTO events ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?)", rows)  # noqa: S608
        written = connection.total_changes - before
        sql = f"SELECT {COLUMNS} FROM events NOT INDEXED WHERE position >= ? ORDER BY position"  # noqa: S608
        if rows and (written != len(rows) or connection.execute(sql, (rows[0].position,)).fetchall() != rows):
            raise _unwritten("the log")

    def _sealed(
        self, connection: sqlite3.Connection, draft: Draft, header: bytes, version: int, position: int, prev_mac: bytes
    ) -> Row:
        sealing, keys = self.sealing, self.sealing.keys
        stream = sealing.stream_id(draft.stream)
        epoch = keys.current.epoch
        payload = None
        if draft.credential is not None:
            key, key_id = keys.random(KEY), keys.random(KEY_ID)
            wrap_epoch, wrapped = keys.wrap_profile_key(key, stream, key_id)
            before = connection.total_changes
            connection.execute(
                "INSERT INTO profile_keys (id, stream, epoch, wrapped) VALUES (?,?,?,?)",
                (key_id, stream, wrap_epoch, wrapped),
            )
            if connection.total_changes - before != 1 or self.profile_key(connection, key_id, stream) != key:
                raise _unwritten("the keys of profiles")
            message = encode_credential(draft.credential)
            payload = sealing.seal_credential(message, key, key_id, stream, version, position, epoch)
        sealed = sealing.seal_header(header, stream, version, position, epoch)
        mac = sealing.mac((position, stream, version, epoch, sealed, payload, b"", prev_mac), prev_mac)
        return Row(position, stream, version, epoch, sealed, payload, mac, prev_mac)

    def _repeat(self, earlier: tuple[int, int], drafts: Sequence[Draft], command: str) -> list[Recorded]:
        recorded = list(self.read(range(earlier[0], earlier[1] + 1)))
        then = [(r.stream, type(r.event)) for r in recorded]
        if then != [(d.stream, type(d.event)) for d in drafts]:
            raise Conflict(f"the command id {command} was used for another command", hint="use a new id")
        return recorded

    def version(self, connection: sqlite3.Connection, stream: str) -> int:
        """The version a stream is at; 0 when it has no records. Raises IntegrityError."""
        proven = self._inline.version(connection, stream)
        if proven is not None:
            return proven
        row = connection.execute(
            "SELECT max(version) FROM events WHERE stream = ?", (self.sealing.stream_id(stream),)
        ).fetchone()
        return int(row[0] or 0)

    def _newest(self, connection: sqlite3.Connection, *, anchored: bool = True) -> Head:
        """The head inside a transaction. Another process's head is checked against the anchor before it is built upon."""
        row = connection.execute("SELECT position, mac FROM events ORDER BY position DESC LIMIT 1").fetchone()
        if row is None:
            self._head = Head(0, self.sealing.genesis, 0)
        elif self._head is None or (self._head.position, self._head.mac) != (row[0], row[1]):
            self._inline.forget()
            (newest,) = self.rows(connection, range(row[0], row[0] + 1))
            self._head = Head(newest.position, newest.mac, self.opened(newest).at)
            mark = self.anchor.read() if anchored else None
            if mark and (
                mark.position > newest.position or (mark.position == newest.position and mark.mac != newest.mac)
            ):
                raise rolled_back(mark.position, newest.position)
        return self._head

    # -- reading

    def head(self) -> Head:
        """The newest record's place. Raises IntegrityError when that record was altered."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT max(position) FROM events").fetchone()
            if row[0] is None:
                return Head(0, self.sealing.genesis, 0)
            (newest,) = self.rows(connection, range(row[0], row[0] + 1))
            return Head(newest.position, newest.mac, self.opened(newest).at)

    def rows(self, connection: sqlite3.Connection, positions: Iterable[int]) -> Iterator[Row]:
        """Raw rows, each checked against its mac. Raises IntegrityError for a missing or altered one."""
        for position in positions:
            found = connection.execute(
                f"SELECT {COLUMNS} FROM events WHERE position = ?",  # noqa: S608
                (position,),
            ).fetchone()
            if found is None:
                raise missing(position)
            row = Row._make(found)
            self.sealing.check(row)
            yield row

    def read(self, positions: Iterable[int]) -> Iterator[Recorded]:
        """Events at the given positions, checked. Raises IntegrityError."""
        with self.database.reading() as connection:
            for row in self.rows(connection, positions):
                yield self.opened(row)

    def read_stream(self, stream: str, from_version: int = 1) -> Iterator[Recorded]:
        """The events of a stream, oldest first, checked; gaps are errors, at the end too. Raises IntegrityError."""
        with self.database.reading() as connection:
            newest, version = self.version(connection, stream), from_version - 1
            found = connection.execute(
                f"SELECT {COLUMNS} FROM events WHERE stream = ? AND version >= ? ORDER BY version",  # noqa: S608
                (self.sealing.stream_id(stream), from_version),
            )
            for version, raw in enumerate(found, start=from_version):
                row = Row._make(raw)
                self.sealing.check(row)
                if row.version != version:
                    raise IntegrityError(
                        f"the record before position {row.position} of its stream is missing",
                        hint="run vault verify, and restore the file from a backup",
                        position=row.position,
                    )
                yield self.opened(row)
            if version < newest:
                raise IntegrityError(
                    f"the newest of {newest} records of a stream are missing",
                    hint="run vault verify, and restore the file from a backup",
                )

    def scan(self, first: int, last: int) -> Iterator[Recorded]:
        """All events from one position to another, opened but not chained; constant memory. A gap raises IntegrityError."""
        with self.database.reading() as connection:
            yield from self.scan_within(connection, first, last)

    def scan_within(self, connection: sqlite3.Connection, first: int, last: int) -> Iterator[Recorded]:
        """``scan`` in a snapshot."""
        sql = f"SELECT {OPENED} FROM events WHERE position BETWEEN ? AND ? ORDER BY position"  # noqa: S608
        due = first
        for row in connection.execute(sql, (first, last)):
            if row[0] != due:
                raise missing(due)
            yield self.opened(row)
            due += 1
        if due <= last:
            raise missing(due)

    def opened(self, row: AnyRow) -> Recorded:
        """A row's event. Raises IntegrityError."""
        envelope, event = self._codec.decode(self.sealing.open_header(row))
        return Recorded(row[0], row[1], row[2], envelope, event, row[5] is not None)

    def credential(self, position: int) -> AnyCredential:
        """The credential stored at a position. Raises IntegrityError, NotFound's kin Gone when it was destroyed, Locked."""
        with self.database.reading() as connection:

            def key_of(key_id: bytes, stream: bytes) -> bytes | None:
                return self.profile_key(connection, key_id, stream)

            (row,) = self.rows(connection, (position,))
            return decode_credential(self.sealing.open_credential(row, key_of))

    def profile_key(self, connection: sqlite3.Connection, key_id: bytes, stream: bytes) -> bytes | None:
        """A profile key, unwrapped; None when it was destroyed. Raises IntegrityError, Locked."""
        found = connection.execute("SELECT stream, epoch, wrapped FROM profile_keys WHERE id = ?", (key_id,)).fetchone()
        if found is None:
            return None
        if found[0] != stream:
            raise IntegrityError("a profile key was moved to another profile")
        return self.sealing.keys.unwrap_profile_key(found[2], stream, key_id, found[1])

    def check_anchor(self) -> None:
        """Compare the head with the anchor; on opening. A log that was rolled back makes this store read-only.

        Sets ``rollback``; advances an anchor that lags behind a head chained to it, where it can be written.
        """
        compare(self)


def _unwritten(what: str) -> IntegrityError:
    return IntegrityError(
        f"what was to be written to {what} isn't there, so nothing was done and nothing was handed out",
        hint="run vault verify, and restore the file from a backup",
    )


def missing(position: int) -> IntegrityError:
    """The error for a record that isn't where one must be."""
    return IntegrityError(
        f"the record at position {position} is missing",
        hint="run vault verify, and restore the file from a backup",
        position=position,
    )
