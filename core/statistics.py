"""How the programme fares, period by period: what was issued and what became of it, who was active.

Sums over all of the books by the instants at which things happened; the sheet of `core.sheet` tells
the same at one instant by other ways. No member is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from core.db import Row, transaction
from core.errors import BadInput
from core.events import EventKind
from core.store import statistics as store
from laurels.durations import next_start, start_of

MOST_PERIODS = 120
_MOMENT = timedelta(microseconds=1)
#: What a member does itself. Neither what befalls it, such as a night or a birthday, nor what comes
#: of something done before, such as a return or the end of a hold.
ACTS = (
    EventKind.PURCHASE, EventKind.ACTIVITY, EventKind.REDEMPTION, EventKind.RESERVATION,
    EventKind.GIFT, EventKind.PERK,
)  # fmt: skip


class PeriodLength(Enum):
    """How long a period is, by the unit of durations."""

    DAY = "D"
    WEEK = "W"
    MONTH = "M"


class Flow(NamedTuple):
    """What happened to the points of one currency; `held` is what it did to what members hold."""

    issued: int = 0
    redeemed: int = 0
    expired: int = 0
    lapsed: int = 0
    clawed_back: int = 0
    given: int = 0
    taken: int = 0
    held: int = 0

    def plus(self, other: Iterable[int]) -> Flow:
        """Both together."""
        return Flow(*(a + b for a, b in zip(self, other, strict=True)))


class CurrencyPeriod(NamedTuple):
    """One currency in one period, and at its end. Lots that ended in it: `ended` points."""

    flow: Flow
    outstanding: int
    ended: int
    ended_expired: int

    @property
    def breakage(self) -> float | None:
        """Of the points whose lots ended, which part expired; None where none ended."""
        return self.ended_expired / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class CurrencyStatistics:
    """One currency. `partners`: by whom it was issued, and where redeemed; 0: the programme."""

    currency: int
    periods: tuple[CurrencyPeriod, ...]
    partners: tuple[tuple[int, Flow], ...]


class MembersPeriod(NamedTuple):
    """How many members joined in a period, were active in it, and there were at its end."""

    joined: int
    active: int
    members: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of all periods, the earliest first.

    `bounds` are one more than the periods. `ladders`: by its id, for each period how many members
    held which rank at its end. `cohorts`: of those who joined in each period, how many were active
    in that one and in each since.
    """

    bounds: tuple[datetime, ...]
    members: tuple[MembersPeriod, ...]
    currencies: tuple[CurrencyStatistics, ...]
    ladders: Mapping[int, tuple[tuple[int, ...], ...]]
    cohorts: tuple[tuple[int, ...], ...]


def periods(
    since: datetime | None, until: datetime, length: PeriodLength, time_zone: str
) -> tuple[datetime, ...]:
    """The bounds of the periods from that of `since`, or eleven before, to that of `until`.

    Raises BadInput where there is none, or too many.
    """
    unit = length.value
    last = start_of(until, unit, time_zone)
    bounds = [last, next_start(until, unit, time_zone)]
    first = None if since is None else start_of(since, unit, time_zone)
    if first is not None and first > last:
        raise BadInput("the first period doesn't come after the last one", "from")
    while bounds[0] != first and (first is not None or len(bounds) <= 12):
        if len(bounds) > MOST_PERIODS:
            raise BadInput(f"at most {MOST_PERIODS} periods are told at once", "from")
        # Whatever the clocks do: an instant in the period before, then the start of it.
        bounds.insert(0, start_of(bounds[0] - _MOMENT, unit, time_zone))
    return tuple(bounds)


async def statistics(
    bounds: Sequence[datetime], now: datetime, ladders: Mapping[int, int]
) -> Statistics:
    """Of these periods, by what had happened by now. `ladders`: how many tiers each has."""
    until = min(bounds[-1], now)
    async with transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        flows = await store.flows(connection, bounds, until)
        ended = await store.ended(connection, bounds, until)
        people = await store.members(connection, bounds, until, ACTS)
        ranks = await store.ranks(connection, bounds, until)
    count = len(bounds) - 1
    members, cohorts = _members(people, count)
    return Statistics(
        tuple(bounds),
        members,
        _currencies(flows, ended, count),
        _ladders(ranks, members, ladders),
        cohorts,
    )


@dataclass
class _Sums:
    """What the statements told of one currency, by period; period 0 is all before."""

    flows: list[Flow]
    ended: list[int]
    expired: list[int]
    partners: dict[int, Flow] = field(default_factory=dict)


def _currencies(
    flows: Sequence[Row], ended: Sequence[Row], count: int
) -> tuple[CurrencyStatistics, ...]:
    sums: dict[int, _Sums] = {}

    def of(currency: int) -> _Sums:
        empty = [0] * (count + 1)
        made = _Sums([Flow()] * (count + 1), empty, list(empty))
        return sums.setdefault(currency, made)

    for currency, period, partner, *figures in flows:
        found = of(currency)
        found.flows[period] = found.flows[period].plus(figures)
        if period:
            found.partners[partner] = found.partners.get(partner, Flow()).plus(figures)
    for currency, period, points, expired, dead, late in ended:
        found = of(currency)
        found.ended[period] += points
        found.expired[period] += expired
        unbooked = Flow(expired=dead, lapsed=late, held=-dead - late)
        found.flows[period] = found.flows[period].plus(unbooked)
    return tuple(_currency(currency, found) for currency, found in sorted(sums.items()))


def _currency(currency: int, found: _Sums) -> CurrencyStatistics:
    outstanding, told = found.flows[0].held, []
    figures = zip(found.flows[1:], found.ended[1:], found.expired[1:], strict=True)
    for flow, ended, expired in figures:
        outstanding += flow.held
        told.append(CurrencyPeriod(flow, outstanding, ended, expired))
    return CurrencyStatistics(currency, tuple(told), tuple(sorted(found.partners.items())))


def _members(
    rows: Sequence[Row], count: int
) -> tuple[tuple[MembersPeriod, ...], tuple[tuple[int, ...], ...]]:
    """Members by period, and cohorts."""
    joined, active = [0] * (count + 1), [0] * (count + 1)
    cohorts = [[0] * (count + 1) for _ in range(count + 1)]
    for came, seen, members in rows:
        if seen is None:
            joined[came] += members
        else:
            active[seen] += members
            cohorts[came][seen] += members
    so_far, told = joined[0], []
    for new, busy in zip(joined[1:], active[1:], strict=True):
        so_far += new
        told.append(MembersPeriod(new, busy, so_far))
    return tuple(told), tuple(tuple(cohorts[n][n:]) for n in range(1, count + 1))


def _ladders(
    rows: Sequence[Row], members: Sequence[MembersPeriod], tiers: Mapping[int, int]
) -> dict[int, tuple[tuple[int, ...], ...]]:
    """Whoever never changed its rank holds the first; a rank that is gone is the ladder's top."""
    found = {}
    for ladder, places in tiers.items():
        changes = [[0] * places for _ in range(len(members) + 1)]
        for of, period, rank, change in rows:
            if of == ladder:
                changes[period][min(rank, places - 1)] += change
        held, told = changes[0], []
        for change, there in zip(changes[1:], members, strict=True):
            held = [a + b for a, b in zip(held, change, strict=True)]
            told.append((held[0] + there.members, *held[1:]))
        found[ladder] = tuple(told)
    return found
