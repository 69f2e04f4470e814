"""Times as people type them: ISO 8601, dates, ``2h``, ``yesterday``, ``monday``. Without a zone they are local.

A day (a date, ``today``, ``monday``) is a stretch of time: as a start it means its first moment, as an end or as
``--at`` its last.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, tzinfo

from vault.errors import InputError
from vault.values import SECOND, Instant, length_of_time

parse_length = length_of_time
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def parse_moment(text: str, now: int, *, end: bool = False, zone: tzinfo | None = None) -> Instant:
    """A moment in microseconds UTC. ``end`` takes the last moment of a day. Raises InputError."""
    word = text.strip().lower()
    here = datetime.fromtimestamp(now / SECOND, zone).astimezone(zone)
    if word == "now":
        return Instant(now)
    if re.fullmatch(r"\d+\s*[smhdwy]", word):
        return Instant(now - parse_length(word))
    day = None
    if word in ("today", "yesterday"):
        day = here.date() - timedelta(days=1 if word == "yesterday" else 0)
    elif len(word) >= 3 and any(name.startswith(word) for name in _DAYS):
        wanted = next(i for i, name in enumerate(_DAYS) if name.startswith(word))
        day = here.date() - timedelta(days=(here.weekday() - wanted) % 7)
    try:
        if day is None and re.fullmatch(r"\d{4}-\d{2}-\d{2}", word):
            day = datetime.fromisoformat(word).date()
        if day is not None:
            start = datetime.combine(day, time.min).replace(tzinfo=zone)
            if zone is None:
                start = start.astimezone()
            if end:
                following = datetime.combine(day + timedelta(days=1), time.min).replace(tzinfo=zone)
                return Instant(_micro(following if zone else following.astimezone()) - 1)
            return Instant(_micro(start))
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise InputError(
            f"{text!r} is not a time", hint="write 2026-01-31T09:30, 2026-01-31, 2h, yesterday or monday"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone) if zone else moment.astimezone()
    return Instant(_micro(moment))


def _micro(moment: datetime) -> int:
    whole = int(moment.timestamp() // 1)
    return whole * SECOND + moment.microsecond
