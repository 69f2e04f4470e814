"""Times as people type them: ISO 8601, dates, ``2h``, ``yesterday``, ``monday``. Without a zone they are local.

A day (a date, ``today``, ``monday``) is a stretch of time: as a start it means its first moment, as an end or as
``--at`` its last. What lies before 1970 or after 9999 is moved there: no event is older or newer.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from vault.errors import InputError
from vault.values import DAY, SECOND, Instant, length_of_time

EARLIEST = 1
LATEST = 253_402_128_000 * SECOND
LONGEST = 100 * 365 * DAY
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"\d+\s*[smhdwy]")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def parse_length(text: str) -> int:
    """A length of time such as 365d, 12h, 90m, at most 100 years, in microseconds. Raises InputError."""
    length = length_of_time(text)
    if length > LONGEST:
        raise InputError(f"{text!r} is not a length of time that makes sense", hint="give at most 100y")
    return length


def parse_moment(text: str, now: int, *, end: bool = False, zone: tzinfo | None = None) -> Instant:
    """A moment in microseconds UTC. ``end`` takes the last moment of a day. Raises InputError."""
    word = text.strip().lower()
    if word == "now":
        return Instant(now)
    if _AGO.fullmatch(word):
        return _bounded(now - parse_length(word))
    try:
        day = _day(word, datetime.fromtimestamp(now // SECOND, zone).date())
        if day is None:
            return _bounded(_micro(datetime.fromisoformat(text.strip()), zone))
        if end:
            return _bounded(_micro(datetime.combine(day + timedelta(days=1), time.min), zone) - 1)
        return _bounded(_micro(datetime.combine(day, time.min), zone))
    except (ValueError, OverflowError, OSError):
        raise InputError(
            f"{text!r} is not a time", hint="write 2026-01-31T09:30, 2026-01-31, 2h, yesterday or monday"
        ) from None


def _day(word: str, today: date) -> date | None:
    """The day a word means; None when it is no day."""
    if word in ("today", "yesterday"):
        return today - timedelta(days=1 if word == "yesterday" else 0)
    if len(word) >= 3:
        for number, name in enumerate(_DAYS):
            if name.startswith(word):
                return today - timedelta(days=(today.weekday() - number) % 7)
    try:
        return date.fromisoformat(word.upper())
    except ValueError:
        return None


def _micro(moment: datetime, zone: tzinfo | None) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone) if zone else moment.astimezone()
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _bounded(moment: int) -> Instant:
    return Instant(min(max(moment, EARLIEST), LATEST))
