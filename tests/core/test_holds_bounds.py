"""How long a hold lasts, how many a member has, and whose the thing is after its time."""

from __future__ import annotations

import pytest

from core import redemptions
from core.check import prove
from core.errors import BadInput, NotEligible
from core.posting import Engine
from core.redeemed import Status
from core.redemptions import confirm, redeem
from core.store.redemptions import stock_left
from tests.core.shop import days, dump, earn, open_shop, wish
from tests.support import NOW, enrol_cards, scalar


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.shop` on a fresh database."""
    return await open_shop()


async def mugs(shop: Engine) -> int:
    """What is left of them."""
    number = shop.rulebook.partners["grocer"].rewards["mug"].id
    return (await stock_left([number]))[number]


@pytest.mark.parametrize("hold", ["1h_DD", "1h_DY", "32D", "1Y"])
async def test_a_hold_ends_later_than_it_begins_and_within_a_month(shop: Engine, hold: str) -> None:
    """Rounded down, an hour from now may lie before now: before the points went."""
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "100.00")
    before = await dump()
    with pytest.raises(BadInput, match="later than it begins, 31 days at most") as refused:
        await redeem(shop, wish(holder, hold=hold), NOW)
    assert refused.value.path == ("hold",)
    assert await dump() == before


async def test_a_member_holds_a_hundred_things_at_once(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redemptions, "MOST_HOLDS", 2)
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "500.00")
    held = [await redeem(shop, wish(holder, key=str(n), hold="1D"), NOW) for n in range(2)]
    before = await dump()
    with pytest.raises(NotEligible, match="2 are held already: confirm or cancel") as refused:
        await redeem(shop, wish(holder, key="3", hold="1D"), NOW)
    assert refused.value.path == ("hold",)
    assert await dump() == before
    await redeem(shop, wish(holder, key="4"), NOW)  # at once it goes
    await confirm(shop, holder, held[0].id, "till", "5", NOW)
    await redeem(shop, wish(holder, key="6", hold="1D"), NOW)
    assert await prove() == []


@pytest.mark.parametrize("day", [0.9, 1])
async def test_what_others_hold_beyond_its_time_is_on_the_shelf_again(
    shop: Engine, day: float
) -> None:
    """No job has run; before its time it is theirs."""
    ada, bob, eve = await enrol_cards(["1", "2", "3"])
    for name, card in (("A", "1"), ("B", "2"), ("C", "3")):
        await earn(shop, name, "100.00", card)
    for holder in (ada, eve):
        await redeem(shop, wish(holder, "mug", key=str(holder), hold="1D"), NOW)
    assert await mugs(shop) == 0
    late = NOW + days(day)
    if day < 1:
        before = await dump()
        with pytest.raises(NotEligible, match="'A mug' is out of stock"):
            await redeem(shop, wish(bob, "mug"), late)
        assert await dump() == before
    else:
        done = await redeem(shop, wish(bob, "mug"), late)
        assert done.status is Status.COMPLETED
        assert await mugs(shop) == 1
        assert await scalar("SELECT count(*) FROM redemption WHERE status = 4") == 2
    assert await prove() == []
