"""The log changed by somebody without keys: every change is refused, by verify and by whoever reads the record."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings

from tests.log.damage import (
    BYTES,
    COLUMNS,
    LAST,
    MASKS,
    copied,
    first_bad,
    flip,
    loosen,
    refuses_to_read,
    refuses_to_work,
    swap,
)
from tests.log.samples import any_session, login
from tests.support import Files, make_files, tampering
from vault.errors import IntegrityError
from vault.log.schema import TABLES
from vault.model.streams import profile_stream, rotation_stream
from vault.projections.replay import rebuild
from vault.projections.verify import verify

RECORDS = (1, 4, 6, 12)


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
        shutil.rmtree(files.places.state)
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
