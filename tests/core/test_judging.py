"""Judging a whole past against an oracle that lives through it day by day, looking at everything.

The oracle keeps to DESIGN, "Tiers": what qualifies lifts at once; a rank is looked at by the
reviews alone: each local midnight (rolling), when a hold ends, when a period ends; a fall may wait
for a grace, may go one step at a time, and never passes a tier that is never taken.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from core.judging import Floor, Qualified, TierMove, judge, next_change
from core.qualifying import _climb
from core.rulebook import LadderTerms
from core.tiers import Standing, proven, standing_from_rows
from laurels import Ladder, Tier, visits

T0 = datetime(2023, 10, 20, 3, 30, tzinfo=UTC)
DAY = timedelta(days=1)
STEPS = (0, 100, 250, 600)
ZONES = ["UTC", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu"]
#: Without summer time: elsewhere an hour that comes twice tells the plain measure from a judgment.
STEADY = ["UTC", "Asia/Kathmandu"]


def terms(
    window: str | None,
    zone: str = "UTC",
    hold: str | None = None,
    grace: str | None = None,
    soft: bool = False,
    kept: int | None = None,
) -> LadderTerms:
    """A ladder of visits; tier `kept` is never taken."""
    tiers = [Tier(f"t{n}", at, never_down=n == kept) for n, at in enumerate(STEPS)]
    ladder = Ladder(
        "x", visits(), tiers, window, hold=hold, grace=grace, soft_landing=soft, time_zone=zone
    )
    return LadderTerms(1, ladder, zone, None)


def local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def instant(wall: datetime, zone: str) -> datetime:
    return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def months_on(wall: datetime, months: int) -> datetime:
    n = wall.year * 12 + wall.month - 1 + months
    year, month = n // 12, n % 12 + 1
    return wall.replace(year=year, month=month, day=min(wall.day, monthrange(year, month)[1]))


def moved(at: datetime, text: str, zone: str, sign: int = 1) -> datetime:
    """The instant so long after (or before): `30D`, `2M`, or `2M_U`, up to the next month."""
    text, _, rounding = text.partition("_")
    number, unit, wall = int(text[:-1]), text[-1], local(at, zone)
    if unit == "D":
        wall += sign * number * DAY
    else:
        wall = months_on(wall, sign * number * (12 if unit == "Y" else 1))
    if rounding:
        wall = months_on(wall.replace(day=1, hour=0, minute=0, second=0, microsecond=0), 1)
    return instant(wall, zone)


def period_start(window: str, at: datetime, zone: str, enrolled: datetime) -> datetime:
    kind, _, length = window.partition(" ")
    wall = local(at, zone)
    if kind == "calendar":
        months = {"1M": 1, "1Q": 3, "1Y": 12}[length]
        month = 1
        while month + months <= wall.month:
            month += months
        return instant(datetime(wall.year, month, 1), zone)  # noqa: DTZ001
    day = local(enrolled, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    months, n = int(length[:-1]), 0
    while instant(months_on(day, n * months), zone) > at:
        n -= 1
    while instant(months_on(day, (n + 1) * months), zone) <= at:
        n += 1
    return instant(months_on(day, n * months), zone)


def level(points: int) -> int:
    return sum(points >= at for at in STEPS) - 1


@dataclass
class Life:
    """One member's ranks on one ladder, lived through."""

    ladder: LadderTerms
    rows: Sequence[Qualified]
    enrolled: datetime
    rank: int = 0
    kept: int = 0
    held: datetime | None = None
    falls: datetime | None = None
    moves: list[TierMove] = field(default_factory=list)

    @property
    def zone(self) -> str:
        return self.ladder.time_zone

    def start(self, at: datetime) -> datetime:
        window = self.ladder.ladder.window
        assert window is not None
        return period_start(window, at, self.zone, self.enrolled)

    def sum(self, since: datetime, until: datetime, known: datetime) -> int:
        """Dated from `since` (with it) to before `until`, and counting at `known`."""
        return sum(r.amount for r in self.rows if since <= r.at < until and r.counts_from <= known)

    def measure(self, at: datetime) -> int:
        tick = timedelta(microseconds=1)
        window = self.ladder.ladder.window
        if window is None:
            return self.sum(T0 - 9999 * DAY, at + tick, at)
        if " " in window:
            return self.sum(self.start(at), at + tick, at)
        return self.sum(moved(at, window, self.zone, -1) + tick, at + tick, at)

    def carried(self, at: datetime) -> int:
        if self.ladder.period is None:
            return level(self.measure(at))
        if self.falls is None:
            begun = self.start(at - timedelta(microseconds=1))
            return level(self.sum(begun, at, at))
        begun = self.start(self.start(at) - timedelta(microseconds=1))
        return max(level(self.measure(at)), level(self.sum(begun, self.start(at), self.start(at))))

    def is_review(self, at: datetime) -> bool:
        if self.falls is not None:
            return at == self.falls
        wall = local(at, self.zone)
        midnight = at == instant(wall.replace(hour=0, minute=0, second=0, microsecond=0), self.zone)
        if self.ladder.period is not None:
            return at == self.start(at)
        hold = self.ladder.ladder.hold
        if hold is not None:
            return midnight and self.held is not None and at >= moved(self.held, hold, self.zone)
        return midnight

    def move(self, at: datetime, rank: int) -> None:
        self.moves.append(TierMove(1, at, self.rank, rank))
        self.rank, self.held, self.falls = rank, at, None
        for place, tier in enumerate(self.ladder.ladder.tiers):
            if tier.never_down and place <= rank:
                self.kept = max(self.kept, place)

    def review(self, at: datetime) -> None:
        carried, grace = self.carried(at), self.ladder.ladder.grace
        if carried >= self.rank:
            self.held, self.falls = at, None
        elif self.falls is None and grace is not None:
            self.falls = moved(at, grace, self.zone)
        else:
            least = self.rank - 1 if self.ladder.ladder.soft_landing else 0
            self.move(at, max(carried, self.kept, least))

    def live(self, until: datetime) -> Life:
        if not self.rows:
            return self
        rises = {r.at for r in self.rows if r.amount > 0}
        day = local(min(r.at for r in self.rows), self.zone)
        day = day.replace(hour=0, minute=0, second=0, microsecond=0)
        todo = set(rises)
        while (at := instant(day, self.zone)) <= until:
            todo.add(at)
            day += DAY
        done: set[datetime] = set()
        while todo - done:
            at = min(todo - done)
            done.add(at)
            if at > until:
                break
            if self.rank > self.kept and self.is_review(at):
                self.review(at)
                if self.falls is not None:
                    todo.add(self.falls)
            if at in rises:
                reached = level(self.measure(at))
                if reached > self.rank:
                    self.move(at, reached)
                elif reached == self.rank and self.falls is not None:
                    self.held, self.falls = at, None
        return self


