"""Judges a whole past anew: the ranks that a member held on a ladder, from the first day on.

Pure: no ORM, no clock. For ladders whose rank depends on what was held before (periods, hold,
grace, soft landing, never down), and for members to whom a rank was given by hand. All is judged
at its own time, whenever it was booked; so a late event may change what follows it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from core.rulebook import LadderTerms
from laurels.durations import Duration, at_local, start_of, zone
from laurels.windows import WindowKind

_TICK = timedelta(microseconds=1)


class Qualified(NamedTuple):
    """An amount dated `at`, in the measure from `counts_from` on: a return's is later."""

    at: datetime
    counts_from: datetime
    amount: int


class Floor(NamedTuple):
    """A rank given from `since` until `until` (None: for good), by the assignment `event`.

    `match` where it was given for a status held elsewhere.
    """

    event: int
    rank: int
    since: datetime
    until: datetime | None
    match: bool
    reason: str


@dataclass(frozen=True, slots=True)
class TierMove:
    """A member's rank on a ladder changed."""

    ladder: int
    at: datetime
    before: int
    after: int


def next_review(at: datetime, zone_name: str) -> datetime:
    """The first local midnight after an instant."""
    # Where clocks skip midnight a day starts at 1:00; the next one starts at midnight again.
    return start_of(Duration(1, "D").after(start_of(at, "D", zone_name), zone_name), "D", zone_name)


def review_without(when: datetime, window: Duration, zone_name: str) -> datetime:
    """The first review whose window begins at `when` or later.

    At the end of a month that isn't `when` plus the window: 28 February 10:00 is a month before
    28 March 10:00, but counts again at the midnights of 29, 30 and 31 March.
    """
    review = start_of(window.after(when, zone_name), "D", zone_name)
    while window.before(review, zone_name) < when:
        review = next_review(review, zone_name)
    return review


def first_review_below(
    measure: Callable[[datetime], int], needed: int, after: datetime, last: datetime, zone_name: str
) -> datetime | None:
    """The first local midnight in (after, last] at which the measure is below `needed`.

    For a measure that only falls from one midnight to the next in that time.
    """
    first = next_review(after, zone_name)
    if first > last or measure(start_of(last, "D", zone_name)) >= needed:
        return None
    day = first.astimezone(zone(zone_name)).replace(tzinfo=None, hour=0, minute=0)
    low, high = 0, (last.astimezone(zone(zone_name)).replace(tzinfo=None) - day).days
    while low < high:
        middle = (low + high) // 2
        if measure(at_local(day + timedelta(days=middle), zone_name)) < needed:
            high = middle
        else:
            low = middle + 1
    return at_local(day + timedelta(days=low), zone_name)


class Measures:
    """The measure of one member on one ladder at any instant."""

    def __init__(
        self, ladder: LadderTerms, rows: Iterable[Qualified], enrolled: datetime | None
    ) -> None:
        self.ladder = ladder
        self._enrolled = enrolled
        ordered = sorted(rows)
        self.rows = [r for r in ordered if r.at == r.counts_from]
        self._back = [r for r in ordered if r.at != r.counts_from]
        self._dates = [r.at for r in self.rows]
        self._sums = [0, *accumulate(r.amount for r in self.rows)]
        self._known: tuple[datetime, datetime] | None = None

    def at(self, at: datetime) -> int:
        """What counts at an instant: of a window that rolls, (at - window, at]."""
        if self.ladder.period is not None:
            begins = bisect_left(self._dates, self.period(at)[0])
        else:
            start = self._start(at)
            begins = 0 if start is None else bisect_right(self._dates, start)
        found = self._sums[bisect_right(self._dates, at)] - self._sums[begins]
        return found + self._returned(at, at)

    def closing(self, end: datetime) -> int:
        """What counts of the period that ends there: a purchase at its very end is the next's."""
        start = self.period(end - _TICK)[0]
        begins, ends = bisect_left(self._dates, start), bisect_left(self._dates, end)
        return self._sums[ends] - self._sums[begins] + self._returned(end - _TICK, end)

    def period(self, at: datetime) -> tuple[datetime, datetime]:
        """The calendar's or the anniversary's period that an instant lies in."""
        if self._known is None or not self._known[0] <= at < self._known[1]:
            period = self.ladder.period
            assert period is not None
            assert self._enrolled is not None or period.kind is WindowKind.CALENDAR
            self._known = period.period(at, self.ladder.time_zone, self._enrolled or at)
        return self._known

    def gone(self, now: datetime) -> datetime:
        """A time by which nothing is left in a rolling window and all that came back counts."""
        window = self.ladder.window
        if window is None or not self.rows:
            return max([now, *(r.counts_from for r in self._back)])
        return max(now, review_without(self._dates[-1], window, self.ladder.time_zone))

    def rises(self) -> list[datetime]:
        """Every instant at which the measure may rise: something counts, or a deduction leaves."""
        window, zone_name = self.ladder.window, self.ladder.time_zone
        found = {r.at for r in self.rows if r.amount > 0}
        if window is not None:
            found |= {review_without(r.at, window, zone_name) for r in self.rows if r.amount < 0}
        return sorted(found)

    def _start(self, at: datetime) -> datetime | None:
        window = self.ladder.window
        return None if window is None else window.before(at, self.ladder.time_zone)

    def _returned(self, at: datetime, counted: datetime) -> int:
        """What came back by `counted` of what the window that ends at `at` holds."""
        if not self._back:
            return 0
        if self.ladder.period is not None:
            start = self.period(at)[0] - _TICK
        else:
            start = self._start(at) or self._back[0].at - _TICK
        return sum(r.amount for r in self._back if start < r.at <= at and r.counts_from <= counted)


