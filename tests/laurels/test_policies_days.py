"""Days of the year in policies, against a calendar walked day by day."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.policies import Day, Expiry, Pending
from tests.laurels.test_durations import INSTANTS, ZONES
from tests.laurels.test_policies import ISTANBUL, TICK, at, relaxed


def is_day(local: date, day: Day) -> bool:
    """Whether this date is that day of the year, or stands for it at the end of its month."""
    last = calendar.monthrange(local.year, local.month)[1]
    return local.month == day.month and local.day == min(day.day, last)


def first_instant(local: date, place: str) -> datetime:
    """The first instant at which it is that date, or a later one: found by halving, not by rule."""
    there = ZoneInfo(place)
    low = datetime(local.year, local.month, local.day, tzinfo=UTC) - timedelta(days=2)
    high = low + timedelta(days=4)
    assert low.astimezone(there).date() < local <= high.astimezone(there).date()
    while high - low > TICK:
        middle = low + (high - low) // 2
        if middle.astimezone(there).date() < local:
            low = middle
        else:
            high = middle
    return high


def next_of(days: tuple[Day, ...], after: datetime, place: str, *, end: bool) -> datetime:
    """Walk the calendar, date by date, until one of these days starts (or ends) after then."""
    local = after.astimezone(ZoneInfo(place)).date() - timedelta(days=2)
    while True:
        if any(is_day(local, day) for day in days):
            instant = first_instant(local + timedelta(days=1) if end else local, place)
            if instant > after:
                return instant
        local += timedelta(days=1)


Next = Callable[[tuple[Day, ...], datetime, str, bool], datetime]


def by_policy(days: tuple[Day, ...], after: datetime, place: str, end: bool) -> datetime:
    """The code under test."""
    if end:
        return Expiry(days=days).expires_at(after, place)
    found = Pending(days=days).active_at(after, place)
    assert found is not None
    return found


DAY_SETS = (
    st.lists(st.builds(Day, st.integers(1, 12), st.integers(1, 31)), min_size=1, max_size=4)
    .map(lambda days: tuple(sorted(set(days))))
)  # fmt: skip


@relaxed
@given(INSTANTS, DAY_SETS, st.sampled_from(ZONES), st.booleans(), st.booleans())
def test_dates_are_those_of_the_calendar(
    instant: datetime, days: tuple[Day, ...], place: str, end: bool, edge: bool
) -> None:
    if edge:  # on the very start of a day, where "strictly after" decides
        instant = next_of(days, instant, place, end=end)
    assert by_policy(days, instant, place, end) == next_of(days, instant, place, end=end)


def in_utc(days: tuple[Day, ...], after: datetime, place: str, end: bool) -> datetime:
    """Wrong: another place's midnight."""
    return by_policy(days, after, "UTC", end)


def not_strictly(days: tuple[Day, ...], after: datetime, place: str, end: bool) -> datetime:
    """Wrong: what begins at a date's own start counts as before it."""
    return by_policy(days, after - TICK, place, end)


def starts(days: tuple[Day, ...], after: datetime, place: str, end: bool) -> datetime:
    """Wrong: a date's start for its end."""
    return by_policy(days, after, place, False)


@pytest.mark.parametrize("wrong", [in_utc, not_strictly, starts])
def test_the_calendars_oracle_refuses(wrong: Next) -> None:
    edge = at("2026-01-01T00:00+03:00")
    case = ((Day(12, 31),), edge, ISTANBUL)
    assert next_of(*case, end=True) == by_policy(*case, True) == at("2027-01-01T00:00+03:00")
    assert wrong(*case, True) != next_of(*case, end=True)
