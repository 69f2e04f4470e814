"""Keys that machines hold: a key file, and a command whose output is the key. Neither ever shows what it holds.

A key is at least 32 bytes once blanks around it are stripped, and is used as it stands: it is meant to be random, so it is
not stretched.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from vault.crypto.keyslots import SHORTEST_KEY
from vault.errors import CannotCreate, InputError, Locked, StorageError, TryAgain, Unavailable
from vault.files import make_private, read_start, sync_folder
from vault.values import RandomBytes

if TYPE_CHECKING:
    import subprocess

LARGEST_KEY = 64 * 1024
COMMAND_SECONDS = 30.0
MAKE_ONE = "make a key with: openssl rand -hex 32"


def read_key_file(path: str | os.PathLike[str]) -> bytes:
    """The key in a file.

    Raises Locked when the file is missing, InputError when it holds no key or is no file, StorageError when it can't be
    read.
    """
    shown = os.fspath(path)
    try:
        content = read_start(path, LARGEST_KEY + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise Locked(
            f"the key file {shown} is not there", hint="mount or restore it, or unlock in another way"
        ) from None
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.EINVAL, errno.EISDIR):
            raise InputError(
                f"the key file {shown} is not a plain file", hint="name a file that holds the key"
            ) from None
        raise StorageError(
            f"the key file {shown} can't be read ({_reason(error)})", hint="check its owner and mode"
        ) from None
    return _checked(content, f"the key file {shown}")


def key_file_mode_warning(path: str | os.PathLike[str]) -> str | None:
    """A sentence saying that others than its owner may open the key file, or None. A file that isn't there warns of nothing."""
    if os.name == "nt":
        return None
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except (OSError, ValueError):
        return None
    if not mode & 0o077:
        return None
    return f"the key file {os.fspath(path)} is open to others (mode {mode:04o}): chmod 600 it"


def create_key_file(path: str | os.PathLike[str], random: RandomBytes = os.urandom) -> bytes:
    """Make a key file with a new random key, mode 0600, durable on return; the key. Raises CannotCreate."""
    shown = os.fspath(path)
    key = random(SHORTEST_KEY).hex().encode()
    try:
        descriptor = make_private(path, os.O_WRONLY)
    except FileExistsError:
        raise CannotCreate(f"the key file {shown} exists already", hint="name another one") from None
    except (OSError, ValueError) as error:
        raise CannotCreate(
            f"the key file {shown} can't be created ({_reason(error)})", hint="make its folder, or name another place"
        ) from None
    try:
        with open(descriptor, "wb") as file:
            file.write(key + b"\n")
            file.flush()
            os.fsync(descriptor)
        sync_folder(os.path.dirname(os.path.abspath(shown)))
    except OSError as error:
        os.unlink(path)
        raise CannotCreate(
            f"the key file {shown} can't be written ({_reason(error)})", hint="make room, or name another place"
        ) from None
    return key


def run_key_command(command: str, *, ask: bool = True) -> bytes:
    """The key that a command prints: no shell, thirty seconds, its other output dropped.

    The command may ask on the terminal, when there is one and ``ask`` is true. Raises InputError for a command line that
    can't be split or an output that is no key, Unavailable when the program is missing or fails, TryAgain on a time-out.
    """
    import shlex
    import subprocess
    import sys
    import time

    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise InputError("the key command can't be split into words", hint="check its quotes")
    terminal = ask and sys.stdin is not None and sys.stdin.isatty()
    try:
        process = subprocess.Popen(
            words,
            stdin=None if terminal else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # On a terminal the program must stay in our session, or it could not ask there.
            start_new_session=not terminal,
        )
    except FileNotFoundError:
        raise Unavailable(
            f"the key command's program {words[0]} is not there", hint="install it, or fix PATH"
        ) from None
    except (OSError, ValueError) as error:
        raise Unavailable(f"the key command's program {words[0]} can't be run ({_reason(error)})") from None
    with process:
        try:
            deadline = time.monotonic() + COMMAND_SECONDS
            output = _read(process, deadline)
            if len(output) <= LARGEST_KEY:
                process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TryAgain(
                f"the key command's program {words[0]} gave no key within {COMMAND_SECONDS:g} s", hint="run it by hand"
            ) from None
        finally:
            _end(process, group=not terminal)
    if len(output) <= LARGEST_KEY and process.returncode:
        raise Unavailable(
            f"the key command's program {words[0]} failed with status {process.returncode}",
            hint="run it by hand: vault never shows its output",
        )
    return _checked(output, f"the output of the key command's program {words[0]}")


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """What the process prints until it closes its output, at most one byte more than a key may have."""
    import selectors
    import subprocess
    import time

    assert process.stdout is not None  # noqa: S101 - Popen was given a pipe
    if os.name == "nt":
        return process.communicate(timeout=COMMAND_SECONDS)[0]
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(output) <= LARGEST_KEY:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, COMMAND_SECONDS)
            chunk = os.read(process.stdout.fileno(), LARGEST_KEY + 1 - len(output))
            if not chunk:
                break
            output += chunk
    return output


def _end(process: subprocess.Popen[bytes], group: bool) -> None:
    import contextlib
    import signal

    if process.poll() is None:
        with contextlib.suppress(OSError):
            process.kill()
            if group and os.name != "nt":
                os.killpg(process.pid, signal.SIGKILL)


def _checked(content: bytes, what: str) -> bytes:
    key = content.strip()
    if len(content) > LARGEST_KEY:
        raise InputError(f"{what} is longer than {LARGEST_KEY} bytes", hint=MAKE_ONE)
    if len(key) < SHORTEST_KEY:
        raise InputError(f"{what} has fewer than {SHORTEST_KEY} bytes", hint=MAKE_ONE)
    return key


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
