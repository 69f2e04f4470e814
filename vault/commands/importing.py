"""Taking over what an importer found: decide for each entry, then append everything at once, or nothing.

Doing it twice is doing it once: a credential the vault holds, or ever took from this tool for that profile, is not taken again,
so an import never undoes a newer login. The same holds for an order once the agent has had one here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from vault.commands.former import under_known_names
from vault.commands.login import facts_of, health_drafts
from vault.context import Context
from vault.events.credentials import Cloud
from vault.events.types import AgentRegistered, OrderCleared, OrderSet, ProfileImported, UseReported
from vault.interop.findings import Findings, Found, FoundOrder
from vault.log.records import Draft
from vault.model import profile as model
from vault.model.profile import ProfileState
from vault.model.streams import AGENTS, profile_stream, rotation_stream
from vault.values import MAIN_AGENT, AgentId, ProfileId

TAKEN, SAME, SKIPPED = "taken", "already here", "skipped"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing found and what becomes of it: ``action`` is taken, already here or skipped."""

    what: str
    agent: str
    kind: str
    action: str
    why: str
    path: str


@dataclass(frozen=True, slots=True)
class Imported:
    """The outcome of an import. ``position`` is the last event's, or None when nothing was appended."""

    tool: str
    paths: tuple[str, ...]
    lines: list[Line]
    dry_run: bool
    position: int | None = None

    def count(self, action: str) -> int:
        """How many lines have an action."""
        return sum(1 for line in self.lines if line.action == action)


def take_over(
    context: Context, findings: Findings, *, dry_run: bool = False, reason: str = "", again: bool = False
) -> Imported:
    """Import what was found. Raises whatever keeps the events from being written; then nothing was.

    ``again`` takes over also what was taken before and has been logged out or replaced since: a person asked for it by name.
    """
    findings = under_known_names(context, findings)
    lines: list[Line] = []

    def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
        lines.clear()
        drafts, expected = _agents(context, findings)
        for found in findings.found:
            more, line = _credential(context, findings.tool, found, expected, again)
            drafts += more
            lines.append(line)
        arriving = {(f.agent, f.profile) for f in findings.found}
        for order in findings.orders:
            more, line = _order(context, order, arriving, expected)
            drafts += more
            lines.append(line)
        lines.extend(Line(s.name, "", "", SKIPPED, s.why, s.path) for s in findings.skipped)
        return drafts, expected

    if dry_run:
        build()
        return Imported(findings.tool, tuple(findings.paths), lines, True)
    recorded = context.decide(context.cause(reason), "", build)
    position = recorded[-1].position if recorded else None
    return Imported(findings.tool, tuple(findings.paths), lines, False, position)


def _agents(context: Context, findings: Findings) -> tuple[list[Draft], dict[str, int]]:
    """Events for agents that are needed and not known."""
    known = context.queries.agents()
    parents = dict(findings.agents)
    needed = [*parents, *(f.agent for f in findings.found), *(o.agent for o in findings.orders)]
    drafts = [
        Draft(stream=AGENTS, event=AgentRegistered(agent=agent, inherits=parents.get(agent, MAIN_AGENT)))
        for agent in dict.fromkeys(needed)
        if not known.known(agent)
    ]
    return drafts, ({AGENTS: known.version} if drafts else {})


