"""A hold ends when its time runs out: what the books say never tells when a job ran, or whether.

Each story is lived twice, once with a job at the very moment and once without any until the end,
and compared at many instants. The control hides from the engine what is overdue: then they differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from core import nightly
from core.adjustments import AdjustRequest, adjust
from core.check import prove
from core.db import connected, transaction
from core.eligibility import eligibility
from core.errors import NotEligible, WrongState
from core.lot_moves import MoveRequest, move
from core.models import ProgrammeRow
from core.paying import PayRequest, pay
from core.posting import Engine
from core.pricing import RedeemRequest
from core.redeemed import Status
from core.redemptions import cancel, confirm, redeem, time_out
from core.returning import record
from core.returns import check_cancel
from core.reversals import ReverseRequest, reverse_redemption
from core.store import redemptions as store
from core.store.reference import install
from laurels import Duration, Money
from tests.core import counter
from tests.core.market import balances, bring_back, buy, cancelled, open_market
from tests.core.shop import days, dump
from tests.schema.client import statements
from tests.support import NOW, Databases, enrol_cards, scalar

#: Has time run out, it is let go: told at which day, by whoever asks.
Tick = Callable[[float], Awaitable[None]]
Story = Callable[[Engine, int, Tick], Awaitable[object]]


def want(holder: int, kind: str, key: str, hold: str | None = None) -> RedeemRequest:
    """Ten points of a kind, at once or held."""
    until = None if hold is None else Duration.parse(hold)
    return RedeemRequest("till", key, "market", holder, f"x-{kind}", None, until)


async def slides(market: Engine, ada: int, tick: Tick) -> object:
    """A purchase renews what came back, though it was all held; it isn't dead yet."""
    await buy(market, "A", ("SLIDE", "10.00"))
    await redeem(market, want(ada, "slide", "1", "1D"), NOW)
    await tick(1)
    return await buy(market, "B", ("SLIDE", "5.00"), at=NOW + days(20))


async def told_as_history(market: Engine, ada: int, tick: Tick) -> object:
    """An import renews what came back before it, though the clock is past its end by now."""
    await buy(market, "A", ("SLIDE", "20.00"))
    for key, hold in (("1", "1D"), ("2", "2D")):
        await redeem(market, want(ada, "slide", key, hold), NOW)
    await tick(1)
    await tick(2)
    late = NOW + days(40)
    await buy(market, "B", ("SLIDE", "5.00"), at=NOW + days(20), now=late)
    return await buy(market, "C", ("SLIDE", "5.00"), at=NOW + days(39), now=late)


async def _returns_what_was_spent(market: Engine, ada: int, tick: Tick, day: float) -> object:
    """Ten are held until day 2, of a lot that dies half a day later."""
    await buy(market, "A", ("PLAIN", "10.00"), at=NOW - days(87.5), now=NOW)
    await buy(market, "B", ("PLAIN", "30.00"))
    await redeem(market, want(ada, "plain", "0", "2D"), NOW)
    for key in "abc":
        await redeem(market, want(ada, "plain", key), NOW)
    await tick(2)
    return await bring_back(market, "R", "B", amount="30.00", at=NOW + days(day))


async def owes(market: Engine, ada: int, tick: Tick) -> object:
    """A return takes what came back, and only the rest is owed."""
    return await _returns_what_was_spent(market, ada, tick, 2.2)


async def owes_what_died(market: Engine, ada: int, tick: Tick) -> object:
    """What has died since pays nothing that is owed after that."""
    return await _returns_what_was_spent(market, ada, tick, 2.7)


async def two(market: Engine, ada: int, tick: Tick) -> object:
    """The hold that ran out first has its grace first, though it was asked for last."""
    await buy(market, "A", ("KIND", "20.00"))
    await redeem(market, want(ada, "kind", "1", "25D"), NOW)
    await redeem(market, want(ada, "kind", "2", "21D"), NOW)
    await tick(21)
    await tick(25)
    with pytest.raises(NotEligible):
        await redeem(market, want(ada, "kind", "3"), NOW + days(32))
    return await buy(market, "B", ("KIND", "1.00"), at=NOW + days(32))


async def two_on_an_order(market: Engine, ada: int, tick: Tick) -> object:
    """And where their order is cancelled after both have ended."""
    await buy(market, "A", ("KIND", "20.00"))
    for key, hold in (("1", "25D"), ("2", "21D")):
        await redeem(market, replace(want(ada, "kind", key, hold), order="O"), NOW)
    await tick(21)
    await tick(25)
    await cancelled(market, "O", NOW + days(32))
    return await buy(market, "B", ("KIND", "1.00"), at=NOW + days(32))


async def reversed_since(market: Engine, ada: int, tick: Tick) -> object:
    """What is given back on day 32 has its grace from then on; what was held, from day 21."""
    await buy(market, "A", ("KIND", "20.00"))
    done = await redeem(market, want(ada, "kind", "1"), NOW)
    await redeem(market, want(ada, "kind", "2", "21D"), NOW)
    await tick(21)
    request = ReverseRequest("till", "r", ada, done.id, "damaged", by_admin=True)
    return await reverse_redemption(market, request, NOW + days(32))


