"""Orders that are edited down and up again: nothing is given twice, nothing charged twice."""

from __future__ import annotations

from datetime import datetime

import pytest

from core import nightly
from core.bought import Returned
from core.check import prove
from core.posting import Engine
from core.purchases import LineInput, find_partner
from core.redemptions import redeem
from core.returning import record
from core.returns import check_edit
from tests.core.market import balances, buy, cancelled, open_market
from tests.core.shop import days, wish
from tests.support import NOW, enrol_cards


@pytest.fixture
async def market(database: str) -> Engine:
    """The market of `tests.core.market` on a fresh database."""
    return await open_market()


@pytest.fixture
async def member(market: Engine) -> int:
    """A member with the card 1."""
    (holder,) = await enrol_cards(["1"])
    return holder


async def spend(market: Engine, member: int, kind: str, pieces: int) -> None:
    """Spend ten points a piece."""
    for n in range(pieces):
        order = wish(member, f"x-{kind.lower()}", key=f"{kind}{n}", partner="market")
        await redeem(market, order, NOW)


async def edit(market: Engine, revision: int, kind: str, amount: str, at: datetime) -> None:
    """Another revision of the purchase A, of one line."""
    partner = find_partner(market.rulebook, "market")
    unit = check_edit(partner, "A", revision, at, [LineInput(kind, amount)], "USD")
    (outcome,) = await record(market, [unit], at, historical=True)
    assert isinstance(outcome, Returned), outcome


async def test_what_the_policy_let_go_is_not_given_again(market: Engine, member: int) -> None:
    """Earn 100, spend 100, down to 1 (99 are let go) and up: nothing is left to spend."""
    await buy(market, "A", ("SOFT", "100.00"))
    await spend(market, member, "SOFT", 10)
    for revision in range(2, 8):
        await edit(market, revision, "SOFT", "100.00" if revision % 2 else "1.00", NOW)
        assert await balances(market, member, NOW) == {}
    await edit(market, 8, "SOFT", "120.00", NOW)
    assert await balances(market, member, NOW) == {"SOFT": (20, 0, 0, 0)}
    assert await prove() == []


@pytest.mark.parametrize("amounts", [[], ["1.00", "90.00"], ["1.00", "40.00", "1.00", "90.00"]])
async def test_what_expired_is_counted_once_however_often_an_order_is_edited(
    market: Engine, member: int, amounts: list[str]
) -> None:
    """Earn 90, spend 50, 40 expire: the cancel makes the 50 owed, edited before or not."""
    await buy(market, "A", ("PLAIN", "90.00"))
    await spend(market, member, "PLAIN", 5)
    late = NOW + days(95)
    await nightly.run(market, late)
    for revision, amount in enumerate(amounts, 2):
        await edit(market, revision, "PLAIN", amount, late)
    await cancelled(market, "A", late)
    assert await balances(market, member, late) == {"PLAIN": (0, 0, 0, 50)}
    assert await prove() == []
