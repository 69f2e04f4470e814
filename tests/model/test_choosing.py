"""Choosing, by example: everybody is named, with the reason that is true; and the folds that feed it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vault.events.credentials import CredentialFacts
from vault.events.types import (
    AgentInheritanceSet,
    AgentRegistered,
    AgentRemoved,
    CredentialIssued,
    Event,
    Health,
    HealthCleared,
    ProfileImported,
    ProfileLoggedIn,
    ProfileLoggedOut,
    ProfileRestored,
    RefreshFailed,
    UseReported,
)
from vault.model.agents import AgentsState, evolve_agents
from vault.model.choosing import Candidate, Decision, choose
from vault.model.health import WELL, after_failure
from vault.model.profile import ProfileState, evolve_profile
from vault.model.rotation import RotationState, evolve_rotation
from vault.values import DAY, HOUR, SECOND

NOW = 1_000_000
A, B, C = "openai:a", "openai:b", "openai:c"
KEY = CredentialFacts(kind="api_key", fingerprint="f")


def key(profile: str, owner: str = "main", **more: object) -> Candidate:
    return Candidate(profile, owner, KEY, **more)  # type: ignore[arg-type]


def gone(profile: str, owner: str = "main", **more: object) -> Candidate:
    return Candidate(profile, owner, None, **more)  # type: ignore[arg-type]


def lines(decision: Decision) -> list[tuple[str, str, str]]:
    return [(c.what, c.owner, c.code) for c in decision.considered]


# -- everybody is named


@pytest.mark.parametrize(
    ("candidates", "more", "expected"),
    [
        ([key(A), gone(B)], {}, [(A, "main", "chosen"), (B, "main", "missing")]),
        ([key(A), gone(B)], {"order": [A]}, [(A, "main", "chosen"), (B, "main", "missing")]),
        ([key(A), gone(B)], {"order": [B]}, [(B, "main", "missing"), (A, "main", "not_in_order")]),
        ([key(A), gone(B)], {"pin": A}, [(A, "main", "chosen"), (B, "main", "missing")]),
        ([key(A), gone(B)], {"pin": B}, [(B, "main", "missing"), (A, "main", "not_pinned")]),
        ([key(A)], {"pin": C}, [(C, "", "missing"), (A, "main", "not_pinned")]),
        ([key(A)], {"order": [C]}, [(C, "", "missing"), (A, "main", "not_in_order")]),
        (
            [gone(A, "child"), key(A)],
            {},
            [(A, "main", "chosen"), (A, "child", "missing")],
        ),
        (
            [key(A, "child"), gone(A, "parent"), key(A)],
            {},
            [(A, "child", "chosen"), (A, "parent", "missing"), (A, "main", "hidden")],
        ),
        ([gone(A, "child"), gone(A)], {}, [(A, "child", "missing"), (A, "main", "missing")]),
        (
            [gone(A, "child", trouble="destroyed"), key(A)],
            {},
            [(A, "main", "chosen"), (A, "child", "destroyed")],
        ),
        ([gone(A, trouble="destroyed"), key(B)], {"order": [B]}, [(B, "main", "chosen"), (A, "main", "destroyed")]),
    ],
)
def test_a_logged_out_profile_is_named_and_hides_nothing(
    candidates: list[Candidate], more: dict[str, object], expected: list[tuple[str, str, str]]
) -> None:
    assert lines(choose("child", "openai", candidates, NOW, **more)) == expected  # type: ignore[arg-type]


def test_a_wait_is_told_where_it_is_the_reason_and_nowhere_else() -> None:
    cooling = key(A, health=Health(cooldown_until=NOW + 9))

    def until(**more: object) -> dict[str, int | None]:
        decision = choose("main", "openai", [cooling, key(B)], NOW, **more)  # type: ignore[arg-type]
        return {c.what: c.until for c in decision.considered}

    assert until() == {B: None, A: NOW + 9}
    assert until(order=[A]) == {A: NOW + 9, B: None}, "chosen for want of a better one"
    assert until(pin=A) == {A: None, B: None}
    assert until(environment=["FAKE"]) == {"env:FAKE": None, B: None, A: None}
    assert until(sources=()) == {B: None, A: None}


def test_a_session_s_pin_comes_before_the_agent_s_and_everything_else() -> None:
    for more in ({}, {"pin": A, "pinned_by": "main"}, {"order": [A]}, {"environment": ["FAKE"], "sources": ()}):
        decision = choose("child", "openai", [key(A), key(B)], NOW, session_pin=B, **more)
        assert decision.basis == "pinned for this session by VAULT_PIN"
        assert decision.candidate is not None
        assert decision.candidate.profile == B
        codes = {c.what: c.code for c in decision.considered}
        assert codes == {B: "chosen", A: "not_pinned"} | ({"env:FAKE": "not_pinned"} if "environment" in more else {})
    decision = choose("child", "openai", [key(A)], NOW, session_pin=B, pin=A, pinned_by="main")
    assert decision.chosen is None
    assert {c.what: c.code for c in decision.considered} == {B: "missing", A: "not_pinned"}


def test_a_pin_is_used_whatever_its_health() -> None:
    sick = Health(cooldown_until=NOW + 9, disabled_until=NOW + 9)
    for candidates in ([key(A, health=sick), key(B)], [key(A, health=sick)]):
        decision = choose("main", "openai", candidates, NOW, pin=A, pinned_by="main")
        assert decision.chosen is not None
        assert decision.chosen.what == A
        assert choose("main", "openai", candidates, NOW).chosen != decision.chosen


@pytest.mark.parametrize(
    ("from_", "expires", "expected"),
    [
        (None, NOW, "chosen"),
        (0, NOW, "needs_sign_in"),
        (NOW, NOW, "needs_sign_in"),
        (NOW + 1, NOW, "chosen"),
        (0, NOW + 1, "chosen"),
        (0, None, "chosen"),
    ],
)
def test_a_sign_in_is_needed_once_the_access_token_has_ended(
    from_: int | None, expires: int | None, expected: str
) -> None:
    facts = CredentialFacts(kind="oauth", fingerprint="f", refresh_fingerprint="r", expires_at=expires)
    decision = choose("main", "openai", [Candidate(A, "main", facts, sign_in_from=from_)], NOW)
    assert decision.considered[0].code == expected


def test_the_same_instant_is_told_apart_by_the_log() -> None:
    one, two, never = key(A, last_used=5, turn=9), key(B, last_used=5, turn=8), key(C, last_used=5)
    decision = choose("main", "openai", [one, two, never], NOW)
    assert [c.what for c in decision.considered] == [C, B, A]


def test_nobody_at_all() -> None:
    decision = choose("main", "openai", [], NOW)
    assert (decision.chosen, decision.candidate, decision.considered) == (None, None, [])


# -- the folds that feed it


def rotation(events: Sequence[tuple[int, Event]]) -> RotationState:
    """A rotation after events at positions 1, 2, …, each at its time."""
    state = None
    for position, (at, event) in enumerate(events, start=1):
        state = evolve_rotation(state, event, position, position, at, "main", "openai")
    return state or RotationState(agent="main", provider="openai")


def issued(profile: str) -> CredentialIssued:
    return CredentialIssued(agent="child", owner="main", provider="openai", profile=profile)


def failure(profile: str, name: str, until: int | None = None) -> UseReported:
    return UseReported(agent="child", profile=profile, outcome="failure", failure=name, until=until)


def test_a_hand_out_is_remembered_by_its_time_and_its_place() -> None:
    state = rotation([(50, issued(A)), (50, issued(B)), (50, issued(A)), (50, issued(""))])
    assert (state.last_used, state.turns) == ({A: 50, B: 50}, {A: 3, B: 2})
    taken = UseReported(agent="main", profile=B, outcome="taken_over", last_used=70)
    state = rotation([(50, issued(A)), (60, issued(B)), (80, taken)])
    assert (state.last_used, state.turns) == ({A: 50, B: 70}, {A: 1, B: 2})


def test_a_window_a_reset_time_opened_outlasts_a_quiet_day() -> None:
    """24 hours without a failure start the count anew; they don't close a window."""
    state = rotation([(SECOND, failure(A, "rate_limit", 20 * DAY))])
    assert state.health_of(A).cooldown_until == 20 * DAY
    state = rotation([(SECOND, failure(A, "rate_limit", 20 * DAY)), (2 * DAY, failure(A, "rate_limit"))])
    assert (state.health_of(A).failures, state.health_of(A).cooldown_until) == (1, 20 * DAY)
    for event in (UseReported(agent="main", profile=A, outcome="success"), HealthCleared(agent="main", profile=A)):
        healed = rotation([(SECOND, failure(A, "rate_limit", 20 * DAY)), (DAY, event)])
        assert healed.health_of(A).cooldown_until == 0