async def taken_by_hand(market: Engine, ada: int, tick: Tick) -> object:
    """What came back can be taken."""
    await buy(market, "A", ("PLAIN", "10.00"))
    await redeem(market, want(ada, "plain", "1", "1D"), NOW)
    await tick(1)
    request = AdjustRequest("root", "a", "admin", ada, "PLAIN", -10, "correction")
    return await adjust(market, request, NOW + days(1))


async def paid(market: Engine, ada: int, tick: Tick) -> object:
    """What came back can be spent."""
    await buy(market, "A", ("PLAIN", "10.00"))
    await redeem(market, want(ada, "plain", "1", "1D"), NOW)
    await tick(1)
    return await redeem(market, want(ada, "plain", "2"), NOW + days(1))


async def _owing_with_points_to_come(market: Engine, ada: int, tick: Tick) -> None:
    await buy(market, "L", ("LATE", "10.00"))  # active from day 7
    await buy(market, "A", ("PLAIN", "10.00"), at=NOW - days(80), now=NOW)
    await buy(market, "B", ("PLAIN", "10.00"))
    await redeem(market, want(ada, "plain", "1", "5D"), NOW)
    await redeem(market, want(ada, "plain", "2"), NOW)
    await bring_back(market, "R", "B", amount="10.00", at=NOW + days(1))
    await tick(5)


async def pays_first(market: Engine, ada: int, tick: Tick) -> object:
    """What came back pays what is owed, and not what became active since; seen by a purchase."""
    await _owing_with_points_to_come(market, ada, tick)
    return await buy(market, "Z", ("PLAIN", "1.00"), at=NOW + days(8))


async def pays_first_by_night(market: Engine, ada: int, tick: Tick) -> object:
    """The same, seen by the night."""
    await _owing_with_points_to_come(market, ada, tick)
    return await nightly.run(market, NOW + days(8))


STORIES: list[Story] = [
    pays_first, pays_first_by_night, slides, told_as_history, owes, owes_what_died, two,
    two_on_an_order, reversed_since, taken_by_hand, paid,
]  # fmt: skip


async def told(databases: Databases, story: Story, *, timely: bool) -> Any:
    """What is read of the story at many instants, once a job has run at last."""
    async with databases.migrated() as url, connected(url):
        market = await open_market()
        (ada,) = await enrol_cards(["1"])

        async def tick(day: float) -> None:
            if timely:
                assert await time_out(market, NOW + days(day)) == 1

        await story(market, ada, tick)
        await time_out(market, NOW + days(33))
        await nightly.run(market, NOW + days(33))
        assert await scalar("SELECT count(*) FROM redemption WHERE status = 1") == 0
        assert await prove() == []
        instants = [*(n / 10 for n in range(30)), *range(18, 42), 60, 100]
        read = {day: await balances(market, ada, NOW + days(day)) for day in instants}
        lots = await scalar(
            "SELECT array_agg(ARRAY[remaining::text, expires_at::text] ORDER BY currency_id, seq) "
            "FROM lot"
        )
        return read, lots


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_the_books_never_tell_when_a_job_ran(databases: Databases, story: Story) -> None:
    timely, late = [await told(databases, story, timely=x) for x in (True, False)]
    assert late == timely


#: What is owed and repaid since is reckoned by its instants, also where it is booked the other way.
TOLD_ALIKE = (owes,)


