"""why: the decision for an agent at a provider, with every candidate and its reason. Nothing is handed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vault.context import Context
from vault.model.choosing import Candidate, Decision, choose
from vault.projections.queries import Queries, View
from vault.providers import catalogue
from vault.settings import SOURCES
from vault.unlock.references import quick
from vault.values import AgentId, ProviderId

STORED_ONLY = ("stored",)


def decide(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    *,
    sources: Sequence[str] | None = None,
    queries: Queries | None = None,
    now: int | None = None,
) -> Decision:
    """Choose a credential. ``sources`` are those that may be used, first first; the settings' unless given.

    Raises NotFound for an unknown agent.
    """
    view = View(queries or context.queries, agent)
    order, ordered_by = view.order(provider)
    pin, pinned_by = view.pin(provider)
    names = catalogue.read_names(provider)
    decision = choose(
        agent,
        provider,
        [resolvable(candidate, context.environ) for candidate in view.candidates(provider)],
        context.clock.now() if now is None else now,
        pin=pin,
        pinned_by=pinned_by,
        order=order,
        ordered_by=ordered_by,
        environment=[name for name in names if context.environ.get(name)],
        dotenv=[name for name in names if "dotenv" in context.settings.sources and context.dotenv.get(name)],
        sources=allowed_sources(context, provider) if sources is None else sources,
    )
    if context.allows(provider):
        return decision
    considered = [replace(c, code="provider_disabled") for c in decision.considered]
    return Decision(agent, provider, f"the settings in {context.settings.path} disable it", None, None, considered)


def allowed_sources(context: Context, provider: ProviderId) -> tuple[str, ...]:
    """The sources the settings allow for a provider: its pin alone, or the general list."""
    pinned = context.settings.provider(provider).auth_source
    return (pinned,) if pinned in SOURCES else context.settings.sources


def resolvable(candidate: Candidate, environ: Mapping[str, str]) -> Candidate:
    """The candidate with the trouble its kind of secret has, if any."""
    facts = candidate.facts
    if facts is None or candidate.trouble:
        return candidate
    if facts.kind == "reference":
        scheme, _, target = facts.reference.partition(":")
        if quick(scheme, target, environ) is False:
            return replace(candidate, trouble="unresolved_reference")
    elif not facts.fingerprint:
        return replace(candidate, trouble="no_secret")
    return candidate
