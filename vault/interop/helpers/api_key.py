"""``api-key``: the bare secret and a newline, but never an OAuth token.

Called by Claude Code (``apiKeyHelper``), which sends what it gets as an API key, and by Codex (``model_providers.X.auth``) at an
address that takes API keys. A login that stands before the keys in the vault's order would be sent there too: it is passed over,
and is not handed out.
"""

from __future__ import annotations

from vault.errors import InputError, NotFound, UsageError
from vault.events.credentials import OAuth
from vault.interop.helpers import Answer, Helper, Request, Serving

SETUP_TOKEN = "sk-ant-oat"  # noqa: S105 - how one starts
LONGEST = 16_384


def run(request: Request, serving: Serving) -> Answer:
    """Print the API key of what is named. Raises UsageError, NotFound, InputError, and what the vault raises."""
    if not request.arguments:
        raise UsageError("no provider is named", hint="vault helper api-key PROVIDER|PROFILE")
    what = request.arguments[0]
    given = serving.give_fitting(what, _is_key)
    if given is None:
        raise _no_key(what)
    secret = given.secret.reveal()
    if len(secret) > LONGEST or not secret.isascii() or " " in secret:
        raise InputError(f"{given.profile or what} can't be sent as an API key", hint="give it with vault exec instead")
    return Answer(secret.encode() + b"\n")


def _is_key(kind: str, secret: str) -> bool:
    return kind != OAuth.kind and not secret.startswith(SETUP_TOKEN)


def _no_key(name: str) -> NotFound:
    return NotFound(
        f"what there is for {name} is a login and not an API key, and would be sent as one",
        hint=f"log in with a key (vault login {name.partition(':')[0]}), or start the tool with vault exec --tool",
    )


HELPER = Helper(name="api-key", title="The bare secret, if it is an API key", usage="PROVIDER|PROFILE", run=run)
