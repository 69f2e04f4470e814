"""A queue in front of SQLite's own lock: ``flock`` on a sibling file, with a time limit.

SQLite's busy handler is unfair and can starve a writer for seconds; flock serves writers in the order they came. Where the
platform has no flock this does nothing, and SQLite's own waiting remains.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from vault.errors import StorageError, TryAgain
from vault.files import open_private

try:
    import fcntl
except ImportError:  # pragma: no cover - not on POSIX
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """An exclusive lock between processes, and between the threads of this one. ``of`` is what it is for, in messages."""

    def __init__(self, path: Path, timeout: float, of: str = "the vault") -> None:
        self._path = path
        self._timeout = timeout
        self._of = of
        self._fd = -1
        self._threads = threading.Lock()

    def held(self) -> AbstractContextManager[None]:
        """Hold the lock. Raises TryAgain after the time limit (seconds), StorageError when the file can't be opened."""
        return _Held(self)

    def take(self) -> None:
        """Take the lock; ``give`` must follow. Raises as ``held`` does."""
        if not self._threads.acquire(timeout=self._timeout):
            raise TryAgain(f"another thread has been writing to {self._of} for too long", hint="try again")
        try:
            self._acquire()
        except BaseException:
            self._threads.release()
            raise

    def give(self) -> None:
        """Give the lock back."""
        try:
            if fcntl is not None:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _acquire(self) -> None:
        if fcntl is None:  # pragma: no cover - not on POSIX
            return
        if self._fd < 0:
            try:
                self._fd = open_private(self._path)
            except OSError as error:
                raise StorageError(
                    f"{self._of} can't be written: {error.strerror} ({self._path})",
                    hint="check the owner and mode of that folder",
                ) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if self._timeout <= 0:
                raise self._taken() from None
            self._wait()

    def _wait(self) -> None:
        """Wait in the kernel's queue, in a thread, because a blocking flock has no time limit of its own."""
        got, abandoned = threading.Event(), threading.Event()
        turn = threading.Lock()
        fd = self._fd

        def wait() -> None:
            fcntl.flock(fd, fcntl.LOCK_EX)
            with turn:
                if abandoned.is_set():
                    os.close(fd)
                else:
                    got.set()

        threading.Thread(target=wait, daemon=True, name="vault-lock").start()
        if got.wait(self._timeout):
            return
        with turn:
            if got.is_set():
                return
            abandoned.set()
            self._fd = -1
        raise self._taken()

    def _taken(self) -> TryAgain:
        long = f" for more than {self._timeout:.0f} seconds" if self._timeout >= 1 else ""
        return TryAgain(f"another process has been writing to {self._of}{long} ({self._path})", hint="try again")


@contextmanager
def lock_of(of: str, path: Path, timeout: float) -> Iterator[None]:
    """Hold a lock once and close its file. ``of`` is what it is for, as in "written to OF". Raises TryAgain, StorageError."""
    lock = FileLock(path, timeout, of)
    try:
        with lock.held():
            yield
    finally:
        lock.close()


class _Held(AbstractContextManager[None]):
    """A lock, held. Not a generator: every append goes through here."""

    __slots__ = ("_lock",)

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.take()

    def __exit__(self, *_: object) -> None:
        self._lock.give()
