"""The log changed by somebody without keys: every change is refused, by verify and by whoever reads the record."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import vault.log.chain_pass
from tests.log.damage import COLUMNS, flip, loosen, swap
from tests.log.samples import any_session, issue, login
from tests.support import ACTOR, Files, make_files, tampering
from vault.context import Context
from vault.errors import IntegrityError, VaultError
from vault.events.codec import Codec
from vault.events.types import LogVerified
from vault.log.guards import TABLES
from vault.log.records import Row
from vault.model.streams import profile_stream, rotation_stream
from vault.projections.replay import rebuild
from vault.projections.verify import verify

RECORDS = (1, 4, 6, 12)
LAST = 12
BYTES = st.integers(0, 4096)
MASKS = st.integers(1, 255)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A closed vault of 12 records; 3, 4, 5 and 9 hold credentials."""
    files = make_files(tmp_path_factory.mktemp("whole"))
    with files.open() as context:
        any_session(context)
    return files


@contextmanager
def copied(whole: Files) -> Iterator[Files]:
    """A copy to damage."""
    with tempfile.TemporaryDirectory() as folder:
        yield whole.copy(Path(folder))


def first_bad(files: Files) -> tuple[int, int | None]:
    """Verify a damaged vault: the exit status and the position that it names."""
    with files.open_unchecked() as context:
        with pytest.raises(IntegrityError) as caught:
            verify(context.store, context.projections)
        assert caught.value.hint
        return caught.value.exit_status, caught.value.position


def refuses_to_read(files: Files, position: int) -> None:
    """Reading the record, or the credential in it, is refused with its position."""
    with files.open_unchecked() as context:
        for read in (lambda: list(context.store.read([position])), lambda: context.store.credential(position)):
            with pytest.raises(IntegrityError) as caught:
                read()
            assert (caught.value.exit_status, caught.value.position) == (80, position)


def refuses_to_work(files: Files) -> None:
    """The vault doesn't open, or opens read-only, or finds it out when it verifies."""
    with pytest.raises(VaultError) as caught, files.open() as context:
        verify(context.store, context.projections)
    assert caught.value.exit_status in (80, 81)


