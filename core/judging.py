"""Judges a whole past anew: the ranks that a member held on a ladder, from the first day on.

Pure: no ORM, no clock. For ladders whose rank depends on what was held before (periods, hold,
grace, soft landing, never down), and for members to whom a rank was given by hand. All is judged
at its own time, whenever it was booked; so a late event may change what follows it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from core.measures import Measures, Qualified, next_review
from core.rulebook import LadderTerms
from laurels.durations import at_local, start_of, zone

_TICK = timedelta(microseconds=1)
_NEVER = datetime.min.replace(tzinfo=UTC)


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

    def copy(self) -> Course:
        """Another that may go on by itself."""
        other = copy(self)
        other.moves, other._rises = list(self.moves), list(self._rises)
        return other

    def add(self, row: Qualified) -> bool:
        """Take in one more that counts from after all that was judged; False if it doesn't.

        Then the past itself is other than it was judged.
        """
        if self._now is None or row.counts_from <= self._now or not self.measures.add(row):
            return False
        rise = self.measures.rise(row) if row.at == row.counts_from else None
        if rise is not None and rise not in self._rises[self._next :]:
            insort(self._rises, rise)
        return True

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
    return judged_by(course, floors, until)


def judged_by(course: Course, floors: Sequence[Floor], until: datetime) -> Judged:
    """What a course that was run to an instant comes to there."""
    moves = with_floors(course.ladder, course.moves, floors, until)
    rank = moves[-1].after if moves else 0
    return Judged(rank, course.measures.at(until), moves, course)


class Past:
    """All that ever qualified of one member on one ladder: judged from the first day once, then on.

    What comes later than all that was judged costs no more than itself; what comes late costs all.
    """

    def __init__(
        self, ladder: LadderTerms, rows: Iterable[Qualified], enrolled: datetime | None
    ) -> None:
        self._ladder = ladder
        self._rows = list(rows)
        self._enrolled = enrolled
        self._course: Course | None = None
        self._until = _NEVER
        self._ahead: list[Qualified] = []

    def add(self, row: Qualified) -> None:
        """One more."""
        self._rows.append(row)
        if self._course is None:
            return
        if row.counts_from > self._until:
            insort(self._ahead, row, key=_counts_from)
        elif self._course.add(row):
            self._course.run(self._until)
        else:
            self._course = None

    def judged(self, floors: Sequence[Floor], until: datetime) -> Judged:
        """What was held up to an instant, with a judge who can go on."""
        course = self._judge(until)
        if until < self._until:
            return judge(self._ladder, self._rows, self._enrolled, floors, until)
        return judged_by(course.copy(), floors, until)

    def moves(self, floors: Sequence[Floor], until: datetime) -> tuple[TierMove, ...]:
        """The changes of rank up to an instant."""
        own = [move for move in self._judge(until).moves if move.at <= until]
        return with_floors(self._ladder, own, floors, until)

    def _judge(self, until: datetime) -> Course:
        """The judge, who has come to this instant, or is beyond it."""
        if self._course is not None and until > self._until:
            due = bisect_right(self._ahead, until, key=_counts_from)
            if all(self._course.add(row) for row in self._ahead[:due]):
                del self._ahead[:due]
                self._course.run(until)
                self._until = until
            else:
                self._course = None
        if self._course is None:
            known = [row for row in self._rows if row.counts_from <= until]
            self._course = Course(self._ladder, known, self._enrolled).run(until)
            self._until = until
            self._ahead = sorted(
                (row for row in self._rows if row.counts_from > until), key=_counts_from
            )
        return self._course


def _counts_from(row: Qualified) -> datetime:
    return row.counts_from


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
