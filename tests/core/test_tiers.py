"""A standing against an oracle: what DESIGN says of tiers, computed the slow and obvious way.

The measure at T is what qualified in (T - window, T]. Upgrades come at once, downgrades at the
review at local midnight: the rank at T is the best that midnight or a later purchase gave.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, find, given, settings
from hypothesis import strategies as st

from core.rulebook import LadderTerms
from core.tiers import Standing, standing_from_rows
from tests.support import ladder_terms

T0 = datetime(2024, 1, 20, 3, 30, tzinfo=UTC)
Row = tuple[datetime, int]
Oracle = Callable[[LadderTerms, Sequence[Row], datetime], int]
TIERS = {"base": 0, "silver": 100, "gold": 250, "top": 600}
ZONES = ["UTC", "America/New_York", "Europe/Istanbul", "Pacific/Auckland", "Asia/Kathmandu"]


def window_start(window: str, at: datetime, zone: str) -> datetime:
    """The local time that long before, on the wall; one that doesn't exist moves forward."""
    local = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    number, unit = int(window[:-1]), window[-1]
    if unit in "DW":
        local -= timedelta(days=number * (7 if unit == "W" else 1))
    else:
        months = local.year * 12 + local.month - 1 - number * (12 if unit == "Y" else 1)
        year, month = months // 12, months % 12 + 1
        local = local.replace(
            year=year, month=month, day=min(local.day, monthrange(year, month)[1])
        )
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def midnight(at: datetime, zone: str) -> datetime:
    local = at.astimezone(ZoneInfo(zone))
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def measure(ladder: LadderTerms, rows: Sequence[Row], at: datetime) -> int:
    window = ladder.ladder.window
    start = None if window is None else window_start(window, at, ladder.time_zone)
    return sum(n for t, n in rows if t <= at and (start is None or start < t))


def rank_of(points: int) -> int:
    return sum(points >= at for at in TIERS.values()) - 1


def oracle(ladder: LadderTerms, rows: Sequence[Row], at: datetime) -> int:
    review = midnight(at, ladder.time_zone)
    instants = [review, at, *(t for t, _ in rows if review < t < at)]
    return max(rank_of(measure(ladder, rows, t)) for t in instants)


def without_review(ladder: LadderTerms, rows: Sequence[Row], at: datetime) -> int:
    """A wrong oracle: it downgrades at once."""
    return rank_of(measure(ladder, rows, at))


def in_utc(ladder: LadderTerms, rows: Sequence[Row], at: datetime) -> int:
    """A wrong oracle: it reviews at UTC's midnight."""
    return max(
        rank_of(measure(ladder, rows, t))
        for t in (midnight(at, "UTC"), at, *(t for t, _ in rows if midnight(at, "UTC") < t < at))
    )


def closed_window(ladder: LadderTerms, rows: Sequence[Row], at: datetime) -> int:
    """A wrong oracle: its window includes the instant at which it starts."""
    tick = timedelta(microseconds=1)
    return oracle(ladder, [(t + tick, n) for t, n in rows if t < at], at)


LADDERS = st.builds(
    lambda window, zone: ladder_terms(1, "earned:STAR", TIERS, window, zone),
    st.sampled_from(["1D", "7D", "30D", "2W", "1M", "2M", "3M", "12M", "1Y", None]),
    st.sampled_from(ZONES),
)
# Whole half hours make ties and edges likely; small gaps make a day with several purchases.
GAPS = st.one_of(st.integers(0, 60), st.sampled_from([48 * 28, 48 * 29, 48 * 31, 48 * 365]))
PURCHASES = st.lists(st.tuples(GAPS, st.sampled_from([1, 60, 100, 150, 250])), max_size=14)


def dated(purchases: Sequence[tuple[int, int]]) -> list[Row]:
    at, rows = T0, []
    for gap, amount in purchases:
        at += timedelta(minutes=30 * gap)
        rows.append((at, amount))
    return rows


def fold(ladder: LadderTerms, rows: Sequence[Row]) -> Standing:
    standing = Standing(1, ladder)
    for at, amount in rows:
        standing.rank_at(at)
        standing.advance(at)
        standing.add(at, amount)
    return standing


@settings(max_examples=100, deadline=None)
@given(LADDERS, PURCHASES, st.randoms(use_true_random=False), st.booleans())
def test_a_standing_agrees_with_the_oracle_in_any_order(
    ladder: LadderTerms, purchases: list[tuple[int, int]], order: object, late: bool
) -> None:
    rows = dated(purchases)
    if late:
        order.shuffle(rows)  # type: ignore[attr-defined]  # a random.Random
    standing = Standing(1, ladder)
    for n, (at, amount) in enumerate(rows):
        assert standing.rank_at(at) == oracle(ladder, rows[:n], at)
        standing.advance(at)
        standing.add(at, amount)
        assert standing.measured_at == max(t for t, _ in rows[: n + 1])
        assert standing.value == measure(ladder, rows[: n + 1], standing.measured_at)
        for known, _ in rows[: n + 1]:
            assert standing.measure(known) == measure(ladder, rows[: n + 1], known)


