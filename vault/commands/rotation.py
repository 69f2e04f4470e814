"""order, pin, report, health: what steers the choice of a credential."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vault.commands.naming import check_provider
from vault.commands.repeats import first_of
from vault.context import Context
from vault.errors import NotFound, UsageError
from vault.events.types import (
    Event,
    Health,
    HealthCleared,
    OrderCleared,
    OrderSet,
    ProfilePinned,
    ProfileUnpinned,
    UseReported,
)
from vault.guessing import did_you_mean
from vault.log.records import Draft
from vault.model import rotation as rotation_model
from vault.model.health import WELL, check_failure
from vault.model.rotation import RotationState
from vault.model.streams import rotation_stream
from vault.projections.queries import View
from vault.showing import shown
from vault.values import AgentId, ProfileId, ProviderId, provider_of


@dataclass(frozen=True, slots=True)
class Steered:
    """What a command that steers did: the position, or None when it was so already."""

    agent: str
    provider: str
    position: int | None


def set_order(
    context: Context, agent: AgentId, provider: ProviderId, profiles: list[str], *, reason: str = "", command: str = ""
) -> Steered:
    """Set an agent's order. Raises InputError, NotFound, UsageError."""
    check_provider(context, provider)

    def decide(state: RotationState) -> Event | None:
        return rotation_model.set_order(state, profiles, set(View(context.queries, agent).visible(provider)))

    return _steer(context, agent, provider, decide, reason, command, OrderSet, profiles=profiles)


def clear_order(
    context: Context, agent: AgentId, provider: ProviderId, *, reason: str = "", command: str = ""
) -> Steered:
    """Clear an agent's order; its parent's applies again. Raises NotFound for a provider nobody knows."""
    check_provider(context, provider)
    return _steer(context, agent, provider, rotation_model.clear_order, reason, command, OrderCleared)


def pin(context: Context, agent: AgentId, profile: ProfileId, *, reason: str = "", command: str = "") -> Steered:
    """Pin a profile for its provider. Raises NotFound."""
    provider = provider_of(profile)

    def decide(state: RotationState) -> Event | None:
        return rotation_model.pin(state, profile, set(View(context.queries, agent).visible(provider)))

    return _steer(context, agent, provider, decide, reason, command, ProfilePinned, profile=profile)


def unpin(context: Context, agent: AgentId, provider: ProviderId, *, reason: str = "", command: str = "") -> Steered:
    """Remove a pin. Raises NotFound when the agent has none of its own."""
    check_provider(context, provider)
    return _steer(context, agent, provider, rotation_model.unpin, reason, command, ProfileUnpinned)


def restore_order(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    *,
    position: int | None = None,
    reason: str = "",
    command: str = "",
) -> tuple[Steered, list[str] | None]:
    """Bring back the order as it was after ``position``, or the one before the current. Raises NotFound.

    Profiles that no longer exist stay in the order: it is restored exactly, and ``why`` names them as missing.
    """
    check_provider(context, provider)
    restored: list[list[str] | None] = [None]

    def decide(state: RotationState) -> Event | None:
        rotation_model.decidable(state)
        order, origin = _earlier_order(context, state, position)
        restored[0] = order
        if order == state.order:
            return None
        if order is None:
            return OrderCleared(agent=agent, provider=provider, restored_from=origin)
        return OrderSet(agent=agent, provider=provider, profiles=order, restored_from=origin)

    steered = _steer(context, agent, provider, decide, reason, command, OrderSet, OrderCleared)
    if steered.position is not None:
        (event,) = (r.event for r in context.store.read((steered.position,)))
        restored[0] = list(event.profiles) if isinstance(event, OrderSet) else None
    return steered, restored[0]


def report(
    context: Context,
    agent: AgentId,
    profile: ProfileId,
    outcome: str,
    *,
    failure: str = "",
    until: int | None = None,
    model: str = "",
    reason: str = "",
    command: str = "",
) -> tuple[Steered, Health]:
    """Record how a use went. The owner's health changes. Raises UsageError, NotFound, NewerVersion."""
    if outcome not in ("success", "failure"):
        meant = did_you_mean(outcome, ("success", "failure"), "use success or failure")
        raise UsageError(f"{shown(outcome)} is not an outcome", hint=meant)
    if outcome == "failure":
        check_failure(failure or "unknown")
    elif failure or until is not None:
        raise UsageError("a success has no reason and no reset time", hint="leave out --reason and --until")
    owner = AgentId(View(context.queries, agent).find(profile).agent)
    event = UseReported(
        agent=agent,
        profile=profile,
        outcome=outcome,
        failure=(failure or "unknown") if outcome == "failure" else "",
        until=until,
        model=model,
    )
    provider = provider_of(profile)

    def decide(state: RotationState) -> Event:
        rotation_model.decidable(state)
        return event

    steered = _steer(context, owner, provider, decide, reason, command, UseReported, profile=profile, outcome=outcome)
    return steered, context.queries.rotation(owner, provider).health_of(profile)


def clear_health(
    context: Context, agent: AgentId, profile: ProfileId, *, reason: str = "", command: str = ""
) -> Steered:
    """Forgive a profile's failures. Raises NotFound."""
    owner = AgentId(View(context.queries, agent).find(profile).agent)

    def decide(state: RotationState) -> Event | None:
        rotation_model.decidable(state)
        return None if state.health_of(profile) == WELL else HealthCleared(agent=owner, profile=profile)

    return _steer(context, owner, provider_of(profile), decide, reason, command, HealthCleared, profile=profile)


def _steer(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    decide: Callable[[RotationState], Event | None],
    reason: str,
    command: str,
    *kinds: type[Event],
    **facts: Any,
) -> Steered:
    stream = rotation_stream(agent, provider)

    def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
        context.queries.agents().lineage(agent)
        state = context.queries.rotation(agent, provider)
        event = decide(state)
        return ([Draft(stream=stream, event=event)] if event else []), {stream: state.version}

    recorded = context.decide(context.cause(reason, command), stream, build)
    return Steered(agent, provider, first_of(recorded, *kinds, **facts)[0].position if recorded else None)


def _earlier_order(context: Context, state: RotationState, position: int | None) -> tuple[list[str] | None, int]:
    """The order to bring back and the position it is taken from."""
    stream = rotation_stream(state.agent, state.provider)
    changes = [r for r in context.store.read_stream(stream) if isinstance(r.event, OrderSet | OrderCleared)]
    if position is not None:
        until = [r for r in changes if r.position <= position]
        if not until:
            return None, position
        last = until[-1]
    else:
        if not changes:
            raise NotFound(
                f"agent {state.agent} never had an order for {state.provider}", hint="set one with: vault order set"
            )
        if len(changes) == 1:
            return None, changes[0].position - 1
        last = changes[-2]
    return (list(last.event.profiles) if isinstance(last.event, OrderSet) else None), last.position
