"""Signing in at a URL: the server's ``/.well-known/opencode`` names a command whose output is the token.

The command is another's, so it is shown whole, word by word, and run only when a person agrees; never through a
shell. A document that would hide part of its command is refused, and so is one that puts the token into a variable
that isn't a credential's. Where it is the variable of another provider, the person is told.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from urllib.parse import urlsplit

from vault.errors import InputError, SignInAgain, TryAgain, Unavailable
from vault.events.credentials import WellKnown
from vault.providers.flows.asking import AGAIN, SignedIn, get
from vault.providers.steps import Flow, consent, fetch, run_command
from vault.providers.tokens import fields_of
from vault.values import parse_secret
from vault.variables import is_credentials

PATH = "/.well-known/opencode"
LONGEST_COMMAND = 2000
_BLANKS = re.compile(r" {4,}")


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
    text = f"{host} wants to run this command here, as you; what it prints becomes {env}:\n{_shown(argv)}\n"
    if others := _owners(env):
        text += f"{env} is the variable of {others}: programs will take the token for theirs, and send it there.\n"
    if not (yield from consent(f"{text}Run it?", argv)):
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
        or not all(isinstance(w, str) and w.isprintable() for w in words)
        or sum(map(len, words)) > LONGEST_COMMAND
    ):
        raise InputError(f"{host} names no command that can be shown and run", hint="ask who runs that server")
    if not words[0].strip() or words[0].startswith("-"):
        raise InputError(f"{host} names no program", hint="ask who runs that server")
    return words


def _variable(value: object, host: str) -> str:
    if not isinstance(value, str) or not is_credentials(value):
        raise InputError(
            f"{host} names no variable that a token may go into",
            hint="it must be called like a credential, CORP_TOKEN or CORP_API_KEY: ask who runs that server",
        )
    return value


def _owners(variable: str) -> str:
    """The providers whose variable it is, if it is any's."""
    from vault.providers import catalogue

    names = [known.name for p in catalogue.providers_of_variable(variable) if (known := catalogue.provider(p))]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _shown(argv: Sequence[str]) -> str:
    """A command word by word, each quoted; a run of blanks, which could push the end out of sight, as its length."""
    words = [_BLANKS.sub(lambda run: f"[{len(run[0])} blanks]", shlex.quote(word)) for word in argv]
    return "\n".join(f"  {number} {word}" for number, word in enumerate(words, start=1))
