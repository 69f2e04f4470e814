"""The log is append-only, and stays so through every migration; an older file is backed up and upgraded when opened."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

import vault.log.database
import vault.log.migrate
import vault.log.schema
from tests.log.samples import any_session
from tests.support import ROOT, make_files, make_vault
from vault.errors import Defect, NewerVersion
from vault.log.database import Database
from vault.log.filelock import FileLock
from vault.log.migrate import run_migrations, upgrade
from vault.log.schema import TRIGGERS, strange
from vault.projections.verify import verify

THIRD = '''"""A third migration, for tests. After this the schema number is 3."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE notes (note TEXT NOT NULL, PRIMARY KEY (note)) STRICT")
    op.execute("ALTER TABLE epochs ADD COLUMN retired INTEGER NOT NULL DEFAULT 0")
    {more}
    op.execute("PRAGMA user_version = 3")
'''
BATCH = """with op.batch_alter_table("events", recreate="always") as batch:
        batch.alter_column("epoch", new_column_name="epoch")"""


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The tables as the migrations make them."""
    with closing(sqlite3.connect(tmp_path / "raw.db", isolation_level=None)) as connection:
        run_migrations(connection)
        yield connection


NOTES = "CREATE TABLE notes (note TEXT NOT NULL, PRIMARY KEY (note)) STRICT"
RETIRED = "retired INTEGER NOT NULL DEFAULT 0, PRIMARY KEY"


def know_third_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on vault's newest schema is the third."""
    epochs = vault.log.schema.EXPECTED["table", "epochs"].replace("PRIMARY KEY", RETIRED)
    more = {("table", "notes"): NOTES, ("index", "sqlite_autoindex_notes_1"): "", ("table", "epochs"): epochs}
    monkeypatch.setattr(vault.log.schema, "EXPECTED", {**vault.log.schema.EXPECTED, **more})
    monkeypatch.setattr(vault.log.database, "SCHEMA", 3)


def third_folder(folder: Path, more: str = "pass") -> Path:
    """The migrations with one more."""
    copied = shutil.copytree(ROOT / "migrations", folder / "migrations")
    (copied / "versions" / "0003_third.py").write_text(THIRD.format(more=more))
    return copied


# -- append-only


def refuses_all_but_appending(connection: sqlite3.Connection) -> None:
    """The triggers are there and do what they say."""
    assert strange(connection) == ""
    rows = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    statements = {
        "never changed": [f"UPDATE events SET {c} = {c}" for c in ("position", "payload", "mac")],
        "never deleted": ["DELETE FROM events", "DELETE FROM events WHERE position = 1"],
        "no gaps": [
            f"INSERT INTO events VALUES ({position}, x'01', 1, 1, x'01', NULL, randomblob(32), randomblob(32))"
            for position in (rows + 2, rows, 0, -1, 2**62)
        ],
    }
    for message, refused in statements.items():
        for statement in refused:
            with pytest.raises(sqlite3.IntegrityError, match=message):
                connection.execute(statement)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT OR REPLACE INTO events SELECT * FROM events WHERE position = 1")
    assert connection.execute("SELECT count(*) FROM events").fetchone()[0] == rows


def test_the_log_is_append_only(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        any_session(context)
        refuses_all_but_appending(context.database.connection)
        assert verify(context.store, context.projections).events == 12


def test_the_written_triggers_are_the_migrated_ones(raw: sqlite3.Connection) -> None:
    found = dict(raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
    assert found == TRIGGERS


# -- migrations


def test_a_migration_keeps_the_guards_and_the_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        any_session(context)
        connection = context.database.connection
        before = connection.execute("SELECT * FROM events").fetchall()
        know_third_schema(monkeypatch)
        run_migrations(connection, third_folder(tmp_path))
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("SELECT * FROM events").fetchall() == before
        refuses_all_but_appending(connection)
        assert verify(context.store, context.projections).events == 12


def test_a_migration_that_drops_the_guards_is_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        know_third_schema(monkeypatch)
        folder = third_folder(tmp_path, BATCH)
        with pytest.raises(Defect, match=r"after the upgrade the (table|trigger) events"):
            run_migrations(context.database.connection, folder)


def test_migrating_twice_changes_nothing(raw: sqlite3.Connection) -> None:
    before = raw.execute("SELECT * FROM sqlite_master").fetchall()
    run_migrations(raw)
    assert raw.execute("SELECT * FROM sqlite_master").fetchall() == before


def test_every_migration_raises_the_schema_number(raw: sqlite3.Connection) -> None:
    versions = list((ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    assert raw.execute("PRAGMA user_version").fetchone() == (len(versions),) == (vault.log.database.SCHEMA,)


def test_an_older_file_is_backed_up_and_upgraded_when_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        any_session(context)
    folder = third_folder(tmp_path)
    know_third_schema(monkeypatch)
    monkeypatch.setattr(vault.log.migrate, "migrations_folder", lambda: folder)
    for _ in range(2):
        with files.open() as context:
            assert context.database.connection.execute("PRAGMA user_version").fetchone() == (3,)
            refuses_all_but_appending(context.database.connection)
            assert verify(context.store, context.projections).events == 12
    monkeypatch.undo()
    backup = files.database.with_name("vault.db.schema-2.backup")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert [path.name for path in files.database.parent.glob("*.backup")] == [backup.name]
    with pytest.raises(NewerVersion):
        files.open()
    files.database.unlink()
    shutil.copy(backup, files.database)
    with files.open() as context:
        assert verify(context.store, context.projections).events == 12


def test_of_two_that_upgrade_at_once_the_second_finds_it_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, folder = make_files(tmp_path), third_folder(tmp_path)
    know_third_schema(monkeypatch)
    monkeypatch.setattr(vault.log.migrate, "migrations_folder", lambda: folder)
    held, others = FileLock.held, []

    def overtaken(lock: FileLock) -> AbstractContextManager[None]:
        if not others:
            others.append("another process")
            Database(files.database).close()
        return held(lock)

    monkeypatch.setattr(FileLock, "held", overtaken)
    Database(files.database).close()
    assert others
    assert [path.name for path in files.database.parent.glob("*.backup")] == ["vault.db.schema-2.backup"]


def test_a_backup_that_was_there_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_files(tmp_path)
    backup = files.database.with_name("vault.db.schema-2.backup")
    backup.write_bytes(b"from an earlier try")
    database = Database(files.database)
    know_third_schema(monkeypatch)
    with closing(database):
        upgrade(files.database, database.connection, third_folder(tmp_path))
    assert backup.read_bytes() == b"from an earlier try"


def test_alembic_is_not_loaded_for_a_file_that_is_up_to_date(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    script = (
        "import sys; from pathlib import Path; from tests.support import Files; "
        f"Files(Path({str(tmp_path)!r})).open().close(); "
        "print([m for m in ('alembic', 'sqlalchemy', 'httpx', 'keyring', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert files.database.exists()
