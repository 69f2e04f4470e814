"""Copies of a vault's file: taken while others write, made whole or not at all, and put back in one step.

SQLite itself copies, page by page from one snapshot. A copy is one file, 0600, without a ``-wal`` beside it, and is on the disk
when it gets its name.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from vault.errors import CannotCreate, Conflict
from vault.files import make_private, private_folder, sync_folder
from vault.log.database import Database, discard
from vault.log.explaining import explain, told_plainly


def draft_copy(source: sqlite3.Connection, origin: Path, path: Path) -> Path:
    """Copy an open file, ``origin``, to a hidden name beside ``path``, to be named or discarded.

    Raises CannotCreate, StorageError, IntegrityError.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        private_folder(path.parent)
        discard(draft)
        os.close(make_private(draft))
    except OSError as error:
        raise _impossible(path, error) from None
    try:
        with told_plainly(draft), closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            try:
                source.backup(copy)
            except sqlite3.DatabaseError as error:
                about_it = getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
                raise explain(error, origin if about_it else draft) from None
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
    except BaseException:
        discard(draft)
        raise
    return draft


def name_copy(draft: Path, path: Path, *, replace: bool) -> None:
    """Give a copy its name. Raises Conflict where there is a file already and it isn't to be replaced, CannotCreate."""
    try:
        if replace:
            os.replace(draft, path)
        else:
            os.link(draft, path)
        sync_folder(path.parent)
    except FileExistsError:
        raise Conflict(f"there is a file at {path} already", hint="choose another name, or add --replace") from None
    except OSError as error:
        raise _impossible(path, error) from None
    finally:
        discard(draft)


def duplicate(copy: Path, place: Path) -> None:
    """Copy a copy that nobody has open, without a trace beside it. Raises CannotCreate, StorageError, IntegrityError."""
    beside = any(copy.with_name(copy.name + suffix).exists() for suffix in ("-wal", "-journal"))
    address = f"{copy.absolute().as_uri()}?mode=ro{'' if beside else '&immutable=1'}"
    with told_plainly(copy), closing(sqlite3.connect(address, uri=True, isolation_level=None)) as source:
        draft = draft_copy(source, copy, place)
    name_copy(draft, place, replace=False)


def put_back(copy: Path, database: Database) -> None:
    """Make an open file what a copy is, in one transaction: other processes see the old file or the new one. Hold a ``turn``.

    Raises StorageError, TryAgain, IntegrityError.
    """
    source = sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    with told_plainly(database.path), closing(source):
        source.backup(database.connection)


def _impossible(path: Path, error: OSError) -> CannotCreate:
    return CannotCreate(f"{path} can't be written: {error.strerror}", hint="choose a folder you can write to")
