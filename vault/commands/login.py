"""login, logout: a profile gets a credential, or has none any more. Nothing is ever overwritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from vault.commands.repeats import first_of, profile_before
from vault.context import Context
from vault.errors import InputError, NotFound, UsageError
from vault.events.credentials import AnyCredential, CredentialFacts, Reference
from vault.events.types import AgentRegistered, HealthCleared, ProfileLoggedIn, ProfileLoggedOut
from vault.guessing import did_you_mean
from vault.log.records import Draft
from vault.model import agents as agents_model
from vault.model import profile as profile_model
from vault.model.health import WELL
from vault.model.profile import Held, ProfileState
from vault.model.streams import AGENTS, profile_stream, rotation_stream
from vault.pointers import pointer_in
from vault.projections.queries import View
from vault.providers import catalogue
from vault.showing import shown
from vault.values import MAIN_AGENT, AgentId, ProfileId, provider_of

_NO_SECRETS = ("a reference", "a command", "encrypted")


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a login did. ``replaced`` is the credential that was current before; it stays in the log."""

    agent: str
    profile: str
    position: int
    facts: CredentialFacts
    replaced: Held | None = None
    unchanged: bool = False
    registered: bool = False


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """What a logout did."""

    agent: str
    profile: str
    position: int
    was: Held | None


def facts_of(
    context: Context,
    credential: AnyCredential,
    *,
    label: str = "",
    account: str = "",
    ownership: str = "vault",
    base_url: str = "",
    env: Sequence[str] = (),
    sign_in: Mapping[str, str] | None = None,
) -> CredentialFacts:
    """What a header may tell about a credential."""
    secret, second = credential.secret(), credential.second_secret()
    return CredentialFacts(
        kind=credential.kind,
        fingerprint=context.keys.fingerprint(secret) if secret else "",
        refresh_fingerprint=context.keys.fingerprint(second) if second else "",
        expires_at=credential.expires(),
        label=label,
        account=account,
        ownership=ownership,
        reference=f"{credential.scheme}:{credential.target}" if isinstance(credential, Reference) else "",
        base_url=base_url,
        env=list(env),
        sign_in=dict(sign_in or {}),
    )


def health_drafts(context: Context, agent: str, profile: str) -> list[Draft]:
    """A new credential starts well: the event that forgives the old one's failures, if there are any."""
    provider = profile.partition(":")[0]
    if context.queries.rotation(agent, provider).health_of(profile) == WELL:
        return []
    return [Draft(stream=rotation_stream(agent, provider), event=HealthCleared(agent=agent, profile=profile))]


def registration(context: Context, agent: str) -> tuple[list[Draft], Mapping[str, int]]:
    """The event that registers an agent on its first login, inheriting from main, if it isn't known yet."""
    known = context.queries.agents()
    if known.known(agent):
        return [], {}
    event: AgentRegistered = agents_model.register(known, agent, MAIN_AGENT)
    return [Draft(stream=AGENTS, event=event)], {AGENTS: known.version}


def log_in(
    context: Context,
    agent: AgentId,
    profile: ProfileId,
    credential: AnyCredential,
    *,
    label: str = "",
    account: str = "",
    ownership: str = "vault",
    base_url: str | None = None,
    sign_in: Mapping[str, str] | None = None,
    reason: str = "",
    command: str = "",
) -> LoggedIn:
    """Store a credential as a profile's current one. Raises NewerVersion, Conflict, TryAgain, StorageError.

    ``base_url`` is the server it belongs to, empty for the provider's own; without one it is the server of what was there before.
    ``sign_in`` is how it was signed in to, as ``vault.commands.remembering`` has it.
    """
    facts = facts_of(context, credential, label=label, account=account, ownership=ownership, sign_in=sign_in)
    stream = profile_stream(agent, profile)
    seen: list[ProfileState | None] = [None]

    def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
        seen[0] = state = context.queries.profile(agent, profile)
        before = state.current.facts if state and state.current else None
        kept = label or (before.label if before else "")
        server = base_url if base_url is not None else before.base_url if before else ""
        names = before.env if before else []
        told = msgspec.structs.replace(facts, label=kept, base_url=server, env=names)
        event = profile_model.log_in(state, agent, profile, told)
        first, expected = registration(context, agent)
        drafts = [
            *first,
            Draft(stream=stream, event=event, credential=credential),
            *health_drafts(context, agent, profile),
        ]
        return drafts, {**expected, stream: state.version if state else 0}

    recorded = context.decide(context.cause(reason, command), stream, build)
    entry, event = first_of(recorded, ProfileLoggedIn)
    before = profile_before(context, entry, agent, profile, seen[0])
    replaced = before.current if before else None
    return LoggedIn(
        agent,
        profile,
        entry.position,
        event.credential,
        replaced,
        unchanged=replaced is not None and _same(replaced.facts, event.credential),
        registered=any(isinstance(r.event, AgentRegistered) for r in recorded),
    )


def log_out(
    context: Context,
    agent: AgentId,
    profile: ProfileId,
    *,
    revocation: str = "",
    reason: str = "",
    command: str = "",
) -> LoggedOut:
    """End a profile's current credential. Raises NotFound when there is none; a parent's profile is named as such.

    ``revocation`` is what the provider answered when it was asked to revoke; it is recorded.
    """
    stream = profile_stream(agent, profile)
    seen: list[ProfileState | None] = [None]

    def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
        lineage = context.queries.agents().lineage(agent)
        seen[0] = state = context.queries.profile(agent, profile)
        if state is None or state.current is None:
            for owner in lineage[1:]:
                inherited = context.queries.profile(owner, profile)
                if inherited and inherited.current:
                    raise NotFound(
                        f"{profile} belongs to agent {owner}; {agent} only inherits it",
                        hint=f"to log it out for all: vault logout {profile} --agent {owner}",
                    )
        if state is None:
            raise profile_model.no_profile(agent, profile, View(context.queries, agent).visible())
        event = profile_model.log_out(state, agent, profile, revocation)
        return [Draft(stream=stream, event=event)], {stream: state.version if state else 0}

    entry, _ = first_of(context.decide(context.cause(reason, command), stream, build), ProfileLoggedOut)
    before = profile_before(context, entry, agent, profile, seen[0])
    return LoggedOut(agent, profile, entry.position, before.current if before else None)


def check_typed(profile: ProfileId, secret: str) -> None:
    """Check a secret that a person gave for a provider of the catalogue; a password of any other place may look like anything.

    Raises InputError for another tool's reference, and for an encrypted value.
    """
    found = pointer_in(secret) if catalogue.provider(provider_of(profile)) is not None else None
    if found is not None and found.what.startswith(_NO_SECRETS):
        raise InputError(f"that is {found.what}, not a secret", hint="give the secret itself, or use --reference")


def check_kind(kind: str, expires_in: int | None) -> str:
    """Check the kind of a login that takes one secret. Raises UsageError."""
    if kind not in ("api_key", "token"):
        hint = did_you_mean(kind, ("api_key", "token"), "use api_key or token")
        raise UsageError(f"{shown(kind)} is not a kind of credential that can be typed in", hint=hint)
    if expires_in is not None and kind == "api_key":
        raise UsageError("an api_key has no expiry here", hint="use --kind token together with --expires-in")
    return kind


def _same(old: CredentialFacts, new: CredentialFacts) -> bool:
    return (old.kind, old.fingerprint, old.reference, old.base_url) == (
        new.kind,
        new.fingerprint,
        new.reference,
        new.base_url,
    )
