"""The file: its tables, what guards them through every migration, who may read it, and what is said of files that are none."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

import vault.log.database
import vault.log.migrate
from tests.log.samples import any_session, login
from tests.support import ROOT, Files, create_files, make_files, make_vault
from vault.errors import CannotCreate, Conflict, Defect, IntegrityError, NewerVersion, NotReady, VaultError
from vault.log.database import Database, create_database, discard, loose_modes, publish
from vault.log.filelock import FileLock
from vault.log.guards import TABLES, TRIGGERS, loose_tables, missing_guards
from vault.log.migrate import run_migrations, upgrade
from vault.log.tables import metadata
from vault.projections.replay import rebuild
from vault.projections.verify import verify

SECOND = '''"""A second migration, for tests. After this the schema number is 2."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE notes (note TEXT NOT NULL, PRIMARY KEY (note)) STRICT")
    op.execute("ALTER TABLE epochs ADD COLUMN retired INTEGER NOT NULL DEFAULT 0")
    {more}
    op.execute("PRAGMA user_version = 2")
'''
BATCH = """with op.batch_alter_table("events", recreate="always") as batch:
        batch.alter_column("epoch", new_column_name="epoch")"""


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The tables as the migrations make them."""
    with closing(sqlite3.connect(tmp_path / "raw.db", isolation_level=None)) as connection:
        run_migrations(connection)
        yield connection


def second_folder(folder: Path, more: str = "pass") -> Path:
    """The migrations with one more."""
    copied = shutil.copytree(ROOT / "migrations", folder / "migrations")
    (copied / "versions" / "0002_second.py").write_text(SECOND.format(more=more))
    return copied


# -- tables


def test_the_described_tables_are_the_migrated_ones(raw: sqlite3.Connection) -> None:
    from sqlalchemy.schema import CreateIndex, CreateTable

    described = sqlite3.connect(":memory:", isolation_level=None)
    engine = create_engine("sqlite://")
    for table in metadata.sorted_tables:
        described.execute(str(CreateTable(table).compile(engine)))
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            described.execute(str(CreateIndex(index).compile(engine)))
    with closing(described):
        for name in (*TABLES, "alembic_version"):
            assert shape(raw, name) == shape(described, name) or name == "alembic_version"
    names = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {*TABLES, "alembic_version"} == {*metadata.tables, "alembic_version"}


def shape(connection: sqlite3.Connection, table: str) -> list[object]:
    """Columns, kind and indexes of a table, as SQLite understands them."""
    indexes = []
    for _, name, unique, origin, partial in connection.execute(f"PRAGMA index_list({table})").fetchall():
        columns = tuple(row[2] for row in connection.execute(f"PRAGMA index_info({name})"))
        indexes.append((origin, unique, partial, columns, name if origin == "c" else ""))
    kind = connection.execute(f"SELECT type, wr, strict FROM pragma_table_list('{table}')").fetchall()
    return [connection.execute(f"PRAGMA table_info({table})").fetchall(), kind, sorted(indexes)]


def test_no_table_is_loose(raw: sqlite3.Connection) -> None:
    assert loose_tables(raw) == []
    raw.execute("DROP TABLE commands")
    assert loose_tables(raw) == ["commands"]


def test_a_rebuild_leaves_the_tables_as_they_were(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        any_session(context)
        before = [shape(context.database.connection, name) for name in TABLES]
        rebuild(context.store, context.projections)
        assert [shape(context.database.connection, name) for name in TABLES] == before
        leftovers = context.database.connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%old%'")
        assert leftovers.fetchall() == []


def test_every_commit_reaches_the_disk_and_nothing_deleted_stays(tmp_path: Path) -> None:
    expected = {
        "synchronous": 2,
        "journal_mode": "wal",
        "secure_delete": 1,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "temp_store": 2,
        "cell_size_check": 1,
    }
    with make_vault(tmp_path) as context:
        any_session(context)
        rebuild(context.store, context.projections)
        pragmas = {name: context.database.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in expected}
        assert pragmas == expected


# -- append-only


def refuses_all_but_appending(connection: sqlite3.Connection) -> None:
    """The triggers are there and do what they say."""
    assert missing_guards(connection) == []
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


def test_a_migration_keeps_the_guards_and_the_events(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        any_session(context)
        connection = context.database.connection
        before = connection.execute("SELECT * FROM events").fetchall()
        run_migrations(connection, second_folder(tmp_path))
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT * FROM events").fetchall() == before
        refuses_all_but_appending(connection)
        assert verify(context.store, context.projections).events == 12


def test_a_migration_that_drops_the_guards_is_a_defect(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context, pytest.raises(Defect, match="did not survive"):
        run_migrations(context.database.connection, second_folder(tmp_path, BATCH))


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
    folder = second_folder(tmp_path)
    monkeypatch.setattr(vault.log.database, "SCHEMA", 2)
    monkeypatch.setattr(vault.log.migrate, "migrations_folder", lambda: folder)
    for _ in range(2):
        with files.open() as context:
            assert context.database.connection.execute("PRAGMA user_version").fetchone() == (2,)
            refuses_all_but_appending(context.database.connection)
            assert verify(context.store, context.projections).events == 12
    monkeypatch.undo()
    backup = files.database.with_name("vault.db.schema-1.backup")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert [path.name for path in files.database.parent.glob("*.backup")] == [backup.name]
    with pytest.raises(NewerVersion):
        files.open()
    files.database.unlink()
    shutil.copy(backup, files.database)
    with files.open() as context:
        assert verify(context.store, context.projections).events == 12


def test_of_two_that_upgrade_at_once_the_second_finds_it_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, folder = make_files(tmp_path), second_folder(tmp_path)
    monkeypatch.setattr(vault.log.database, "SCHEMA", 2)
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
    assert [path.name for path in files.database.parent.glob("*.backup")] == ["vault.db.schema-1.backup"]


def test_a_backup_that_was_there_is_kept(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    backup = files.database.with_name("vault.db.schema-1.backup")
    backup.write_bytes(b"from an earlier try")
    database = Database(files.database)
    with closing(database):
        upgrade(files.database, database.connection, second_folder(tmp_path))
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


# -- files that are none, or newer


def test_a_newer_file(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with closing(sqlite3.connect(files.database)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(NewerVersion) as caught:
        files.open()
    assert caught.value.exit_status == 84


@pytest.mark.parametrize("content", [b"", b"x", b"SQLite format 3\0", b"not a database\n" * 1000, bytes(8192)])
def test_a_file_that_is_no_database(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        Database(path)
    assert caught.value.exit_status == 80
    assert path.read_bytes() == content


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE events (x)")
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match="is not a vault"):
        Database(path)
    assert path.read_bytes() == before


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()
    with pytest.raises(VaultError) as caught:
        Database(tmp_path / "x.db")
    assert caught.value.exit_status == 74


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotReady) as caught:
        Database(tmp_path / "x.db")
    assert caught.value.exit_status == 78
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_short(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        any_session(context)
    whole = files.database.read_bytes()
    for length in (100, 4096, len(whole) // 2, len(whole) - 4096):
        files.database.write_bytes(whole[:length])
        with pytest.raises(IntegrityError) as caught, files.open() as context:
            verify(context.store, context.projections)
        assert caught.value.exit_status in (80, 81)


# -- making one


def test_files_and_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        files = create_files(tmp_path / "new")
        with files.open() as context:
            any_session(context)
            names = {path.name for path in files.database.parent.iterdir()}
            assert names == {"vault.db", "vault.db-wal", "vault.db-shm", "vault.db.lock"}
            for path in (*files.database.parent.iterdir(), files.anchor):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            for folder in (files.database.parent, files.anchor.parent):
                assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
            assert loose_modes(files.database) == []
            files.database.chmod(0o644)
            assert loose_modes(files.database) == [(files.database, 0o644)]
    finally:
        os.umask(old)


def test_a_vault_is_not_made_over_another(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    before = files.database.read_bytes()
    with pytest.raises(Conflict) as caught:
        create_files(tmp_path)
    assert caught.value.exit_status == 83
    assert files.database.read_bytes() == before
    assert [path.name for path in files.database.parent.iterdir()] == ["vault.db"]


def test_of_two_that_make_a_vault_at_once_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data" / "vault.db"
    first = create_database(path)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    second = create_database(path)
    publish(second, path)
    content = path.read_bytes()
    with pytest.raises(Conflict):
        publish(first, path)
    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["vault.db"]


def test_a_vault_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotCreate) as caught:
        create_database(tmp_path / "file" / "vault.db")
    assert caught.value.exit_status == 73


@pytest.mark.parametrize("step", ["make_slots", "before_publishing"])
def test_a_vault_is_made_whole_or_not_at_all(step: str, tmp_path: Path) -> None:
    from vault.context import Places, create_context

    def fail(*_: bytes) -> list[object]:
        raise KeyboardInterrupt

    places = Places(tmp_path / "data" / "vault.db", tmp_path / "state")
    steps = {"make_slots": lambda *_: [], "before_publishing": lambda _: None} | {step: fail}
    make_slots = steps.pop("make_slots")
    with pytest.raises(KeyboardInterrupt):
        create_context(places, make_slots, {}, **steps)
    assert list(places.database.parent.iterdir()) == []


def test_discarding_a_draft_takes_its_side_files_along(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".lock"):
        (tmp_path / f"x{suffix}").write_text("")
    discard(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_what_is_locked_by_another_program_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault.log.database, "BUSY_SECONDS", 0.01)
    with make_vault(tmp_path) as context, closing(sqlite3.connect(Files(tmp_path).database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(VaultError) as caught:
            context.store.append([login("main", "openai:a", "fake-key")], context.cause())
        assert caught.value.exit_status == 75
        other.rollback()
        context.store.append([login("main", "openai:a", "fake-key")], context.cause())
        assert verify(context.store, context.projections).events == 2
