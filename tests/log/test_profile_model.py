"""One profile, purely: what is current, what was before it, what may be decided."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.samples import SAMPLES
from vault.errors import NewerVersion, NotFound, VaultError
from vault.events.credentials import CredentialFacts
from vault.events.types import (
    Event,
    ProfileImported,
    ProfileLoggedIn,
    ProfileLoggedOut,
    ProfileRestored,
    TokensRefreshed,
    UnknownEvent,
)
from vault.model.profile import Held, ProfileState, evolve_profile, log_in, log_out, restore, take_over

AGENT, PROFILE = "main", "openai:a"


def facts(name: str = "f", **more: object) -> CredentialFacts:
    return CredentialFacts(kind="api_key", fingerprint=name, **more)  # type: ignore[arg-type]


def fold(events: Sequence[Event], first: int = 10) -> ProfileState | None:
    """A profile after events at positions 10, 20, …, each recorded at a hundred times its position."""
    state = None
    for version, event in enumerate(events, start=1):
        position = first * version
        state = evolve_profile(state, event, version, position, 100 * position, AGENT, PROFILE)
    return state


def logged_in(name: str = "f") -> ProfileLoggedIn:
    return ProfileLoggedIn(agent=AGENT, profile=PROFILE, credential=facts(name))


def imported(name: str = "f") -> ProfileImported:
    return ProfileImported(agent=AGENT, profile=PROFILE, credential=facts(name), tool="opencode")


LOGGED_OUT = ProfileLoggedOut(agent=AGENT, profile=PROFILE)


def brought_back(position: int) -> ProfileRestored:
    return ProfileRestored(agent=AGENT, profile=PROFILE, from_position=position, credential=facts(str(position)))


def places(state: ProfileState | None) -> tuple[int | None, int | None, int | None]:
    """Positions of the current, the previous and the ended credential."""
    assert state is not None
    current, previous, ended = (h.position if h else None for h in (state.current, state.previous, state.ended))
    return current, previous, ended


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([logged_in()], (10, None, None)),
        ([logged_in(), logged_in()], (20, 10, None)),
        ([logged_in(), imported()], (20, 10, None)),
        ([logged_in(), LOGGED_OUT], (None, None, 10)),
        ([logged_in(), logged_in(), LOGGED_OUT], (None, 10, 20)),
        ([logged_in(), LOGGED_OUT, logged_in()], (30, 10, None)),
        ([logged_in(), LOGGED_OUT, brought_back(10)], (10, None, None)),
        ([logged_in(), logged_in(), brought_back(10)], (10, 20, None)),
        ([logged_in(), logged_in(), brought_back(10), brought_back(20)], (20, 10, None)),
        ([logged_in(), logged_in(), LOGGED_OUT, brought_back(20)], (20, 10, None)),
        ([logged_in(), logged_in(), LOGGED_OUT, brought_back(10)], (10, 20, None)),
        ([logged_in(), logged_in(), logged_in(), brought_back(10)], (10, 30, None)),
        ([LOGGED_OUT], (None, None, None)),
    ],
)
def test_given_events_then_this_is_current(
    events: list[Event], expected: tuple[int | None, int | None, int | None]
) -> None:
    assert places(fold(events)) == expected


def test_since_when_a_credential_is_current() -> None:
    state = fold([logged_in(), logged_in(), brought_back(10)])
    assert state is not None
    assert state.current == Held(position=10, since=3000, facts=facts("10"))
    assert state.previous == Held(position=20, since=2000, facts=facts())
    assert (state.agent, state.profile, state.version) == (AGENT, PROFILE, 3)
    state = fold([imported(), LOGGED_OUT])
    assert state is not None
    assert state.ended == Held(position=10, since=1000, facts=facts(), tool="opencode")
    assert state.logged_out_at == 2000


def test_a_refresh_takes_the_place_of_what_it_replaces() -> None:
    refreshed = TokensRefreshed(agent=AGENT, profile=PROFILE, claim=1, credential=facts("new"))
    state = fold([logged_in("a"), imported("b"), refreshed])
    assert state is not None
    assert state.current == Held(position=30, since=2000, facts=facts("new"), tool="opencode")
    assert places(state) == (30, 10, None)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events as the decisions make them: restores of earlier credentials, logouts of what is logged in."""
    events: list[Event] = []
    for step in range(draw(st.integers(1, 12))):
        state = fold(events)
        choices = ["login", "import"]
        stored = [10 * (i + 1) for i, e in enumerate(events) if isinstance(e, ProfileLoggedIn | ProfileImported)]
        stored = [p for p in stored if not (state and state.current and state.current.position == p)]
        choices += ["restore"] * bool(stored) + ["logout"] * bool(state and state.current)
        match draw(st.sampled_from(choices)):
            case "login":
                events.append(logged_in(f"f{step}"))
            case "import":
                events.append(imported(f"f{step}"))
            case "restore":
                events.append(brought_back(draw(st.sampled_from(stored))))
            case _:
                events.append(LOGGED_OUT)
    return events


