"""Verifying everything: each record's place, version, chain and associated data; keys; triggers; projections; the anchor.

One read snapshot, one pass, constant memory. It reads and never mends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from vault.crypto.keys import KEY_ID
from vault.crypto.keyslots import Slot, check_parameters
from vault.errors import IntegrityError, Locked
from vault.events.types import VaultCreated
from vault.log.anchor import Mark, rolled_back
from vault.log.chain_pass import ChainPass, Job
from vault.log.records import Recorded
from vault.log.schema import check_schema
from vault.log.store import EventStore
from vault.model.slots import SlotsState, slot_facts
from vault.model.streams import VAULT
from vault.projections.engine import Projections
from vault.projections.replay import Differences, IndexComparison, Progress, Replay, bad_record, no_progress
from vault.projections.slots import check_slots

# The columns of a row, with the stream of its credential's key where its mac would be.
RECORDS = (
    "SELECT e.position, e.stream, e.version, e.epoch, e.header, substr(e.payload, 1, 0), k.stream, x'' FROM events e "  # noqa: S608
    f"LEFT JOIN profile_keys k ON k.id = substr(e.payload, 1, {KEY_ID}) ORDER BY e.position"
)


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
        check_schema(connection, store.database.path)
        _pages(connection, store.database.path)
        differences = Differences()
        replay, newest = _log(store, projections, connection, done, progress, differences)
        if store.rollback:
            raise store.rollback
        if not store.anchor_made:
            _anchored(mark, connection, done)
        _vault(store, connection, replay)
        if differences:
            raise _projection(differences)
        _keys(store, connection, done)
        replay.compare(connection, replay.proof(newest), differences)
        if differences:
            raise _projection(differences)
        done.read_models = len(replay.states)
    done.checks = [
        "the vault's id, format and epochs",
        "key slots against the log, and their parameters",
        "positions without gaps",
        "versions without gaps in each stream",
        "chain of macs from the first record to the head",
        "associated data of every header",
        "times never going back",
        "a key for every credential",
        "tables, indexes and triggers as vault made them, and nothing beside them",
        "every index against its table, every page of the file",
        "read models, history index and command index against the log",
    ]
    if done.anchored:
        done.checks.append("head against the anchor")
    return done


def _pages(connection: sqlite3.Connection, path: object) -> None:
    """Let SQLite compare every index with its table, and look at every page. Raises IntegrityError."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise IntegrityError(
            f"the tables and indexes of {path} contradict each other ({found})", hint="restore the file from a backup"
        )


def _vault(store: EventStore, connection: sqlite3.Connection, replay: Replay) -> None:
    """The tables that unlock: the vault's own row, its epochs, and of the key slots what can be known without their secrets."""
    keys = store.sealing.keys
    vaults = connection.execute("SELECT id, format FROM vault").fetchall()
    epochs = [row[0] for row in connection.execute("SELECT epoch FROM epochs ORDER BY epoch")]
    created = store.opened(next(store.rows(connection, [1]))).event
    if not isinstance(created, VaultCreated):
        raise bad_record(1, "is not the making of a vault")
    if vaults != [(keys.vault_id, created.format)] or epochs != keys.epochs:
        raise IntegrityError("the vault's own row or its epochs were altered", hint="restore the file from a backup")
    slots = [
        Slot(*row) for row in connection.execute("SELECT slot, kind, parameters, wrapped, commitment FROM key_slots")
    ]
    state = replay.states.get(("vault", store.sealing.stream_id(VAULT)))
    if isinstance(state, SlotsState):
        check_slots(state, slot_facts(slots, keys.vault_id))
    for slot in slots:
        check_parameters(slot)


def _log(
    store: EventStore,
    projections: Projections,
    connection: sqlite3.Connection,
    done: Verified,
    progress: Progress,
    differences: Differences,
) -> tuple[Replay, tuple[int, bytes]]:
    sealing = store.sealing
    replay = Replay(sealing, projections)
    comparison = IndexComparison(connection, differences)
    (head,) = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
    job = Job(
        database=str(store.database.path),
        vault_id=sealing.keys.vault_id,
        genesis=sealing.genesis,
        keys={epoch: sealing.keys.epoch(epoch).chain for epoch in sealing.keys.epochs},
        head=head,
    )
    stopped: IntegrityError | None = None
    with ChainPass(connection, job) as chain:
        try:
            for events, rows, commands in replay.chunks(_opened(store, connection, done)):
                comparison.take(rows, commands)
                progress(events, head)
        except IntegrityError as error:
            stopped = error
        finding = chain.finding()
    if finding.what and (stopped is None or finding.position <= (stopped.position or head)):
        raise bad_record(finding.position, finding.what)
    if stopped is not None:
        raise stopped
    comparison.finish()
    done.events, done.streams, done.head = head, len(replay.tracks), finding.mac.hex()[:16]
    return replay, (head, finding.mac)


def _opened(store: EventStore, connection: sqlite3.Connection, done: Verified) -> Iterator[Recorded]:
    at = 0
    for row in connection.execute(RECORDS):
        item = store.opened(row)
        if at > (at := item.envelope.at):
            raise bad_record(item.position, "was recorded before the one before it")
        if item.has_payload:
            done.credentials += 1
            if row[6] is None:
                raise bad_record(item.position, "holds a credential whose key is gone")
            if row[6] != item.stream_id:
                raise bad_record(item.position, "holds a credential whose key belongs to another profile")
        yield item


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


def _projection(differences: Differences) -> IntegrityError:
    return IntegrityError(
        differences.what, hint="the log itself is whole; run: vault rebuild", position=differences.first
    )
