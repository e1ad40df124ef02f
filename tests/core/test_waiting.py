"""What comes before its purchase, and what that does to points that would be lost meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import asyncpg
import pytest

from core import nightly, returning
from core.bought import Returned
from core.check import prove
from core.db import transaction
from core.errors import IdempotencyConflict, NotEligible
from core.posting import Engine, LostRace
from core.purchases import find_partner
from core.redeemed import Status
from core.redemptions import redeem
from core.returning import Outcome, Waiting, match_waiting, record
from core.returns import check_cancel
from core.store.returns import Waits, wait
from tests.core import counter
from tests.core.market import balances, bring_back, buy, line, open_market, shipped
from tests.core.shop import balance, days, dump, wish
from tests.schema.client import statements
from tests.support import NOW, enrol_cards, receipt, scalar


@pytest.fixture
async def market(database: str) -> Engine:
    """The market of `tests.core.market` on a fresh database."""
    return await open_market()


@pytest.fixture
async def member(market: Engine) -> int:
    """A member with the card 1."""
    (holder,) = await enrol_cards(["1"])
    return holder


# -- events that pending points wait for -----------------------------------------------------------


@pytest.mark.parametrize("told", [21, 31, 45])
async def test_an_event_in_time_saves_points_of_a_purchase_that_comes_late(
    market: Engine, member: int, told: float
) -> None:
    """Points wait for `shipped` 30 days; it came on day 20, the purchase is told on day 40."""
    assert isinstance(await shipped(market, "P", NOW + days(20)), Waiting)
    now = NOW + days(max(told, 40))
    await buy(market, "P", ("SENT", "30.00"), at=NOW, now=now)
    assert await balances(market, member, now) == {"SENT": (30, 0, 0, 0)}
    for day, read in ((19, (0, 30, 0, 0)), (20, (30, 0, 0, 0)), (79, (30, 0, 0, 0)), (80, None)):
        found = await balances(market, member, NOW + days(day))
        assert found == ({} if read is None else {"SENT": read}), day
    assert await scalar("SELECT count(*) FROM waiting") == 0
    assert await scalar("SELECT array_agg(kind ORDER BY kind) FROM transfer") == [1, 7]
    assert await prove() == []


async def test_an_event_too_late_or_before_the_purchase_saves_nothing(
    market: Engine, member: int
) -> None:
    """The deadline is day 30; what is dated before its purchase stays, to be mended."""
    now = NOW + days(40)
    assert isinstance(await shipped(market, "P", NOW + days(30)), Waiting)
    assert isinstance(await shipped(market, "Q", NOW - days(1)), Waiting)
    for name in "PQ":
        await buy(market, name, ("SENT", "30.00"), at=NOW, now=now)
    assert await balances(market, member, now) == {}
    assert await scalar("SELECT array_agg(kind ORDER BY seq) FROM transfer") == [1, 9, 1, 9]
    assert await scalar("SELECT array_agg(problem) FROM waiting") == ["it lies before its purchase"]
    assert await prove() == []


async def test_an_event_in_time_is_an_event_of_its_own_where_nothing_would_lapse(
    market: Engine, member: int
) -> None:
    await shipped(market, "P", NOW + days(1))
    await buy(market, "P", ("SENT", "30.00"), at=NOW, now=NOW + days(2))
    kinds = (
        "SELECT array_agg(e.kind ORDER BY t.seq) FROM transfer t JOIN event e ON e.id = event_id"
    )
    assert await scalar(kinds) == [1, 11]
    assert await balances(market, member, NOW + days(2)) == {"SENT": (30, 0, 0, 0)}
    assert await prove() == []


async def test_an_event_told_in_time_is_heard_however_late_it_is_matched(
    market: Engine, member: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between the purchase's commit, on the last day, and the match."""
    await shipped(market, "P", NOW + days(20))

    async def dies(*_: object, **__: object) -> int:
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(returning, "match_waiting", dies)
        await buy(market, "P", ("SENT", "30.00"), at=NOW, now=NOW + days(29))
    assert await scalar("SELECT count(*) FROM waiting") == 1
    late = NOW + days(31)
    await nightly.run(market, late)
    assert await balances(market, member, late) == {"SENT": (30, 0, 0, 0)}
    assert await balances(market, member, NOW + days(20)) == {"SENT": (30, 0, 0, 0)}
    assert await scalar("SELECT array_agg(kind ORDER BY seq) FROM transfer") == [1, 7]
    assert await prove() == []


