"""What the tables themselves guard: triggers that keep ``events`` append-only, strict types, columns that are never empty.

Code that reads a column relies on its type: a file whose tables were made anew without it is refused before anything is read.
"""

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


TABLES = (
    "vault",
    "events",
    "profile_keys",
    "key_slots",
    "epochs",
    "read_models",
    "history_index",
    "commands",
    "checkpoints",
)
_STRICT = (
    "SELECT DISTINCT t.name FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c "
    "WHERE t.schema = 'main' AND t.strict AND t.type = 'table' GROUP BY t.name "
    """HAVING sum(c."notnull" = 0 AND t.name || '.' || c.name <> 'events.payload') = 0"""
)


def loose_tables(connection: sqlite3.Connection) -> list[str]:
    """Names of tables that are gone, or aren't strict any more, or let a column be NULL that never is."""
    strict = {row[0] for row in connection.execute(_STRICT)}
    return [name for name in TABLES if name not in strict]
