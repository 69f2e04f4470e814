"""What doctor looks at in the vault itself: every profile, every agent's orders and pins, and who owns a refresh token.

Each profile is looked at once, with its owner, and each agent's choice once for each provider: what a profile's own finding
explains is not told again for the agents that inherit it. Providers that the settings disable are left alone.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vault.commands import mending, outside
from vault.commands.candidates import family_of, resolvable
from vault.commands.external import external
from vault.commands.mending import Check, finding
from vault.commands.naming import with_agent
from vault.commands.status import (
    EXPIRED,
    EXPIRING,
    NEEDS_SIGN_IN,
    OK,
    REFUSED,
    STALE,
    UNCERTAIN,
    dangling,
    life,
    sign_in_line,
    status,
)
from vault.commands.why import STORED_FIRST, decide
from vault.context import Context
from vault.errors import VaultError
from vault.events.credentials import CredentialFacts
from vault.model.choosing import Decision, trouble
from vault.model.profile import ProfileState
from vault.projections.queries import View
from vault.settings import VARIABLES
from vault.unlock.references import KEYCHAIN_SERVICE
from vault.values import MAIN_AGENT, AgentId, ProfileId, ProviderId, format_instant, provider_of

_IN_A_FILE = {"dotenv": ("in the project's .env ", ".env"), "envfile": ("in the env file ", "the env file")}
_SHELL = re.compile(r"[|&;<>()$`{}*?~=!#\[\]]")
_BUILTINS = frozenset(("cd", "command", "echo", "eval", "exec", "printf", "read", "source", "test", "type"))


@dataclass(slots=True)
class _Told:
    """What has a finding already: profiles as (owner, id), choices as (agent, provider), and lines that several agents share."""

    profiles: set[tuple[str, str]] = field(default_factory=set)
    choices: set[tuple[str, str]] = field(default_factory=set)
    lines: set[tuple[str, ...]] = field(default_factory=set)
    shadows: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    keyring: str = ""


def examine_holdings(context: Context) -> list[Check]:
    """Everything that is the matter with what the vault holds. Appends nothing, and asks no network."""
    told = _Told()
    agents = [AgentId(name) for name in context.queries.agents().names()]
    checks: list[Check] = []
    for agent in agents:
        for state in context.queries.profiles(agent):
            if state.current is None or not context.allows(provider_of(ProfileId(state.profile))):
                continue
            found = list(_profile(context, state, told))
            if found:
                told.profiles.add((state.agent, state.profile))
            checks += found
    checks += _owners(context, agents)
    for agent in agents:
        checks += _steering(context, agent, told)
    for agent in agents:
        checks += _choices(context, agent, told)
    for (place, variable, provider), names in told.shadows.items():
        where, file = _IN_A_FILE.get(place, ("", ""))
        text = f"{variable} {where}comes before the stored profiles of {provider} for {_agents(names)}"
        text += "" if family_of(context, provider) else f" ({STORED_FIRST})"
        line = "" if file else f"unset {variable}"
        checks.append(finding("shadowed", text, line or f"take {variable} out of {file}", command=line))
    return checks


def _profile(context: Context, state: ProfileState, told: _Told) -> Iterator[Check]:
    """One profile that holds a credential."""
    now, who = context.clock.now(), f"{state.profile} of agent {state.agent}"
    held = state.current
    if held is None:
        return
    if state.unknown:
        text = f"{who} holds an event {state.unknown} written by a newer vault"
        yield finding("credentials", text, "upgrade agent-vault")
        return
    lived, text = life(context, state, now)
    if lived in (OK, REFUSED) and external(state):
        yield from _elsewhere(context, state, who)
    elif lived in (EXPIRED, EXPIRING, NEEDS_SIGN_IN, REFUSED):
        yield finding("credentials", f"{who}: {text}", command=sign_in_line(context, state))
    elif lived == UNCERTAIN:
        text = f"the last refresh of {who} has no known outcome"
        if dangling(state, now):
            text = f"a refresh of {who} was claimed, and has no outcome"
        yield finding("refresh", text, mend=mending.refresh(state))
    elif lived == STALE:
        yield _stale(context, state, who, text)
    health = context.queries.rotation(state.agent, provider_of(ProfileId(state.profile))).health_of(state.profile)
    if health.disabled_until > now:
        text = f"{who} is disabled until {format_instant(health.disabled_until)} ({health.last_reason})"
        yield finding("health", text, mend=mending.clear_health(state))
    if held.facts.kind == "reference":
        text, hint = _reference(context, held.facts, told)
        if text:
            yield finding("references", f"{who} {text}", hint)


def _stale(context: Context, state: ProfileState, who: str, text: str) -> Check:
    there = outside.look(context, state)
    if there.found == outside.RENEWED:
        told = f"{who} has ended here, and {there.tool} has a newer one"
        return finding("external", told, mend=mending.read_again(state, there.tool))
    why = text if there.found == outside.SAME else f"it has ended, and {there.why}"
    command = there.hint if there.hint.startswith("vault ") else ""
    return finding("external", f"{who}: {why}", there.hint, command=command)


def _elsewhere(context: Context, state: ProfileState, who: str) -> Iterator[Check]:
    """A login that can be used here, and not at the tool that owns it."""
    there = outside.look(context, state)
    lived, text = life(context, state, context.clock.now())
    if lived == REFUSED and there.found in (outside.SAME, outside.UNREAD):
        yield finding("credentials", f"{who}: {text}", command=sign_in_line(context, state))
    elif there.found == outside.ENDED:
        yield finding("external", f"{who}: {there.why}", mend=mending.read_again(state, there.tool))
    elif there.found == outside.GONE:
        sync = f"vault sync {there.tool}"
        yield finding("external", f"{who}: {there.why}", f"{there.hint}, then: {sync}", command=sync)
    elif there.found == outside.UNREAD:
        yield finding("external", f"{who}: {there.why}", there.hint)


def _reference(context: Context, facts: CredentialFacts, told: _Told) -> tuple[str, str]:
    """(why a reference leads nowhere, what to do); empty when it does, or when only running it would tell."""
    scheme, _, target = facts.reference.partition(":")
    if scheme == "env":
        return (
            ("", "")
            if context.environ_for(scheme).get(target)
            else (f"reads {target}, which is not set", f"set {target}")
        )
    if scheme == "file":
        if not Path(target).is_absolute():
            return f"reads {target}, which is another file in every folder", "log in again with the whole path"
        return ("", "") if Path(target).is_file() else (f"reads {target}, which is not there", "bring the file back")
    if scheme == "command":
        return _command(context, target)
    if scheme in ("keyring", "keychain"):
        return _entry(scheme, target, told)
    return f"has a reference of kind {scheme}, which only its own tool can follow", "log in again"


def _command(context: Context, line: str) -> tuple[str, str]:
    """Whether a command's program is there. The command is not run."""
    if _SHELL.search(line):
        return "", ""
    try:
        words = shlex.split(line)
    except ValueError:
        return "runs a command whose quotes don't match", "log in again"
    if not words or words[0] in _BUILTINS:
        return "", ""
    if "/" in words[0] and not Path(words[0]).is_absolute():
        return f"runs {words[0]}, which is another program in every folder", "log in again with the whole path"
    if shutil.which(words[0], path=context.environ.get("PATH")) is None:
        return f"runs {words[0]}, which is not there", f"install {words[0]}, or fix PATH"
    return "", ""