@pytest.mark.parametrize("spent", [False, True])
async def test_it_is_heard_before_what_else_brings_the_ledger_up_to_date(
    market: Engine, member: int, monkeypatch: pytest.MonkeyPatch, spent: bool
) -> None:
    """An order's cancel waits, too, and gives back what was spent; another's is matched with it."""
    await buy(market, "Z", ("SENT", "10.00"))
    await buy(market, "Y", ("PLAIN", "10.00"))
    await shipped(market, "Z", NOW)
    request = wish(member, "x-sent", key="1", partner="market")
    await redeem(market, replace(request, order="O" if spent else None), NOW)
    await shipped(market, "P", NOW + days(20))
    late = NOW + days(31)

    async def dies(*_: object, **__: object) -> int:
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(returning, "match_waiting", dies)
        await bring_back(market, "B", "Q", line(1, amount="1.00"), at=NOW + days(1))
        await buy(market, "P", ("SENT", "30.00"), at=NOW, now=NOW + days(29))
        await buy(market, "Q", ("PLAIN", "5.00"), at=NOW, now=NOW + days(29))
        grocer = find_partner(market.rulebook, "market")
        await record(market, [check_cancel(grocer, "O", NOW + days(29))], NOW + days(29))
    assert await match_waiting(market, late) == 2
    found = await balances(market, member, late)
    assert found["SENT"] == (40 if spent else 30, 0, 0, 0)
    assert found["PLAIN"] == (14, 0, 0, 0)
    assert await prove() == []


async def test_others_that_record_the_same_at_once_are_no_problem_of_what_waits(
    market: Engine, member: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bring_back(market, "B", "P", line(1, amount="1.00"))

    async def lost(*_: object, **__: object) -> None:
        raise LostRace

    with monkeypatch.context() as patch:
        patch.setattr(returning, "_record", lost)
        await buy(market, "P", ("PLAIN", "10.00"))
    assert await scalar("SELECT problem FROM waiting") == ""
    assert await match_waiting(market, NOW) == 1


async def test_orders_that_are_cancelled_unseen_cost_no_more_statements_than_one(
    market: Engine, member: int
) -> None:
    partner = find_partner(market.rulebook, "market")
    await buy(market, "A", ("PLAIN", "200.00"))
    counts = []
    for orders in (["O1"], ["O2", "O3", "O4", "O5", "O6"]):
        for order in orders:
            request = wish(member, "x-plain", key=order, partner="market")
            await redeem(market, replace(request, order=order), NOW)
        units = [check_cancel(partner, order, NOW) for order in orders]
        with statements() as sent:
            await record(market, units, NOW)
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert await scalar("SELECT count(*) FROM redemption WHERE status = 5") == 6
    assert await prove() == []


async def test_a_quote_of_what_is_awaited_books_nothing(market: Engine, member: int) -> None:
    await shipped(market, "P", NOW)
    before = await dump()
    items = [receipt(market, n, "1", NOW, ("PLAIN", "10.00"), partner="market") for n in "PQ"]
    assert len(await market.quote(items, NOW)) == 2
    assert await dump() == before


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_what_cant_be_read_costs_nobody_else_a_night(
    market: Engine, member: int, after: int
) -> None:
    """One of three that waited says what no return says: the others are booked, it says why."""
    names = ["P1", "P2", "P3"]
    for name in names:
        await bring_back(market, f"B{name}", name, line(1, amount="1.00"))
    bad = names.pop(after)
    async with transaction() as connection:
        await connection.execute(
            "UPDATE waiting SET content = '{\"lines\": 5}' WHERE purchase = $1", bad
        )
    await buy(market, bad, ("PLAIN", "10.00"))
    for name in names:
        await buy(market, name, ("PLAIN", "10.00"))
    assert await scalar("SELECT array_agg(purchase) FROM waiting") == [bad]
    assert (await scalar("SELECT problem FROM waiting")).startswith("it couldn't be booked: ")
    await nightly.run(market, NOW + days(1))
    assert await balances(market, member, NOW + days(1)) == {"PLAIN": (28, 0, 0, 0)}
    assert await prove() == []


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (asyncpg.SerializationError("others came first"), asyncpg.SerializationError),
        # Tried anew at once, again and again.
        (asyncpg.DeadlockDetectedError("two wait for each other"), IdempotencyConflict),
    ],
)
async def test_what_may_be_otherwise_in_a_moment_is_no_problem_of_what_waits(
    market: Engine,
    member: int,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    told: type[Exception],
) -> None:
    await bring_back(market, "B", "P", line(1, amount="1.00"))

    async def fails(*_: object, **__: object) -> None:
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(returning, "_record", fails)
        await buy(market, "P", ("PLAIN", "10.00"))
        with pytest.raises(told):
            await match_waiting(market, NOW)
    assert await scalar("SELECT problem FROM waiting") == ""
    assert await match_waiting(market, NOW) == 1
    assert await balances(market, member, NOW) == {"PLAIN": (9, 0, 0, 0)}


