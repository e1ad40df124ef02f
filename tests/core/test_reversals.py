"""Reversals: points to the lots they came from, by policy or by an admin, each once, all proven."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest

from core.bought import Returned
from core.check import prove
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotAllowed,
    Refusal,
    UnknownReference,
    WrongState,
)
from core.paying import PayRequest, pay
from core.posting import Engine
from core.redeemed import Redemption, Status
from core.redemptions import cancel, confirm, redeem, time_out
from core.returning import record
from core.returns import ReturnInput, check_return
from core.reversals import ReverseRequest, reverse_redemption
from laurels import Money
from tests.core.counter import fill, left, member, open_counter, take, want
from tests.core.shop import balance, days, dump, earn
from tests.support import NOW, enrol_cards, scalar

SECOND = days(1) / 86400


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.counter` on a fresh database."""
    return await open_counter()


@pytest.fixture
async def ada(shop: Engine) -> int:
    """A member with 350 stars and as many moons."""
    return await member(shop)


def back(done: Redemption, key: str = "r", **how: object) -> ReverseRequest:
    """A request of its partner to take it back."""
    request = ReverseRequest("till", key, done.holder, done.id, "damaged")
    return replace(request, **how)  # type: ignore[arg-type]


async def refused(
    shop: Engine, request: ReverseRequest, kind: type[Refusal], at: datetime = NOW
) -> Refusal:
    """The refusal, which changed nothing."""
    before = await dump()
    with pytest.raises(kind) as caught:
        await reverse_redemption(shop, request, at)
    assert await dump() == before
    return caught.value


async def lots(currency: str = "STAR") -> list[str]:
    """What remains of the amount of each lot, oldest first."""
    found: list[str] = await scalar(
        "SELECT array_agg(remaining || '/' || amount ORDER BY seq) FROM lot l "
        "JOIN currency c ON c.id = l.currency_id WHERE c.code = $1",
        currency,
    )
    return found


async def test_points_go_back_to_the_lots_they_came_from(shop: Engine) -> None:
    (ada,) = await enrol_cards(["1"])
    await earn(shop, "A", "60.00", at=NOW - days(30), now=NOW)
    await earn(shop, "B", "80.00", at=NOW - days(1), now=NOW)
    done = await take(shop, ada)
    assert await lots() == ["0/60", "40/80"]
    later = NOW + days(2)
    gone = await reverse_redemption(shop, back(done), later)
    assert (gone.status, gone.reversed_at, gone.reason) == (Status.REVERSED, later, "damaged")
    assert (gone.settled_at, gone.written_off, gone.codes) == (NOW, False, done.codes)
    assert await lots() == ["60/60", "80/80"]
    # At every instant: before, while it was gone, and since.
    seen = [(await balance(shop, ada, at))["active"] for at in (NOW - SECOND, NOW, later - SECOND)]
    assert seen == [140, 40, 40]
    assert (await balance(shop, ada, later))["active"] == 140
    assert await scalar("SELECT array_agg(kind ORDER BY id) FROM event") == [1, 1, 2, 13]
    moved = "SELECT source || '>' || target || ' ' || amount FROM transfer WHERE kind = 11"
    assert await scalar(moved) == "11>1 100"
    assert await prove() == []


async def test_what_was_held_and_confirmed_is_reversed_likewise(shop: Engine, ada: int) -> None:
    held = await take(shop, ada, hold="1D")
    await confirm(shop, ada, held.id, "till", "c", NOW)
    gone = await reverse_redemption(shop, back(held), NOW + days(1))
    assert (gone.status, gone.settled_at) == (Status.REVERSED, NOW)
    found = await balance(shop, ada, NOW + days(1))
    assert (found["active"], found["reserved"]) == (350, 0)
    assert await scalar("SELECT array_agg(kind ORDER BY id) FROM event") == [1, 3, 4, 13]
    assert await prove() == []


async def test_arrears_are_repaid_first(shop: Engine, ada: int) -> None:
    done = await take(shop, ada, quantity=3)
    grocer = shop.rulebook.partners["grocer"]
    unit = check_return(grocer, ReturnInput("R", "P1", NOW, amount="150.00"))
    (outcome,) = await record(shop, [unit], NOW)
    assert isinstance(outcome, Returned)
    found = await balance(shop, ada, NOW)
    assert (found["active"], found["arrears"]) == (0, 100)  # 150 are owed, 50 were there
    await reverse_redemption(shop, back(done), NOW)
    found = await balance(shop, ada, NOW)
    assert (found["active"], found["arrears"]) == (200, 0)
    assert await prove() == []


