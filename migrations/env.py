"""Alembic's entry. Vault passes its open connection; a developer's ``alembic`` takes the file of VAULT_DATABASE."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, create_engine

from vault.log.tables import metadata


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = create_engine(f"sqlite:///{os.environ['VAULT_DATABASE']}")
    with engine.connect() as connection:
        run(connection)
        connection.commit()
