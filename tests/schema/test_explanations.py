"""Why each entry is there, for every kind there is: exact words, for its member and for others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.adjustments import AdjustRequest, adjust
from core.check import prove
from core.db import reading
from core.entries import Kind
from core.nightly import run
from core.notices import announce
from core.posting import Engine
from core.pricing import RedeemRequest
from core.redeemed import Redemption
from core.redemptions import cancel, confirm, redeem
from core.reversals import ReverseRequest, reverse_redemption
from laurels import Duration
from schema import movements
from tests.core.market import open_market
from tests.schema.client import REDEEM, Client, receipt
from tests.schema.returning import (
    CANCELS,
    FULFILS,
    balances,
    bring,
    item,
    part,
    results,
    texts,
)

AT = "2026-03-15T12:00:00Z"
TILL = "partner:market"
ENTRIES = """query($card: String!) { member(by: {card: $card}) { ledgers { currency { code }
  entries(first: 100) { edges { node { kind at amount source target partner { code }
    explanation { text rule { code } lines { points } } } } } } } }"""


@pytest.fixture
async def engine(market: Client) -> Engine:
    """The engine of the market that the client speaks to."""
    return await open_market()


async def _entries(api: Client, who: str, card: str = "1") -> list[dict[str, Any]]:
    found = await api.ask(who, ENTRIES, card=card)
    return [e["node"] for x in found["ledgers"] for e in reversed(x["entries"]["edges"])]


def _holder(who: str) -> int:
    return int(who.partition(":")[2])


async def _redeem(
    api: Client, engine: Engine, who: str, currency: str, key: str, hold: str | None = None
) -> Redemption:
    lasting = None if hold is None else Duration.parse(hold)
    request = RedeemRequest(
        who, key, "market", _holder(who), f"x-{currency.lower()}", None, lasting
    )
    return await redeem(engine, request, api.clock())


async def _live(api: Client, engine: Engine) -> str:
    """One member's life, in which everything happens."""
    who = api.member(await api.enrol("1"))
    bought = receipt(
        "P", "1", AT, ("PLAIN", "30.00"), ("HELD", "10.00"), ("SENT", "8.00"), ("KIND", "50.00")
    )
    await api.buy(TILL, "market", bought, receipt("Q", "1", AT, ("SENT", "7.00")))
    api.clock.tick(days=1)
    await _redeem(api, engine, who, "PLAIN", "a")  # at once
    held = await _redeem(api, engine, who, "PLAIN", "b", "1D")
    await confirm(engine, held.holder, held.id, who, "c", api.clock())
    held = await _redeem(api, engine, who, "KIND", "d", "1D")
    await cancel(engine, held.holder, held.id, who, "e", api.clock())
    done = await _redeem(api, engine, who, "KIND", "f")
    reverse = ReverseRequest("admin:", "g", done.holder, done.id, "damaged", by_admin=True)
    await reverse_redemption(engine, reverse, api.clock())
    shipped = {"purchase": "P", "event": "shipped", "occurredAt": "2026-03-16T10:00:00Z"}
    await results(api, TILL, FULFILS, partner="market", fulfilments=[shipped])
    await bring(api, TILL, "market", item("B", "P", "2026-03-16T11:00:00Z", part(1, "1")))
    for n, points in enumerate((15, 9, -4)):
        given = AdjustRequest("admin:", f"h{n}", "admin", _holder(who), "PLAIN", points, "goodwill")
        await adjust(engine, given, api.clock())
    api.clock.tick(days=60)
    await run(engine, api.clock())
    return who


