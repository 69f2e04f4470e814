"""exec --tool: a child gets credentials in its tool's own best way, with nothing on disk. Each is a hand-out before it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vault.commands.exporting import meant_for, outgoing_of
from vault.commands.external import reread
from vault.commands.why import decide
from vault.context import Context
from vault.errors import NotFound, VaultError
from vault.events.credentials import AnyCredential, ApiKey, Cloud, Reference
from vault.events.types import CredentialIssued
from vault.interop.findings import Skipped
from vault.interop.plans import Injection, Outgoing, Target
from vault.interop.tools import Tool
from vault.log.records import Draft
from vault.model.profile import ProfileState
from vault.model.streams import rotation_stream
from vault.projections.queries import View
from vault.unlock.references import fetch
from vault.values import AgentId, ProfileId, ProviderId, provider_of


@dataclass(frozen=True, slots=True)
class Injected:
    """What a child is to get, and what it can't have."""

    injection: Injection
    left_out: tuple[Skipped, ...]


def inject(
    context: Context,
    tool: Tool,
    agent: AgentId,
    what: Sequence[tuple[ProviderId, ProfileId | None]] = (),
    *,
    reason: str = "",
) -> Injected:
    """Hand out what a tool's child gets: what is named, or what would be chosen for each provider it takes.

    Raises NotFound when there is nothing for it, and whatever keeps the events from being written.
    """
    if tool.inject is None:
        raise NotFound(
            f"there is no way to give {tool.title} a credential at its start", hint=tool.line or "vault tools"
        )
    view = View(context.queries, agent)
    left_out: list[Skipped] = []
    reread(context, view.owned())
    states = _states(context, tool, agent, what, left_out)
    found: dict[ProfileId, tuple[ProfileState, Outgoing]] = {}
    for state in states:
        one = outgoing_of(context, tool, agent, state, False, False, left_out)
        if one is not None:
            credential = _resolved(context, one, left_out)
            found[one.profile] = state, replace(one, credential=credential, whole=False)
    injection = tool.inject(
        [one for _, one in found.values()], Target(context.environ, Path.home(), now=context.clock.now())
    )
    no_place = [p for p in found if p not in injection.used and all(s.name != p for s in left_out)]
    left_out += [
        Skipped(
            p, "", injection.left_out.get(p) or f"{tool.title} has no way to be given a {found[p][1].credential.kind}"
        )
        for p in no_place
    ]
    if not injection.used:
        why = "; ".join(f"{s.name}: {s.why}" for s in left_out) or f"agent {agent} has nothing for it"
        raise NotFound(f"{tool.title} can be given nothing: {why}", hint="vault list, or vault login PROVIDER")
    drafts = []
    for profile in injection.used:
        state, one = found[profile]
        event = CredentialIssued(
            agent=agent,
            owner=state.agent,
            provider=provider_of(profile),
            profile=profile,
            fingerprint=context.keys.fingerprint(_main_secret(one.credential)),
            way="exec",
            program=tool.name,
        )
        drafts.append(Draft(stream=rotation_stream(state.agent, provider_of(profile)), event=event))
    context.store.append(drafts, context.cause(reason, way="exec"))
    return Injected(injection, tuple(left_out))


def _states(
    context: Context,
    tool: Tool,
    agent: AgentId,
    what: Sequence[tuple[ProviderId, ProfileId | None]],
    left_out: list[Skipped],
) -> list[ProfileState]:
    view = View(context.queries, agent)
    wanted = list(what) or [(p, None) for p in meant_for(tool, view.visible())]
    states: list[ProfileState] = []
    for provider, profile in wanted:
        if profile is not None:
            states.append(view.find(profile))
            continue
        decision = decide(context, agent, provider, way="exec")
        if decision.candidate is not None:
            states.append(view.find(decision.candidate.profile))
        elif decision.chosen is not None:
            why = f"{decision.chosen.what} would be used, and {tool.title} can be given stored profiles only"
            left_out.append(Skipped(provider, "", why))
        elif what or decision.considered:
            why = "; ".join(f"{c.what} {c.text}" for c in decision.considered) or "there is none"
            left_out.append(Skipped(provider, "", why))
    return states


def _resolved(context: Context, one: Outgoing, left_out: list[Skipped]) -> AnyCredential:
    """A credential, a reference followed to its secret; one that leads nowhere stays a reference, and is told."""
    if not isinstance(one.credential, Reference):
        return one.credential
    try:
        secret = fetch(one.credential.scheme, one.credential.target, context.environ_for(one.credential.scheme))
    except VaultError as error:
        left_out.append(Skipped(one.profile, "", error.message))
        return one.credential
    return ApiKey(key=secret, metadata=one.credential.metadata)


def _main_secret(credential: AnyCredential) -> str:
    """The secret a hand-out is known by: of several, as a cloud's mode has, the last."""
    if isinstance(credential, Cloud):
        return list(credential.secrets.values())[-1] if credential.secrets else ""
    return credential.secret() or ""