def _entry(scheme: str, target: str, told: _Told) -> tuple[str, str]:
    """Whether the OS keyring has an entry. A keyring that doesn't answer is asked once."""
    from vault.unlock.os_keyring import keyring_password

    service, _, user = target.partition("/") if scheme == "keyring" else (KEYCHAIN_SERVICE, "", target)
    if told.keyring:
        return f"is in the OS keyring: {told.keyring}", "unlock it"
    try:
        found = keyring_password(service, user)
    except VaultError as error:
        told.keyring = error.message
        return f"is in the OS keyring: {error.message}", error.hint
    return ("", "") if found else (f"is in the OS keyring, which has no entry {service}/{user}", "check the names")


def _owners(context: Context, agents: list[AgentId]) -> Iterator[Check]:
    """Refresh tokens that the vault would spend for two owners, or that it shares with another tool."""
    holders: dict[str, list[ProfileState]] = {}
    for agent in agents:
        for state in context.queries.profiles(agent):
            if state.current is not None and state.current.facts.refresh_fingerprint:
                holders.setdefault(state.current.facts.refresh_fingerprint, []).append(state)
    known = context.queries.agents()
    lineages = {str(agent): known.lineage(agent) for agent in agents}
    for token, states in holders.items():
        owned = [s.current.facts.ownership for s in states if s.current is not None]
        if len(states) < 2 or "vault" not in owned:
            continue
        # A tool goes on refreshing its own whatever is logged out here, so its profile is the one to keep.
        states.sort(key=_seniority)
        names = ", ".join(f"{s.profile} of {s.agent}" for s in states)
        text = f"one refresh token has {len(states)} owners: {names}"
        mend = mending.keep_one(token, states, lineages)
        hint = mend.command
        if mend.cost:
            others = [s.agent for s in states if states[0].agent not in lineages[s.agent]]
            lines = [f"vault agent inherit {other} --from {states[0].agent}" for other in others if other != MAIN_AGENT]
            hint = " && ".join([*lines, mend.command]) if lines else "log out all but one"
        yield finding("owners", text, hint, mend=mend)


