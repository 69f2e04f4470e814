"""Running another's program for what it prints: no shell, an end in time, a bounded output, nothing of it shown or logged here.

A program that insists on a terminal is given one of its own, joined to the person's; that is for POSIX only. What it draws is
passed on as it comes, but for the secret that is being captured: the person's terminal shows only how it starts. The vault's
passphrase is not in the environment of such a program.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vault.errors import TryAgain, Unavailable
from vault.providers.steps import Output

if TYPE_CHECKING:
    import subprocess

LARGEST_OUTPUT = 256 * 1024
COLUMNS = 1000
WITHHELD = ("VAULT_PASSPHRASE",)

_IN_A_SECRET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_ESCAPE, _ESCAPE_ENDS = 0x1B, frozenset(range(0x40, 0x7F))
_OPENS_ESCAPE = frozenset(b"[")


class Mask:
    """Hides a secret in what is passed on: what starts with ``prefix`` is cut after it, however the writes are split."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._matched = 0
        self._escape = b""

    def __call__(self, chunk: bytes) -> bytes:
        """The next piece of what the program prints, without the secret."""
        return b"".join(self._shown(byte) for byte in chunk) if self._prefix else chunk

    def _shown(self, byte: int) -> bytes:
        one = bytes((byte,))
        if self._escape or byte == _ESCAPE:  # colours may stand inside a secret, and don't end it
            opens = self._escape == b"\x1b" and byte in _OPENS_ESCAPE
            self._escape = b"" if self._escape and not opens and byte in _ESCAPE_ENDS else self._escape + one
            return one
        if self._matched == len(self._prefix):
            if byte in _IN_A_SECRET:
                return b""
            self._matched = 0
            return b"..." + one
        seen = self._prefix[: self._matched] + one
        self._matched = next(n for n in range(len(seen), -1, -1) if seen.endswith(self._prefix[:n]))
        return one


def find(program: str) -> bool:
    """Whether a program is there to be run."""
    return shutil.which(program) is not None


def run(argv: Sequence[str], *, terminal: bool = False, seconds: float = 300.0, hide: str = "") -> Output | None:
    """What a program printed and its exit status; None when it isn't there, or needs a terminal and there is none.

    ``hide`` is how a secret starts that it draws on the person's terminal, where the rest of it is not shown. Its other output
    goes where ours goes. Raises Unavailable when it can't be started or prints too much, TryAgain when it takes too long.
    """
    program = shutil.which(argv[0])
    if program is None:
        return None
    if terminal:
        return _on_terminal([program, *argv[1:]], argv[0], seconds, Mask(hide))
    import subprocess

    try:
        process = subprocess.Popen([program, *argv[1:]], stdout=subprocess.PIPE, bufsize=0, env=_environment())
    except (OSError, ValueError):
        raise Unavailable(f"the program {argv[0]} can't be started", hint="run it by hand to see why") from None
    with process:
        assert process.stdout is not None  # noqa: S101 - Popen was given a pipe
        return _collected(process, process.stdout.fileno(), argv[0], seconds)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in WITHHELD}


def _on_terminal(argv: Sequence[str], name: str, seconds: float, mask: Mask) -> Output | None:
    import sys

    if os.name == "nt" or sys.stdin is None or not sys.stdin.isatty():
        return None
    import fcntl
    import pty
    import struct
    import subprocess
    import termios

    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=_environment()
        )
    except (OSError, ValueError):
        os.close(ours)
        raise Unavailable(f"the program {name} can't be started", hint="run it by hand to see why") from None
    finally:
        os.close(theirs)
    with process:
        try:
            return _joined(process, ours, name, seconds, mask)
        finally:
            os.close(ours)


def _joined(process: subprocess.Popen[bytes], ours: int, name: str, seconds: float, mask: Mask) -> Output:
    """Pass the person's typing to the program and what it draws to the person, and keep what it drew."""
    import sys
    import termios
    import tty

    person = sys.stdin.fileno()
    before = termios.tcgetattr(person)
    try:
        tty.setraw(person)
        return _collected(process, ours, name, seconds, person, mask)
    finally:
        termios.tcsetattr(person, termios.TCSADRAIN, before)


def _collected(
    process: subprocess.Popen[bytes],
    source: int,
    name: str,
    seconds: float,
    person: int | None = None,
    mask: Mask | None = None,
) -> Output:
    import subprocess
    import time

    deadline = time.monotonic() + seconds
    output = bytearray()
    try:
        while len(output) <= LARGEST_OUTPUT:
            chunk = _chunk(source, person, deadline, mask)
            if not chunk:
                break
            output += chunk
        if len(output) > LARGEST_OUTPUT:
            raise Unavailable(f"the program {name} prints more than a token", hint="run it by hand")
        status = process.wait(max(0.1, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise TryAgain(f"the program {name} was not done within {seconds:g} s", hint="run it by hand") from None
    finally:
        _end(process, group=person is not None)
    return Output(status, output.decode("utf-8", "replace"))


def _end(process: subprocess.Popen[bytes], *, group: bool) -> None:
    import signal

    if process.poll() is not None:
        return
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _chunk(source: int, person: int | None, deadline: float, mask: Mask | None) -> bytes:
    """The next piece of what the program prints; empty at its end. Raises TimeoutError at the deadline."""
    import select
    import sys
    import time

    if os.name == "nt":
        return os.read(source, 4096)
    wanted = [source] if person is None else [source, person]
    while True:
        ready, _, _ = select.select(wanted, [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        if person is not None and person in ready:
            typed = os.read(person, 1024)
            if b"\x03" in typed:
                raise KeyboardInterrupt
            os.write(source, typed)
            wanted = [source, person] if typed else [source]
        if source in ready:
            try:
                chunk = os.read(source, 4096)
            except OSError:
                # A pseudo-terminal whose program has ended answers with an error, not with an end.
                return b""
            if person is not None:
                sys.stderr.buffer.write(mask(chunk) if mask else chunk)
                sys.stderr.flush()
            return chunk
