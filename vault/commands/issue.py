"""get, env, exec: handing out. ``credential_issued`` is in the log before the secret leaves; if it can't be, nothing does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vault.commands.addressing import addressed
from vault.commands.candidates import family_of, moved_variables, source_of
from vault.commands.naming import with_agent
from vault.commands.ready import Ready, after_failures, named_candidate, nothing_usable, unresolved
from vault.commands.standing import in_hand
from vault.commands.why import decide
from vault.context import Context
from vault.errors import IntegrityError, NotFound, SignInAgain, UsageError, VaultError
from vault.events.credentials import AnyCredential, OAuth, Reference, Token, WellKnown
from vault.events.types import CredentialIssued
from vault.log.records import Draft
from vault.model.choosing import Candidate, Decision
from vault.model.streams import rotation_stream
from vault.projections.queries import View
from vault.providers import catalogue
from vault.unlock.references import fetch
from vault.values import AgentId, ProfileId, ProviderId, Secret, format_instant, parse_secret, provider_of
from vault.variables import is_credentials

__all__ = ["Issued", "Ready", "hand_out", "issue", "prepare", "secret_of"]

_UNUSABLE = ("expired", "stale", "needs_sign_in", "disabled", "destroyed", "unresolved_reference", "no_secret")


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential that was handed out. ``names`` are the environment variables it belongs in; ``source`` as in the event.

    ``mode`` is a cloud provider's; ``variables`` is then all that belongs together, with values, a region and the like among
    them, and ``secret`` the main one of the secrets, all there is when ``single``. Both are empty for other providers.
    ``base_url`` is the server it belongs to where that isn't the provider's own; ``note`` is what should be said.
    """

    agent: str
    provider: str
    profile: str
    source: str
    kind: str
    secret: Secret
    names: tuple[str, ...]
    expires_at: int | None
    position: int
    mode: str = ""
    variables: Mapping[str, Secret] = field(default_factory=dict)
    single: bool = True
    base_url: str = ""
    address: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def values(self) -> dict[str, Secret]:
        """The variables it belongs in, and what is in them."""
        held = dict(self.variables) or dict.fromkeys(self.names, self.secret)
        return held | {name: Secret(url) for name, url in self.address.items()} if held else held


def issue(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    *,
    profile: ProfileId | None = None,
    way: str,
    program: str = "",
    reason: str = "",
    single: bool = False,
) -> Issued:
    """Hand out one credential: the named profile's, or the chosen one. ``single`` refuses one that is several secrets.

    Raises NotFound, SignInAgain, TryAgain, IntegrityError, Gone, UsageError, and whatever keeps the event from being written.
    """
    ready = prepare(context, agent, provider, profile=profile, way=way, program=program)
    if single and not ready.single:
        raise UsageError(
            f"the credential of {provider} is several secrets ({ready.event.profile or ready.event.source})",
            hint=f"vault exec --provider {profile or provider} -- COMMAND, or vault get {profile or provider} --json",
        )
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
            r.mode,
            r.variables,
            r.single,
            r.base_url,
            r.address,
            r.note,
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
) -> Ready:
    """Choose and open a credential without handing it out; a reference that can't be resolved gives way to what comes next.

    What it is for, ``way``, has a say in the choice, as ``decide`` tells.

    Raises NotFound, SignInAgain, TryAgain, IntegrityError, Gone, and what ``fetch`` raises when nothing comes after a reference.
    """
    program = program or context.actor.program
    reread_of(context, agent, [provider], profile)
    named = None if profile is None else named_candidate(context, agent, profile)
    if family_of(context, provider) and context.allows(provider):
        return of_cloud(context, agent, provider, named, way, program)
    if named is not None:
        return _stored(context, agent, named, way, program)
    decision = decide(context, agent, provider, way=way)
    if decision.chosen is None:
        raise nothing_usable(context, decision)
    failed: list[tuple[str, VaultError]] = []
    if decision.candidate is not None:
        ready = first_open(context, agent, provider, in_turn(context, decision), way, program, failed)
        if ready is not None:
            return ready
    return of_variable(context, decision, way, program, failed)


def of_variable(
    context: Context, decision: Decision, way: str, program: str, failed: Sequence[tuple[str, VaultError]] = ()
) -> Ready:
    """The variable that was chosen, or that comes after stored profiles none of which could be had: why is in ``failed``."""
    agent, provider = AgentId(decision.agent), ProviderId(decision.provider)
    variable = next((c for c in decision.considered if c.code == "stored_first"), None) if failed else decision.chosen
    if variable is None:
        raise unresolved(agent, provider, failed)
    source, _, name = variable.what.partition(":")
    value = parse_secret(context.variables(source)[name])
    event = CredentialIssued(
        agent=agent,
        owner=agent,
        provider=provider,
        source=variable.what,
        fingerprint=context.keys.fingerprint(value),
        way=way,
        program=program,
    )
    ready = Ready(event, Secret(value), "environment", (name,), note=instead(decision))
    address = moved_variables(context, provider).get(source_of(source), "")
    return after_failures(addressed(context, ready, address, way), failed)


