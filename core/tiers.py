"""Where a member stands on a ladder, as a function of what qualified and when.

Pure: no ORM, no clock. A plain ladder (see `LadderTerms.plain`) is reviewed at each local midnight;
a tier reached since the last one is kept until the next (DESIGN, "Tiers": upgrades at once,
downgrades at review). So the tier at T is the rank of the highest measure seen from that midnight
to T, and the measure follows from the stored one and what lies around. Every other standing is
judged from its first day on (`core.judging`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.judging import (
    Floor,
    Judged,
    Past,
    corrections,
    first_review_below,
    judge,
    next_change,
)
from core.judging import TierMove as TierMove  # the one name of this module's that many need
from core.measures import Qualified, next_review, review_without
from core.rulebook import LadderTerms
from laurels.durations import start_of


@dataclass(slots=True)
class Standing:
    """One holder's place on one ladder while a batch is folded.

    `value` is the measure at `measured_at`; `rows` are the qualifying amounts around the instants
    asked for, by which the measure at any other such instant is found, and `returns` what came
    back. Where `whole`, they are all that ever qualified. `stale`: measured by terms that the
    ladder no longer has. `due` is when time alone may change the rank, or earlier; None: never.
    `floors` are the ranks given to the member, `touched` says that it must be written.
    """

    holder: int
    ladder: LadderTerms
    measured_at: datetime | None = None
    value: int = 0
    rank: int = 0
    since: datetime | None = None
    rows: list[tuple[datetime, int]] = field(default_factory=list)
    returns: list[Qualified] = field(default_factory=list)
    due: datetime | None = None
    whole: bool = False
    stale: bool = False
    enrolled: datetime | None = None
    floors: list[Floor] = field(default_factory=list)
    touched: bool = False
    _edge: dict[datetime, datetime | None] = field(default_factory=dict)
    _past: Past | None = None

    def __post_init__(self) -> None:
        self.whole = self.whole or not self.ladder.plain

    def add(self, at: datetime, amount: int, counts_from: datetime | None = None) -> None:
        """Count an amount dated `at`, which is in the measure from `counts_from` (or then) on."""
        since = counts_from or at
        if self.measured_at is None:
            self.measured_at = since
        start = self._start(self.measured_at)
        if since <= self.measured_at and (start is None or at > start):
            self.value += amount
        if since == at:
            self.rows.append((at, amount))
        else:
            self.returns.append(Qualified(at, since, amount))

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
        if self.returns:
            change += self._returned(at, begins) - self._returned(known, begun)
        return self.value + change

    def _between(self, a: datetime, b: datetime) -> int:
        """What qualified in (a, b]; less what did in (b, a] where b lies before a."""
        if a == b:
            return 0
        begins, ends = (a, b) if a < b else (b, a)
        found = 0
        for t, n in self.rows:  # a loop, for `sum` of a generator takes twice as long
            if begins < t <= ends:
                found += n
        return found if a < b else -found

    def _returned(self, at: datetime, start: datetime | None) -> int:
        return sum(
            r.amount for r in self.returns
            if r.counts_from <= at and (start is None or r.at > start)
        )  # fmt: skip

    def rank_at(self, at: datetime) -> int:
        """The place on the ladder held at `at`."""
        if self.whole:
            moves = self._whole_past().moves(self.floors, at)
            return moves[-1].after if moves else 0
        if self.measured_at is None:
            return 0
        review = start_of(at, "D", self.ladder.time_zone)
        peak = max(self.measure(review), self.measure(at))
        for t, _ in self.rows:
            if review < t < at:
                peak = max(peak, self.measure(t))
        return self.ladder.rank(peak)

    def judged(self, until: datetime) -> Judged:
        """The whole past, judged up to an instant."""
        return self._whole_past().judged(self.floors, until)

    def _whole_past(self) -> Past:
        if self._past is None:
            rows = [Qualified(at, at, amount) for at, amount in self.rows] + self.returns
            self._past = Past(self.ladder, rows, self.enrolled)
        return self._past

    def rejudge(
        self, at: datetime, added: Sequence[Qualified] = (), floors: Sequence[Floor] | None = None
    ) -> list[TierMove]:
        """Count what is new of a whole past, or the floors as they are now, and judge it to `at`.

        Returns the changes of rank to be booked. An `at` before the last judgment means that one.
        """
        known = self.measured_at
        past = self._whole_past()
        before = () if known is None or self.stale else past.moves(self.floors, known)
        for row in added:
            past.add(row)
            if row.at == row.counts_from:
                self.rows.append((row.at, row.amount))
            else:
                self.returns.append(row)
        if floors is not None:
            self.floors = list(floors)
        until = at if known is None else max(known, at)
        now = self.judged(until)
        if self.stale:
            changed = now.rank != self.rank
            moves = [TierMove(self.ladder.id, until, self.rank, now.rank)] if changed else []
        else:
            moves = corrections(self.ladder.id, self.rank, before, now.moves, known)
        self.rank, self.since, self.value, self.measured_at = now.rank, now.since, now.value, until
        if self.stale and changed:
            self.since = until
        self.stale, self.touched = False, True
        following = next_change(now, self.floors, until)
        self.due = None if following is None else following.at
        return moves

    def _start(self, at: datetime) -> datetime | None:
        if self.ladder.window is None:
            return None
        start = self._edge.get(at)
        if start is None:
            start = self._edge[at] = self.ladder.window.before(at, self.ladder.time_zone)
        return start

    def review_soon(self, after: datetime | None = None) -> None:
        """Have the next nightly review look at it: what it would find isn't known here."""
        assert self.measured_at is not None
        # Whatever rows are at hand: their number depends on how large a batch is.
        at = max(after or self.measured_at, self.measured_at)
        self.due = next_review(at, self.ladder.time_zone)


