"""How things are shown: tables and lines for people, one JSON object with a ``schema`` for programs, talk on stderr.

Everything printed goes through here, and is made safe for a terminal here: whatever it is, and wherever it came from, no control
character reaches a terminal, and what was typed and looks like a secret isn't repeated. ``write_exact`` is the one way around
it, for secrets that were asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from vault.cli import streams
from vault.errors import InputError, IntegrityError, NotFound, UsageError, VaultError
from vault.showing import ADVICE, HIDDEN, RULE, is_key, looks_secret, safe_json
from vault.showing import printable as printable
from vault.values import DAY, HOUR, MINUTE, SECOND, foreign_shown, format_instant, format_instant_exact

FORMULAS = tuple("=+-@\t\r\n＝＋－＠")

_PARTS = re.compile(r"[=\s]+")

_typed: re.Pattern[str] | None = None
_recorded = 0


def begin(arguments: Sequence[str]) -> None:
    """Start a command: what was typed and looks like a secret won't be repeated. Raises UsageError where it is a key for sure."""
    global _typed, _recorded
    _recorded = 0
    parts = {part for word in arguments for part in (word, *_PARTS.split(word)) if looks_secret(part)}
    parts |= {name for part in parts for name in part.split(":") if looks_secret(name)}
    longest_first = sorted(parts, key=len, reverse=True)
    _typed = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if parts else None
    if any(map(is_key, parts)):
        raise UsageError(RULE, hint=ADVICE)


def recorded(position: int) -> None:
    """Note that the command has appended events, the last at this position."""
    global _recorded
    _recorded = max(_recorded, position)


def last_recorded() -> int:
    """The last event that the command appended, 0 for none."""
    return _recorded


def say(*lines: str) -> None:
    """Talk to the person: lines on stderr."""
    streams.talk("".join(f"{_safe(line)}\n" for line in lines))


def write(*lines: str) -> None:
    """Data: lines on stdout."""
    streams.send("".join(f"{printable(line)}\n" for line in lines))


def write_exact(text: str) -> None:
    """A line on stdout as it is: a secret, or the shell's line that holds it."""
    streams.send(text + "\n")


def write_json(schema: str, body: dict[str, Any]) -> None:
    """One JSON object, ``schema`` first."""
    streams.send(_json({"schema": f"vault.{schema}/1", **body}, indent=2) + "\n")


def write_json_line(body: dict[str, Any]) -> None:
    """One JSON object on one line, now."""
    streams.send(_json(body, separators=(",", ":")) + "\n")
    streams.flush()


def write_csv(rows: Iterable[Sequence[object]]) -> None:
    """Comma-separated values on stdout. A cell that a spreadsheet would take for a formula gets a quote in front."""
    import csv
    import io

    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([_cell(cell) for cell in row])
        streams.send(line.getvalue())


def tell_error(error: VaultError, machine: bool) -> None:
    """An error on stderr: one sentence, or one JSON object."""
    message, hint = (text if machine else _safe(text) for text in _told(error))
    if machine:
        body: dict[str, Any] = {
            "schema": "vault.error/1",
            "error": {"code": error.code, "exit": error.exit_status, "message": message, "hint": hint},
        }
        if isinstance(error, IntegrityError) and error.position is not None:
            body["error"]["position"] = error.position
        streams.talk(_json(body) + "\n")
    else:
        streams.talk(f"vault: {message}" + (f": {hint}" if hint else "") + "\n")


def ask(question: str, default: str | None = None, *, show_default: bool = True) -> str:
    """Ask a person for a line; the question is on stderr."""
    import typer

    return str(typer.prompt(_asking(question), default=default, show_default=show_default, err=True))


def confirm(question: str, *, default: bool = False) -> bool:
    """Ask a person for a yes or a no; the question is on stderr."""
    import typer

    return bool(typer.confirm(_asking(question), default=default, err=True))


def ask_hidden(prompt: str) -> str:
    """Ask for a secret without showing it. Raises InputError."""
    import getpass

    try:
        return getpass.getpass(_asking(prompt))
    except EOFError:
        raise InputError("nothing was typed", hint="try again") from None


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, least: Sequence[str] = (), prose: Sequence[str] = ()
) -> None:
    """A table on stdout: fitted to a terminal, whole and one row a line in a pipe.

    ``least`` names the columns a narrow terminal does without, the least useful first; ``prose`` those that may be broken
    between words. Nothing else is ever cut or broken, so that an id can be copied.
    """
    from vault.cli.tables import lay_out

    cells = [[printable(cell) for cell in row] for row in rows]
    text, left_out = lay_out(
        headings, cells, width=streams.width(), terminal=streams.on_terminal("stdout"), least=least, prose=prose
    )
    streams.send(text)
    streams.flush()
    if left_out:
        say(f"no room for {', '.join(left_out)}: --json has all")


def lines(texts: Iterable[str], indent: str = "    ") -> None:
    """Long lines on stdout: on a terminal broken between words and indented, whole in a pipe."""
    width = streams.width()
    for text in texts:
        if width is None:
            write(text)
        else:
            from vault.cli.tables import wrapped

            write(*wrapped(printable(text), width, indent))


def with_original(profile: str) -> str:
    """A profile's id, and what it is called in the tool it came from where that is something else."""
    original = foreign_shown(profile)
    return f"{profile} ({printable(original)})" if original else profile


def moment(at: int | None) -> str | None:
    """An instant for JSON: ISO 8601, UTC, microseconds; None stays None."""
    return None if not at else format_instant_exact(at)


def local(at: int) -> str:
    """An instant for people: local time to the second."""
    try:
        return datetime.fromtimestamp(at / SECOND).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # an instant of no year here
        return format_instant(at)


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


def _json(body: dict[str, Any], **form: Any) -> str:
    return safe_json(json.dumps(body, ensure_ascii=False, **form))


def _asking(text: str) -> str:
    """A question as it may be asked: what stands in lines before it is said first."""
    *before, question = text.split("\n")
    say(*before)
    return _safe(question)


def _safe(text: str) -> str:
    return printable(_typed.sub(HIDDEN, text) if _typed else text)


def _told(error: VaultError) -> tuple[str, str]:
    """Message and hint without what was typed and looks like a secret; then the hint says how a secret is given."""
    message = _typed.sub(HIDDEN, error.message) if _typed else error.message
    hint = _typed.sub(HIDDEN, error.hint) if _typed else error.hint
    if HIDDEN in message + hint and isinstance(error, UsageError | InputError | NotFound):
        hint = f"{RULE}: {ADVICE}"
    return message, hint


def _cell(cell: object) -> object:
    """A cell as it may be printed. A line end stays, as the format has a way to say it."""
    if not isinstance(cell, str):
        return cell
    shown = "\n".join(map(printable, cell.split("\n")))
    return f"'{shown}" if cell.startswith(FORMULAS) else shown
