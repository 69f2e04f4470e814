"""export: credentials written into another tool's store. ``profile_exported`` is in the log before a byte is.

A refresh token that rotates has one owner. The vault's own stays here: a tool gets the access token alone, if that is of use to
it, or is told what to do instead. ``hand_over`` gives a login away for good: the tool gets the refresh token, and from that event
on the login is the tool's, which the vault reads again at every use and never refreshes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vault.commands.losing import would_lose
from vault.commands.refresh import refresh
from vault.commands.replaced import replaced
from vault.commands.why import decide
from vault.context import Context
from vault.errors import Conflict, IntegrityError, NotFound, VaultError
from vault.events.credentials import AnyCredential, OAuth, WellKnown
from vault.events.types import ProfileExported, ProfileImported
from vault.interop.entries import keeps_refresh_token
from vault.interop.findings import Skipped
from vault.interop.plans import Outgoing, Plan, Target, Written
from vault.interop.tools import Orders, Tool
from vault.interop.writing import as_written_there, before, carry_out
from vault.log.records import Draft
from vault.model.profile import Held, ProfileState
from vault.model.streams import profile_stream
from vault.projections.queries import View
from vault.providers import catalogue
from vault.values import AgentId, ProfileId, ProviderId, provider_of


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did. ``changed`` is False when the store held all of it; ``position`` is the last event's."""

    tool: str
    written: tuple[Written, ...]
    left_out: tuple[Skipped, ...]
    notes: tuple[str, ...]
    changed: bool
    dry_run: bool
    position: int | None = None


def export(
    context: Context,
    tool: Tool,
    agent: AgentId,
    *,
    what: Sequence[tuple[ProviderId, ProfileId | None]] = (),
    to: Path | None = None,
    hand_over: bool = False,
    over: bool = False,
    dry_run: bool = False,
    reason: str = "",
) -> Exported:
    """Write what an agent has into a tool's store: what is named, or for every provider the tool takes.

    A credential there that the vault doesn't hold is not written over, unless ``over`` says so. Raises NotFound when there is
    nothing to write, Conflict, InputError for a store that can't be read, StorageError, TryAgain, Unavailable.
    """
    if tool.write is None:
        raise NotFound(f"nothing is written into {tool.title}'s store", hint=tool.line or "vault tools")
    left_out: list[Skipped] = []
    states = _chosen(context, tool, agent, what, left_out)
    outgoing = [
        o for s in states if (o := outgoing_of(context, tool, agent, s, hand_over, dry_run, left_out)) is not None
    ]
    target = Target(context.environ, Path.home(), to, context.clock.now())
    with tool.lock(target):
        plan = _planned(context, tool, agent, outgoing, target, over, left_out)
        left_out += plan.left_out
        if not plan.written and plan.empty:
            why = "; ".join(f"{s.name}: {s.why}" for s in left_out) or f"agent {agent} has nothing for it"
            raise NotFound(
                f"nothing can be written into {tool.title}'s store: {why}", hint="vault list, or vault tools"
            )
        changed = _changes(plan)
        position = None
        if changed and not dry_run:
            position = _append(context, tool, agent, plan, {s.profile: s for s in states}, hand_over, reason)
            carry_out(plan)
    return Exported(tool.name, tuple(plan.written), tuple(left_out), tuple(plan.notes), changed, dry_run, position)


def _planned(
    context: Context,
    tool: Tool,
    agent: AgentId,
    outgoing: Sequence[Outgoing],
    target: Target,
    over: bool,
    left_out: list[Skipped],
) -> Plan:
    """What is to be written, without what would take the place of a credential that the vault doesn't hold."""
    assert tool.write is not None  # noqa: S101 - told by the caller
    ones = list(outgoing)
    while True:
        plan = as_written_there(tool.write(ones, orders_of(context, agent, ones) if tool.many else {}, target))
        lost = {} if over else {provider_of(f.profile): f for f in would_lose(context, tool, plan, target)}
        if not lost:
            return plan
        kept = [one for one in ones if one.provider not in lost]
        if len(kept) == len(ones):
            one = next(iter(lost.values()))
            raise Conflict(
                f"{one.path} has a credential of {provider_of(one.profile)} that the vault doesn't hold, and it would be lost",
                hint=f"vault import {tool.name} takes it over first; --replace overwrites it",
            )
        why = "another credential is there, which the vault doesn't hold; vault import takes it over, --replace overwrites it"
        left_out += [Skipped(one.profile, lost[one.provider].path, why) for one in ones if one.provider in lost]
        ones = kept


def orders_of(context: Context, agent: AgentId, outgoing: Sequence[Outgoing]) -> Orders:
    """The whole order in force for each provider that goes out: a tool may have more of it than what goes out now."""
    view = View(context.queries, agent)
    orders: dict[ProviderId, list[ProfileId]] = {}
    for provider in dict.fromkeys(o.provider for o in outgoing):
        order, _ = view.order(provider)
        if order is not None:
            orders[provider] = [ProfileId(p) for p in order]
    return orders


def meant_for(tool: Tool, visible: Mapping[str, ProfileState]) -> list[ProviderId]:
    """The providers that go to a tool when none is named: passwords of servers only to one that wants them."""
    kinds: dict[ProviderId, set[str]] = {}
    for profile, state in visible.items():
        if state.current is not None:
            kinds.setdefault(provider_of(ProfileId(profile)), set()).add(state.current.facts.kind)
    return sorted(
        p
        for p, found in kinds.items()
        if (tool.takes is None or p in tool.takes)
        and (tool.servers or not catalogue.is_server(p) or WellKnown.kind in found)
    )


