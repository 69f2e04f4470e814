"""A Claude setup token: what ``claude setup-token`` prints, captured where that program can be run, else pasted.

The program draws on a terminal, so it is given one, and the token is looked for in what it drew. A setup token lives a year from
when it was made; for a pasted one nobody can tell when that was, and the person is told so.
"""

from __future__ import annotations

import re

from vault.errors import InputError
from vault.events.credentials import Token
from vault.providers.flows.asking import SignedIn, Start
from vault.providers.steps import Flow, ask, consent, run_command, tell
from vault.values import DAY, parse_secret

COMMAND = ("claude", "setup-token")
PREFIX = "sk-ant-oat"
LIFETIME = 365 * DAY

_TOKEN = re.compile(r"sk-ant-oat[0-9]{2}-[A-Za-z0-9_-]+")
_DRAWING = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_AFTER_LIMIT = "if Anthropic answers that the credential is only authorized for use with Claude Code, use an API key"


def setup_token_flow(start: Start) -> Flow[SignedIn]:
    """Obtain a setup token. Raises InputError when what was pasted is none."""
    token = ""
    if (yield from consent(f"Run `{' '.join(COMMAND)}` now, and take the token it prints? (No: paste one)", COMMAND)):
        output = yield from run_command(COMMAND, terminal=True)
        if output is None:
            yield from tell("`claude` can't be run here; run `claude setup-token` where it can, and paste the token")
        else:
            token = found_in(output.text)
            if not token:
                yield from tell("`claude setup-token` printed no token")
    captured = bool(token)
    if not token:
        token = parse_secret((yield from ask("Setup token: ", hidden=True)).strip())
    if not token.startswith(PREFIX):
        raise InputError("that is not a setup token", hint=f"a setup token starts with {PREFIX}; is it an API key?")
    notes = [_AFTER_LIMIT]
    if not captured:
        notes.insert(0, "its end is taken to be a year from now; if it was made earlier, it ends earlier")
    return SignedIn(Token(token=token, expires_at=start.now + LIFETIME), "", tuple(notes))


def found_in(drawn: str) -> str:
    """The token in what the program drew: the last one, and the longest if it was drawn in pieces. Empty when there is none."""
    plain = _DRAWING.sub("", drawn).replace("\r", "\n")
    tokens = _TOKEN.findall(plain)
    return max(reversed(tokens), key=len) if tokens else ""
