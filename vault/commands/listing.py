"""list, show: what there is, now or at a past moment. Never a secret; nothing is appended."""

from __future__ import annotations

from dataclasses import dataclass

from vault.commands.candidates import variable_sources
from vault.commands.naming import with_agent
from vault.commands.why import decide
from vault.context import Context
from vault.errors import NotFound
from vault.events.types import Health
from vault.model.profile import Held, ProfileState
from vault.projections.queries import Queries, View
from vault.providers import catalogue
from vault.settings import SHOWN, VARIABLES
from vault.values import AgentId, ProfileId, ProviderId, provider_of


@dataclass(frozen=True, slots=True)
class Listed:
    """A profile as shown. ``place`` is its rank in the decision for its provider, from 1; None when it can't be used."""

    agent: str
    owner: str
    profile: str
    provider: str
    held: Held
    health: Health
    place: int | None
    why: str
    last_used: int
    pinned: bool
    ordered: bool

    @property
    def inherited_from(self) -> str:
        """The owner, when it is another agent."""
        return self.owner if self.owner != self.agent else ""


@dataclass(frozen=True, slots=True)
class Ambient:
    """A variable that is set, and the providers it satisfies. ``source`` is where: environment, .env or env file."""

    variable: str
    source: str
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """All profiles an agent sees, those logged out, and the variables that satisfy a provider."""

    agent: str
    at: int | None
    profiles: list[Listed]
    logged_out: list[ProfileState]
    environment: list[Ambient]


def list_profiles(
    context: Context, agent: AgentId, *, provider: ProviderId | None = None, moment: int | None = None
) -> Listing:
    """What an agent sees, now or at a moment (microseconds UTC). Raises NotFound for an unknown agent."""
    queries = _queries(context, moment)
    now = context.clock.now() if moment is None else moment
    view = View(queries, agent)
    visible = view.visible(provider or "")
    profiles: list[Listed] = []
    for name in sorted({provider_of(ProfileId(p)) for p in visible}):
        profiles += _of_provider(context, queries, agent, ProviderId(name), view, visible, now)
    logged_out = [s for s in view.owned(provider or "") if s.current is None and s.ended and s.profile not in visible]
    environment = [] if moment is not None else ambient(context, provider)
    return Listing(agent, moment, profiles, logged_out, environment)


def show_profile(context: Context, agent: AgentId, profile: ProfileId, *, moment: int | None = None) -> Listed:
    """One profile as an agent sees it. Raises NotFound, also for one that is logged out."""
    queries = _queries(context, moment)
    state = View(queries, agent).find(profile)
    if state.current is None:
        raise NotFound(
            f"{profile} of agent {state.agent} is logged out",
            hint=with_agent(f"vault restore {profile}", state.agent) + " undoes it",
        )
    listing = list_profiles(context, agent, provider=provider_of(profile), moment=moment)
    return next(p for p in listing.profiles if p.profile == profile)


def ambient(context: Context, provider: ProviderId | None = None) -> list[Ambient]:
    """The variables that satisfy a provider, each once for each place it is set in, the places in the order they count."""
    found: list[Ambient] = []
    for source in variable_sources(context):
        providers: dict[str, list[str]] = {}
        for name, variable in catalogue.environment_hits(context.variables(source)):
            providers.setdefault(variable, []).append(name)
        found += [
            Ambient(variable, SHOWN[VARIABLES[source]], tuple(names))
            for variable, names in sorted(providers.items())
            if provider is None or provider in names
        ]
    return found


def _of_provider(
    context: Context,
    queries: Queries,
    agent: AgentId,
    provider: ProviderId,
    view: View,
    visible: dict[str, ProfileState],
    now: int,
) -> list[Listed]:
    decision = decide(context, agent, provider, way="list", queries=queries, now=now)
    ranked = [c for c in decision.considered if c.code in ("chosen", "next", "cooling_down")]
    places = {c.what: place for place, c in enumerate(ranked, start=1)}
    reasons = {c.what: c.text for c in reversed(decision.considered) if c.code != "hidden"}
    order, _ = view.order(provider)
    pin, _ = view.pin(provider)
    listed = []
    for candidate in view.candidates(provider):
        state = visible.get(candidate.profile)
        if state is None or state.agent != candidate.owner or state.current is None:
            continue
        listed.append(
            Listed(
                agent=agent,
                owner=state.agent,
                profile=state.profile,
                provider=provider,
                held=state.current,
                health=candidate.health,
                place=places.get(state.profile),
                why=reasons.get(state.profile, ""),
                last_used=candidate.last_used,
                pinned=pin == state.profile,
                ordered=state.profile in (order or ()),
            )
        )
    return sorted(listed, key=lambda x: (x.place is None, x.place or 0, x.profile))


def _queries(context: Context, moment: int | None) -> Queries:
    if moment is None:
        return context.queries
    return context.queries.at(context.queries.position_at(moment))