def instead(decision: Decision) -> str:
    """What should be said of a variable that is used because of the stored profiles, which come first, none is usable."""
    why = "; ".join(f"{c.what} {c.text}" for c in decision.considered if c.owner and c.code in _UNUSABLE)
    return f"{decision.basis}: {why}" if why and decision.chosen and not decision.candidate else ""


def in_turn(context: Context, decision: Decision) -> Iterator[Candidate]:
    """The stored profiles that can be used, the chosen one first."""
    if decision.candidate is not None:
        yield decision.candidate
    for line in decision.considered:
        if line.owner and line.code in ("next", "cooling_down"):
            yield named_candidate(context, AgentId(decision.agent), ProfileId(line.what))


def first_open(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    candidates: Iterable[Candidate],
    way: str,
    program: str,
    failed: list[tuple[str, VaultError]],
) -> Ready | None:
    """The first that can be opened. References that can't be resolved go to ``failed``; whatever else fails is raised."""
    for candidate in candidates:
        try:
            return after_failures(_stored(context, agent, candidate, way, program), failed)
        except IntegrityError:
            raise
        except VaultError as error:
            failed.append((candidate.profile, error))
            if candidate.facts is None or candidate.facts.kind != Reference.kind:
                raise unresolved(agent, provider, failed) from None
    return None


def reread_of(
    context: Context, agent: AgentId, providers: Sequence[ProviderId], profile: ProfileId | None = None
) -> None:
    """Let other tools' own credentials come in before anything is chosen."""
    states = [s for s in View(context.queries, agent).owned() if provider_of(ProfileId(s.profile)) in providers]
    if any(s.current is not None and s.current.facts.ownership == "external" for s in states):
        from vault.commands.external import reread

        reread(context, [s for s in states if profile in (None, s.profile)])


def _stored(context: Context, agent: AgentId, candidate: Candidate, way: str, program: str) -> Ready:
    position = candidate.position
    if candidate.facts is not None and candidate.facts.refresh_fingerprint:
        position = _brought_up_to_date(context, candidate)
    credential = context.store.credential(position)
    provider = provider_of(ProfileId(candidate.profile))
    secret = secret_of(context, credential, candidate)
    names, note, removed = catalogue.env_names(provider), "", frozenset[str]()
    if isinstance(credential, WellKnown):
        # The name is another's choice, and may have come in before such names were refused.
        names = (credential.env,) if is_credentials(credential.env) else ()
        note = "" if names else "it is put into no variable: the one it names can't be a credential's"
    if isinstance(credential, OAuth | Token):
        from vault.commands.placing import BESIDE_CLAUDE, CLAUDE_NAMES, misplaced, names_for

        names, note = names_for(credential, provider), misplaced(credential, provider)
        removed = frozenset(BESIDE_CLAUDE if names == CLAUDE_NAMES else ())
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
    kept = candidate.facts.env if candidate.facts else ()
    further = tuple(n for n in kept if n not in names and is_credentials(n))
    ready = Ready(
        event,
        Secret(secret),
        credential.kind,
        (*names, *further),
        credential.expires(),
        removed=removed,
        note=note,
        further=further,
    )
    return addressed(context, ready, candidate.facts.base_url if candidate.facts else "", way)


def of_cloud(
    context: Context, agent: AgentId, provider: ProviderId, named: Candidate | None, way: str, program: str
) -> Ready:
    from vault.commands.cloud_issue import prepare_cloud

    def open_stored(candidate: Candidate) -> Ready:
        return _stored(context, agent, candidate, way, program)

    return prepare_cloud(context, agent, provider, named, open_stored, way=way, program=program)


def _brought_up_to_date(context: Context, candidate: Candidate) -> int:
    """The position of a profile's tokens after a refresh, if they wanted one."""
    from vault.commands.refresh import refresh

    owner, profile = AgentId(candidate.owner), ProfileId(candidate.profile)
    refresh(context, owner, profile)
    state = context.queries.profile(owner, profile)
    return state.current.position if state and state.current else candidate.position


def secret_of(context: Context, credential: AnyCredential, candidate: Candidate) -> str:
    """The secret of a credential that can be handed out now. Raises SignInAgain, NotFound."""
    expires = credential.expires()
    if expires is not None and expires <= context.clock.now():
        state = context.queries.profile(candidate.owner, candidate.profile)
        raise SignInAgain(
            f"the access token of {candidate.profile} of agent {candidate.owner} expired at {format_instant(expires)}",
            hint=in_hand(context, state) if state else with_agent(f"vault login {candidate.profile}", candidate.owner),
        )
    if isinstance(credential, Reference):
        return fetch(credential.scheme, credential.target, context.environ_for(credential.scheme))
    secret = credential.secret()
    if not secret:
        raise NotFound(f"{candidate.profile} holds no single secret", hint=f"vault show {candidate.profile}")
    return secret