async def test_every_kind_tells_why_it_is_there(market: Client, engine: Engine) -> None:
    api, who = market, await _live(market, engine)
    entries = await _entries(api, who)
    # Of gifts, tests/stories/test_workplace.py tells.
    assert {e["kind"] for e in entries} == {kind.name for kind in Kind} - {"GIFT"}
    assert all(e["explanation"]["text"] for e in entries)
    assert await texts(api, who, "PLAIN") == [
        "A point a dollar in PLAIN: 30 Plain points.",
        "10 Plain points redeemed for 'A thing'.",
        "10 Plain points reserved for 'A thing'.",
        "10 Plain points redeemed for 'A thing'.",
        "10 Plain points taken back: line 1 of receipt P came back on 2026-03-16; 30 in all.",
        "20 Plain points owed: line 1 of receipt P came back on 2026-03-16; 30 in all.",
        "15 Plain points added by hand: Goodwill.",
        "15 Plain points repaid what was owed.",
        "9 Plain points added by hand: Goodwill.",
        "5 Plain points repaid what was owed.",
        "4 Plain points taken away by hand: Goodwill.",
    ]
    assert await texts(api, who, "HELD") == [
        "A point a dollar in HELD: 10 Held points.",
        "10 Held points became active: earned with receipt P on 2026-03-15, held for 14D.",
        "10 Held points expired: earned on 2026-03-15, active since 2026-03-29, kept for 30D.",
    ]
    assert await texts(api, who, "SENT") == [
        "A point a dollar in SENT: 8 Sent points.",
        "A point a dollar in SENT: 7 Sent points.",
        "8 Sent points became active: 'shipped' was reported for receipt P on 2026-03-16.",
        "7 Sent points lapsed: 'shipped' hadn't been reported for receipt Q by 2026-04-14.",
        "8 Sent points expired: earned on 2026-03-15, active since 2026-03-16, kept for 60D.",
    ]
    assert await texts(api, who, "KIND") == [
        "A point a dollar in KIND: 50 Kind points.",
        "10 Kind points reserved for 'A thing'.",
        "10 Kind points given back: 'A thing' was not taken.",
        "10 Kind points redeemed for 'A thing'.",
        "10 Kind points given back: the redemption of 'A thing' was reversed (damaged).",
        "50 Kind points expired: earned on 2026-03-15, kept for 20D.",
    ]
    assert await prove() == []


def test_no_kind_is_without_words() -> None:
    """A new kind of entry must say here how it is told."""
    assert set(movements._TELLERS) == set(Kind)


async def test_what_is_done_at_night_is_of_no_partner_but_its_issuer_is_told(
    market: Client, engine: Engine
) -> None:
    who = market.member(await market.enrol("1"))
    await market.buy(TILL, "market", receipt("P", "1", AT, ("HELD", "10.00")))
    market.clock.tick(days=50)
    await run(engine, market.clock())
    for viewer in (who, TILL, "admin:root"):
        found = await _entries(market, viewer)
        told = [(e["kind"], e["partner"], e["explanation"] is not None) for e in found]
        assert told == [
            ("ACCRUAL", {"code": "market"}, True),
            ("ACTIVATION", None, True),
            ("EXPIRY", None, True),
        ]


async def test_what_expired_is_the_issuers_business_whoever_booked_it(api: Client) -> None:
    """The outfitter's till books that the grocer's laurels had died; it isn't told of receipts."""
    await api.enrol("1")
    at = "2026-11-22T09:00:00Z"
    await api.buy("partner:grocer", "grocer", receipt("R", "1", at, ("WINE", "90.00")))
    api.clock.tick(days=370)
    at = api.clock().isoformat()
    await api.buy("partner:grocer", "grocer", receipt("S", "1", at, ("WINE", "400.00")))
    order = {"key": "k", "partner": "outfitter", "reward": "tote", "currency": "LAUREL"}
    done = await api.ask("partner:outfitter", REDEEM, input={**order, "member": {"card": "1"}})
    assert done["__typename"] == "RewardRedeemed"
    for viewer, wanted in (("outfitter", None), ("grocer", "kept for 12M")):
        found = await _entries(api, f"partner:{viewer}")
        [expired] = [e for e in found if e["kind"] == "EXPIRY" and e["amount"] == 9]
        assert expired["partner"] == {"code": "outfitter"}
        told = expired["explanation"]
        assert told is None if wanted is None else wanted in told["text"]


async def test_an_entry_by_hand_is_no_partners_business(market: Client, engine: Engine) -> None:
    who = market.member(await market.enrol("1"))
    await market.buy(TILL, "market", receipt("P", "1", AT, ("PLAIN", "10.00")))
    for points, verb in ((7, "added"), (-3, "taken away")):
        given = AdjustRequest("admin:", verb, "admin", _holder(who), "PLAIN", points, "correction")
        await adjust(engine, given, market.clock())
    assert [e["explanation"] is None for e in await _entries(market, TILL)] == [False, True, True]
    assert (await texts(market, who, "PLAIN"))[1:] == [
        "7 Plain points added by hand: Correction of a mistake.",
        "3 Plain points taken away by hand: Correction of a mistake.",
    ]


