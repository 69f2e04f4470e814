"""What the helpers of ``vault helper`` ask for: hand-outs, holdings, and credentials a tool gives to be kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vault.commands.issue import Issued, hand_out, issue, prepare
from vault.commands.login import log_in, log_out
from vault.commands.naming import target
from vault.commands.why import decide
from vault.context import Context
from vault.events.credentials import AnyCredential, OAuth
from vault.interop.helpers import Given, Holding
from vault.projections.queries import View
from vault.values import AgentId, Instant, ProfileId, ProviderId, parse_agent, parse_profile, provider_of


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
        considered = decide(self.context, self.agent, provider).considered
        return [ProfileId(c.what) for c in considered if c.code in ("next", "cooling_down")]

    def _given(self, agent: AgentId, issued: Issued) -> Given:
        facts = self._facts(agent, issued.profile)
        return Given(
            issued.secret, issued.provider, issued.profile, issued.kind, issued.expires_at, issued.values, facts
        )

    def holdings(self, provider: str = "", *, agent: str = "") -> Sequence[Holding]:
        """Profiles the agent sees, logged in."""
        name = self._agent(agent)
        return [
            Holding(
                provider_of(ProfileId(profile)),
                profile,
                state.current.facts.kind if state.current else "",
                state.current.facts.label if state.current else "",
                self._facts(name, profile),
            )
            for profile, state in sorted(View(self.context.queries, name).visible(provider).items())
        ]

    def is_secret_of(self, profile: str, secret: str, *, agent: str = "") -> bool:
        """Whether a profile's secret is this one; nothing is handed out."""
        state = View(self.context.queries, self._agent(agent)).visible().get(profile)
        if state is None or state.current is None:
            return False
        return state.current.facts.fingerprint == self.context.keys.fingerprint(secret)

    def keep(self, profile: str, credential: AnyCredential, *, label: str = "", agent: str = "") -> None:
        """Store a credential; the same one again changes nothing."""
        name, target_profile = self._agent(agent), parse_profile(profile)
        state = self.context.queries.profile(name, target_profile)
        if state is not None and state.current is not None:
            held = self.context.store.credential(state.current.position)
            if held == credential:
                return
        log_in(
            self.context, name, target_profile, credential, label=label, reason=f"stored by {self.tool or self.helper}"
        )

    def end(self, profile: str, *, agent: str = "") -> None:
        """Log a profile out. Raises NotFound."""
        log_out(
            self.context, self._agent(agent), parse_profile(profile), reason=f"erased by {self.tool or self.helper}"
        )

    def _agent(self, named: str) -> AgentId:
        return parse_agent(named) if named else self.agent

    def _facts(self, agent: AgentId, profile: str) -> Mapping[str, str]:
        """What a credential tells without being secret: its metadata and account."""
        if not profile:
            return {}
        state = View(self.context.queries, agent).find(profile)
        if state.current is None:
            return {}
        credential = self.context.store.credential(state.current.position)
        account = credential.account if isinstance(credential, OAuth) else {}
        facts = {**account, **credential.metadata}
        if state.current.facts.account:
            facts.setdefault("account", state.current.facts.account)
        return facts
