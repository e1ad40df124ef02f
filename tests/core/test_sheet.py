"""The trial balance: sums to zero, agrees with what members are told, and sees what is broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import asyncpg

from core.adjustments import AdjustRequest, adjust
from core.db import Connection
from core.entries import Account
from core.nightly import run
from core.posting import Engine
from core.redemptions import cancel, confirm, redeem, time_out
from core.reversals import ReverseRequest, reverse_redemption
from core.sheet import CurrencySheet, Issued, trial_balance
from core.store import reads
from tests.core import market
from tests.core.shop import days, earn, open_shop, wish
from tests.support import NOW, enrol_cards

A = Account


async def sheet(engine: Engine, at: datetime, code: str) -> CurrencySheet:
    """One currency of the trial balance."""
    ids = {c.code: c.id for c in engine.rulebook.currencies.values()}
    (found,) = [c for c in (await trial_balance(at)).currencies if c.currency == ids[code]]
    return found


def points(found: CurrencySheet) -> dict[Account, int]:
    """Accounts that aren't zero."""
    assert found.sum == 0
    assert all(x.difference == 0 for x in found.partners)
    return {a: n for a, n in found.accounts.items() if n}


def given(found: Issued) -> dict[str, int]:
    """Figures that aren't zero."""
    return {k: v for k, v in found._asdict().items() if v and k != "partner"}


async def test_nothing_is_a_balance_too(database: str) -> None:
    await open_shop()
    await enrol_cards(["1", "2"])
    found = await trial_balance(NOW)
    assert (found.at, found.members, found.currencies) == (NOW, 2, ())
    assert (await trial_balance(NOW - days(1))).members == 0


async def test_every_way_that_points_go(database: str) -> None:
    shop = await open_shop()
    ada, bob = await enrol_cards(["1", "2"])
    await earn(shop, "R1", "300.00")
    await earn(shop, "R2", "200.00", "2")
    # 50 for good, 50 held, 100 held and cancelled, 100 held and confirmed, then 30 reversed.
    await redeem(shop, wish(ada, "mug", key="1"), NOW + days(1))
    await redeem(shop, wish(ada, "mug", key="2", hold="9D"), NOW + days(1))
    off = await redeem(shop, wish(bob, "bag", key="3", hold="9D"), NOW + days(1))
    await cancel(shop, bob, off.id, "till", "4", NOW + days(2))
    done = await redeem(shop, wish(bob, "bag", key="5", hold="9D"), NOW + days(2))
    await confirm(shop, bob, done.id, "till", "6", NOW + days(3))
    cup = await redeem(shop, wish(ada, "coffee", key="7", partner="cafe"), NOW + days(3))
    request = ReverseRequest("till", "8", ada, cup.id, "spilt", by_admin=True)
    await reverse_redemption(shop, request, NOW + days(4))
    by_hand = AdjustRequest("admin:", "9", "admin", bob, "STAR", 40, "goodwill")
    await adjust(shop, by_hand, NOW + days(5))
    await adjust(shop, replace(by_hand, key="10", points=-15), NOW + days(5))

    assert points(await sheet(shop, NOW, "STAR")) == {A.ISSUED: -500, A.ACTIVE: 500}
    assert points(await sheet(shop, NOW + days(1), "STAR")) == {
        A.ISSUED: -500, A.ACTIVE: 300, A.RESERVED: 150, A.REDEEMED: 50,
    }  # fmt: skip
    # Reserved until confirmed; spilt coffee counts as redeemed until it is reversed.
    assert points(await sheet(shop, NOW + days(2), "STAR")) == {
        A.ISSUED: -500, A.ACTIVE: 300, A.RESERVED: 150, A.REDEEMED: 50,
    }  # fmt: skip
    assert points(await sheet(shop, NOW + days(3), "STAR")) == {
        A.ISSUED: -500, A.ACTIVE: 270, A.RESERVED: 50, A.REDEEMED: 180,
    }  # fmt: skip
    found = await sheet(shop, NOW + days(5), "STAR")
    assert points(found) == {
        A.ISSUED: -500, A.ACTIVE: 325, A.RESERVED: 50, A.REDEEMED: 150, A.ADJUSTED: -25,
    }  # fmt: skip
    assert found.ledgers == 2
    programme, grocer = found.partners
    assert programme.partner == 0
    assert given(programme) == {"open_lots": 1, "given": 40, "active": 40}
    assert given(grocer) == {
        "open_lots": 2, "issued": 500, "active": 285, "reserved": 50, "redeemed": 150, "taken": 15,
    }  # fmt: skip
    assert grocer.outstanding == 335
    # Before any night, and after: what is dead is dead. Of held points nothing expires, until they
    # are let go.
    dead = NOW + days(90)
    expected = {
        A.ISSUED: -500, A.ACTIVE: 40, A.RESERVED: 50, A.REDEEMED: 150, A.ADJUSTED: -25,
        A.EXPIRED: 285,
    }  # fmt: skip
    assert points(await sheet(shop, dead, "STAR")) == expected
    assert await time_out(shop, dead) == 1
    expected = {**expected, A.EXPIRED: 335}
    del expected[A.RESERVED]
    assert points(await sheet(shop, dead, "STAR")) == expected
    await run(shop, dead + days(1))
    assert points(await sheet(shop, dead, "STAR")) == expected
    assert given((await sheet(shop, dead, "STAR")).partners[1])["expired"] == 335