def test_the_undamaged_vault_is_whole(whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            assert connection.execute("SELECT count(*) FROM events").fetchone() == (LAST,)
        with files.open_unchecked() as context:
            verified = verify(context.store, context.projections)
    assert (verified.events, verified.credentials, verified.profile_keys, verified.anchored) == (LAST, 4, 4, True)


@pytest.mark.parametrize("position", RECORDS)
@pytest.mark.parametrize("column", COLUMNS)
@settings(max_examples=6)
@given(byte=BYTES, mask=MASKS)
def test_any_byte_of_any_column(column: str, position: int, byte: int, mask: int, whole: Files) -> None:
    where = f"position = {position}"
    if column == "payload":
        where = "position = 9" if position == LAST else "position = 4"
        position = int(where.split()[-1])
    with copied(whole) as files:
        with tampering(files.database) as connection:
            assume(flip(connection, "events", column, where, byte, mask))
            (low,) = connection.execute("SELECT min(position) FROM events").fetchone()
        assert first_bad(files) == (80, min(low, position) if low < 1 else position)
        refuses_to_read(files, position)
        refuses_to_work(files)


@pytest.mark.parametrize("column", [c for c in COLUMNS if c != "payload"])
def test_the_tables_let_no_column_be_empty(column: str, whole: Files) -> None:
    with copied(whole) as files, tampering(files.database) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(f"UPDATE events SET {column} = NULL WHERE position = 4")


@pytest.mark.parametrize("value", [None, b""])
def test_a_payload_taken_away(value: bytes | None, whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute("UPDATE events SET payload = ? WHERE position = 4", (value,))
        assert first_bad(files) == (80, 4)
        refuses_to_read(files, 4)


def test_a_payload_given_to_a_record_that_has_none(whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute(
                "UPDATE events SET payload = (SELECT payload FROM events WHERE position = 4) WHERE position = 6"
            )
        assert first_bad(files) == (80, 6)
        refuses_to_read(files, 6)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("table", TABLES)
def test_a_table_made_loose(table: str, strict: bool, whole: Files) -> None:
    """Somebody may replace a table by one without NOT NULL and UNIQUE, or also without STRICT."""
    with copied(whole) as files:
        with tampering(files.database) as connection:
            loosen(connection, table, strict)
        for opened in (files.open, files.open_unchecked):
            with pytest.raises(IntegrityError, match=f"table {table}") as caught:
                opened()
            assert caught.value.exit_status == 80


@pytest.mark.parametrize("value", [None, "text", 1.5, b"", b"x" * 16, -1, 2**64])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_row_of_any_shape_is_not_whole(column: str, value: Any, whole: Files) -> None:
    with copied(whole) as files, files.open_unchecked() as context:
        with context.database.reading() as connection:
            (row,) = context.store.rows(connection, [4])
        assert context.store.sealing.is_whole(row, row.prev_mac)
        changed = row._replace(**{column: value})
        assert not context.store.sealing.is_whole(changed, changed.prev_mac)
        with pytest.raises(IntegrityError):
            context.store.sealing.check(changed)


def test_no_mac_is_made_over_a_part_of_another_length(whole: Files) -> None:
    """The chain's encoding has fixed lengths: bytes may not move from one part into the next."""
    with copied(whole) as files, files.open_unchecked() as context:
        with context.database.reading() as connection:
            (row,) = context.store.rows(connection, [4])
        sealing = context.store.sealing
        assert sealing.mac(row, row.prev_mac) == row.mac
        for changed in (
            row._replace(stream=row.stream + b"\0"),
            row._replace(stream=row.stream[:-1]),
            row._replace(prev_mac=b""),
            row._replace(prev_mac=row.prev_mac + b"\0"),
        ):
            with pytest.raises(OverflowError):
                sealing.mac(changed, changed.prev_mac)
            assert not sealing.is_whole(changed, changed.prev_mac)


SWAPS = [
    ("header",),
    ("payload",),
    ("mac",),
    ("prev_mac",),
    ("stream", "version"),
    ("header", "payload"),
    ("mac", "prev_mac"),
]


@pytest.mark.parametrize("columns", [*SWAPS, COLUMNS[1:], COLUMNS[1:6], ("stream", "version", "header", "payload")])
@pytest.mark.parametrize(("one", "other"), [(1, LAST), (3, 4), (4, 9), (11, LAST)])
def test_two_records_swapped(columns: tuple[str, ...], one: int, other: int, whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            before = connection.execute("SELECT * FROM events ORDER BY position").fetchall()
            swap(connection, columns, one, other)
            after = connection.execute("SELECT * FROM events ORDER BY position").fetchall()
        if before == after:
            assert columns == ("payload",), "only rows without a payload may look the same afterwards"
            return
        assert first_bad(files) == (80, one)
        with files.open_unchecked() as context:
            for position in (one, other):
                with pytest.raises(IntegrityError):
                    list(context.store.read([position]))
        refuses_to_work(files)


@pytest.mark.parametrize("position", [1, 2, 6, 11])
def test_a_record_dropped(position: int, whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute("DELETE FROM events WHERE position = ?", (position,))
        assert first_bad(files) == (80, position)
        refuses_to_read(files, position)
        with files.open() as context:
            for read in (
                lambda: list(context.store.scan(1, LAST)),
                lambda: list(context.store.scan(position, position)),
                lambda: context.queries.at(LAST),
                lambda: rebuild(context.store, context.projections),
            ):
                with pytest.raises(IntegrityError) as caught:
                    read()
                assert caught.value.position == position


@pytest.mark.parametrize("position", [2, 6])
def test_a_record_dropped_and_the_rest_renumbered(position: int, whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute("DELETE FROM events WHERE position = ?", (position,))
            for later in range(position + 1, LAST + 1):
                connection.execute("UPDATE events SET position = ? WHERE position = ?", (later - 1, later))
        assert first_bad(files) == (80, position)
        refuses_to_work(files)


@pytest.mark.parametrize("left", [1, 5, 11])
def test_the_tail_cut(left: int, whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute("DELETE FROM events WHERE position > ?", (left,))
        assert first_bad(files) == (81, left + 1)
        refuses_to_work(files)
        with files.open() as context:
            assert context.store.rollback is not None
            assert context.store.rollback.exit_status == 81


def test_the_tail_cut_and_the_anchor_removed(whole: Files) -> None:
    with copied(whole) as files:
        files.anchor.unlink()
        with tampering(files.database) as connection:
            connection.execute("DELETE FROM events WHERE position > 11")
        status, _ = first_bad(files)
        assert status == 80, "the projections tell of more than the log holds"


def test_a_record_added(whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute(
                "INSERT INTO events SELECT 13, stream, 99, epoch, header, payload, randomblob(32), "
                "(SELECT mac FROM events WHERE position = 12) FROM events WHERE position = 4"
            )
        assert first_bad(files) == (80, 13)
        with pytest.raises(IntegrityError) as caught:
            files.open()
        assert caught.value.position == 13


def test_queries_refuse_a_stream_whose_newest_record_is_gone(whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute("DELETE FROM events WHERE position IN (10, 11)")
        with files.open_unchecked() as context:
            for ask in (
                lambda: context.queries.profile("main", "anthropic:default"),
                lambda: context.queries.profiles("main"),
                lambda: context.queries.rotation("helper", "openai"),
                lambda: context.queries.rotations("helper"),
                lambda: context.store.append([login("main", "anthropic:default", "fake-key")], context.cause()),
            ):
                with pytest.raises(IntegrityError) as caught:
                    ask()
                assert caught.value.exit_status == 80


def test_a_stream_with_a_gap_is_not_read(whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute("DELETE FROM events WHERE position = 5")
        with files.open_unchecked() as context:
            assert len(list(context.store.read_stream(rotation_stream("helper", "openai")))) == 1
            with pytest.raises(IntegrityError) as caught:
                list(context.store.read_stream(profile_stream("main", "anthropic:default")))
            assert caught.value.position == 10


def test_a_credential_given_to_another_vault(whole: Files, tmp_path: Path) -> None:
    """Rows copied between vaults that hold the same names."""
    other = make_files(tmp_path / "other", fresh=True)
    with other.open() as context:
        any_session(context)
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute("ATTACH ? AS other", (str(other.database),))
            connection.execute("DELETE FROM events WHERE position = 4")
            connection.execute("INSERT INTO events SELECT * FROM other.events WHERE position = 4")
            connection.execute("INSERT INTO profile_keys SELECT * FROM other.profile_keys")
        assert first_bad(files) == (80, 4)
        refuses_to_read(files, 4)


def test_two_branches_of_one_log_spliced(whole: Files) -> None:
    """Each record is genuine, and whole by itself; together they are no log."""
    with copied(whole) as left, copied(whole) as right:
        for files in (left, right):
            with files.open() as context:
                for draft in (issue("main", "openai:a"), login("main", "openai:b", "fake"), issue("main", "openai:a")):
                    context.store.append([draft], context.cause())
        with tampering(left.database) as connection:
            connection.execute("ATTACH ? AS other", (str(right.database),))
            connection.execute("DELETE FROM events WHERE position > 14")
            connection.execute("INSERT INTO events SELECT * FROM other.events WHERE position > 14")
        assert first_bad(left) == (80, 15)
        with left.open_unchecked() as context:
            assert [r.position for r in context.store.read(range(1, 16))] == list(range(1, 16))
            lagging = context.database.connection.execute(
                "SELECT position, mac FROM events WHERE position = 13"
            ).fetchone()
            context.anchor.replace(*lagging)
            context.store.check_anchor()
            assert context.store.rollback is not None
            assert context.anchor.read() == lagging


# -- what a vault with a defect could have written


def _defect(context: Context, stream: str, named: str, version: int, at: int) -> None:
    """Append a record that is sealed and chained well, and says something that can't be."""
    sealing, codec = context.store.sealing, Codec()
    (position, previous, _) = context.store.head()
    header = codec.encode(LogVerified(events=1), at=at, stream=named, actor=ACTOR, command="~0")
    identity, epoch = sealing.stream_id(stream), sealing.keys.current.epoch
    sealed = sealing.seal_header(header, identity, version, position + 1, epoch)
    row = Row(position + 1, identity, version, epoch, sealed, None, b"", previous)
    row = row._replace(mac=sealing.mac(row, previous))
    context.database.connection.execute("INSERT INTO events VALUES (?,?,?,?,?,?,?,?)", row)


@pytest.mark.parametrize(
    ("named", "version", "at", "what"),
    [
        ("vault", 4, 0, "version 4 in its stream where 3 is due"),
        ("agents", 3, 0, "in another stream"),
        ("vault", 3, -1, "recorded before the one before it"),
    ],
)
def test_what_a_faulty_vault_wrote(named: str, version: int, at: int, what: str, whole: Files) -> None:
    with copied(whole) as files:
        with files.open_unchecked() as context:
            _defect(context, "vault", named, version, context.store.head().at + at)
        with files.open_unchecked() as context, pytest.raises(IntegrityError, match=what) as caught:
            verify(context.store, context.projections)
        assert caught.value.position == 13


# -- a log so long that a second process checks its chain


@pytest.fixture
def second_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault.log.chain_pass, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(vault.log.chain_pass, "_cores", lambda: 2)


@pytest.mark.usefixtures("second_process")
@pytest.mark.parametrize("able", [True, False])
def test_the_second_process_finds_a_whole_log_whole(able: bool, whole: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    if not able:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with copied(whole) as files, files.open_unchecked() as context:
        assert verify(context.store, context.projections).events == LAST


@pytest.mark.usefixtures("second_process")
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE events SET payload = randomblob(200) WHERE position = 9", (80, 9)),
        ("UPDATE events SET mac = randomblob(32) WHERE position = 7", (80, 7)),
        ("UPDATE events SET epoch = 7 WHERE position = 4", (80, 4)),
        ("DELETE FROM events WHERE position = 6", (80, 6)),
        ("DELETE FROM events WHERE position > 9", (81, 10)),
        ("DELETE FROM events", (81, 1)),
    ],
)
def test_the_second_process_changes_nothing_of_what_is_found(
    statement: str, expected: tuple[int, int], whole: Files
) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute(statement)
        assert first_bad(files) == expected


# -- the file replaced by an older copy of itself


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Files, Path]:
    """A vault in use, its newest records only in the WAL; and a folder with copies of its file and WAL from earlier."""
    files, older = make_files(tmp_path / "vault"), tmp_path / "older"
    older.mkdir()
    with files.open() as context:
        context.database.connection.execute("PRAGMA wal_autocheckpoint=0")
        context.store.append([login("main", "openai:a", "fake-key-1")], context.cause())
        for suffix in ("", "-wal"):
            shutil.copy(f"{files.database}{suffix}", older / f"vault.db{suffix}")
        any_session(context)
        copy = files.copy(tmp_path / "now")
    return copy, older


def test_the_copy_is_whole(grown: tuple[Files, Path]) -> None:
    files, _ = grown
    with files.open() as context:
        assert verify(context.store, context.projections).events == 13


@pytest.mark.parametrize("with_wal", [True, False])
def test_an_older_copy(with_wal: bool, grown: tuple[Files, Path]) -> None:
    files, older = grown
    for suffix in ("", "-wal", "-shm"):
        Path(f"{files.database}{suffix}").unlink(missing_ok=True)
    for suffix in ("", "-wal") if with_wal else ("",):
        shutil.copy(older / f"vault.db{suffix}", f"{files.database}{suffix}")
    assert first_bad(files) == (81, 3 if with_wal else 2)
    refuses_to_work(files)


def test_an_older_wal(grown: tuple[Files, Path]) -> None:
    files, older = grown
    Path(f"{files.database}-shm").unlink(missing_ok=True)
    shutil.copy(older / "vault.db-wal", f"{files.database}-wal")
    assert first_bad(files) == (81, 3)
    refuses_to_work(files)


def test_the_wal_removed(grown: tuple[Files, Path]) -> None:
    files, _ = grown
    for suffix in ("-wal", "-shm"):
        Path(f"{files.database}{suffix}").unlink(missing_ok=True)
    assert first_bad(files) == (81, 2)
    refuses_to_work(files)


@settings(max_examples=25)
@given(place=st.integers(0, 2**20), mask=MASKS)
def test_any_byte_of_the_file(place: int, mask: int, whole: Files) -> None:
    """Whatever is changed in the file, nothing false is ever read: all that is answered is what was written."""
    with copied(whole) as files:
        content = bytearray(files.database.read_bytes())
        content[place % len(content)] ^= mask
        files.database.write_bytes(content)
        read: list[tuple[int, str | None]] = []
        try:
            with files.open() as context:
                verify(context.store, context.projections)
                read = [(p, context.store.credential(p).secret()) for p in (3, 4, 5, 9)]
        except VaultError as error:
            status = error.exit_status
        else:
            status = 0
    secrets = [f"fake-key-{name}" for name in ("anthropic-1", "openai-1", "anthropic-2", "openai-2")]
    assert read == (list(zip((3, 4, 5, 9), secrets, strict=True)) if status == 0 else [])
    assert status in (0, 74, 77, 80, 81, 84)
