"""A disk that fails while a vault is read is status 74, and a damaged file 80: neither is taken for the other."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.log.samples import any_session
from tests.support import Files, make_files, make_vault
from vault.errors import IntegrityError, StorageError, TryAgain, UsageError
from vault.log.explaining import explain, failing_disk
from vault.projections.verify import verify

COMPILER = shutil.which("gcc") or shutil.which("cc")
READS = """
import sys
from pathlib import Path
from tests.support import Files
from vault.errors import VaultError
try:
    with Files(Path(sys.argv[1])).open() as context:
        list(context.store.scan(1, context.store.head().position))
        print("read")
except VaultError as error:
    print(error.exit_status, error.code, error)
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that fails reads in the process that loads it."""
    if COMPILER is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler on Linux")
    made = tmp_path_factory.mktemp("shim") / "failing_reads.so"
    source = Path(__file__).with_name("failing_reads.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"], check=True)
    return made


def read_through(shim: Path, files: Files, *, number: int, after: int, times: int) -> str:
    failing = {
        "LD_PRELOAD": str(shim),
        "FAIL_PATH": os.path.realpath(files.database),
        "FAIL_ERRNO": str(number),
        "FAIL_AFTER": str(after),
        "FAIL_TIMES": str(times),
    }
    asked = [sys.executable, "-c", READS, str(files.folder)]
    done = subprocess.run(asked, env={**os.environ, **failing}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("number", [errno.EIO, 0], ids=["fails", "ends early"])
@pytest.mark.parametrize(("after", "times"), [(0, 999), (1, 1), (3, 1), (3, 999), (6, 1), (10, 999)])
def test_an_error_of_the_disk_is_74_wherever_it_strikes(
    shim: Path, tmp_path: Path, number: int, after: int, times: int
) -> None:
    files = make_files(tmp_path)
    with make_vault(tmp_path) as context:
        any_session(context)
    said = read_through(shim, files, number=number, after=after, times=times)
    assert said.startswith("74 storage"), said
    assert "check the disk and try again" in said
    assert read_through(shim, files, number=number, after=0, times=0) == "read"


@pytest.mark.parametrize("page", range(8))
def test_a_damaged_file_is_80_all_the_same(tmp_path: Path, page: int) -> None:
    files = make_files(tmp_path)
    with files.database.open("r+b") as file:
        file.seek(page * 4096 + (0 if page else 16))
        file.write(b"\xa5" * 512)
    with pytest.raises(IntegrityError):
        look_at_everything(files)


def look_at_everything(files: Files) -> None:
    with files.open() as context:
        verify(context.store, context.projections)
        with context.database.reading() as connection:
            connection.execute("PRAGMA integrity_check").fetchall()


def test_a_file_cut_short_is_damaged_and_no_failing_disk(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    os.truncate(files.database, 5000)
    assert failing_disk(files.database) == ""
    with pytest.raises(IntegrityError):
        files.open()


def test_reading_again_keeps_the_locks_that_sqlite_has(tmp_path: Path) -> None:
    """POSIX drops a process's locks on a file with the first descriptor of it that is closed."""
    files = make_files(tmp_path)
    with files.open() as context, context.database.turn(), context.database.transaction():
        assert failing_disk(files.database) == "it is whole when it is read again"
        assert failing_disk(files.database) == "it is whole when it is read again"
        locks = [line for line in Path("/proc/locks").read_text().splitlines() if f" {os.getpid()} " in line]
        held = {line.split()[5].rpartition(":")[2] for line in locks if "POSIX" in line}
        assert str(files.database.stat().st_ino) in held


def test_what_else_sqlite_may_say_has_its_own_status(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    context = files.open()
    context.close()
    with pytest.raises(UsageError, match="the vault is closed"), context.database.reading():
        pass
    protocol = sqlite3.OperationalError("locking protocol")
    protocol.sqlite_errorname = "SQLITE_PROTOCOL"
    assert isinstance(explain(protocol, files.database), TryAgain)
    disk = sqlite3.OperationalError("disk I/O error")
    disk.sqlite_errorname = "SQLITE_IOERR_CORRUPTFS"
    assert isinstance(explain(disk, files.database), StorageError)
