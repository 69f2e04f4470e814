"""why: the decision for an agent at a provider, with every candidate and its reason. Nothing is handed out.

``decide`` is asked by everything that chooses a credential, with the way it will be used: ``get``, ``api``, ``helper NAME``,
``exec``, ``env``, ``export``. The way decides the order of the sources (``candidates.sources_for``), and whether a credential of
another server can be chosen (``candidates.ADDRESS_WAYS``); nothing else.
"""

from __future__ import annotations

from dataclasses import replace

from vault.commands.candidates import ADDRESS_WAYS, CHILD_WAYS, STORE_WAYS, choose_among, family_of, sources_for
from vault.commands.disabling import disabled_by
from vault.context import Context
from vault.model.choosing import Decision
from vault.projections.queries import Queries
from vault.providers import catalogue
from vault.values import AgentId, ProviderId

NEEDS_NONE = "it runs on this machine and needs no credential"
WAYS = ("get", "helper", "exec", "env")
STORED_FIRST = "vault exec and vault env put stored profiles first"
AS_SET = "vault get, the helpers and Python follow the order of the settings"


def decide(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    *,
    way: str = "get",
    queries: Queries | None = None,
    now: int | None = None,
) -> Decision:
    """Choose a credential for a use: ``way`` as in the event of a hand-out.

    A provider of a cloud family is decided by its mode, whatever the way, and the answer is a ``CloudDecision``; unless it is
    about what is stored (``candidates.STORE_WAYS``) or of a past moment (``queries``). Raises NotFound for an unknown agent.
    """
    allowed = context.allows(provider)
    if allowed and way not in STORE_WAYS and queries is None and family_of(context, provider):
        from vault.commands.cloud import decide_cloud

        return decide_cloud(context, agent, provider, now=now)
    sources = sources_for(context, provider, way)
    carries = way in ADDRESS_WAYS
    decision = choose_among(context, agent, provider, sources=sources, queries=queries, now=now, carries=carries)
    if allowed and decision.chosen is None and not decision.considered and _is_local(context, provider):
        return replace(decision, basis=NEEDS_NONE)
    if allowed:
        return decision
    considered = [replace(c, code="provider_disabled", until=None) for c in decision.considered]
    return Decision(agent, provider, disabled_by(context, provider)[0], None, None, considered)


def otherwise(context: Context, decision: Decision, way: str, *, now: int | None = None) -> Decision | None:
    """The decision of the other ways, those of a child process or the rest, where it isn't the same as this one."""
    if not any(c.kind == "environment" for c in decision.considered):
        return None
    instead = "get" if way in CHILD_WAYS else "exec"
    other = decide(context, AgentId(decision.agent), ProviderId(decision.provider), way=instead, now=now)
    return other if other.chosen is not None and other.chosen.what != _what(decision) else None


def told_otherwise(other: Decision | None, way: str) -> str:
    """What ``otherwise`` found, in the words that ``why``, ``status`` and the pages have for it; empty for None."""
    if other is None or other.chosen is None:
        return ""
    return f"{AS_SET if way in CHILD_WAYS else STORED_FIRST}: {other.chosen.what}"


def _what(decision: Decision) -> str:
    return decision.chosen.what if decision.chosen else ""


def _is_local(context: Context, provider: ProviderId) -> bool:
    return catalogue.is_local(provider, context.settings.provider(provider).endpoint)
