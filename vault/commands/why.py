"""why: the decision for an agent at a provider, with every candidate and its reason. Nothing is handed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vault.context import Context
from vault.model.choosing import Candidate, Decision, choose
from vault.projections.queries import Queries, View
from vault.providers import catalogue
from vault.values import AgentId, ProviderId

SOURCES = ("environment", "stored")
STORED_ONLY = ("stored",)


def decide(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    *,
    sources: Sequence[str] = SOURCES,
    queries: Queries | None = None,
    now: int | None = None,
) -> Decision:
    """Choose a credential. ``sources`` are those that may be used, first first. Raises NotFound for an unknown agent."""
    view = View(queries or context.queries, agent)
    order, ordered_by = view.order(provider)
    pin, pinned_by = view.pin(provider)
    return choose(
        agent,
        provider,
        [resolvable(candidate, context.environ) for candidate in view.candidates(provider)],
        context.clock.now() if now is None else now,
        pin=pin,
        pinned_by=pinned_by,
        order=order,
        ordered_by=ordered_by,
        environment=[name for name in catalogue.env_names(provider) if context.environ.get(name)],
        sources=sources,
    )


def resolvable(candidate: Candidate, environ: Mapping[str, str]) -> Candidate:
    """The candidate with the trouble its kind of secret has, if any."""
    facts = candidate.facts
    if facts is None or candidate.trouble:
        return candidate
    if facts.kind == "reference":
        scheme, _, target = facts.reference.partition(":")
        if scheme != "env" or not environ.get(target):
            return replace(candidate, trouble="unresolved_reference")
    elif not facts.fingerprint:
        return replace(candidate, trouble="no_secret")
    return candidate
