"""Health of a profile from reported outcomes: cooldown and disablement. Pure.

| failure | effect | schedule by number of failures in a row |
|---|---|---|
| rate_limit, overloaded | cooldown | 30 s, doubling, at most 1 h |
| auth, timeout, format, model_not_found, unknown | cooldown | 30 s, 1 min, then 5 min |
| billing | disabled | 10 min, doubling, at most 24 h |
| auth_permanent | disabled | 10 min, doubling, at most 1 h |

A reset time the provider reported replaces the schedule's, and may be as far as 31 days ahead. A window is never shortened by
another failure. A success, a new credential or ``health clear`` forgives everything. After 24 hours without a failure the count
starts anew; a window that a reset time opened holds to its end all the same.
"""

from __future__ import annotations

from vault.errors import UsageError
from vault.events.types import Health
from vault.guessing import did_you_mean
from vault.showing import shown
from vault.values import DAY, HOUR, MINUTE, SECOND

FAILURES = (
    "rate_limit",
    "overloaded",
    "timeout",
    "auth",
    "auth_permanent",
    "billing",
    "format",
    "model_not_found",
    "unknown",
)
_DISABLING = {"billing": 24 * HOUR, "auth_permanent": HOUR}
_DOUBLING = {"rate_limit": HOUR, "overloaded": HOUR}
_STEPS = (30 * SECOND, MINUTE, 5 * MINUTE)
FARTHEST_RESET = 31 * DAY
FORGIVEN_AFTER = 24 * HOUR

WELL = Health()


def check_failure(failure: str) -> str:
    """Check the name of a failure. Raises UsageError."""
    if failure not in FAILURES:
        every = "use one of " + ", ".join(FAILURES)
        raise UsageError(
            f"{shown(failure)} is not a reason for a failure", hint=did_you_mean(failure, FAILURES) or every
        )
    return failure


def after_failure(health: Health, failure: str, at: int, until: int | None = None) -> Health:
    """Health after a failure reported at ``at``; ``until`` is the provider's own reset time."""
    ongoing = at - health.last_failure_at < FORGIVEN_AFTER
    failures = health.failures + 1 if ongoing else 1
    end = at + _window(failure, failures)
    if until is not None and until > at:
        end = min(until, at + FARTHEST_RESET)
    disables = failure in _DISABLING
    return Health(
        failures=failures,
        last_reason=failure,
        last_failure_at=at,
        last_success_at=health.last_success_at,
        cooldown_until=health.cooldown_until if disables else max(health.cooldown_until, end),
        disabled_until=max(health.disabled_until, end) if disables else health.disabled_until,
    )


def after_success(at: int) -> Health:
    """Health after a success: everything is forgiven."""
    return Health(last_success_at=at)


def _window(failure: str, failures: int) -> int:
    doublings = min(failures - 1, 32)
    if failure in _DISABLING:
        return min(10 * MINUTE << doublings, _DISABLING[failure])
    if failure in _DOUBLING:
        return min(30 * SECOND << doublings, _DOUBLING[failure])
    return _STEPS[min(failures, len(_STEPS)) - 1]