def _credential(
    context: Context, tool: str, found: Found, expected: dict[str, int], again: bool
) -> tuple[list[Draft], Line]:
    state = context.queries.profile(found.agent, found.profile)
    stream = profile_stream(found.agent, found.profile)
    here = state.current.facts if state and state.current else None
    names = list(dict.fromkeys([*(here.env if here else ()), *found.env]))
    facts = facts_of(
        context,
        found.credential,
        label=found.label,
        account=found.account,
        ownership=found.ownership,
        base_url=found.base_url,
        env=names,
    )
    known = frozenset(
        (r.event.credential.fingerprint, r.event.credential.refresh_fingerprint)
        for r in context.store.read_stream(stream)
        if not again
        and isinstance(r.event, ProfileImported)
        and r.event.tool == tool
        and r.event.credential.fingerprint
    )
    event = model.take_over(state, found.agent, found.profile, facts, tool, found.path, found.why, known)
    if event is None and not facts.fingerprint and _differs(context, state, found):
        event = ProfileImported(
            agent=found.agent, profile=found.profile, credential=facts, tool=tool, path=found.path, why=found.why
        )
    if (
        event is None
        and state
        and state.current
        and here
        and here.fingerprint == facts.fingerprint
        and here.env != names
    ):
        why = f"the vault has it; from now on exec and env set it as {', '.join(found.env)} too"
        event = ProfileImported(
            agent=found.agent,
            profile=found.profile,
            credential=structs.replace(here, env=names),
            tool=tool,
            path=found.path,
            why=why,
        )
        expected[stream] = state.version
        held = context.store.credential(state.current.position)
        return [Draft(stream=stream, event=event, credential=held)], Line(
            found.profile, found.agent, here.kind, TAKEN, why, found.path
        )
    line = Line(found.profile, found.agent, facts.kind, TAKEN, _why(found), found.path)
    if event is None:
        why = "the vault has it" if state and state.current else "taken over before, and logged out since"
        if state and state.current and state.current.facts.fingerprint != facts.fingerprint:
            why = "taken over before; the vault has a newer one"
        return [], Line(found.profile, found.agent, facts.kind, SAME, why, found.path)
    expected[stream] = state.version if state else 0
    drafts = [Draft(stream=stream, event=event, credential=found.credential)]
    drafts += health_drafts(context, found.agent, found.profile)
    if found.health is not None or found.last_used is not None:
        usage = UseReported(
            agent=found.agent,
            profile=found.profile,
            outcome="taken_over",
            last_used=found.last_used,
            health=found.health,
        )
        drafts.append(Draft(stream=rotation_stream(found.agent, found.profile.partition(":")[0]), event=usage))
    if state and state.current:
        replaced = "replaces the vault's, which stays in the history"
        line = Line(
            line.what, line.agent, line.kind, TAKEN, f"{replaced}; {line.why}" if line.why else replaced, line.path
        )
    return drafts, line


def _why(found: Found) -> str:
    """Why it is taken as it is, and what else it is called there."""
    called = f"exec and env set it as {', '.join(found.env)} too" if found.env else ""
    return "; ".join(part for part in (found.why, called) if part)


def _differs(context: Context, state: ProfileState | None, found: Found) -> bool:
    """Whether a credential of several secrets, which has no fingerprint of its own, isn't the one that is held."""
    if state is None or state.current is None or not isinstance(found.credential, Cloud):
        return False
    return context.store.credential(state.current.position) != found.credential


def _order(
    context: Context, found: FoundOrder, arriving: set[tuple[AgentId, ProfileId]], expected: dict[str, int]
) -> tuple[list[Draft], Line]:
    stream = rotation_stream(found.agent, found.provider)
    what = f"order for {found.provider}"
    text = ", ".join(found.profiles)
    state = context.queries.rotation(found.agent, found.provider)
    owners = _lineage(context, found.agent)
    known = [
        p
        for p in found.profiles
        if any((o, p) in arriving for o in owners)
        or any((s := context.queries.profile(o, p)) is not None and s.current for o in owners)
    ]
    if state.order == known:
        return [], Line(what, found.agent, "order", SAME, text, found.path)
    if any(isinstance(r.event, OrderSet | OrderCleared) for r in context.store.read_stream(stream)):
        why = f"the vault has its own order ({', '.join(state.order or ['none'])}); there it is {text}"
        return [], Line(what, found.agent, "order", SKIPPED, why, found.path)
    if not known:
        return [], Line(
            what, found.agent, "order", SKIPPED, f"none of its profiles is here: {text or 'empty'}", found.path
        )
    gone = [p for p in found.profiles if p not in known]
    why = ", ".join(known) + (f"; left out, because gone: {', '.join(gone)}" if gone else "")
    expected[stream] = state.version
    event = OrderSet(agent=found.agent, provider=found.provider, profiles=list(known))
    return [Draft(stream=stream, event=event)], Line(what, found.agent, "order", TAKEN, why, found.path)


def _lineage(context: Context, agent: AgentId) -> list[AgentId]:
    agents = context.queries.agents()
    return [AgentId(a) for a in agents.lineage(agent)] if agents.known(agent) else [agent, MAIN_AGENT]
