"""restore: an earlier credential becomes current again. It appends; nothing is rewound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vault.commands.advice import again
from vault.commands.login import health_drafts, registration
from vault.commands.repeats import first_of, profile_before
from vault.commands.replaced import replaced, revoked_at
from vault.context import Context
from vault.errors import NotFound
from vault.events.credentials import CredentialFacts
from vault.events.types import ProfileImported, ProfileLoggedIn, ProfileRestored, TokensRefreshed
from vault.log.records import Draft, Recorded
from vault.model import profile as profile_model
from vault.model.profile import Held, ProfileState
from vault.model.streams import profile_stream
from vault.values import AgentId, ProfileId

_STORING = ProfileLoggedIn | ProfileImported | ProfileRestored | TokensRefreshed

PROBE = "--probe finds out"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. ``position`` is None when that credential was current already."""

    agent: str
    profile: str
    position: int | None
    origin: int
    facts: CredentialFacts
    replaced: Held | None
    warning: str = ""


def restore(
    context: Context,
    agent: AgentId,
    profile: ProfileId,
    *,
    to: int | None = None,
    at: int | None = None,
    reason: str = "",
    command: str = "",
) -> Restored:
    """Make an earlier credential of the agent's own profile current.

    ``to`` is the position of an event that stored or restored it; ``at`` a moment at which it was current; neither means the
    one that was logged out, or else the one before the current. The secret is opened first, so a destroyed one is told at
    once. Raises NotFound, Gone, IntegrityError.
    """
    stream = profile_stream(agent, profile)
    found: list[Held] = []
    seen: list[ProfileState | None] = [None]

    def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
        seen[0] = state = context.queries.profile(agent, profile)
        if state is None:
            had = (p.profile for p in context.queries.profiles(agent))
            hint = profile_model.like_it(profile, had, "vault history shows what there was")
            raise NotFound(f"agent {agent} never had a profile {profile}", hint=hint)
        origin = _origin(context, state, stream, to, at)
        context.store.credential(origin.position)
        found[:] = [origin]
        event = profile_model.restore(state, agent, profile, origin)
        if event is None:
            return [], {}
        first, expected = registration(context, agent)
        drafts = [*first, Draft(stream=stream, event=event), *health_drafts(context, agent, profile)]
        return drafts, {**expected, stream: state.version}

    recorded = context.decide(context.cause(reason, command), stream, build)
    now = context.clock.now()
    if not recorded:
        origin, state = found[0], seen[0]
        current = state.current if state else None
        warning = _warning(context, agent, profile, origin.facts, now)
        return Restored(agent, profile, None, origin.position, origin.facts, current, warning)
    entry, event = first_of(recorded, ProfileRestored)
    before = profile_before(context, entry, agent, profile, seen[0])
    return Restored(
        agent,
        profile,
        entry.position,
        event.from_position,
        event.credential,
        before.current if before else None,
        _warning(context, agent, profile, event.credential, now, _handed_to(before, event.credential)),
    )


def _origin(context: Context, state: ProfileState, stream: str, to: int | None, at: int | None) -> Held:
    if to is not None:
        return _at_position(context, state, stream, to)
    if at is not None:
        return _at_moment(context, state, stream, at)
    earlier = state.ended if state.current is None else state.previous
    if earlier is None:
        raise NotFound(
            f"{state.profile} of agent {state.agent} has no earlier credential",
            hint=f"vault history --profile {state.profile} shows all of them",
        )
    return earlier


def _at_position(context: Context, state: ProfileState, stream: str, position: int) -> Held:
    if 1 <= position <= context.store.head().position:
        (record,) = context.store.read((position,))
        if record.stream == stream and isinstance(record.event, _STORING):
            return _held(record)
    raise NotFound(
        f"position {position} holds no credential of {state.profile} of agent {state.agent}",
        hint=f"vault history --profile {state.profile} shows the positions",
    )


def _at_moment(context: Context, state: ProfileState, stream: str, moment: int) -> Held:
    current: Held | None = None
    past: ProfileState | None = None
    for record in context.store.read_stream(stream):
        if record.at > moment:
            break
        past = profile_model.evolve_profile(
            past, record.event, record.version, record.position, record.at, state.agent, state.profile
        )
        current = past.current
    if current is None:
        raise NotFound(
            f"{state.profile} of agent {state.agent} had no credential then",
            hint=f"vault history --profile {state.profile} shows when it had",
        )
    return current


def _held(record: Recorded) -> Held:
    event = record.event
    assert isinstance(event, _STORING)  # noqa: S101 - told by the callers
    origin = event.from_position if isinstance(event, ProfileRestored) else record.position
    return Held(position=origin, since=record.at, facts=event.credential)


def _handed_to(before: ProfileState | None, facts: CredentialFacts) -> str:
    """The tool that owns the same login, if the restore takes it back from one."""
    held = before.current if before else None
    if held is None or held.facts.ownership != "external" or facts.ownership == "external":
        return ""
    return held.tool if held.facts.refresh_fingerprint == facts.refresh_fingerprint else ""


def _warning(
    context: Context, agent: AgentId, profile: ProfileId, facts: CredentialFacts, now: int, handed_to: str = ""
) -> str:
    """What may keep a restored credential from working, as far as the log knows it; else what only the provider knows."""
    revoked = revoked_at(context, facts)
    if revoked is not None:
        return (
            f"the provider revoked it at the logout at #{revoked}, so sign in again: {again(context, agent, profile)}"
        )
    if facts.kind == "oauth" and facts.refresh_fingerprint:
        if handed_to:
            return f"{handed_to} has this login's refresh token too: if either refreshes it, the other is logged out"
        newer = replaced(context, context.queries.profile(agent, profile))
        if newer is not None:
            lasting = "its access token has ended" if _ended(facts, now) else "it is used until its access token ends"
            return f"{newer.text}, which isn't sent unasked any more: {lasting}; {newer.remedy}"
        return f"its refresh token may have been replaced since at the provider: {PROBE}"
    return "it has expired" if _ended(facts, now) else ""


def _ended(facts: CredentialFacts, now: int) -> bool:
    return facts.expires_at is not None and facts.expires_at <= now