@pytest.mark.parametrize(
    "story", [x for x in STORIES if x not in TOLD_ALIKE], ids=lambda story: story.__name__
)
async def test_they_would_tell_if_nothing_were_let_go_before(
    databases: Databases, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    timely = await told(databases, story, timely=True)
    overdue_of = store.overdue_of

    async def unseen(connection: Any, holders: Any, now: Any) -> Any:
        """Seen by the job alone, at the end; of two holds the last to end first."""
        if now == NOW + days(33) or story is two:
            return list(reversed(await overdue_of(connection, holders, now)))
        return []

    monkeypatch.setattr(store, "overdue_of", unseen)
    try:
        late = await told(databases, story, timely=False)
    except (NotEligible, AssertionError, pytest.fail.Exception):
        return  # refused what had come back, or granted what was dead
    assert late != timely


async def test_a_bill_is_paid_with_what_was_held_too_long(database: str) -> None:
    shop = await counter.open_counter()
    ada = await counter.member(shop, dollars="100.00")
    await counter.take(shop, ada, "bag", key="1", hold="1D")
    bill = PayRequest("till", "b", "grocer", ada, "pay-with-points", Money(2000, "USD"), 100)
    with pytest.raises(NotEligible):
        await pay(shop, bill, NOW + days(1) - days(1) / 86400)
    assert (await pay(shop, bill, NOW + days(1))).status is Status.COMPLETED
    assert await prove() == []


async def test_who_asks_first_is_told_that_what_was_held_too_long_can_be_spent(
    database: str,
) -> None:
    shop = await counter.open_counter()
    ada = await counter.member(shop, dollars="100.00")
    await counter.take(shop, ada, "bag", key="1", hold="1D")
    bag = shop.rulebook.partners["grocer"].rewards["bag"].id
    for at, missing in ((NOW + days(0.9), 100), (NOW + days(1), 0)):
        told = (await eligibility(shop, [ada], at))[ada, bag]
        assert (told.can, told.missing.get("STAR", 0)) == (not missing, missing)
    await redeem(shop, counter.want(ada, "bag", key="2"), NOW + days(1))


async def test_lots_move_after_what_was_held_of_them_too_long_came_back(database: str) -> None:
    """Of two currencies; one lot of the moved one was wholly held: it isn't passed over."""
    shop = await counter.open_counter()
    ada = await counter.member(shop)
    await counter.take(shop, ada, "mug", key="1", hold="1D")
    await counter.take(shop, ada, "lamp", key="2", hold="1D")
    star, moon = counter.PROGRAMME.currencies
    longer = (star.model_copy(update={"expires": "365D"}), moon)
    await ProgrammeRow.all().delete()
    programme = counter.PROGRAMME.model_copy(update={"currencies": longer})
    shop = Engine(await install(programme, [counter.GROCER, counter.RIVAL], NOW))
    await move(shop, MoveRequest("admin:", "k", "STAR"), NOW + days(2))
    stands = "SELECT array_agg(status::int ORDER BY id) FROM redemption"
    assert await scalar(stands) == [Status.TIMED_OUT, Status.TIMED_OUT]
    left = "SELECT count(*) FROM lot l JOIN policy p ON p.id = policy_id WHERE remaining > 0 AND "
    assert await scalar(left + "l.currency_id = 1 AND p.expires <> '365D'") == 0
    assert await prove() == []


@pytest.mark.parametrize("close", [confirm, cancel])
async def test_a_hold_past_its_time_is_neither_confirmed_nor_cancelled(
    database: str, close: Any
) -> None:
    """Its points are free: also where no job has said so yet."""
    shop = await counter.open_counter()
    ada = await counter.member(shop)
    held = await counter.take(shop, ada, "mug", hold="1D")
    for late in (NOW + days(1), NOW + days(40)):
        before = await dump()
        with pytest.raises(WrongState, match="its time has run out, and its points are free"):
            await close(shop, ada, held.id, "till", "c", late)
        request = ReverseRequest("till", "r", ada, held.id, "damaged", by_admin=True)
        with pytest.raises(WrongState, match="its time has run out"):
            await reverse_redemption(shop, request, late)
        assert await dump() == before


async def test_two_that_take_what_the_other_gives_back_dont_wait_for_each_other(
    database: str,
) -> None:
    """Both shelves are locked in one order, before either is touched: seen in what is sent."""
    shop = await counter.open_counter()
    ada = await counter.member(shop)
    await counter.take(shop, ada, "vase", key="1", hold="1D")
    await counter.take(shop, ada, "mug", key="2", hold="1D")
    with statements() as sent:
        await redeem(shop, counter.want(ada, "mug", key="3"), NOW + days(2))
    locks = [n for n, query in enumerate(sent) if "ORDER BY reward_id, slice FOR UPDATE" in query]
    moved = [n for n, query in enumerate(sent) if "INSERT INTO stock_move" in query]
    assert len(locks) >= 1
    assert locks[0] < min(moved)
    assert await prove() == []


async def test_what_many_hold_too_long_costs_no_more_statements_than_one(database: str) -> None:
    market = await open_market()
    counts = []
    for card, held in (("1", 1), ("2", 9)):
        (holder,) = await enrol_cards([card])
        await buy(market, f"A{card}", ("PLAIN", "200.00"), member=card)
        for n in range(held):
            await redeem(market, want(holder, "plain", f"{card}{n}", "1D"), NOW)
        with statements() as sent:
            await redeem(market, want(holder, "plain", f"{card}x"), NOW + days(2))
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert await scalar("SELECT count(*) FROM redemption WHERE status = 4") == 10
    assert await prove() == []


async def test_the_order_of_anothers_purchase_is_cancelled_and_only_that_one_is_asked(
    database: str,
) -> None:
    """Who spent on it takes no other part in the batch."""
    shop = await counter.open_counter()
    await counter.member(shop)
    bob = await counter.member(shop, "2")
    await counter.take(shop, bob, "mug", order="P1")
    unit = check_cancel(shop.rulebook.partners["grocer"], "P1", NOW)
    await record(shop, [unit], NOW)
    assert await scalar("SELECT array_agg(status::int) FROM redemption") == [Status.REVERSED]
    async with transaction() as connection:
        assert await store.spenders(connection, [(unit.partner.id, "P1")]) == []
    assert await prove() == []
