"""Files and folders that nobody else may read, written whole, and read without ever waiting.

- What is read must be a regular file, and only so much of it is read: a named pipe, a device, a folder or a file that never ends
  in its place is an error at once. (The null device counts as an empty file.)
- A reader of what is written finds the old content or the new one. Folders are 0700 and files 0600, whatever the umask.

All but ``replace_file`` raise plain ``OSError``, whose ``strerror`` tells a person why: the caller knows what the file is for.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from vault.errors import StorageError

PRIVATE = 0o600
NOT_REGULAR = "it is not a regular file"
_QUIETLY = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"))


def open_regular(path: str | os.PathLike[str], flags: int = os.O_RDONLY) -> int:
    """A descriptor of a regular file that is there. Raises OSError."""
    # Opening is itself an act where a pipe or a device is, so it is looked at before as well as after.
    _check_regular(path, os.stat(path), flags)
    handle = os.open(path, flags | _QUIETLY)
    try:
        _check_regular(path, os.fstat(handle), flags)
    except BaseException:
        os.close(handle)
        raise
    return handle


def open_private(path: str | os.PathLike[str], flags: int = os.O_RDWR) -> int:
    """A descriptor of a regular file, which is made, 0600, where there is none. Raises OSError."""
    while True:
        try:
            return open_regular(path, flags)
        except FileNotFoundError:
            with suppress(FileExistsError):
                return make_private(path, flags)
            if os.path.islink(path):
                raise


def make_private(path: str | os.PathLike[str], flags: int = os.O_RDWR) -> int:
    """A descriptor of a new file, 0600. Raises OSError, FileExistsError where there is something."""
    handle = os.open(path, flags | _QUIETLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    if hasattr(os, "fchmod"):
        os.fchmod(handle, PRIVATE)
    return handle


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """What a regular file holds, of at most so many bytes. Raises OSError, also for a larger file."""
    content = read_start(path, most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {_size(most)}", os.fspath(path))
    return content


def read_start(path: str | os.PathLike[str], most: int) -> bytes:
    """The first so many bytes of a regular file. Raises OSError."""
    with open(open_regular(path), "rb") as file:
        return file.read(most)


def private_folder(folder: Path) -> None:
    """Make a folder and the parents that are missing, each 0700. A folder that exists is left as it is. Raises OSError."""
    if folder.is_dir():
        return
    try:
        folder.mkdir(0o700)
    except FileNotFoundError:
        private_folder(folder.parent)
        folder.mkdir(0o700, exist_ok=True)
    except FileExistsError:
        if folder.is_dir():
            return
        raise
    folder.chmod(0o700)


def replace_file(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Write a file whole, in one step, and to the disk. A symbolic link keeps pointing where it did: its target is replaced.

    Folders that are missing are made, private. Raises StorageError; then the file is as it was.
    """
    import tempfile

    try:
        place = Path(os.path.realpath(path))
        private_folder(place.parent)
        with suppress(FileNotFoundError):
            _check_regular(place, place.stat(), os.O_WRONLY)
        handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(handle, "wb") as draft:
            draft.write(content)
            draft.flush()
            os.fchmod(draft.fileno(), mode) if hasattr(os, "fchmod") else None
            os.fsync(draft.fileno())
        os.replace(name, place)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with suppress(OSError):
            os.unlink(name)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make a new or renamed entry of a folder durable, where the platform can. Raises OSError."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _QUIETLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_regular(path: str | os.PathLike[str], facts: os.stat_result, flags: int) -> None:
    if stat.S_ISREG(facts.st_mode):
        return
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, NOT_REGULAR, os.fspath(path))
    reading = flags & (os.O_WRONLY | os.O_RDWR) == 0
    if reading and stat.S_ISCHR(facts.st_mode) and os.path.samestat(facts, os.stat(os.devnull)):
        return
    raise OSError(errno.EINVAL, NOT_REGULAR, os.fspath(path))


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} bytes"


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} can't be written: {error.strerror or type(error).__name__}", hint="look at its folder")
