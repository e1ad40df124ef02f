"""The night on the real books: what time does is booked once, at its own instant, in one order."""

from __future__ import annotations

from datetime import datetime

import pytest

from core import nightly
from core.check import prove
from core.nightly import Night
from core.posting import Engine
from core.redemptions import cancel, redeem
from core.store import reads
from tests.core.market import balances, buy, cancelled, line, open_market, returned
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


async def life(holder: int) -> list[tuple[int, int, datetime]]:
    """(kind, amount, effective) of every transfer, in order."""
    rows = await scalar(
        "SELECT array_agg(kind || ' ' || amount || ' ' || extract(epoch FROM occurred_at)::bigint "
        "ORDER BY currency_id, seq) FROM transfer WHERE holder_id = $1",
        holder,
    )
    found = [row.split() for row in rows]
    return [(int(k), int(a), datetime.fromtimestamp(int(t), NOW.tzinfo)) for k, a, t in found]


async def test_pending_is_activated_and_later_expired_each_at_its_instant(
    market: Engine, member: int
) -> None:
    await buy(market, "P", ("HELD", "30.00"))
    assert await nightly.run(market, NOW + days(13)) == Night()
    assert await nightly.run(market, NOW + days(15)) == Night(activated=30)
    assert await nightly.run(market, NOW + days(50)) == Night(expired=30)
    assert await life(member) == [
        (1, 30, NOW),
        (7, 30, NOW + days(14)),
        (3, 30, NOW + days(44)),
    ]
    assert await prove() == []


async def test_one_late_night_books_what_many_nights_would(market: Engine, member: int) -> None:
    for n, kind in enumerate(("PLAIN", "HELD", "SENT", "SLIDE")):
        await buy(market, f"P{n}", (kind, f"{10 + n}.00"))
    at_once = await nightly.run(market, NOW + days(100))
    assert at_once == Night(activated=11, lapsed=12, expired=10 + 11 + 13)
    late = await life(member)
    (other,) = await enrol_cards(["2"])
    for n, kind in enumerate(("PLAIN", "HELD", "SENT", "SLIDE")):
        await buy(market, f"Q{n}", (kind, f"{10 + n}.00"), member="2")
    for night in range(100):
        await nightly.run(market, NOW + days(night))
    assert await life(other) == late


async def test_a_second_run_books_nothing(market: Engine, member: int) -> None:
    await buy(market, "P", ("HELD", "30.00"), ("PLAIN", "80.00"))
    first = await nightly.run(market, NOW + days(120))
    assert (first.activated, first.expired) == (30, 110)
    before = await dump()
    assert not await nightly.run(market, NOW + days(120))
    assert await dump() == before


async def test_balances_are_right_whenever_the_night_comes(market: Engine, member: int) -> None:
    await buy(market, "P", ("HELD", "30.00"), ("SENT", "8.00"), ("LATE", "5.00"))
    instants = [NOW + days(d) for d in (0, 6.9, 7, 13.9, 14, 29.9, 30, 43.9, 44, 96.9, 97)]
    before = [await balances(market, member, at) for at in instants]
    assert before[0] == {"HELD": (0, 30, 0, 0), "SENT": (0, 8, 0, 0), "PLAIN": (0, 5, 0, 0)}
    assert before[-1] == {}
    await nightly.run(market, NOW + days(365))
    assert [await balances(market, member, at) for at in instants] == before
    assert await prove() == []


async def test_sliding_points_live_as_long_as_something_happens(
    market: Engine, member: int
) -> None:
    await buy(market, "P", ("SLIDE", "30.00"))
    await buy(market, "Q", ("SLIDE", "1.00"), at=NOW + days(20))
    assert await balances(market, member, NOW + days(49)) == {"SLIDE": (31, 0, 0, 0)}
    await redeem(market, wish(member, "x-slide", partner="market"), NOW + days(40))
    assert await balances(market, member, NOW + days(69)) == {"SLIDE": (21, 0, 0, 0)}
    assert await balances(market, member, NOW + days(70)) == {}
    # What is dead is never revived, whether the night has seen it or not.
    await buy(market, "R", ("SLIDE", "2.00"), at=NOW + days(71))
    assert await balances(market, member, NOW + days(71)) == {"SLIDE": (2, 0, 0, 0)}
    assert await prove() == []


async def test_history_told_in_order_renews_as_it_did(market: Engine, member: int) -> None:
    long_after = NOW + days(400)
    for n in range(5):
        await buy(market, f"P{n}", ("SLIDE", "10.00"), at=NOW + days(25 * n), now=long_after)
    assert await balances(market, member, NOW + days(101)) == {"SLIDE": (50, 0, 0, 0)}
    assert await balances(market, member, NOW + days(130)) == {}
    assert (await nightly.run(market, long_after)).expired == 50
    assert await prove() == []


async def test_a_hold_released_late_has_the_grace_of_its_policy(
    market: Engine, member: int
) -> None:
    await buy(market, "P", ("KIND", "30.00"), ("PLAIN", "30.00"))
    kind = await redeem(market, wish(member, "x-kind", key="a", partner="market", hold="30D"), NOW)
    late = NOW + days(25)
    assert await balances(market, member, late) == {
        "KIND": (0, 0, 10, 0), "PLAIN": (30, 0, 0, 0),
    }  # fmt: skip
    await cancel(market, member, kind.id, "till", "b", late)
    assert (await balances(market, member, late))["KIND"] == (10, 0, 0, 0)
    assert (await balances(market, member, late + days(9.9)))["KIND"] == (10, 0, 0, 0)
    assert "KIND" not in await balances(market, member, late + days(10))
    night = await nightly.run(market, late + days(11))
    assert night.expired == 10
    assert await prove() == []


async def test_arrears_are_repaid_when_pending_becomes_active(market: Engine, member: int) -> None:
    await buy(market, "P", ("PLAIN", "30.00"))
    for n in range(3):
        await redeem(market, wish(member, "x-plain", key=f"k{n}", partner="market"), NOW)
    await cancelled(market, "P")
    await buy(market, "Q", ("LATE", "40.00"))
    assert await balances(market, member, NOW) == {"PLAIN": (0, 40, 0, 30)}
    assert await balances(market, member, NOW + days(7)) == {"PLAIN": (10, 0, 0, 0)}
    await nightly.run(market, NOW + days(8))
    assert await balances(market, member, NOW + days(8)) == {"PLAIN": (10, 0, 0, 0)}
    assert await prove() == []


async def test_a_return_after_the_night_takes_what_is_left(market: Engine, member: int) -> None:
    await buy(market, "P", ("KIND", "30.00"), ("KIND", "12.00"))
    await nightly.run(market, NOW + days(21))
    await returned(market, "R", "P", line(2, "1"), at=NOW + days(22))
    assert await balances(market, member, NOW + days(22)) == {}
    (row,) = await reads.figures([member], NOW + days(22))
    assert row[7] == 42
    assert await prove() == []
