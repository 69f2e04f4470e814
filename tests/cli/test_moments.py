"""Times as people type them: days are stretches, zones and daylight saving are exact, nonsense is refused."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.cli.moments import EARLIEST, LATEST, parse_length, parse_moment
from vault.errors import InputError
from vault.values import DAY, HOUR, MINUTE, SECOND

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Havana",  # its days change at midnight: one starts at 01:00, one has two midnights
        "Africa/Cairo",
        "Australia/Lord_Howe",  # half an hour of daylight saving
        "Pacific/Apia",  # 2011-12-30 was left out
        "Asia/Kathmandu",
    )
]
NOON = int(datetime(2026, 6, 17, 12, tzinfo=UTC).timestamp()) * SECOND
"""A Wednesday."""

zones = st.sampled_from(ZONES)
days = st.dates(date(1971, 1, 1), date(2099, 12, 31))


def shown(moment: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment // SECOND, zone) + timedelta(microseconds=moment % SECOND)


@given(days, zones)
def test_a_day_starts_and_ends_in_it_and_days_touch(day: date, zone: ZoneInfo) -> None:
    text, following = day.isoformat(), (day + timedelta(days=1)).isoformat()
    start, last = parse_moment(text, NOON, zone=zone), parse_moment(text, NOON, end=True, zone=zone)
    assert last + 1 == parse_moment(following, NOON, zone=zone)
    if (zone.key, text) == ("Pacific/Apia", "2011-12-30"):
        assert last + 1 == start, "the day that was left out has no moments"
        return
    assert shown(start, zone).date() == shown(last, zone).date() == day
    assert shown(start - 1, zone).date() < day
    assert 20 * HOUR < last + 1 - start < 28 * HOUR


@given(st.integers(0, 4_000_000_000 * SECOND), st.integers(-14 * 60, 14 * 60))
def test_a_full_time_with_a_zone_is_exact(moment: int, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).astimezone(zone).isoformat()
    for end in (False, True):
        assert parse_moment(text, NOON, end=end, zone=ZONES[1]) == max(moment, EARLIEST)


@given(st.builds(datetime.combine, days, st.times()), zones)
def test_a_time_without_a_zone_is_local(moment: datetime, zone: ZoneInfo) -> None:
    found = parse_moment(moment.isoformat(), NOON, zone=zone)
    exists = moment.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment
    if exists:
        assert shown(found, zone).replace(tzinfo=None) == moment
    else:
        assert shown(found, zone).replace(tzinfo=None) > moment, "a time that daylight saving skips is taken as later"


@given(
    days,
    zones,
    st.sampled_from(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]),
    st.data(),
)
def test_a_weekday_is_the_latest_one_today_included(
    today: date, zone: ZoneInfo, name: str, data: st.DataObject
) -> None:
    now = int(datetime(today.year, today.month, today.day, 12, tzinfo=zone).timestamp()) * SECOND
    typed = data.draw(st.sampled_from([name, name[:3], name.upper(), f" {name} "]))
    found = shown(parse_moment(typed, now, zone=zone), zone).date()
    here = shown(now, zone).date()
    assert found.strftime("%A").lower() == name or zone.key == "Pacific/Apia"
    assert here - timedelta(days=8) < found <= here


@given(zones)
def test_today_and_yesterday(zone: ZoneInfo) -> None:
    today = shown(NOON, zone).date()
    for word, day in (("today", today), ("Yesterday", today - timedelta(days=1))):
        for end in (False, True):
            assert parse_moment(word, NOON, end=end, zone=zone) == parse_moment(
                day.isoformat(), NOON, end=end, zone=zone
            )


@given(st.integers(1, 36_500), st.sampled_from("smhd"))
def test_ago(count: int, unit: str) -> None:
    length = count * {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}[unit]
    assert parse_length(f"{count}{unit}") == length
    assert parse_moment(f"{count}{unit}", NOON) == max(NOON - length, EARLIEST)
    assert parse_moment(f" {count} {unit.upper()}", NOON, end=True) == max(NOON - length, EARLIEST)


def test_now_weeks_and_years() -> None:
    assert parse_moment("now", NOON) == NOON
    assert parse_length("2w") == 14 * DAY
    assert parse_length("1y") == 365 * DAY


@pytest.mark.parametrize("text", ["20260131", "2026-01-31", "2026-W05-6", "2026-w05-6"])
def test_every_iso_date_is_a_day(text: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert parse_moment(text, NOON, zone=zone) == parse_moment("2026-01-31T00:00+01:00", NOON)
    assert parse_moment(text, NOON, end=True, zone=zone) == parse_moment("2026-01-31T23:59:59.999999+01:00", NOON)


def test_the_days_of_a_change_of_clocks() -> None:
    zone = ZoneInfo("Europe/Berlin")
    for text, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)):
        assert parse_moment(text, NOON, end=True, zone=zone) + 1 - parse_moment(text, NOON, zone=zone) == hours * HOUR


@pytest.mark.parametrize(
    "text",
    ["0001-01-01", "0001-01-01T00:00", "0001-01-01T00:00+14:00", "1969-12-31", "100y"],
)
def test_long_ago_is_the_earliest_moment(text: str) -> None:
    assert parse_moment(text, NOON, zone=ZONES[2]) == EARLIEST


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59.999999", "9999-12-31T23:59-14:00"])
def test_the_far_future_is_the_latest_moment(text: str) -> None:
    assert parse_moment(text, NOON, zone=ZONES[2]) == LATEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "soon",
        "mo",
        "mondayish",
        "2026",
        "2026-13-01",
        "2026-02-30",
        "24:00",
        "12:30",
        "0s",
        "5",
        "h",
        "-2h",
        "1.5h",
        "2h30m",
        "99999999999h",
        "1000000000s",
        "101y",
        "10000-01-01",
        "9999-12-31",
        "tomorrow",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InputError) as told:
        parse_moment(text, NOON, end=True, zone=ZONES[1])
    assert told.value.hint


@given(st.text(max_size=20))
def test_any_text_is_a_moment_or_an_input_error(text: str) -> None:
    try:
        found = parse_moment(text, NOON, end=True)
    except InputError:
        return
    assert EARLIEST <= found <= LATEST


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.fail("these tests need a platform whose zone a process can set")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    "text",
    ["2026-03-29", "2026-10-25", "2026-07-01", "today", "yesterday", "monday", "2026-07-01T09:30", "2026-10-25T02:30"],
)
@pytest.mark.parametrize("end", [False, True])
def test_the_zone_of_this_machine_gives_the_same_as_a_named_one(text: str, end: bool) -> None:
    assert os.environ["TZ"] == "Europe/Berlin"
    assert parse_moment(text, NOON, end=end) == parse_moment(text, NOON, end=end, zone=ZoneInfo("Europe/Berlin"))
