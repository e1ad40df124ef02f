"""Where a member stands on a ladder, as a function of what qualified and when.

Pure: no ORM, no clock. A rolling ladder is reviewed at each local midnight; a tier reached since
the last one is kept until the next (DESIGN, "Tiers": upgrades at once, downgrades at review).
So the tier at T is the rank of the highest measure seen from that midnight to T.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from core.rulebook import LadderTerms
from laurels.durations import Duration, start_of


@dataclass(frozen=True, slots=True)
class TierMove:
    """A member's rank on a ladder changed."""

    ladder: int
    at: datetime
    before: int
    after: int


@dataclass(slots=True)
class Standing:
    """One holder's place on one ladder while a batch is folded.

    `value` is the measure at `measured_at`; `rows` are the qualifying amounts around the instants
    asked for, by which the measure at any other such instant is found.
    """

    holder: int
    ladder: LadderTerms
    measured_at: datetime | None = None
    value: int = 0
    rank: int = 0
    since: datetime | None = None
    rows: list[tuple[datetime, int]] = field(default_factory=list)
    _edge: dict[datetime, datetime | None] = field(default_factory=dict)

    def add(self, at: datetime, amount: int) -> None:
        """Count an amount that qualified at `at`."""
        if self.measured_at is None:
            self.measured_at = at
        start = self._start(self.measured_at)
        if at <= self.measured_at and (start is None or at > start):
            self.value += amount
        self.rows.append((at, amount))

    def advance(self, at: datetime) -> None:
        """Move the stored measure forward to `at`; an earlier instant changes nothing."""
        if self.measured_at is None or at > self.measured_at:
            self.value = self.measure(at)
            self.measured_at = at

    def measure(self, at: datetime) -> int:
        """The measure over the window that ends at `at`: (T-w, T], as DESIGN has it."""
        known = self.measured_at
        if known is None:
            return 0
        if at == known:
            return self.value
        # A window may even begin earlier than one that ended before: 30 March 1:00 less a month is
        # 28 February 1:00, 29 March 2:00 less a month is 2:00. So each end moves either way.
        change = self._between(known, at)
        begun, begins = self._start(known), self._start(at)
        if begun is not None and begins is not None:
            change -= self._between(begun, begins)
        return self.value + change

    def _between(self, a: datetime, b: datetime) -> int:
        """What qualified in (a, b]; less what did in (b, a] where b lies before a."""
        if a <= b:
            return sum(n for t, n in self.rows if a < t <= b)
        return -sum(n for t, n in self.rows if b < t <= a)

    def rank_at(self, at: datetime) -> int:
        """The place on the ladder held at `at`."""
        if self.measured_at is None:
            return 0
        review = start_of(at, "D", self.ladder.time_zone)
        peak = max(self.measure(review), self.measure(at))
        for t, _ in self.rows:
            if review < t < at:
                peak = max(peak, self.measure(t))
        return self.ladder.rank(peak)

    def _start(self, at: datetime) -> datetime | None:
        if self.ladder.window is None:
            return None
        start = self._edge.get(at)
        if start is None:
            start = self._edge[at] = self.ladder.window.before(at, self.ladder.time_zone)
        return start


def standing_from_rows(
    holder: int, ladder: LadderTerms, rows: Iterable[tuple[datetime, int]], at: datetime
) -> Standing:
    """The standing at `at` from scratch: `rows` hold all that qualified from a window before it."""
    kept = [(t, n) for t, n in rows if t <= at]
    standing = Standing(holder, ladder, at, 0, 0, None, kept)
    start = standing._start(at)
    standing.value = sum(n for t, n in kept if start is None or t > start)
    return standing


def lapse(standing: Standing, rank: int, after: datetime) -> datetime | None:
    """The first review after `after` at which the window no longer carries `rank`.

    Counts what has qualified so far; None where nothing threatens the rank.
    """
    window, zone = standing.ladder.window, standing.ladder.time_zone
    needed = standing.ladder.ladder.tiers[rank].at
    if window is None or needed == 0:
        return None
    review = _next_review(after, zone)
    left = standing.measure(review)
    if left < needed:
        return review
    start = window.before(review, zone)
    for when, amount in sorted(r for r in standing.rows if r[0] > start):
        left -= amount
        if left < needed:
            leaves = _review_without(when, window, zone)
            if leaves > after and standing.measure(leaves) < needed:
                return leaves
    return None


def _review_without(when: datetime, window: Duration, zone: str) -> datetime:
    """The first review whose window begins at `when` or later.

    At the end of a month that isn't `when` plus the window: 28 February 10:00 is a month before
    28 March 10:00, but counts again at the midnights of 29, 30 and 31 March.
    """
    review = start_of(window.after(when, zone), "D", zone)
    while window.before(review, zone) < when:
        review = _next_review(review, zone)
    return review


def _next_review(at: datetime, zone: str) -> datetime:
    # Where clocks skip midnight a day starts at 1:00; the next one starts at midnight again.
    return start_of(Duration(1, "D").after(start_of(at, "D", zone), zone), "D", zone)


def lapses(standing: Standing, now: datetime) -> list[TierMove]:
    """Each step down since the last measure, at the review that took it, however late seen."""
    if standing.measured_at is None or standing.measured_at > now:
        return []  # a till's clock runs ahead of ours: what it lifted is no lapse
    ladder = standing.ladder
    held = standing.rank_at(now)
    rank, after = standing.rank, standing.measured_at
    moves: list[TierMove] = []
    while held < rank:
        top = len(ladder.ladder.tiers) - 1
        review = lapse(standing, rank, after) if rank <= top else None
        if review is None or review > now:  # its tiers were redeclared meanwhile
            review, down = start_of(now, "D", ladder.time_zone), held
        else:
            down = max(held, ladder.rank(standing.measure(review)))
        moves.append(TierMove(ladder.id, review, rank, down))
        rank, after = down, review
    return moves