async def test_returns_lapses_and_arrears(database: str) -> None:
    engine = await market.open_market()
    (ada,) = await enrol_cards(["1"])
    await market.buy(engine, "P1", ("PLAIN", "30.00"))
    await redeem(engine, wish(ada, "x-plain", partner="market"), NOW)
    await market.returned(engine, "T1", "P1", market.line(1, "1"))
    await market.buy(engine, "P2", ("SENT", "20.00"), ("HELD", "9.00"))
    assert points(await sheet(engine, NOW, "PLAIN")) == {
        A.ISSUED: -30, A.REDEEMED: 10, A.CLAWED_BACK: 30, A.ARREARS: -10,
    }  # fmt: skip
    (issued,) = (await sheet(engine, NOW, "PLAIN")).partners
    assert given(issued) == {"issued": 30, "redeemed": 10, "clawed_back": 20, "arrears": 10}
    await market.buy(engine, "P3", ("PLAIN", "4.00"), at=NOW + days(1))
    (issued,) = (await sheet(engine, NOW + days(1), "PLAIN")).partners
    assert given(issued) == {
        "issued": 34, "redeemed": 10, "clawed_back": 20, "repaid": 4, "arrears": 6,
    }  # fmt: skip
    assert points(await sheet(engine, NOW, "SENT")) == {A.ISSUED: -20, A.PENDING: 20}
    assert points(await sheet(engine, NOW, "HELD")) == {A.ISSUED: -9, A.PENDING: 9}
    assert points(await sheet(engine, NOW + days(14), "HELD")) == {A.ISSUED: -9, A.ACTIVE: 9}
    late = NOW + days(30)
    for _ in range(2):
        assert points(await sheet(engine, late, "SENT")) == {A.ISSUED: -20, A.LAPSED: 20}
        assert given((await sheet(engine, late, "SENT")).partners[0]) == {
            "issued": 20, "lapsed": 20,
        }  # fmt: skip
        assert points(await sheet(engine, NOW + days(44), "HELD")) == {A.ISSUED: -9, A.EXPIRED: 9}
        await run(engine, NOW + days(50))


async def test_arrears_of_two_partners_are_repaid_oldest_first(database: str) -> None:
    """Each is owed what wasn't repaid yet, in the order in which it came to be owed."""
    engine = await market.open_market()
    (ada,) = await enrol_cards(["1"])
    for n, amount in enumerate(("20.00", "30.00")):
        at = NOW + days(n)
        await market.buy(engine, f"P{n}", ("PLAIN", amount), at=at)
    for n in range(5):
        await redeem(engine, wish(ada, "x-plain", key=f"{n}", partner="market"), NOW + days(2))
    await market.returned(engine, "T0", "P0", market.line(1, "1"), at=NOW + days(3))
    await market.returned(engine, "T1", "P1", market.line(1, "1"), at=NOW + days(4))
    # As if the second had been another partner's.
    connection: Connection = await asyncpg.connect(database)
    try:
        await connection.execute(
            "SET session_replication_role = replica; UPDATE transfer SET partner_id = 77 "
            "WHERE source = 4 AND amount = 30"
        )
    finally:
        await connection.close()
    await market.buy(engine, "P5", ("PLAIN", "25.00"), at=NOW + days(5))
    owed = {x.partner: x.arrears for x in (await sheet(engine, NOW + days(4), "PLAIN")).partners}
    assert sorted(owed.values()) == [20, 30]
    owed = {x.partner: x.arrears for x in (await sheet(engine, NOW + days(5), "PLAIN")).partners}
    assert (owed.pop(77), owed.popitem()[1]) == (25, 0)


async def test_it_agrees_with_what_members_are_told(database: str) -> None:
    """At any instant, the sum of all members' balances is the sheet's."""
    engine = await market.open_market()
    holders = await enrol_cards([str(n) for n in range(4)])
    for n in range(24):
        at = NOW + days(n)
        code = market.ALL[n % len(market.ALL)].code
        await market.buy(engine, f"P{n}", (code, "35.00"), at=at, member=str(n % 4))
        if n % 5 == 0:
            await market.returned(engine, f"T{n}", f"P{n}", market.line(1, amount="12.00"), at=at)
        if n % 7 == 3:
            await run(engine, at)
    for n in range(0, 150, 9):
        at = NOW + days(n)
        told: dict[int, list[int]] = {}
        for _, currency, active, pending, reserved, arrears, *_ in await reads.balances(
            holders, at
        ):
            sums = told.setdefault(currency, [0, 0, 0, 0])
            for place, figure in enumerate((active, pending, reserved, arrears)):
                sums[place] += figure
        for found in (await trial_balance(at)).currencies:
            points(found)
            own = found.accounts
            assert told[found.currency] == [
                own[A.ACTIVE], own[A.PENDING], own[A.RESERVED], -own[A.ARREARS],
            ]  # fmt: skip


async def test_broken_books_dont_balance(database: str) -> None:
    shop = await open_shop()
    await enrol_cards(["1"])
    await earn(shop, "R1", "300.00")
    connection: Connection = await asyncpg.connect(database)
    try:
        await connection.execute(
            "SET session_replication_role = replica; "
            "UPDATE lot SET amount = amount + 7, remaining = remaining + 7"
        )
    finally:
        await connection.close()
    assert (await sheet(shop, NOW, "STAR")).sum == 7
