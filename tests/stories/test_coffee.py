"""Brio Coffee: a week of Ada's, who was offered something, and of Bob's, who by lot was not.

Through GraphQL alone; only nights and jobs are run by hand, as a worker runs them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core import nightly
from core.check import prove
from core.occasions import keep_days, tell
from core.redemptions import time_out
from tests.schema.client import Client, receipt

TILL = "partner:coffee"
#: So many have the same past that the control group of a tenth is empty once in 300,000 runs.
CROWD = 120
WALLET = """{ me { ledgers { currency { code } balance { active reserved } }
  tiers { ladder { code } current { code } }
  offers { partner { code } rule title because until taken terms { name value } }
  redemptions { edges { node { status points reward { code } } } }
  aheadOrders { edges { node { externalId state redemptions { status } } } } } }"""
OFFERS = """query($card: String!) { member(by: { card: $card }) { id offers { rule } } }"""
REPORT = """query($from: DateTime!, $until: DateTime!) {
  offerReport(partner: "coffee", code: "for-you", from: $from, until: $until) { title
    offered { members rounds bought spend { amount } } liftBought liftSpend
    control { members rounds bought spend { amount } spendEach { amount } } } }"""
PERIODS = {"from": "2026-11-22T23:00:00Z", "until": "2026-11-29T23:00:00Z"}
ORDER = """mutation($input: OrderAheadInput!) { orderAhead(input: $input) { __typename
  ... on OrderedAhead { replayed order { id externalId state collectBefore total { amount }
      redemptions { status points } }
    quote { ... on PurchaseQuoted { awards { amount explanation { rule { code } } } } } }
  ... on Error { code message path } } }"""
CALL_OFF = """mutation($input: CancelOrderAheadInput!) { cancelOrderAhead(input: $input) {
  __typename ... on OrderedAhead { order { state redemptions { status } } }
  ... on Error { code message path } } }"""
TO_MAKE = """{ aheadOrders(partner: "coffee") { edges { node { externalId store pickupAt tender
  lines { productType quantity amount { amount currency } } redemptions { status reward { code } }
  } } } }"""
PAIR = (("coffee", "3.20"), ("cake", "3.50"))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """An hour of that day of November in Berlin, an hour ahead of UTC."""
    return datetime(2026, 11, day, hour - 1 if hour else 23, minute, tzinfo=UTC).replace(
        day=day if hour else day - 1
    )


async def buy(
    api: Client, name: str, card: str, *lines: tuple[str, str], tender: str = "cash"
) -> dict[str, int]:
    """Buy now: the stars by rule."""
    item = receipt(name, card, api.clock.at.isoformat(), *lines, currency="EUR")
    (done,) = await api.buy(TILL, "coffee", {**item, "tender": tender})
    assert done["__typename"] == "PurchaseRecorded", done
    rules = done["entries"][0]["explanation"]["rules"] if done["entries"] else []
    return {r["code"]: r["points"] for r in rules if r["points"]}


async def wallet(api: Client, who: str) -> Any:
    return await api.ask(who, WALLET)


async def stars(api: Client, who: str) -> dict[str, int]:
    """What of the stars is active, what is held."""
    ledgers = (await wallet(api, who))["ledgers"]
    return next(x["balance"] for x in ledgers if x["currency"]["code"] == "BRIOSTAR")


async def crowd(api: Client) -> None:
    """Everybody bought cake on three Tuesdays, for three stars each, and never coffee with it."""
    for n in range(CROWD):
        await api.enrol(f"c{n}")
    for day in (3, 10, 17):
        bought = [
            receipt(f"{day}-{n}", f"c{n}", at(day, 9).isoformat(), ("cake", "3.50"), currency="EUR")
            for n in range(CROWD)
        ]
        done = await api.buy(TILL, "coffee", *bought)
        assert {x["__typename"] for x in done} == {"PurchaseRecorded"}


async def night(api: Client, when: datetime) -> nightly.Night:
    api.clock.at = when
    return await nightly.run(api.engine, when)


async def drawn(api: Client) -> tuple[str, str, int]:
    """Of the crowd the first who is offered something, the first who isn't, and how many aren't."""
    told: dict[bool, list[str]] = {True: [], False: []}
    for n in range(CROWD):
        member = await api.ask(TILL, OFFERS, card=f"c{n}")
        assert member["offers"] in ([], [{"rule": "coffee-and-cake"}])
        told[bool(member["offers"])].append(f"c{n}")
    return told[True][0], told[False][0], len(told[False])


async def who_is(api: Client, card: str) -> str:
    member = await api.ask("admin:root", OFFERS, card=card)
    return api.member(member["id"])


async def test_a_week_at_brio(api: Client) -> None:
    await crowd(api)
    made = await night(api, at(23, 0, 5))  # Monday, five past midnight
    ada_card, bob_card, left_out = await drawn(api)
    assert made.offered == CROWD - left_out
    ada, bob = await who_is(api, ada_card), await who_is(api, bob_card)
    await _offered(api, ada, bob)
    await _week(api, ada, ada_card, bob, bob_card)
    await _gold(api, ada, ada_card)
    await _ordered(api, ada, ada_card)
    await _not_collected(api, ada)
    await _over(api, ada, ada_card, left_out)
    assert await prove() == []


async def _offered(api: Client, ada: str, bob: str) -> None:
    """Why, until when, on which terms; Bob is told nothing, and no member sees the report."""
    (offer,) = (await wallet(api, ada))["offers"]
    terms = {x["name"]: x["value"] for x in offer.pop("terms")}
    assert offer == {
        "partner": {"code": "coffee"},
        "rule": "coffee-and-cake",
        "title": "25 stars when cake goes with your coffee",
        "because": "you bought cake 3 times in 8 weeks, never with coffee",
        "until": "2026-11-29T23:00:00Z",
        "taken": 0,
    }
    assert (terms["offered"], terms["caps"]) == ("true", "at most once in a calendar week")
    assert (await wallet(api, bob))["offers"] == []
    for who in (ada, bob):
        answer = await api.send(who, REPORT, **PERIODS)
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def _week(api: Client, ada: str, ada_card: str, bob: str, bob_card: str) -> None:
    # Monday, in cash, 6.70: 6 stars, and 25 by her offer. 9 + 31 = 40.
    api.clock.at = at(23, 9)
    assert await buy(api, "m1", ada_card, *PAIR) == {"stars": 6, "coffee-and-cake": 25}
    assert (await wallet(api, ada))["offers"][0]["taken"] == 1
    # Bob buys the same: 6, for he is offered nothing. 9 + 6 = 15.
    assert await buy(api, "m2", bob_card, *PAIR) == {"stars": 6}
    assert (await stars(api, bob))["active"] == 15
    # Tuesday by the card: twice 6; the offer counts once a week. 40 + 12 = 52.
    api.clock.at = at(24, 9)
    told = await buy(api, "t1", ada_card, *PAIR, tender="stored-value")
    assert told == {"stars": 6, "card-star": 6}
    # She loads 50.00 on it: no stars, and no order of the three.
    api.clock.at = at(24, 10)
    load = receipt("t2", ada_card, at(24, 10).isoformat(), ("load", "50.00"), currency="EUR")
    load["lines"][0]["kind"] = "GIFT_CARD"
    (done,) = await api.buy(TILL, "coffee", load)
    assert (done["__typename"], done["entries"]) == ("PurchaseRecorded", [])
    assert (await stars(api, ada))["active"] == 52
    # Wednesday is a double day, and her third order: (10 + 10 + 30) x 2. 52 + 100 = 152.
    api.clock.at = at(25, 9)
    told = await buy(api, "w1", ada_card, ("coffee", "10.00"), tender="stored-value")
    assert told == {"stars": 10, "card-star": 10, "three-a-week": 30, "double-stars": 50}
    assert (await stars(api, ada))["active"] == 152


async def _gold(api: Client, ada: str, ada_card: str) -> None:
    # Thursday is her birthday: 100 stars, taken at once for a drink. 152, and 252 earned.
    assert await api.ask(ada, 'mutation { setBirthday(birthday: "11-26") { __typename } }') == {
        "__typename": "BirthdaySet"
    }
    api.clock.at = at(26, 0, 10)
    await keep_days(api.engine, api.clock.at)
    await tell(api.engine, api.clock.at)
    seen = await wallet(api, ada)
    (treat,) = [edge["node"] for edge in seen["redemptions"]["edges"]]
    assert treat == {"status": "COMPLETED", "points": 100, "reward": {"code": "drink"}}
    assert (await stars(api, ada))["active"] == 152
    # A box for the office, 48.00 by the card: 96. 152 + 96 = 248, 348 earned: gold from 300 on.
    api.clock.at = at(26, 9)
    told = await buy(api, "h1", ada_card, ("coffee", "48.00"), tender="stored-value")
    assert told == {"stars": 48, "card-star": 48}
    (tier,) = [t for t in (await wallet(api, ada))["tiers"] if t["ladder"]["code"] == "coffee"]
    assert tier["current"]["code"] == "gold"
    # Friday, 10.00 in cash: 10 and a quarter, rounded down: 12. 248 + 12 = 260.
    api.clock.at = at(27, 9)
    assert await buy(api, "f1", ada_card, ("coffee", "10.00")) == {"stars": 10, "gold-stars": 2}
    # By the card: 20 and 5. Three more orders this week, but the challenge is won once in it. 285.
    api.clock.at = at(27, 10)
    told = await buy(api, "f2", ada_card, ("coffee", "10.00"), tender="stored-value")
    assert told == {"stars": 10, "card-star": 10, "gold-stars": 5}
    assert (await stars(api, ada)) == {"active": 285, "reserved": 0}


def ahead(key: str, pickup: datetime, *rewards: str, **more: Any) -> dict[str, Any]:
    """An order of a coffee for 4.00 by the card."""
    return {
        "key": key,
        "partner": "coffee",
        "store": "Mitte",
        "pickupAt": pickup.isoformat(),
        "currency": "EUR",
        "tender": "stored-value",
        "lines": [{"productType": "coffee", "amount": "4.00"}],
        "redeem": [{"reward": x} for x in rewards],
        **more,
    }


async def _ordered(api: Client, ada: str, ada_card: str) -> None:
    # For five o'clock, with a shot (25) and a drink (100): 285 - 125 = 160. It would earn
    # 4 + 4, and a quarter of 8: 10.
    api.clock.at = at(27, 16)
    given = ahead("a1", at(27, 17), "extra", "drink")
    placed = await api.ask(ada, ORDER, input=given)
    order = placed["order"]
    assert (order["state"], order["total"], placed["replayed"]) == (
        "PLACED", {"amount": "4.00"}, False,
    )  # fmt: skip
    assert order["collectBefore"] == "2026-11-27T18:00:00Z"
    assert order["redemptions"] == [
        {"status": "HELD", "points": 25}, {"status": "HELD", "points": 100},
    ]  # fmt: skip
    assert sum(x["amount"] for x in placed["quote"]["awards"]) == 10
    assert await stars(api, ada) == {"active": 160, "reserved": 125}
    again = await api.ask(ada, ORDER, input=given)
    assert (again["replayed"], again["order"]["id"]) == (True, order["id"])
    # The shop sees what to make, and records it by the order's own number. 160 + 10 = 170.
    ((edge,),) = (await api.ask(TILL, TO_MAKE)).values()
    assert edge["node"] == {
        "externalId": order["externalId"],
        "store": "Mitte",
        "pickupAt": "2026-11-27T16:00:00Z",
        "tender": "stored-value",
        "lines": [
            {
                "productType": "coffee",
                "quantity": "1",
                "amount": {"amount": "4.00", "currency": "EUR"},
            }
        ],
        "redemptions": [
            {"status": "HELD", "reward": {"code": "extra"}},
            {"status": "HELD", "reward": {"code": "drink"}},
        ],
    }
    api.clock.at = at(27, 17)
    drink = ("coffee", "4.00")
    told = await buy(api, order["externalId"], ada_card, drink, tender="stored-value")
    assert told == {"stars": 4, "card-star": 4, "gold-stars": 2}
    assert await stars(api, ada) == {"active": 170, "reserved": 0}
    assert (await api.ask(TILL, TO_MAKE)) == {"edges": []}


async def _not_collected(api: Client, ada: str) -> None:
    # Lunch is beyond her stars: there is no order.
    refused = await api.ask(ada, ORDER, input=ahead("a2", at(28, 10), "lunch"))
    assert (refused["code"], refused["message"]) == ("NOT_ELIGIBLE", "130 more points are needed")
    # One that she calls off, and one that she doesn't come for: both give their 25 back.
    placed = await api.ask(ada, ORDER, input=ahead("a3", at(28, 10), "extra"))
    assert await stars(api, ada) == {"active": 145, "reserved": 25}
    off = {"key": "x3", "order": placed["order"]["id"]}
    assert (await api.ask(ada, CALL_OFF, input=off))["order"] == {
        "state": "CANCELLED", "redemptions": [{"status": "CANCELLED"}],
    }  # fmt: skip
    assert await stars(api, ada) == {"active": 170, "reserved": 0}
    await api.ask(ada, ORDER, input=ahead("a4", at(28, 10), "extra"))
    api.clock.at = at(28, 13)
    await time_out(api.engine, api.clock.at)
    assert await stars(api, ada) == {"active": 170, "reserved": 0}
    states = [x["node"] for x in (await wallet(api, ada))["aheadOrders"]["edges"]]
    assert [(x["state"], [r["status"] for r in x["redemptions"]]) for x in states] == [
        ("NOT_COLLECTED", ["TIMED_OUT"]),
        ("CANCELLED", ["CANCELLED"]),
        ("COLLECTED", ["COMPLETED", "COMPLETED"]),
    ]


async def _over(api: Client, ada: str, ada_card: str, left_out: int) -> None:
    # The next Monday her offer is over: 6 and a quarter, rounded down. 170 + 7 = 177.
    api.clock.at = at(30, 0)
    assert (await wallet(api, ada))["offers"] == []
    assert await buy(api, "n1", ada_card, *PAIR) == {"stars": 6, "gold-stars": 1}
    assert await stars(api, ada) == {"active": 177, "reserved": 0}
    # In the night she is offered nothing: she bought both together, and comes every day.
    await night(api, at(30, 0, 5))
    assert (await wallet(api, ada))["offers"] == []
    # She spent 6.70 + 6.70 + 10 + 48 + 10 + 10 + 4 = 95.40 on goods while hers lasted, Bob 6.70.
    report = await api.ask(TILL, REPORT, **PERIODS)
    rounds = CROWD - left_out
    assert report["offered"] == {
        "members": rounds, "rounds": rounds, "bought": 1, "spend": {"amount": "95.40"},
    }  # fmt: skip
    each = f"{670 // left_out / 100:.2f}"
    assert report["control"] == {
        "members": left_out,
        "rounds": left_out,
        "bought": 1,
        "spend": {"amount": "6.70"},
        "spendEach": {"amount": each},
    }
    assert float(report["liftBought"]) == round(100 / rounds - 100 / left_out, 1)
    assert float(report["liftSpend"]) == round(100 * 95.40 / rounds / (6.70 / left_out) - 100, 1)
