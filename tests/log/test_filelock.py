"""The queue in front of SQLite's lock: one at a time, in turn, never for ever."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from vault.errors import StorageError, TryAgain
from vault.log.filelock import FileLock, lock_of


def test_one_at_a_time_between_threads_and_processes(tmp_path: Path) -> None:
    """Two locks on one file stand for two processes: flock belongs to the open file."""
    locks = [FileLock(tmp_path / "lock", 30) for _ in range(2)]
    inside: list[int] = []
    most: list[int] = []

    def work(lock: FileLock) -> None:
        for _ in range(50):
            with lock.held():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(locks[n % 2],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (200, 1)
    for lock in locks:
        lock.close()


@pytest.mark.parametrize("same_process", [True, False])
def test_waiting_has_an_end(same_process: bool, tmp_path: Path) -> None:
    holder = FileLock(tmp_path / "lock", 30)
    waiter = FileLock(tmp_path / "lock", 0.05)
    with holder.held():
        if same_process:
            holder._timeout = 0.05
        for _ in range(2):
            with pytest.raises(TryAgain) as caught, (holder if same_process else waiter).held():
                pass
            assert caught.value.exit_status == 75
    with waiter.held():
        other = os.open(tmp_path / "lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
    holder.close()
    waiter.close()


def test_a_lock_speaks_of_what_it_is_for(tmp_path: Path) -> None:
    busy = pytest.raises(TryAgain, match="writing to the settings file \\(")
    path = tmp_path / "lock"
    with lock_of("the settings file", path, 30), busy, lock_of("the settings file", path, 0.01):
        pass
    refused = pytest.raises(StorageError, match="Codex's login can't be written")
    with refused, lock_of("Codex's login", tmp_path / "nowhere" / "lock", 1):
        pass


def test_who_may_not_wait_leaves_nobody_waiting(tmp_path: Path) -> None:
    """Nobody it left behind gets the lock in its place, when it is free again."""
    first, second = FileLock(tmp_path / "lock", 30), FileLock(tmp_path / "lock", 0)
    with first.held():
        before = threading.active_count()
        with pytest.raises(TryAgain), second.held():
            pass
        assert threading.active_count() == before
    with second.held():
        pass
    first.close()
    second.close()


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    lock, other = FileLock(tmp_path / "lock", 30), FileLock(tmp_path / "lock", 30)

    def fail() -> None:
        with lock.held():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    lock._timeout = 0.01
    with other.held(), pytest.raises(TryAgain), lock.held():
        pass
    lock.close()
    other.close()


def test_a_lock_file_that_cannot_be_opened(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "none" / "lock", 1)
    with pytest.raises(StorageError) as caught, lock.held():
        pass
    assert caught.value.exit_status == 74
    lock.close()
