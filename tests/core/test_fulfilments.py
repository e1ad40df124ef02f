"""Rewards that a person hands out: requests, decisions on them, and two that decide at once."""

from __future__ import annotations

import asyncio

import pytest

from core.ahead import OrderRequest, place
from core.check import prove
from core.collecting import name_of
from core.errors import IdempotencyConflict, Refusal, UnknownReference, WrongState
from core.fulfilments import DecideRequest, decide
from core.gifts import give
from core.outcomes import Recorded
from core.posting import Engine
from core.pricing import RedeemRequest
from core.purchases import LineInput
from core.redeemed import Redemption, Status
from core.redemptions import cancel, confirm, redeem
from core.store import fulfilments as store
from core.store.fulfilments import Wanted
from core.store.redemptions import stock_left
from tests.core.club import forge
from tests.core.lantern import asked, held, hire, open_company, pay_out
from tests.core.shop import dump
from tests.support import DAY, NOW, books, receipt


async def wished(engine: Engine) -> tuple[int, Redemption]:
    """Somebody who has 30 kudos asks for a mug of 10."""
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 100)
    await give(engine, asked(ada, bob, 30), NOW)
    done = await redeem(engine, RedeemRequest("member", "w", "club", bob, "mug"), NOW)
    return bob, done


def request(holder: int, number: int, approved: bool, key: str = "d") -> DecideRequest:
    return DecideRequest("office", key, holder, number, approved, "" if approved else "No more")


async def outcome(engine: Engine, asked: DecideRequest) -> Redemption | Refusal:
    """What became of a decision."""
    try:
        return await decide(engine, asked, NOW)
    except Refusal as refusal:
        return refusal


async def state(holder: int, number: int) -> int:
    """How far a request has come."""
    found = await store.read(holder, number, NOW)
    assert found is not None
    return found.state


async def test_a_request_holds_points_and_stock_until_it_is_delivered(database: str) -> None:
    engine = await open_company()
    mug = engine.rulebook.partners["club"].rewards["mug"].id
    bob, done = await wished(engine)
    assert (done.status, done.hold_until, await state(bob, done.id)) == (
        Status.HELD, NOW + 14 * DAY, 1,
    )  # fmt: skip
    assert (await held(bob), await stock_left([mug])) == ({"KUDOS": 20}, {mug: 1})
    with pytest.raises(WrongState, match="waits to be approved"):
        await confirm(engine, bob, done.id, "office", "early", NOW)
    await decide(engine, request(bob, done.id, True), NOW)
    again = await decide(engine, request(bob, done.id, True), NOW + DAY)
    assert (again.replayed, await state(bob, done.id)) == (True, 2)
    with pytest.raises(IdempotencyConflict):
        await decide(engine, request(bob, done.id, False), NOW)
    with pytest.raises(WrongState, match="doesn't wait"):
        await decide(engine, request(bob, done.id, True, "2"), NOW)
    given = await confirm(engine, bob, done.id, "office", "done", NOW)
    assert (given.status, await state(bob, done.id)) == (Status.COMPLETED, 3)
    assert (await held(bob), await stock_left([mug])) == ({"KUDOS": 20}, {mug: 1})
    assert await prove() == []


@pytest.mark.parametrize("approved", [False, True])
async def test_what_is_declined_gives_everything_back(database: str, approved: bool) -> None:
    """Before it is approved, and after."""
    engine = await open_company()
    mug = engine.rulebook.partners["club"].rewards["mug"].id
    bob, done = await wished(engine)
    if approved:
        await decide(engine, request(bob, done.id, True, "yes"), NOW)
    ended = await decide(engine, request(bob, done.id, False), NOW)
    assert (ended.status, await state(bob, done.id)) == (Status.CANCELLED, 4)
    assert (await held(bob), await stock_left([mug])) == ({"KUDOS": 30}, {mug: 2})
    (row,) = (await books(["fulfilment"]))["fulfilment"]
    assert row["reason"] == "No more"
    assert "No more" not in str({k: v for k, v in (await dump()).items() if k != "fulfilment"})
    assert (await state(bob, done.id), await prove()) == (4, [])


async def test_two_who_decide_at_once_decide_once(database: str) -> None:
    engine = await open_company()
    bob, done = await wished(engine)
    yes = [request(bob, done.id, True, f"y{n}") for n in range(3)]
    told = await asyncio.gather(*(outcome(engine, each) for each in yes))
    assert sorted(type(x).__name__ for x in told) == ["Redemption", "WrongState", "WrongState"]
    told = await asyncio.gather(
        *(outcome(engine, request(bob, done.id, False, f"n{n}")) for n in range(3))
    )
    assert sorted(type(x).__name__ for x in told) == ["Redemption", "WrongState", "WrongState"]
    assert (await held(bob), await state(bob, done.id)) == ({"KUDOS": 30}, 4)
    assert await prove() == []


async def test_what_is_no_request_is_not_decided_on(database: str) -> None:
    engine = await open_company()
    bob, done = await wished(engine)
    before = await dump()
    with pytest.raises(UnknownReference):
        await decide(engine, request(bob, 5, True), NOW)
    with pytest.raises(WrongState):  # its time has run out
        await decide(engine, request(bob, done.id, True), NOW + 14 * DAY)
    assert await dump() == before
    await cancel(engine, bob, done.id, "member", "c", NOW)
    assert isinstance(await outcome(engine, request(bob, done.id, False)), WrongState)
    found = await store.page(Wanted(holder=bob, state=5), NOW, None, 5)
    assert [x.redemption.id for x in found] == [done.id]
    assert await prove() == []


async def test_what_waits_for_a_person_is_not_delivered_with_an_order(database: str) -> None:
    """Whoever names an order of its own on a request doesn't approve it by collecting that."""
    engine = await open_company()
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 100)
    await give(engine, asked(ada, bob, 30), NOW)
    lines = (LineInput("tea", "4.00"),)
    wanted = OrderRequest("member", "o", "club", bob, "", NOW + DAY, "USD", lines)
    order, _ = await place(engine, wanted, NOW)
    named = name_of(order.id)
    done = await redeem(engine, RedeemRequest("member", "w", "club", bob, "mug", order=named), NOW)
    item = receipt(engine, named, "2", NOW + DAY, ("tea", "4.00"), partner="club")
    (outcome,) = await engine.record_purchases([item], NOW + DAY)
    assert isinstance(outcome, Recorded), outcome
    assert await state(bob, done.id) == 1
    await decide(engine, request(bob, done.id, True), NOW + DAY)
    await confirm(engine, bob, done.id, "office", "c", NOW + DAY)
    assert await state(bob, done.id) == 3
    assert await prove() == []


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE fulfilment SET approved = NULL, decided_at = NULL, caller = NULL",
        "UPDATE fulfilment SET approved = false",
        "UPDATE fulfilment SET requested_at = requested_at + interval '1 hour'",
    ],
)
async def test_a_falsified_request_is_named(database: str, forgery: str) -> None:
    engine = await open_company()
    bob, done = await wished(engine)
    await decide(engine, request(bob, done.id, True), NOW)
    await confirm(engine, bob, done.id, "office", "c", NOW)
    assert await prove() == []
    await forge(database, forgery)
    (found,) = await prove()
    assert (found.check, found.where) == (
        "requests = their redemptions", f"request {bob}/{done.id}",
    )  # fmt: skip
