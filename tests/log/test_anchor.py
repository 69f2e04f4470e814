"""The head anchor: what it says after a crash, a torn write, a lost file, a rollback, and that it never cries wolf."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.samples import any_session, issue, login
from tests.support import Files, make_files, make_vault
from vault.commands.checking import accept_rollback
from vault.context import Context
from vault.errors import IntegrityError, RollbackDetected, StorageError, UsageError
from vault.events.types import RollbackAccepted
from vault.log.anchor import SIZE, Anchor
from vault.projections.verify import verify

VAULT_ID, KEY = bytes(16), bytes(range(32))
FIRST = login("main", "openai:a", "fake-key-1")


@pytest.fixture
def anchor(tmp_path: Path) -> Anchor:
    return Anchor(tmp_path / "state" / "a.anchor", VAULT_ID, KEY)


def copy_of(files: Files) -> Path:
    """The anchor's copy."""
    return files.places.anchor_copy(bytes.fromhex(files.anchor.stem))


def append(context: Context, times: int = 1) -> None:
    for _ in range(times):
        context.store.append([issue("main", "openai:a")], context.cause())


def refused(files: Files, position: int | None) -> None:
    """Opening finds a rollback; reading works, writing and verifying don't."""
    with files.open() as context:
        assert context.store.rollback is not None
        assert context.store.rollback.position == position
        head = context.store.head()
        if head.position:
            assert [r.position for r in context.store.read([head.position])] == [head.position]
        for attempt in (lambda: append(context), lambda: verify(context.store, context.projections)):
            with pytest.raises(RollbackDetected) as caught:
                attempt()
            assert caught.value.exit_status == 81
            assert caught.value.position == position
        assert context.store.head() == head


# -- the file


def test_nothing_was_ever_written(anchor: Anchor) -> None:
    assert anchor.read() is None
    assert not anchor.damaged


@given(
    heads=st.lists(st.tuples(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32)), min_size=1, max_size=6)
)
def test_the_newest_head_is_read_back(heads: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory) -> None:
    anchor = Anchor(tmp_path_factory.mktemp("a") / "a", VAULT_ID, KEY)
    highest = 0
    for position, mac in sorted(heads):
        anchor.write(position, mac)
        highest = max(highest, position)
        mark = anchor.read()
        assert mark is not None
        assert mark.position == highest
    anchor.close()


@pytest.mark.parametrize("positions", [(1, 2), (1, 3), (2, 4), (1, 3, 5), (7, 8, 9, 11, 14)])
@pytest.mark.parametrize("torn_at", [0, 1, 40, 95])
def test_a_torn_write_leaves_an_older_record(positions: tuple[int, ...], torn_at: int, anchor: Anchor) -> None:
    for position in positions[:-1]:
        anchor.write(position, bytes([position]) * 32)
    before = anchor.path.read_bytes().ljust(2 * SIZE, b"\0")
    anchor.write(positions[-1], bytes([positions[-1]]) * 32)
    after = anchor.path.read_bytes().ljust(2 * SIZE, b"\0")
    (start,) = (n for n in (0, SIZE) if before[n : n + SIZE] != after[n : n + SIZE])
    anchor.path.write_bytes(after[: start + torn_at] + before[start + torn_at : start + SIZE] + after[start + SIZE :])
    mark = anchor.read()
    assert not anchor.damaged
    assert mark is not None
    assert mark.position in positions
    anchor.close()


def test_every_damaged_byte_is_noticed(anchor: Anchor) -> None:
    anchor.write(1, b"a" * 32)
    anchor.write(2, b"b" * 32)
    whole = anchor.path.read_bytes()
    assert len(whole) == 2 * SIZE
    for place in range(2 * SIZE):
        changed = bytearray(whole)
        changed[place] ^= 0x40
        anchor.path.write_bytes(changed)
        mark = anchor.read()
        assert mark is not None
        newest_is_whole = whole.index(b"b" * 32) // SIZE != place // SIZE
        assert mark.position == (2 if newest_is_whole else 1)
    anchor.path.write_bytes(bytes([whole[0] ^ 1, *whole[1:SIZE], whole[SIZE] ^ 1, *whole[SIZE + 1 :]]))
    assert anchor.read() is None
    assert anchor.damaged
    anchor.close()


def test_another_vaults_anchor_says_nothing(anchor: Anchor) -> None:
    anchor.write(1, b"a" * 32)
    for other in (Anchor(anchor.path, b"x" * 16, KEY), Anchor(anchor.path, VAULT_ID, bytes(32))):
        assert other.read() is None
        assert other.damaged
    anchor.close()


