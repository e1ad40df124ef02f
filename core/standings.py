"""Where members stand on every ladder at an instant: rank, what is missing, what keeps it.

Reads only. The arithmetic is `core.tiers`; this joins it with the rows and tells it as figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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
class TierStatus:
    """A member on a ladder. `value` is the measure; the ranks are places in the ladder's tiers.

    `since` is when the rank began (None: it is the foot, and never was another), `until` when it is
    lost if nothing more comes. `missing_to_next` is what the next tier still asks for, now.
    `keep_until` is the review that finds the rank no longer carried if nothing more comes before,
    and `keep_missing` what would prevent it; where there is grace, `until` is later. `projected_at`
    is the end of the period, of the hold, or the review that threatens; `projected_rank` what the
    judgment there comes to if nothing more comes. `floor` is the rank given that is in force. What
    isn't there is None: at the top, and where nothing threatens the rank.
    """

    ladder: LadderTerms
    rank: int
    since: datetime | None
    until: datetime | None
    value: int
    next_rank: int | None
    missing_to_next: int | None
    keep_until: datetime | None
    keep_missing: int | None
    projected_rank: int
    projected_at: datetime | None
    floor: Floor | None


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What becomes of a rank if nothing more comes; as in `TierStatus`."""

    until: datetime | None = None
    keep_until: datetime | None = None
    keep_missing: int | None = None
    projected_rank: int = 0
    projected_at: datetime | None = None


async def standings(
    engine: Engine, holders: Sequence[int], at: datetime
) -> dict[int, list[TierStatus]]:
    """Every holder's status on every ladder at `at`, in two statements for all at most."""
    rulebook = engine.rulebook
    spans = dict.fromkeys(holders, (at, at))
    enrolled: dict[int, datetime] = {}
    changes: Changes = {}
    async with reading() as connection:
        loaded = await rows.load(connection, spans, [], rulebook.reaches, 0, full=True)
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


def _status(
    standing: Standing, at: datetime, rank: int, value: int, since: datetime | None, ahead: _Outlook
) -> TierStatus:
    ladder = standing.ladder
    tiers = ladder.ladder.tiers
    following = rank + 1 if rank + 1 < len(tiers) else None
    return TierStatus(
        ladder,
        rank,
        since,
        ahead.until,
        value,
        following,
        None if following is None else tiers[following].at - value,
        ahead.keep_until,
        ahead.keep_missing,
        ahead.projected_rank,
        ahead.projected_at,
        floor_at(ladder, standing.floors, at),
    )


#: (when, to which rank) the books last told of a change, by holder and ladder.
Changes = Mapping[tuple[int, int], tuple[datetime, int]]


def _plain(booked: Standing, at: datetime, changes: Changes) -> TierStatus:
    ladder = booked.ladder
    standing = standing_from_rows(booked.holder, ladder, booked.rows, at, booked.returns)
    rank = standing.rank_at(at)
    review = lapse(standing, rank, at)
    ahead = _Outlook(projected_rank=rank)
    if review is not None:
        left = standing.measure(review)
        missing = ladder.ladder.tiers[rank].at - left
        ahead = _Outlook(review, review, missing, ladder.rank(left), review)
    since = _since(booked, standing, rank, at, changes)
    return _status(standing, at, rank, standing.value, since, ahead)


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
    ahead = _ahead(standing, at)
    return _status(standing, at, judged.rank, judged.value, judged.since, ahead)


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
