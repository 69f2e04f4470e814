"""How things are shown: tables for people, one JSON object with a ``schema`` for programs, talk on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from vault.errors import IntegrityError, VaultError
from vault.values import DAY, HOUR, MINUTE, SECOND, foreign_shown, format_instant_exact


def say(text: str) -> None:
    """Talk to the person: stderr."""
    sys.stderr.write(text + "\n")


def write(text: str) -> None:
    """Data: stdout."""
    sys.stdout.write(text + "\n")


def write_json(schema: str, body: dict[str, Any]) -> None:
    """One JSON object, ``schema`` first."""
    write(json.dumps({"schema": f"vault.{schema}/1", **body}, ensure_ascii=False, indent=2))


def write_json_line(body: dict[str, Any]) -> None:
    """One JSON object on one line."""
    sys.stdout.write(json.dumps(body, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def tell_error(error: VaultError, machine: bool) -> None:
    """An error on stderr: one sentence, or one JSON object."""
    if machine:
        body: dict[str, Any] = {
            "schema": "vault.error/1",
            "error": {"code": error.code, "exit": error.exit_status, "message": error.message, "hint": error.hint},
        }
        if isinstance(error, IntegrityError) and error.position is not None:
            body["error"]["position"] = error.position
        say(json.dumps(body, ensure_ascii=False))
    else:
        say(f"vault: {error}")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout: with a rule and bold headings on a terminal, plain columns in a pipe.

    Nothing is cut or broken, so that an id can be copied: a terminal that is too narrow wraps whole lines itself. There, columns
    without content are left out.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    cells = [[printable(cell) for cell in row] for row in rows]
    columns = [c for c in range(len(headings)) if not terminal or any(row[c] for row in cells)]
    console = Console(
        file=sys.stdout,
        highlight=False,
        soft_wrap=True,
        force_terminal=terminal,  # FORCE_COLOR must not put colour into a pipe
        width=10_000,
        _environ={},  # a dumb terminal's or COLUMNS' width would cut
    )
    shown = Table(
        box=SIMPLE_HEAD if terminal else None,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if terminal else 2, 0, 0),
        show_header=any(headings),
    )
    for column in columns:
        shown.add_column(headings[column], no_wrap=True)
    for row in cells:
        shown.add_row(*(Text(row[column]) for column in columns))
    console.print(shown)


def printable(text: str) -> str:
    """A text from elsewhere without control characters, so that no label can play tricks with the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def with_original(profile: str) -> str:
    """A profile's id, and what it is called in the tool it came from where that is something else."""
    original = foreign_shown(profile)
    return f"{profile} ({printable(original)})" if original else profile


def moment(at: int | None) -> str | None:
    """An instant for JSON: ISO 8601, UTC, microseconds; None stays None."""
    return None if not at else format_instant_exact(at)


def local(at: int) -> str:
    """An instant for people: local time to the second."""
    return datetime.fromtimestamp(at / SECOND).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(length: int) -> str:
    """A length of time for people, in its largest unit."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if length >= unit:
            return f"{length // unit}{name}"
    return f"{max(length // SECOND, 0)}s"


def ago(at: int, now: int) -> str:
    """How long ago, for people."""
    return "just now" if now - at < SECOND else f"{span(now - at)} ago"


def until(at: int, now: int) -> str:
    """How long from now, for people; to the nearest minute when it is more than an hour."""
    if at <= now:
        return f"{span(now - at)} ago"
    return f"in {span(at - now + (MINUTE // 2 if at - now > HOUR else 0))}"
