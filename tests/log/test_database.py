"""The file: its tables, its pragmas, who may read it, how it is made, and what is said of files that are none."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

import vault.log.database
from tests.log.samples import any_session, login
from tests.support import Files, create_files, make_files, make_vault
from vault.errors import CannotCreate, Conflict, IntegrityError, NewerVersion, NotReady, VaultError
from vault.log.database import Database, create_database, discard, loose_modes, publish
from vault.log.migrate import run_migrations
from vault.log.schema import TABLES, strange
from vault.log.tables import metadata
from vault.projections.replay import rebuild
from vault.projections.verify import verify


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The tables as the migrations make them."""
    with closing(sqlite3.connect(tmp_path / "raw.db", isolation_level=None)) as connection:
        run_migrations(connection)
        yield connection


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
        for name in TABLES:
            assert shape(raw, name) == shape(described, name)
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
    assert strange(raw) == ""
    raw.execute("DROP TABLE commands")
    assert strange(raw) == "the table commands is gone"


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


# -- files that are none, or newer


def test_a_newer_file(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with closing(sqlite3.connect(files.database)) as connection:
        connection.execute("PRAGMA user_version = 3")
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