def test_the_anchor_is_private(anchor: Anchor) -> None:
    anchor.write(1, b"a" * 32)
    assert stat.S_IMODE(anchor.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(anchor.path.parent.stat().st_mode) == 0o700
    anchor.close()


# -- opening


def test_every_commit_moves_the_anchor(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        for drafts in ([FIRST], [issue("main", "openai:a")] * 3, []):
            context.store.append(drafts, context.cause())
            head = context.store.head()
            assert context.anchor.read() == (head.position, head.mac)


def test_a_lagging_anchor_moves_on_without_alarm(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        append(context, 2)
        lagging = files.anchor.read_bytes()
        append(context, 3)
        head = context.store.head()
    for path in (files.anchor, copy_of(files)):
        path.write_bytes(lagging)
    with files.open() as context:
        assert context.store.rollback is None
        assert context.anchor.read() == (head.position, head.mac)
        assert not context.anchor.uneven
        assert verify(context.store, context.projections).anchored


def test_a_missing_anchor_is_made_anew(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    files.anchor.unlink()
    with files.open() as context:
        assert context.store.rollback is None
        head = context.store.head()
        assert context.anchor.read() == (head.position, head.mac)


def test_a_damaged_anchor_is_an_alarm_until_accepted(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    files.anchor.write_bytes(b"\x01" * files.anchor.stat().st_size)
    refused(files, None)
    with files.open() as context:
        accept_rollback(context, "the disk was repaired")
    with files.open() as context:
        assert context.store.rollback is None
        verify(context.store, context.projections)


def test_an_older_file_is_read_only_until_a_person_accepts_it(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    older = files.database.read_bytes()
    with files.open() as context:
        any_session(context)
    files.database.write_bytes(older)
    refused(files, 2)
    with files.open() as context:
        with pytest.raises(UsageError):
            accept_rollback(context, " ")
        position = accept_rollback(context, "restored a backup")
        (accepted,) = context.store.read([position])
        assert accepted.event == RollbackAccepted(anchor_position=12, head_position=1)
        assert accepted.envelope.reason == "restored a backup"
        append(context)
        assert verify(context.store, context.projections).events == 3
    with files.open() as context:
        assert context.store.rollback is None
        with pytest.raises(UsageError):
            accept_rollback(context, "again")


def test_an_older_file_is_noticed_also_when_it_grew_past_the_anchor(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        append(context, 2)
    seen = files.anchor.read_bytes()
    forked = make_files(tmp_path / "fork")
    forked.anchor.unlink()
    with forked.open() as context:
        append(context, 7)
    shutil.copy(forked.database, files.database)
    assert files.anchor.read_bytes() == seen
    refused(files, 3)


def test_another_log_of_the_same_length_is_noticed(tmp_path: Path) -> None:
    files, forked = make_files(tmp_path), make_files(tmp_path / "fork")
    for each in (files, forked):
        with each.open() as context:
            append(context, 2)
    shutil.copy(forked.database, files.database)
    refused(files, 3)


def test_an_emptied_log_is_noticed(tmp_path: Path) -> None:
    from tests.support import tampering

    files = make_files(tmp_path)
    with tampering(files.database) as connection:
        connection.execute("DELETE FROM events")
    refused(files, 1)


def test_a_writer_that_was_open_all_the_time_notices_a_rollback(tmp_path: Path) -> None:
    """Two processes: one keeps the file open while another puts an older state into it."""
    import sqlite3

    files = make_files(tmp_path)
    with files.open() as old:
        append(old, 2)
        older = sqlite3.connect(tmp_path / "older.db")
        old.database.connection.backup(older)
        append(old, 2)
        older.backup(old.database.connection)
        older.close()
        with pytest.raises(RollbackDetected) as caught:
            append(old)
        assert caught.value.exit_status == 81
        with pytest.raises(RollbackDetected):
            verify(old.store, old.projections)


def test_damage_between_anchor_and_head_is_not_anchored(tmp_path: Path) -> None:
    from tests.support import tampering

    files = make_files(tmp_path)
    lagging = files.anchor.read_bytes()
    with files.open() as context:
        append(context, 4)
    for path in (files.anchor, copy_of(files)):
        path.write_bytes(lagging)
    with tampering(files.database) as connection:
        connection.execute("UPDATE events SET header = zeroblob(200) WHERE position = 3")
    with pytest.raises(IntegrityError) as caught:
        files.open()
    assert caught.value.position == 3
    assert files.anchor.read_bytes() == lagging


# -- when it can't be written


def _folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _state_folder_is_a_file(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("")


@pytest.mark.parametrize("spoil", [_folder_in_its_place, _state_folder_is_a_file])
def test_an_anchor_that_cannot_be_used_is_told_plainly(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    files = make_files(tmp_path)
    spoil(files.anchor)
    with pytest.raises(StorageError) as caught:
        files.open()
    assert caught.value.exit_status == 74


def test_an_append_whose_anchor_can_not_be_written_records_nothing(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        append(context)
        path, kept = files.anchor, files.anchor.read_bytes()
        path.unlink()
        path.mkdir()
        with pytest.raises(StorageError, match="so nothing was recorded"):
            append(context)
        assert context.store.head().position == 2
        os.rmdir(path)
        path.write_bytes(kept)
        append(context)
        head = context.store.head()
        assert context.anchor.read() == (head.position, head.mac) == (3, head.mac)


def test_an_anchor_that_fails_after_the_commit_is_told_with_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make_files(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with files.open() as context:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", refuse)
            with pytest.raises(StorageError, match="event 2 is recorded, and nothing was done after that"):
                append(context)
            with pytest.raises(StorageError, match="the events 3 to 4 are recorded, and nothing was done after that"):
                context.store.append([issue("main", "openai:a")] * 2, context.cause())
        assert context.store.head().position == 4
    with files.open() as context:
        head = context.store.head()
        assert context.anchor.read() == (head.position, head.mac)