@pytest.mark.parametrize(
    ("reward", "currency", "life", "active", "expired"),
    [
        ("bag", "STAR", 90, 0, 350),  # no grace: what comes back late expires as it comes
        ("lamp", "MOON", 30, 20, 330),  # ten days of grace, for what came back
    ],
)
async def test_a_lot_that_died_meanwhile(
    shop: Engine, ada: int, reward: str, currency: str, life: int, active: int, expired: int
) -> None:
    done = await take(shop, ada, reward)
    late = NOW + days(life)
    await reverse_redemption(shop, back(done, by_admin=True), late)
    found = await balance(shop, ada, late, currency)
    assert (found["active"], found["expired"]) == (active, expired)
    if active:
        last = late + days(10)
        assert (await balance(shop, ada, last - SECOND, currency))["active"] == active
        assert (await balance(shop, ada, last, currency))["active"] == 0
    assert await prove() == []


@pytest.mark.parametrize(("reward", "until"), [("bag", 30), ("bill", 1)])
async def test_the_partner_reverses_within_the_terms_and_an_admin_after_them(
    shop: Engine, ada: int, reward: str, until: int
) -> None:
    if reward == "bill":
        bill = PayRequest("till", "k", "grocer", ada, "pay-with-points", Money(2000, "USD"))
        done = await pay(shop, bill, NOW)
    else:
        done = await take(shop, ada, reward)
    end = NOW + days(until)
    assert done.reversible_until("America/New_York") == end
    told = await refused(shop, back(done), NotAllowed, end)
    assert told.message.startswith(f"it could be reversed until {end.isoformat()}")
    assert told.path == ("redemption",)
    assert (await reverse_redemption(shop, back(done), end - SECOND)).status is Status.REVERSED
    again = await take(shop, ada, key="k2")
    await refused(shop, back(again), IdempotencyConflict)
    late = back(again, "late", by_admin=True)
    assert (await reverse_redemption(shop, late, NOW + days(60))).status is Status.REVERSED
    assert await prove() == []


async def test_what_its_terms_make_final_an_admin_alone_reverses(shop: Engine, ada: int) -> None:
    done = await take(shop, ada, "vase")
    told = await refused(shop, back(done), NotAllowed)
    assert told.message == "by its terms it can't be reversed; an admin may"
    await reverse_redemption(shop, back(done, by_admin=True), NOW)
    assert (await balance(shop, ada, NOW))["active"] == 350


async def test_the_terms_are_those_of_the_day_it_was_asked_for(shop: Engine, ada: int) -> None:
    done = await take(shop, ada, hold="1D")
    grocer = shop.rulebook.partners["grocer"]
    partners = {**shop.rulebook.partners, "grocer": replace(grocer, rewards={})}
    shop.rulebook = replace(shop.rulebook, partners=partners)
    await confirm(shop, ada, done.id, "till", "c", NOW + days(0.5))
    await refused(shop, back(done), NotAllowed, NOW + days(30.5))
    await reverse_redemption(shop, back(done), NOW + days(30.5) - SECOND)
    assert await prove() == []


async def test_only_what_is_completed_is_reversed_and_only_once(shop: Engine, ada: int) -> None:
    held = await take(shop, ada, "card", hold="1D")
    told = await refused(shop, back(held), WrongState)
    assert told.message == "it is held still: cancel it instead"
    await cancel(shop, ada, held.id, "till", "c", NOW)
    assert (await refused(shop, back(held), WrongState)).message == "it is cancelled already"
    timed = await take(shop, ada, "card", key="k2", hold="1D")
    await time_out(shop, NOW + days(1))
    assert (await refused(shop, back(timed), WrongState)).message == "it is timed out already"
    done = await take(shop, ada, "card", key="k3")
    await reverse_redemption(shop, back(done), NOW)
    told = await refused(shop, back(done, "again"), WrongState)
    assert (told.message, told.path) == ("it is reversed already", ("redemption",))
    for call in (confirm, cancel):
        with pytest.raises(WrongState, match="it is reversed already"):
            await call(shop, ada, done.id, "till", "x", NOW)
    (bob,) = await enrol_cards(["2"])
    await refused(shop, back(done, "b", holder=bob), UnknownReference)
    await refused(shop, back(done, "b", redemption=done.id + 1), UnknownReference)
    assert await prove() == []


