"""The tables, as SQLAlchemy Core sees them. Alembic creates and changes them; a test compares the two.

``events`` is append-only: triggers refuse UPDATE, DELETE and any position but the next. No migration may batch-alter it,
because batch mode rebuilds a table and drops its triggers.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

metadata = MetaData()

vault = Table(
    "vault",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("format", Integer, nullable=False),
    sqlite_strict=True,
)

events = Table(
    "events",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("stream", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("payload", LargeBinary),
    Column("mac", LargeBinary, nullable=False, unique=True),
    Column("prev_mac", LargeBinary, nullable=False, unique=True),
    UniqueConstraint("stream", "version"),
    sqlite_strict=True,
)

profile_keys = Table(
    "profile_keys",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("stream", LargeBinary, nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    sqlite_strict=True,
)

key_slots = Table(
    "key_slots",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("parameters", LargeBinary, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    sqlite_strict=True,
)

epochs = Table(
    "epochs",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("audit", LargeBinary, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    sqlite_strict=True,
)

read_models = Table(
    "read_models",
    metadata,
    Column("model", Text, primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("agent", LargeBinary, nullable=False),
    Column("provider", LargeBinary, nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("read_models_by_agent", "model", "agent", "provider"),
    sqlite_strict=True,
)

history_index = Table(
    "history_index",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("agent", LargeBinary, primary_key=True),
    Column("provider", LargeBinary, nullable=False),
    Column("profile", LargeBinary, nullable=False),
    Column("kind", LargeBinary, nullable=False),
    Column("actor", LargeBinary, nullable=False),
    Column("program", LargeBinary, nullable=False),
    Column("agent_nth", Integer, nullable=False),
    Column("provider_nth", Integer, nullable=False),
    Column("profile_nth", Integer, nullable=False),
    Column("kind_nth", Integer, nullable=False),
    Column("actor_nth", Integer, nullable=False),
    Column("program_nth", Integer, nullable=False),
    Column("tag", LargeBinary, nullable=False),
    Index("history_by_agent", "agent", "position"),
    Index("history_by_provider", "provider", "position"),
    Index("history_by_profile", "profile", "position"),
    Index("history_by_kind", "kind", "position"),
    Index("history_by_actor", "actor", "position"),
    Index("history_by_program", "program", "position"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

commands = Table(
    "commands",
    metadata,
    Column("command", LargeBinary, primary_key=True),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("model", Text, primary_key=True),
    Column("model_version", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    sqlite_strict=True,
)