def standing_from_rows(
    holder: int,
    ladder: LadderTerms,
    rows: Iterable[tuple[datetime, int]],
    at: datetime,
    returns: Iterable[Qualified] = (),
) -> Standing:
    """The standing at `at` from scratch: `rows` hold all that qualified from a window before it."""
    kept = [(t, n) for t, n in rows if t <= at]
    back = [r for r in returns if r.counts_from <= at]
    standing = Standing(holder, ladder, at, 0, 0, None, kept, back)
    start = standing._start(at)
    standing.value = sum(n for t, n in kept if start is None or t > start)
    standing.value += standing._returned(at, start)
    return standing


def proven(
    ladder: LadderTerms,
    rows: Sequence[Qualified],
    enrolled: datetime,
    floors: Sequence[Floor],
    at: datetime,
) -> tuple[int, int, datetime | None]:
    """The measure and the rank at `at`, and when time next changes it: by all that qualified."""
    if ladder.plain and not floors:
        own = [(r.at, r.amount) for r in rows if r.at == r.counts_from]
        back = [r for r in rows if r.at != r.counts_from]
        standing = standing_from_rows(0, ladder, own, at, back)
        rank = standing.rank_at(at)
        return standing.value, rank, lapse(standing, rank, at)
    judged = judge(ladder, rows, enrolled, floors, at)
    change = next_change(judged, floors, at)
    return judged.value, judged.rank, None if change is None else change.at


def lapse(
    standing: Standing, rank: int, after: datetime, until: datetime | None = None
) -> datetime | None:
    """The first review after `after` at which the window no longer carries `rank`.

    Counts what has qualified so far; None where nothing threatens the rank (up to `until`, where
    that is given: then the rows need reach no further).
    """
    window, zone = standing.ladder.window, standing.ladder.time_zone
    needed = standing.ladder.ladder.tiers[rank].at
    if needed == 0:
        return None
    last = until or next_review(after, zone)
    if until is None and window is not None and standing.rows:
        last = max(last, review_without(max(standing.rows)[0], window, zone))
    return first_review_below(standing.measure, needed, after, last, zone)


def lapses(standing: Standing, now: datetime) -> list[TierMove]:
    """Each change that time made since the last measure, at the review of it, however late seen.

    Steps down; a step up where an amount left the window that had been taken off the measure.
    """
    if standing.measured_at is None or standing.measured_at > now:
        return []  # a till's clock runs ahead of ours: what it lifted is no lapse
    ladder = standing.ladder
    held = standing.rank_at(now)
    rank, after = standing.rank, standing.measured_at
    moves: list[TierMove] = []
    while held < rank:
        top = len(ladder.ladder.tiers) - 1
        review = lapse(standing, rank, after, now) if rank <= top else None
        if review is None:  # its tiers were redeclared meanwhile
            review, down = start_of(now, "D", ladder.time_zone), held
        else:
            down = max(held, ladder.rank(standing.measure(review)))
        moves.append(TierMove(ladder.id, review, rank, down))
        rank, after = down, review
    if held > rank:
        moves.append(TierMove(ladder.id, start_of(now, "D", ladder.time_zone), rank, held))
    return moves
