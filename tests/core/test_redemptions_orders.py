"""Redemptions that name an order: they go back with it, in one transaction with whatever else does.

Quantity and money beside the points stand here too, and what a redemption costs in statements.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import asyncpg
import pytest

from core.bought import Returned
from core.check import prove
from core.db import transaction
from core.errors import BadInput, IdempotencyConflict, NotEligible, Refusal
from core.paying import PayRequest, pay
from core.posting import Engine, write
from core.redeemed import Redemption, Status
from core.redemptions import redeem
from core.returning import record
from core.returns import check_cancel
from core.reversals import (
    ReverseRequest,
    lock_orders,
    reverse_for_order,
    reverse_redemption,
    spent_on,
)
from core.settling import open_holders
from laurels import Money
from tests.core.counter import ORDER, fill, left, member, open_counter, take, want
from tests.core.shop import balance, days, dump, earn
from tests.schema.client import statements
from tests.support import NOW, scalar


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.counter` on a fresh database."""
    return await open_counter()


@pytest.fixture
async def ada(shop: Engine) -> int:
    """A member with 350 stars and as many moons."""
    return await member(shop)


async def cancel_order(
    shop: Engine, holder: int, partner: str = "grocer", at: datetime = NOW, *, fail: bool = False
) -> list[Redemption]:
    """What the cancel of an order does with its redemptions."""
    number = shop.rulebook.partners[partner].id
    order = (number, ORDER)
    async with transaction() as connection:
        assert await lock_orders(connection, [order]) in ([], [holder])
        batch = await open_holders(connection, shop.rulebook, shop.ids, [holder], at)
        spent = await spent_on(connection, shop, batch, [order])
        ended = reverse_for_order(batch, spent, order, at)
        # A second look within the same batch finds nothing more to do.
        assert reverse_for_order(batch, spent, order, at) == []
        await write(connection, batch)
        if fail:
            raise asyncpg.InterfaceError("the connection is lost")
    return ended


async def test_everything_on_an_order_goes_back_with_it(shop: Engine, ada: int) -> None:
    await fill(shop)
    mug = await take(shop, ada, "mug", key="1", order=ORDER, quantity=3)
    held = await take(shop, ada, "mug", key="2", order=ORDER, hold="1D")
    seat = await take(shop, ada, "cinema", key="3", order=ORDER, hold="1D")
    bill = PayRequest(
        "till", "4", "grocer", ada, "pay-with-points", Money(2000, "USD"), 100, order=ORDER
    )
    paid = await pay(shop, bill, NOW)
    vase = await take(shop, ada, "vase", key="5", order=ORDER)  # final by its terms: goes too
    other = await take(shop, ada, "bag", key="6", order="O-2")
    await take(shop, ada, "tea", key="7", order=ORDER, partner="rival")
    late = NOW + days(0.9)
    ended = await cancel_order(shop, ada, at=late)
    assert [(x.id, x.status) for x in ended] == [
        (mug.id, Status.REVERSED),
        (held.id, Status.CANCELLED),
        (seat.id, Status.CANCELLED),
        (paid.id, Status.REVERSED),
        (vase.id, Status.REVERSED),
    ]
    assert {x.reason for x in ended} == {"order-cancelled", None}
    found = await balance(shop, ada, late)
    assert (found["active"], found["reserved"]) == (350 - 100 - 10, 0)
    assert (await left(shop, "mug"), await left(shop, "cinema")) == (5, 3)
    stands = await scalar(
        "SELECT array_agg(id) FROM redemption WHERE status = 2 AND id = $1", other.id
    )
    assert stands == [other.id]
    booked = "SELECT count(DISTINCT booked_at)::int FROM decision WHERE kind IN (5, 13)"
    assert await scalar(booked) == 5
    assert await prove() == []
    assert await cancel_order(shop, ada, at=late) == []
    assert len(await cancel_order(shop, ada, "rival", late)) == 1
    assert await prove() == []


async def test_what_ends_with_an_order_ends_with_its_transaction(shop: Engine, ada: int) -> None:
    await take(shop, ada, "mug", order=ORDER, quantity=5)
    before = await dump()
    with pytest.raises(asyncpg.InterfaceError):
        await cancel_order(shop, ada, fail=True)
    assert await dump() == before


