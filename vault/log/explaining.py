"""What SQLite's errors mean. A disk that fails is told from a file that is damaged, which SQLite itself doesn't always do.

When a read fails with EIO, SQLite reports a malformed database as soon as the read was for a page of the schema or of a tree, and
no database at all when the read gave less than there is. So before a file is called damaged it is read again: its bytes, as many
as a vault could have, then its structure.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from vault.errors import IntegrityError, StorageError, TryAgain, UsageError, VaultError

_PIECE = 1024 * 1024
_MOST = 2048 * _PIECE
_KEPT: dict[tuple[int, int], int] = {}


class told_plainly:  # noqa: N801 - it reads as a statement
    """Turn SQLite's errors into ours: ``with told_plainly(path):``."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise explain(error, self._path) from None
        if isinstance(error, UnicodeDecodeError):  # SQLite's own message quoted damaged text
            raise IntegrityError(f"{self._path} is damaged", hint="restore the file from a backup") from None
        if isinstance(error, MemoryError):
            raise TryAgain(f"there is not enough memory to read {self._path}", hint="try again") from None


def explain(error: sqlite3.Error, path: Path) -> VaultError:
    """The error of ours that tells what SQLite's means."""
    name = getattr(error, "sqlite_errorname", "")
    text = str(error)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return TryAgain("the vault is busy with another process", hint="try again")
    if name == "SQLITE_FULL":
        return StorageError(f"the disk is full, so nothing was written to {path}", hint="make room and try again")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StorageError(
            f"{path} can't be written or opened", hint="check the owner and mode of the file and its folder"
        )
    if name.startswith("SQLITE_IOERR"):
        return StorageError(f"reading or writing {path} failed ({name})", hint="check the disk and try again")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        why = failing_disk(path)
        if why:
            return StorageError(f"reading {path} failed ({why})", hint="check the disk and try again")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or isinstance(error, sqlite3.DataError):
        return IntegrityError(
            f"{path} is damaged or is not a vault ({text})",
            hint="restore it from a backup, or set VAULT_DATABASE to the vault's file",
        )
    if name.startswith("SQLITE_CONSTRAINT"):
        return IntegrityError(f"the tables of {path} contradict each other ({text})", hint="run vault verify")
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in text:
        return UsageError("the vault is closed", hint="open it again")
    return IntegrityError(f"{path} has tables this vault doesn't know ({text})", hint="restore the file from a backup")


def failing_disk(path: Path) -> str:
    """Why a file that SQLite calls damaged can't be read, or why that isn't so; empty when it is damaged."""
    for beside in ("", "-wal"):
        try:
            if not _whole(path.with_name(path.name + beside)):
                return "it ends before its end"
        except FileNotFoundError:
            continue
        except OSError as error:
            return error.strerror or "an error of the disk"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return "an error of the disk" if getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR") else ""
    return "it is whole when it is read again" if found == "ok" else ""


def _whole(path: Path) -> bool:
    """Whether all the bytes a file has can be read, of one beyond any size a beginning of them. Raises OSError."""
    file = _kept_open(path)
    size, at = os.fstat(file).st_size, os.lseek(file, 0, os.SEEK_SET)
    while at < min(size, _MOST):
        piece = len(os.pread(file, _PIECE, at) if hasattr(os, "pread") else os.read(file, _PIECE))
        if not piece:
            return os.fstat(file).st_size <= at
        at += piece
    return True


def _kept_open(path: Path) -> int:
    """A descriptor of a file, the same one every time: to close it would give up the locks that SQLite has on that file here."""
    facts = path.stat()
    key = facts.st_dev, facts.st_ino
    if key not in _KEPT:
        _KEPT[key] = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    return _KEPT[key]