@pytest.mark.parametrize(
    ("currency", "spent", "after", "why"),
    [
        # Of 30 earned 10 were spent; 20 expired on the 13th of June: they aren't charged.
        ("PLAIN", 1, 91, ["10 Plain points owed: W on 2026-06-14; 20 had expired and weren't "
                          "charged."]),
        (
            "SOFT",
            2,
            1,
            ["10 Soft points taken back: W on 2026-03-16; 30 in all; 20 were let go."],
        ),
        ("HELD", 0, 1, ["30 Held points taken back: W on 2026-03-16."]),
        ("HELD", 0, 15, []),
    ],
)  # fmt: skip
async def test_what_was_not_charged_is_told(
    market: Client, engine: Engine, currency: str, spent: int, after: int, why: list[str]
) -> None:
    """Expired before, let go by the currency's terms, or out of a return's reach."""
    who = market.member(await market.enrol("1"))
    await market.buy(TILL, "market", receipt("P", "1", AT, (currency, "30.00")))
    for n in range(spent):
        await _redeem(market, engine, who, currency, str(n))
    market.clock.tick(days=after)
    at = market.clock().isoformat()
    [done] = await results(
        market,
        "admin:root",
        CANCELS,
        partner="market",
        cancels=[{"purchase": "P", "occurredAt": at}],
    )
    words = [text.replace("W", "receipt P was cancelled") for text in why]
    told = [e["explanation"]["text"] for e in done["entries"] if e["kind"] == "CLAWBACK"]
    assert told == words
    [taken] = done["takenBack"]
    assert taken["lost"] == taken["expired"] + taken["charged"] == 30
    assert taken["charged"] == taken["taken"] + taken["owed"] + taken["letGo"]


async def test_many_parts_are_told_by_the_first(market: Client) -> None:
    who = market.member(await market.enrol("1"))
    bought = receipt("P", "1", AT, *[("PLAIN", f"{n}.00") for n in range(10, 16)])
    bought["lines"][1]["quantity"] = "1.250"
    await market.buy(TILL, "market", bought)
    parts = [part(1, amount="2.50"), part(2, "0.3"), *(part(n, "1") for n in (3, 4, 5))]
    await bring(market, TILL, "market", item("B", "P", AT, *parts))
    [_, told] = await texts(market, who, "PLAIN")
    assert told == (
        "45 Plain points taken back: 2.50 USD of line 1, 0.3 of 1.25 of line 2, line 3 and 2 other "
        "parts of receipt P came back on 2026-03-15."
    )


async def test_what_became_active_together_is_told_apart(market: Client, engine: Engine) -> None:
    """By its place, where each of the alike lots became active; in general words, where not.

    Of the fourth, a part had come back before, and of the fifth all: it never became active.
    """
    who = market.member(await market.enrol("1"))
    other = market.member(await market.enrol("2", "Bob"))
    sold = (
        ("P", "1", 9),
        ("Q", "1", 5),
        ("R", "1", 9),
        ("S", "2", 7),
        ("T", "2", 8),
        ("U", "2", 2),
    )
    bought = [receipt(n, card, AT, ("HELD", f"{x}.00")) for n, card, x in sold]
    await market.buy(TILL, "market", *bought)
    back = (item("1", "S", AT, part(1, amount="3.00")), item("2", "T", AT, part(1, "1")))
    await bring(market, TILL, "market", *back)
    market.clock.tick(days=14)
    await run(engine, market.clock())
    assert (await texts(market, who, "HELD"))[3:] == [
        f"{n} Held points became active: earned with receipt {r} on 2026-03-15, held for 14D."
        for n, r in ((9, "P"), (5, "Q"), (9, "R"))
    ]
    assert (await texts(market, other, "HELD"))[5:] == [
        "4 Held points became active on 2026-03-29.",
        "2 Held points became active on 2026-03-29.",
    ]


