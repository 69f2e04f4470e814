"""Orders, pins, use and health of one agent at one provider; agents and whom they inherit from. Purely."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import Conflict, InputError, NewerVersion, NotFound, UsageError, VaultError
from vault.events.types import (
    AgentInheritanceSet,
    AgentRegistered,
    AgentRemoved,
    CredentialIssued,
    Event,
    Health,
    HealthCleared,
    OrderCleared,
    OrderSet,
    ProfilePinned,
    ProfileUnpinned,
    UnknownEvent,
    UseReported,
)
from vault.model.agents import AgentsState, evolve_agents, register, remove, set_inheritance
from vault.model.health import WELL, after_failure, after_success
from vault.model.rotation import RotationState, clear_order, evolve_rotation, pin, set_order, unpin
from vault.model.streams import AGENTS, VAULT, profile_stream, rotation_stream, split_stream

A, B = "openai:a", "openai:b"
ONE = {"agent": "main", "provider": "openai"}


def fold(events: Sequence[Event]) -> RotationState:
    """A rotation after events recorded at 1, 2, …"""
    state = None
    for version, event in enumerate(events, start=1):
        state = evolve_rotation(state, event, version, version, version, "main", "openai")
    return state or RotationState(**ONE)


def issued(profile: str) -> CredentialIssued:
    return CredentialIssued(agent="main", owner="main", provider="openai", profile=profile)


def used(profile: str, outcome: str, **more: object) -> UseReported:
    return UseReported(agent="main", profile=profile, outcome=outcome, **more)  # type: ignore[arg-type]


def order(*profiles: str) -> OrderSet:
    return OrderSet(**ONE, profiles=list(profiles))


def test_given_events_then_this_rotation() -> None:
    state = fold([order(A, B), issued(A), issued(B), issued(A), ProfilePinned(**ONE, profile=B), issued("")])
    assert (state.order, state.last_used, state.pin, state.version) == ([A, B], {A: 4, B: 3}, B, 6)
    state = fold([order(A), OrderCleared(**ONE), ProfilePinned(**ONE, profile=A), ProfileUnpinned(**ONE, profile=A)])
    assert (state.order, state.pin) == (None, "")
    assert fold([order()]).order == []


def test_health_follows_reports() -> None:
    state = fold(
        [used(A, "failure", failure="auth"), used(A, "failure", failure="billing", until=999), used(B, "success")]
    )
    assert state.health_of(A) == after_failure(after_failure(WELL, "auth", 1), "billing", 2, 999)
    assert state.health_of(B) == after_success(3)
    assert state.health_of("openai:c") == WELL
    assert fold([used(A, "failure", failure="auth"), HealthCleared(agent="main", profile=A)]).health == {}
    assert fold([used(A, "failure", failure="auth"), used(A, "success")]).health == {A: after_success(2)}


def test_an_import_takes_usage_over() -> None:
    taken = used(A, "taken_over", last_used=50, health=Health(failures=3, cooldown_until=9))
    state = fold([taken, issued(B), used(B, "taken_over", last_used=1)])
    assert state.last_used == {A: 50, B: 2}
    assert state.health == {A: Health(failures=3, cooldown_until=9)}


anything = st.one_of(
    st.sampled_from([A, B]).map(issued),
    st.builds(used, st.sampled_from([A, B]), st.just("success")),
    st.builds(
        lambda p, f: used(p, "failure", failure=f), st.sampled_from([A, B]), st.sampled_from(["auth", "billing"])
    ),
    st.lists(st.sampled_from([A, B]), unique=True).map(lambda ps: order(*ps)),
    st.just(OrderCleared(**ONE)),
    st.sampled_from([A, B]).map(lambda p: ProfilePinned(**ONE, profile=p)),
    st.just(ProfileUnpinned(**ONE, profile=A)),
    st.sampled_from([A, B]).map(lambda p: HealthCleared(agent="main", profile=p)),
)


@given(events=st.lists(anything, max_size=15))
def test_each_part_follows_its_own_events(events: list[Event]) -> None:
    state = fold(events)
    orders = [e.profiles if isinstance(e, OrderSet) else None for e in events if isinstance(e, OrderSet | OrderCleared)]
    pins = [
        e.profile if isinstance(e, ProfilePinned) else ""
        for e in events
        if isinstance(e, ProfilePinned | ProfileUnpinned)
    ]
    uses = {e.profile: at for at, e in enumerate(events, start=1) if isinstance(e, CredentialIssued)}
    assert (state.order, state.pin, state.last_used) == ([None, *orders][-1], ["", *pins][-1], uses)
    assert state.version == len(events)
    for profile in (A, B):
        mine = [
            (at, e)
            for at, e in enumerate(events, start=1)
            if isinstance(e, UseReported | HealthCleared) and e.profile == profile
        ]
        health = WELL
        for at, event in mine:
            if isinstance(event, HealthCleared):
                health = WELL
            elif event.outcome == "success":
                health = after_success(at)
            else:
                health = after_failure(health, event.failure, at)
        assert state.health_of(profile) == health


# -- decisions


def test_an_order_is_checked() -> None:
    state, known = fold([order(A)]), {A, B, "openai:c"}
    assert set_order(state, [B, A], known) == order(B, A)
    assert set_order(state, [B], known, 7) == OrderSet(**ONE, profiles=[B], restored_from=7)
    assert set_order(state, [A], known) is None
    assert set_order(fold([]), [A], known) == order(A)
    refused: list[tuple[list[str], type[VaultError], int]] = [
        ([], UsageError, 64),
        (["anthropic:a"], InputError, 65),
        (["openai:gone"], NotFound, 66),
        ([A, B, A], InputError, 65),
    ]
    for profiles, error, status in refused:
        with pytest.raises(error) as caught:
            set_order(state, profiles, known)
        assert caught.value.exit_status == status


def test_clearing_pinning_unpinning() -> None:
    assert clear_order(fold([])) is None
    assert clear_order(fold([order(A)]), 4) == OrderCleared(**ONE, restored_from=4)
    assert pin(fold([]), A, {A}) == ProfilePinned(**ONE, profile=A)
    assert pin(fold([ProfilePinned(**ONE, profile=A)]), A, {A}) is None
    assert unpin(fold([ProfilePinned(**ONE, profile=A)])) == ProfileUnpinned(**ONE, profile=A)
    for decide in (lambda: pin(fold([]), B, {A}), lambda: unpin(fold([]))):
        with pytest.raises(NotFound):
            decide()


def test_nothing_is_decided_upon_a_rotation_of_a_newer_vault() -> None:
    state = fold([order(A), UnknownEvent(type="order_painted", schema=1)])
    decisions: list[Callable[[], object]] = [
        lambda: set_order(state, [A], {A}),
        lambda: clear_order(state),
        lambda: pin(state, A, {A}),
        lambda: unpin(state),
    ]
    for decide in decisions:
        with pytest.raises(NewerVersion, match="order_painted") as caught:
            decide()
        assert caught.value.exit_status == 84


# -- agents


def family(events: Sequence[Event]) -> AgentsState:
    state = None
    for version, event in enumerate(events, start=1):
        state = evolve_agents(state, event, version)
    return state or AgentsState()


def test_agents_and_their_lineage() -> None:
    state = family(
        [
            AgentRegistered(agent="b", inherits="main"),
            AgentRegistered(agent="a", inherits="b"),
            AgentRegistered(agent="c"),
        ]
    )
    assert state.names() == ["main", "a", "b", "c"]
    assert state.lineage("a") == ["a", "b", "main"]
    assert (state.lineage("c"), state.lineage("main")) == (["c"], ["main"])
    assert (state.known("main"), state.known("x"), AgentsState().names()) == (True, False, ["main"])
    with pytest.raises(NotFound):
        state.lineage("x")


def test_decisions_about_agents() -> None:
    state = family([AgentRegistered(agent="b", inherits="main"), AgentRegistered(agent="a", inherits="b")])
    assert register(state, "c", "a") == AgentRegistered(agent="c", inherits="a")
    assert set_inheritance(state, "a", "") == AgentInheritanceSet(agent="a", inherits="")
    assert set_inheritance(state, "a", "b") is None
    assert remove(state, "a") == AgentRemoved(agent="a")
    refused: list[tuple[Callable[[], object], type[VaultError]]] = [
        (lambda: register(state, "a", "main"), Conflict),
        (lambda: register(state, "main", ""), Conflict),
        (lambda: register(state, "c", "x"), NotFound),
        (lambda: set_inheritance(state, "x", "main"), NotFound),
        (lambda: set_inheritance(state, "a", "x"), NotFound),
        (lambda: set_inheritance(state, "main", "a"), UsageError),
        (lambda: set_inheritance(state, "b", "a"), UsageError),
        (lambda: set_inheritance(state, "b", "b"), UsageError),
        (lambda: remove(state, "main"), UsageError),
        (lambda: remove(state, "b"), Conflict),
        (lambda: remove(state, "x"), NotFound),
    ]
    for decide, error in refused:
        with pytest.raises(error):
            decide()
    strange = family([UnknownEvent(type="agent_painted", schema=1)])
    for decide in (
        lambda: register(strange, "c", ""),
        lambda: remove(strange, "c"),
        lambda: set_inheritance(strange, "c", ""),
    ):
        with pytest.raises(NewerVersion):
            decide()


NAMES = st.sampled_from(["main", "a", "b", "c"])


@given(
    steps=st.lists(st.tuples(st.sampled_from("rsx"), NAMES, st.sampled_from(["", "main", "a", "b", "c"])), max_size=20)
)
def test_whatever_is_decided_every_lineage_ends(steps: list[tuple[str, str, str]]) -> None:
    state = AgentsState()
    for version, (what, agent, parent) in enumerate(steps, start=1):
        decide = {"r": lambda s, a, p: register(s, a, p), "s": set_inheritance, "x": lambda s, a, _: remove(s, a)}[what]
        try:
            event = decide(state, agent, parent)
        except VaultError:
            continue
        if event is not None:
            state = evolve_agents(state, event, version)
        for name in state.names():
            line = state.lineage(name)
            assert line[0] == name
            assert len(set(line)) == len(line)
            assert all(state.known(each) for each in line)
            last = line[-1]
            assert last == "main" or state.parents[last] == ""


# -- names of streams


@given(agent=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True), rest=st.text(min_size=1, max_size=9))
def test_a_streams_name_is_taken_apart_again(agent: str, rest: str) -> None:
    assert split_stream(profile_stream(agent, f"openai:{rest}")) == ("profile", agent, f"openai:{rest}")
    assert split_stream(rotation_stream(agent, "openai")) == ("rotation", agent, "openai")
    assert [split_stream(s) for s in (VAULT, AGENTS)] == [("vault", "", ""), ("agents", "", "")]
