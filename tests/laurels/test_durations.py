"""Durations: the grammar, months that clamp, clocks that change, and rounding to a unit's start."""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from laurels.durations import Duration, next_start, start_of, zone
from laurels.errors import DeclarationError

relaxed = settings(deadline=None)
MOST = {"h": 9999, "D": 9999, "W": 1500, "M": 1200, "Y": 100}
ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia"]
INSTANTS = st.datetimes(
    datetime.fromisoformat("1990-01-01"),
    datetime.fromisoformat("2035-01-01"),
    timezones=st.just(UTC),
)


@st.composite
def durations(draw: st.DrawFn, rounding: str = "any") -> Duration:
    """Any duration that the grammar allows."""
    unit = draw(st.sampled_from("hDWMY"))
    way = draw(st.sampled_from(["", "D", "U"])) if rounding == "any" else rounding
    to = draw(st.sampled_from(["", *"hDWMQY".replace(unit, "")])) if way else ""
    return Duration(draw(st.integers(1, MOST[unit])), unit, way, to)


def at(text: str) -> datetime:
    """An instant from ISO text."""
    return datetime.fromisoformat(text).astimezone(UTC)


@relaxed
@given(durations())
def test_what_is_printed_reads_back(duration: Duration) -> None:
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("12h", Duration(12, "h")),
        ("30D", Duration(30, "D")),
        ("012M_U", Duration(12, "M", "U")),
        ("1Y_D", Duration(1, "Y", "D")),
        ("12M_UQ", Duration(12, "M", "U", "Q")),
        ("12M_UY", Duration(12, "M", "U", "Y")),
        ("90D_Dh", Duration(90, "D", "D", "h")),
        # The unit's own name says nothing more.
        ("12M_UM", Duration(12, "M", "U")),
    ],
)
def test_reads(text: str, duration: Duration) -> None:
    assert Duration.parse(text) == duration