async def test_a_lot_tells_where_it_stands_and_a_ledger_what_comes(
    market: Client, engine: Engine
) -> None:
    """By instants, before and after the night has booked them."""
    who = market.member(await market.enrol("1"))
    bought = receipt("P", "1", AT, ("HELD", "10.00"), ("SENT", "8.00"), ("PLAIN", "5.00"))
    await market.buy(TILL, "market", bought)
    query = """{ me { ledgers { currency { code } balance { active pending }
      activating(within: "60D") { at event lapsesAt amount } expiring(within: "60D") { at amount }
      lots { edges { node { status pending policy activeAt lapsesAt expiresAt } } } } } }"""

    async def seen() -> dict[str, tuple[Any, ...]]:
        me = await market.ask(who, query)
        return {
            x["currency"]["code"]: (
                x["balance"]["active"], x["balance"]["pending"],
                [tuple(a.values()) for a in x["activating"]],
                [tuple(e.values()) for e in x["expiring"]],
                x["lots"]["edges"][0]["node"]["status"],
            )
            for x in me["ledgers"]
        }  # fmt: skip

    active, dies = "2026-03-29T12:00:00Z", ("2026-04-28T12:00:00Z", 10)
    lapses = (None, "shipped", "2026-04-14T12:00:00Z", 8)
    assert await seen() == {
        "HELD": (0, 10, [(active, None, None, 10)], [dies], "PENDING"),
        "SENT": (0, 8, [lapses], [], "PENDING"),
        "PLAIN": (5, 0, [], [], "ACTIVE"),
    }
    market.clock.tick(days=14)
    due = {
        "HELD": (10, 0, [], [dies], "ACTIVE"),
        "SENT": (0, 8, [lapses], [], "PENDING"),
        "PLAIN": (5, 0, [], [], "ACTIVE"),
    }
    assert await seen() == due
    await run(engine, market.clock())
    assert await seen() == due
    market.clock.tick(days=46)
    gone: dict[str, tuple[Any, ...]] = {
        "HELD": (0, 0, [], [], "EXPIRED"),
        "SENT": (0, 0, [], [], "LAPSED"),
        "PLAIN": (5, 0, [], [("2026-06-13T12:00:00Z", 5)], "ACTIVE"),
    }
    assert await seen() == gone
    await run(engine, market.clock())
    assert await seen() == gone
    assert await balances(market, who) == {"PLAIN": {"active": 5}}
    [lot] = (await market.ask(who, query))["ledgers"][1]["lots"]["edges"]
    assert lot["node"] == {
        "status": "EXPIRED", "pending": "14D", "policy": "30D", "activeAt": active,
        "lapsesAt": None, "expiresAt": dies[0],
    }  # fmt: skip


NOTICES = """query($first: Int! = 20, $after: String) { me { notices(first: $first, after: $after) {
  edges { cursor node { id kind at dueAt lead amount currency { code } ladder { code } } }
  pageInfo { hasNextPage endCursor } } } }"""


async def _announced(api: Client, engine: Engine, who: str) -> None:
    """Points of three receipts that expire together, told twice ahead; and a tier at risk."""
    leads = (Duration.parse("30D"), Duration.parse("7D"))
    currencies = {n: replace(c, notices=leads) for n, c in engine.rulebook.currencies.items()}
    teller = Engine(replace(engine.rulebook, currencies=currencies))
    for n in range(3):
        await api.buy(TILL, "market", receipt(f"P{n}", "1", AT, ("KIND", f"{n + 1}.00")))
        api.clock.tick(days=1)
    for _ in range(20):
        await announce(teller, api.clock())
        api.clock.tick(days=1)
    async with reading() as connection:
        await connection.execute(
            "INSERT INTO notice (holder_id, kind, subject_id, due_at, lead, amount, at) "
            "VALUES ($1, 2, 1, $2, '14D', 60, $3)",
            _holder(who),
            api.clock() + timedelta(days=14),
            api.clock(),
        )


async def test_a_member_reads_what_it_was_told(market: Client, engine: Engine) -> None:
    who = market.member(await market.enrol("1"))
    other = market.member(await market.enrol("2", "Bob"))
    await _announced(market, engine, who)
    page = (await market.ask(who, NOTICES))["notices"]
    told = [edge["node"] for edge in page["edges"]]
    assert [(n["kind"], n["lead"], n["amount"], n["dueAt"][:10]) for n in told] == [
        ("WILL_BE_DOWNGRADED", "14D", 60, "2026-04-21"),
        ("WILL_EXPIRE", "7D", 6, "2026-04-04"),
        ("WILL_EXPIRE", "30D", 6, "2026-04-04"),
    ]
    assert (told[0]["ladder"], told[0]["currency"]) == ({"code": "club"}, None)
    assert (told[1]["ladder"], told[1]["currency"]) == (None, {"code": "KIND"})
    assert told[2]["at"] == "2026-03-18T12:00:00Z"
    seen, after, more = [], None, True
    while more:
        one = (await market.ask(who, NOTICES, first=1, after=after))["notices"]
        seen += one["edges"]
        after, more = one["pageInfo"]["endCursor"], one["pageInfo"]["hasNextPage"]
    assert [edge["node"] for edge in seen] == told
    node = "query($id: ID!) { node(id: $id) { id } }"
    for viewer, found in ((who, True), (other, False), (TILL, True), ("admin:root", True)):
        for notice in told:
            known = market.told(viewer, notice["id"])
            asked = await market.ask(viewer, node, id=known)
            assert (asked == {"id": known}) is found
    assert (await market.ask(other, NOTICES))["notices"]["edges"] == []
    for cursor in ("eA==", "bm90aWNlOng=", "bm90aWNlOjEuOTk5OTk5OTk5OTk5OTk5OTk5LjEuMS54"):
        answer = await market.send(who, NOTICES, after=cursor)
        assert answer["errors"][0]["extensions"]["field"] == ["after"]
