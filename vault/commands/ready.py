"""A credential about to be handed out, the profile that was named for it, and the error when there is none to hand out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from vault.commands.candidates import resolvable
from vault.commands.disabling import disabled_by
from vault.commands.naming import how_to_have, with_agent
from vault.commands.replaced import must_not_be_sent
from vault.commands.standing import in_hand
from vault.context import Context
from vault.errors import NotFound, SignInAgain, TryAgain, VaultError
from vault.events.types import CredentialIssued
from vault.model.choosing import CODES, Candidate, Decision, trouble
from vault.projections.queries import View
from vault.providers import catalogue
from vault.values import AgentId, ProfileId, ProviderId, Secret, format_instant, provider_of


@dataclass(frozen=True, slots=True)
class Ready:
    """A credential about to be handed out, as ``Issued``.

    ``single`` says that the secret is all there is to it; ``removed`` are the variables that must leave a child's environment,
    beside the provider's own; ``note`` is what should be said about it. ``base_url`` is the server it belongs to where that isn't
    the provider's own, and ``address`` the variables that carry it. ``further`` are those of the names that are the profile's
    and not its provider's.
    """

    event: CredentialIssued
    secret: Secret
    kind: str
    names: tuple[str, ...]
    expires_at: int | None = None
    mode: str = ""
    variables: Mapping[str, Secret] = field(default_factory=dict)
    single: bool = True
    removed: frozenset[str] = frozenset()
    note: str = ""
    base_url: str = ""
    address: Mapping[str, str] = field(default_factory=dict)
    further: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Secret]:
        """The variables of a child's environment, and what is in them."""
        held = dict(self.variables) or dict.fromkeys(self.names, self.secret)
        return held | {name: Secret(url) for name, url in self.address.items()} if held else held


def nothing_usable(context: Context, decision: Decision) -> NotFound | SignInAgain | TryAgain:
    """The error that tells why nothing could be chosen, and what to do."""
    agent, provider = decision.agent, decision.provider
    codes = {c.code for c in decision.considered}
    what = f"agent {agent} has no usable credential for {provider}"
    if not context.allows(provider):
        text, hint = disabled_by(context, provider)
        return NotFound(f"{what}: {text}", hint=hint)
    if not decision.considered and catalogue.is_local(provider):
        return NotFound(f"{provider} runs on this machine and needs no credential", hint="use it without one")
    if not decision.considered or codes <= {"missing"}:
        return NotFound(f"agent {agent} has no credential for {provider}", hint=how_to_have(provider, agent))
    why = "; ".join(f"{c.what} {c.text}" for c in decision.considered)
    waits = [c.until for c in decision.considered if c.code == "disabled" and c.until]
    if waits:
        return TryAgain(
            f"{what}: {why}",
            hint=f"wait until {format_instant(min(waits))}, or clear it with: vault health clear PROFILE",
        )
    if "not_in_order" in codes:
        return NotFound(
            f"{what}: {why}", hint=f"vault order clear --provider {provider}, or name the profile in the order"
        )
    theirs = next((c for c in decision.considered if c.code == "other_server"), None)
    if theirs is not None:
        use = f"name it where that server is meant: vault exec --provider {theirs.what} -- COMMAND"
        store = f"store what belongs there: vault login {provider} --base-url {theirs.base_url}"
        return NotFound(f"{what}: {why} ({theirs.base_url})", hint=use if theirs.owner else store)
    ended = [c for c in decision.considered if c.code in ("expired", "needs_sign_in", "replaced")]
    for one in ended or [c for c in decision.considered if c.code == "stale"]:
        state = context.queries.profile(one.owner, one.what)
        if state is not None:
            return SignInAgain(f"{what}: {why}", hint=in_hand(context, state))
    return NotFound(f"{what}: {why}", hint=f"vault why {provider} shows the decision")


def unresolved(agent: AgentId, provider: ProviderId, failed: Sequence[tuple[str, VaultError]]) -> VaultError:
    """The error when each (profile, error) was tried: the only one's own, else one like the first, naming them all."""
    first = failed[0][1]
    if len(failed) == 1:
        return first
    why = "; ".join(f"{profile}: {error.message}" for profile, error in failed)
    return type(first)(
        f"agent {agent} has no usable credential for {provider}: {why}",
        hint=f"fix one of them, or {with_agent(f'vault login {provider}', agent)}",
    )


def after_failures(ready: Ready, failed: Sequence[tuple[str, VaultError]]) -> Ready:
    """The credential with a note of the references that come before it and couldn't be resolved."""
    notes = [f"used because {profile} can't be resolved: {error.message}" for profile, error in failed]
    return replace(ready, note="; ".join([*notes, *([ready.note] if ready.note else [])]))


def named_candidate(context: Context, agent: AgentId, profile: ProfileId) -> Candidate:
    """A profile asked for by id: health doesn't matter, everything else does."""
    state = View(context.queries, agent).find(profile)
    if state.current is None:
        raise NotFound(
            f"{profile} of agent {state.agent} is logged out",
            hint=with_agent(f"vault restore {profile}", state.agent) + " undoes it",
        )
    if not context.allows(provider_of(profile)):
        text, hint = disabled_by(context, provider_of(profile))
        raise NotFound(f"{profile} isn't used: {text}", hint=hint)
    candidate = Candidate(
        profile,
        state.agent,
        state.current.facts,
        state.current.position,
        sign_in_from=0 if state.needs_sign_in else None,
    )
    candidate = resolvable(context, candidate)
    if candidate.trouble == "replaced" and (error := must_not_be_sent(context, state)) is not None:
        raise error
    code, _ = trouble(candidate, provider_of(profile), context.clock.now())
    if code in ("expired", "needs_sign_in"):
        raise SignInAgain(
            f"{profile} of agent {state.agent} can't be used: {CODES[code]}", hint=in_hand(context, state)
        )
    if code == "stale":
        raise SignInAgain(f"{profile} of agent {state.agent} is {CODES[code]}", hint=in_hand(context, state))
    if code:
        raise NotFound(
            f"{profile} of agent {state.agent} can't be handed out: {CODES[code]}", hint=f"vault show {profile}"
        )
    return candidate
