"""Where members stand on every ladder at an instant: rank, what is missing, what keeps it.

Reads only. The arithmetic is `core.tiers`; this joins it with the rows and tells it as figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.posting import Engine, span
from core.rulebook import LadderTerms
from core.store import reads
from core.tiers import Standing, standing_from_rows
from laurels.durations import Duration, start_of


@dataclass(frozen=True, slots=True)
class TierStatus:
    """A member on a ladder. `value` is the measure; the ranks are places in the ladder's tiers.

    `missing_to_next` is what the next tier still asks for, now; `keep_until` the nightly review
    that would take the rank if nothing more came, and `keep_missing` what would prevent it.
    Both pairs are None at the top, and where nothing threatens the rank.
    """

    ladder: LadderTerms
    rank: int
    value: int
    next_rank: int | None
    missing_to_next: int | None
    keep_until: datetime | None
    keep_missing: int | None


async def standings(
    engine: Engine, holders: Sequence[int], at: datetime
) -> dict[int, list[TierStatus]]:
    """Every holder's status on every ladder at `at`, in one statement for all."""
    ladders = engine.rulebook.ladders
    windows = [(x.id, span(x.window)) for x in ladders.values()]
    rows: dict[tuple[int, int], list[tuple[datetime, int]]] = {}
    for holder, ladder, when, amount in await reads.qualified(holders, windows, at):
        rows.setdefault((holder, ladder), []).append((when, amount))
    return {
        holder: [
            _status(standing_from_rows(holder, x, rows.get((holder, x.id), []), at), at)
            for x in ladders.values()
        ]
        for holder in holders
    }


def _status(standing: Standing, at: datetime) -> TierStatus:
    ladder = standing.ladder
    tiers = ladder.ladder.tiers
    rank = standing.rank_at(at)
    following = rank + 1 if rank + 1 < len(tiers) else None
    missing = None if following is None else tiers[following].at - standing.value
    until, short = _threat(standing, rank, at)
    return TierStatus(ladder, rank, standing.value, following, missing, until, short)


def _threat(standing: Standing, rank: int, at: datetime) -> tuple[datetime | None, int | None]:
    review = lapse(standing, rank, at)
    if review is None:
        return None, None
    return review, standing.ladder.ladder.tiers[rank].at - standing.measure(review)


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