class Course:
    """The ranks that the measure alone gives, judged in order of time; goes on from where it is.

    `falls_at` is when a fall takes effect that a review found, where grace was given.
    """

    def __init__(
        self, ladder: LadderTerms, rows: Iterable[Qualified], enrolled: datetime | None
    ) -> None:
        self.ladder = ladder
        self.measures = Measures(ladder, rows, enrolled)
        self.rank = 0
        self.moves: list[TierMove] = []
        self.falls_at: datetime | None = None
        self._tiers = ladder.ladder.tiers
        self._rises = self.measures.rises()
        self._next = 0
        self._kept = 0
        self._held_from = self._now = self._rises[0] - _TICK if self._rises else None

    def run(self, until: datetime) -> Course:
        """Judge all up to an instant, inclusive."""
        while True:
            rise = self._rises[self._next] if self._next < len(self._rises) else None
            ends = rise is None or rise > until
            review = self.next_review(until if rise is None else min(until, rise))
            if review is not None:
                self.review(review)
            elif ends:
                return self
            else:
                assert rise is not None
                self._rise(rise)
                self._next += 1

    def next_move(self) -> TierMove | None:
        """Go on, with nothing more to come, to the next change of rank; None: there is none."""
        known = len(self.moves)
        while self._now is not None:
            review = self.next_review(None)
            if review is None:
                return None
            self.review(review)
            if len(self.moves) > known:
                return self.moves[-1]
        return None

    def next_review(self, limit: datetime | None) -> datetime | None:
        """The next instant, up to `limit`, at which a review may find or take something."""
        now = self._now
        if self.rank <= self._kept or now is None:
            return None
        zone_name = self.ladder.time_zone
        if self.falls_at is not None:
            review = self.falls_at
        elif self.ladder.period is not None:
            review = self.measures.period(now)[1]
        elif self.ladder.hold is not None:
            assert self._held_from is not None
            ends = self.ladder.hold.after(self._held_from, zone_name)
            review = start_of(ends, "D", zone_name)
            if review < ends:
                review = next_review(ends, zone_name)
        else:
            last = limit or next_review(self.measures.gone(now), zone_name)
            needed = self._tiers[self.rank].at
            return first_review_below(self.measures.at, needed, now, last, zone_name)
        return review if limit is None or review <= limit else None

    def carried(self, at: datetime) -> int:
        """The rank that a review at that instant finds carried, if nothing more comes before."""
        reached = self.ladder.rank(self.judged_by(at))
        if self.falls_at is not None and self.ladder.period is not None:
            # In grace what the new period has brought so far counts as well.
            closed = self.measures.closing(self.measures.period(at)[0])
            reached = max(reached, self.ladder.rank(closed))
        return reached

    def judged_by(self, at: datetime) -> int:
        """The measure by which a review at that instant judges."""
        if self.ladder.period is not None and self.falls_at is None:
            return self.measures.closing(at)
        return self.measures.at(at)

    def _rise(self, at: datetime) -> None:
        self._now = at
        reached = self.ladder.rank(self.measures.at(at))
        if reached > self.rank:
            self._move(at, reached)
        elif reached == self.rank and self.falls_at is not None:
            self.falls_at, self._held_from = None, at

    def review(self, at: datetime) -> None:
        carried = self.carried(at)
        self._now = at
        if carried >= self.rank:
            self.falls_at, self._held_from = None, at
        elif self.falls_at is None and self.ladder.grace is not None:
            self.falls_at = self.ladder.grace.after(at, self.ladder.time_zone)
        else:
            landing = self.rank - 1 if self.ladder.ladder.soft_landing else 0
            self._move(at, max(carried, self._kept, landing))

    def _move(self, at: datetime, rank: int) -> None:
        self.moves.append(TierMove(self.ladder.id, at, self.rank, rank))
        self.rank, self._held_from, self.falls_at = rank, at, None
        for place in range(self._kept + 1, rank + 1):
            if self._tiers[place].never_down:
                self._kept = place


