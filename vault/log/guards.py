"""The triggers that keep ``events`` append-only, and the check that they are there."""

from __future__ import annotations

import sqlite3

TRIGGERS = {
    "events_no_update": (
        "CREATE TRIGGER events_no_update BEFORE UPDATE ON events "
        "BEGIN SELECT RAISE(ABORT, 'events are never changed'); END"
    ),
    "events_no_delete": (
        "CREATE TRIGGER events_no_delete BEFORE DELETE ON events "
        "BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END"
    ),
    "events_next_position": (
        "CREATE TRIGGER events_next_position BEFORE INSERT ON events "
        "WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events) "
        "BEGIN SELECT RAISE(ABORT, 'positions have no gaps'); END"
    ),
}


def missing_guards(connection: sqlite3.Connection) -> list[str]:
    """Names of triggers that are gone or were changed."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'")
    found = dict(rows.fetchall())
    return [name for name, sql in TRIGGERS.items() if found.get(name) != sql]
