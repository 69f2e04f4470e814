"""The history index counts each subject's rows, so that none can be missing unseen. After this the schema number is 2.

The table is made anew, empty: a projection is filled from the log when the vault is opened next.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = """
DROP TABLE history_index;
CREATE TABLE history_index (
    position INTEGER NOT NULL, agent BLOB NOT NULL, provider BLOB NOT NULL, profile BLOB NOT NULL, kind BLOB NOT NULL,
    actor BLOB NOT NULL, program BLOB NOT NULL,
    agent_nth INTEGER NOT NULL, provider_nth INTEGER NOT NULL, profile_nth INTEGER NOT NULL, kind_nth INTEGER NOT NULL,
    actor_nth INTEGER NOT NULL, program_nth INTEGER NOT NULL, tag BLOB NOT NULL, PRIMARY KEY (position, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX history_by_agent ON history_index (agent, position);
CREATE INDEX history_by_provider ON history_index (provider, position);
CREATE INDEX history_by_profile ON history_index (profile, position);
CREATE INDEX history_by_kind ON history_index (kind, position);
CREATE INDEX history_by_actor ON history_index (actor, position);
CREATE INDEX history_by_program ON history_index (program, position);
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement.strip())
    op.execute("PRAGMA user_version = 2")
