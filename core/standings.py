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
from core.tiers import Standing, lapse, standing_from_rows


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
