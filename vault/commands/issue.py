"""get, env, exec: handing out. ``credential_issued`` is in the log before the secret leaves; if it can't be, nothing does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vault.commands.naming import with_agent
from vault.commands.why import STORED_ONLY, decide, resolvable
from vault.context import Context
from vault.errors import IntegrityError, NotFound, SignInAgain, TryAgain, VaultError
from vault.events.credentials import AnyCredential, Reference, WellKnown
from vault.events.types import CredentialIssued
from vault.log.records import Draft
from vault.model.choosing import CODES, Candidate, Decision, trouble
from vault.model.streams import rotation_stream
from vault.projections.queries import View
from vault.providers import catalogue
from vault.unlock.references import fetch
from vault.values import AgentId, ProfileId, ProviderId, Secret, format_instant, parse_secret, provider_of


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential that was handed out. ``names`` are the environment variables it belongs in; ``source`` as in the event."""

    agent: str
    provider: str
    profile: str
    source: str
    kind: str
    secret: Secret
    names: tuple[str, ...]
    expires_at: int | None
    position: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A credential about to be handed out."""

    event: CredentialIssued
    secret: Secret
    kind: str
    names: tuple[str, ...]
    expires_at: int | None = None


def issue(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    *,
    profile: ProfileId | None = None,
    way: str,
    program: str = "",
    sources: Sequence[str] | None = None,
    reason: str = "",
) -> Issued:
    """Hand out one credential: the named profile's, or the chosen one.

    Raises NotFound, SignInAgain, TryAgain, IntegrityError, Gone, and whatever keeps the event from being written.
    """
    ready = prepare(context, agent, provider, profile=profile, way=way, program=program, sources=sources)
    return hand_out(context, [ready], way=way, reason=reason)[0]


def hand_out(context: Context, ready: Sequence[Ready], *, way: str, reason: str = "") -> list[Issued]:
    """Append ``credential_issued`` for each, all or none, and only then give the secrets."""
    drafts = [Draft(stream=rotation_stream(r.event.owner, r.event.provider), event=r.event) for r in ready]
    recorded = context.store.append(drafts, context.cause(reason, way=way)) if drafts else []
    return [
        Issued(
            r.event.agent,
            r.event.provider,
            r.event.profile,
            r.event.source,
            r.kind,
            r.secret,
            r.names,
            r.expires_at,
            record.position,
        )
        for r, record in zip(ready, recorded, strict=True)
    ]


def prepare(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    *,
    profile: ProfileId | None = None,
    way: str,
    program: str = "",
    sources: Sequence[str] | None = None,
) -> Ready:
    """Choose and open a credential without handing it out. Raises NotFound, SignInAgain, TryAgain, IntegrityError, Gone."""
    program = program or context.actor.program
    _reread(context, agent, [provider], profile)
    if profile is not None:
        return _stored(context, agent, _named(context, agent, profile), way, program)
    decision = decide(context, agent, provider, sources=sources)
    if decision.chosen is None:
        raise nothing_usable(decision)
    if decision.candidate is not None:
        return _stored(context, agent, decision.candidate, way, program)
    source, _, name = decision.chosen.what.partition(":")
    value = parse_secret((context.environ if source == "env" else context.dotenv)[name])
    event = CredentialIssued(
        agent=agent,
        owner=agent,
        provider=provider,
        source=decision.chosen.what,
        fingerprint=context.keys.fingerprint(value),
        way=way,
        program=program,
    )
    return Ready(event, Secret(value), "environment", (name,))


def prepare_all(
    context: Context,
    agent: AgentId,
    providers: Sequence[ProviderId],
    *,
    way: str,
    program: str = "",
    left_out: list[tuple[str, VaultError]] | None = None,
) -> list[Ready]:
    """Everything ``exec`` or ``env`` injects: the named providers', or one for each provider the agent has a usable one for.

    Environment variables are no source here: putting the vault's credential in their place is what was asked for. When no
    provider is named, one whose credential can't be had now doesn't keep the others back: why goes to ``left_out``.
    """
    if providers:
        return [prepare(context, agent, p, way=way, program=program, sources=STORED_ONLY) for p in providers]
    seen = sorted({provider_of(ProfileId(p)) for p in View(context.queries, agent).visible()})
    _reread(context, agent, seen)
    ready = []
    for provider in seen:
        decision = decide(context, agent, provider, sources=STORED_ONLY)
        if decision.candidate is None:
            continue
        try:
            ready.append(_stored(context, agent, decision.candidate, way, program or context.actor.program))
        except IntegrityError:
            raise
        except VaultError as error:
            if left_out is None:
                raise
            left_out.append((decision.candidate.profile, error))
    return ready


def _reread(
    context: Context, agent: AgentId, providers: Sequence[ProviderId], profile: ProfileId | None = None
) -> None:
    """Let other tools' own credentials come in before anything is chosen."""
    states = [s for s in View(context.queries, agent).owned() if provider_of(ProfileId(s.profile)) in providers]
    if any(s.current is not None and s.current.facts.ownership == "external" for s in states):
        from vault.commands.external import reread

        reread(context, [s for s in states if profile in (None, s.profile)])


