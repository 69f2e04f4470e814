"""What is left behind, what comes in between, and what must not be lost: claims and settlements that don't go as they should."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import START, FixedClock, make_files
from vault.commands import refresh as module
from vault.commands.login import log_in, log_out
from vault.commands.refresh import refresh
from vault.commands.refreshing import refresh_many
from vault.context import Context
from vault.errors import InputError, IntegrityError, NotFound, SignInAgain, StorageError, TryAgain
from vault.events.credentials import OAuth
from vault.events.types import RefreshClaimed, RefreshFailed, TokensRefreshed
from vault.log.records import Draft
from vault.model.profile import ProfileState
from vault.model.streams import profile_stream
from vault.providers.tokens import NotSent, Outcome, Refreshed, Refused, Tokens, Uncertain
from vault.values import HOUR, MAIN_AGENT, MINUTE, SECOND, Instant, ProfileId

XAI = ProfileId("xai:default")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def context(tmp_path: Path, clock: FixedClock) -> Iterator[Context]:
    with make_files(tmp_path / "vault").open(clock) as opened:
        sign_in(opened)
        yield opened


def sign_in(context: Context, name: str = "0", left: int = -HOUR, profile: ProfileId = XAI) -> None:
    ends = Instant(context.clock.now() + left)
    log_in(
        context,
        MAIN_AGENT,
        profile,
        OAuth(access=f"fake-access-{name}", refresh=f"fake-refresh-{name}", expires_at=ends),
    )


def state_of(context: Context) -> ProfileState:
    found = context.queries.profile(MAIN_AGENT, XAI)
    assert found is not None
    return found


def access_of(context: Context) -> str:
    held = state_of(context).current
    assert held is not None
    credential = context.store.credential(held.position)
    assert isinstance(credential, OAuth)
    return credential.access


def events(context: Context) -> list[Any]:
    return [r.event for r in context.store.read_stream(profile_stream(MAIN_AGENT, XAI))]


def new_tokens(name: str = "1", refresh_token: str = "fake-refresh-1") -> Refreshed:
    return Refreshed(Tokens(f"fake-access-{name}", refresh_token, Instant(START + HOUR)))


def succeeding(*_: object) -> Outcome:
    return new_tokens()


def claim(context: Context, lease_until: int) -> None:
    """Another process claims, and is never heard of again."""
    state = state_of(context)
    assert state.current is not None
    event = RefreshClaimed(
        agent=MAIN_AGENT,
        profile=XAI,
        refresh_fingerprint=state.current.facts.refresh_fingerprint,
        lease_until=lease_until,
    )
    context.store.append([Draft(stream=profile_stream(MAIN_AGENT, XAI), event=event)], context.cause())


def test_a_claim_from_a_clock_that_was_hours_ahead_does_not_hold_for_hours(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease ends in five hours by the clock; by the time that passes it has stood for longer than any exchange lasts."""
    claim(context, START + 5 * HOUR)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    done = refresh(context, MAIN_AGENT, XAI, exchange=succeeding)
    assert done.done == "refreshed"
    assert [type(e) for e in events(context)][-2:] == [RefreshClaimed, TokensRefreshed]


def test_a_wait_from_a_clock_that_was_hours_ahead_is_no_wait(context: Context, clock: FixedClock) -> None:
    clock.forward(5 * HOUR)
    with pytest.raises(TryAgain):
        refresh(context, MAIN_AGENT, XAI, exchange=lambda *_: NotSent("busy", 10 * MINUTE))
    with pytest.raises(TryAgain, match="wants to be asked"):
        refresh(context, MAIN_AGENT, XAI, exchange=succeeding)
    clock.forward(-5 * HOUR)
    assert refresh(context, MAIN_AGENT, XAI, force=True, exchange=succeeding).done == "refreshed"


def test_a_claim_is_waited_for_and_its_failure_is_not_taken_for_news(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to refresh tokens with life left while another process does: when that one fails, this one goes on itself."""
    sign_in(context, left=2 * HOUR)
    claim(context, START + MINUTE)
    waits: list[float] = []

    def other_fails(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            state = state_of(context)
            assert state.claim is not None
            event = RefreshFailed(agent=MAIN_AGENT, profile=XAI, claim=state.claim.position, outcome="postponed")
            context.store.append([Draft(stream=profile_stream(MAIN_AGENT, XAI), event=event)], context.cause())

    monkeypatch.setattr(module.time, "sleep", other_fails)
    assert refresh(context, MAIN_AGENT, XAI, force=True, exchange=succeeding).done == "refreshed"
    assert len(waits) == 3


def test_claim_after_claim_ends_the_patience(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others that fail one after the other are not waited for without end."""
    now = [0.0]
    claim(context, START + MINUTE)

    def another(seconds: float) -> None:
        now[0] += 30.0
        claim(context, START + MINUTE)

    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "sleep", another)
    with pytest.raises(TryAgain, match="for too long"):
        refresh(context, MAIN_AGENT, XAI, exchange=succeeding)


FAILURES: list[type[Exception]] = [TryAgain, StorageError]