@settings(max_examples=80, deadline=None)
@given(LADDERS, PURCHASES, st.integers(0, 3000))
def test_a_standing_read_from_rows_agrees_with_the_oracle(
    ladder: LadderTerms, purchases: list[tuple[int, int]], later: int
) -> None:
    rows = dated(purchases)
    at = T0 + timedelta(minutes=30 * later)
    standing = standing_from_rows(1, ladder, rows, at)
    assert standing.value == measure(ladder, rows, at)
    assert standing.rank_at(at) == oracle(ladder, [r for r in rows if r[0] <= at], at)


@pytest.mark.parametrize("wrong", [without_review, in_utc, closed_window])
def test_a_wrong_oracle_is_caught(wrong: Oracle) -> None:
    """The negative control: these purchases are rich enough to tell the oracles apart."""

    def disagrees(case: tuple[LadderTerms, list[tuple[int, int]], int]) -> bool:
        ladder, purchases, later = case
        rows = dated(purchases)
        at = (rows[-1][0] if rows else T0) + timedelta(minutes=30 * later)
        return fold(ladder, rows).rank_at(at) != wrong(ladder, rows, at)

    cases = st.tuples(LADDERS, PURCHASES, st.integers(0, 100))
    assert find(cases, disagrees, settings=settings(max_examples=5000, database=None))


def test_a_window_that_begins_earlier_than_one_that_ended_before_counts_again() -> None:
    """29 March 23:00 less a month is 28 February 23:00; 30 March 1:00 less a month is 1:00."""
    ladder = ladder_terms(1, "visits", TIERS, "1M")
    rows = [
        (datetime(2025, 2, 28, 12, tzinfo=UTC), 100),
        (datetime(2025, 3, 29, 23, tzinfo=UTC), 1),
        (datetime(2025, 3, 30, 1, tzinfo=UTC), 1),
        (datetime(2025, 4, 2, 1, tzinfo=UTC), 1),
    ]
    standing = fold(ladder, rows[:2])
    assert standing.value == 1
    standing = fold(ladder, rows[:3])
    assert standing.value == 102
    assert fold(ladder, rows).value == 3


def test_the_hour_that_comes_twice() -> None:
    ladder = ladder_terms(1, "visits", TIERS, "1D", "America/New_York")
    fall = datetime(2025, 11, 2, 5, 30, tzinfo=UTC)  # 1:30 for the first time
    rows = [(fall - timedelta(hours=24), 10), (fall + timedelta(minutes=20), 1)]
    rows.append((fall + timedelta(minutes=45), 1))  # 1:15 for the second time
    rows.append((fall + timedelta(hours=5), 1))
    for n in range(len(rows)):
        known = rows[: n + 1]
        assert fold(ladder, known).value == measure(ladder, known, known[-1][0])


def test_a_tier_is_reached_at_its_threshold_and_kept_until_the_local_midnight() -> None:
    ladder = ladder_terms(1, "earned:STAR", TIERS, "1D", "Europe/Istanbul")
    at = datetime(2026, 5, 4, 20, 0, tzinfo=UTC)  # 23:00 local
    standing = fold(ladder, [(at, 99)])
    assert standing.rank_at(at) == 0
    standing.add(at, 1)
    assert standing.rank_at(at) == 1
    # The window ends next day at 23:00; the review that takes the tier is an hour later.
    day = timedelta(days=1)
    tick = timedelta(microseconds=1)
    assert standing.rank_at(at + day) == 1
    assert standing.measure(at + day) == 0
    assert standing.rank_at(at + day + timedelta(hours=1) - tick) == 1
    assert standing.rank_at(at + day + timedelta(hours=1)) == 0


@example([(T0, 5)])
@given(st.lists(st.tuples(st.just(T0), st.integers(1, 700)), min_size=1, max_size=5))
def test_without_a_window_everything_counts_for_ever(rows: list[Row]) -> None:
    ladder = ladder_terms(1, "visits", TIERS, None)
    standing = fold(ladder, rows)
    later = T0 + timedelta(days=20_000)
    assert standing.measure(later) == sum(n for _, n in rows)
    assert standing.rank_at(later) == rank_of(sum(n for _, n in rows))