def stale_names(providers: Iterable[str]) -> set[str]:
    """Every variable that could hold another credential of these providers: they leave a child's environment."""
    return {variable for name in providers for variable in catalogue.stripped_names(ProviderId(name))}


def nothing_usable(decision: Decision) -> NotFound | SignInAgain | TryAgain:
    """The error that tells why nothing could be chosen, and what to do."""
    agent, provider = decision.agent, decision.provider
    codes = {c.code for c in decision.considered}
    what = f"agent {agent} has no usable credential for {provider}"
    if "provider_disabled" in codes or (not decision.considered and "disable" in decision.basis):
        return NotFound(f"{what}: {decision.basis}", hint="vault config edit, or VAULT_DISABLED_PROVIDERS")
    if not decision.considered or codes <= {"missing"}:
        return NotFound(
            f"agent {agent} has no credential for {provider}", hint=with_agent(f"vault login {provider}", agent)
        )
    why = "; ".join(f"{c.what} {c.text}" for c in decision.considered)
    waits = [c.until for c in decision.considered if c.code == "disabled" and c.until]
    if waits:
        return TryAgain(
            f"{what}: {why}",
            hint=f"wait until {format_instant(min(waits))}, or forgive it with: vault health clear PROFILE",
        )
    if "not_in_order" in codes:
        return NotFound(
            f"{what}: {why}", hint=f"vault order clear --provider {provider}, or name the profile in the order"
        )
    if codes & {"expired", "needs_sign_in"}:
        return SignInAgain(f"{what}: {why}", hint=with_agent(f"vault login {provider}", agent))
    if "stale" in codes:
        return SignInAgain(f"{what}: {why}", hint="let its own tool refresh it, then import it again")
    return NotFound(f"{what}: {why}", hint=f"vault why {provider} shows the decision")


def _named(context: Context, agent: AgentId, profile: ProfileId) -> Candidate:
    """A profile asked for by id: health doesn't matter, everything else does."""
    state = View(context.queries, agent).find(profile)
    if state.current is None:
        raise NotFound(
            f"{profile} of agent {state.agent} is logged out",
            hint=with_agent(f"vault restore {profile}", state.agent) + " undoes it",
        )
    if not context.allows(provider_of(profile)):
        raise NotFound(
            f"the settings disable {provider_of(profile)}", hint="vault config edit, or VAULT_DISABLED_PROVIDERS"
        )
    candidate = Candidate(
        profile,
        state.agent,
        state.current.facts,
        state.current.position,
        needs_sign_in=bool(state.needs_sign_in),
    )
    candidate = resolvable(candidate, context.environ)
    code, _ = trouble(candidate, provider_of(profile), context.clock.now())
    if code in ("expired", "needs_sign_in"):
        raise SignInAgain(
            f"{profile} of agent {state.agent} is {CODES[code]}", hint=with_agent(f"vault login {profile}", state.agent)
        )
    if code == "stale":
        raise SignInAgain(f"{profile} of agent {state.agent} is {CODES[code]}", hint="vault import TOOL")
    if code:
        raise NotFound(
            f"{profile} of agent {state.agent} can't be handed out: {CODES[code]}", hint=f"vault show {profile}"
        )
    return candidate


def _stored(context: Context, agent: AgentId, candidate: Candidate, way: str, program: str) -> Ready:
    position = candidate.position
    if candidate.facts is not None and candidate.facts.refresh_fingerprint:
        position = _brought_up_to_date(context, candidate)
    credential = context.store.credential(position)
    provider = provider_of(ProfileId(candidate.profile))
    secret = secret_of(context, credential, candidate)
    names = (credential.env,) if isinstance(credential, WellKnown) else catalogue.env_names(provider)
    event = CredentialIssued(
        agent=agent,
        owner=candidate.owner,
        provider=provider,
        profile=candidate.profile,
        source="stored" if not isinstance(credential, Reference) else f"{credential.scheme}:{credential.target}",
        fingerprint=context.keys.fingerprint(secret),
        way=way,
        program=program,
    )
    return Ready(event, Secret(secret), credential.kind, names, credential.expires())


def _brought_up_to_date(context: Context, candidate: Candidate) -> int:
    """The position of a profile's tokens after a refresh, if they wanted one."""
    from vault.commands.refresh import leeway_of, refresh

    owner, profile = AgentId(candidate.owner), ProfileId(candidate.profile)
    refresh(context, owner, profile, leeway=leeway_of(context, provider_of(profile)))
    state = context.queries.profile(owner, profile)
    return state.current.position if state and state.current else candidate.position


def secret_of(context: Context, credential: AnyCredential, candidate: Candidate) -> str:
    """The secret of a credential that can be handed out now. Raises SignInAgain, NotFound."""
    expires = credential.expires()
    if expires is not None and expires <= context.clock.now():
        raise SignInAgain(
            f"the access token of {candidate.profile} of agent {candidate.owner} expired at {format_instant(expires)}",
            hint=with_agent(f"vault login {candidate.profile}", candidate.owner),
        )
    if isinstance(credential, Reference):
        return fetch(credential.scheme, credential.target, context.environ)
    secret = credential.secret()
    if not secret:
        raise NotFound(f"{candidate.profile} holds no single secret", hint=f"vault show {candidate.profile}")
    return secret
