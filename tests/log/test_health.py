"""Cooldown and disablement: the schedule of the table, windows that never shrink, and what forgives."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import START
from vault.errors import UsageError
from vault.events.types import Health
from vault.model.health import FAILURES, WELL, after_failure, after_success, check_failure
from vault.values import DAY, HOUR, MINUTE, SECOND

SCHEDULE: dict[str, list[int]] = {
    **dict.fromkeys(["rate_limit", "overloaded"], [30 * SECOND * 2**n for n in range(7)] + [HOUR] * 3),
    **dict.fromkeys(
        ["auth", "timeout", "format", "model_not_found", "unknown"], [30 * SECOND, MINUTE] + [5 * MINUTE] * 8
    ),
    "billing": [10 * MINUTE * 2**n for n in range(8)] + [DAY] * 2,
    "auth_permanent": [10 * MINUTE, 20 * MINUTE, 40 * MINUTE] + [HOUR] * 7,
}
DISABLING = ("billing", "auth_permanent")
FARTHEST = 31 * DAY

failures = st.lists(
    st.tuples(
        st.sampled_from(FAILURES),
        st.integers(0, 2 * DAY),
        st.none() | st.integers(-DAY, 60 * DAY),
    ),
    min_size=1,
    max_size=12,
)


def report(reports: list[tuple[str, int, int | None]], health: Health = WELL) -> list[tuple[int, Health]]:
    """Health after each report: (failure, time since the one before, reset time from then on)."""
    at, told = START, []
    for failure, later, reset in reports:
        at += later
        health = after_failure(health, failure, at, None if reset is None else at + reset)
        told.append((at, health))
    return told


def test_every_failure_has_a_schedule() -> None:
    assert set(SCHEDULE) == set(FAILURES)


@pytest.mark.parametrize("failure", FAILURES)
def test_the_schedule(failure: str) -> None:
    told = report([(failure, 1, None)] * 10)
    ends = [h.disabled_until if failure in DISABLING else h.cooldown_until for _, h in told]
    assert [end - at for (at, _), end in zip(told, ends, strict=True)] == SCHEDULE[failure]
    assert [h.failures for _, h in told] == list(range(1, 11))
    for at, health in told:
        other = health.cooldown_until if failure in DISABLING else health.disabled_until
        assert (other, health.last_reason, health.last_failure_at) == (0, failure, at)


@given(reports=failures)
def test_a_window_never_shrinks(reports: list[tuple[str, int, int | None]]) -> None:
    healths = [WELL] + [h for _, h in report(reports)]
    for earlier, later in pairwise(healths):
        assert later.cooldown_until >= earlier.cooldown_until
        assert later.disabled_until >= earlier.disabled_until


@given(reports=failures)
def test_no_window_is_longer_than_its_cap(reports: list[tuple[str, int, int | None]]) -> None:
    before = WELL
    for (failure, _, reset), (at, health) in zip(reports, report(reports), strict=True):
        for name in ("cooldown_until", "disabled_until"):
            end = getattr(health, name)
            if end == getattr(before, name):
                continue
            assert (name == "disabled_until") == (failure in DISABLING)
            if reset is not None and reset > 0:
                assert end == at + min(reset, FARTHEST)
            else:
                assert end - at in SCHEDULE[failure]
        before = health


@given(reports=failures)
def test_failures_are_counted_until_a_day_without_one(reports: list[tuple[str, int, int | None]]) -> None:
    count = 0
    for index, ((_, later, _), (_, health)) in enumerate(zip(reports, report(reports), strict=True)):
        count = count + 1 if index and later < DAY else 1
        assert health.failures == count


@given(reports=failures, later=st.integers(0, 100 * DAY))
def test_a_success_forgives_everything(reports: list[tuple[str, int, int | None]], later: int) -> None:
    at, _ = report(reports)[-1]
    healed = after_success(at + later)
    assert healed == Health(last_success_at=at + later)
    assert report([("auth", 1, None)], healed)[-1][1].failures == 1


def test_the_last_success_is_remembered_through_failures() -> None:
    told = report([("auth", 1, None), ("billing", 1, None)], after_success(START - 5))
    assert [h.last_success_at for _, h in told] == [START - 5] * 2


@pytest.mark.parametrize("failure", FAILURES)
def test_a_reset_time_replaces_the_schedule(failure: str) -> None:
    for reset, window in [(SECOND, SECOND), (3 * DAY, 3 * DAY), (40 * DAY, FARTHEST)]:
        ((at, health),) = report([(failure, 0, reset)])
        assert max(health.cooldown_until, health.disabled_until) == at + window
    for past in (0, -1, -DAY):
        ((at, health),) = report([(failure, 0, past)])
        assert max(health.cooldown_until, health.disabled_until) == at + SCHEDULE[failure][0]


@given(reports=failures.map(lambda r: [(f, later, None) for f, later, _ in r]))
def test_after_a_quiet_day_only_a_reported_reset_still_holds(reports: list[tuple[str, int, int | None]]) -> None:
    at, health = report(reports)[-1]
    assert max(health.cooldown_until, health.disabled_until) <= at + DAY


def test_names_of_failures() -> None:
    assert [check_failure(name) for name in FAILURES] == list(FAILURES)
    for name in ("", "Auth", "success", "rate-limit"):
        with pytest.raises(UsageError) as caught:
            check_failure(name)
        assert caught.value.exit_status == 64