@given(events=histories())
def test_current_and_previous_are_the_last_two_that_differ(events: list[Event]) -> None:
    """Against a plain list of everything that ever was current."""
    held: list[int] = []
    out = False
    for number, event in enumerate(events, start=1):
        out = isinstance(event, ProfileLoggedOut)
        if isinstance(event, ProfileRestored):
            held.append(event.from_position)
        elif not out:
            held.append(10 * number)
    earlier = [position for position in held if position != held[-1]]
    state = fold(events)
    assert state is not None
    current, previous, ended = places(state)
    assert (ended if out else current) == held[-1]
    assert (current if out else ended) is None
    assert previous == (earlier[-1] if earlier else None)
    assert state.version == len(events)
    assert bool(state.logged_out_at) == out


@given(events=histories(), cut=st.integers(0, 12))
def test_folding_in_two_parts_is_folding_at_once(events: list[Event], cut: int) -> None:
    state = fold(events[:cut])
    for version, event in enumerate(events[cut:], start=len(events[:cut]) + 1):
        state = evolve_profile(state, event, version, 10 * version, 1000 * version, AGENT, PROFILE)
    assert state == fold(events)


@given(events=histories())
def test_events_that_concern_no_credential_change_nothing_but_the_version(events: list[Event]) -> None:
    state = fold(events)
    for name in ("order_set", "credential_issued", "use_reported", "log_verified"):
        after = evolve_profile(state, SAMPLES[name][0], len(events) + 1, 999, 999, AGENT, PROFILE)
        before = fold([*events])
        assert before is not None
        assert places(after) == places(before)
        assert (after.version, after.logged_out_at) == (len(events) + 1, before.logged_out_at)


# -- decisions


def test_a_login_is_always_possible() -> None:
    for state in (None, fold([logged_in()]), fold([logged_in(), LOGGED_OUT])):
        assert log_in(state, AGENT, PROFILE, facts("new")) == logged_in("new")


def test_a_logout_needs_a_login() -> None:
    assert log_out(fold([logged_in("x")]), AGENT, PROFILE).fingerprint == "x"
    for state in (None, fold([logged_in(), LOGGED_OUT])):
        with pytest.raises(NotFound) as caught:
            log_out(state, AGENT, PROFILE)
        assert caught.value.exit_status == 66


def test_restoring_what_is_current_is_nothing() -> None:
    state = fold([logged_in("a"), logged_in("b")])
    assert state is not None
    assert state.current is not None
    assert state.previous is not None
    assert restore(state, AGENT, PROFILE, state.current) is None
    decided = restore(state, AGENT, PROFILE, state.previous)
    assert decided == ProfileRestored(agent=AGENT, profile=PROFILE, from_position=10, credential=facts("a"))
    out = fold([logged_in("a"), logged_in("b"), LOGGED_OUT])
    assert restore(out, AGENT, PROFILE, state.current) is not None
    assert restore(None, AGENT, PROFILE, state.current) is not None


def test_an_import_that_would_change_nothing_is_nothing() -> None:
    def take(state: ProfileState | None, name: str = "a", known: frozenset[tuple[str, str]] = frozenset()) -> object:
        return take_over(state, AGENT, PROFILE, facts(name), "opencode", "/fake", "copy", known)

    expected = ProfileImported(
        agent=AGENT, profile=PROFILE, credential=facts("a"), tool="opencode", path="/fake", why="copy"
    )
    assert take(None) == expected
    assert take(fold([logged_in("b")])) == expected
    assert take(fold([logged_in("a"), LOGGED_OUT])) == expected
    assert take(fold([logged_in("a")])) is None
    assert take(fold([logged_in("b")]), known=frozenset({("a", "")})) is None
    for changed in (facts("a", expires_at=5), facts("a", refresh_fingerprint="r"), facts("a", reference="env:X")):
        assert take_over(fold([logged_in("a")]), AGENT, PROFILE, changed, "t", "", "") is not None
    labelled = facts("a", label="other", account="other")
    assert take_over(fold([logged_in("a")]), AGENT, PROFILE, labelled, "t", "", "") is None


def test_nothing_is_decided_upon_an_event_of_a_newer_vault() -> None:
    state = fold([logged_in(), UnknownEvent(type="profile_painted", schema=1), logged_in()])
    assert state is not None
    assert state.current is not None
    held = state.current
    decisions = [
        lambda: log_in(state, AGENT, PROFILE, facts()),
        lambda: log_out(state, AGENT, PROFILE),
        lambda: restore(state, AGENT, PROFILE, held),
        lambda: take_over(state, AGENT, PROFILE, facts(), "t", "", ""),
    ]
    for decide in decisions:
        with pytest.raises(NewerVersion, match="profile_painted") as caught:
            decide()
        assert isinstance(caught.value, VaultError)
        assert caught.value.exit_status == 84
