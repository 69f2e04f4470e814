"""One agent's rotation at one provider: order, pin, health, last use. Pure; choosing is in ``choosing``.

Health and last use belong to the agent that owns the profile, whoever used it; order and pin belong to the agent that uses.
"""

from __future__ import annotations

import msgspec

from vault.errors import InputError, NewerVersion, NotFound, UsageError
from vault.events.types import (
    CredentialIssued,
    Event,
    Health,
    HealthCleared,
    OrderCleared,
    OrderSet,
    ProfilePinned,
    ProfileUnpinned,
    UnknownEvent,
    UseReported,
)
from vault.model.health import WELL, after_failure, after_success
from vault.model.profile import no_profile


class RotationState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rotation as of ``version`` in its stream. ``order`` None means no order of its own.

    ``turns`` are the positions of the last hand-outs: profiles take turns by them where the clock stood still.
    """

    agent: str
    provider: str
    version: int = 0
    order: list[str] | None = None
    pin: str = ""
    last_used: dict[str, int] = {}
    turns: dict[str, int] = {}
    health: dict[str, Health] = {}
    unknown: str = ""

    def health_of(self, profile: str) -> Health:
        """The health of a profile; well when nothing was reported."""
        return self.health.get(profile, WELL)


def evolve_rotation(
    state: RotationState | None, event: Event, version: int, position: int, at: int, agent: str, provider: str
) -> RotationState:
    """The rotation after an event recorded at ``at``."""
    if state is None:
        state = RotationState(agent=agent, provider=provider)
    order, pin = state.order, state.pin
    last_used, turns, health, unknown = state.last_used, state.turns, state.health, state.unknown
    match event:
        case CredentialIssued(profile=profile):
            if profile:
                last_used, turns = {**last_used, profile: at}, {**turns, profile: position}
        case UseReported(profile=profile, outcome="success"):
            health = {**health, profile: after_success(at)}
        case UseReported(profile=profile, outcome="failure", failure=failure, until=until):
            health = {**health, profile: after_failure(state.health_of(profile), failure, at, until)}
        case UseReported(profile=profile, health=taken_over, last_used=used):
            if taken_over is not None:
                health = {**health, profile: taken_over}
            if used is not None:
                last_used = {**last_used, profile: max(used, last_used.get(profile, 0))}
        case HealthCleared(profile=profile):
            health = {k: v for k, v in health.items() if k != profile}
        case OrderSet(profiles=profiles):
            order = profiles
        case OrderCleared():
            order = None
        case ProfilePinned(profile=profile):
            pin = profile
        case ProfileUnpinned():
            pin = ""
        case UnknownEvent(type=type_name):
            unknown = type_name
    return RotationState(
        agent=state.agent,
        provider=state.provider,
        version=version,
        order=order,
        pin=pin,
        last_used=last_used,
        turns=turns,
        health=health,
        unknown=unknown,
    )


def set_order(
    state: RotationState, profiles: list[str], known: set[str], restored_from: int | None = None
) -> OrderSet | None:
    """Decide an order; None when it is so already.

    ``known`` are the profiles the agent can see. Raises InputError for another provider's profile or one named twice, NotFound
    for an unknown one.
    """
    decidable(state)
    if not profiles:
        raise UsageError("an order needs at least one profile", hint="to have none, use: vault order clear")
    for profile in profiles:
        if profile.partition(":")[0] != state.provider:
            raise InputError(
                f"{profile} is not a profile of {state.provider}", hint=f"list profiles of {state.provider} only"
            )
        if profile not in known:
            raise no_profile(state.agent, profile, known)
    if len(set(profiles)) != len(profiles):
        raise InputError("the order names a profile twice", hint="name each profile once")
    if state.order == profiles:
        return None
    return OrderSet(agent=state.agent, provider=state.provider, profiles=profiles, restored_from=restored_from)


def clear_order(state: RotationState, restored_from: int | None = None) -> OrderCleared | None:
    """Decide to clear the order; None when there is none."""
    decidable(state)
    if state.order is None:
        return None
    return OrderCleared(agent=state.agent, provider=state.provider, restored_from=restored_from)


def pin(state: RotationState, profile: str, known: set[str]) -> ProfilePinned | None:
    """Decide a pin; None when it is so already. Raises NotFound for an unknown profile."""
    decidable(state)
    if profile not in known:
        raise no_profile(state.agent, profile, known)
    if state.pin == profile:
        return None
    return ProfilePinned(agent=state.agent, provider=state.provider, profile=profile)


def unpin(state: RotationState) -> ProfileUnpinned:
    """Decide to unpin. Raises NotFound when nothing is pinned."""
    decidable(state)
    if not state.pin:
        raise NotFound(f"agent {state.agent} has no pin for {state.provider}", hint="vault why shows how it chooses")
    return ProfileUnpinned(agent=state.agent, provider=state.provider, profile=state.pin)


def decidable(state: RotationState) -> None:
    """Raises NewerVersion when the stream holds an event this vault doesn't know."""
    if state.unknown:
        raise NewerVersion(
            f"the rotation of {state.agent} at {state.provider} holds an event {state.unknown} written by a newer vault",
            hint="upgrade agent-vault",
        )
