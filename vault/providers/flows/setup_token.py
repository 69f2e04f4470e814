"""A Claude setup token: what ``claude setup-token`` prints, captured where that program can be run, else pasted.

The program draws on a terminal, so it is given one, and the token is looked for in what it drew; the person's terminal doesn't
show it. A setup token lives a year from when it was made; for a pasted one nobody can tell when that was, and the person is told
so.
"""

from __future__ import annotations

import re

from vault.errors import InputError
from vault.events.credentials import Token
from vault.providers.flows.asking import SignedIn, Start, asked
from vault.providers.steps import Flow, consent, find_program, run_command, tell
from vault.values import DAY, parse_secret

COMMAND = ("claude", "setup-token")
PREFIX = "sk-ant-oat"
LIFETIME = 365 * DAY

_TOKEN = re.compile(r"sk-ant-oat[0-9]{2}-[A-Za-z0-9_-]+")
_DRAWING = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def setup_token_flow(start: Start) -> Flow[SignedIn]:
    """Obtain a setup token. Raises InputError when what was pasted is none, several times."""
    token = yield from _captured()
    notes: tuple[str, ...] = ()
    if not token:
        token = yield from asked("Setup token: ", _setup_token, hidden=True)
        notes = ("its end is taken to be a year from now; if it was made earlier, it ends earlier",)
    return SignedIn(Token(token=token, expires_at=start.now + LIFETIME), "", notes)


def _setup_token(line: str) -> str:
    if not _TOKEN.fullmatch(token := parse_secret(line.strip())):
        raise InputError("that is not a setup token", hint=f"a setup token starts with {PREFIX}; is it an API key?")
    return token


def _captured() -> Flow[str]:
    """The token that the program made, or an empty text when it isn't there, isn't wanted, or printed none."""
    shown = " ".join(COMMAND)
    if not (yield from find_program(COMMAND[0])):
        yield from tell(f"Run `{shown}` where Claude Code is installed, and paste the token it prints.")
        return ""
    if not (yield from consent(f"Run `{shown}` here and take the token it makes (no: paste one)?", COMMAND)):
        return ""
    output = yield from run_command(COMMAND, terminal=True, hide=PREFIX)
    token = found_in(output.text) if output is not None else ""
    if not token:
        why = "can't be run here" if output is None else "printed no token"
        yield from tell(f"`{shown}` {why}; paste one that was made elsewhere.")
    return token


def found_in(drawn: str) -> str:
    """The token in what the program drew: the last one, and the longest if it was drawn in pieces. Empty when there is none."""
    plain = _DRAWING.sub("", drawn).replace("\r", "\n")
    tokens = _TOKEN.findall(plain)
    return max(reversed(tokens), key=len) if tokens else ""