@pytest.mark.parametrize(
    "text",
    ["", "30", "D", "30d", "30 D", "-1D", "1.5D", "30D_", "30D_X", "30D\n", "٣D", "10000D", 30,
     "4Q", "12M_Q", "12M_Uq", "12M_UX", "12M_UQQ", "12MU", "12M__U", "12M_UQ ", None],
)  # fmt: skip
def test_refuses_what_is_no_duration(text: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        Duration.parse(text)
    assert str(caught.value) == (
        f"{text!r} is no duration: a whole number and h, D, W, M or Y, then perhaps _D (down to "
        "the unit's start) or _U (up to the next unit's start), then perhaps the unit to round "
        "to: 12M_UQ"
    )


@pytest.mark.parametrize("unit", list(MOST))
def test_refuses_nothing_and_too_much(unit: str) -> None:
    assert Duration.parse(f"{MOST[unit]}{unit}").count == MOST[unit]
    for count in [0, MOST[unit] + 1][: 1 if MOST[unit] == 9999 else 2]:
        with pytest.raises(DeclarationError) as caught:
            Duration.parse(f"{count}{unit}")
        assert str(caught.value) == (
            f"'{count}{unit}' is no duration: from 1{unit} to {MOST[unit]}{unit}"
        )


@pytest.mark.parametrize("name", ["Mars/Base", "", "Europe", "/etc/passwd", "a\0", 5, None, []])
def test_refuses_what_is_no_zone(name: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        zone(name)
    assert str(caught.value) == f"{name!r} is no IANA time zone"


@pytest.mark.parametrize(
    ("text", "start", "end", "place"),
    [
        # Months and years clamp to the month's end.
        ("1M", "2023-01-31T10:00+00:00", "2023-02-28T10:00+00:00", "UTC"),
        ("1M", "2024-01-31T10:00+00:00", "2024-02-29T10:00+00:00", "UTC"),
        ("2M", "2024-01-31T10:00+00:00", "2024-03-31T10:00+00:00", "UTC"),
        ("1Y", "2024-02-29T10:00+00:00", "2025-02-28T10:00+00:00", "UTC"),
        ("12M", "2023-12-31T10:00+00:00", "2024-12-31T10:00+00:00", "UTC"),
        # Days and weeks keep the clock on the wall; hours are exact.
        ("1D", "2025-03-29T12:00+01:00", "2025-03-30T12:00+02:00", "Europe/Berlin"),
        ("1W", "2025-10-25T12:00+02:00", "2025-11-01T12:00+01:00", "Europe/Berlin"),
        ("24h", "2025-03-29T12:00+01:00", "2025-03-30T13:00+02:00", "Europe/Berlin"),
        # 2:30 doesn't exist on 30 March: it moves forward. Of two 2:30 in October the first.
        ("1D", "2025-03-29T02:30+01:00", "2025-03-30T03:30+02:00", "Europe/Berlin"),
        ("1M", "2025-02-28T02:30+01:00", "2025-03-28T02:30+01:00", "Europe/Berlin"),
        ("1D", "2025-10-25T02:30+02:00", "2025-10-26T02:30+02:00", "Europe/Berlin"),
        # Rounding down and up; what stands at a start goes up to the next one.
        ("12M_U", "2020-07-06T15:00+00:00", "2021-08-01T00:00+00:00", "UTC"),
        ("12M_U", "2020-07-06T15:00+03:00", "2021-08-01T00:00+03:00", "Europe/Istanbul"),
        ("12M_U", "2020-07-01T00:00+00:00", "2021-08-01T00:00+00:00", "UTC"),
        ("12M_D", "2020-07-06T15:00+00:00", "2021-07-01T00:00+00:00", "UTC"),
        ("1Y_U", "2020-07-06T15:00+00:00", "2022-01-01T00:00+00:00", "UTC"),
        ("1Y_D", "2020-07-06T15:00+00:00", "2021-01-01T00:00+00:00", "UTC"),
        ("1W_D", "2025-01-01T15:00+00:00", "2025-01-06T00:00+00:00", "UTC"),
        ("1W_U", "2025-01-01T15:00+00:00", "2025-01-13T00:00+00:00", "UTC"),
        ("30D_U", "2025-01-01T15:00+00:00", "2025-02-01T00:00+00:00", "UTC"),
        # To a unit of its own: quarters start in January, April, July and October.
        ("12M_UQ", "2020-07-06T15:00+00:00", "2021-10-01T00:00+00:00", "UTC"),
        ("12M_UQ", "2020-06-30T15:00+00:00", "2021-07-01T00:00+00:00", "UTC"),
        ("12M_UQ", "2020-12-31T23:59+00:00", "2022-01-01T00:00+00:00", "UTC"),
        ("12M_UQ", "2020-10-01T00:00+00:00", "2022-01-01T00:00+00:00", "UTC"),
        ("12M_DQ", "2020-07-06T15:00+00:00", "2021-07-01T00:00+00:00", "UTC"),
        ("12M_DQ", "2020-09-30T15:00+00:00", "2021-07-01T00:00+00:00", "UTC"),
        ("12M_UY", "2020-07-06T15:00+00:00", "2022-01-01T00:00+00:00", "UTC"),
        ("12M_UY", "2020-01-01T00:00+00:00", "2022-01-01T00:00+00:00", "UTC"),
        ("12M_DY", "2020-07-06T15:00+00:00", "2021-01-01T00:00+00:00", "UTC"),
        ("12M_UW", "2020-07-06T15:00+00:00", "2021-07-12T00:00+00:00", "UTC"),
        ("2Y_UM", "2020-07-06T15:00+00:00", "2022-08-01T00:00+00:00", "UTC"),
        ("1M_UD", "2025-01-31T15:00+00:00", "2025-03-01T00:00+00:00", "UTC"),
        ("1D_Uh", "2025-01-01T15:20+05:30", "2025-01-02T16:00+05:30", "Asia/Kolkata"),
        # The quarter and the year of the place: in Istanbul it is 2021 while London has 2020.
        ("1D_UQ", "2020-12-30T22:00+00:00", "2021-04-01T00:00+03:00", "Europe/Istanbul"),
        ("1D_UY", "2020-12-30T22:00+00:00", "2022-01-01T00:00+03:00", "Europe/Istanbul"),
        ("1D_UY", "2020-12-30T22:00+00:00", "2021-01-01T00:00+00:00", "UTC"),
        # The offset is that of the quarter's start, not of the instant.
        ("1M_UQ", "2025-01-15T12:00+01:00", "2025-04-01T00:00+02:00", "Europe/Berlin"),
        # An hour starts by the local clock, and in autumn it is the hour that one is in.
        ("1h_D", "2025-01-01T15:45+05:30", "2025-01-01T16:00+05:30", "Asia/Kolkata"),
        ("1h_U", "2025-01-01T15:45+05:30", "2025-01-01T17:00+05:30", "Asia/Kolkata"),
        ("1h_D", "2025-10-26T02:30+02:00", "2025-10-26T02:00+01:00", "Europe/Berlin"),
        # Where midnight is skipped the day starts at 1:00, and the next one at midnight again.
        ("1D_D", "2018-11-03T12:00-03:00", "2018-11-04T01:00-02:00", "America/Sao_Paulo"),
        ("1D_U", "2018-11-03T12:00-03:00", "2018-11-05T00:00-02:00", "America/Sao_Paulo"),
        # Samoa had no 30 December 2011.
        ("1D_U", "2011-12-28T12:00-10:00", "2011-12-31T00:00+14:00", "Pacific/Apia"),
    ],
)
def test_moves_forth(text: str, start: str, end: str, place: str) -> None:
    moved = Duration.parse(text).after(at(start), place)
    assert moved == at(end)
    assert moved.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "end", "start", "place"),
    [
        ("1M", "2024-03-31T10:00+00:00", "2024-02-29T10:00+00:00", "UTC"),
        ("12M", "2025-01-15T10:00+00:00", "2024-01-15T10:00+00:00", "UTC"),
        ("1D", "2025-03-30T12:00+02:00", "2025-03-29T12:00+01:00", "Europe/Berlin"),
        ("24h", "2025-03-30T12:00+02:00", "2025-03-29T11:00+01:00", "Europe/Berlin"),
        ("1Y_D", "2025-07-06T12:00+00:00", "2024-01-01T00:00+00:00", "UTC"),
    ],
)
def test_moves_back(text: str, end: str, start: str, place: str) -> None:
    assert Duration.parse(text).before(at(end), place) == at(start)


