"""The first tables. After this the schema number is 1.

Written out, not taken from ``vault.log.tables``: a migration never changes, the tables do.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE vault (id BLOB NOT NULL, format INTEGER NOT NULL, PRIMARY KEY (id)) STRICT;
CREATE TABLE events (
    position INTEGER NOT NULL, stream BLOB NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL, header BLOB NOT NULL,
    payload BLOB, mac BLOB NOT NULL, prev_mac BLOB NOT NULL,
    PRIMARY KEY (position), UNIQUE (mac), UNIQUE (prev_mac), UNIQUE (stream, version)
) STRICT;
CREATE TABLE profile_keys (
    id BLOB NOT NULL, stream BLOB NOT NULL, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (id)
) STRICT;
CREATE INDEX ix_profile_keys_stream ON profile_keys (stream);
CREATE TABLE key_slots (
    slot INTEGER NOT NULL, kind TEXT NOT NULL, parameters BLOB NOT NULL, wrapped BLOB NOT NULL, commitment BLOB NOT NULL,
    PRIMARY KEY (slot)
) STRICT;
CREATE TABLE epochs (
    epoch INTEGER NOT NULL, audit BLOB NOT NULL, secret BLOB NOT NULL, PRIMARY KEY (epoch)
) STRICT;
CREATE TABLE read_models (
    model TEXT NOT NULL, "key" BLOB NOT NULL, agent BLOB NOT NULL, provider BLOB NOT NULL, position INTEGER NOT NULL,
    state BLOB NOT NULL, PRIMARY KEY (model, "key")
) STRICT;
CREATE INDEX read_models_by_agent ON read_models (model, agent, provider);
CREATE TABLE history_index (
    position INTEGER NOT NULL, agent BLOB NOT NULL, provider BLOB NOT NULL, profile BLOB NOT NULL, kind BLOB NOT NULL,
    actor BLOB NOT NULL, program BLOB NOT NULL, PRIMARY KEY (position, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX history_by_agent ON history_index (agent, position);
CREATE INDEX history_by_provider ON history_index (provider, position);
CREATE INDEX history_by_profile ON history_index (profile, position);
CREATE INDEX history_by_kind ON history_index (kind, position);
CREATE TABLE commands (
    command BLOB NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (command)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints (
    model TEXT NOT NULL, model_version INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (model)
) STRICT;
"""

TRIGGERS = (
    "CREATE TRIGGER events_no_update BEFORE UPDATE ON events "
    "BEGIN SELECT RAISE(ABORT, 'events are never changed'); END",
    "CREATE TRIGGER events_no_delete BEFORE DELETE ON events "
    "BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END",
    "CREATE TRIGGER events_next_position BEFORE INSERT ON events "
    "WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events) "
    "BEGIN SELECT RAISE(ABORT, 'positions have no gaps'); END",
)


def upgrade() -> None:
    for statement in TABLES.split(";"):
        if statement.strip():
            op.execute(statement.strip())
    for trigger in TRIGGERS:
        op.execute(trigger)
    op.execute("PRAGMA user_version = 1")
