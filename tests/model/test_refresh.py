"""Claim, exchange, settle: given these events, when that is decided, then this. And processes in any order, by property."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vault.errors import NewerVersion, SignInAgain
from vault.events.credentials import CredentialFacts
from vault.events.types import (
    Event,
    ProfileLoggedIn,
    ProfileLoggedOut,
    ProfileProbed,
    ProfileRestored,
    RefreshClaimed,
    RefreshFailed,
    TokensRefreshed,
    UnknownEvent,
)
from vault.model.profile import Claim, ProfileState, Proof, evolve_profile
from vault.model.refresh import (
    DUE,
    FRESH,
    HELD,
    NOT_REFRESHABLE,
    POSTPONED,
    REFUSED,
    UNCERTAIN,
    WAITING,
    Need,
    claim,
    given_up_from,
    need,
    settle_failure,
    settle_success,
)

AGENT, PROFILE = "main", "xai:default"
NOW, LEASE, LEEWAY = 1_000_000, 60, 10


def facts(refresh: str = "r1", expires: int | None = NOW, **more: object) -> CredentialFacts:
    return CredentialFacts(
        kind="oauth",
        fingerprint=f"access-{refresh}",
        refresh_fingerprint=refresh,
        expires_at=expires,
        **more,  # type: ignore[arg-type]
    )


def login(refresh: str = "r1", expires: int | None = NOW, **more: object) -> ProfileLoggedIn:
    return ProfileLoggedIn(agent=AGENT, profile=PROFILE, credential=facts(refresh, expires, **more))


def claimed(sent: str = "r1", until: int = NOW + LEASE) -> RefreshClaimed:
    return RefreshClaimed(agent=AGENT, profile=PROFILE, refresh_fingerprint=sent, lease_until=until)


def refreshed(refresh: str, claim: int, expires: int = NOW + 1000) -> TokensRefreshed:
    return TokensRefreshed(agent=AGENT, profile=PROFILE, claim=claim, credential=facts(refresh, expires), rotated=True)


def failed(outcome: str, claim: int = 2, error: str = "", retry_at: int | None = None) -> RefreshFailed:
    return RefreshFailed(agent=AGENT, profile=PROFILE, claim=claim, outcome=outcome, error=error, retry_at=retry_at)


LOGGED_OUT = ProfileLoggedOut(agent=AGENT, profile=PROFILE)


def fold(*events: Event) -> ProfileState:
    """A profile after events at positions 1, 2, …, each recorded at its position."""
    state = None
    for position, event in enumerate(events, start=1):
        state = evolve_profile(state, event, position, position, position, AGENT, PROFILE)
    assert state is not None
    return state


# -- is it due?


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([login(expires=NOW + LEEWAY)], Need(DUE)),
        ([login(expires=NOW - 1)], Need(DUE)),
        ([login(expires=NOW + LEEWAY + 1)], Need(FRESH, NOW + LEEWAY + 1)),
        ([login(expires=None)], Need(FRESH)),
        ([login(""), login("")], Need(NOT_REFRESHABLE)),
        ([login(ownership="external")], Need(NOT_REFRESHABLE)),
        ([login(ownership="copy")], Need(DUE)),
        ([login(), LOGGED_OUT], Need(NOT_REFRESHABLE)),
        ([login(), claimed()], Need(HELD, NOW + LEASE)),
        ([login(), claimed(until=NOW + 1)], Need(HELD, NOW + 1)),
        ([login(), claimed(until=NOW)], Need(DUE)),
        ([login(), claimed(), failed(POSTPONED)], Need(DUE)),
        ([login(), claimed(), failed(POSTPONED, retry_at=NOW + 5)], Need(WAITING, NOW + 5)),
        ([login(), claimed(), failed(POSTPONED, retry_at=NOW)], Need(DUE)),
        ([login(), claimed(), failed(UNCERTAIN)], Need(DUE)),
        ([login(), claimed(), failed(REFUSED)], Need(NOT_REFRESHABLE)),
        ([login(), claimed(), failed(REFUSED), login("r2")], Need(DUE)),
        ([login(), claimed(), login("r2")], Need(DUE)),
        ([login(), claimed(), refreshed("r2", 2)], Need(FRESH, NOW + 1000)),
    ],
)
def test_given_these_events_is_a_refresh_due(events: Sequence[Event], expected: Need) -> None:
    assert need(fold(*events), NOW, LEEWAY) == expected


def test_forcing_refreshes_what_has_life_left_and_nothing_else() -> None:
    for state in (fold(login(expires=NOW + 1000)), fold(login(expires=None))):
        assert need(state, NOW, LEEWAY, force=True) == Need(DUE)
    held = fold(login(), claimed())
    waiting = fold(login(), claimed(), failed(POSTPONED, retry_at=NOW + 5))
    refused = fold(login(), claimed(), failed(REFUSED))
    assert [need(s, NOW, LEEWAY, force=True).state for s in (held, waiting, refused)] == [
        HELD,
        WAITING,
        NOT_REFRESHABLE,
    ]


@pytest.mark.parametrize("kind", ["api_key", "token", "wellknown", "cloud", "reference"])
def test_other_kinds_are_never_refreshed(kind: str) -> None:
    one = ProfileLoggedIn(
        agent=AGENT, profile=PROFILE, credential=CredentialFacts(kind=kind, refresh_fingerprint="r", expires_at=1)
    )
    assert need(fold(one), NOW, LEEWAY, force=True) == Need(NOT_REFRESHABLE)


# -- claim


def test_a_claim_names_what_it_will_send_and_until_when() -> None:
    assert claim(fold(login("r7")), NOW, LEASE) == claimed("r7", NOW + LEASE)
    state = fold(login(), claimed())
    assert state.claim == Claim(position=2, lease_until=NOW + LEASE, refresh_fingerprint="r1")
    assert state.uncertain == 0


def test_one_without_outcome_is_tried_once_more_and_then_a_person_must_go_on() -> None:
    lost = fold(login(), claimed(until=NOW - 1))
    assert need(lost, NOW, LEEWAY) == Need(DUE)
    again = claim(lost, NOW, LEASE)
    twice = fold(login(), claimed(until=NOW - 1), again)
    assert (twice.uncertain, twice.claim is not None) == (1, True)
    with pytest.raises(SignInAgain, match="in a row ended uncertain") as caught:
        claim(twice, NOW + LEASE, LEASE)
    assert (caught.value.exit_status, caught.value.hint) == (82, "vault login xai:default")


def test_an_uncertain_one_is_tried_once_more_too() -> None:
    once = fold(login(), claimed(), failed(UNCERTAIN))
    assert (once.uncertain, once.claim) == (1, None)
    again = claim(once, NOW, LEASE)
    twice = fold(login(), claimed(), failed(UNCERTAIN), again, failed(UNCERTAIN, 4))
    with pytest.raises(SignInAgain, match="may be spent"):
        claim(twice, NOW, LEASE)
    mixed = fold(login(), claimed(until=NOW - 1), claimed(until=NOW - 1), failed(UNCERTAIN, 3))
    with pytest.raises(SignInAgain, match="may be spent"):
        claim(mixed, NOW, LEASE)


def test_what_surely_did_not_arrive_is_no_try() -> None:
    """A postponed refresh neither counts as uncertain nor makes an earlier one certain."""
    state = fold(
        login(), claimed(), failed(POSTPONED), claimed(), failed(POSTPONED, 4), claimed(), failed(POSTPONED, 6)
    )
    assert (state.uncertain, state.claim, state.needs_sign_in) == (0, None, "")
    assert claim(state, NOW, LEASE) == claimed()
    state = fold(login(), claimed(), failed(UNCERTAIN), claimed(), failed(POSTPONED, 4))
    assert state.uncertain == 1
    assert claim(state, NOW, LEASE) == claimed()


def test_after_a_refusal_a_person_must_go_on() -> None:
    state = fold(login(), claimed(), failed(REFUSED, error="invalid_grant"))
    assert state.needs_sign_in == "invalid_grant"
    with pytest.raises(SignInAgain, match=r"refused the refresh token of xai:default of agent main \(invalid_grant\)"):
        claim(state, NOW, LEASE)
    assert fold(login(), claimed(), failed(REFUSED)).needs_sign_in == "refused"
    other = evolve_profile(None, login(), 1, 1, 1, "coder", PROFILE)
    other = evolve_profile(other, failed(REFUSED), 2, 2, 2, "coder", PROFILE)
    with pytest.raises(SignInAgain) as caught:
        claim(other, NOW)
    assert caught.value.hint == "vault login xai:default --agent coder"


@pytest.mark.parametrize(
    "event",
    [
        login("r9"),
        ProfileRestored(agent=AGENT, profile=PROFILE, from_position=1, credential=facts()),
        refreshed("r9", 4),
    ],
)
def test_a_new_credential_starts_with_a_clean_sheet(event: Event) -> None:
    for before in ([failed(REFUSED)], [failed(UNCERTAIN), claimed()], [failed(POSTPONED, retry_at=NOW + 9)]):
        state = fold(login(), claimed(), *before, event)
        assert (state.claim, state.uncertain, state.needs_sign_in, state.retry_at) == (None, 0, "", 0)
        assert claim(state, NOW, LEASE).lease_until == NOW + LEASE


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([login()], None),
        ([login(), claimed()], None),
        ([login(), claimed(), failed(UNCERTAIN)], None),
        ([login(), claimed(), failed(REFUSED)], 0),
        ([login(), claimed(), failed(UNCERTAIN), claimed(), failed(UNCERTAIN)], 0),
        ([login(), claimed(), failed(UNCERTAIN), claimed(until=NOW + 7)], NOW + 7),
        ([login(), claimed(until=1), claimed(until=NOW + 7)], NOW + 7),
        ([login(), claimed(until=1), claimed(until=NOW + 7), login()], None),
        ([login(), claimed(until=1), claimed(until=NOW + 7), failed(POSTPONED)], None),
    ],
)
def test_from_when_only_a_person_can_go_on(events: Sequence[Event], expected: int | None) -> None:
    """From then on, and not before, a claim is refused."""
    state = fold(*events)
    assert given_up_from(state) == expected
    if expected is not None:
        with pytest.raises(SignInAgain):
            claim(state, max(expected, NOW), LEASE)


# -- settle


def test_new_tokens_replace_the_old_which_stay_in_the_log() -> None:
    state = fold(login(), claimed())
    assert settle_success(state, 2, claimed(), facts("r2")) == TokensRefreshed(
        agent=AGENT, profile=PROFILE, claim=2, credential=facts("r2"), rotated=True
    )
    kept = settle_success(state, 2, claimed(), facts("r1", NOW + 500))
    assert kept is not None
    assert not kept.rotated
    after = fold(login(), claimed(), refreshed("r2", 2))
    assert after.current is not None
    assert (after.current.position, after.current.since, after.current.facts.refresh_fingerprint) == (3, 1, "r2")
    assert after.proof == Proof(at=3, how="refresh", outcome="works", fingerprint="access-r2")


@pytest.mark.parametrize(
    ("meanwhile", "kept"),
    [
        ([], True),
        # the lease was lost, but the stored token is still the one that was sent: this answer is the newest
        ([claimed(until=NOW + 2 * LEASE)], True),
        ([claimed(), failed(UNCERTAIN, 3)], True),
        ([claimed(), failed(REFUSED, 3, "invalid_grant")], True),
        # another winner's tokens are newer
        ([claimed(), refreshed("r2", 3)], False),
        # another credential altogether
        ([login("r9")], False),
        ([login("r9"), claimed("r9")], False),
        ([LOGGED_OUT], False),
    ],
)
def test_a_late_answer_is_kept_only_while_the_stored_token_is_the_one_sent(
    meanwhile: Sequence[Event], kept: bool
) -> None:
    state = fold(login(), claimed(), *meanwhile)
    event = settle_success(state, 2, claimed(), facts("r2"))
    assert (event is not None) == kept
    if event is not None:
        after = fold(login(), claimed(), *meanwhile, event)
        assert after.current is not None
        assert after.current.facts.refresh_fingerprint == "r2"
        assert (after.needs_sign_in, after.uncertain) == ("", 0)


@pytest.mark.parametrize(
    "meanwhile",
    [
        [claimed(), refreshed("r2", 3)],
        [login("r9")],
        [login("r9"), claimed("r9")],
        [LOGGED_OUT],
        [ProfileRestored(agent=AGENT, profile=PROFILE, from_position=1, credential=facts("r0"))],
    ],
)
@pytest.mark.parametrize("outcome", [REFUSED, POSTPONED, UNCERTAIN])
def test_a_loser_never_condemns_a_profile_whose_token_has_changed(meanwhile: Sequence[Event], outcome: str) -> None:
    assert settle_failure(fold(login(), claimed(), *meanwhile), 2, claimed(), outcome, "invalid_grant") is None


def test_a_refusal_of_the_stored_token_condemns_it() -> None:
    for meanwhile in ([], [claimed()], [claimed(), failed(UNCERTAIN, 3)]):
        state = fold(login(), claimed(), *meanwhile)
        event = settle_failure(state, 2, claimed(), REFUSED, "invalid_grant", None)
        assert event == RefreshFailed(
            agent=AGENT, profile=PROFILE, claim=2, outcome=REFUSED, error="invalid_grant", refresh_fingerprint="r1"
        )
        after = fold(login(), claimed(), *meanwhile, event)
        assert after.needs_sign_in == "invalid_grant"
        assert after.proof is not None
        assert (after.proof.how, after.proof.outcome, after.proof.detail) == ("refresh", "refused", "invalid_grant")
        assert after.current is not None, "the old tokens are still there"


@pytest.mark.parametrize("outcome", [POSTPONED, UNCERTAIN])
def test_who_lost_the_lease_has_nothing_to_say_but_a_refusal(outcome: str) -> None:
    mine = settle_failure(fold(login(), claimed()), 2, claimed(), outcome, "timeout", NOW + 9)
    assert mine is not None
    assert (mine.outcome, mine.retry_at) == (outcome, NOW + 9)
    lost = fold(login(), claimed(), claimed(until=NOW + 2 * LEASE))
    assert settle_failure(lost, 2, claimed(), outcome, "timeout", NOW + 9) is None
    assert settle_failure(fold(login(), claimed(), claimed(), failed(POSTPONED, 3)), 2, claimed(), outcome, "x") is None


def test_nothing_is_decided_upon_an_event_of_a_newer_vault() -> None:
    state = fold(login(), claimed(), UnknownEvent(type="profile_painted", schema=1))
    for decide in (
        lambda: claim(state, NOW, LEASE),
        lambda: settle_success(state, 2, claimed(), facts("r2")),
        lambda: settle_failure(state, 2, claimed(), REFUSED, "invalid_grant"),
    ):
        with pytest.raises(NewerVersion, match="profile_painted"):
            decide()


def test_a_probe_proves_and_changes_nothing_else() -> None:
    for outcome in ("works", "refused", "unclear"):
        probe = ProfileProbed(agent=AGENT, profile=PROFILE, outcome=outcome, fingerprint="f", detail="401")
        before, after = fold(login(), claimed()), fold(login(), claimed(), probe)
        assert after.proof == Proof(at=3, how="probe", outcome=outcome, fingerprint="f", detail="401")
        assert (after.current, after.claim, after.needs_sign_in) == (before.current, before.claim, "")
    assert fold(login(), probe, login()).proof is None


# -- any processes, in any order


@dataclass
class Provider:
    """An authorization server with single-use refresh tokens."""

    live: str = "t0"
    made: int = 0

    def sign_in(self) -> str:
        self.made += 1
        self.live = f"t{self.made}"
        return self.live

    def exchange(self, sent: str) -> str | None:
        """A new refresh token for one that is live, None for any other."""
        return self.sign_in() if sent == self.live else None


@dataclass
class World:
    """A profile's stream, which grows by one event at a time, and processes that each hold a claim or an answer."""

    provider: Provider = field(default_factory=Provider)
    events: list[Event] = field(default_factory=list)
    now: int = NOW
    claims: dict[int, tuple[int, RefreshClaimed]] = field(default_factory=dict)
    answers: dict[int, str | None] = field(default_factory=dict)

    def state(self) -> ProfileState:
        return fold(*self.events)

    def stored(self) -> str:
        held = self.state().current
        return held.facts.refresh_fingerprint if held else ""

    def act(self, process: int, what: str) -> None:
        """The next thing a process does: claim, exchange, settle; or it dies, or its answer is lost; or a person signs in."""
        if what == "sign in":
            self.events.append(login(self.provider.sign_in()))
        elif what == "wait":
            self.now += LEASE
        elif what == "die":
            self.claims.pop(process, None)
            self.answers.pop(process, None)
        elif process not in self.claims:
            if need(self.state(), self.now, LEEWAY).state == DUE:
                try:
                    event = claim(self.state(), self.now, LEASE)
                except SignInAgain:
                    return
                self.events.append(event)
                self.claims[process] = len(self.events), event
        elif process not in self.answers:
            self.answers[process] = self.provider.exchange(self.claims[process][1].refresh_fingerprint)
            if what == "drop":
                self.settle(process, UNCERTAIN)
        else:
            self.settle(process, "" if self.answers[process] else REFUSED)

    def settle(self, process: int, failure: str) -> None:
        (position, sent), answer = self.claims.pop(process), self.answers.pop(process)
        event: Event | None
        if failure:
            event = settle_failure(self.state(), position, sent, failure, failure)
        else:
            assert answer is not None
            event = settle_success(self.state(), position, sent, facts(answer, self.now))
        self.events += [event] if event else []


@settings(max_examples=300, deadline=None)
@given(
    acts=st.lists(
        st.tuples(
            st.integers(0, 2), st.sampled_from(["go", "go", "go", "go", "wait", "wait", "die", "drop", "sign in"])
        ),
        max_size=40,
    )
)
def test_no_interleaving_condemns_a_live_token_or_loses_one(acts: list[tuple[int, str]]) -> None:
    world = World()
    world.act(0, "sign in")
    for process, what in acts:
        before = world.stored()
        world.act(process, what)
        state = world.state()
        assert not state.needs_sign_in or world.stored() != world.provider.live, "a token that works was condemned"
        assert int(world.stored()[1:]) >= int(before[1:]), "older tokens took the place of newer ones"
    for process in sorted(world.answers):
        world.act(process, "go")
    if all(what not in ("die", "drop") for _, what in acts):
        assert world.stored() == world.provider.live, "whatever the order, the newest tokens are the stored ones"
        assert world.state().needs_sign_in == ""
