"""Notices: each loss told at its lead times, once, with the figures of that day."""

from __future__ import annotations

from datetime import datetime

import pytest

from core import nightly
from core.posting import Engine
from core.redemptions import redeem
from tests.core.market import buy, open_market
from tests.core.shop import days, wish
from tests.support import NOW, enrol_cards, scalar


@pytest.fixture
async def market(database: str) -> Engine:
    """The market of `tests.core.market` on a fresh database, with one member."""
    engine = await open_market()
    await enrol_cards(["1"])
    return engine


async def told() -> list[str]:
    """kind, lead, points and days until the loss, of each notice in the order they were told."""
    return await scalar(
        "SELECT coalesce(array_agg(concat_ws(' ', kind, lead, amount, "
        "extract(epoch FROM due_at - at) / 86400) ORDER BY at, kind, lead), '{}') FROM notice"
    ) or []  # fmt: skip


async def nights(engine: Engine, first: datetime, count: int) -> list[int]:
    """The notices of each night."""
    return [(await nightly.run(engine, first + days(n))).notices for n in range(count)]


async def test_points_that_will_expire_are_told_at_each_lead_time_once(market: Engine) -> None:
    await buy(market, "P", ("PLAIN", "40.00"))
    assert await nights(market, NOW + days(58), 5) == [0, 0, 1, 0, 0]
    holder = await scalar("SELECT id FROM holder")
    await redeem(market, wish(holder, "x-plain", partner="market"), NOW + days(70))
    assert await nights(market, NOW + days(86), 6) == [0, 1, 0, 0, 0, 0]
    assert [x.rstrip("0").rstrip(".") for x in await told()] == ["1 30D 40 30", "1 3D 30 3"]


async def test_a_tier_that_will_be_lost_is_told(market: Engine) -> None:
    await buy(market, "P", ("PLAIN", "70.00"))
    assert await nights(market, NOW + days(20), 12) == [0, 0, 0, 0, 1] + [0] * 7
    (notice,) = await told()
    kind, lead, missing, left = notice.split()
    # The review at midnight after the window has passed the purchase: 30 days and half a day.
    assert (kind, lead, missing, float(left)) == ("2", "7D", "60", 6.5)


async def test_a_tier_that_is_kept_is_not_told(market: Engine) -> None:
    await buy(market, "P", ("PLAIN", "70.00"))
    await buy(market, "Q", ("PLAIN", "70.00"), at=NOW + days(15))
    assert await nights(market, NOW + days(20), 15) == [0] * 15
    assert await told() == []