@pytest.mark.parametrize("text", ["12h", "1D", "1W", "1M", "1Y", "12h_U", "1D_D", "1M_U"])
@pytest.mark.parametrize("place", ["UTC", "Europe/Berlin"])
def test_the_zone_an_instant_is_written_in_changes_nothing(text: str, place: str) -> None:
    # Python adds 12 hours to 20:00 in Berlin by the wall: an hour too few in spring.
    written = datetime(2025, 3, 29, 20, 15, tzinfo=ZoneInfo("Europe/Berlin"))
    duration = Duration.parse(text)
    for move in (duration.after, duration.before):
        assert move(written, place) == move(written.astimezone(UTC), place)
        assert move(written, place).tzinfo is UTC


def test_hours_are_exact_for_an_instant_in_a_zone() -> None:
    written = datetime(2025, 3, 29, 20, tzinfo=ZoneInfo("Europe/Berlin"))
    assert Duration.parse("12h").after(written, "UTC") == at("2025-03-30T07:00+00:00")


def test_an_hour_that_comes_twice_is_two() -> None:
    early = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    late = early.replace(fold=1)  # which Python takes for equal
    hour = timedelta(hours=1)
    assert Duration(1, "h").after(late, "UTC") - Duration(1, "h").after(early, "UTC") == hour
    assert start_of(late, "h", "UTC") - start_of(early, "h", "UTC") == hour


