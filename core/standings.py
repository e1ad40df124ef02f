"""Where members stand on every ladder at an instant: rank, what is missing, what keeps it.

Reads only. The arithmetic is `core.tiers`; this joins it with the rows and tells it as figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from core.db import reading
from core.judging import Floor, floor_at, next_change
from core.posting import Engine
from core.qualifying import standings_from
from core.rulebook import LadderTerms
from core.store import posting as rows
from core.store import reviews as store
from core.tiers import Standing, lapse, lapses, standing_from_rows
from laurels.durations import start_of


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What becomes of a rank if nothing more comes; as in `TierStatus`."""

    until: datetime | None = None
    keep_until: datetime | None = None
    keep_missing: int | None = None
    projected_rank: int = 0
    projected_at: datetime | None = None


@dataclass(frozen=True)
class TierStatus:
    """A member on a ladder. `value` is the measure; the ranks are places in the ladder's tiers.

    `floor` is the rank given that is in force. What isn't there is None: at the top, and where
    nothing threatens the rank. What takes a search through time is reckoned of the rows that were
    read when it is first looked at: most look at the rank and the way up alone.
    """

    ladder: LadderTerms
    rank: int
    value: int
    floor: Floor | None
    _began: Callable[[], datetime | None]
    _comes: Callable[[], _Outlook]

    @cached_property
    def since(self) -> datetime | None:
        """When the rank began; None: it is the foot, and never was another."""
        return self._began()

    @property
    def next_rank(self) -> int | None:
        """The next tier."""
        return self.rank + 1 if self.rank + 1 < len(self.ladder.ladder.tiers) else None

    @property
    def missing_to_next(self) -> int | None:
        """What the next tier still asks for, now."""
        following = self.next_rank
        return None if following is None else self.ladder.ladder.tiers[following].at - self.value

    @property
    def until(self) -> datetime | None:
        """When the rank is lost if nothing more comes, grace included."""
        return self._ahead.until

    @property
    def keep_until(self) -> datetime | None:
        """The review that finds the rank no longer carried if nothing more comes before."""
        return self._ahead.keep_until

    @property
    def keep_missing(self) -> int | None:
        """What would prevent that."""
        return self._ahead.keep_missing

    @property
    def projected_rank(self) -> int:
        """What the judgment at `projected_at` comes to if nothing more comes."""
        return self._ahead.projected_rank

    @property
    def projected_at(self) -> datetime | None:
        """The end of the period, of the hold, or the review that threatens."""
        return self._ahead.projected_at

    @cached_property
    def _ahead(self) -> _Outlook:
        return self._comes()


async def standings(
    engine: Engine, holders: Sequence[int], at: datetime
) -> dict[int, list[TierStatus]]:
    """Every holder's status on every ladder at `at`, in two statements for all at most."""
    rulebook = engine.rulebook
    enrolled: dict[int, datetime] = {}
    changes: Changes = {}
    async with reading() as connection:
        loaded = await rows.load_standings(connection, holders, at, rulebook.reaches)
        found = standings_from(rulebook, loaded, enrolled)
        # Of the past only; who has no standing never had another tier.
        if past := sorted({s.holder for s in found.values() if not s.whole and _past(s, at)}):
            changes = {(h, x): (t, rank) for h, x, t, rank in
                       await store.last_changes(connection, past, at)}  # fmt: skip
    told: dict[int, list[TierStatus]] = {}
    for holder in holders:
        told[holder] = []
        for ladder in rulebook.ladders.values():
            standing = found.get((holder, ladder.id))
            if standing is None:
                standing = Standing(holder, ladder, enrolled=enrolled.get(holder))
            tell = _whole if standing.whole else _plain
            told[holder].append(tell(standing, at, changes))
    return told


#: (when, to which rank) the books last told of a change, by holder and ladder.
Changes = Mapping[tuple[int, int], tuple[datetime, int]]


def _plain(booked: Standing, at: datetime, changes: Changes) -> TierStatus:
    ladder = booked.ladder
    standing = standing_from_rows(booked.holder, ladder, booked.rows, at, booked.returns)
    rank = standing.rank_at(at)
    return TierStatus(
        ladder, rank, standing.value, floor_at(ladder, standing.floors, at),
        lambda: _since(booked, standing, rank, at, changes),
        lambda: _plain_outlook(standing, rank, at),
    )  # fmt: skip


def _plain_outlook(standing: Standing, rank: int, at: datetime) -> _Outlook:
    review = lapse(standing, rank, at)
    if review is None:
        return _Outlook(projected_rank=rank)
    ladder = standing.ladder
    left = standing.measure(review)
    missing = ladder.ladder.tiers[rank].at - left
    return _Outlook(review, review, missing, ladder.rank(left), review)


def _past(booked: Standing, at: datetime) -> bool:
    """Whether an instant lies before what is booked of a standing."""
    return booked.measured_at is None or at < booked.measured_at


def _since(
    booked: Standing, standing: Standing, rank: int, at: datetime, changes: Changes
) -> datetime | None:
    """When the rank began: what the books tell, and what the next review will book."""
    if not _past(booked, at):
        moves = lapses(booked, at)
        return moves[-1].at if moves else booked.since
    when, told = changes.get((booked.holder, booked.ladder.id), (None, 0))
    if told == rank:
        return when
    # Something that came late tells otherwise of then: since that day, or later in it.
    day = start_of(at, "D", booked.ladder.time_zone)
    if booked.ladder.rank(standing.measure(day)) == rank:
        return day
    return min((t for t, _ in standing.rows if t > day and standing.rank_at(t) == rank), default=at)


def _whole(standing: Standing, at: datetime, changes: Changes) -> TierStatus:
    del changes
    judged = standing.judged(at)
    return TierStatus(
        standing.ladder, judged.rank, judged.value, floor_at(standing.ladder, standing.floors, at),
        lambda: judged.since, lambda: _ahead(standing, at),
    )  # fmt: skip


def _ahead(standing: Standing, at: datetime) -> _Outlook:
    """Lets time go on without anything more."""
    ladder, floors = standing.ladder, standing.floors
    judged = standing.judged(at)
    course, rank = judged.course, judged.rank
    own, known = course.rank, len(course.moves)
    ends = course.next_review(None) if ladder.period is None else course.measures.period(at)[1]
    threat = missing = None
    while own == rank and (review := course.next_review(None)) is not None:
        if course.carried(review) < own:
            threat, missing = review, ladder.ladder.tiers[own].at - course.judged_by(review)
            break
        course.review(review)
    change = next_change(judged, floors, at)
    until = None if change is None or change.after > rank else change.at
    if own < rank and until is not None:  # given by hand, and not reached by then
        threat, missing = until, ladder.ladder.tiers[rank].at - course.measures.at(until)
    projected = own
    if ends is not None:
        moves = course.moves[known:]
        if moves and (threat or moves[0].at) <= ends:
            projected = moves[0].after
        floor = floor_at(ladder, floors, ends)
        if floor is not None:
            projected = max(projected, min(floor.rank, len(ladder.ladder.tiers) - 1))
    else:
        ends = until
        projected = rank if change is None or until is None else change.after
    return _Outlook(until, threat, missing, projected, ends)
