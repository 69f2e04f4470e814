"""A refresh: claim, exchange, settle. What is decided before and after the one network call. Pure.

One process claims: an append at an expected version, so one wins. The claim names the fingerprint of the refresh token it will
send and has a lease. Settling compares fingerprints: an answer is kept when the stored refresh token is still the one that was
sent, or the claim is still ours; a refusal condemns the profile only if the stored token is still the one that was sent. What was
replaced stays in the log. A claim whose lease ended without an outcome is *uncertain*: it is tried once more, then only a person
can go on.
"""

from __future__ import annotations

from dataclasses import dataclass

from vault.errors import SignInAgain
from vault.events.credentials import CredentialFacts
from vault.events.types import RefreshClaimed, RefreshFailed, TokensRefreshed
from vault.model.profile import ProfileState, decidable

TRIES_WHEN_UNCERTAIN = 2

REFUSED, POSTPONED, UNCERTAIN = "refused", "postponed", "uncertain"

NOT_REFRESHABLE, FRESH, HELD, WAITING, DUE = "not_refreshable", "fresh", "held", "waiting", "due"


@dataclass(frozen=True, slots=True)
class Need:
    """Whether a profile's token wants refreshing: ``until`` is when a lease or a wait ends."""

    state: str
    until: int | None = None


def need(state: ProfileState, now: int, leeway: int, *, force: bool = False) -> Need:
    """Whether to refresh now. ``force`` refreshes a token that has life left."""
    held = state.current
    if held is None or held.facts.kind != "oauth" or not held.facts.refresh_fingerprint:
        return Need(NOT_REFRESHABLE)
    if held.facts.ownership == "external" or state.needs_sign_in:
        return Need(NOT_REFRESHABLE)
    expires = held.facts.expires_at
    if not force and (expires is None or expires - now > leeway):
        return Need(FRESH, expires)
    if state.claim and state.claim.lease_until > now:
        return Need(HELD, state.claim.lease_until)
    if state.retry_at > now:
        return Need(WAITING, state.retry_at)
    return Need(DUE)


def given_up_from(state: ProfileState) -> int | None:
    """From when only a person can renew a profile: 0 for since ever, the end of the last try's lease, None for not at all."""
    if state.needs_sign_in or state.uncertain >= TRIES_WHEN_UNCERTAIN:
        return 0
    if state.claim and state.uncertain + 1 >= TRIES_WHEN_UNCERTAIN:
        return state.claim.lease_until
    return None


def claim(state: ProfileState, now: int, lease: int = 0) -> RefreshClaimed:
    """Decide to claim a due refresh for ``lease`` microseconds. Raises SignInAgain when only a person can go on, NewerVersion."""
    decidable(state)
    again = f"vault login {state.profile}" + (f" --agent {state.agent}" if state.agent != "main" else "")
    if state.needs_sign_in:
        raise SignInAgain(
            f"the provider refused the refresh token of {state.profile} of agent {state.agent} ({state.needs_sign_in})",
            hint=again,
        )
    lost = state.uncertain + (1 if state.claim else 0)
    if lost >= TRIES_WHEN_UNCERTAIN:
        raise SignInAgain(
            f"two refreshes of {state.profile} of agent {state.agent} in a row ended uncertain: its refresh token may be spent",
            hint=again,
        )
    held = state.current
    sent = held.facts.refresh_fingerprint if held else ""
    return RefreshClaimed(agent=state.agent, profile=state.profile, refresh_fingerprint=sent, lease_until=now + lease)


def settle_success(
    state: ProfileState, position: int, claimed: RefreshClaimed, facts: CredentialFacts
) -> TokensRefreshed | None:
    """What new tokens bring about; None when another winner's are newer, or the profile has another credential now."""
    decidable(state)
    stored = state.current.facts.refresh_fingerprint if state.current else ""
    ours = state.claim is not None and state.claim.position == position
    if stored != claimed.refresh_fingerprint and not (ours and state.current):
        return None
    return TokensRefreshed(
        agent=state.agent,
        profile=state.profile,
        claim=position,
        credential=facts,
        rotated=facts.refresh_fingerprint != claimed.refresh_fingerprint,
    )


def settle_failure(
    state: ProfileState, position: int, claimed: RefreshClaimed, outcome: str, error: str, retry_at: int | None = None
) -> RefreshFailed | None:
    """What a failure brings about; None when it no longer concerns the stored token."""
    decidable(state)
    stored = state.current.facts.refresh_fingerprint if state.current else ""
    if stored != claimed.refresh_fingerprint:
        return None
    if outcome != REFUSED and not (state.claim and state.claim.position == position):
        return None
    return RefreshFailed(
        agent=state.agent,
        profile=state.profile,
        claim=position,
        outcome=outcome,
        error=error,
        refresh_fingerprint=claimed.refresh_fingerprint,
        retry_at=retry_at,
    )
