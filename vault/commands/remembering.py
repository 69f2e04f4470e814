"""How a profile was signed in to, so that signing in again needs no options. No secret is part of it.

| | |
|---|---|
| ``method`` | the method's id, as ``--method`` has it; ``discovery``, ``discovery-device`` and ``url`` for those without one |
| ``kind`` | of a secret that was typed: api_key or token, where that isn't the method's |
| ``issuer``, ``client_id``, ``scopes``, ``host``, ``url`` | what the method was given; scopes are separated by blanks |

A login that was stored before this was kept, or that came by an import, tells most of it by what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vault.context import Context
from vault.errors import VaultError
from vault.events.credentials import AnyCredential, OAuth, Token, WellKnown
from vault.model.profile import Held
from vault.projections.queries import View
from vault.providers.clients import CUSTOM
from vault.providers.flows.setup_token import PREFIX
from vault.providers.methods import DISCOVERY, URL, Method, methods
from vault.values import AgentId, ProfileId, provider_of

SETUP_TOKEN = "setup_token"  # noqa: S105 - the kind of a method
_GIVEN = ("issuer", "client_id", "host", "url")


def how(
    method: Method, given: Mapping[str, str], scopes: Sequence[str] = (), credential: AnyCredential | None = None
) -> dict[str, str]:
    """What to remember of a sign-in by a method. ``credential`` is what it brought: it tells what was asked for on the way."""
    found = {name: given.get(name, "") for name in _GIVEN}
    if credential is not None:
        asked = {name: credential.metadata.get(name, "") for name in ("issuer", "client_id", "host")}
        found |= {name: value for name, value in asked.items() if name in method.needs and value}
    found |= {"method": method.id, "scopes": " ".join(scopes)}
    return {name: value for name, value in found.items() if value}


def typed_in(method: Method, kind: str) -> dict[str, str]:
    """What to remember of a secret that was typed in, or came by a pipe or a file, as a kind of credential."""
    return {"method": method.id, **({"kind": kind} if kind != method.kind else {})}


def remembered(context: Context, agent: AgentId, profile: ProfileId) -> dict[str, str]:
    """How a profile, the agent's own or one it inherits, was signed in to last; nothing where that isn't known."""
    try:
        state = View(context.queries, agent).find(profile)
    except VaultError:
        return {}
    held = state.current or state.ended
    if held is None:
        return {}
    return dict(held.facts.sign_in) or _told_by(context, held, profile)


def is_setup_token(context: Context, agent: AgentId, profile: ProfileId) -> bool:
    """Whether a profile holds what ``claude setup-token`` made."""
    name = remembered(context, agent, profile).get("method", "")
    return any(m.id == name and m.kind == SETUP_TOKEN for m in methods(provider_of(profile)))


def _told_by(context: Context, held: Held, profile: ProfileId) -> dict[str, str]:
    offered = methods(provider_of(profile))
    if held.facts.ownership == "external":
        return next(({"method": m.id} for m in offered if m.kind == "external" and m.id == held.tool), {})
    if held.facts.kind not in (OAuth.kind, WellKnown.kind, Token.kind):
        return {}
    try:
        credential = context.store.credential(held.position)
    except VaultError:
        return {}
    metadata = credential.metadata
    if isinstance(credential, WellKnown):
        return how(URL, {"url": credential.url})
    if isinstance(credential, Token):
        found = [m for m in offered if m.kind == SETUP_TOKEN and credential.token.startswith(PREFIX)]
        return {"method": found[0].id} if found else {}
    if metadata.get("client") == CUSTOM:
        scopes = credential.scopes if isinstance(credential, OAuth) else ()
        return how(DISCOVERY, metadata, scopes)
    fitting = [m for m in offered if m.client and m.client == metadata.get("client")]
    fitting.sort(key=lambda m: ("host" in m.needs) != bool(metadata.get("host")))
    return how(fitting[0], metadata) if fitting else {}
