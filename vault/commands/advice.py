"""What an agent tells its person: the line to type for each way to sign in, and why. Nothing is completed here.

The line is the one that brings back what there was: it names the profile that is in trouble and the agent that owns it, and a
credential that came by a server's URL or by discovery gets the line it came by.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from vault.commands.naming import is_known
from vault.commands.remembering import remembered
from vault.commands.status import OK, STALE, UNCERTAIN, UNPROVEN, ProviderStatus, status
from vault.context import Context
from vault.errors import InputError, NotReady, VaultError
from vault.events.credentials import AnyCredential, OAuth, WellKnown
from vault.interop.servers import server_of
from vault.providers.clients import CUSTOM
from vault.providers.cloud import family_of_id
from vault.providers.judging import CLAUDE_CODE_ONLY, REFUSED
from vault.providers.methods import DISCOVERY, DISCOVERY_DEVICE, URL, Method, methods
from vault.values import MAIN_AGENT, AgentId, ProfileId, ProviderId

# Which kinds of method bring a kind of credential.
_BRINGS = {
    "api_key": ("api_key", "pkce_key"),
    "token": ("token", "setup_token"),
    "oauth": ("browser", "device", "github_exchange", "external", "plugin"),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """How a person can sign in: the line for each way, the one to recommend first. ``run`` is what to do now, if anything is.

    ``state`` is that of ``vault status``, empty when the vault can't be opened; ``why`` is empty when nothing is wrong;
    ``reasons`` are the candidates there are, as (what, code, text), with what is the matter with each.
    """

    provider: str
    state: str
    why: str
    run: str
    ways: tuple[tuple[Method, str], ...] = ()
    reasons: tuple[tuple[str, str, str], ...] = ()


def provider_of_url(url: str) -> ProviderId:
    """The provider id under which a server's own sign-in is kept: its host, and its port. Raises InputError."""
    try:
        if "://" in url:
            return server_of(url).provider
    except InputError:
        pass
    raise InputError("that is not a URL", hint="write it as https://host")


def login_line(what: str, agent: str = MAIN_AGENT, method: str = "", extra: Sequence[str] = ()) -> str:
    """The exact line a person types to sign in."""
    words = ["vault", "login", *([what] if what else [])]
    words += ["--method", method] if method else []
    words += [*extra, *(["--agent", agent] if agent != MAIN_AGENT else [])]
    return shlex.join(words)


def advise(context: Context, agent: AgentId, provider: ProviderId) -> Advice:
    """How a person can sign in at a provider, and why they should. Raises NotFound for an unknown agent."""
    (found,) = status(context, agent, [provider])
    reasons = tuple((c.what, c.code, c.text) for c in found.decision.considered)
    why = found.text if found.state != OK else ""
    if not context.allows(provider):
        return Advice(provider, found.state, why, found.hint, (), reasons)
    what, owner = _subject(found, agent)
    kind = _kind(context, what, owner)
    if found.state in (OK, REFUSED) and found.word == UNPROVEN and REFUSED in found.proof:
        why = f"the provider refused it when it was asked last ({found.proof})"
        kind = "api_key" if CLAUDE_CODE_ONLY in found.proof else kind
    before = remembered(context, owner, ProfileId(what)).get("method", "") if ":" in what else ""
    before = "" if kind == "api_key" and CLAUDE_CODE_ONLY in found.proof else before
    ways = _again(context, what, owner) or _ways(provider, what, owner, kind, before)
    if not why:
        run = ""
    elif found.state in (STALE, UNCERTAIN):
        run = found.hint
    elif ways:
        run = ways[0][1]
    else:
        family = family_of_id(provider)
        run = f"vault doctor {family}" if family else f"vault provider show {provider}"
    return Advice(provider, found.state, why, run, ways, reasons)


def advise_unopened(agent: AgentId, provider: ProviderId, trouble: VaultError) -> Advice:
    """The same, where the vault can't be opened: that comes first."""
    ways = _ways(provider, provider, agent)
    run = "vault init" if isinstance(trouble, NotReady) else ways[0][1] if ways else ""
    return Advice(provider, "", str(trouble), run, ways)


def again(context: Context, agent: AgentId, profile: ProfileId) -> str:
    """The line that brings back a profile's credential the way it came, where only one way does; else the plain line."""
    ways = _again(context, profile, agent)
    return ways[0][1] if ways else login_line(profile, agent)


def _subject(found: ProviderStatus, agent: AgentId) -> tuple[str, AgentId]:
    """What to sign in to, and whose it is: the profile in trouble if there is one, else the provider."""
    if found.owner:
        return found.chosen, AgentId(found.owner)
    ended = [
        c
        for c in found.decision.considered
        if c.code in ("expired", "needs_sign_in", "replaced", "stale") and ":" in c.what
    ]
    if not found.decision.chosen and len(ended) == 1:
        return ended[0].what, AgentId(ended[0].owner or agent)
    return found.provider, agent


def _again(context: Context, what: str, owner: AgentId) -> tuple[tuple[Method, str], ...]:
    """The one way of a credential that came by a URL or by discovery."""
    credential = _credential(context, what, owner)
    if isinstance(credential, WellKnown):
        name = what.partition(":")[2]
        extra = [] if name == "default" else ["--profile", name]
        return ((URL, login_line(credential.url, owner, "", extra)),)
    if isinstance(credential, OAuth) and credential.metadata.get("client") == CUSTOM:
        before = remembered(context, owner, ProfileId(what))
        device = before.get("method") == DISCOVERY_DEVICE.id
        extra = ["--issuer", before.get("issuer", ""), "--client-id", before.get("client_id", "")]
        extra += [word for scope in before.get("scopes", "").split() for word in ("--scope", scope)]
        line = login_line(what, owner, "", [*extra, *(["--device"] if device else [])])
        return ((DISCOVERY_DEVICE if device else DISCOVERY, line),)
    return ()


def _credential(context: Context, what: str, owner: AgentId) -> AnyCredential | None:
    state = context.queries.profile(owner, what) if ":" in what else None
    held = (state.current or state.ended) if state else None
    if held is None or held.facts.kind not in ("oauth", "wellknown"):
        return None
    try:
        return context.store.credential(held.position)
    except VaultError:
        return None


def _kind(context: Context, what: str, owner: AgentId) -> str:
    state = context.queries.profile(owner, what) if ":" in what else None
    return state.current.facts.kind if state and state.current else ""


def _ways(provider: str, what: str, owner: AgentId, kind: str = "", before: str = "") -> tuple[tuple[Method, str], ...]:
    offered = [m for m in methods(provider) if m.kind != "none"]
    own = [] if ":" in what or is_known(provider) else ["--custom"]
    ways = [
        (m, login_line(provider, MAIN_AGENT, m.id))
        if m.kind == "external"
        else (m, login_line(what, owner, m.id if len(offered) > 1 else "", own))
        for m in offered
    ]

    def last(way: tuple[Method, str]) -> tuple[bool, bool]:
        return way[0].id != before, bool(kind) and way[0].kind not in _BRINGS.get(kind, ())

    return tuple(sorted(ways, key=last))