def test_an_instant_has_a_zone() -> None:
    with pytest.raises(ValueError, match="an instant has a time zone: 2025-01-01 00:00:00"):
        Duration.parse("1D").after(datetime.fromisoformat("2025-01-01"), "UTC")


@relaxed
@given(INSTANTS, st.integers(1, 1200))
def test_months_clamp_to_the_last_day(instant: datetime, count: int) -> None:
    moved = Duration(count, "M").after(instant, "UTC")
    last = calendar.monthrange(moved.year, moved.month)[1]
    months = (moved.year - instant.year) * 12 + moved.month - instant.month
    assert months == count
    assert moved.day == min(instant.day, last)
    assert moved.time() == instant.time()


def keeps_the_clock(start: datetime, end: datetime, place: str) -> bool:
    """Whether the local time of day is the same, or was moved forward out of a gap."""
    there = ZoneInfo(place)
    before, after = start.astimezone(there), end.astimezone(there)
    if before.time() == after.time():
        return True
    wanted = datetime.combine(after.date(), before.time(), there)
    exists = wanted.astimezone(UTC).astimezone(there).time() == before.time()
    return not exists and after.time() > before.time()


@relaxed
@given(INSTANTS, st.sampled_from("DWMY"), st.integers(1, 60))
def test_keeps_the_local_time_of_day(instant: datetime, unit: str, count: int) -> None:
    moved = Duration(count, unit).after(instant, "Europe/Berlin")
    assert keeps_the_clock(instant, moved, "Europe/Berlin")


def test_the_clock_oracle_refuses_exact_days() -> None:
    start = at("2025-03-29T12:00+01:00")
    assert not keeps_the_clock(start, start + timedelta(days=1), "Europe/Berlin")
    assert keeps_the_clock(start, Duration(1, "D").after(start, "Europe/Berlin"), "Europe/Berlin")
    # Out of the gap backwards is wrong.
    late = at("2025-03-29T02:30+01:00")
    assert not keeps_the_clock(late, at("2025-03-30T01:30+01:00"), "Europe/Berlin")
    assert keeps_the_clock(late, at("2025-03-30T03:30+02:00"), "Europe/Berlin")


@relaxed
@given(INSTANTS, durations(""), st.sampled_from("hDWMQY"), st.sampled_from(ZONES))
def test_rounding_brackets_the_instant(
    instant: datetime, plain: Duration, to: str, place: str
) -> None:
    moved = plain.after(instant, place)
    assume(moved.year < 2100)
    down = Duration(plain.count, plain.unit, "D", to).after(instant, place)
    up = Duration(plain.count, plain.unit, "U", to).after(instant, place)
    assert down <= moved < up
    assert start_of(down, to, place) == down
    assert start_of(up, to, place) == up
    # Nothing lies between: a moment before the next start the unit is still the same.
    assert start_of(up - timedelta(microseconds=1), to, place) == down
    assert next_start(down, to, place) == next_start(moved, to, place) == up


@relaxed
@given(INSTANTS, st.sampled_from(ZONES))
def test_a_quarter_is_three_months_from_a_start_of_the_year(instant: datetime, place: str) -> None:
    there = ZoneInfo(place)
    start = start_of(instant, "Q", place).astimezone(there)
    local = instant.astimezone(there)
    assert (start.year, start.month) in [(local.year, month) for month in (1, 4, 7, 10)]
    assert 0 <= local.month - start.month < 3
    year = start_of(instant, "Y", place)
    assert start_of(start, "Y", place) == year
    four = year
    for _ in range(4):
        four = next_start(four, "Q", place)
    assert four == next_start(year, "Y", place)