def _seniority(state: ProfileState) -> tuple[bool, int, int]:
    held = state.current
    if held is None:
        return True, 0, 0
    return held.facts.ownership != "external", held.since, held.position


def _steering(context: Context, agent: AgentId, told: _Told) -> Iterator[Check]:
    """Orders and pins that name what is gone, and an order that leaves out the only profile there is."""
    view = View(context.queries, agent)
    visible = view.visible()
    for rotation in context.queries.rotations(agent):
        provider = rotation.provider
        if not context.allows(provider):
            continue
        order = rotation.order or []
        gone = [p for p in order if p not in visible]
        if gone:
            told.choices.add((agent, provider))
            left = [p for p in order if p in visible]
            text = f"the order of agent {agent} for {provider} names {', '.join(gone)}, which is gone"
            hint = mending.set_order(agent, provider, left)
            back = with_agent(f"vault restore {gone[0]}", agent)
            yield finding("order", text, f"{hint.command}, or {back}", mend=hint)
        if rotation.pin and rotation.pin not in visible:
            told.choices.add((agent, provider))
            text = f"agent {agent} is pinned to {rotation.pin}, which is gone"
            yield finding("pin", text, mend=mending.unpin(agent, provider))
    for provider in sorted({provider_of(ProfileId(p)) for p in visible}):
        if context.allows(provider):
            yield from _left_out(context, view, provider, told)


def _left_out(context: Context, view: View, provider: ProviderId, told: _Told) -> Iterator[Check]:
    """An order that keeps an agent from the only profiles that could be used."""
    agent = AgentId(view.agent)
    order, ordered_by = view.order(provider)
    decision = decide(context, agent, provider)
    if order is None or decision.chosen is not None:
        return
    now, visible = context.clock.now(), view.visible(provider)
    candidates = {c.profile: c for c in reversed(view.candidates(provider)) if c.facts is not None}
    usable = [
        c.what
        for c in decision.considered
        if c.code == "not_in_order"
        and (one := candidates.get(c.what))
        and not trouble(resolvable(context, one), provider, now)[0]
    ]
    if not usable:
        return
    told.choices.add((agent, provider))
    theirs = View(context.queries, ordered_by).visible(provider)
    owner = ordered_by if all(p in theirs for p in usable) else agent
    mend = mending.set_order(owner, provider, [p for p in [*order, *usable] if p in visible])
    if ("order", mend.command) not in told.lines:
        told.lines.add(("order", mend.command))
        only = "the only profile" if len(usable) == 1 else "the only profiles"
        text = f"the order of agent {ordered_by} for {provider} leaves out {', '.join(usable)}, {only} agent {agent} could use"
        yield finding("order", text, mend=mend)


def _choices(context: Context, agent: AgentId, told: _Told) -> Iterator[Check]:
    """Providers an agent can't use, or soon can't, for a reason that no other finding gives; variables that hide profiles."""
    lineage = context.queries.agents().lineage(agent)
    for found in status(context, agent):
        decision = found.decision
        _note_shadow(decision, told)
        owned = {(c.owner, c.what) for c in decision.considered}
        explained = owned & told.profiles or any((a, found.provider) in told.choices for a in lineage)
        line = ("choice", found.provider, found.state, *sorted(f"{o} {w}" for o, w in owned))
        if found.state in ("ok", UNCERTAIN) or explained or line in told.lines:
            continue
        told.lines.add(line)
        command = found.hint if found.hint.startswith("vault ") else ""
        yield finding("credentials", f"{found.provider} for agent {agent}: {found.text}", found.hint, command=command)


def _note_shadow(decision: Decision, told: _Told) -> None:
    place, _, variable = decision.chosen.what.partition(":") if decision.chosen else ("", "", "")
    passed = any(
        c.owner and c.code in ("environment_first", "dotenv_first", "envfile_first", "shadowed")
        for c in decision.considered
    )
    if place in VARIABLES.values() and passed:
        told.shadows.setdefault((place, variable, decision.provider), []).append(decision.agent)


def _agents(names: list[str]) -> str:
    return f"agent {names[0]}" if len(names) == 1 else f"agents {', '.join(names)}"
