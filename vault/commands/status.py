"""status: for every provider in use, what would be chosen, from where, until when, and whether it is known to work.

| state | means | check |
|---|---|---|
| ok | usable, and nothing a person must do within 24 hours; or nothing is needed, as on this machine | 0 |
| expiring | usable, ends within 24 hours, and nothing can renew it | 2 |
| expired | it has ended, and nothing can renew it | 1 |
| stale | it has ended here or at the tool that owns it, which has not renewed it | 1 |
| needs_sign_in | the provider refused to refresh it, two refreshes in a row have no known outcome, or it has ended and its | 1 |
| | refresh token is one that a newer one took the place of | |
| uncertain | a refresh has no known outcome; it is tried once more | 0, or 1 once its access token has ended |
| refused | it has not ended, and the provider refused it when it was asked last | 1 |
| unusable | what there is can't be used: disabled, destroyed, leads nowhere, switched off | 1 |
| missing | nothing is stored or set, or the tool that owns it no longer holds it | 1 |

A refreshable token is not expiring because its access token is short-lived. *Claimed* means that only the catalogue or the store
says so, *proven* that the last probe or refresh worked, *unproven* that the last one did not, or told nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vault.commands.candidates import SESSION_PIN, allowed_sources, family_of, pin_of
from vault.commands.disabling import disabled_by
from vault.commands.external import external
from vault.commands.naming import how_to_have, with_agent
from vault.commands.standing import (
    CLAIMED,
    EXPIRED,
    EXPIRING,
    MISSING,
    NEEDS_SIGN_IN,
    OK,
    PROVEN,
    REFUSED,
    STALE,
    UNCERTAIN,
    UNPROVEN,
    UNUSABLE,
    WARN_BEFORE,
    dangling,
    ended_text,
    life,
    proof_of,
    sign_in_line,
)
from vault.commands.why import decide, otherwise
from vault.context import Context
from vault.events.types import Health
from vault.model.choosing import Considered, Decision
from vault.model.health import WELL
from vault.model.profile import ProfileState
from vault.projections.queries import View
from vault.providers import catalogue
from vault.settings import SHOWN, VARIABLES
from vault.values import AgentId, ProfileId, ProviderId, format_instant, provider_of

if TYPE_CHECKING:
    from vault.commands.cloud import CloudState
    from vault.providers.cloud.modes import Problem

__all__ = [
    "CLAIMED",
    "CLOUD",
    "EXPIRED",
    "EXPIRING",
    "LOCAL",
    "MISSING",
    "NEEDS_SIGN_IN",
    "OK",
    "PROVEN",
    "REFUSED",
    "STALE",
    "STORED",
    "UNCERTAIN",
    "UNPROVEN",
    "UNUSABLE",
    "WARN_BEFORE",
    "ProviderStatus",
    "dangling",
    "in_use",
    "life",
    "sign_in_line",
    "status",
    "worst",
]

STORED, LOCAL, CLOUD = "stored", "local", "cloud"

_FAILING = (EXPIRED, STALE, NEEDS_SIGN_IN, REFUSED, UNUSABLE, MISSING)
_ABSENT = {"missing", "hidden"}
_ENDED = {"expired", "stale", "needs_sign_in", "replaced"}


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """One provider as an agent sees it. ``chosen`` is what would be used; ``word`` is claimed, proven or unproven.

    ``source`` is stored, environment, .env, env file, cloud (what its own tools read) or local (nothing is needed). ``check`` is
    the exit status this calls for with ``--check``. ``expires_at`` is in microseconds UTC. ``otherwise`` is the decision of
    ``exec`` and ``env``, where they would use something else.
    """

    provider: str
    name: str
    state: str
    check: int
    chosen: str
    source: str
    owner: str
    kind: str
    expires_at: int | None
    refreshable: bool
    health: Health
    word: str
    proven_at: int | None
    proof: str
    text: str
    hint: str
    decision: Decision
    otherwise: Decision | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What is so, in words and as a state. With a ``source`` it tells what is used in place of the decision's choice."""

    state: str
    text: str = ""
    hint: str = ""
    chosen: str = ""
    source: str = ""
    owner: str = ""
    kind: str = ""
    expires_at: int | None = None


def status(
    context: Context, agent: AgentId, providers: Sequence[ProviderId] = (), *, now: int | None = None
) -> list[ProviderStatus]:
    """The status of the named providers, or of all in use. Appends nothing. Raises NotFound for an unknown agent."""
    now = context.clock.now() if now is None else now
    view = View(context.queries, agent)
    return [_of(context, agent, provider, view, now) for provider in providers or in_use(context, agent)]


