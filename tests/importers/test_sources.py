"""Reading files and databases of others without touching them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.importers.stores import AGENT_TABLES, database, snapshot
from vault.errors import InputError, NotFound, StorageError, TryAgain
from vault.interop import sources


def cells(connection: sqlite3.Connection) -> list[str]:
    return [row["store_json"] for row in sources.rows_of(connection, "auth_profile_store")]


def put(connection: sqlite3.Connection, text: str) -> None:
    connection.execute("INSERT OR REPLACE INTO auth_profile_store VALUES ('primary', ?, 1)", (text,))


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(sources, "_MEMORY", folder)
    return folder


def test_a_running_tool_with_a_filled_wal_is_read_and_left_alone(tmp_path: Path, memory: Path) -> None:
    path = tmp_path / "store" / "a.sqlite"
    with database(path, AGENT_TABLES) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        put(connection, "only in the log")
        assert path.with_name("a.sqlite-wal").stat().st_size > 0
        connection.execute("BEGIN IMMEDIATE")
        put(connection, "not committed")
        before = snapshot(path.parent)
        assert sources.read_database(path, cells) == ["only in the log"]
        assert snapshot(path.parent) == before
        connection.execute("COMMIT")
        assert sources.read_database(path, cells) == ["not committed"]
    assert list(memory.iterdir()) == []


def test_a_crashed_tool_leaves_a_wal_without_shm_and_it_is_read(tmp_path: Path, memory: Path) -> None:
    path, crashed = tmp_path / "store" / "a.sqlite", tmp_path / "crashed"
    crashed.mkdir()
    with database(path, AGENT_TABLES) as connection:
        put(connection, "survived")
        for name in ("a.sqlite", "a.sqlite-wal"):
            shutil.copy2(path.with_name(name), crashed / name)
    before = snapshot(crashed)
    assert sources.read_database(crashed / "a.sqlite", cells) == ["survived"]
    assert snapshot(crashed) == before
    assert list(memory.iterdir()) == []


def test_a_wal_database_at_rest_gets_no_wal_and_no_shm(tmp_path: Path) -> None:
    path = tmp_path / "store" / "a.sqlite"
    with database(path, AGENT_TABLES) as connection:
        put(connection, "at rest")
    assert os.listdir(path.parent) == ["a.sqlite"]
    before = snapshot(path.parent)
    assert sources.read_database(path, cells) == ["at rest"]
    assert snapshot(path.parent) == before


def test_a_transaction_that_was_cut_off_is_not_seen(tmp_path: Path, memory: Path) -> None:
    path, crashed = tmp_path / "store" / "a.sqlite", tmp_path / "crashed"
    crashed.mkdir()
    with database(path, AGENT_TABLES, wal=False) as connection:
        put(connection, "before")
        connection.execute("CREATE TABLE filler (text TEXT)")
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        put(connection, "after")
        connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 4000,)] * 50)
        assert path.with_name("a.sqlite-journal").stat().st_size > 0
        for name in ("a.sqlite", "a.sqlite-journal"):
            shutil.copy2(path.with_name(name), crashed / name)
        connection.execute("ROLLBACK")
    before = snapshot(crashed)
    assert sources.read_database(crashed / "a.sqlite", cells) == ["before"]
    assert snapshot(crashed) == before


def test_the_private_copy_is_removed_when_reading_fails(tmp_path: Path, memory: Path) -> None:
    path = tmp_path / "store" / "a.sqlite"
    seen: list[int] = []

    def failing(connection: sqlite3.Connection) -> None:
        seen.extend(os.stat(folder).st_mode & 0o777 for folder in memory.iterdir())
        connection.execute("SELECT * FROM no_such_table")

    with database(path, AGENT_TABLES) as connection:
        put(connection, "in the log")
        with pytest.raises(InputError, match=r"a\.sqlite is not a SQLite database that can be read"):
            sources.read_database(path, failing)
    assert set(seen) == {0o700}
    assert list(memory.iterdir()) == []


def test_a_database_that_changes_all_the_time_is_try_again(tmp_path: Path) -> None:
    path = tmp_path / "store" / "a.sqlite"
    calls: list[int] = []

    def changing(connection: sqlite3.Connection) -> None:
        calls.append(1)
        os.utime(path, ns=(len(calls), len(calls)))

    with database(path, AGENT_TABLES):
        pass
    with pytest.raises(TryAgain, match=r"a\.sqlite"):
        sources.read_database(path, changing)
    assert len(calls) > 1


def test_a_change_while_reading_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "store" / "a.sqlite"
    with database(path, AGENT_TABLES, wal=False) as connection:
        put(connection, "old")
        calls: list[int] = []

        def once(other: sqlite3.Connection) -> list[str]:
            found = cells(other)
            if not calls:
                put(connection, "new")
            calls.append(1)
            return found

        assert sources.read_database(path, once) == ["new"]


def test_damage_is_an_input_error(tmp_path: Path) -> None:
    broken = tmp_path / "a.sqlite"
    broken.write_bytes(b"SQLite format 3\x00" + b"fake-secret-canary" * 100)
    with pytest.raises(InputError) as caught:
        sources.read_database(broken, cells)
    assert str(broken) in caught.value.message
    assert "canary" not in str(caught.value)
    with pytest.raises(NotFound):
        sources.read_database(tmp_path / "none.sqlite", cells)


def test_a_link_to_a_database_is_read_with_its_wal(tmp_path: Path, memory: Path) -> None:
    path, link = tmp_path / "store" / "a.sqlite", tmp_path / "link.sqlite"
    link.symlink_to(path)
    with database(path, AGENT_TABLES) as connection:
        put(connection, "behind the link")
        assert sources.read_database(link, cells) == ["behind the link"]


def test_odd_paths_are_read(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1? & more" / "ü a.sqlite"
    with database(path, AGENT_TABLES) as connection:
        put(connection, "found")
    assert sources.read_database(path, cells) == ["found"]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", "line 1, column 1"),
        (b'{"a": }', "line 1, column 7"),
        (b'{"a":\n NaN}', "a number JSON doesn't have"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 100 + b"]" * 100, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_named_by_place(content: bytes, place: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError) as caught:
        sources.read_json(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in caught.value.message
    assert place in caught.value.message


def test_json_as_other_programs_write_it(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1, "a": 2, "huge": ' + b"9" * 30 + b"}")
    assert sources.read_json(tmp_path / "a.json") == {"a": 2, "huge": 1e30}


def test_what_is_no_file_is_a_storage_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(StorageError, match="not a file"):
            sources.read_json(path)
    with pytest.raises(NotFound):
        sources.read_json(tmp_path / "none")


def test_a_file_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LARGEST_JSON", 10)
    (tmp_path / "a.json").write_text(json.dumps(["x" * 20]))
    with pytest.raises(InputError, match="larger"):
        sources.read_json(tmp_path / "a.json")


def test_a_name_is_shown_short_printable_and_without_a_password() -> None:
    assert sources.shown_name("openai:me@example.com") == "openai:me@example.com"
    assert sources.shown_name("https://me:pass@corp.example/a?token=1") == "https://corp.example/a"
    assert sources.shown_name("a\x1b[31m\nb") == "a·[31m·b"
    assert len(sources.shown_name("x" * 500)) == 97
    assert sources.shown_name("") == "an entry without a name"
    assert sources.shown_name(7) == "a name of type int"
