"""What the file's tables, indexes and triggers must be, to the letter: what vault made, and nothing beside it.

Code that reads a column relies on its type, and what is acknowledged on nobody having put a trigger between: a file with a table
made anew, or with a trigger, view, index or column that vault didn't make, is refused before anything is read or written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from vault.errors import IntegrityError

TABLES = {
    "vault": "CREATE TABLE vault (id BLOB NOT NULL, format INTEGER NOT NULL, PRIMARY KEY (id)) STRICT",
    "events": (
        "CREATE TABLE events ( position INTEGER NOT NULL, stream BLOB NOT NULL, version INTEGER NOT NULL, "
        "epoch INTEGER NOT NULL, header BLOB NOT NULL, payload BLOB, mac BLOB NOT NULL, prev_mac BLOB NOT NULL, "
        "PRIMARY KEY (position), UNIQUE (mac), UNIQUE (prev_mac), UNIQUE (stream, version) ) STRICT"
    ),
    "profile_keys": (
        "CREATE TABLE profile_keys ( id BLOB NOT NULL, stream BLOB NOT NULL, epoch INTEGER NOT NULL, "
        "wrapped BLOB NOT NULL, PRIMARY KEY (id) ) STRICT"
    ),
    "key_slots": (
        "CREATE TABLE key_slots ( slot INTEGER NOT NULL, kind TEXT NOT NULL, parameters BLOB NOT NULL, "
        "wrapped BLOB NOT NULL, commitment BLOB NOT NULL, PRIMARY KEY (slot) ) STRICT"
    ),
    "epochs": (
        "CREATE TABLE epochs ( epoch INTEGER NOT NULL, audit BLOB NOT NULL, secret BLOB NOT NULL, "
        "PRIMARY KEY (epoch) ) STRICT"
    ),
    "read_models": (
        'CREATE TABLE read_models ( model TEXT NOT NULL, "key" BLOB NOT NULL, agent BLOB NOT NULL, '
        "provider BLOB NOT NULL, position INTEGER NOT NULL, state BLOB NOT NULL, "
        'PRIMARY KEY (model, "key") ) STRICT'
    ),
    "history_index": (
        "CREATE TABLE history_index ( position INTEGER NOT NULL, agent BLOB NOT NULL, provider BLOB NOT NULL, "
        "profile BLOB NOT NULL, kind BLOB NOT NULL, actor BLOB NOT NULL, program BLOB NOT NULL, "
        "agent_nth INTEGER NOT NULL, provider_nth INTEGER NOT NULL, profile_nth INTEGER NOT NULL, "
        "kind_nth INTEGER NOT NULL, actor_nth INTEGER NOT NULL, program_nth INTEGER NOT NULL, tag BLOB NOT NULL, "
        "PRIMARY KEY (position, agent) ) STRICT, WITHOUT ROWID"
    ),
    "commands": (
        "CREATE TABLE commands ( command BLOB NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, "
        "PRIMARY KEY (command) ) STRICT, WITHOUT ROWID"
    ),
    "checkpoints": (
        "CREATE TABLE checkpoints ( model TEXT NOT NULL, model_version INTEGER NOT NULL, position INTEGER NOT NULL, "
        "PRIMARY KEY (model) ) STRICT"
    ),
}
INDEXES = {
    "ix_profile_keys_stream": "CREATE INDEX ix_profile_keys_stream ON profile_keys (stream)",
    "read_models_by_agent": "CREATE INDEX read_models_by_agent ON read_models (model, agent, provider)",
    "history_by_agent": "CREATE INDEX history_by_agent ON history_index (agent, position)",
    "history_by_provider": "CREATE INDEX history_by_provider ON history_index (provider, position)",
    "history_by_profile": "CREATE INDEX history_by_profile ON history_index (profile, position)",
    "history_by_kind": "CREATE INDEX history_by_kind ON history_index (kind, position)",
    "history_by_actor": "CREATE INDEX history_by_actor ON history_index (actor, position)",
    "history_by_program": "CREATE INDEX history_by_program ON history_index (program, position)",
}
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
ALEMBIC = (
    "CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num) )"
)
AUTOMATIC = (  # the indexes that SQLite makes for PRIMARY KEY and UNIQUE
    "alembic_version_1",
    "vault_1",
    "events_1",
    "events_2",
    "events_3",
    "profile_keys_1",
    "read_models_1",
    "checkpoints_1",
)

Object = tuple[str, str]
EXPECTED: Mapping[Object, str] = {
    ("table", "alembic_version"): ALEMBIC,
    **{("table", name): sql for name, sql in TABLES.items()},
    **{("index", name): sql for name, sql in INDEXES.items()},
    **{("trigger", name): sql for name, sql in TRIGGERS.items()},
    **{("index", f"sqlite_autoindex_{name}"): "" for name in AUTOMATIC},
}


def strange(connection: sqlite3.Connection) -> str:
    """The first thing in the schema that isn't what vault made, in words; empty when all is. Blanks in SQL don't count."""
    expected = EXPECTED
    found: dict[Object, str] = {}
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if (kind, name) in found:
            return f"the {kind} {_shown(name)} is there twice"
        found[kind, name] = " ".join((sql or "").split())
    if found == expected:
        return ""
    for (kind, name), sql in expected.items():
        if (kind, name) not in found:
            return f"the {kind} {name} is gone"
        if found[kind, name] != sql:
            return f"the {kind} {name} is not the one vault made"
    kind, name = next(key for key in found if key not in expected)
    return f"the {kind} {_shown(name)} is not one that vault made"


def check_schema(connection: sqlite3.Connection, path: object) -> None:
    """Compare the schema with what vault made. Raises IntegrityError, which names the first difference."""
    what = strange(connection)
    if what:
        raise IntegrityError(
            f"{what}, in {path}", hint="restore the file from a backup, or take out what another program put in"
        )


def _shown(name: object) -> str:
    return ascii(str(name)[:60])
