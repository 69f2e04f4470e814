"""Files: read without waiting, written whole, private whatever the umask."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vault.errors import StorageError
from vault.files import open_private, private_folder, read_regular, read_start, replace_file


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


IRREGULAR: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a folder": Path.mkdir,
    "a loop": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("what", IRREGULAR)
def test_what_is_no_regular_file_is_an_error_at_once(what: str, tmp_path: Path) -> None:
    path = tmp_path / "place"
    IRREGULAR[what](path)
    for attempt in (lambda: read_regular(path, 10), lambda: read_start(path, 10), lambda: open_private(path)):
        with pytest.raises(OSError, match=r"not a regular file|symbolic link") as caught:
            attempt()
        assert caught.value.strerror
    with pytest.raises(StorageError):
        replace_file(path / "below" if what == "a loop" else path, b"new")
    assert os.path.lexists(path)


def test_a_file_that_is_replaced_by_a_pipe_between_two_looks_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, kept = tmp_path / "place", tmp_path / "kept"
    path.write_bytes(b"content")
    kept.write_bytes(b"")
    facts = os.stat(kept)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr("vault.files.os.stat", lambda _: facts)
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(path, 10)


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "place"
    path.write_bytes(b"0123456789")
    assert read_regular(path, 10) == b"0123456789"
    with pytest.raises(OSError, match="larger than 9 bytes") as caught:
        read_regular(path, 9)
    assert caught.value.errno == errno.EFBIG
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="larger than 1 MiB"):
        read_regular(path, 1 << 20)
    assert read_start(path, 4) == b"0123"


def test_the_null_device_is_an_empty_file() -> None:
    assert read_regular(os.devnull, 10) == b""
    with pytest.raises(OSError, match="not a regular file"):
        open_private(os.devnull)
    with pytest.raises(StorageError):
        replace_file(Path(os.devnull), b"")


def test_folders_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    private_folder(tmp_path / "a" / "b" / "c")
    for name in ("a", "a/b", "a/b/c"):
        assert mode(tmp_path / name) == 0o700
    (tmp_path / "a").chmod(0o750)
    private_folder(tmp_path / "a")
    private_folder(tmp_path / "a" / "b")
    assert mode(tmp_path / "a") == 0o750, "what was there is left as it was"


def test_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    os.close(open_private(tmp_path / "made"))
    replace_file(tmp_path / "new" / "written", b"content")
    replace_file(tmp_path / "open", b"content", mode=0o644)
    assert [mode(tmp_path / n) for n in ("made", "new", "new/written", "open")] == [0o600, 0o700, 0o600, 0o644]


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "else")
    for place in ("file", "file/below", "dangling", "dangling/below"):
        with pytest.raises(OSError, match=r".") as caught:
            private_folder(tmp_path / place)
        assert caught.value.strerror
    with pytest.raises(OSError, match=r"."):
        open_private(tmp_path / "dangling")