def test_one_profiles_health_is_not_anothers() -> None:
    state = rotation([(SECOND, failure(A, "billing")), (SECOND, failure(B, "auth"))])
    assert state.health_of(A) == after_failure(WELL, "billing", SECOND)
    assert state.health_of(B) == after_failure(WELL, "auth", SECOND)


def test_a_clock_that_went_back_does_not_count_anew() -> None:
    """An import may tell of a failure that is yet to come by this clock: it is one in a row all the same."""
    told = UseReported(
        agent="main", profile=A, outcome="taken_over", health=Health(failures=2, last_failure_at=5 * HOUR)
    )
    assert rotation([(HOUR, told), (2 * HOUR, failure(A, "auth"))]).health_of(A).failures == 3


def profile(events: Sequence[Event]) -> ProfileState:
    state = None
    for position, event in enumerate(events, start=1):
        state = evolve_profile(state, event, position, position, 10 * position, "main", A)
    assert state is not None
    return state


def test_a_restore_of_what_was_logged_out_keeps_what_was_before_it() -> None:
    one, two = (CredentialFacts(kind="api_key", fingerprint=name) for name in ("one", "two"))
    login = [ProfileLoggedIn(agent="main", profile=A, credential=f) for f in (one, two)]
    back = ProfileRestored(agent="main", profile=A, from_position=2, credential=two)
    state = profile([*login, ProfileLoggedOut(agent="main", profile=A), back])
    assert state.current is not None
    assert state.previous is not None
    assert (state.current.position, state.current.since, state.previous.position) == (2, 40, 1)
    assert (state.ended, state.logged_out_at) == (None, 0)


