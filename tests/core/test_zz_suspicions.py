from __future__ import annotations
import time
from dataclasses import replace
from datetime import timedelta
import pytest
import core.db
from core import digests
from core.bought import Returned
from core.check import prove
from core.errors import *
from core.posting import Engine
from core.purchases import find_partner, LineInput
from core.redemptions import redeem
from core.returns import *
from core.returns import match_waiting, record
from core.reversals import reverse_redemption, ReverseRequest
from core.nightly import run as night
from core.store.reference import Declared, install
from core.programme import Programme
from core.entitlement import Remains, Item, Given
from laurels import *
from laurels import award, earn_rule, reevaluated
from laurels.purchase import Line
from tests.core.market import *
from tests.core.market import line
from tests.core.shop import days, wish
from tests.support import NOW, enrol_cards, scalar, receipt

@pytest.fixture
async def market(database):
    return await open_market()

@pytest.fixture
async def member(market):
    (holder,) = await enrol_cards(["1"])
    return holder

def edit(engine, purchase, rev, at, *lines):
    given = [LineInput(product_type=k, amount=a) for k, a in lines]
    return check_edit(find_partner(engine.rulebook, "market"), purchase, rev, at, given, "USD")

async def test_t1_edit_after_fulfilment_past_deadline(market, member):
    await buy(market, "P", ("SENT", "10.00"))
    await shipped(market, "P", NOW + days(2))
    (o,) = await record(market, [edit(market, "P", 2, NOW + days(40), ("SENT", "15.00"))], NOW + days(40))
    assert isinstance(o, Returned), o
    print(await balances(market, member, NOW + days(40)))
    assert await prove() == []
    assert await balances(market, member, NOW + days(40)) == {"SENT": (15, 0, 0, 0)}

C = Currency("AVG", "Avg points")
@earn_rule("avg", "100 where average price is 20")
def avg(purchase, facts):
    return award(C, 100) if sum(x.amount for x in purchase.lines) >= 2000 * len(purchase.lines) else None

@earn_rule("thr", "100 from 100.00")
def thr(purchase, facts):
    return award(C, 100) if sum(x.amount for x in purchase.lines) >= 10000 else None

def shop_of(version, rule):
    return Declared("market", version, Partner("market", "M", currencies=[C]), earn_rules=[reevaluated(rule)])

async def test_t2a_non_monotone(database):
    e = Engine(await install(Programme(), [shop_of("1", avg)], NOW))
    (h,) = await enrol_cards(["1"])
    await buy(e, "P", ("x", "30.00"), ("x", "5.00"), ("x", "30.00"))
    for n in (1, 2, 3):
        await returned(e, f"R{n}", "P", line(n, "1"))
        print(await balances(e, h, NOW), await prove())
    assert await balances(e, h, NOW) == {}
    assert await prove() == []

async def test_t2b_upgrade(database):
    e = Engine(await install(Programme(), [shop_of("1", thr)], NOW))
    (h,) = await enrol_cards(["1"])
    await buy(e, "P", ("x", "60.00"), ("x", "60.00"))
    await returned(e, "R1", "P", line(1, "0.5"))
    print(await balances(e, h, NOW))
    e = Engine(await install(Programme(), [shop_of("2", thr)], NOW + days(1)))
    await returned(e, "R2", "P", line(1, "0.25"), at=NOW + days(1))
    print(await balances(e, h, NOW+days(1)), await prove())
    await cancelled(e, "P", NOW + days(1))
    print(await balances(e, h, NOW+days(1)), await prove())
    assert await balances(e, h, NOW + days(1)) == {}
    assert await prove() == []

async def test_t3_fulfilment_waited_purchase_late(market, member):
    await shipped(market, "P", NOW + days(2))
    await buy(market, "P", ("SENT", "10.00"), now=NOW + days(40))
    print(await balances(market, member, NOW + days(40)))
    assert await balances(market, member, NOW + days(40)) == {"SENT": (10, 0, 0, 0)}

async def test_t6_late_return_before_reversal(market, member):
    await buy(market, "P", ("PLAIN", "10.00"))
    done = await redeem(market, wish(member, "x-plain", partner="market"), NOW + days(1))
    await reverse_redemption(market, ReverseRequest("c", "k2", member, done.id, "damaged", False, True), NOW + days(3))
    o = await bring_back(market, "R", "P", line(1, "1"), at=NOW + days(2), now=NOW + days(4))
    print(o)
    for d in (0.5, 1.5, 2.5, 3.5, 4.5):
        print(d, await balances(market, member, NOW + days(d)))
    assert await prove() == []