async def test_what_another_spent_on_a_purchase_goes_back_to_that_one(
    shop: Engine, ada: int
) -> None:
    """P1 is Ada's; Bob paid part of it, and has something of his own; a return beside it stands."""
    bob = await member(shop, "2")
    await earn(shop, "Q1", "20.00", "2")
    done = await take(shop, bob, "mug", order="P1")
    await take(shop, bob, "mug", key="2", order="P2")
    await take(shop, ada, "mug", key="3", order="P1")
    before = await balance(shop, bob, NOW)
    grocer = shop.rulebook.partners["grocer"]
    units = [check_cancel(grocer, name, NOW) for name in ("Q1", "P1")]
    first, second = await record(shop, units, NOW)
    assert isinstance(first, Returned)
    assert isinstance(second, Returned)
    after = await balance(shop, bob, NOW)
    assert after["active"] == before["active"] - 20 + done.points
    stands = await scalar("SELECT array_agg(status::int ORDER BY id) FROM redemption")
    assert stands == [Status.REVERSED, Status.COMPLETED, Status.REVERSED]
    assert (await balance(shop, ada, NOW))["arrears"] == 0
    assert await prove() == []


async def test_many_cancels_send_no_more_statements_than_one(shop: Engine, ada: int) -> None:
    """Each with two redemptions on it; the control shows that the counter counts."""
    grocer = shop.rulebook.partners["grocer"]
    for n in range(7):
        await earn(shop, f"S{n}", "300.00")
        await take(shop, ada, "mug" if n < 4 else "bag", key=f"m{n}", order=f"S{n}")
        await take(shop, ada, "bag", key=f"b{n}", order=f"S{n}", hold="1D")
    counts = []
    for names in (["S0"], ["S1", "S2", "S3", "S4", "S5", "S6"]):
        units = [check_cancel(grocer, name, NOW) for name in names]
        with statements() as sent:
            outcomes = await record(shop, units, NOW)
        assert all(isinstance(x, Returned) for x in outcomes)
        counts.append(len(sent))
    assert counts[0] == counts[1] > 10
    assert await prove() == []


async def test_what_was_reversed_before_stays_as_it_is(shop: Engine, ada: int) -> None:
    done = await take(shop, ada, order=ORDER)
    await reverse_redemption(shop, ReverseRequest("till", "r", ada, done.id, "damaged"), NOW)
    assert await cancel_order(shop, ada) == []
    assert (await balance(shop, ada, NOW))["active"] == 350


async def test_the_cancel_of_a_purchase_takes_its_redemptions_with_it(
    shop: Engine, ada: int
) -> None:
    """By the way that a cancel comes; and from then on nothing more is taken for that order."""
    done = await take(shop, ada, "mug", order="P1", quantity=2)
    held = await take(shop, ada, "mug", key="2", order="P1", hold="1D")
    unit = check_cancel(shop.rulebook.partners["grocer"], "P1", NOW)
    (outcome,) = await record(shop, [unit], NOW)
    assert isinstance(outcome, Returned)
    stands = await scalar("SELECT array_agg(status::int ORDER BY id) FROM redemption")
    assert (done.id < held.id, stands) == (True, [Status.REVERSED, Status.CANCELLED])
    found = await balance(shop, ada, NOW)
    assert (found["active"], found["reserved"], found["arrears"]) == (0, 0, 0)
    assert await left(shop, "mug") == 5
    assert await prove() == []
    await earn(shop, "P9", "350.00")
    bill = PayRequest("till", "b", "grocer", ada, "pay-with-points", Money(2000, "USD"), order="P1")
    before = await dump()
    for call in (redeem(shop, want(ada, key="3", order="P1"), NOW), pay(shop, bill, NOW)):
        with pytest.raises(NotEligible, match="this order was cancelled") as caught:
            await call
        assert caught.value.path == ("order",)
    assert await dump() == before
    await take(shop, ada, "tea", key="4", order="P1", partner="rival")  # another's order


