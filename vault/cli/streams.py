"""Standard input, output and error: the only file that touches them.

Each may be closed, full or broken. What was to be read or printed and couldn't be is an error that says so. Talk on stderr that
nobody can hear is no error. A reader that has gone away is one either: the command ends without a word, as other programs do.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Literal

from vault.errors import StorageError

if TYPE_CHECKING:
    from rich.console import Console

Name = Literal["stdin", "stdout", "stderr"]

READER_GONE = 141
"""The exit status when the reader of the output is gone: what a shell reports of a program that SIGPIPE ended."""

CHECK = "check where the output goes, and its disk"
"""The hint of an error that standard output takes nothing."""

_closed: set[Name] = set()
_fitted: list[int] = []


class ReaderGone(Exception):
    """Nobody reads standard output any more."""


def prepare() -> None:
    """Make three usable streams of what this process was given. What is printed is UTF-8, whatever the locale says: it is data.

    A closed one gets a place of its own, so that no file that is opened later takes its number; reading from it, or writing to
    stdout, fails there. A program that is started gets it as it was: closed.
    """
    closed: tuple[tuple[Name, int, str], ...] = (
        ("stdin", os.O_WRONLY, "r"),
        ("stdout", os.O_RDONLY, "w"),
        ("stderr", os.O_WRONLY, "w"),
    )
    for name, flags, mode in closed:
        if getattr(sys, name) is None:
            _closed.add(name)
            number = os.open(os.devnull, flags)
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:
        reconfigure(encoding="utf-8", errors="surrogateescape")


@contextmanager
def once(hint: str) -> Iterator[None]:
    """What is written in the block can't be shown a second time: where it gets lost, the hint says what to do."""
    try:
        yield
        flush()
    except StorageError as error:
        error.hint = hint
        raise


def need_output() -> None:
    """Check that there is a place for an answer, before a secret is handed out for it. Raises StorageError."""
    if "stdout" in _closed:
        raise _unwritten("it is closed", "give standard output a place to go; nothing was handed out")


def send(text: str) -> None:
    """Write to standard output, as it is. Raises StorageError, ReaderGone."""
    try:
        sys.stdout.write(text)
    except OSError as error:
        raise _lost(error) from None


def send_bytes(content: bytes) -> None:
    """Write bytes to standard output, now. Raises StorageError, ReaderGone."""
    flush()
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _lost(error) from None


def flush() -> None:
    """Let everything out that was written. Raises StorageError, ReaderGone."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _lost(error) from None


def talk(text: str) -> None:
    """Write to standard error, now, if it goes anywhere."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        silence("stderr")


def receive(most: int = -1) -> bytes:
    """Read standard input: all of it, or so many bytes. Raises StorageError."""
    try:
        return sys.stdin.buffer.read(most)
    except OSError as error:
        raise StorageError(
            f"reading or writing failed: {_why(error)} (standard input)", hint="check where the input comes from"
        ) from None


def take_input(number: int) -> None:
    """Let standard input be what a file descriptor is, which is closed."""
    os.dup2(number, 0)
    os.close(number)
    sys.stdin = open(0, encoding=sys.stdin.encoding, errors="replace", closefd=False)  # noqa: SIM115 - it stays open
    _closed.discard("stdin")


def on_terminal(name: Name) -> bool:
    """Whether a stream is a terminal."""
    stream: IO[str] | None = getattr(sys, name)
    return stream is not None and stream.isatty()


def width() -> int | None:
    """The columns of the terminal that stdout is; None where it is none, or doesn't tell."""
    if _fitted:
        return _fitted[-1]
    if not on_terminal("stdout"):
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def fit(columns: int) -> None:
    """Fit what is printed into so many columns, whatever stdout is: for a program that shows it on a terminal of its own."""
    _fitted.append(columns)


def console() -> Console:
    """Rich's console for what moves on stderr."""
    from rich.console import Console

    return Console(file=sys.stderr, color_system=None if plain() else "auto")


def screen() -> Any:
    """The terminal behind stderr, for what is drawn on it. It isn't asked where its cursor is: not every one answers."""
    if os.name == "nt":
        from prompt_toolkit.output import create_output

        return create_output(sys.stderr)
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.output.vt100 import Vt100_Output

    def size() -> Size:
        columns, lines = os.get_terminal_size(sys.stderr.fileno())
        return Size(lines, columns)

    return Vt100_Output(sys.stderr, size, term=os.environ.get("TERM"), enable_cpr=False)


def plain() -> bool:
    """Whether a terminal is to get text without colour and without bold: NO_COLOR, or one that can't."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def silence(name: Name) -> None:
    """Send what is left in a stream's buffer nowhere, so that Python doesn't fail at it once more when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, getattr(sys, name).fileno())
        os.close(nowhere)


def _lost(error: OSError) -> Exception:
    silence("stdout")
    if isinstance(error, BrokenPipeError):
        return ReaderGone()
    return _unwritten(_why(error), CHECK)


def _unwritten(why: str, hint: str) -> StorageError:
    return StorageError(f"reading or writing failed: {why} (standard output)", hint=hint)


def _why(error: OSError) -> str:
    return "it is closed" if error.errno == errno.EBADF else error.strerror or type(error).__name__
