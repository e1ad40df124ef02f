"""A club that sells a membership, and what tests of memberships do there. Holds no test."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.db import reading
from core.membership import Membership, found
from core.memberships import Changed, TermRequest, Which, begin_term, cancel, resume
from core.posting import Engine
from core.programme import Programme
from core.standings import standings
from core.store import memberships as store
from core.store.reference import Declared, install
from laurels import (
    Currency,
    Fee,
    Ladder,
    MembershipPlan,
    Money,
    Partner,
    Perk,
    PointsPerVisit,
    Tier,
    visits,
)
from tests.support import NOW, receipt

POINT = Currency("POINT", "Points")
PLAN = MembershipPlan(
    "gold",
    "Gold",
    fees=[
        Fee("month", "1M", "10.00 USD"),
        Fee("day", "1D", "1.00 USD"),
        Fee("year", "1Y", "100.00 USD"),
        Fee("points", "1M", points=(POINT, 5)),
        Fee("both", "1M", "5.00 USD", (POINT, 2)),
    ],
    trial="30D",
    grace="7D",
    perks=[Perk("parking", "Free parking", worth="3.00 USD"), Perk("lounge", "The lounge")],
    tier=("club", "gold"),
)
#: Without trial, grace, perks or tier.
BARE = MembershipPlan("bare", "Bare", fees=[Fee("month", "1M", "10.00 USD")])
PRICES = {"month": 1000, "day": 100, "year": 10_000, "both": 500}


async def open_club(*plans: MembershipPlan, time_zone: str = "UTC") -> Engine:
    """A brand with these plans, in the database that this process is connected to."""
    partner = Partner("club", "The Club", currencies=[POINT], time_zone=time_zone)
    ladder = Ladder("club", visits(), [Tier("guest", 0), Tier("gold", 10_000)])
    declared = Declared(
        "club", "1", partner, earn_rules=[PointsPerVisit(POINT, 5)], ladders=[ladder],
        plans=plans or (PLAN, BARE),
    )  # fmt: skip
    return Engine(await install(Programme(), [declared], NOW))


def term(
    holder: int, key: str, fee: str | None = None, plan: str = "gold", **more: Any
) -> TermRequest:
    """A request for a term, its money as the plan wants it; paid by the payment of the key."""
    which = Which("partner:club", key, "club", plan, holder)
    if fee in PRICES and "paid" not in more:
        more = {"paid": Money(PRICES[fee], "USD"), "payment": f"pay-{key}", **more}
    return TermRequest(which, more.pop("renewal", False), fee, **more)


async def join(
    engine: Engine, holder: int, key: str, fee: str | None = None, now: datetime = NOW, **more: Any
) -> Changed:
    """Join, by the trial unless a fee is named."""
    return await begin_term(engine, term(holder, key, fee, **more), now)


async def renew(
    engine: Engine, holder: int, key: str, fee: str | None, now: datetime, **more: Any
) -> Changed:
    """Begin the next term."""
    return await begin_term(engine, term(holder, key, fee, renewal=True, **more), now)


async def end(engine: Engine, holder: int, key: str, now: datetime, plan: str = "gold") -> Changed:
    """Cancel."""
    return await cancel(engine, Which("partner:club", key, "club", plan, holder), now)


async def go_on(
    engine: Engine, holder: int, key: str, now: datetime, fee: str | None = None
) -> Changed:
    """Resume."""
    return await resume(engine, Which("partner:club", key, "club", "gold", holder), fee, now)


async def standing(holder: int, plan: str = "gold") -> Membership:
    """A membership as the books have it."""
    async with reading() as connection:
        rows = (await store.load(connection, [holder]))[holder]
    [partner] = {number for number, _ in rows}
    membership = found(rows, partner, plan)
    assert membership is not None
    return membership


async def rank(engine: Engine, holder: int, at: datetime) -> int:
    """The rank held on the club's ladder."""
    (status,) = (await standings(engine, [holder], at))[holder]
    return status.rank


async def earn(engine: Engine, card: str, number: str, at: datetime) -> None:
    """Five points."""
    await engine.record_purchases([receipt(engine, number, card, at, partner="club")], at)
