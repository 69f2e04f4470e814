"""Whole logs put together from parts, or put back: spliced branches, older copies, faulty writers, any byte of the file."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vault.log.chain_pass
from tests.log.damage import LAST, MASKS, copied, first_bad, refuses_to_work
from tests.log.samples import any_session, issue, login
from tests.support import ACTOR, Files, make_files, tampering
from vault.context import Context
from vault.errors import IntegrityError, VaultError
from vault.events.codec import Codec
from vault.events.types import LogVerified
from vault.log.records import Row
from vault.projections.verify import verify


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
