"""What people gave and took by hand, and who far more than most: the fairness of people.

The score is robust: how far somebody's sum lies from the median of all, in median absolute
deviations, so that one who gives a fortune doesn't hide by moving the mean. Reads only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, median
from typing import NamedTuple

from core.store import fairness as store
from core.store.fairness import ByHand

#: From this score on somebody is an outlier, among so many or more (Iglewicz and Hoaglin, 1993).
OUTLYING, FEWEST = 3.5, 3
# They make the deviations those of a normal distribution.
_OF_MEDIAN, _OF_MEAN = 0.6745, 0.7979


class Outlier(NamedTuple):
    """Who gave far more than most of a currency: how much, the median of all, their deviation."""

    caller: str
    currency: int
    given: int
    median: float
    deviation: float
    score: float


@dataclass(frozen=True, slots=True)
class Grants:
    """By caller, reason and currency; and who stands out."""

    rows: list[ByHand]
    outliers: list[Outlier]


async def grants(partner: int | None, begin: datetime, end: datetime) -> Grants:
    """What was adjusted in [begin, end) in a partner's name; None: in whosever."""
    rows, sums = await store.by_hand(partner, begin, end)
    given: dict[int, dict[str, int]] = defaultdict(dict)
    for caller, currency, points in sums:
        given[currency][caller] = points
    return Grants(rows, [x for c, own in sorted(given.items()) for x in outliers(c, own)])


def outliers(currency: int, given: Mapping[str, int]) -> list[Outlier]:
    """Who gave far more of a currency than most, the furthest first."""
    if len(given) < FEWEST:
        return []
    middle = median(given.values())
    apart = [abs(points - middle) for points in given.values()]
    deviation, factor = median(apart), _OF_MEDIAN
    if not deviation:  # more than half are alike: by the mean deviation, then
        deviation, factor = fmean(apart), _OF_MEAN
    if not deviation:
        return []
    found = [
        Outlier(caller, currency, points, middle, deviation, factor * (points - middle) / deviation)
        for caller, points in given.items()
    ]
    return sorted((x for x in found if x.score > OUTLYING), key=lambda x: (-x.score, x.caller))
