"""Judging a whole past against an oracle that lives through it day by day, looking at everything.

The oracle keeps to DESIGN, "Tiers": what qualifies lifts at once; a rank is looked at by the
reviews alone: each local midnight (rolling), when a hold ends, when a period ends; a fall may wait
for a grace, may go one step at a time, and never passes a tier that is never taken.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from core.judging import Floor, Past, TierMove, judge, next_change
from core.measures import Qualified
from core.qualifying import _climb
from core.rulebook import LadderTerms
from core.tiers import Standing, proven, standing_from_rows
from tests.core.lives import (
    DAY,
    ENROLLED,
    LATER,
    STEADY,
    T0,
    ZONES,
    Life,
    ladders,
    last,
    pasts,
    terms,
)


@settings(max_examples=40, deadline=None)
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


@settings(max_examples=40, deadline=None)
@given(ladders(), pasts(8), ENROLLED, st.randoms(use_true_random=False), st.booleans())
def test_going_on_comes_to_what_judging_anew_does(
    ladder: LadderTerms,
    rows: list[Qualified],
    enrolled: datetime,
    chance: random.Random,
    in_order: bool,
) -> None:
    """Asked in between, before and after each row, of the past, of now and of what is to come."""
    rows = sorted(rows, key=lambda row: row.counts_from)
    if not in_order:
        chance.shuffle(rows)
    past = Past(ladder, (), enrolled)
    for n, row in enumerate(rows):
        known = [*rows[:n], row]
        if chance.random() < 0.5:
            past.judged((), row.counts_from - timedelta(days=chance.choice([0, 0, 1, 40])))
        past.add(row)
        for until in (row.counts_from, row.counts_from + timedelta(days=chance.randint(-90, 400))):
            anew, on = judge(ladder, known, enrolled, (), until), past.judged((), until)
            assert (on.moves, on.rank, on.value) == (anew.moves, anew.rank, anew.value)
            assert past.moves((), until) == anew.moves
            assert next_change(on, (), until) == next_change(anew, (), until)


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


@settings(max_examples=15, deadline=None)
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


@settings(max_examples=40, deadline=None)
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
        # Two that count from one instant on may be booked as two steps of one rise.
        distinct = len({r.counts_from for r in rows}) == len(rows)
        if distinct and bought == sorted(rows, key=lambda r: r.counts_from):
            assert moves == list(whole.moves)


@st.composite
def plain(draw: st.DrawFn, zones: Sequence[str] = tuple(ZONES)) -> LadderTerms:
    windows = ["1D", "3D", "30D", "1M", "12M", None]
    return terms(draw(st.sampled_from(windows)), draw(st.sampled_from(zones)))


@settings(max_examples=50, deadline=None)
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


@settings(max_examples=50, deadline=None)
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


@settings(max_examples=40, deadline=None)
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