def _chosen(
    context: Context,
    tool: Tool,
    agent: AgentId,
    what: Sequence[tuple[ProviderId, ProfileId | None]],
    left_out: list[Skipped],
) -> list[ProfileState]:
    view = View(context.queries, agent)
    visible = view.visible()
    targets = list(what) or [(p, None) for p in meant_for(tool, visible)]
    states: dict[str, ProfileState] = {}
    for provider, profile in targets:
        if tool.takes is not None and provider not in tool.takes:
            if what:
                left_out.append(Skipped(profile or provider, "", f"{tool.title} has no place for it"))
            continue
        if not context.allows(provider):
            left_out.append(Skipped(profile or provider, "", "the settings disable it"))
        elif profile is not None:
            states[profile] = view.find(profile)
        elif tool.many:
            states |= {p: s for p, s in visible.items() if provider_of(ProfileId(p)) == provider}
        else:
            decision = decide(context, agent, provider, way="export")
            if decision.candidate is not None:
                states[decision.candidate.profile] = view.find(decision.candidate.profile)
            elif what or decision.considered:
                why = "; ".join(f"{c.what} {c.text}" for c in decision.considered) or "there is none"
                left_out.append(Skipped(provider, "", why))
    return [s for s in states.values() if s.current is not None]


def outgoing_of(
    context: Context,
    tool: Tool | None,
    agent: AgentId,
    state: ProfileState,
    hand_over: bool,
    dry_run: bool,
    left_out: list[Skipped],
) -> Outgoing | None:
    """A credential as it may go out, its access token with life left; None, and why in ``left_out``."""
    held, profile = state.current, ProfileId(state.profile)
    if held is None:
        return None
    if held.facts.base_url and tool is not None and not tool.addresses:
        why = f"it belongs to {held.facts.base_url}, and {tool.title} has no setting for that here"
        left_out.append(Skipped(profile, "", why))
        return None
    own = tool is not None and held.facts.ownership == "external" and held.tool == tool.name
    if own and not hand_over and tool is not None and held.facts.kind != "reference":
        left_out.append(Skipped(profile, "", f"it is {tool.title}'s own login, which it keeps and refreshes itself"))
        return None
    try:
        if held.facts.refresh_fingerprint and held.facts.ownership == "vault" and not hand_over and not dry_run:
            refresh(context, AgentId(state.agent), profile)
            fresh = context.queries.profile(AgentId(state.agent), profile)
            held = fresh.current if fresh and fresh.current else held
        credential = context.store.credential(held.position)
    except IntegrityError:
        raise
    except VaultError as error:
        left_out.append(Skipped(profile, "", error.message))
        return None
    whole = hand_over or _may_share(provider_of(profile), held, credential)
    newer = replaced(context, context.queries.profile(state.agent, profile)) if whole else None
    if newer is not None:
        left_out.append(Skipped(profile, "", f"{newer.text}, and the tool would send it: {newer.remedy}"))
        return None
    facts = held.facts
    return Outgoing(
        agent, profile, credential, facts.label, facts.account, whole, tuple(facts.env), base_url=facts.base_url
    )


def _may_share(provider: ProviderId, held: Held, credential: AnyCredential) -> bool:
    """Whether both may hold the refresh token, if there is one."""
    if not isinstance(credential, OAuth) or not credential.refresh:
        return True
    return held.facts.ownership == "copy" or (held.facts.ownership == "vault" and keeps_refresh_token(provider))


def _changes(plan: Plan) -> bool:
    """Whether carrying a plan out would change anything."""
    if plan.runs or any(b.content is not None for b in before(Plan(plan.tool, removes=plan.removes))):
        return True
    were = before(Plan(plan.tool, writes=plan.writes))
    return any(b.content != w.content for b, w in zip(were, plan.writes, strict=True))


def _append(
    context: Context,
    tool: Tool,
    agent: AgentId,
    plan: Plan,
    states: Mapping[str, ProfileState],
    hand_over: bool,
    reason: str,
) -> int | None:
    """Append the events of an export; None where only an order goes. Raises WrongExpectedVersion."""
    drafts: list[Draft] = []
    expected: dict[str, int] = {}
    for written in plan.written:
        state = context.queries.profile(AgentId(states[written.profile].agent), written.profile)
        if state is None or state.current is None:
            raise NotFound(f"{written.profile} was logged out meanwhile", hint="vault list shows what is there")
        facts = state.current.facts
        stream = profile_stream(AgentId(state.agent), written.profile)
        event = ProfileExported(
            agent=agent,
            owner=state.agent,
            profile=written.profile,
            tool=tool.name,
            path=written.path,
            name=written.name,
            fingerprint=facts.fingerprint,
            refresh_fingerprint=facts.refresh_fingerprint if written.whole else "",
        )
        drafts.append(Draft(stream=stream, event=event))
        if hand_over and written.whole and facts.refresh_fingerprint:
            given = ProfileImported(
                agent=state.agent,
                profile=written.profile,
                credential=msgspec.structs.replace(facts, ownership="external"),
                tool=tool.name,
                path=written.path,
                why=f"handed over: {tool.title} refreshes it from now on",
            )
            expected[stream] = state.version
            drafts.append(
                Draft(stream=stream, event=given, credential=context.store.credential(state.current.position))
            )
    if not drafts:
        return None
    return context.store.append(drafts, context.cause(reason, way="export"), expected)[-1].position
