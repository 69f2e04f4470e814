"""The SQLite file: where it is made, opened, upgraded and locked. The only place that says PRAGMA.

Folder 0700, files 0600. WAL, ``synchronous=FULL``: a commit that returned is on the disk. Writers queue on a lock file and open
with BEGIN IMMEDIATE; readers see one consistent snapshot. The schema number is compared first, and Alembic is only loaded when
the file is older. The hot path speaks to ``sqlite3`` directly: SQLAlchemy would add 200 ms to every ``vault get``.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from vault.errors import (
    CannotCreate,
    Conflict,
    IntegrityError,
    NewerVersion,
    NotReady,
    StorageError,
    TryAgain,
)
from vault.files import make_private, private_folder, sync_folder
from vault.log.explaining import told_plainly
from vault.log.filelock import FileLock
from vault.log.schema import check_schema

APPLICATION_ID = 0x76_4C_54_31
SCHEMA = 2
BUSY_SECONDS = 30.0
QUICK_SECONDS = 0.5
CHECKPOINT_PAGES = 4000  # 16 MiB of WAL: pages that many appends touch reach the file once


def _pragmas(connection: sqlite3.Connection, seconds: float = BUSY_SECONDS) -> None:
    for statement in (
        f"PRAGMA busy_timeout={int(seconds * 1000)}",
        "PRAGMA trusted_schema=OFF",
        "PRAGMA cell_size_check=ON",
        "PRAGMA foreign_keys=ON",
        "PRAGMA secure_delete=ON",
        "PRAGMA synchronous=FULL",
        f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}",
        "PRAGMA temp_store=MEMORY",
    ):
        connection.execute(statement)


def _text(raw: bytes) -> str:
    """A stored text. Damaged ones are refused by whoever compares them, not by whoever passes them by."""
    return raw.decode(errors="replace")


class Database:
    """One vault file, opened. ``reading_only``: nothing can be written, an upgrade included, and nobody is waited for long."""

    def __init__(self, path: Path, *, reading_only: bool = False) -> None:
        self.path = path
        self.reading_only = reading_only
        self._seconds = QUICK_SECONDS if reading_only else BUSY_SECONDS
        if not path.exists():
            raise NotReady(f"there is no vault at {path}", hint="make one with: vault init")
        for beside in ("", "-wal", "-shm", "-journal"):
            _check_regular(path.with_name(path.name + beside))
        self._lock = FileLock(path.with_name(path.name + ".lock"), self._seconds)
        self._schema_cookie = -1
        with told_plainly(path):
            self.connection = self._connect()
            try:
                self._check()
            except BaseException:
                self.connection.close()
                raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.text_factory = _text
        try:
            _pragmas(connection, self._seconds)
            connection.execute(f"PRAGMA query_only={'ON' if self.reading_only else 'OFF'}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self) -> None:
        (application,) = self.connection.execute("PRAGMA application_id").fetchone()
        (schema,) = self.connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise IntegrityError(f"{self.path} is not a vault", hint="set VAULT_DATABASE to the vault's file")
        if schema > SCHEMA:
            raise NewerVersion(
                f"{self.path} was written by a newer vault (schema {schema}, this one knows {SCHEMA})",
                hint="upgrade agent-vault",
            )
        if schema < SCHEMA and self.reading_only:
            raise TryAgain(f"{self.path} has yet to be upgraded", hint="any other command does it")
        if schema < SCHEMA:
            from vault.log.migrate import upgrade

            with self._lock.held():
                (schema,) = self.connection.execute("PRAGMA user_version").fetchone()
                if schema < SCHEMA:
                    upgrade(self.path, self.connection)
        self._check_schema()

    def _check_schema(self) -> None:
        """Compare the schema, again whenever it changed. Inside a transaction this is what the transaction sees."""
        (cookie,) = self.connection.execute("PRAGMA schema_version").fetchone()
        if cookie != self._schema_cookie:
            check_schema(self.connection, self.path)
            self._schema_cookie = cookie

    def turn(self) -> AbstractContextManager[None]:
        """Hold the writers' queue: alone among all processes and threads."""
        return self._lock.held()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction; hold a ``turn`` around it. Commits unless an error leaves it; then nothing has happened."""
        with told_plainly(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self._check_schema()
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A consistent snapshot. May be nested, also inside ``writing``."""
        with told_plainly(self.path):
            if self.connection.in_transaction:
                yield self.connection
                return
            self.connection.execute("BEGIN")
            try:
                self._check_schema()
                yield self.connection
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def sorting_on_disk(self) -> Iterator[None]:
        """Let big sorts spill into temporary files, which SQLite unlinks at once. For sealed and blind columns; around a turn."""
        self.connection.execute("PRAGMA temp_store=FILE")
        try:
            yield
        finally:
            self.connection.execute("PRAGMA temp_store=MEMORY")

    def close(self) -> None:
        """Close the file. What was acknowledged is on the disk already."""
        self.connection.close()
        self._lock.close()


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """What is committed now, through a connection of its own: also while this process writes."""
    database = Database(path)
    try:
        with database.reading() as connection:
            yield connection
    finally:
        database.close()


def create_database(path: Path) -> Database:
    """Make an empty vault file under a temporary name; ``publish`` gives it its own. Raises CannotCreate, Conflict."""
    from vault.log.migrate import run_migrations

    if path.exists():
        raise Conflict(f"there is a vault at {path} already", hint="use it, or set VAULT_DATABASE to another place")
    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        private_folder(path.parent)
        os.close(make_private(draft))
    except OSError as error:
        raise CannotCreate(
            f"{path} can't be created: {error.strerror}", hint="choose a folder you can write to"
        ) from None
    try:
        with told_plainly(draft):
            connection = sqlite3.connect(draft, isolation_level=None)
            try:
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute("PRAGMA journal_mode=WAL")
                _pragmas(connection)
                run_migrations(connection)
            finally:
                connection.close()
            return Database(draft)
    except BaseException:
        discard(draft)
        raise


def publish(draft: Database, path: Path) -> None:
    """Close a made file and give it its name, unless another process was faster. Raises Conflict, CannotCreate."""
    draft.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    draft.close()
    try:
        os.link(draft.path, path)
    except FileExistsError:
        raise Conflict(
            f"there is a vault at {path} already", hint="use it, or set VAULT_DATABASE to another place"
        ) from None
    except OSError as error:
        raise CannotCreate(
            f"{path} can't be created: {error.strerror}", hint="choose a folder you can write to"
        ) from None
    finally:
        discard(draft.path)
    sync_folder(path.parent)


def discard(draft: Path) -> None:
    """Remove a draft and its side files."""
    for suffix in ("", "-wal", "-shm", ".lock"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _check_regular(path: Path) -> None:
    """SQLite would read what it is given. Raises StorageError for a pipe, a device or a folder."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        raise StorageError(
            f"{path} is not a regular file", hint="move it away, or set VAULT_DATABASE to the vault's file"
        )


def loose_modes(path: Path) -> list[tuple[Path, int]]:
    """Files of a vault that others may read: (path, mode)."""
    loose = []
    for place in (path.parent, *(path.with_name(path.name + s) for s in ("", "-wal", "-shm", ".lock"))):
        if place.exists() and (mode := stat.S_IMODE(place.stat().st_mode)) & 0o077:
            loose.append((place, mode))
    return loose
