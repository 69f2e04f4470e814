"""``api-key``: the bare secret and a newline, but never an OAuth token.

Called by Claude Code (``apiKeyHelper``), which sends what it gets as an API key, and by Codex (``model_providers.X.auth``) at an
address that takes API keys. A login that stands before the keys in the vault's order would be sent there too: where a provider
is named and one of its profiles alone is a key, that one is given; where a login would be given, nothing is.
"""

from __future__ import annotations

from vault.errors import InputError, NotFound, UsageError
from vault.events.credentials import ApiKey, OAuth, Reference, Token
from vault.interop.helpers import Answer, Helper, Request, Serving

SETUP_TOKEN = "sk-ant-oat"  # noqa: S105 - how one starts
LONGEST = 16_384


def run(request: Request, serving: Serving) -> Answer:
    """Print the API key of what is named. Raises UsageError, NotFound, InputError, and what the vault raises."""
    if not request.arguments:
        raise UsageError("no provider is named", hint="vault helper api-key PROVIDER|PROFILE")
    what = request.arguments[0]
    given = serving.give(_meant(what, serving))
    secret = given.secret.reveal()
    if given.kind == OAuth.kind or secret.startswith(SETUP_TOKEN):
        raise _no_key(given.profile or what)
    if len(secret) > LONGEST or not secret.isascii() or " " in secret:
        raise InputError(f"{given.profile or what} can't be sent as an API key", hint="give it with vault exec instead")
    return Answer(secret.encode() + b"\n")


def _meant(what: str, serving: Serving) -> str:
    """What to ask the vault for: the one profile that is a key, where logins stand beside it. Raises NotFound."""
    provider, colon, _ = what.partition(":")
    held = [h for h in serving.holdings(provider) if not colon or h.profile == what]
    logins = [h for h in held if h.kind == OAuth.kind]
    keys = [h for h in held if h.kind in (ApiKey.kind, Reference.kind)]
    tokens = [h for h in held if h.kind == Token.kind]
    if logins and not keys and not tokens:
        raise _no_key(logins[0].profile)
    return keys[0].profile if len(keys) == 1 and (logins or tokens) and not colon else what


def _no_key(name: str) -> NotFound:
    return NotFound(
        f"{name} is a login and not an API key, and would be sent as one",
        hint=f"log in with a key (vault login {name.partition(':')[0]}), or start the tool with vault exec --tool",
    )


HELPER = Helper(name="api-key", title="The bare secret, if it is an API key", usage="PROVIDER|PROFILE", run=run)