# -- orders that are cancelled before their purchase, or without one -------------------------------


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.counter` on a fresh database."""
    return await counter.open_counter()


@pytest.fixture
async def ada(shop: Engine) -> int:
    """A member with 350 stars and as many moons."""
    return await counter.member(shop)


async def cancel(shop: Engine, order: str, at: datetime = NOW) -> Outcome:
    """The cancel of an order of the grocer's."""
    unit = check_cancel(find_partner(shop.rulebook, "grocer"), order, at)
    (outcome,) = await record(shop, [unit], at)
    return outcome


async def test_a_cancel_gives_back_what_was_spent_though_its_purchase_never_comes(
    shop: Engine, ada: int
) -> None:
    bob = await counter.member(shop, "2")
    mug = await counter.take(shop, ada, "mug", order="O-1", quantity=2)
    held = await counter.take(shop, bob, "mug", key="2", order="O-1", hold="1D")
    await counter.take(shop, ada, "bag", key="3", order="O-2")
    await counter.take(shop, ada, "tea", key="4", order="O-1", partner="rival")
    before = await balance(shop, ada, NOW)
    assert isinstance(await cancel(shop, "O-1"), Waiting)
    after = await balance(shop, ada, NOW)
    assert after["active"] == before["active"] + mug.points
    assert (await balance(shop, bob, NOW))["reserved"] == 0
    stands = await scalar("SELECT array_agg(status::int ORDER BY id) FROM redemption")
    completed = Status.COMPLETED
    assert stands == [Status.REVERSED, Status.CANCELLED, completed, completed]
    assert held.id > mug.id
    assert await counter.left(shop, "mug") == 5
    assert await prove() == []
    # Again, and in a night, nothing more happens; and nothing more is taken for that order.
    books = await dump()
    assert isinstance(await cancel(shop, "O-1"), Waiting)
    assert await match_waiting(shop, NOW + days(1)) == 0
    with pytest.raises(NotEligible, match="this order was cancelled"):
        await redeem(shop, counter.want(ada, key="5", order="O-1"), NOW)
    assert await dump() == books


async def test_what_was_taken_in_the_same_moment_goes_back_by_the_next_minute(
    shop: Engine, ada: int
) -> None:
    """The cancel is put there behind the redemption's back, as a transaction beside it would."""
    await counter.take(shop, ada, "mug", order="O-1")
    unit = check_cancel(find_partner(shop.rulebook, "grocer"), "O-1", NOW)
    row = Waits(unit.partner.id, unit.kind, "O-1", "O-1", NOW, unit.digest, {}, NOW, "")
    async with transaction() as connection:
        assert await wait(connection, [row]) == 1
    await match_waiting(shop, NOW)
    assert await scalar("SELECT array_agg(status::int) FROM redemption") == [Status.REVERSED]
    assert await prove() == []


async def test_a_purchase_that_comes_after_its_cancel_finds_its_order_given_back(
    shop: Engine, ada: int
) -> None:
    await counter.take(shop, ada, "mug", order="O-1")
    await cancel(shop, "O-1")
    before = await balance(shop, ada, NOW)
    await shop.record_purchases([receipt(shop, "O-1", "1", NOW, ("A", "10.00"))], NOW)
    assert await balance(shop, ada, NOW) == {**before, "earned": before["earned"] + 10}
    assert await scalar("SELECT count(*) FROM waiting") == 0
    (outcome,) = [await cancel(shop, "O-1")]
    assert isinstance(outcome, Returned)
    assert outcome.replayed
    assert await prove() == []
