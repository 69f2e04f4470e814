"""What the helpers of ``vault helper`` ask for: hand-outs, holdings, and credentials a tool gives to be kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vault.commands.issue import Issued, Ready, hand_out, issue, prepare
from vault.commands.login import log_in, log_out
from vault.commands.naming import target, with_agent
from vault.commands.refresh import refresh
from vault.commands.rotation import report
from vault.commands.why import decide
from vault.context import Context
from vault.errors import IntegrityError, SignInAgain, VaultError
from vault.events.credentials import AnyCredential, OAuth
from vault.events.types import CredentialIssued
from vault.interop.helpers import Given, Holding
from vault.model.profile import ProfileState
from vault.projections.queries import View
from vault.values import AgentId, Instant, ProfileId, ProviderId, Secret, parse_agent, parse_profile, provider_of


@dataclass(frozen=True, slots=True)
class Desk:
    """One helper's vault: it acts for an agent unless the request names another, and the history names the tool."""

    context: Context
    agent: AgentId
    helper: str
    tool: str

    @property
    def now(self) -> Instant:
        """Microseconds UTC."""
        return self.context.clock.now()

    def give(self, what: str, *, agent: str = "") -> Given:
        """Hand out for a provider or a profile. Raises what ``issue`` raises, InputError."""
        provider, profile = target(what, self.context.environ)
        name = self._agent(agent)
        way = f"helper {self.helper}"
        return self._given(name, issue(self.context, name, provider, profile=profile, way=way, program=self.tool))

    def give_fitting(self, what: str, fits: Callable[[str, str], bool]) -> Given | None:
        """The first, in the order they would be tried, that ``fits`` (kind, secret); what doesn't fit isn't handed out."""
        provider, profile = target(what, self.context.environ)
        way = f"helper {self.helper}"
        tried: set[str] = set()
        for named in [profile] if profile is not None else [None, *self._others(provider)]:
            ready = prepare(self.context, self.agent, provider, profile=named, way=way, program=self.tool)
            if ready.event.profile in tried:
                continue
            tried.add(ready.event.profile)
            if fits(ready.kind, ready.secret.reveal()):
                return self._given(self.agent, hand_out(self.context, [ready], way=way)[0])
        return None

    def _others(self, provider: ProviderId) -> list[ProfileId]:
        """The stored profiles that would be tried after the chosen one."""
        considered = decide(self.context, self.agent, provider, way=f"helper {self.helper}").considered
        usable = ("next", "cooling_down", "environment_first", "dotenv_first", "envfile_first")
        return [ProfileId(c.what) for c in considered if c.owner and c.code in usable]

    def _given(self, agent: AgentId, issued: Issued) -> Given:
        facts = told(self.context, agent, issued.profile)
        return Given(
            issued.secret, issued.provider, issued.profile, issued.kind, issued.expires_at, issued.values, facts
        )

    def give_beside(self, profile: str, name: str) -> Secret | None:
        """Hand out a secret that is kept in a credential's ``extra``; None where there is none. Raises NotFound."""
        found = View(self.context.queries, self.agent).find(profile)
        kept = self.context.store.credential(found.current.position).extra.get(name) if found.current else None
        if not isinstance(kept, str) or not kept:
            return None
        way, provider = f"helper {self.helper}", provider_of(ProfileId(profile))
        event = CredentialIssued(
            agent=self.agent,
            owner=found.agent,
            provider=provider,
            profile=profile,
            source="stored",
            fingerprint=self.context.keys.fingerprint(kept),
            way=way,
            program=self.tool or self.context.actor.program,
        )
        hand_out(self.context, [Ready(event, Secret(kept), name, ())], way=way)
        return Secret(kept)

    def holdings(self, provider: str = "", *, agent: str = "") -> Sequence[Holding]:
        """Profiles the agent sees, logged in."""
        name = self._agent(agent)
        view = View(self.context.queries, name)
        orders: dict[str, list[str]] = {}
        found = []
        for profile, state in sorted(view.visible(provider).items()):
            held = state.current
            if held is None:
                continue
            owner = provider_of(ProfileId(profile))
            order = orders.setdefault(owner, view.order(owner)[0] or [])
            found.append(
                Holding(
                    owner,
                    profile,
                    held.facts.kind,
                    held.facts.label,
                    told(self.context, name, profile),
                    since=held.since,
                    position=held.position,
                    rank=order.index(profile) if profile in order else len(order),
                    expires_at=held.facts.expires_at,
                    refreshable=bool(held.facts.refresh_fingerprint),
                    refused=self._is_refused(state),
                )
            )
        return found

    def is_secret_of(self, profile: str, secret: str, *, agent: str = "") -> bool:
        """Whether a profile's secret is this one, a reference's too; nothing is handed out."""
        name = self._agent(agent)
        state = View(self.context.queries, name).visible().get(profile)
        if state is None or state.current is None:
            return False
        if state.current.facts.fingerprint:
            return state.current.facts.fingerprint == self.context.keys.fingerprint(secret)
        target_profile = parse_profile(profile)
        try:
            way = f"helper {self.helper}"
            ready = prepare(self.context, name, provider_of(target_profile), profile=target_profile, way=way)
        except IntegrityError:
            raise
        except VaultError:
            return False
        return ready.secret == Secret(secret)

    def keep(self, profile: str, credential: AnyCredential, *, label: str = "", agent: str = "") -> bool:
        """Store a credential; whether it was: the same one again changes nothing. Raises what ``log_in`` raises."""
        name, target_profile = self._agent(agent), parse_profile(profile)
        state = self.context.queries.profile(name, target_profile)
        if state is not None and state.current is not None:
            held = self.context.store.credential(state.current.position)
            if held == credential:
                return False
        log_in(
            self.context, name, target_profile, credential, label=label, reason=f"stored by {self.tool or self.helper}"
        )
        return True

    def keep_again(self, profile: str) -> None:
        """Store a profile's credential anew as it is, for the agent that owns it: it becomes the newest."""
        target_profile = parse_profile(profile)
        found = View(self.context.queries, self.agent).find(target_profile)
        if found.current is not None:
            facts = found.current.facts
            log_in(
                self.context,
                AgentId(found.agent),
                target_profile,
                self.context.store.credential(found.current.position),
                label=facts.label,
                account=facts.account,
                ownership=facts.ownership,
                reason=f"stored by {self.tool or self.helper}",
            )

    def end(self, profile: str, *, agent: str = "") -> None:
        """Log a profile out, for the agent that owns it. Raises NotFound."""
        target_profile = parse_profile(profile)
        owner = AgentId(View(self.context.queries, self._agent(agent)).find(target_profile).agent)
        log_out(self.context, owner, target_profile, reason=f"erased by {self.tool or self.helper}")

    def refuse(self, profile: str) -> None:
        """Note that a refreshable login was refused. Raises NotFound."""
        reason = f"refused, says {self.tool or self.helper}"
        report(self.context, self.agent, parse_profile(profile), "failure", failure="auth", reason=reason)

    def renew(self, profile: str) -> None:
        """Renew a login that was refused. Raises SignInAgain, TryAgain, and what a refresh raises."""
        target_profile = parse_profile(profile)
        owner = AgentId(View(self.context.queries, self.agent).find(target_profile).agent)
        if refresh(self.context, owner, target_profile, force=True).done not in ("refreshed", "adopted"):
            raise SignInAgain(
                f"{profile} was refused, and can't be renewed here",
                hint=with_agent(f"vault login {profile}", owner),
            )

    def _is_refused(self, state: ProfileState) -> bool:
        """Whether a use of a refreshable login was refused after its tokens came."""
        if state.current is None or not state.current.facts.refresh_fingerprint:
            return False
        health = self.context.queries.rotation(state.agent, provider_of(ProfileId(state.profile))).health_of(
            state.profile
        )
        renewed = state.proof.at if state.proof is not None and state.proof.how == "refresh" else 0
        return health.last_reason == "auth" and health.last_failure_at > max(state.current.since, renewed)

    def _agent(self, named: str) -> AgentId:
        return parse_agent(named) if named else self.agent


def told(context: Context, agent: AgentId, profile: str) -> Mapping[str, str]:
    """What a credential tells without being secret: its metadata and account. Raises NotFound."""
    if not profile:
        return {}
    state = View(context.queries, agent).find(profile)
    if state.current is None:
        return {}
    credential = context.store.credential(state.current.position)
    account = credential.account if isinstance(credential, OAuth) else {}
    facts = {**account, **credential.metadata}
    if state.current.facts.account:
        facts.setdefault("account", state.current.facts.account)
    return facts
