"""Returns on the real books: where points come from, what is owed, what waits, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.bought import Returned
from core.check import prove
from core.errors import BadInput, IdempotencyConflict, NotAllowed, WrongState
from core.posting import Engine
from core.redemptions import redeem
from core.returning import Waiting, match_waiting
from core.store.returns import waiting_of
from tests.core.market import (
    balances,
    bring_back,
    buy,
    cancelled,
    line,
    open_market,
    refusal,
    returned,
    shipped,
)
from tests.core.shop import days, dump, wish
from tests.support import NOW, enrol_cards, scalar


@pytest.fixture
async def market(database: str) -> Engine:
    """The market of `tests.core.market` on a fresh database."""
    return await open_market()


@pytest.fixture
async def member(market: Engine) -> int:
    """A member with the card 1."""
    (holder,) = await enrol_cards(["1"])
    return holder


async def spend(engine: Engine, holder: int, currency: str, points: int, at: object = NOW) -> None:
    """Spend points, ten at a time."""
    for n in range(points // 10):
        request = wish(holder, f"x-{currency.lower()}", key=f"{currency}-{n}", partner="market")
        await redeem(engine, request, at)  # type: ignore[arg-type]  # a datetime, whatever is given


async def clawbacks(holder: int) -> list[str]:
    """source>amount of each clawback, in order."""
    return (
        await scalar(
            "SELECT coalesce(array_agg(source || '>' || amount ORDER BY seq), '{}') FROM transfer "
            "WHERE kind = 8 AND holder_id = $1",
            holder,
        )
        or []
    )


async def test_a_line_takes_exactly_its_own_points(market: Engine, member: int) -> None:
    await buy(market, "P", ("PLAIN", "30.00"), ("PLAIN", "20.00"), ("OTHER", "5.00"))
    await returned(market, "R", "P", line(2, "1"), at=NOW + days(1))
    assert await balances(market, member, NOW + days(1)) == {"PLAIN": (30, 0, 0, 0)}
    assert await balances(market, member, NOW) == {"PLAIN": (50, 0, 0, 0)}
    assert await clawbacks(member) == ["1>20"]
    assert await prove() == []


async def test_the_same_return_again_is_answered_and_books_nothing(
    market: Engine, member: int
) -> None:
    await buy(market, "P", ("PLAIN", "30.00"), ("PLAIN", "20.00"))
    first = await returned(market, "R", "P", line(2, "1"))
    before = await dump()
    again = await returned(market, "R", "P", line(2, "1"))
    assert (again.event, again.booked_at, again.replayed) == (first.event, first.booked_at, True)
    assert await dump() == before
    other = await bring_back(market, "R", "P", line(1, "1"))
    assert refusal(other, IdempotencyConflict).path == ("externalId",)
    assert await dump() == before


async def test_spent_points_are_taken_from_other_lots_and_then_owed(
    market: Engine, member: int
) -> None:
    await buy(market, "P", ("PLAIN", "30.00"))
    await buy(market, "Q", ("PLAIN", "15.00"), at=NOW + days(1))
    await spend(market, member, "PLAIN", 30, NOW + days(1))
    await cancelled(market, "P", NOW + days(2))
    assert await balances(market, member, NOW + days(2)) == {"PLAIN": (0, 0, 0, 15)}
    assert await clawbacks(member) == ["1>15", "4>15"]
    await buy(market, "S", ("PLAIN", "40.00"), at=NOW + days(3))
    assert await balances(market, member, NOW + days(3)) == {"PLAIN": (25, 0, 0, 0)}
    repaid = await scalar("SELECT array_agg(amount) FROM transfer WHERE kind = 6")
    assert repaid == [15]
    assert await prove() == []


async def test_within_the_balance_the_rest_is_forgiven(market: Engine, member: int) -> None:
    await buy(market, "P", ("SOFT", "30.00"))
    await spend(market, member, "SOFT", 20)
    await cancelled(market, "P", NOW + days(1))
    assert await balances(market, member, NOW + days(1)) == {}
    assert await clawbacks(member) == ["1>10"]
    content = await scalar("SELECT content FROM decision WHERE kind = 9")
    assert content.endswith(",30,30,10,0,20]]}")
    assert await prove() == []


async def test_pending_only_leaves_what_is_active(market: Engine, member: int) -> None:
    await buy(market, "P", ("HELD", "30.00"), ("HELD", "10.00"))
    assert await balances(market, member, NOW) == {"HELD": (0, 40, 0, 0)}
    await returned(market, "R1", "P", line(1, "1"), at=NOW + days(1))
    assert await balances(market, member, NOW + days(1)) == {"HELD": (0, 10, 0, 0)}
    await returned(market, "R2", "P", line(2, "1"), at=NOW + days(20))
    assert await balances(market, member, NOW + days(20)) == {"HELD": (10, 0, 0, 0)}
    assert await clawbacks(member) == ["2>30"]
    assert await prove() == []


async def test_what_had_expired_is_not_charged(market: Engine, member: int) -> None:
    await buy(market, "P", ("PLAIN", "100.00"))  # 100 and the bonus of 50
    await spend(market, member, "PLAIN", 60)
    at = NOW + days(100)
    await cancelled(market, "P", at)
    # 150 earned, 60 spent, 90 expired: only the 60 are owed.
    assert await balances(market, member, at) == {"PLAIN": (0, 0, 0, 60)}
    assert await prove() == []


async def test_a_threshold_is_judged_again_and_a_multiplier_shrinks_with_its_base(
    market: Engine, member: int
) -> None:
    await buy(market, "P", ("PLAIN", "80.00"), ("PLAIN", "20.00"))
    assert await balances(market, member, NOW) == {"PLAIN": (150, 0, 0, 0)}
    await returned(market, "R", "P", line(2, amount="1.00"))
    # 1 of 100 points, and the bonus: 99.00 are below the threshold.
    assert await balances(market, member, NOW) == {"PLAIN": (99, 0, 0, 0)}


async def test_a_return_by_amount_of_the_receipt(market: Engine, member: int) -> None:
    await buy(market, "P", ("PLAIN", "30.00"), ("PLAIN", "10.00"))
    await returned(market, "R", "P", amount="20.00")
    assert await balances(market, member, NOW) == {"PLAIN": (20, 0, 0, 0)}
    assert await scalar("SELECT total FROM event WHERE kind = 8") == 2000
    too_much = await bring_back(market, "R2", "P", amount="20.01")
    assert refusal(too_much, NotAllowed).path == ("amount",)


async def test_a_return_before_its_purchase_waits_and_is_matched(
    market: Engine, member: int
) -> None:
    before = await dump()
    put = await bring_back(market, "R", "P", line(1, "1"), at=NOW + days(1))
    assert put == Waiting("R", "P", NOW + days(1))
    assert await bring_back(market, "R", "P", line(1, "1"), at=NOW + days(1)) == put
    other = await bring_back(market, "R", "P", line(2, "1"), at=NOW + days(1))
    assert refusal(other, IdempotencyConflict).path == ("externalId",)
    (row,) = await waiting_of(None, None, 10)
    assert (row.external_id, row.purchase, row.problem) == ("R", "P", "")
    after = await dump()
    assert {t for t in after if after[t] != before[t]} == {"waiting"}
    await buy(market, "P", ("PLAIN", "30.00"), ("PLAIN", "20.00"), now=NOW + days(2))
    assert await balances(market, member, NOW + days(2)) == {"PLAIN": (20, 0, 0, 0)}
    assert await waiting_of(None, None, 10) == []
    again = await bring_back(market, "R", "P", line(1, "1"), at=NOW + days(1), now=NOW + days(2))
    assert isinstance(again, Returned)
    assert again.replayed
    assert await match_waiting(market, NOW + days(2)) == 0
    assert await prove() == []


async def test_what_waited_and_can_not_be_booked_says_why(market: Engine, member: int) -> None:
    await bring_back(market, "R", "P", line(3, "1"), at=NOW)
    await buy(market, "P", ("PLAIN", "30.00"))
    (row,) = await waiting_of(None, None, 10)
    assert row.problem == "the receipt has 1 lines"
    assert await balances(market, member, NOW) == {"PLAIN": (30, 0, 0, 0)}


async def test_refusals_name_the_field_and_book_nothing(market: Engine, member: int) -> None:
    await buy(market, "P", ("PLAIN", "30.00"), ("PLAIN", "20.00"), at=NOW)
    await returned(market, "R", "P", line(1, "1"), at=NOW)
    before = await dump()
    cases = [
        (line(1, "1"), NotAllowed, ("lines", 0, "quantity")),
        (line(2, amount="20.01"), NotAllowed, ("lines", 0, "amount")),
        (line(3, "1"), BadInput, ("lines", 0, "line")),
        (line(2, amount="0.00"), BadInput, ("lines", 0, "amount")),
        (line(2, amount="1.001"), BadInput, ("lines", 0, "amount")),
    ]
    for n, (part, kind, path) in enumerate(cases):
        outcome = await bring_back(market, f"X{n}", "P", part)
        assert refusal(outcome, kind).path == path
    early = await bring_back(market, "E", "P", line(2, "1"), at=NOW - days(1), now=NOW)
    assert refusal(early, BadInput).path == ("occurredAt",)
    late = await bring_back(market, "L", "P", line(2, "1"), at=NOW, now=NOW + days(91))
    assert refusal(late, NotAllowed).path == ("occurredAt",)
    ahead = await bring_back(market, "A", "P", line(2, "1"), at=NOW + days(1), now=NOW)
    assert refusal(ahead, NotAllowed).path == ("occurredAt",)
    assert await dump() == before
    assert isinstance(await cancelled(market, "P", NOW + days(1)), Returned)
    gone = await bring_back(market, "G", "P", line(2, "1"), at=NOW + days(1))
    assert refusal(gone, WrongState).path == ("purchase",)


async def test_an_event_activates_and_expiry_counts_from_it(market: Engine, member: int) -> None:
    await buy(market, "P", ("SENT", "30.00"))
    await buy(market, "Q", ("SENT", "7.00"))
    assert await balances(market, member, NOW) == {"SENT": (0, 37, 0, 0)}
    await shipped(market, "P", NOW + days(5))
    assert await balances(market, member, NOW + days(4)) == {"SENT": (0, 37, 0, 0)}
    assert await balances(market, member, NOW + days(5)) == {"SENT": (30, 7, 0, 0)}
    # The other one lapses by itself after 30 days; the first expires 60 days after the event.
    assert await balances(market, member, NOW + days(30)) == {"SENT": (30, 0, 0, 0)}
    assert await balances(market, member, NOW + days(64.9)) == {"SENT": (30, 0, 0, 0)}
    assert await balances(market, member, NOW + days(65)) == {}
    assert await prove() == []


async def test_a_cancel_takes_back_everything_that_is_left(market: Engine, member: int) -> None:
    await buy(market, "P", ("PLAIN", "30.00"), ("HELD", "10.00"), ("LATE", "5.00"))
    await returned(market, "R", "P", line(1, "0.5"))
    # Pending points of the same purchase go first.
    assert await balances(market, member, NOW) == {"PLAIN": (20, 0, 0, 0), "HELD": (0, 10, 0, 0)}
    await cancelled(market, "P")
    assert await balances(market, member, NOW) == {}
    again = await cancelled(market, "P")
    assert isinstance(again, Returned)
    assert again.replayed
    assert await prove() == []


async def test_points_spent_on_a_cancelled_order_go_back_to_their_lots(
    market: Engine, member: int
) -> None:
    await buy(market, "A", ("KIND", "30.00"))
    spent = replace(wish(member, "x-kind", partner="market"), order="O", quantity=2)
    await redeem(market, spent, NOW + days(1))
    held = replace(wish(member, "x-kind", key="h", partner="market", hold="3D"), order="O")
    await redeem(market, held, NOW + days(1))
    await buy(market, "O", ("KIND", "5.00"), at=NOW + days(2))
    assert await balances(market, member, NOW + days(2)) == {"KIND": (5, 0, 10, 0)}
    await cancelled(market, "O", NOW + days(3))
    assert await balances(market, member, NOW + days(3)) == {"KIND": (30, 0, 0, 0)}
    assert await balances(market, member, NOW + days(19.9)) == {"KIND": (30, 0, 0, 0)}
    assert await balances(market, member, NOW + days(20)) == {}
    again = await cancelled(market, "O", NOW + days(3))
    assert isinstance(again, Returned)
    assert again.replayed
    assert await prove() == []


async def test_points_that_come_back_after_their_time_have_the_grace_of_their_policy(
    market: Engine, member: int
) -> None:
    await buy(market, "A", ("KIND", "10.00"), ("PLAIN", "10.00"))
    for code in ("kind", "plain"):
        request = wish(member, f"x-{code}", key=code, partner="market")
        await redeem(market, replace(request, order="O"), NOW + days(1))
    await buy(market, "O", ("OTHER", "5.00"), at=NOW + days(1))
    late = NOW + days(91)
    await cancelled(market, "O", late)
    # The plain points had no grace: they came back and expired in one posting.
    assert await balances(market, member, late) == {"KIND": (10, 0, 0, 0)}
    assert await balances(market, member, late + days(9.9)) == {"KIND": (10, 0, 0, 0)}
    assert await balances(market, member, late + days(10)) == {}
    assert await prove() == []


async def test_the_longest_number_can_be_fulfilled_and_an_event_is_named_by_a_code(
    market: Engine, member: int
) -> None:
    number = "P" * 200
    await buy(market, number, ("SENT", "30.00"))
    assert isinstance(await shipped(market, number, NOW + days(1)), Returned)
    assert await balances(market, member, NOW + days(1)) == {"SENT": (30, 0, 0, 0)}
    with pytest.raises(BadInput, match="'x#y'") as refused:
        await shipped(market, number, NOW + days(1), "x#y")
    assert refused.value.path == ("event",)
