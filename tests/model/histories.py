"""Random histories: what people, agents and providers do, one thing after the other, to a real vault with a clock of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from tests.model.oracle import Surroundings
from tests.support import START, Files, FixedClock, make_files
from vault.commands import agents, issue, login, restore, rotation
from vault.commands import refresh as refreshing
from vault.commands.why import decide
from vault.context import Context
from vault.errors import VaultError
from vault.events.credentials import AnyCredential, ApiKey, Cloud, OAuth, Reference, Token, WellKnown
from vault.events.types import Health, UseReported
from vault.log.records import Draft, Recorded
from vault.model import refresh as refresh_model
from vault.model.choosing import Decision
from vault.model.health import FAILURES
from vault.model.streams import profile_stream, rotation_stream
from vault.providers.tokens import NotSent, Refreshed, Refused, Tokens, Uncertain
from vault.values import DAY, HOUR, MINUTE, SECOND, AgentId, ProfileId, ProviderId, provider_of

AGENTS = [AgentId(a) for a in ("main", "coder", "tester")]
PROVIDERS = [ProviderId(p) for p in ("groq", "mistral")]
PROFILES = [ProfileId(p) for p in ("groq:a", "groq:b", "groq:c", "mistral:a")]
VARIABLES = {"groq": ("GROQ_API_KEY",), "mistral": ("MISTRAL_API_KEY",)}

agent_ids = st.sampled_from([AGENTS[0], *AGENTS])
providers = st.sampled_from([PROVIDERS[0], PROVIDERS[0], PROVIDERS[0], PROVIDERS[1]])
profiles = st.sampled_from([*PROFILES[:2], *PROFILES])
lengths = st.sampled_from([SECOND, 40 * SECOND, 10 * MINUTE, HOUR, DAY - SECOND, DAY, 40 * DAY])
moments = st.none() | lengths

Step = Callable[[Context, FixedClock], object]
COUNT = iter(range(10**9))


def fresh(name: str) -> str:
    return f"fake-{name}-{next(COUNT)}"


# -- what may happen


@st.composite
def logins(draw: st.DrawFn) -> Step:
    agent, profile, lasts = draw(agent_ids), draw(profiles), draw(moments)
    kind = draw(st.sampled_from(["api_key", "api_key", "token", "oauth", "oauth", "wellknown", "cloud", "reference"]))
    refreshable, secrets = draw(st.sampled_from([True, True, False])), draw(st.integers(0, 2))
    owned = draw(st.sampled_from(["vault", "vault", "vault", "external", "copy"])) if kind == "oauth" else "vault"
    variable = draw(st.sampled_from(["FAKE_SET", "FAKE_UNSET", "FAKE_BLANK"]))

    def step(context: Context, clock: FixedClock) -> None:
        until = None if lasts is None else clock.at + lasts
        credential: AnyCredential
        match kind:
            case "api_key":
                credential = ApiKey(key=fresh("key"))
            case "token":
                credential = Token(token=fresh("token"), expires_at=until)
            case "oauth":
                renewal = fresh("refresh") if refreshable else ""
                credential = OAuth(access=fresh("access"), refresh=renewal, expires_at=until)
            case "wellknown":
                credential = WellKnown(url="https://fake.example", env="FAKE_ENV", token=fresh("token"))
            case "cloud":
                credential = Cloud(mode="fake", secrets={f"s{n}": fresh("cloud") for n in range(secrets)})
            case _:
                credential = Reference(scheme="env", target=variable)
        login.log_in(context, agent, profile, credential, ownership=owned)

    return step


@st.composite
def refreshes(draw: st.DrawFn) -> Step:
    """A refresh and what comes of it, or a claim whose process died."""
    agent, profile, force, lasts = draw(agent_ids), draw(profiles), draw(st.booleans()), draw(lengths)
    what = draw(st.sampled_from(["fine", "rotated", "refused", "unclear", "later", "uncertain", "killed", "died"]))

    def exchange(context: Context, *_: object) -> Any:
        match what:
            case "fine" | "rotated":
                renewal = fresh("refresh") if what == "rotated" else ""
                return Refreshed(Tokens(fresh("access"), renewal, context.clock.now() + lasts))
            case "refused":
                return Refused("invalid_grant", "", permanent=True)
            case "unclear":
                return Refused("invalid_client", "", permanent=False)
            case "later":
                return NotSent("busy", lasts)
            case "uncertain":
                return Uncertain("dropped")
            case _:
                raise KeyboardInterrupt

    def step(context: Context, clock: FixedClock) -> None:
        if what != "died":
            with suppress(KeyboardInterrupt):
                refreshing.refresh(context, agent, profile, leeway=10 * MINUTE, force=force, exchange=exchange)
            return
        state = context.queries.profile(agent, profile)
        if state and state.current and state.current.facts.refresh_fingerprint and not state.claim:
            claim = refresh_model.claim(state, clock.at, MINUTE)
            stream = profile_stream(agent, profile)
            context.store.append([Draft(stream=stream, event=claim)], context.cause(), {stream: state.version})

    return step


@st.composite
def worn_out(draw: st.DrawFn) -> Step:
    """A login whose refreshes are refused, or twice in a row nobody knows what came of them; maybe its access token ends."""
    agent, profile, by, twice = draw(agent_ids), draw(profiles), draw(lengths), draw(st.booleans())
    died = draw(st.booleans())

    def exchange(*_: object) -> Any:
        return Uncertain("dropped") if twice else Refused("invalid_grant", "", permanent=True)

    def step(context: Context, clock: FixedClock) -> None:
        credential = OAuth(access=fresh("access"), refresh=fresh("refresh"), expires_at=clock.at + 10 * MINUTE)
        login.log_in(context, agent, profile, credential)
        with suppress(VaultError):
            refreshing.refresh(context, agent, profile, leeway=0, force=True, exchange=exchange)
        if twice and died:
            state = context.queries.profile(agent, profile)
            assert state is not None
            claim = refresh_model.claim(state, clock.at, MINUTE)
            context.store.append([Draft(stream=profile_stream(agent, profile), event=claim)], context.cause())
        elif twice:
            with suppress(VaultError):
                refreshing.refresh(context, agent, profile, leeway=0, force=True, exchange=exchange)
        clock.forward(by)

    return step


@st.composite
def reports(draw: st.DrawFn) -> Step:
    agent, profile, times = draw(agent_ids), draw(profiles), draw(st.integers(1, 4))
    failure, reset = draw(st.sampled_from(FAILURES)), draw(st.none() | lengths | lengths.map(lambda n: -n))
    pinned = draw(st.sampled_from([True, False, False]))

    def step(context: Context, clock: FixedClock) -> None:
        until = None if reset is None else clock.at + reset
        if pinned:
            rotation.pin(context, agent, profile)
        for _ in range(times):
            rotation.report(context, agent, profile, "failure", failure=failure, until=until)

    return step


@st.composite
def taken_over(draw: st.DrawFn) -> Step:
    """An import tells how another tool fared with a profile."""
    agent, profile = draw(agent_ids), draw(profiles)
    ago, failures, wait = draw(lengths), draw(st.integers(0, 3)), draw(st.none() | lengths)

    def step(context: Context, clock: FixedClock) -> None:
        agents_known = context.queries.agents()
        agents_known.lineage(agent)
        health = Health(failures=failures, last_failure_at=clock.at - ago, cooldown_until=clock.at + (wait or 0))
        event = UseReported(
            agent=agent,
            profile=profile,
            outcome="taken_over",
            last_used=clock.at - ago,
            health=health if wait is not None else None,
        )
        context.store.append([Draft(stream=rotation_stream(agent, provider_of(profile)), event=event)], context.cause())

    return step


def hand_out(agent: AgentId, provider: ProviderId) -> Step:
    def step(context: Context, clock: FixedClock) -> None:
        """What is handed out is what ``why`` had said."""
        told = decide(context, agent, provider)
        try:
            done = issue.issue(context, agent, provider, way="test")
        except VaultError:
            # A chosen login may prove dead only when it is renewed; whatever needs no renewal is handed out.
            assert told.candidate is None or told.candidate.facts is not None
            assert told.candidate is None or told.candidate.facts.refresh_fingerprint
            return
        assert told.chosen is not None
        assert done.profile == told.chosen.what

    return step


def restored(agent: AgentId, profile: ProfileId) -> Step:
    return lambda c, _: restore.restore(c, agent, profile)


def order_set(agent: AgentId, provider: ProviderId, named: list[ProfileId]) -> Step:
    mine = [p for p in named if provider_of(p) == provider]
    return lambda c, _: rotation.set_order(c, agent, provider, mine)


def passing(by: int) -> Step:
    return lambda _, clock: clock.forward(by)


steps: st.SearchStrategy[Step] = st.one_of(
    logins(),
    logins(),
    logins(),
    refreshes(),
    refreshes(),
    reports(),
    reports(),
    taken_over(),
    worn_out(),
    st.builds(hand_out, agent_ids, providers),
    st.builds(hand_out, agent_ids, providers),
    st.builds(passing, lengths),
    st.builds(passing, lengths),
    st.builds(passing, lengths.map(lambda n: -n)),
    st.builds(lambda a, p: lambda c, _: login.log_out(c, a, p), agent_ids, profiles),
    st.builds(restored, agent_ids, profiles),
    st.builds(order_set, agent_ids, providers, st.lists(profiles, min_size=1, unique=True)),
    st.builds(order_set, agent_ids, providers, st.lists(profiles, min_size=1, unique=True)),
    st.builds(lambda a, p: lambda c, _: rotation.clear_order(c, a, p), agent_ids, providers),
    st.builds(lambda a, p: lambda c, _: rotation.restore_order(c, a, p), agent_ids, providers),
    st.builds(lambda a, p: lambda c, _: rotation.pin(c, a, p), agent_ids, profiles),
    st.builds(lambda a, p: lambda c, _: rotation.unpin(c, a, p), agent_ids, providers),
    st.builds(lambda a, p: lambda c, _: rotation.report(c, a, p, "success"), agent_ids, profiles),
    st.builds(lambda a, p: lambda c, _: rotation.clear_health(c, a, p), agent_ids, profiles),
    st.builds(lambda a, p: lambda c, _: agents.add_agent(c, a, p), agent_ids, st.sampled_from(["", *AGENTS])),
    st.builds(lambda a, p: lambda c, _: agents.set_inheritance(c, a, p), agent_ids, st.sampled_from(["", *AGENTS])),
    st.builds(lambda a: lambda c, _: agents.remove_agent(c, a), agent_ids),
)
family: list[Step] = [
    lambda c, _: agents.add_agent(c, AGENTS[1], AGENTS[0]),
    lambda c, _: agents.add_agent(c, AGENTS[2], AGENTS[1]),
]
histories = st.tuples(st.lists(logins(), min_size=3, max_size=6), st.lists(steps, min_size=8, max_size=40)).map(
    lambda two: family + two[0] + two[1]
)

values = st.sampled_from(["", " ", "fake-value"])
sources = st.permutations(["environment", "dotenv", "stored"]).flatmap(
    lambda s: st.sampled_from([3, 3, 2, 1, 0]).map(lambda n: tuple(s[:n]))
)
surroundings = st.builds(
    lambda groq, env, dotenv, sources, disabled: Surroundings(
        {"FAKE_SET": "fake-value", "FAKE_BLANK": " ", "GROQ_API_KEY": groq, "MISTRAL_API_KEY": env},
        {"GROQ_API_KEY": dotenv} if dotenv.strip() else {},
        sources,
        disabled,
    ),
    values,
    values,
    values,
    sources,
    st.sampled_from([(), (), (), ("mistral",), ("groq",)]),
)
QUIET = Surroundings({"FAKE_SET": "fake-value", "FAKE_BLANK": " "})


# -- making them happen


@contextmanager
def a_vault() -> Iterator[tuple[Files, FixedClock]]:
    """A vault in a folder of its own, and the clock it will have. Nobody waits for another process."""
    with tempfile.TemporaryDirectory() as folder, patch.object(refreshing, "PATIENCE_SECONDS", -1.0):
        yield make_files(Path(folder)), FixedClock(START)


def live(context: Context, clock: FixedClock, history: Sequence[Step]) -> int:
    """Let it all happen; how many steps did. What can't be in some situation is refused, and nothing happens."""
    around(context, QUIET)
    happened = 0
    for step in history:
        before, status = context.store.head(), 0
        try:
            step(context, clock)
        except VaultError as error:
            status = error.exit_status
        happened += status == 0
        assert status in (0, 64, 66, 75, 82, 83)
        assert status not in (64, 66, 83) or context.store.head() == before
    return happened


def around(context: Context, given: Surroundings) -> None:
    """Put a context into other surroundings."""
    context.environ = given.environ
    context._dotenv = dict(given.dotenv)
    context.settings = replace(context.settings, sources=tuple(given.sources), disabled_providers=tuple(given.disabled))


def log_of(context: Context) -> list[Recorded]:
    return list(context.store.scan(1, context.store.head().position))


def decisions(context: Context, now: int) -> list[Decision]:
    """What every known agent would use at every provider."""
    return [
        decide(context, AgentId(agent), provider, now=now)
        for agent in context.queries.agents().names()
        for provider in PROVIDERS
    ]