def worst(found: Sequence[ProviderStatus]) -> int:
    """The exit status of ``--check``: 1 before 2 before 0."""
    checks = {s.check for s in found}
    return 1 if 1 in checks else 2 if 2 in checks else 0


def in_use(context: Context, agent: AgentId) -> list[ProviderId]:
    """Providers with a profile the agent sees, an order or a pin, a variable that may be used, or a source in the settings."""
    view = View(context.queries, agent)
    found = {provider_of(ProfileId(s.profile)) for s in view.owned() if s.current is not None}
    for owner in view.lineage:
        found |= {ProviderId(r.provider) for r in context.queries.rotations(owner) if r.order is not None or r.pin}
    for source in VARIABLES:
        if source == "dotenv" and source not in context.settings.sources:
            continue
        for provider, _ in catalogue.environment_hits(context.variables(source)):
            if source in allowed_sources(context, provider):
                found.add(provider)
    for name, table in context.settings.providers.items():
        if table.auth_source or table.family or (table.endpoint and catalogue.is_local(name, table.endpoint)):
            found.add(ProviderId(name))
    return sorted(p for p in found if context.allows(p))


def _of(context: Context, agent: AgentId, provider: ProviderId, view: View, now: int) -> ProviderStatus:
    decision = decide(context, agent, provider, now=now)
    known = catalogue.provider(provider)
    chosen, candidate = decision.chosen, decision.candidate
    profile = view.find(ProfileId(candidate.profile)) if candidate else None
    found = _found(context, decision, profile, view, agent, now)
    if found.source:
        chosen = candidate = profile = None
    facts = candidate.facts if candidate else None
    ended = facts is not None and facts.expires_at is not None and facts.expires_at <= now
    word, proven_at, proof = proof_of(profile)
    return ProviderStatus(
        provider=provider,
        name=known.name if known else provider,
        state=found.state,
        check=1 if found.state in _FAILING or (found.state == UNCERTAIN and ended) else 2 * (found.state == EXPIRING),
        chosen=found.chosen or (chosen.what if chosen else ""),
        source=found.source or _source(chosen),
        owner=found.owner or (candidate.owner if candidate else ""),
        kind=found.kind or (facts.kind if facts else chosen.kind if chosen else ""),
        expires_at=found.expires_at or (facts.expires_at if facts else None),
        refreshable=bool(facts and facts.refresh_fingerprint),
        health=candidate.health if candidate else WELL,
        word=word,
        proven_at=proven_at,
        proof=proof,
        text=found.text,
        hint=found.hint,
        decision=decision,
        otherwise=otherwise(context, decision, "get", now=now),
    )


def _source(chosen: Considered | None) -> str:
    if chosen is None:
        return ""
    place = chosen.what.partition(":")[0] if chosen.kind == "environment" else chosen.kind
    return {**SHOWN, CLOUD: CLOUD if not chosen.owner else STORED}.get(place, STORED)


def _found(
    context: Context, decision: Decision, profile: ProfileState | None, view: View, agent: AgentId, now: int
) -> _Found:
    provider = ProviderId(decision.provider)
    if not context.allows(provider):
        return _Found(UNUSABLE, *disabled_by(context, provider))
    cloud = _cloud(context, decision, now)
    if cloud is not None and cloud.state != OK:
        hint = cloud.hint or f"vault doctor {family_of(context, provider)}"
        return _Found(cloud.state, cloud.text, hint, expires_at=cloud.expires_at)
    if decision.chosen is None:
        return _nothing(context, decision, view, agent, now)
    if profile is None:
        return _Found(OK, expires_at=cloud.expires_at if cloud else None)
    state, text = life(context, profile, now)
    if state in (OK, REFUSED) and external(profile):
        return _elsewhere(context, decision, profile, now)
    if state == OK:
        return _Found(OK)
    once_more = with_agent(f"vault refresh {profile.profile}", profile.agent)
    return _Found(state, text, once_more if state == UNCERTAIN else sign_in_line(context, profile))


def _nothing(context: Context, decision: Decision, view: View, agent: AgentId, now: int) -> _Found:
    """Why nothing could be chosen, and what to do."""
    provider = ProviderId(decision.provider)
    codes = {c.code for c in decision.considered} - _ABSENT
    if not codes:
        of_a_cloud = family_of(context, provider)
        if not of_a_cloud and catalogue.is_local(provider, context.settings.provider(provider).endpoint):
            return _Found(OK, source=LOCAL, kind="none")
        return _missing(context, decision, view, how_to_have(provider, agent, context.environ))
    troubled = [
        state for c in decision.considered if c.code in _ENDED and (state := context.queries.profile(c.owner, c.what))
    ]
    if codes <= _ENDED and troubled:
        return _ended(context, [(profile, *life(context, profile, now)) for profile in troubled])
    left = [c for c in decision.considered if c.code not in _ABSENT]
    told = "; ".join(f"{c.what} ({c.text}{f' until {format_instant(c.until)}' if c.until else ''})" for c in left)
    told = f"nothing can be used: {told}"
    if codes == {"disabled"}:
        return _Found(UNUSABLE, told, with_agent(f"vault health clear {left[0].what}", left[0].owner))
    if "not_in_order" in codes:
        return _Found(UNUSABLE, told, "vault doctor --fix")
    return _Found(UNUSABLE, told, with_agent(f"vault why {provider}", agent))


