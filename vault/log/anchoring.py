"""The log's head and the anchor: compared on opening, moved after a commit."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from vault.errors import RollbackDetected, StorageError
from vault.log.anchor import ACCEPT, Anchor, Mark, rolled_back
from vault.log.records import Head

if TYPE_CHECKING:
    from vault.log.store import EventStore


def compare(store: EventStore) -> None:
    """Compare a log's head with its anchor. Sets the store's ``rollback``, ``anchor_made`` and ``unanchored``.

    An anchor that lags behind a head chained to it is advanced, and a missing one made; where that can't be written, the log can
    be read all the same, and ``unanchored`` tells why. What is opened for reading only leaves the anchor as it is. Raises
    IntegrityError for an altered record, StorageError for an anchor that can't be read.
    """
    mark = store.anchor.read()
    if store.anchor.damaged:
        store.rollback = RollbackDetected(
            f"the head anchor {store.anchor.path} is damaged, so a rollback can't be ruled out",
            hint=f"if you trust this log: {ACCEPT}",
        )
        return
    with store.database.reading() as connection:
        row = connection.execute("SELECT position, mac FROM events ORDER BY position DESC LIMIT 1").fetchone()
        head = Mark(*row) if row else Mark(0, store.sealing.genesis)
        if mark is None and not head.position:
            return
        if mark is not None and not _follows(store, connection, mark, head):
            store.rollback = rolled_back(mark.position, head.position)
            return
    store.anchor_made = mark is None
    if (mark != head or store.anchor.uneven) and not store.database.reading_only:
        try:
            store.anchor.write(*head)
        except StorageError as error:
            store.unanchored = error


def _follows(store: EventStore, connection: sqlite3.Connection, mark: Mark, head: Mark) -> bool:
    """Whether a head is the anchored record, or further and chained to it."""
    if head == mark:
        return True
    if head.position <= mark.position:
        return False
    row = connection.execute("SELECT mac FROM events WHERE position = ?", (mark.position,)).fetchone()
    if row is None or row[0] != mark.mac:
        return False
    previous = mark.mac
    for newer in store.rows(connection, range(mark.position + 1, head.position + 1)):
        if newer.prev_mac != previous:
            return False
        previous = newer.mac
    return True


def move(anchor: Anchor, before: Head, after: Head, *, accepting: bool) -> None:
    """Bring the anchor to a head that was just committed. Raises StorageError, which says that it is in the log all the same."""
    if before.position == after.position:
        return
    try:
        if accepting:
            anchor.publish()
        else:
            anchor.write(after.position, after.mac)
    except StorageError as error:
        first, last = before.position + 1, after.position
        what = f"event {last} is" if first == last else f"the events {first} to {last} are"
        raise StorageError(
            f"{error.message}; {what} recorded, and nothing was done after that", hint=error.hint
        ) from None
