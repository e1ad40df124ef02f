"""The measure of a member on a ladder at any instant, by all that qualified and all that came back.

Pure: no ORM, no clock. What follows from it for the rank is `core.judging`'s.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from core.rulebook import LadderTerms
from laurels.durations import Duration, start_of
from laurels.windows import WindowKind

_TICK = timedelta(microseconds=1)


class Qualified(NamedTuple):
    """An amount dated `at`, in the measure from `counts_from` on: a return's is later."""

    at: datetime
    counts_from: datetime
    amount: int


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

    def add(self, row: Qualified) -> bool:
        """Take in one more that is no older than all others; False if it is."""
        if row.at != row.counts_from:
            insort(self._back, row)
            return True
        if self.rows and row.at < self._dates[-1]:
            return False
        self.rows.append(row)
        self._dates.append(row.at)
        self._sums.append(self._sums[-1] + row.amount)
        return True

    def rise(self, row: Qualified) -> datetime | None:
        """When the measure may rise by a row: it counts, or as a deduction it leaves."""
        window, zone_name = self.ladder.window, self.ladder.time_zone
        if row.amount > 0:
            return row.at
        return None if window is None else review_without(row.at, window, zone_name)

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
        """Every instant at which the measure may rise."""
        return sorted({at for at in map(self.rise, self.rows) if at is not None})

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
