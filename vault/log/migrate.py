"""Upgrading an older file with Alembic, after a backup. Loaded only when needed: importing Alembic costs 300 ms."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from vault.errors import Defect, StorageError
from vault.files import make_private
from vault.log.schema import strange


def migrations_folder() -> Path:
    """Where the migrations are: inside an installed wheel, or beside the package in a source tree."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise Defect("the migrations are missing from this installation", hint="install agent-vault again")


def run_migrations(connection: sqlite3.Connection, folder: Path | None = None) -> None:
    """Bring the tables of an open file to the newest schema, each step in its own transaction.

    Raises Defect when the schema isn't the newest one then.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import StaticPool, create_engine, event

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def _begin(opened: object) -> None:
        opened.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]

    config = Config()
    config.set_main_option("script_location", str(folder or migrations_folder()))
    config.set_main_option("path_separator", "os")
    with engine.connect() as opened:
        config.attributes["connection"] = opened
        command.upgrade(config, "head")
        opened.commit()
    check_upgraded(connection)


def check_upgraded(connection: sqlite3.Connection) -> None:
    """Raises Defect when the schema after an upgrade isn't the newest one: batch mode, say, drops triggers."""
    what = strange(connection)
    if what:
        raise Defect(f"after the upgrade {what}", hint="restore the file from its backup")


def upgrade(path: Path, connection: sqlite3.Connection, folder: Path | None = None) -> Path | None:
    """Back up an older file beside itself, then upgrade it. Returns the backup's path."""
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    backup = path.with_name(f"{path.name}.schema-{schema}.backup")
    if not backup.exists():
        try:
            os.close(make_private(backup))
        except OSError as error:
            raise StorageError(
                f"the older vault can't be backed up before its upgrade: {error.strerror} ({backup})",
                hint="make the folder writable and try again",
            ) from None
        copy = sqlite3.connect(backup)
        try:
            connection.backup(copy)
        except BaseException:
            backup.unlink(missing_ok=True)
            raise
        finally:
            copy.close()
    run_migrations(connection, folder)
    return backup
