"""Orders ahead: held whole or not at all, redeemed with their purchase, given back without one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from core.ahead import OrderRequest, State, Wanted, call_off, place, state_of
from core.check import prove
from core.collecting import name_of, number_of
from core.errors import BadInput, IdempotencyConflict, NotEligible, UnknownReference, WrongState
from core.outcomes import Recorded
from core.posting import Engine
from core.purchases import LineInput, find_partner
from core.redemptions import redeem, time_out
from core.returning import record
from core.returns import check_cancel
from core.store import ahead as store
from core.store.ahead import OrderRow
from tests.core.club import forge
from tests.core.counter import left, member, open_counter
from tests.core.counter import want as request
from tests.core.shop import balance
from tests.schema.client import statements
from tests.support import NOW, enrol_cards, receipt, scalar

HOUR = timedelta(hours=1)
LINES = (LineInput("tea", "4.00"),)


def want(holder: int, *redeem: Wanted, key: str = "k", **other: Any) -> OrderRequest:
    """An order at the grocer for an hour later."""
    made = OrderRequest("me", key, "grocer", holder, "", NOW + HOUR, "USD", LINES, "", redeem)
    return made._replace(**other)


async def has(engine: Engine, holder: int) -> tuple[int, int]:
    """Stars that are active, and held."""
    found = await balance(engine, holder, NOW + 9 * HOUR)
    return found["active"], found["reserved"]


async def now_is(order: OrderRow, hours: int) -> State:
    found = (await store.orders([(order.holder, order.id)]))[order.holder, order.id]
    return state_of(found, NOW + hours * HOUR)


async def collect(engine: Engine, order: OrderRow, card: str = "1", hours: int = 1) -> None:
    """The shop records its purchase: four stars and moons."""
    at = NOW + hours * HOUR
    item = receipt(engine, name_of(order.id), card, at, ("tea", "4.00"))
    (outcome,) = await engine.record_purchases([item], at)
    assert isinstance(outcome, Recorded), outcome


async def test_what_is_held_is_redeemed_with_the_purchase_in_one_transaction(
    database: str,
) -> None:
    """350 stars less two mugs and a bag: 230; with four for the purchase 234."""
    engine = await open_counter()
    holder = await member(engine)
    order, replayed = await place(engine, want(holder, Wanted("mug", 2), Wanted("bag")), NOW)
    assert (replayed, await has(engine, holder)) == (False, (230, 120))
    assert await left(engine, "mug") == 3
    await collect(engine, order)
    assert await has(engine, holder) == (234, 0)
    assert await now_is(order, 1) is State.COLLECTED
    assert await scalar("SELECT count(*) FROM redemption WHERE status = 2") == 2
    await collect(engine, order)  # sent again, it is the same
    assert await has(engine, holder) == (234, 0)
    # The shop takes the purchase back: its rewards go back with it.
    cancel = check_cancel(
        find_partner(engine.rulebook, "grocer"), name_of(order.id), NOW + 2 * HOUR
    )
    await record(engine, [cancel], NOW + 2 * HOUR)
    assert await has(engine, holder) == (350, 0)
    assert await left(engine, "mug") == 5
    assert await prove() == []


async def test_all_rewards_are_held_or_none_and_then_there_is_no_order(database: str) -> None:
    """350 stars: three bags are 300, and a card 50, and not another mug."""
    engine = await open_counter()
    holder = await member(engine)
    bags = Wanted("bag", 3)
    for more, error in (
        ((Wanted("card"), Wanted("mug")), NotEligible),
        ((Wanted("mug", 6),), NotEligible),
        ((Wanted("gone"),), UnknownReference),
        ((Wanted("lamp", 1, "STAR"),), BadInput),
        ((Wanted("mug", 0),), BadInput),
        ((Wanted("mug"),) * 10, BadInput),
    ):
        with pytest.raises(error):
            await place(engine, want(holder, bags, *more), NOW)
    assert await scalar("SELECT count(*) FROM ahead_order") == 0
    assert await scalar("SELECT count(*) FROM request_key") == 0
    assert await has(engine, holder) == (350, 0)
    assert await left(engine, "mug") == 5
    await place(engine, want(holder, bags, Wanted("card")), NOW)
    assert await has(engine, holder) == (0, 350)
    assert await prove() == []


async def test_a_key_is_one_order_and_another_order_with_it_is_refused(database: str) -> None:
    engine = await open_counter()
    holder = await member(engine)
    asked = want(holder, Wanted("bag"))
    done = await asyncio.gather(*(place(engine, asked, NOW) for _ in range(4)))
    assert sorted(replayed for _, replayed in done) == [False, True, True, True]
    assert len({order.id for order, _ in done}) == 1
    assert await has(engine, holder) == (250, 100)
    # Also long after it was to be ready.
    assert (await place(engine, asked, NOW + 99 * HOUR))[1]
    with pytest.raises(IdempotencyConflict):
        await place(engine, want(holder, Wanted("mug")), NOW)


@pytest.mark.parametrize(
    ("other", "path"),
    [
        ({"pickup_at": NOW - HOUR}, ("pickupAt",)),
        ({"pickup_at": NOW + timedelta(days=8)}, ("pickupAt",)),
        ({"lines": ()}, ("lines",)),
        ({"lines": LINES * 101}, ("lines",)),
        ({"lines": (LineInput("tea", "-1"),)}, ("lines", 0, "amount")),
        ({"tender": "two words"}, ("tender",)),
        ({"store": "s" * 101}, ("store",)),
        ({"key": ""}, ("key",)),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_field(
    database: str, other: dict[str, Any], path: tuple[Any, ...]
) -> None:
    engine = await open_counter()
    holder = await member(engine)
    with pytest.raises(BadInput) as refused:
        await place(engine, want(holder, **other), NOW)
    assert refused.value.path == path
    assert await scalar("SELECT count(*) FROM ahead_order") == 0


async def test_an_order_that_is_called_off_or_over_gives_back_and_is_called_off_once(
    database: str,
) -> None:
    engine = await open_counter()
    holder = await member(engine)
    order, _ = await place(engine, want(holder, Wanted("mug"), Wanted("bag")), NOW)
    assert (await call_off(engine, holder, order.id, "me", "x", NOW))[1] is False
    assert (await call_off(engine, holder, order.id, "me", "x", NOW))[1] is True
    with pytest.raises(WrongState, match="cancelled already"):
        await call_off(engine, holder, order.id, "me", "y", NOW)
    assert await has(engine, holder) == (350, 0)
    assert await left(engine, "mug") == 5
    # Recorded nevertheless, it is a purchase like any other, and stays called off.
    await collect(engine, order)
    assert (await has(engine, holder), await now_is(order, 1)) == ((354, 0), State.CANCELLED)
    late, _ = await place(engine, want(holder, Wanted("mug"), key="l"), NOW)
    assert (await now_is(late, 2), await now_is(late, 3)) == (State.PLACED, State.NOT_COLLECTED)
    with pytest.raises(WrongState, match="not collected already"):
        await call_off(engine, holder, late.id, "me", "z", NOW + 3 * HOUR)
    assert await time_out(engine, NOW + 3 * HOUR) == 1
    assert await has(engine, holder) == (354, 0)
    # Collected late all the same: nothing is redeemed any more.
    await collect(engine, late, hours=4)
    assert (await has(engine, holder), await now_is(late, 4)) == ((358, 0), State.COLLECTED)
    assert await prove() == []


async def test_only_its_own_member_at_its_own_partner_collects_an_order(database: str) -> None:
    engine = await open_counter()
    holder = await member(engine)
    await enrol_cards(["2"])
    order, _ = await place(engine, want(holder, Wanted("mug")), NOW)
    at = NOW + HOUR
    theirs = receipt(engine, name_of(order.id), "1", at, ("tea", "4.00"), partner="rival")
    await engine.record_purchases([theirs], at)
    await collect(engine, order, "2")
    assert (await has(engine, holder), await now_is(order, 1)) == ((340, 10), State.PLACED)
    assert await time_out(engine, NOW + 3 * HOUR) == 1
    assert await has(engine, holder) == (350, 0)
    assert await prove() == []


async def test_collected_and_called_off_at_once_it_is_one_of_the_two(database: str) -> None:
    engine = await open_counter()
    holder = await member(engine)
    for n in range(5):  # as many mugs as there are, should all be collected
        order, _ = await place(engine, want(holder, Wanted("mug", 1), key=f"k{n}"), NOW)
        done = await asyncio.gather(
            collect(engine, order),
            call_off(engine, holder, order.id, "me", f"x{n}", NOW + HOUR),
            return_exceptions=True,
        )
        state = await now_is(order, 1)
        refused = isinstance(done[1], WrongState)
        assert (state, refused) in ((State.COLLECTED, True), (State.CANCELLED, False))
        status = await scalar(
            "SELECT status FROM redemption WHERE order_id = $1", name_of(order.id)
        )
        assert status == (2 if refused else 3)
    assert await prove() == []


async def test_purchases_of_no_order_cost_no_statement(database: str) -> None:
    engine = await open_counter()
    await member(engine)

    async def cost(name: str) -> int:
        item = receipt(engine, name, "1", NOW, ("tea", "4.00"))
        with statements() as sent:
            await engine.record_purchases([item], NOW)
        return len(sent)

    await cost("A")
    plain = await cost("B")
    assert (await cost("ahead-x"), await cost("ahead-7")) == (plain, plain + 1)


def test_a_name_is_an_orders_or_it_is_not() -> None:
    assert number_of(name_of(7)) == 7
    for text in ("7", "ahead-", "ahead-x", "ahead-\u0667", "ahead-" + "9" * 19, "Ahead-7", ""):
        assert number_of(text) is None


async def test_what_others_hold_on_an_order_stays_theirs_when_it_is_collected(
    database: str,
) -> None:
    """Anybody may name an order, and its number can be guessed: no purchase fails for that."""
    engine = await open_counter()
    holder, other = await member(engine), await member(engine, "2")
    order, _ = await place(engine, want(holder, Wanted("mug")), NOW)
    named = name_of(order.id)
    await redeem(engine, request(other, "bag", key="o", order=named, hold="5h"), NOW)
    at = NOW + HOUR
    items = [
        receipt(engine, name, card, at, ("tea", "4.00"))
        for name, card in (("X", "2"), (named, "1"))  # the other one is in the batch, too
    ]
    for outcome in await engine.record_purchases(items, at):
        assert isinstance(outcome, Recorded), outcome
    order, _ = await place(engine, want(holder, Wanted("mug"), key="l"), at)
    await redeem(engine, request(other, "bag", key="p", order=name_of(order.id), hold="5h"), at)
    await collect(engine, order, hours=2)
    assert await scalar("SELECT count(*) FROM redemption WHERE status = 2") == 2
    assert await scalar("SELECT count(*) FROM redemption WHERE status = 1") == 2
    assert await time_out(engine, NOW + 9 * HOUR) == 2
    assert (await has(engine, holder), await has(engine, other)) == ((338, 0), (354, 0))
    assert await prove() == []


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE ahead_order SET purchase_id = purchase_id + 1",
        "UPDATE event SET external_id = 'ahead-1' WHERE external_id LIKE 'ahead-%'",
        "UPDATE ahead_order SET closed_at = placed_at WHERE closed_at IS NULL",
    ],
)
async def test_a_falsified_order_is_named(database: str, forgery: str) -> None:
    engine = await open_counter()
    holder = await member(engine)
    order, _ = await place(engine, want(holder, Wanted("mug")), NOW)
    await collect(engine, order)
    await place(engine, want(holder, Wanted("mug"), key="l"), NOW + HOUR / 2)
    assert await prove() == []
    await forge(database, forgery)
    assert "orders ahead = their purchases" in {found.check for found in await prove()}
