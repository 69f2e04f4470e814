"""The anchor's copy: who removes the anchor doesn't make the vault forget. And what else may stand in the anchor's place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.log.samples import any_session
from tests.log.test_anchor import append, copy_of, refused
from tests.support import Files, make_files
from vault.commands.checking import accept_rollback
from vault.context import Places
from vault.errors import IntegrityError, StorageError
from vault.log.anchor import Anchor
from vault.projections.verify import verify


def older_log(files: Files) -> None:
    """A log that grew to 12 events, and was put back to its first."""
    older = files.database.read_bytes()
    with files.open() as context:
        any_session(context)
    files.database.write_bytes(older)


def test_a_removed_anchor_with_an_older_log_is_told_until_a_person_accepts_it(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    older_log(files)
    files.anchor.rename(tmp_path / "removed")
    for _ in range(3):
        with files.open() as context:
            assert context.store.rollback is not None
            assert context.store.rollback.exit_status == 81
            assert "this machine has seen position 12" in context.store.rollback.message
    with files.open() as context:
        accept_rollback(context, "restored a backup")
    for _ in range(2):
        with files.open() as context:
            assert context.store.rollback is None
            assert verify(context.store, context.projections).anchored


def test_a_removed_anchor_with_the_same_log_is_made_anew_in_silence(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        append(context, 3)
        head = context.store.head()
    kept = files.anchor
    content = kept.read_bytes()
    kept.unlink()
    with files.open() as context:
        assert context.store.rollback is None
        assert not context.store.anchor_made
        assert verify(context.store, context.projections).anchored
        assert context.anchor.read() == (head.position, head.mac)
    assert kept.stat().st_size >= len(content) // 2


def test_a_machine_without_anchor_and_copy_trusts_what_it_finds(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    older_log(files)
    shutil.rmtree(files.places.state)
    with files.open() as context:
        assert context.store.rollback is None
        assert context.store.anchor_made
        append(context)


def test_a_removed_copy_is_made_anew(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        append(context, 2)
    copy = copy_of(files)
    copy.unlink()
    files.open().close()
    assert copy.exists()
    older = files.anchor
    with files.open() as context:
        append(context)
    assert copy.read_bytes()[:96] in (older.read_bytes()[:96], older.read_bytes()[96:])


@pytest.mark.parametrize("spoil", ["folder", "pipe", "zero", "nonsense"])
def test_a_copy_that_can_not_be_used_keeps_nothing_from_working(spoil: str, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    files.open().close()
    put(copy_of(files), spoil)
    with files.open() as context:
        append(context, 2)
        assert context.store.rollback is None
        assert verify(context.store, context.projections).anchored


def put(path: Path, what: str) -> None:
    """Put something in a file's place."""
    path.unlink()
    make: dict[str, Callable[[], object]] = {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "zero": lambda: path.symlink_to("/dev/zero"),
        "terminal": lambda: path.symlink_to("/dev/tty"),
        "loop": lambda: path.symlink_to(path),
        "nonsense": lambda: path.write_bytes(b"\x01" * 500),
        "endless": lambda: (path.touch(), os.truncate(path, 1 << 40)),
    }
    make[what]()


@pytest.mark.parametrize("what", ["pipe", "zero", "terminal", "nonsense"])
def test_what_is_no_anchor_in_its_place_is_an_alarm_until_accepted(what: str, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    path = files.anchor
    put(path, what)
    refused(files, None)
    with files.open() as context:
        accept_rollback(context, "I have looked")
    assert path.is_file()
    assert not path.is_symlink()
    with files.open() as context:
        assert context.store.rollback is None
        append(context)


@pytest.mark.parametrize("what", ["folder", "loop"])
def test_what_can_not_be_opened_in_its_place_is_told_plainly(what: str, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    put(files.anchor, what)
    with pytest.raises(StorageError, match="the head anchor can't be read"):
        files.open()


def test_a_huge_file_in_its_place_is_read_no_further_than_an_anchor_goes(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    put(files.anchor, "endless")
    files.open().close()


# -- accepting


def test_an_acceptance_that_is_swallowed_moves_no_anchor(tmp_path: Path) -> None:
    """A trigger ignores what is inserted: nothing is announced, and the log stays refused."""
    files = make_files(tmp_path)
    older_log(files)
    before = files.anchor.read_bytes(), copy_of(files).read_bytes()
    with files.open_unchecked() as context:
        context.store.check_anchor()
        assert context.store.rollback is not None
        context.database.connection.execute(
            "CREATE TEMP TRIGGER x BEFORE INSERT ON main.events BEGIN SELECT RAISE(IGNORE); END"
        )
        with pytest.raises(IntegrityError):
            accept_rollback(context, "I know")
    assert (files.anchor.read_bytes(), copy_of(files).read_bytes()) == before
    assert sorted(p.name for p in files.places.state.iterdir()) == sorted([files.anchor.name, "copies"])


def test_an_acceptance_whose_anchor_can_not_be_replaced_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make_files(tmp_path)
    older_log(files)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with files.open() as context:
        with monkeypatch.context() as patch:
            patch.setattr("vault.log.anchor.make_private", refuse)
            with pytest.raises(StorageError, match="can't be replaced, so nothing was recorded"):
                accept_rollback(context, "I know")
        assert context.store.head().position == 1
        assert context.store.rollback is not None
        with monkeypatch.context() as patch:
            patch.setattr("vault.log.anchor.os.replace", refuse)
            with pytest.raises(StorageError, match="event 2 is recorded, and nothing was done after that"):
                accept_rollback(context, "I know")
        assert context.store.rollback is not None
    refused(files, 3)
    with files.open() as context:
        assert accept_rollback(context, "I know") == 3
    files.open().close()


# -- where it is


def test_the_copy_is_in_the_cache_unless_the_state_folder_was_chosen(isolated: Path, tmp_path: Path) -> None:
    places = Places.of({"VAULT_DATABASE": str(tmp_path / "v.db")})
    assert places.anchor_copy(bytes(16)).parent == isolated / "home/.cache/agent-vault/anchors"
    places = Places.of({"VAULT_STATE": str(tmp_path / "state")})
    assert places.anchor_copy(bytes(16)).parent == tmp_path / "state" / "copies"


def test_the_newer_of_the_two_counts(tmp_path: Path) -> None:
    key, vault_id = bytes(32), bytes(16)
    alone = Anchor(tmp_path / "copy", vault_id, key)
    both = Anchor(tmp_path / "anchor", vault_id, key, tmp_path / "copy")
    both.write(3, b"a" * 32)
    assert both.read() == (3, b"a" * 32)
    assert not both.uneven
    alone.write(5, b"b" * 32)
    assert both.read() == (5, b"b" * 32)
    assert both.uneven
    both.write(6, b"c" * 32)
    assert alone.read() == both.read() == (6, b"c" * 32)
    assert not both.uneven
    both.close()
    alone.close()
