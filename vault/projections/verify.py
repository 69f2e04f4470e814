"""Verifying everything: each record's place, version, chain and associated data; keys; triggers; projections; the anchor.

One read snapshot, one pass, constant memory. It reads and never mends.
"""

from __future__ import annotations

import hmac
import sqlite3
from dataclasses import dataclass, field

from vault.crypto.keys import payload_key_id
from vault.crypto.keyslots import Slot, check_parameters
from vault.errors import IntegrityError, Locked
from vault.events.types import VaultCreated
from vault.log.anchor import Mark
from vault.log.guards import missing_guards
from vault.log.records import Row
from vault.log.store import COLUMNS, EventStore, rolled_back
from vault.projections.engine import Projections
from vault.projections.replay import CHUNK, Differences, IndexComparison, Progress, Replay, no_progress


@dataclass(slots=True)
class Verified:
    """What was checked, and how much of it."""

    events: int = 0
    streams: int = 0
    credentials: int = 0
    profile_keys: int = 0
    read_models: int = 0
    head: str = ""
    anchored: bool = False
    without_secrets: bool = False
    checks: list[str] = field(default_factory=list)


def verify(store: EventStore, projections: Projections, progress: Progress = no_progress) -> Verified:
    """Check the whole vault. Raises IntegrityError or RollbackDetected, naming the first bad position."""
    done = Verified()
    mark = store.anchor.read()
    with store.database.reading() as connection:
        guards = missing_guards(connection)
        if guards:
            raise IntegrityError(
                f"the trigger {guards[0]} that keeps the log append-only is gone", hint="restore the file from a backup"
            )
        _vault(store, connection)
        differences = Differences()
        replay = _log(store, projections, connection, done, progress, differences)
        if store.rollback:
            raise store.rollback
        _anchored(mark, connection, done)
        if differences:
            raise _projection(differences)
        _keys(store, connection, done)
        replay.compare(connection, done.events, differences)
        if differences:
            raise _projection(differences)
        done.read_models = len(replay.states)
    done.checks = [
        "the vault's id, format, epochs and key slots' parameters",
        "positions without gaps",
        "versions without gaps in each stream",
        "chain of macs from the first record to the head",
        "associated data of every header",
        "times never going back",
        "a key for every credential",
        "append-only triggers",
        "read models, history index and command index against the log",
        "head against the anchor",
    ]
    return done


def _vault(store: EventStore, connection: sqlite3.Connection) -> None:
    """The tables that unlock: the vault's own row, its epochs, and of the key slots what can be known without their secrets."""
    keys = store.sealing.keys
    vaults = connection.execute("SELECT id, format FROM vault").fetchall()
    epochs = [row[0] for row in connection.execute("SELECT epoch FROM epochs ORDER BY epoch")]
    created = store.opened(next(store.rows(connection, [1]))).event
    if not isinstance(created, VaultCreated):
        raise _bad(1, "is not the making of a vault")
    if vaults != [(keys.vault_id, created.format)] or epochs != keys.epochs:
        raise IntegrityError("the vault's own row or its epochs were altered", hint="restore the file from a backup")
    for row in connection.execute("SELECT slot, kind, parameters, wrapped, commitment FROM key_slots"):
        check_parameters(Slot(*row))


def _log(
    store: EventStore,
    projections: Projections,
    connection: sqlite3.Connection,
    done: Verified,
    progress: Progress,
    differences: Differences,
) -> Replay:
    sealing = store.sealing
    replay = Replay(sealing, projections)
    comparison = IndexComparison(connection, "history_index", differences)
    versions: dict[bytes, int] = {}
    previous, at, expected = sealing.genesis, 0, 0
    (total,) = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
    for raw in connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY position"):  # noqa: S608
        row = Row._make(raw)
        expected += 1
        position = row.position
        if position < expected:
            raise _bad(position, "has a place no record has")
        if position != expected:
            raise _bad(expected, "is missing")
        if row.prev_mac != previous:
            raise _bad(position, "is not chained to the one before it")
        try:
            mac = sealing.mac(row, previous)
        except (IntegrityError, OverflowError):
            mac = b""
        if not hmac.compare_digest(mac, row.mac):
            raise _bad(position, "was altered")
        previous = mac
        version = versions.get(row.stream, 0) + 1
        if row.version != version:
            raise _bad(position, f"has version {row.version} in its stream where {version} is due")
        versions[row.stream] = version
        item = store.opened(row)
        if sealing.stream_id(item.envelope.stream) != row.stream:
            raise _bad(position, "is in another stream than it says")
        if item.envelope.at < at:
            raise _bad(position, "was recorded before the one before it")
        at = item.envelope.at
        if row.payload is not None:
            done.credentials += 1
            key_id = payload_key_id(row.payload)
            key = connection.execute("SELECT stream FROM profile_keys WHERE id = ?", (key_id,)).fetchone()
            if key is None:
                raise _bad(position, "holds a credential whose key is gone")
            if key[0] != row.stream:
                raise _bad(position, "holds a credential whose key belongs to another profile")
        comparison.take(replay.take(item))
        if not expected % CHUNK:
            progress(expected, total)
    comparison.finish()
    done.events, done.streams, done.head = expected, len(versions), previous.hex()[:16]
    progress(expected, expected)
    return replay


def _anchored(mark: Mark | None, connection: sqlite3.Connection, done: Verified) -> None:
    """Compare with the anchor as it was before the snapshot: the log then held what it says, if it is the same log."""
    if mark is None:
        return
    found = connection.execute("SELECT mac FROM events WHERE position = ?", (mark.position,)).fetchone()
    if found != (mark.mac,):
        raise rolled_back(mark.position, done.events)
    done.anchored = True


def _keys(store: EventStore, connection: sqlite3.Connection, done: Verified) -> None:
    keys = store.sealing.keys
    for key_id, stream, epoch, wrapped in connection.execute("SELECT id, stream, epoch, wrapped FROM profile_keys"):
        try:
            keys.unwrap_profile_key(wrapped, stream, key_id, epoch)
        except Locked:
            done.without_secrets = True
            return
        except IntegrityError:
            raise IntegrityError("the key of a profile was altered", hint="restore the file from a backup") from None
        done.profile_keys += 1


def _bad(position: int, what: str) -> IntegrityError:
    return IntegrityError(
        f"the record at position {position} {what}", hint="restore the file from a backup", position=position
    )


def _projection(differences: Differences) -> IntegrityError:
    return IntegrityError(
        differences.what, hint="the log itself is whole; run: vault rebuild", position=differences.first
    )