@pytest.mark.parametrize("reason", ["", "two words", "x" * 65, "é", "\0"])
async def test_a_reason_is_a_code(shop: Engine, ada: int, reason: str) -> None:
    done = await take(shop, ada)
    assert (await refused(shop, back(done, reason=reason), BadInput)).path == ("reason",)


async def test_the_same_key_answers_again_and_for_another_request_not(
    shop: Engine, ada: int
) -> None:
    done = await take(shop, ada)
    first = await reverse_redemption(shop, back(done), NOW)
    before = await dump()
    again = await reverse_redemption(shop, back(done), NOW + days(50))
    assert again == replace(first, replayed=True)
    assert await dump() == before
    for other in (back(done, reason="lost"), back(done, write_off=True)):
        assert (await refused(shop, other, IdempotencyConflict)).path == ("key",)
    # The redemption's own key answers with how it stands today.
    assert (await redeem(shop, want(ada), NOW)).status is Status.REVERSED


@pytest.mark.parametrize("lost", [False, True])
async def test_stock_goes_back_to_its_slices_or_is_written_off(
    shop: Engine, ada: int, lost: bool
) -> None:
    done = await take(shop, ada, "mug", quantity=4)  # slices of 2, 1, 1 and 1
    slices = "SELECT array_agg(remaining ORDER BY slice) FROM reward_stock WHERE reward_id = $1"
    assert await scalar(slices, done.reward) == [0, 0, 0, 1]
    gone = await reverse_redemption(shop, back(done, write_off=lost), NOW)
    assert gone.written_off is lost
    assert await scalar(slices, done.reward) == ([0, 0, 0, 1] if lost else [2, 1, 1, 1])
    assert await left(shop, "mug") == (1 if lost else 5)
    assert await prove() == []


async def test_two_reversals_at_once_one_wins(shop: Engine, ada: int) -> None:
    done = await take(shop, ada, "mug", quantity=5)
    calls = (reverse_redemption(shop, back(done, f"r{n}"), NOW) for n in range(8))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(x, Redemption) for x in outcomes) == 1
    assert sum(isinstance(x, WrongState) for x in outcomes) == 7, outcomes
    assert (await balance(shop, ada, NOW))["active"] == 350
    assert await left(shop, "mug") == 5
    assert await prove() == []


async def test_the_same_reversal_many_times_at_once_is_one(shop: Engine, ada: int) -> None:
    done = await take(shop, ada)
    outcomes = await asyncio.gather(*(reverse_redemption(shop, back(done), NOW) for _ in range(8)))
    assert sorted(x.replayed for x in outcomes) == [False] + [True] * 7
    assert (await balance(shop, ada, NOW))["active"] == 350


async def test_taking_and_taking_back_at_once_never_deadlock_nor_lose_stock(shop: Engine) -> None:
    """Pieces from several slices go and come, some lost: each way locks slices in one order."""
    people = [await member(shop, str(n)) for n in range(6)]
    refusals: list[str] = []

    async def deal(holder: int) -> None:
        for n in range(12):
            key = f"{holder}-{n}"
            request = want(holder, "mug", key=key, quantity=1 + n % 4)
            try:
                done = await redeem(shop, request, NOW)
            except Refusal as refusal:
                refusals.append(refusal.message)
            else:
                await reverse_redemption(shop, back(done, f"r{key}", write_off=n == 11), NOW)

    await asyncio.gather(*(deal(holder) for holder in people))
    assert set(refusals) <= {"'A mug' is out of stock"}
    lost = await scalar("SELECT coalesce(sum(amount), 0)::int FROM stock_move WHERE kind = 4")
    assert await left(shop, "mug") == 5 - lost
    assert await prove() == []


async def test_a_reversal_voids_what_was_shown(shop: Engine, ada: int) -> None:
    await fill(shop)
    done = await take(shop, ada, "cinema", quantity=2)
    assert done.codes == ("C1", "C2")
    await reverse_redemption(shop, back(done), NOW)
    states = "SELECT array_agg(code || state ORDER BY code) FROM voucher"
    assert await scalar(states) == ["C13", "C23", "C31"]
    assert await left(shop, "cinema") == 1
    assert await prove() == []
