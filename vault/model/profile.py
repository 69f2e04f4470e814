"""One profile: its state from its events, and what may happen to it. Pure.

A state keeps the current credential and the one before it; every earlier one stays reachable through the log. Nothing here
holds a secret: a credential is named by the position of the event whose payload holds it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from vault.errors import NewerVersion, NotFound
from vault.events.credentials import CredentialFacts
from vault.events.types import (
    Event,
    ProfileImported,
    ProfileLoggedIn,
    ProfileLoggedOut,
    ProfileProbed,
    ProfileRestored,
    RefreshClaimed,
    RefreshFailed,
    TokensRefreshed,
    UnknownEvent,
)
from vault.guessing import nearest


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A credential a profile holds or held: where it is stored, since when it was current, and the facts about it."""

    position: int
    since: int
    facts: CredentialFacts
    tool: str = ""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh that one process claimed and that has no outcome yet."""

    position: int
    lease_until: int
    refresh_fingerprint: str


class Proof(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last time a credential was shown to work, or not: by a refresh or a probe."""

    at: int
    how: str
    outcome: str
    fingerprint: str = ""
    detail: str = ""


class ProfileState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A profile as of ``version`` in its stream. After a logout ``current`` is None and ``ended`` is what it was.

    ``previous`` is the credential before this one; tokens that a refresh replaced are the same credential.
    ``claim`` is a refresh without an outcome; ``uncertain`` counts those in a row whose outcome nobody will ever know;
    ``needs_sign_in`` is why only a person can go on; ``retry_at`` is when the provider wants to be asked again.
    """

    agent: str
    profile: str
    version: int
    current: Held | None = None
    previous: Held | None = None
    ended: Held | None = None
    logged_out_at: int = 0
    claim: Claim | None = None
    uncertain: int = 0
    needs_sign_in: str = ""
    retry_at: int = 0
    proof: Proof | None = None
    unknown: str = ""


def evolve_profile(
    state: ProfileState | None, event: Event, version: int, position: int, at: int, agent: str, profile: str
) -> ProfileState:
    """The profile after an event."""
    current = state.current if state else None
    previous = state.previous if state else None
    ended = state.ended if state else None
    unknown = state.unknown if state else ""
    logged_out_at = state.logged_out_at if state else 0
    last = current or ended
    claim = state.claim if state else None
    uncertain = state.uncertain if state else 0
    needs_sign_in = state.needs_sign_in if state else ""
    retry_at = state.retry_at if state else 0
    proof = state.proof if state else None
    match event:
        case ProfileLoggedIn(credential=facts):
            current = Held(position=position, since=at, facts=facts)
            previous, ended, logged_out_at = last or previous, None, 0
        case ProfileImported(credential=facts, tool=tool):
            current = Held(position=position, since=at, facts=facts, tool=tool)
            previous, ended, logged_out_at = last or previous, None, 0
        case ProfileRestored(credential=facts, from_position=origin):
            tool = next((h.tool for h in (current, ended, previous) if h is not None and h.position == origin), "")
            current = Held(position=origin, since=at, facts=facts, tool=tool)
            if last and last.position != origin:
                previous = last
            ended, logged_out_at = None, 0
        case ProfileLoggedOut():
            current, ended, logged_out_at = None, last, at
        case RefreshClaimed(refresh_fingerprint=sent, lease_until=until):
            if claim is not None:
                uncertain += 1
            claim = Claim(position=position, lease_until=until, refresh_fingerprint=sent)
        case TokensRefreshed(credential=facts):
            if current is not None:
                current = Held(position=position, since=current.since, facts=facts, tool=current.tool)
            claim, uncertain, needs_sign_in, retry_at = None, 0, "", 0
            proof = Proof(at=at, how="refresh", outcome="works", fingerprint=facts.fingerprint)
        case RefreshFailed(outcome=outcome, error=error, retry_at=later):
            claim, retry_at = None, later or 0
            if outcome == "refused":
                needs_sign_in = error or "refused"
                proof = Proof(at=at, how="refresh", outcome="refused", detail=error)
            elif outcome == "uncertain":
                uncertain += 1
        case ProfileProbed(outcome=outcome, fingerprint=fingerprint, detail=detail):
            proof = Proof(at=at, how="probe", outcome=outcome, fingerprint=fingerprint, detail=detail)
        case UnknownEvent(type=type_name):
            unknown = type_name
    if isinstance(event, ProfileLoggedIn | ProfileImported | ProfileRestored | ProfileLoggedOut):
        claim, uncertain, needs_sign_in, retry_at, proof = None, 0, "", 0, None
    return ProfileState(
        agent=agent,
        profile=profile,
        version=version,
        current=current,
        previous=previous,
        ended=ended,
        logged_out_at=logged_out_at,
        claim=claim,
        uncertain=uncertain,
        needs_sign_in=needs_sign_in,
        retry_at=retry_at,
        proof=proof,
        unknown=unknown,
    )


def log_in(state: ProfileState | None, agent: str, profile: str, facts: CredentialFacts) -> ProfileLoggedIn:
    """Decide a login. An existing credential stays in the log."""
    decidable(state)
    return ProfileLoggedIn(agent=agent, profile=profile, credential=facts)


def take_over(
    state: ProfileState | None,
    agent: str,
    profile: str,
    facts: CredentialFacts,
    tool: str,
    path: str,
    why: str,
    known: frozenset[tuple[str, str]] = frozenset(),
) -> ProfileImported | None:
    """Decide an import; None when it would change nothing.

    ``known`` holds the (fingerprint, refresh fingerprint) pairs this profile was ever given by an import from the same
    tool: taking one of those over a second time could undo a newer login, so it isn't done. That the one that is held belongs to
    another server is news all the same.
    """
    decidable(state)
    held = state.current.facts if state and state.current else None
    if held and facts.base_url not in ("", held.base_url) and _same(held, facts):
        return ProfileImported(agent=agent, profile=profile, credential=facts, tool=tool, path=path, why=why)
    if (facts.fingerprint, facts.refresh_fingerprint) in known:
        return None
    if held and _same(held, facts):
        return None
    return ProfileImported(agent=agent, profile=profile, credential=facts, tool=tool, path=path, why=why)


def log_out(state: ProfileState | None, agent: str, profile: str, revocation: str = "") -> ProfileLoggedOut:
    """Decide a logout. Raises NotFound when there is nothing to log out."""
    decidable(state)
    if state is None or state.current is None:
        raise NotFound(f"{profile} of agent {agent} is not logged in", hint="vault list shows what is")
    fingerprint = state.current.facts.fingerprint
    return ProfileLoggedOut(agent=agent, profile=profile, fingerprint=fingerprint, revocation=revocation)


def restore(state: ProfileState | None, agent: str, profile: str, origin: Held) -> ProfileRestored | None:
    """Decide a restore of the credential stored at ``origin``; None when it is current already."""
    decidable(state)
    if state and state.current and state.current.position == origin.position:
        return None
    return ProfileRestored(agent=agent, profile=profile, from_position=origin.position, credential=origin.facts)


def no_profile(agent: str, profile: str, known: Iterable[str]) -> NotFound:
    """The error for a profile that an agent doesn't see. It names those like it: of its provider, else of any."""
    return NotFound(
        f"agent {agent} has no profile {profile}", hint=like_it(profile, known, "vault list shows what it has")
    )


def like_it(profile: str, known: Iterable[str], look: str = "") -> str:
    """A hint: the profiles that are like one, of its provider, else of any; and where to look."""
    provider, _, name = profile.partition(":")
    listed = sorted(known)
    names = {p.partition(":")[2]: p for p in listed if p.partition(":")[0] == provider}
    near = [names[n] for n in nearest(name, names)] or nearest(profile, () if names else listed)
    meant = f"did you mean {' or '.join(near)}?" if near else ""
    return f"{meant} ({look})" if meant and look else meant or look


def decidable(state: ProfileState | None) -> None:
    """Raises NewerVersion when the stream holds an event this vault doesn't know."""
    if state and state.unknown:
        raise NewerVersion(
            f"{state.profile} holds an event {state.unknown} written by a newer vault", hint="upgrade agent-vault"
        )


def _same(left: CredentialFacts, right: CredentialFacts) -> bool:
    return (
        left.kind == right.kind
        and left.fingerprint == right.fingerprint
        and left.refresh_fingerprint == right.refresh_fingerprint
        and left.expires_at == right.expires_at
        and left.reference == right.reference
    )
