"""What other tools' entries are called here, where an earlier version of the vault called them something else.

An entry that was taken over under its former name keeps it, so that nothing is taken twice and nothing is lost from sight. The
former names weren't distinct: where several entries had one, it is the entry's whose secret is there, else the first's.
"""

from __future__ import annotations

from dataclasses import replace

from vault.context import Context
from vault.events.credentials import AnyCredential
from vault.interop.findings import Findings, Found, FoundOrder
from vault.values import AgentId, ProfileId, provider_of


def under_known_names(context: Context, findings: Findings) -> Findings:
    """Findings whose profiles have the names under which the vault took them over before."""
    if all(found.former in (None, found.profile) for found in findings.found):
        return findings
    taken = {(found.agent, found.profile) for found in findings.found}
    called: dict[tuple[AgentId, ProfileId], ProfileId] = {}
    for found in sorted(findings.found, key=lambda f: not _is_there(context, f)):
        former = found.former
        if former is None or (found.agent, former) in taken or not _was_taken(context, findings.tool, found, former):
            continue
        taken.add((found.agent, former))
        called[found.agent, found.profile] = former
    return Findings(
        findings.tool,
        findings.paths,
        findings.agents,
        [replace(f, profile=called.get((f.agent, f.profile), f.profile)) for f in findings.found],
        [_order(order, called) for order in findings.orders],
        findings.skipped,
    )


def _was_taken(context: Context, tool: str, found: Found, former: ProfileId) -> bool:
    """Whether an entry's former name holds something of this tool's, and its name of today was never used."""
    state = context.queries.profile(found.agent, former)
    held = (state.current or state.ended) if state is not None else None
    return held is not None and held.tool == tool and context.queries.profile(found.agent, found.profile) is None


def _is_there(context: Context, found: Found) -> bool:
    state = context.queries.profile(found.agent, found.former) if found.former is not None else None
    return state is not None and state.current is not None and _same(context, state.current.position, found.credential)


def _same(context: Context, position: int, credential: AnyCredential) -> bool:
    return context.store.credential(position).secret() == credential.secret()


def _order(order: FoundOrder, called: dict[tuple[AgentId, ProfileId], ProfileId]) -> FoundOrder:
    profiles = tuple(called.get((order.agent, p), p) for p in order.profiles)
    return replace(order, profiles=profiles, provider=provider_of(profiles[0]) if profiles else order.provider)
