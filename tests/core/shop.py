"""A small coalition with rewards, installed for real: for tests of redemptions and tiers.

A star for every full dollar at the grocer (three on PRODUCE), a bean at the café. Holds no
assertion and no fixture.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from core.db import reading
from core.outcomes import Recorded
from core.posting import Engine
from core.pricing import RedeemRequest
from core.programme import (
    ContractSettings,
    CurrencySettings,
    LadderSettings,
    Programme,
    TierSettings,
)
from core.store.reference import Declared, install
from laurels import (
    Currency,
    Duration,
    Ladder,
    Partner,
    PointsPerAmount,
    ProductTypeRewardCalculator,
    Reward,
    RewardKind,
    Tier,
    spend,
    visits,
)
from tests.support import ISTANBUL, NEW_YORK, NOW, figures, receipt

BEAN = Currency("BEAN", "Beans", expires="2M_U", time_zone=ISTANBUL)
PROGRAMME = Programme(
    currencies=(
        CurrencySettings(code="STAR", name="Stars", expires="90D"),
        CurrencySettings(code="GEM", name="Gems"),
    ),
    ladders=(
        LadderSettings(
            code="coalition",
            measure="earned:STAR",
            window="30D",
            tiers=(
                TierSettings(code="base", at=0),
                TierSettings(code="silver", at=60),
                TierSettings(code="gold", at=200),
            ),
        ),
    ),
    contracts={
        "grocer": ContractSettings(issues=("STAR",), accepts=("STAR",)),
        "cafe": ContractSettings(issues=(), accepts=("STAR",)),
    },
)
GROCER = Declared(
    "grocer",
    "1",
    Partner("grocer", "The Grocer", time_zone=NEW_YORK, issues=["STAR"]),
    earn_rules=[ProductTypeRewardCalculator("STAR", {"PRODUCE": 3}, default=1)],
    rewards=[
        Reward("bag", "A bag", {"STAR": 100}),
        Reward("mug", "A mug", {"STAR": 50}, stock=2),
        Reward("tasting", "A tasting", {"STAR": 10}, tier=("coalition", "silver"), stock=5),
        Reward("lost", "A lost one", {"STAR": 1}, tier=("gone", "gold")),
    ],
    ladders=[
        Ladder("spender", spend("USD"), [Tier("guest", 0), Tier("friend", 10_000)], window="1M")
    ],
)
CAFE = Declared(
    "cafe",
    "1",
    Partner("cafe", "The Café", currencies=[BEAN], time_zone=ISTANBUL),
    earn_rules=[PointsPerAmount(BEAN, 1, "1.00 USD")],
    rewards=[
        Reward("coffee", "A coffee", {"STAR": 30}),
        Reward("cake", "A cake", {"STAR": 40, BEAN: 5}),
        Reward("off", "Five off", {BEAN: 20}, kind=RewardKind.DISCOUNT, worth="5.00 USD"),
        Reward("ring", "A ring", {"GEM": 1}),
    ],
    ladders=[
        Ladder("regulars", visits(), [Tier("new", 0), Tier("regular", 3)], window="10D"),
    ],
)


async def open_shop() -> Engine:
    """Install the coalition in the database that this process is connected to."""
    return Engine(await install(PROGRAMME, [GROCER, CAFE], NOW))


async def earn(
    engine: Engine,
    external_id: str,
    amount: str,
    member: str = "1",
    at: datetime = NOW,
    partner: str = "grocer",
    now: datetime | None = None,
) -> Recorded:
    """Buy something of `amount` dollars, booked when it happened unless `now` says later."""
    item = receipt(engine, external_id, member, at, ("SHOES", amount), partner=partner)
    (outcome,) = await engine.record_purchases([item], now or at, historical=True)
    assert isinstance(outcome, Recorded), outcome
    return outcome


def wish(
    holder: int,
    reward: str = "bag",
    *,
    key: str = "k",
    partner: str = "grocer",
    currency: str | None = None,
    hold: str | None = None,
    caller: str = "till",
) -> RedeemRequest:
    """A request for a reward."""
    duration = None if hold is None else Duration.parse(hold)
    return RedeemRequest(caller, key, partner, holder, reward, currency, duration)


async def balance(
    engine: Engine, holder: int, at: datetime, code: str = "STAR"
) -> Mapping[str, int]:
    """What a member has of a currency at an instant."""
    (currency,) = [c.id for c in engine.rulebook.currencies.values() if c.code == code]
    names = ("active", "pending", "reserved", "arrears", "earned", "expired")
    for row in await figures([holder], at):
        if row[1] == currency:
            return dict(zip(names, row[2:], strict=True))
    return dict.fromkeys(names, 0)


async def active(engine: Engine, holder: int, at: datetime, code: str = "STAR") -> int:
    """What a member can spend of a currency at an instant."""
    return (await balance(engine, holder, at, code))["active"]


async def dump() -> dict[str, list[str]]:
    """Every row of every table, so that two dumps tell whether anything at all was written."""
    found: dict[str, list[str]] = {}
    async with reading() as connection:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        )
        for (table,) in tables:
            rows = await connection.fetch(f'SELECT t::text FROM "{table}" t ORDER BY 1')
            found[table] = [row[0] for row in rows]
    return found


def days(count: float) -> timedelta:
    """That many times 24 hours."""
    return timedelta(days=count)