@pytest.mark.parametrize("order", ["", "x" * 201, "\0"])
async def test_an_order_is_named_by_an_external_id(shop: Engine, ada: int, order: str) -> None:
    before = await dump()
    bill = PayRequest(
        "till", "k", "grocer", ada, "pay-with-points", Money(2000, "USD"), order=order
    )
    for call in (redeem(shop, want(ada, order=order), NOW), pay(shop, bill, NOW)):
        with pytest.raises(BadInput) as caught:
            await call
        assert caught.value.path == ("order",)
    assert await dump() == before


async def test_two_gift_cards_are_two_codes(shop: Engine, ada: int) -> None:
    """Odoo's own example: two gift cards of 50 give two codes."""
    done = await take(shop, ada, "card", quantity=2)
    assert (done.quantity, done.points, done.worth) == (2, 100, Money(1000, "USD"))
    assert len(set(done.codes)) == 2
    assert await scalar("SELECT array_agg(state) FROM voucher") == [2, 2]
    assert (await balance(shop, ada, NOW))["active"] == 250
    assert await prove() == []


async def test_part_points_part_money(shop: Engine, ada: int) -> None:
    done = await take(shop, ada, "mug", quantity=3)
    assert (done.points, done.cash) == (30, Money(750, "USD"))
    content = await scalar("SELECT content::json -> 'r' FROM decision WHERE kind = 2")
    assert content == (f'[{done.id},{done.reward},30,"",0,"",3,750,"USD",1,0,"","30D",0]')
    assert await redeem(shop, want(ada, "mug", quantity=3), NOW) == replace(done, replayed=True)
    assert await prove() == []


@pytest.mark.parametrize(
    ("how", "kind", "path"),
    [
        ({"quantity": 0}, BadInput, "quantity"),
        ({"quantity": 101}, BadInput, "quantity"),
        ({"quantity": -1}, BadInput, "quantity"),
        ({"quantity": 6}, NotEligible, "reward"),  # five are there
        ({"quantity": 36}, NotEligible, "reward"),  # points for thirty-five
    ],
)
async def test_a_quantity_that_cannot_be_had_takes_nothing(
    shop: Engine, ada: int, how: dict[str, int], kind: type[Refusal], path: str
) -> None:
    before = await dump()
    with pytest.raises(kind) as caught:
        await take(shop, ada, "mug", **how)
    assert caught.value.path == (path,)
    assert await dump() == before


@pytest.mark.parametrize("field", ["quantity", "order"])
async def test_a_key_stands_for_the_quantity_and_the_order_too(
    shop: Engine, ada: int, field: str
) -> None:
    await take(shop, ada, "mug", quantity=2, order=ORDER)
    how: dict[str, object] = {"quantity": 2, "order": ORDER}
    how[field] = {"quantity": 3, "order": None}[field]
    before = await dump()
    with pytest.raises(IdempotencyConflict):
        await take(shop, ada, "mug", **how)
    assert await dump() == before


async def test_many_pieces_cost_as_many_statements_as_one(shop: Engine) -> None:
    ada = await member(shop, dollars="9000.00")
    await fill(shop, "cinema", *(f"C{n}" for n in range(200)))
    for reward in ("bag", "cinema"):
        counts = []
        for n in (1, 2, 80):
            with statements() as sent:
                done = await take(shop, ada, reward, key=f"{reward}{n}", quantity=n)
                request = ReverseRequest("till", f"r{reward}{n}", ada, done.id, "damaged")
                await reverse_redemption(shop, request, NOW)
            counts.append(len(sent))
        assert counts == [counts[0]] * 3, (reward, counts)
    assert await prove() == []


async def test_many_redemptions_on_an_order_cost_as_many_statements_as_one(
    shop: Engine, ada: int
) -> None:
    counts = []
    for n in (1, 2, 5):
        for m in range(n):
            await take(shop, ada, "mug", key=f"{n}.{m}", order=ORDER)
        with statements() as sent:
            assert len(await cancel_order(shop, ada)) == n
        counts.append(len(sent))
    assert counts == [counts[0]] * 3
    assert await left(shop, "mug") == 5
