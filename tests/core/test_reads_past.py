"""Balances of the past where a late credit has paid what was owed only after it."""

from __future__ import annotations

from core.check import prove
from core.redemptions import redeem
from tests.core.market import balances, bring_back, buy, open_market
from tests.core.shop import days, wish
from tests.support import NOW, enrol_cards


async def test_what_was_paid_before_it_was_owed_is_there_while_its_own_lot_lives(
    database: str,
) -> None:
    """Told on day 40 of day 3: ten that die on day 33, and pay what is owed since day 35.

    Ten more of a lot that lives on paid what was owed before that: they are gone since day 2.
    """
    market = await open_market()
    (ada,) = await enrol_cards(["1"])

    async def spend(*keys: str, day: float) -> None:
        for key in keys:
            await redeem(market, wish(ada, "x-slide", key=key, partner="market"), NOW + days(day))

    await buy(market, "A", ("SLIDE", "20.00"))
    await spend("a", "b", day=0)
    await bring_back(market, "R1", "A", amount="10.00", at=NOW + days(1))
    await buy(market, "B", ("SLIDE", "30.00"), at=NOW + days(2))
    await buy(market, "C", ("SLIDE", "10.00"), at=NOW + days(20))
    await spend("c", "d", "e", day=30)
    await bring_back(market, "R2", "A", amount="10.00", at=NOW + days(35))
    instants = (2.5, 5, 25, 32, 32.9, 33.5, 34.9, 35, 39)
    before = {day: await balances(market, ada, NOW + days(day)) for day in instants}
    await buy(market, "D", ("SLIDE", "10.00"), at=NOW + days(3), now=NOW + days(40))
    for day in instants:
        active, pending, reserved, arrears = before[day].get("SLIDE", (0, 0, 0, 0))
        if 3 <= day < 33:
            active += 10
        elif day >= 35:
            arrears -= 10
        found = (await balances(market, ada, NOW + days(day))).get("SLIDE", (0, 0, 0, 0))
        assert found == (active, pending, reserved, arrears), day
    assert await prove() == []
