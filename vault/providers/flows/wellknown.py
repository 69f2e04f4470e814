"""Signing in at a URL: the server's ``/.well-known/opencode`` names a command whose output is the token.

The command is another's, so it is shown whole and run only when a person agrees; never through a shell. A document that would
hide part of its command, or put the token into a variable that programs start by, is refused.
"""

from __future__ import annotations

import re
import shlex
from urllib.parse import urlsplit

from vault.errors import InputError, SignInAgain, TryAgain, Unavailable
from vault.events.credentials import WellKnown
from vault.providers.flows.asking import AGAIN, SignedIn, get
from vault.providers.steps import Flow, consent, fetch, run_command
from vault.providers.tokens import fields_of
from vault.values import parse_secret

PATH = "/.well-known/opencode"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_TAKEN = re.compile(
    r"PATH|HOME|SHELL|IFS|ENV|BASH_ENV|NODE_OPTIONS|PYTHON.*|PERL5.*|RUBY(OPT|LIB)|(LD|DYLD|SSH|VAULT)_.*|GIT_(?!TOKEN).*",
    re.IGNORECASE,
)


def wellknown_flow(url: str) -> Flow[SignedIn]:
    """Sign in at a server that publishes how.

    Raises InputError when the document is missing or can't be used, SignInAgain when the person declines, Unavailable when the
    command can't be run or fails, TryAgain when the server can't be reached.
    """
    url = url.strip().rstrip("/").removesuffix(PATH)
    answer = yield from fetch(get(url + PATH, redirects=3))
    host = urlsplit(url).hostname or ""
    if answer.status == 429 or answer.status >= 500:
        raise TryAgain(f"{host} answered with status {answer.status}", hint="try again later")
    if answer.status != 200:
        raise InputError(f"{host} has no {PATH} (status {answer.status})", hint="check the address")
    document = fields_of(answer)
    auth = document.get("auth") if document else None
    if not isinstance(auth, dict):
        raise InputError(
            f"{PATH} at {host} is not a sign-in document",
            hint="a sign-in page or a proxy may have answered in its place",
        )
    argv, env = _command(auth.get("command"), host), _variable(auth.get("env"), host)
    shown = shlex.join(argv)
    if not (
        yield from consent(
            f"{host} wants to run this command here, as you; what it prints becomes {env}:\n  {shown}\nRun it?", argv
        )
    ):
        raise SignInAgain(
            f"the command of {host} was not run",
            hint="if you trust that server, run the same command again and agree",
        )
    output = yield from run_command(argv)
    if output is None:
        raise Unavailable(f"the program {argv[0]} can't be run here", hint="install it, then sign in again")
    if output.status:
        raise Unavailable(f"the program {argv[0]} failed with status {output.status}", hint=AGAIN)
    return SignedIn(WellKnown(url=url, env=env, token=parse_secret(output.text.strip())), host)


def _command(value: object, host: str) -> tuple[str, ...]:
    words = tuple(value) if isinstance(value, list) else ()
    if (
        not words
        or len(words) > 100
        or not all(isinstance(w, str) and w.isprintable() and len(w) < 4096 for w in words)
    ):
        raise InputError(f"{host} names no command that can be shown and run", hint="ask who runs that server")
    if not words[0].strip() or words[0].startswith("-"):
        raise InputError(f"{host} names no program", hint="ask who runs that server")
    return words


def _variable(value: object, host: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value) or _TAKEN.fullmatch(value):
        raise InputError(f"{host} names no variable that a token may go into", hint="ask who runs that server")
    return value