def test_an_import_forgets_the_refusal_of_what_it_replaces() -> None:
    facts = CredentialFacts(kind="oauth", fingerprint="f", refresh_fingerprint="r")
    refused = RefreshFailed(agent="main", profile=A, claim=1, outcome="refused", error="invalid_grant")
    login = ProfileLoggedIn(agent="main", profile=A, credential=facts)
    again = ProfileImported(agent="main", profile=A, credential=facts, tool="fake")
    assert profile([login, refused]).needs_sign_in == "invalid_grant"
    after = profile([login, refused, again])
    assert (after.needs_sign_in, after.proof) == ("", None)
    assert profile([login, refused, ProfileLoggedOut(agent="main", profile=A)]).needs_sign_in == ""


def test_an_agent_that_comes_back_has_the_parent_it_is_given() -> None:
    state: AgentsState | None = None
    for version, event in enumerate(
        [
            AgentRegistered(agent="a", inherits="main"),
            AgentInheritanceSet(agent="a", inherits=""),
            AgentRemoved(agent="a"),
            AgentRegistered(agent="a", inherits="main"),
        ],
        start=1,
    ):
        state = evolve_agents(state, event, version)
    assert state is not None
    assert state.lineage("a") == ["a", "main"]


def test_a_circle_that_a_damaged_log_could_hold_still_ends() -> None:
    state = AgentsState(parents={"a": "b", "b": "a"})
    assert state.lineage("a") == ["a", "b"]
    assert AgentsState(parents={"a": "gone"}).lineage("a") == ["a"]