def _missing(context: Context, decision: Decision, view: View, login: str) -> _Found:
    """Nothing is there: by an order or a pin that names what is gone, or at all."""
    pinned, pinned_by = pin_of(context, AgentId(decision.agent), ProviderId(decision.provider))
    if pinned and pinned_by == SESSION_PIN:
        return _Found(MISSING, f"{SESSION_PIN} names {pinned}, which is gone", f"unset {SESSION_PIN}")
    order, ordered_by = view.order(decision.provider)
    if pinned:
        return _Found(MISSING, f"{pinned_by} is pinned to {pinned}, which is gone", "vault doctor --fix")
    if order:
        text = f"the order of agent {ordered_by} names only what is gone: {', '.join(order)}"
        return _Found(MISSING, text, "vault doctor --fix")
    problem = next((p for p in _mode_problems(decision) if p.code == "no_source"), None)
    if problem is not None:
        return _Found(MISSING, problem.text, problem.hint)
    return _Found(MISSING, "nothing is stored or set for it", login)


def _ended(context: Context, troubled: Sequence[tuple[ProfileState, str, str]]) -> _Found:
    """All there is has ended: the one to tell is the one a person can do most about."""
    for wanted in (NEEDS_SIGN_IN, UNCERTAIN, EXPIRED, STALE):
        for profile, state, text in troubled:
            if state != wanted:
                continue
            if state == STALE:
                return _stale(context, profile, text)
            return _Found(state, text, sign_in_line(context, profile))
    profile, _, _ = troubled[0]
    return _Found(EXPIRED, ended_text(context, profile), sign_in_line(context, profile))


def _stale(context: Context, profile: ProfileState, text: str) -> _Found:
    from vault.commands.outside import GONE, RENEWED, look

    held = profile.current
    there = look(context, profile)
    if there.found == RENEWED:
        told = f"{there.tool} has renewed it; that is read at its next use"
        kind = held.facts.kind if held else ""
        return _Found(OK, told, "", profile.profile, STORED, profile.agent, kind, there.expires_at)
    if there.found == GONE:
        return _Found(MISSING, f"it has ended, and {there.why}", there.hint)
    return _Found(STALE, text, there.hint)


def _elsewhere(context: Context, decision: Decision, profile: ProfileState, now: int) -> _Found:
    """A profile that can be used here. One that another tool owns is judged by what that tool holds now."""
    from vault.commands.outside import ENDED, GONE, RENEWED, UNREAD, look

    there = look(context, profile)
    if there.found == GONE:
        return _Found(MISSING, f"{there.why}: what the vault has is used until it ends", there.hint)
    state, text = life(context, profile, now)
    if state == REFUSED and there.found not in (ENDED, RENEWED):
        return _Found(REFUSED, text, sign_in_line(context, profile))
    if there.found == UNREAD:
        return _Found(OK, f"{there.why}: what the vault has is used until it ends", there.hint)
    if there.found != ENDED:
        return _Found(OK)
    spare = next((c for c in decision.considered if c.code == "next"), None)
    other = context.queries.profile(spare.owner, spare.what) if spare and spare.owner else None
    if spare is None or (other is not None and life(context, other, now)[0] != OK):
        return _Found(STALE, there.why, there.hint)
    ends = other.current.facts.expires_at if other and other.current else None
    text = f"{there.why}, so {spare.what} is used in place of {profile.profile}"
    return _Found(OK, text, there.hint, spare.what, _source(spare), spare.owner, spare.kind, ends)


def _cloud(context: Context, decision: Decision, now: int) -> CloudState | None:
    """How a provider of a cloud family stands, by its mode; None for another provider, and where the mode found no source."""
    if not family_of(context, decision.provider):
        return None
    from vault.commands.cloud import state_of

    if any(p.code == "no_source" for p in _mode_problems(decision)):
        return None
    return state_of(decision, now, WARN_BEFORE)


def _mode_problems(decision: Decision) -> Sequence[Problem]:
    """What is wrong with the mode of a cloud provider; nothing for another one."""
    if not hasattr(decision, "resolved"):
        return ()
    problems: Sequence[Problem] = decision.resolved.mode.problems
    return problems
