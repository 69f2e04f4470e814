"""Random histories of a real vault: the choice is a function of the log and the clock alone, and ``why`` tells the truth."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from tests.model.child import told
from tests.model.histories import (
    AGENTS,
    PROVIDERS,
    QUIET,
    VARIABLES,
    Step,
    a_vault,
    agent_ids,
    around,
    decisions,
    fresh,
    histories,
    lengths,
    live,
    log_of,
    surroundings,
)
from tests.model.oracle import Oracle, Surroundings
from tests.support import ROOT, FixedClock
from vault.commands import agents, issue, login, rotation
from vault.commands.checking import rebuild_vault
from vault.commands.why import decide
from vault.context import Context
from vault.events.credentials import AnyCredential, ApiKey, Token
from vault.model.choosing import CODES
from vault.model.health import FAILURES, FARTHEST_RESET
from vault.values import DAY, HOUR, MINUTE, SECOND, AgentId, ProfileId, ProviderId

GROQ, MAIN, CODER, TESTER = PROVIDERS[0], *AGENTS
A, B, C = (ProfileId(f"groq:{name}") for name in "abc")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
TRIED = ("chosen", "next", "cooling_down")


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=SLOW)


def judged_rightly(context: Context, now: int, given: Surroundings) -> None:
    """The vault's decisions are the oracle's: the choice, the order of trying, and a reason for everybody."""
    around(context, given)
    oracle = Oracle(log_of(context), now)
    for decision in decisions(context, now):
        verdict = oracle.judge(decision.agent, decision.provider, VARIABLES[decision.provider], given)
        lines = [(c.what, c.owner) for c in decision.considered]
        assert {(c.what, c.owner): c.code for c in decision.considered} == verdict.codes
        assert len(lines) == len(set(lines))
        assert (decision.chosen.what if decision.chosen else None) == verdict.chosen
        if decision.chosen:
            assert [c.what for c in decision.considered][: len(verdict.tried)] == verdict.tried
        for line in decision.considered:
            event(line.code)
            assert line.text == CODES[line.code]
            assert line.until is None or line.code in ("expired", "stale", "needs_sign_in") or line.until > now


@examples(120)
@given(history=histories, given=surroundings, later=st.none() | lengths)
def test_why_names_the_true_reason(history: Sequence[Step], given: Surroundings, later: int | None) -> None:
    with a_vault() as (files, clock), files.open(clock) as context:
        live(context, clock, history)
        for now in {clock.at, clock.at + (later or 0)}:
            judged_rightly(context, now, QUIET)
            judged_rightly(context, now, given)


@examples(60)
@given(history=histories, given=surroundings)
def test_the_choice_is_a_function_of_the_log_and_the_clock(history: Sequence[Step], given: Surroundings) -> None:
    """Asked twice, by somebody who opens the vault anew, after a rebuild, of a replay: one answer, and none is recorded."""
    with a_vault() as (files, clock):
        with files.open(clock) as context:
            live(context, clock, history)
            around(context, given)
            head, now = context.store.head(), clock.at
            first = decisions(context, now)
            assert decisions(context, now) == first
            past = context.queries.at(head.position)
            asked = [decide(context, AgentId(d.agent), ProviderId(d.provider), queries=past, now=now) for d in first]
            assert asked == first
            assert rebuild_vault(context)[1].rows == {}
            assert decisions(context, now) == first
            assert context.store.head() == head
        with files.open(FixedClock(now + DAY)) as another:
            around(another, given)
            assert decisions(another, now) == first
            assert another.store.head() == head


@examples(3)
@given(history=histories)
def test_another_process_decides_the_same(history: Sequence[Step]) -> None:
    with a_vault() as (files, clock):
        with files.open(clock) as context:
            live(context, clock, history)
            expected = told(context, clock.at)
        asked = subprocess.run(
            [sys.executable, "-m", "tests.model.child", str(files.folder), str(clock.at)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert asked.stderr == ""
        assert json.loads(asked.stdout) == expected


# -- taking turns


def credential(kind: str) -> AnyCredential:
    return ApiKey(key=fresh("key")) if kind == "api_key" else Token(token=fresh("token"))


@examples(25)
@given(
    kind=st.sampled_from(["api_key", "token"]),
    owners=st.lists(st.sampled_from([MAIN, CODER]), min_size=1, max_size=4),
    ticks=st.lists(st.sampled_from([0, 0, 1, SECOND, -HOUR]), max_size=16),
    still=st.booleans(),
)
def test_hand_outs_are_spread_evenly(kind: str, owners: list[AgentId], ticks: list[int], still: bool) -> None:
    """Own and inherited profiles alike, whatever the clock does: standing still or set back, nobody is left out."""
    with a_vault() as (files, clock), files.open(clock) as context:
        agents.add_agent(context, CODER, MAIN)
        for number, owner in enumerate(owners):
            login.log_in(context, owner, ProfileId(f"groq:{number}"), credential(kind))
        handed: Counter[str] = Counter({f"groq:{number}": 0 for number in range(len(owners))})
        for tick in ticks:
            clock.forward(0 if still else tick)
            handed[issue.issue(context, CODER, GROQ, way="test").profile] += 1
            assert max(handed.values()) - min(handed.values()) <= 1


@examples(15)
@given(askers=st.lists(agent_ids, min_size=1, max_size=12))
def test_agents_that_share_profiles_share_the_turns(askers: list[AgentId]) -> None:
    with a_vault() as (files, clock), files.open(clock) as context:
        agents.add_agent(context, CODER, MAIN)
        agents.add_agent(context, TESTER, CODER)
        for profile in (A, B, C):
            login.log_in(context, MAIN, profile, credential("api_key"))
        turns = []
        for asker in askers:
            clock.forward(1)
            turns.append(issue.issue(context, asker, GROQ, way="test").profile)
        assert turns == ([A, B, C] * len(askers))[: len(askers)]


# -- orders


@examples(50)
@given(
    order=st.lists(st.sampled_from([A, B, C]), min_size=1, unique=True),
    waits=st.fixed_dictionaries(dict.fromkeys((A, B, C), st.sampled_from([0, MINUTE, HOUR, DAY]))),
    after=st.sampled_from([0, MINUTE, HOUR - 1, HOUR, DAY]),
)
def test_an_order_excludes_and_cooling_ones_come_last(
    order: list[ProfileId], waits: dict[ProfileId, int], after: int
) -> None:
    with a_vault() as (files, clock), files.open(clock) as context:
        for profile in (A, B, C):
            login.log_in(context, MAIN, profile, credential("api_key"))
        rotation.set_order(context, MAIN, GROQ, list(order))
        for profile, wait in waits.items():
            if wait:
                rotation.report(context, MAIN, profile, "failure", failure="rate_limit", until=clock.at + wait)
        clock.forward(after)
        decision = decide(context, MAIN, GROQ)
        ready = [p for p in order if waits[p] <= after]
        cooling = sorted((p for p in order if p not in ready), key=lambda p: (waits[p], order.index(p)))
        assert [c.what for c in decision.considered if c.code in TRIED] == ready + cooling
        assert {c.what for c in decision.considered if c.code == "not_in_order"} == {A, B, C} - set(order)
        assert issue.issue(context, MAIN, GROQ, way="test").profile == (ready + cooling)[0]


# -- cooling down


def ends(context: Context, profile: ProfileId) -> tuple[int, int]:
    health = context.queries.rotation(MAIN, GROQ).health_of(profile)
    return health.cooldown_until, health.disabled_until


def fares(context: Context, now: int) -> str:
    """The code of A, which has B beside it."""
    return next(c.code for c in decide(context, MAIN, GROQ, now=now).considered if c.what == A)


@examples(25)
@given(
    failure=st.sampled_from(FAILURES),
    count=st.integers(1, 14),
    heal=st.sampled_from(["success", "clear", "login", "wait"]),
)
def test_waits_grow_to_a_cap_and_end(failure: str, count: int, heal: str) -> None:
    with a_vault() as (files, clock), files.open(clock) as context:
        for profile in (A, B):
            login.log_in(context, MAIN, profile, credential("api_key"))
        lengths_of_waits = []
        for _ in range(count):
            rotation.report(context, MAIN, A, "failure", failure=failure)
            end = max(ends(context, A))
            lengths_of_waits.append(end - clock.at)
            assert fares(context, end - 1) == (
                "disabled" if failure in ("billing", "auth_permanent") else "cooling_down"
            )
            assert fares(context, end) == "chosen"
        cap = {"rate_limit": HOUR, "overloaded": HOUR, "billing": DAY, "auth_permanent": HOUR}.get(failure, 5 * MINUTE)
        assert lengths_of_waits == sorted(lengths_of_waits)
        assert lengths_of_waits == [Oracle.window(failure, number) for number in range(1, count + 1)]
        assert lengths_of_waits[0] < cap
        assert (lengths_of_waits[-1] == cap) == (
            count >= {HOUR: 8, DAY: 9}.get(cap, 3) - (failure == "auth_permanent") * 4
        )
        match heal:
            case "success":
                rotation.report(context, MAIN, A, "success")
            case "clear":
                rotation.clear_health(context, MAIN, A)
            case "login":
                login.log_in(context, MAIN, A, credential("api_key"))
            case _:
                clock.forward(max(DAY, lengths_of_waits[-1]))
        assert fares(context, clock.at) == "chosen"
        rotation.report(context, MAIN, A, "failure", failure=failure)
        assert max(ends(context, A)) - clock.at == lengths_of_waits[0]


@examples(20)
@given(
    failure=st.sampled_from(FAILURES),
    reset=st.integers(-DAY, 60 * DAY) | lengths,
    before=st.lists(st.sampled_from(FAILURES), max_size=3),
)
def test_a_reset_time_of_the_provider_is_honoured(failure: str, reset: int, before: list[str]) -> None:
    with a_vault() as (files, clock), files.open(clock) as context:
        for profile in (A, B):
            login.log_in(context, MAIN, profile, credential("api_key"))
        for earlier in before:
            rotation.report(context, MAIN, A, "failure", failure=earlier)
        waits = ends(context, A)
        rotation.report(context, MAIN, A, "failure", failure=failure, until=clock.at + reset)
        which = failure in ("billing", "auth_permanent")
        end = ends(context, A)[which]
        assert ends(context, A)[not which] == waits[not which], "the other wait is as it was"
        if reset > 0:
            assert end == max(waits[which], clock.at + min(reset, FARTHEST_RESET))
        else:
            assert end > clock.at
        assert fares(context, max(ends(context, A)) - 1) != "chosen"
        assert fares(context, max(ends(context, A))) == "chosen"


# -- inheritance


@examples(15)
@given(
    own=st.sets(st.sampled_from([MAIN, CODER, TESTER]), min_size=1),
    asker=agent_ids,
    failure=st.sampled_from(FAILURES),
    gone=st.sampled_from([None, MAIN, CODER, TESTER]),
)
def test_the_nearest_owner_wins_and_health_is_the_owners(
    own: set[AgentId], asker: AgentId, failure: str, gone: AgentId | None
) -> None:
    """tester inherits from coder, and coder from main; all may have a profile of the same name."""
    lineage = {MAIN: [MAIN], CODER: [CODER, MAIN], TESTER: [TESTER, CODER, MAIN]}
    with a_vault() as (files, clock), files.open(clock) as context:
        agents.add_agent(context, CODER, MAIN)
        agents.add_agent(context, TESTER, CODER)
        for owner in sorted(own):
            login.log_in(context, owner, A, credential("api_key"))
        if gone in own:
            assert gone is not None
            login.log_out(context, gone, A)

        def owner_for(agent: AgentId) -> str | None:
            return next((o for o in lineage[agent] if o in own and o != gone), None)

        def codes(agent: AgentId) -> dict[str, str]:
            return {c.owner: c.code for c in decide(context, agent, GROQ).considered}

        for agent in AGENTS:
            expected = {o: "missing" if o == gone else "hidden" for o in lineage[agent] if o in own}
            nearest = owner_for(agent)
            assert codes(agent) == expected | ({nearest: "chosen"} if nearest else {})
        owner = owner_for(asker)
        assume(owner is not None)
        rotation.report(context, asker, A, "failure", failure=failure)
        for agent in AGENTS:
            health = context.queries.rotation(agent, GROQ).health_of(A)
            assert health.failures == (agent == owner)
            if owner_for(agent) is not None:
                hit = codes(agent)[owner_for(agent) or ""] != "chosen" or ends_of(context, agent, owner_for(agent))
                assert hit == (owner_for(agent) == owner)


def ends_of(context: Context, agent: AgentId, owner: str | None) -> bool:
    """Whether the one profile an agent has is waiting, though it is chosen for want of another."""
    (chosen,) = [c for c in decide(context, agent, GROQ).considered if c.owner == owner]
    health = context.queries.rotation(owner or "", GROQ).health_of(A)
    return chosen.code == "chosen" and max(health.cooldown_until, health.disabled_until) > context.clock.now()


def test_the_nearest_order_and_pin_win() -> None:
    with a_vault() as (files, clock), files.open(clock) as context:
        agents.add_agent(context, CODER, MAIN)
        for profile in (A, B, C):
            login.log_in(context, MAIN, profile, credential("api_key"))

        def chosen(agent: AgentId) -> tuple[str | None, str]:
            decision = decide(context, agent, GROQ)
            return (decision.chosen.what if decision.chosen else None), decision.basis

        rotation.set_order(context, MAIN, GROQ, [B])
        assert chosen(CODER) == (B, "the order of agent main")
        rotation.set_order(context, CODER, GROQ, [C, A])
        assert (chosen(CODER), chosen(MAIN)) == ((C, "the order of agent coder"), (B, "the order of agent main"))
        rotation.pin(context, MAIN, A)
        assert chosen(CODER) == (A, "pinned for agent main")
        rotation.pin(context, CODER, B)
        assert (chosen(CODER), chosen(MAIN)) == ((B, "pinned for agent coder"), (A, "pinned for agent main"))


# -- on what ground


@pytest.mark.parametrize(
    ("sources", "stored", "basis"),
    [
        (
            ("environment", "dotenv", "stored"),
            True,
            "GROQ_API_KEY is set in the environment, which comes before stored",
        ),
        (("stored", "environment"), False, "GROQ_API_KEY is set in the environment, and no stored profile can be used"),
        (("environment",), True, "GROQ_API_KEY is set in the environment, and stored profiles are switched off here"),
        (("dotenv",), True, "stored profiles are switched off here, and no variable is set in the project's .env"),
        ((), True, "stored profiles are switched off here, and so is everything else"),
        (("stored", "environment"), True, "no order is set: oauth, then token, then api_key"),
    ],
)
def test_the_basis_is_the_true_one(sources: tuple[str, ...], stored: bool, basis: str) -> None:
    with a_vault() as (files, clock), files.open(clock) as context:
        if stored:
            login.log_in(context, MAIN, A, credential("api_key"))
        around(context, replace(QUIET, environ={"GROQ_API_KEY": "fake-value"}, sources=sources))
        assert decide(context, MAIN, GROQ).basis.startswith(basis)