async def test_t8_digest_and_older_import(market, member):
    key = digests.DigestKey.of("s")
    await buy(market, "P", ("PLAIN", "10.00"), at=NOW)
    await night(market, NOW + days(1), key=key)
    await enrol_cards(["2"])
    await buy(market, "P2", ("PLAIN", "10.00"), at=NOW - days(10), member="2")
    async with core.db.reading() as c, c.transaction():
        print([x async for x in digests.proven(c, [key], [])])

async def test_t9_batch_size(database):
    M = Currency("M", "M")
    from laurels import Facts
    @earn_rule("m", "m")
    def m(p, f):
        base = sum(x.amount for x in p.lines) // 100
        return award(M, base * (2 if f.tiers.get("club") == "gold" else 1)) if hasattr(f, "tiers") else award(M, base)
    from core.programme import LadderSettings, TierSettings
    res = []
    prog = Programme(ladders=(LadderSettings(code="club", measure="visits", window="30D", tiers=(TierSettings(code="b", at=0), TierSettings(code="gold", at=1))),))
    e = Engine(await install(prog, [Declared("market", "1", Partner("market", "M", currencies=[M]), earn_rules=[m])], NOW))
    a, b = await enrol_cards(["1", "2"])
    for mem in ("1", "2"):
        await bring_back(e, f"R{mem}", f"P{mem}", amount="100.00", at=NOW + days(1), now=NOW+days(3))
    one = [receipt(e, "P1", "1", NOW, ("x", "100.00"), partner="market"), receipt(e, "Q1", "1", NOW + days(2), ("x", "10.00"), partner="market")]
    two = [receipt(e, "P2", "2", NOW, ("x", "100.00"), partner="market"), receipt(e, "Q2", "2", NOW + days(2), ("x", "10.00"), partner="market")]
    for i in one:
        await e.record_purchases([i], NOW + days(3))
    await e.record_purchases(two, NOW + days(3))
    x, y = await balances(e, a, NOW + days(3)), await balances(e, b, NOW + days(3))
    print(x, y)
    assert x == y

async def test_t11_free_line(market, member):
    await buy(market, "P", ("PLAIN", "0.00"), ("PLAIN", "10.00"))
    print(await bring_back(market, "R", "P", line(1, "1")))
    print(await bring_back(market, "R2", "P", line(2, "1")))
    print(await cancelled(market, "P"))
    await buy(market, "Q", ("PLAIN", "0.00"))
    print(await cancelled(market, "Q"))
    assert await prove() == []

async def test_t15_history(market, member):
    for n in range(6):
        await_at = NOW + days(20 * n)
        item = receipt(market, f"P{n}", "1", await_at, ("SLIDE", "10.00"), partner="market")
        (o,) = await market.record_purchases([item], NOW + days(110), historical=True)
        if n == 2:
            u = check_return(find_partner(market.rulebook, "market"), ReturnInput("R", "P2", await_at, [line(1, "0.5")]))
            print(await record(market, [u], NOW + days(110), historical=True))
    print(await balances(market, member, NOW + days(110)))
    assert await balances(market, member, NOW + days(110)) == {"SLIDE": (55, 0, 0, 0)}

async def test_t13_cancel_of_unknown(market, member):
    await buy(market, "P", ("PLAIN", "20.00"))
    await redeem(market, replace(wish(member, "x-plain", partner="market"), order="O"), NOW)
    print(await cancelled(market, "O"), await balances(market, member, NOW))
    try:
        print(await redeem(market, replace(wish(member, "x-plain", partner="market", key="kk"), order="O"), NOW))
    except Exception as x:
        print(repr(x))

def test_t7_fractions():
    import random
    r = random.Random(1)
    n = 2000
    lines = [Line("x", r.randrange(10**5, 10**6), r.randrange(10**11, 10**12) | 1, "") for _ in range(n)]
    rem = Remains.whole(lines)
    t = time.time()
    rem = rem.less([Item(i, 1) for i in range(n)], 0)
    t1 = time.time()
    rem.entitled([Given(1, 1, tuple([5] * n), None)])
    t2 = time.time()
    print("less", t1 - t, "entitled", t2 - t1, "receipt", (rem.receipt(), time.time() - t2)[1])