@pytest.mark.parametrize("failure", FAILURES)
def test_new_tokens_are_not_given_up_because_the_vault_is_busy(
    failure: type[Exception], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, tries = context.decide, []
    monkeypatch.setattr(module, "SETTLE_PAUSES", (0.0, 0.0, 0.0))

    def busy(*args: Any) -> Any:
        tries.append(args)
        if len(tries) < 4:
            raise failure("busy")
        return decide(*args)

    monkeypatch.setattr(context, "decide", busy)
    assert refresh(context, MAIN_AGENT, XAI, exchange=succeeding).done == "refreshed"
    assert access_of(context) == "fake-access-1"


def test_new_tokens_that_can_not_be_stored_are_told(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise StorageError("the disk is full")

    monkeypatch.setattr(module, "SETTLE_PAUSES", (0.0,))
    with monkeypatch.context() as patch:
        patch.setattr(context, "decide", full)
        with pytest.raises(StorageError, match=r"new tokens .* can't be stored: the disk is full") as caught:
            refresh(context, MAIN_AGENT, XAI, exchange=succeeding)
    assert "fake-access" not in str(caught.value)
    assert state_of(context).claim is not None, "what the refresh token is worth is uncertain, and shown so"


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("rotates", [True, False])
def test_an_interruption_while_new_tokens_are_stored_loses_none_and_stores_none_twice(
    before: bool, rotates: bool, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, tries = context.decide, []

    def interrupted(*args: Any) -> Any:
        tries.append(args)
        if len(tries) > 1:
            return decide(*args)
        if not before:
            decide(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(context, "decide", interrupted)
    with pytest.raises(KeyboardInterrupt):
        refresh(context, MAIN_AGENT, XAI, exchange=lambda *_: new_tokens("1", "fake-refresh-1" if rotates else ""))
    assert access_of(context) == "fake-access-1"
    assert sum(isinstance(e, TokensRefreshed) for e in events(context)) == 1


def test_the_same_access_token_with_a_later_end_is_new_all_the_same(context: Context, clock: FixedClock) -> None:
    same = Refreshed(Tokens("fake-access-0", "", Instant(START + HOUR)))
    assert refresh(context, MAIN_AGENT, XAI, exchange=lambda *_: same).done == "refreshed"
    state = state_of(context)
    assert state.claim is None
    assert state.current is not None
    assert state.current.facts.expires_at == START + HOUR


@pytest.mark.parametrize("error", [InputError("no"), NotFound("no")])
def test_an_error_of_ours_before_anything_is_sent_leaves_no_doubt(error: Exception, context: Context) -> None:
    def refusing(*_: object) -> Outcome:
        raise error

    for _ in range(3):
        with pytest.raises(type(error)):
            refresh(context, MAIN_AGENT, XAI, exchange=refusing)
    state = state_of(context)
    assert (state.claim, state.uncertain, state.needs_sign_in) == (None, 0, "")


def test_a_credential_that_can_not_be_opened_leaves_no_doubt(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_: int) -> Any:
        raise IntegrityError("altered")

    monkeypatch.setattr(context.store, "credential", damaged)
    with pytest.raises(IntegrityError):
        refresh(context, MAIN_AGENT, XAI, exchange=succeeding)
    state = state_of(context)
    assert (state.claim, state.uncertain) == (None, 0)
    with pytest.raises(IntegrityError):
        refresh_many(context, MAIN_AGENT, leeway=HOUR)


@pytest.mark.parametrize(
    "outcome",
    [new_tokens(), Refused("invalid_grant", "", permanent=True), NotSent("busy"), Uncertain("lost")],
    ids=["refreshed", "refused", "not sent", "uncertain"],
)
def test_a_logout_during_the_exchange_stands(outcome: Outcome, context: Context) -> None:
    def exchange(*_: object) -> Outcome:
        log_out(context, MAIN_AGENT, XAI)
        return outcome

    try:
        done = refresh(context, MAIN_AGENT, XAI, exchange=exchange)
    except (SignInAgain, TryAgain):
        done = None
    assert state_of(context).current is None
    assert (done.why if done else "") == ("it was logged out meanwhile" if isinstance(outcome, Refreshed) else "")


@pytest.mark.parametrize("left", [-SECOND, 30 * SECOND, 5 * MINUTE])
@pytest.mark.parametrize("name", ["refused", "not sent", "uncertain", "wrong"])
def test_what_a_use_and_what_a_refresh_make_of_a_failure(name: str, left: int, context: Context) -> None:
    """A use is served as long as there is a minute left. Who asked for a refresh is told that there was none."""
    outcome: Outcome = {
        "refused": Refused("invalid_grant", "", permanent=True),
        "not sent": NotSent("busy"),
        "uncertain": Uncertain("lost"),
        "wrong": Refused("invalid_request", "", permanent=False),
    }[name]
    expected = SignInAgain if name in ("refused", "wrong") else TryAgain
    sign_in(context, left=left)
    if left > MINUTE:
        assert refresh(context, MAIN_AGENT, XAI, exchange=lambda *_: outcome).done == "fresh"
    else:
        with pytest.raises(expected):
            refresh(context, MAIN_AGENT, XAI, exchange=lambda *_: outcome)
    for asked in ({"force": True}, {"leeway": 2 * HOUR}):
        sign_in(context, left=left)
        with pytest.raises(expected):
            refresh(context, MAIN_AGENT, XAI, exchange=lambda *_: outcome, **asked)  # type: ignore[arg-type]


def test_threads_that_ask_at_once_spend_one_token(tmp_path: Path) -> None:
    """As processes do, each with a vault of its own: one exchange, and all have the new token."""
    files = make_files(tmp_path / "vault")
    with files.open() as context:
        sign_in(context)
    asked: list[int] = []
    done: list[str] = []

    def one() -> None:
        with files.open() as context:
            refresh(context, MAIN_AGENT, XAI, exchange=lambda *_: asked.append(1) or new_tokens())  # type: ignore[func-returns-value]
            done.append(access_of(context))

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert done == ["fake-access-1"] * 6
    assert len(asked) == 1
