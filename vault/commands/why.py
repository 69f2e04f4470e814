"""why: the decision for an agent at a provider, with every candidate and its reason. Nothing is handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vault.commands.candidates import STORED_ONLY, allowed_sources, choose_among, family_of, resolvable
from vault.context import Context
from vault.model.choosing import Decision
from vault.projections.queries import Queries
from vault.providers import catalogue
from vault.values import AgentId, ProviderId

__all__ = ["NEEDS_NONE", "STORED_ONLY", "allowed_sources", "aside", "decide", "resolvable"]

NEEDS_NONE = "it runs on this machine and needs no credential"


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

    A provider of a cloud family is decided by its mode, and the answer is a ``CloudDecision``, unless sources or a past moment's
    queries are given: then it is the choice among its stored profiles. Raises NotFound for an unknown agent.
    """
    allowed = context.allows(provider)
    if allowed and sources is None and queries is None and family_of(context, provider):
        from vault.commands.cloud import decide_cloud

        return decide_cloud(context, agent, provider, now=now)
    sources = allowed_sources(context, provider) if sources is None else sources
    decision = choose_among(context, agent, provider, sources=sources, queries=queries, now=now)
    if allowed and decision.chosen is None and not decision.considered and _is_local(context, provider):
        return replace(decision, basis=NEEDS_NONE)
    if allowed:
        return decision
    considered = [replace(c, code="provider_disabled", until=None) for c in decision.considered]
    return Decision(agent, provider, f"the settings in {context.settings.path} disable it", None, None, considered)


def aside(decision: Decision) -> str:
    """What should be said beside a decision; empty when nothing should.

    A cloud's mode is what ``exec`` uses too; of any other provider it uses stored profiles, even where a variable comes first.
    """
    from vault.commands.cloud import CloudDecision

    if isinstance(decision, CloudDecision):
        return "" if decision.chosen else decision.basis
    variables = [c.what.startswith("env:") for c in decision.considered]
    mixed = any(variables) and not all(variables)
    return "vault exec and vault env put stored profiles in place of environment variables" if mixed else ""


def _is_local(context: Context, provider: ProviderId) -> bool:
    return catalogue.is_local(provider, context.settings.provider(provider).endpoint)