@dataclass(frozen=True, slots=True)
class Judged:
    """What a member held on a ladder up to an instant, and what it holds there.

    `moves` are all changes of rank, `course` the judge, who can go on.
    """

    rank: int
    value: int
    moves: tuple[TierMove, ...]
    course: Course

    @property
    def since(self) -> datetime | None:
        """Since when the rank is held; None: from the beginning."""
        return self.moves[-1].at if self.moves else None


def judge(
    ladder: LadderTerms,
    rows: Sequence[Qualified],
    enrolled: datetime | None,
    floors: Sequence[Floor],
    until: datetime,
) -> Judged:
    """Judge a whole past up to an instant: what counts from later on isn't known yet."""
    course = Course(ladder, [r for r in rows if r.counts_from <= until], enrolled).run(until)
    moves = with_floors(ladder, course.moves, floors, until)
    rank = moves[-1].after if moves else 0
    return Judged(rank, course.measures.at(until), moves, course)


def floor_at(ladder: LadderTerms, floors: Sequence[Floor], at: datetime) -> Floor | None:
    """The highest rank given that is in force at an instant; of equals the longest lasting."""
    force = [f for f in floors if f.since <= at and (f.until is None or at < f.until)]
    return max(force, key=lambda f: (f.rank, f.until is None, f.until), default=None)


def with_floors(
    ladder: LadderTerms, moves: Sequence[TierMove], floors: Sequence[Floor], until: datetime
) -> tuple[TierMove, ...]:
    """The changes of rank where some ranks were given: the higher of both holds."""
    if not floors:
        return tuple(moves)
    top = len(ladder.ladder.tiers) - 1
    ends = {t for f in floors for t in (f.since, f.until) if t is not None and t <= until}
    found: list[TierMove] = []
    rank = own = n = 0
    for at in sorted(ends | {m.at for m in moves}):
        while n < len(moves) and moves[n].at <= at:
            own, n = moves[n].after, n + 1
        floor = floor_at(ladder, floors, at)
        held = max(own, 0 if floor is None else min(floor.rank, top))
        if held != rank:
            found.append(TierMove(ladder.id, at, rank, held))
            rank = held
    return tuple(found)


def next_change(judged: Judged, floors: Sequence[Floor], until: datetime) -> TierMove | None:
    """The first change of rank after `until` if nothing more comes; uses up the judge."""
    course, known = judged.course, list(judged.course.moves)
    ladder = course.ladder
    floors = [f for f in floors if f.since <= until]
    ends = sorted(f.until for f in floors if f.until is not None and f.until > until)
    while True:
        move = course.next_move()
        if move is not None:
            known.append(move)
        horizon = move.at if move is not None else ends[-1] if ends else None
        if horizon is None:
            return None
        for change in with_floors(ladder, known, floors, horizon):
            if change.at > until:
                return change
        if move is None:
            return None


def corrections(
    ladder: int,
    booked: int,
    before: Sequence[TierMove],
    after: Sequence[TierMove],
    judged_to: datetime | None,
) -> list[TierMove]:
    """What must be booked so that the books tell `after`, which told `before` up to an instant.

    Where the past itself is other than it was told, one change says so, dated at the first
    instant that differs and from which on the rank of then is held.
    """
    if judged_to is None:
        return list(after)
    past = [m for m in after if m.at <= judged_to]
    held = past[-1].after if past else 0
    found = []
    if held != booked:
        at = _first_difference([m for m in before if m.at <= judged_to], past) or judged_to
        if past:
            at = max(at, past[-1].at)
        found.append(TierMove(ladder, at, booked, held))
    return found + [m for m in after if m.at > judged_to]


def _first_difference(a: Sequence[TierMove], b: Sequence[TierMove]) -> datetime | None:
    for at in sorted({m.at for m in (*a, *b)}):
        if _rank_at(a, at) != _rank_at(b, at):
            return at
    return None


def _rank_at(moves: Sequence[TierMove], at: datetime) -> int:
    rank = 0
    for move in moves:
        if move.at <= at:
            rank = move.after
    return rank
