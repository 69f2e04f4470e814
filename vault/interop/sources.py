"""Reading other tools' files. A source is only read: no byte, no file and no timestamp of it changes.

- A missing file is NotFound, damage is InputError with the place and never the content, a failing read is StorageError.
- A SQLite database is opened in place as immutable, which makes no ``-wal``, ``-shm`` or lock. When its write-ahead log or
  rollback journal holds something, both are copied to a private folder, in memory where the machine has one, and the copy
  is read and removed.
- What changed under the reader is read again; what never rests is TryAgain.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from vault.errors import InputError, NotFound, StorageError, TryAgain
from vault.files import read_start
from vault.parsing import parse_json, shown
from vault.values import text_of

T = TypeVar("T")

LARGEST_JSON = 32 * 1024 * 1024
_SQLITE_MAGIC = b"SQLite format 3\x00"
_ATTEMPTS = 5
_MEMORY = Path("/dev/shm")  # noqa: S108 - only ever used through mkdtemp, which makes a private folder


def kind_of(path: Path) -> str:
    """What is at a path: ``file``, ``folder``, ``other`` or ``missing``. Raises StorageError."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if stat.S_ISREG(mode):
        return "file"
    return "folder" if stat.S_ISDIR(mode) else "other"


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none when it isn't there. Raises StorageError."""
    if kind_of(folder) != "folder":
        return []
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise _unreadable(folder, error) from None


def is_sqlite(path: Path) -> bool:
    """Whether a file starts like a SQLite database. Raises NotFound, StorageError."""
    return _read(path, len(_SQLITE_MAGIC)) == _SQLITE_MAGIC


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises NotFound, InputError, StorageError."""
    content = _read(path, LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise InputError(f"{path} is larger than {LARGEST_JSON >> 20} MiB", hint="is it the right file?")
    return parse_json(content, str(path))


def read_text(path: Path) -> str:
    """A text file, UTF-8, a byte order mark left out. Raises NotFound, InputError, StorageError."""
    content = _read(path, LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise InputError(f"{path} is larger than {LARGEST_JSON >> 20} MiB", hint="is it the right file?")
    try:
        return text_of(content)
    except InputError:
        raise InputError(f"{path} is not text in UTF-8", hint="is it the right file?") from None


def read_database(path: Path, reader: Callable[[sqlite3.Connection], T]) -> T:
    """What ``reader`` finds in a SQLite database, which stays as it is. ``reader`` may be called several times.

    Raises NotFound, InputError when it is no database or is damaged, StorageError, and TryAgain when it changed all the time.
    """
    real = Path(os.path.realpath(path))
    for _ in range(_ATTEMPTS):
        before = _fingerprint(real)
        if before[0] is None:
            raise NotFound(f"there is no file {path}")
        try:
            found = _read_as_it_is(real, before, reader)
        except (sqlite3.Error, ValueError, ArithmeticError, MemoryError):
            if _fingerprint(real) == before:
                raise InputError(
                    f"{path} is not a SQLite database that can be read",
                    hint="repair the file with the tool that wrote it",
                ) from None
        except OSError as error:
            if _fingerprint(real) == before:
                raise _unreadable(path, error) from None
        else:
            if _fingerprint(real) == before:
                return found
    raise TryAgain(f"{path} was being written all the time", hint="stop the tool that writes it, then try again")


def rows_of(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """All rows of a table by column name; none where there is no such table."""
    known = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    if known is None:
        return []
    with closing(connection.execute(f'SELECT * FROM "{table}"')) as cursor:  # noqa: S608 - only names written in this package
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor]


def shown_name(name: object) -> str:
    """The name of an entry as it may be printed: one line, printable, short, and without a password in a URL."""
    text = name if isinstance(name, str) else f"a name of type {type(name).__name__}"
    scheme, separator, rest = text.partition("://")
    if separator:
        place, slash, tail = rest.partition("/")
        text = f"{scheme}://{place.rpartition('@')[2]}{slash}{tail}".partition("?")[0]
    return shown(text) or "an entry without a name"


def _read(path: Path, most: int) -> bytes:
    match kind_of(path):
        case "missing":
            raise NotFound(f"there is no file {path}")
        case "file":
            try:
                return read_start(path, most)
            except OSError as error:
                raise _unreadable(path, error) from None
        case _:
            raise StorageError(f"{path} is not a file", hint="give the tool's file, or the folder it is in")


def _read_as_it_is(path: Path, sizes: tuple[Any, ...], reader: Callable[[sqlite3.Connection], T]) -> T:
    database, wal, journal = sizes
    if not (wal and wal[0]) and not (journal and journal[0]):
        return _query(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", reader)
    needed = 2 * sum(part[0] for part in (database, wal, journal) if part)
    with tempfile.TemporaryDirectory(prefix="vault-import-", dir=_memory(needed)) as folder:
        copy = Path(folder) / "copy.sqlite"
        for suffix in ("", "-wal", "-journal"):
            beside = path.with_name(path.name + suffix)
            if kind_of(beside) == "file":
                shutil.copyfile(beside, copy.with_name(copy.name + suffix))
        return _query(f"file:{quote(str(copy))}?mode=rw", reader)


def _query(uri: str, reader: Callable[[sqlite3.Connection], T]) -> T:
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_JSON)
        return reader(connection)


def _fingerprint(path: Path) -> tuple[Any, ...]:
    return tuple(_facts(path.with_name(path.name + suffix)) for suffix in ("", "-wal", "-journal"))


def _facts(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def _memory(needed: int) -> Path | None:
    """A folder whose files never reach a disk, if there is one with room."""
    try:
        return _MEMORY if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > needed else None
    except OSError:
        return None


def _unreadable(path: Path, error: Exception) -> StorageError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return StorageError(f"{path} could not be read: {reason}", hint="look at the file's owner and mode")