WINDOWS = ["3D", "30D", "1M", "12M", "calendar 1M", "calendar 1Q", "calendar 1Y",
           "anniversary 1M", "anniversary 12M", None]  # fmt: skip


@st.composite
def ladders(draw: st.DrawFn, zones: Sequence[str] = tuple(ZONES)) -> LadderTerms:
    window = draw(st.sampled_from(WINDOWS))
    rolls = window is not None and " " not in window
    return terms(
        window,
        draw(st.sampled_from(zones)),
        draw(st.sampled_from([None, None, "5D", "2M", "2M_U"])) if rolls else None,
        draw(st.sampled_from([None, None, "2D", "1M", "1M_U", "40D"])),
        draw(st.booleans()),
        draw(st.sampled_from([None, None, 1, 2])),
    )


# Whole half hours make ties and edges likely.
GAPS = st.one_of(
    st.integers(0, 60), st.integers(0, 48 * 40), st.sampled_from([48 * 28, 48 * 31, 48 * 365])
)
BOUGHT = st.tuples(GAPS, st.sampled_from([1, 60, 100, 150, 250]), st.booleans(), GAPS)


@st.composite
def pasts(draw: st.DrawFn, most: int = 10) -> list[Qualified]:
    """Purchases, some of which come back in whole or in part, later or at once."""
    at, rows = T0, []
    for gap, amount, returned, later in draw(st.lists(BOUGHT, max_size=most)):
        at += timedelta(minutes=30 * gap)
        rows.append(Qualified(at, at, amount))
        if returned:
            back = at + timedelta(minutes=30 * later)
            rows.append(Qualified(at, back, -max(1, amount * draw(st.sampled_from([1, 2])) // 2)))
    return [r for n, r in enumerate(rows) if not (r.at == r.counts_from and r.amount < 0)]


LATER = st.integers(0, 48 * 500).map(lambda n: timedelta(minutes=30 * n))
ENROLLED = st.sampled_from(
    [
        T0,
        T0 + 200 * DAY,
        datetime(2024, 2, 29, 14, tzinfo=UTC),
        datetime(2020, 8, 31, 22, tzinfo=UTC),
    ]
)


def last(rows: Sequence[Qualified]) -> datetime:
    return max([T0, *(r.at for r in rows)])


@settings(max_examples=150, deadline=None)
@given(ladders(), pasts(), ENROLLED, LATER)
def test_a_past_judged_is_the_past_lived(
    ladder: LadderTerms, rows: list[Qualified], enrolled: datetime, later: timedelta
) -> None:
    until = last(rows) + later
    judged = judge(ladder, rows, enrolled, (), until)
    life = Life(ladder, rows, enrolled).live(until)
    assert list(judged.moves) == life.moves
    assert judged.rank == life.rank
    assert judged.value == life.measure(until)


class NoGrace(Life):
    def live(self, until: datetime) -> Life:
        without = replace(self.ladder.ladder, grace=None)
        return Life(LadderTerms(1, without, self.zone, None), self.rows, self.enrolled).live(until)


class NoHold(Life):
    def live(self, until: datetime) -> Life:
        without = replace(self.ladder.ladder, hold=None)
        return Life(LadderTerms(1, without, self.zone, None), self.rows, self.enrolled).live(until)


class HardLanding(Life):
    def live(self, until: datetime) -> Life:
        without = replace(self.ladder.ladder, soft_landing=False)
        return Life(LadderTerms(1, without, self.zone, None), self.rows, self.enrolled).live(until)


class ReturnsCountAtOnce(Life):
    def sum(self, since: datetime, until: datetime, known: datetime) -> int:
        return sum(r.amount for r in self.rows if since <= r.at < until)


class EndBelongsToThePeriod(Life):
    def start(self, at: datetime) -> datetime:
        return super().start(at - timedelta(microseconds=1))


class ByUtc(Life):
    zone = "UTC"


@pytest.mark.parametrize(
    "wrong", [NoGrace, NoHold, HardLanding, ReturnsCountAtOnce, EndBelongsToThePeriod, ByUtc]
)
def test_a_life_lived_wrongly_is_caught(wrong: type[Life]) -> None:
    """The negative control: these pasts are rich enough to tell the lives apart."""

    def disagrees(case: tuple[LadderTerms, list[Qualified], timedelta]) -> bool:
        ladder, rows, later = case
        until = last(rows) + later
        life = wrong(ladder, rows, T0).live(until)
        return list(judge(ladder, rows, T0, (), until).moves) != life.moves

    cases = st.tuples(ladders(), pasts(5), LATER)
    search = settings(max_examples=3000, database=None, deadline=None, phases=[Phase.generate])
    assert find(cases, disagrees, settings=search)


@settings(max_examples=30, deadline=None)
@given(ladders(), pasts(), ENROLLED, LATER)
def test_what_comes_next_is_known_beforehand(
    ladder: LadderTerms, rows: list[Qualified], enrolled: datetime, later: timedelta
) -> None:
    until = last(rows) + later
    known = [r for r in rows if r.counts_from <= until]
    change = next_change(judge(ladder, rows, enrolled, (), until), (), until)
    life = Life(ladder, known, enrolled).live(until + 1200 * DAY)
    after = [m for m in life.moves if m.at > until]
    assert change == (after[0] if after else None)


def booked_by(order: Callable[[list[Qualified]], None], rows: list[Qualified]) -> list[Qualified]:
    """The rows in an order of booking: what comes back does so after it was bought."""
    mixed = list(rows)
    order(mixed)
    bought = [r for r in mixed if r.amount > 0]
    for row in (r for r in mixed if r.amount < 0):
        place = next(n for n, b in enumerate(bought) if b.at == row.at and b.amount >= -row.amount)
        bought.insert(place + 1 + (len(bought) - place) // 2, row)
    return bought


@settings(max_examples=150, deadline=None)
@given(
    ladders(), pasts(), ENROLLED, LATER, st.randoms(use_true_random=False), st.booleans(),
    st.lists(LATER, max_size=3),
)  # fmt: skip
def test_the_order_of_booking_changes_no_rank_and_the_changes_add_up(
    ladder: LadderTerms,
    rows: list[Qualified],
    enrolled: datetime,
    later: timedelta,
    order: object,
    late: bool,
    reviews: list[timedelta],
) -> None:
    until = max(last(rows), *(r.counts_from for r in rows), T0) + later
    standing = Standing(1, ladder, whole=True, enrolled=enrolled)
    moves: list[TierMove] = []
    shuffle = order.shuffle if late else lambda x: None  # type: ignore[attr-defined]
    for n, row in enumerate(booked_by(shuffle, rows)):
        moves += standing.rejudge(row.counts_from, [row])
        if n < len(reviews) and standing.measured_at is not None:
            moves += standing.rejudge(min(standing.measured_at + reviews[n], until))
    moves += standing.rejudge(until)
    whole = judge(ladder, rows, enrolled, (), until)
    assert (standing.rank, standing.value, standing.since) == (whole.rank, whole.value, whole.since)
    assert sum(m.after - m.before for m in moves) == whole.rank
    assert all(a.after == b.before for a, b in pairwise(moves))
    if not late and not reviews:
        bought = booked_by(shuffle, rows)
        if bought == sorted(rows, key=lambda r: r.counts_from):
            assert moves == list(whole.moves)


@st.composite
def plain(draw: st.DrawFn, zones: Sequence[str] = tuple(ZONES)) -> LadderTerms:
    windows = ["1D", "3D", "30D", "1M", "12M", None]
    return terms(draw(st.sampled_from(windows)), draw(st.sampled_from(zones)))


@settings(max_examples=200, deadline=None)
@given(plain(), pasts(), st.randoms(use_true_random=False), st.booleans())
def test_a_plain_standing_in_any_order_is_the_one_from_scratch(
    ladder: LadderTerms, rows: list[Qualified], order: object, late: bool
) -> None:
    """With returns: the measure, the rank, and the changes of rank that were announced."""
    standing = Standing(1, ladder)
    moves: list[TierMove] = []
    shuffle = order.shuffle if late else lambda x: None  # type: ignore[attr-defined]
    booked: list[Qualified] = []
    for row in booked_by(shuffle, rows):
        moves += _climb(standing, row, None)
        booked.append(row)
        assert standing.measured_at is not None
        measure, rank, _ = proven(ladder, booked, T0, (), standing.measured_at)
        assert (standing.value, standing.rank) == (measure, rank)
        assert sum(m.after - m.before for m in moves) == rank


@settings(max_examples=200, deadline=None)
@given(plain(STEADY), pasts(), LATER)
def test_a_plain_ladder_judged_whole_is_the_plain_measure(
    ladder: LadderTerms, rows: list[Qualified], later: timedelta
) -> None:
    """So a member to whom a rank was given is judged as everybody else is."""
    until = last(rows) + later
    own = [(r.at, r.amount) for r in rows if r.at == r.counts_from]
    back = [r for r in rows if r.at != r.counts_from]
    standing = standing_from_rows(1, ladder, own, until, back)
    judged = judge(ladder, rows, None, (), until)
    assert (judged.rank, judged.value) == (standing.rank_at(until), standing.value)
    change = next_change(judged, (), until)
    assert proven(ladder, rows, T0, (), until)[2] == (None if change is None else change.at)


@settings(max_examples=150, deadline=None)
@given(
    ladders(), pasts(), LATER,
    st.lists(st.tuples(LATER, LATER, st.integers(1, 3), st.booleans()), max_size=3),
)  # fmt: skip
def test_a_rank_given_is_a_floor_and_nothing_else(
    ladder: LadderTerms,
    rows: list[Qualified],
    later: timedelta,
    gifts: list[tuple[timedelta, timedelta, int, bool]],
) -> None:
    until = last(rows) + later
    floors = [
        Floor(n, rank, T0 + at, T0 + at + long + DAY if ends else None, False, "x")
        for n, (at, long, rank, ends) in enumerate(gifts)
    ]
    own = judge(ladder, rows, T0, (), until).rank
    force = [f.rank for f in floors if f.since <= until and (f.until is None or until < f.until)]
    judged = judge(ladder, rows, T0, floors, until)
    assert judged.rank == max([own, *force])
    change = next_change(judged, floors, until)
    if change is not None:
        known = [r for r in rows if r.counts_from <= until]
        given_by_then = [f for f in floors if f.since <= until]
        before = judge(ladder, known, T0, given_by_then, change.at - timedelta(microseconds=1))
        after = judge(ladder, known, T0, given_by_then, change.at)
        assert (before.rank, after.rank) == (judged.rank, change.after)
