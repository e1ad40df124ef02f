"""A member's whole story through the API: enrol, earn, look, redeem, and every why."""

from __future__ import annotations

from typing import Any

from tests.schema.client import CANCEL, CONFIRM, ENROL, PAY, REDEEM, Client, receipt
from tests.schema.returning import balances, bring, item, part

WALLET = """{ me { name enrolledAt claimed identifiers { kind value }
  ledgers { id currency { code symbol expires } balance { active pending reserved arrears }
    earned expired expiring(within: "12M") { at amount }
    entries(first: 1) { pageInfo { hasNextPage endCursor } edges { cursor node { id at bookedAt kind
      amount change source target partner { name } explanation { text } } } }
    lots { edges { node { amount remaining earnedAt activeAt expiresAt policy
      partner { code } } } } }
  tiers { ladder { code } current { code } value toNext { tier { code } missing }
    toKeep { missing until } }
  rewards(first: 2, partner: "grocer") { edges { node { code title left worth { amount currency }
    price { amount currency { code } } eligibility { can missing { amount currency { code } }
    reasons } } } }
  redemptions { edges { node { status reward { code } } } } } }"""


def _check_first_wallet(wallet: dict[str, Any], text: str) -> None:
    """530 basket points, bronze, and a reward in reach."""
    assert wallet["name"] == "Ada"
    assert wallet["identifiers"] == [{"kind": "CARD", "value": "9012"}]
    basket = next(x for x in wallet["ledgers"] if x["currency"]["code"] == "BASKET")
    assert basket["balance"] == {"active": 530, "pending": 0, "reserved": 0, "arrears": 0}
    assert basket["expiring"] == [{"at": "2027-02-20T06:30:00Z", "amount": 530}]
    [entry] = basket["entries"]["edges"]
    assert (entry["node"]["kind"], entry["node"]["change"]) == ("ACCRUAL", 530)
    assert entry["node"]["explanation"]["text"] == text
    assert basket["lots"]["edges"][0]["node"]["policy"] == "2160h"
    rank = next(t for t in wallet["tiers"] if t["ladder"]["code"] == "grocer")
    assert rank["current"]["code"] == "bronze"
    assert rank["toNext"] == {"tier": {"code": "silver"}, "missing": 470}
    [five] = wallet["rewards"]["edges"]
    assert five["node"]["eligibility"] == {"can": True, "missing": [], "reasons": []}
    assert five["node"]["worth"] == {"amount": "5.00", "currency": "USD"}


async def test_a_members_story(api: Client) -> None:
    """From enrolment to an empty wallet."""
    member = await api.enrol("9012")
    who = api.member(member)
    [bought] = await api.buy(
        "partner:grocer",
        "grocer",
        receipt(
            "R-1", "9012", "2026-11-22T09:30:00+03:00", ("PRODUCE", "150.00"), ("BREAD", "80.49")
        ),
    )
    assert bought["__typename"] == "PurchaseRecorded"
    assert not bought["replayed"]
    points = {e["currency"]["code"]: e for e in bought["entries"]}
    assert points["BASKET"]["amount"] == 530
    assert points["LAUREL"]["amount"] == 23
    why = points["BASKET"]["explanation"]
    assert "450 for PRODUCE (150.00 USD at 3)" in why["text"]
    assert why["lines"][0] == {"productType": "PRODUCE", "points": 450, "rate": "3"}
    assert why["rule"]["version"] == 1
    assert why["rounding"]
    assert {r["code"] for r in why["rules"]} == {"laurels", why["rules"][0]["code"]}

    wallet = await api.ask(who, WALLET)
    _check_first_wallet(wallet, why["text"])

    api.clock.tick(minutes=1)
    order = {"key": "k-1", "partner": "grocer", "reward": "five-off", "hold": "2h"}
    held = await api.ask(who, REDEEM, input=order)
    assert held["redemption"]["status"] == "HELD"
    assert held["redemption"]["ledger"]["balance"] == {"active": 30, "reserved": 500}
    assert held["redemption"]["member"] == {"id": member}
    again = await api.ask(who, REDEEM, input=order)
    assert again["replayed"]
    assert again["redemption"]["id"] == held["redemption"]["id"]
    api.clock.tick(minutes=1)
    settle = {"key": "k-2", "redemption": api.told("partner:grocer", held["redemption"]["id"])}
    done = await api.ask("partner:grocer", CONFIRM, input=settle)
    assert done["redemption"]["status"] == "COMPLETED"
    assert done["redemption"]["ledger"]["balance"] == {"active": 30, "reserved": 0}

    wallet = await api.ask(who, WALLET)
    basket = next(x for x in wallet["ledgers"] if x["currency"]["code"] == "BASKET")
    texts = await _texts(api, who, basket["id"])
    assert texts[:2] == [
        "500 Basket points redeemed for 'Five dollars off your next basket'.",
        "500 Basket points reserved for 'Five dollars off your next basket'.",
    ]
    assert wallet["redemptions"]["edges"] == [
        {"node": {"status": "COMPLETED", "reward": {"code": "five-off"}}}
    ]


async def _texts(api: Client, who: str, ledger: str) -> list[str]:
    """Every entry's explanation, page by page of one."""
    texts: list[str] = []
    after = None
    while True:
        node = await api.ask(
            who,
            """query($id: ID!, $after: String) { node(id: $id) { ... on Ledger {
            entries(first: 1, after: $after) { pageInfo { hasNextPage endCursor }
            edges { node { explanation { text } } } } } } }""",
            id=ledger,
            after=after,
        )
        page = node["entries"]
        texts += [edge["node"]["explanation"]["text"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return texts
        after = page["pageInfo"]["endCursor"]


async def test_a_cancelled_hold_gives_the_points_back_and_says_so(api: Client) -> None:
    """By the member itself."""
    who = api.member(await api.enrol("1"))
    await api.buy(
        "partner:grocer",
        "grocer",
        receipt("R", "1", "2026-11-22T09:00:00Z", ("PRODUCE", "200.00")),
    )
    order = {"key": "a", "partner": "grocer", "reward": "five-off", "hold": "1D"}
    held = await api.ask(who, REDEEM, input=order)
    api.clock.tick(hours=1)
    off = await api.ask(who, CANCEL, input={"key": "b", "redemption": held["redemption"]["id"]})
    assert off["redemption"]["status"] == "CANCELLED"
    assert off["redemption"]["ledger"]["balance"] == {"active": 600, "reserved": 0}
    ledgers = (await api.ask(who, '{ me { ledgers(currency: "BASKET") { id } } }'))["ledgers"]
    texts = await _texts(api, who, ledgers[0]["id"])
    assert texts[0] == (
        "600 Basket points given back: 'Five dollars off your next basket' was not taken."
    ).replace("600", "500")


async def test_a_balance_is_right_at_every_instant(api: Client) -> None:
    """Whatever was booked when: before the purchase, after it, at its expiry."""
    who = api.member(await api.enrol("1"))
    bought = receipt("R", "1", "2026-11-22T09:00:00Z", ("PRODUCE", "1.00"))
    await api.buy("partner:grocer", "grocer", bought)
    query = """query($at: DateTime) { me { tiers(asOf: $at) { ladder { code } value }
      ledgers { currency { code } balance(asOf: $at) { active } earned(asOf: $at)
      expired(asOf: $at) } } }"""
    for at, figures in (
        ("2026-11-22T08:59:59Z", (0, 0, 0, 0)),
        ("2026-11-22T09:00:00Z", (3, 3, 0, 3)),
        ("2027-02-20T08:59:59Z", (3, 3, 0, 3)),
        ("2027-02-20T09:00:00Z", (0, 3, 3, 3)),
    ):
        me = await api.ask(who, query, at=at)
        [basket] = [x for x in me["ledgers"] if x["currency"]["code"] == "BASKET"]
        [rank] = [t for t in me["tiers"] if t["ladder"]["code"] == "grocer"]
        found = basket["balance"]["active"], basket["earned"], basket["expired"], rank["value"]
        assert found == figures, at


async def test_earn_at_the_grocer_burn_at_the_outfitter(api: Client) -> None:
    """A partner that never saw the member takes shared points at its till."""
    await api.enrol("7")
    await api.buy(
        "partner:grocer",
        "grocer",
        receipt("R", "7", "2026-11-22T09:00:00Z", ("WINE", "400.00")),
    )
    order = {
        "key": "till-1",
        "partner": "outfitter",
        "reward": "tote",
        "member": {"card": "7"},
        "currency": "LAUREL",
    }
    done = await api.ask("partner:outfitter", REDEEM, input=order)
    assert done["redemption"]["status"] == "COMPLETED"
    assert done["redemption"]["points"] == 40
    assert done["redemption"]["ledger"]["balance"] == {"active": 0, "reserved": 0}


async def test_points_pay_a_part_of_the_bill(api: Client) -> None:
    """In whole steps, at most half; and the entry says for what."""
    await api.enrol("7")
    bought = receipt("R", "7", "2026-11-22T09:00:00Z", ("coat", "300.00"))
    await api.buy("partner:outfitter", "outfitter", bought)
    bill = {"key": "p", "partner": "outfitter", "rule": "pay-with-points", "member": {"card": "7"}}
    done = await api.ask(
        "partner:outfitter", PAY, input={**bill, "total": "7.90", "currency": "USD"}
    )
    paid = done["redemption"]
    assert (paid["status"], paid["rule"], paid["reward"]) == ("COMPLETED", "pay-with-points", None)
    assert (paid["points"], paid["worth"]) == (300, {"amount": "3.00", "currency": "USD"})
    assert paid["ledger"]["balance"] == {"active": 1200}
    texts = await _texts(api, "partner:outfitter", paid["ledger"]["id"])
    assert texts[0] == "300 Threads redeemed for 3.00 USD off a bill."


async def test_a_quote_says_what_recording_does_and_books_nothing(api: Client) -> None:
    """The same figures and words; then the books hold the recorded one only."""
    who = api.member(await api.enrol("1"))
    bought = receipt("R", "1", "2026-11-22T09:00:00Z", ("PRODUCE", "400.00"))
    query = """query($purchase: PurchasesItemInput!) { quotePurchase(partner: "grocer",
      purchase: $purchase) { __typename ... on PurchaseQuoted { recorded awards { amount
      currency { code } explanation { text lines { points } } } rules { code points }
      tierChanges { to { code } } } ... on Error { code } } }"""
    quoted = await api.ask("partner:grocer", query, purchase=bought)
    assert not quoted["recorded"]
    assert await api.ask(who, "{ me { ledgers { id } } }") == {"ledgers": []}
    [recorded] = await api.buy("partner:grocer", "grocer", bought)
    told = {e["currency"]["code"]: e["explanation"]["text"] for e in recorded["entries"]}
    assert told == {a["currency"]["code"]: a["explanation"]["text"] for a in quoted["awards"]}
    assert [t["to"]["code"] for t in quoted["tierChanges"]] == ["silver"]
    assert [t["to"]["code"] for t in recorded["tierChanges"]] == ["silver"]
    again = await api.ask("partner:grocer", query, purchase=bought)
    assert again["recorded"]
    assert again["awards"] == []


async def test_a_batch_answers_each_item_and_can_be_sent_again(api: Client) -> None:
    """Good items stand, bad ones name their field, and a second sending books nothing."""
    who = api.member(await api.enrol("1"))
    at = "2026-11-22T09:00:00Z"
    batch = [
        receipt("A", "1", at, ("PRODUCE", "1.00")),
        receipt("B", "unknown", at, ("PRODUCE", "1.00")),
        receipt("C", "1", at, ("PRODUCE", "-1.00")),
        receipt("D", "1", at, ("PRODUCE", "1.00"), currency="EUR"),
        receipt("E", "1", "2026-11-23T09:00:00Z", ("PRODUCE", "1.00")),
        receipt("A", "1", at, ("PRODUCE", "2.00")),
        receipt("F", "1", at, ("PRODUCE", "1.00")),
    ]
    first = await api.buy("partner:grocer", "grocer", *batch)
    assert [(r["__typename"], r.get("path")) for r in first] == [
        ("PurchaseRecorded", None),
        ("UnknownReferenceError", ["purchases", "1", "member"]),
        ("BadInputError", ["purchases", "2", "lines", "0", "amount"]),
        ("NotAllowedError", ["purchases", "3", "currency"]),
        ("NotAllowedError", ["purchases", "4", "occurredAt"]),
        ("IdempotencyConflictError", ["purchases", "5", "externalId"]),
        ("PurchaseRecorded", None),
    ]
    second = await api.buy("partner:grocer", "grocer", *batch)
    assert [r["__typename"] for r in second] == [r["__typename"] for r in first]
    assert [second[0]["replayed"], second[6]["replayed"]] == [True, True]
    assert second[0]["entries"] == first[0]["entries"]
    me = await api.ask(who, '{ me { ledgers(currency: "BASKET") { balance { active } } } }')
    assert me["ledgers"] == [{"balance": {"active": 6}}]


async def test_who_is_known_already_is_that_member(api: Client) -> None:
    """Enrolling twice gives one member, with the other identifier too."""
    member = await api.enrol("1")
    done = await api.ask("admin:root", ENROL, input={"card": "1", "email": "ADA@example.org "})
    assert (done["created"], done["memberId"]) == (False, member)
    query = "query($by: MemberBy!) { member(by: $by) { id identifiers { kind value } } }"
    for by in ({"email": "ada@example.org"}, {"card": "1"}, {"id": member}):
        found = await api.ask("admin:root", query, by=by)
        assert found["id"] == member
    assert found["identifiers"][0] == {"kind": "EMAIL", "value": "ada@example.org"}
    await api.enrol("2")
    both = await api.ask("admin:root", ENROL, input={"card": "2", "email": "ada@example.org"})
    assert both["__typename"] == "IdempotencyConflictError"


async def test_points_given_back_after_their_time_expire_and_say_so(api: Client) -> None:
    """Reserved points don't expire; released after their time they do, at once."""
    who = api.member(await api.enrol("1"))
    bought = receipt("R", "1", "2026-11-22T09:00:00Z", ("PRODUCE", "200.00"))
    await api.buy("partner:grocer", "grocer", bought)
    order = {"key": "a", "partner": "grocer", "reward": "five-off", "hold": "31D"}
    api.clock.tick(days=75)
    held = await api.ask(who, REDEEM, input=order)
    api.clock.tick(days=20)
    off = await api.ask(who, CANCEL, input={"key": "b", "redemption": held["redemption"]["id"]})
    assert off["redemption"]["ledger"]["balance"] == {"active": 0, "reserved": 0}
    query = '{ me { ledgers(currency: "BASKET") { id expired } } }'
    [basket] = (await api.ask(who, query))["ledgers"]
    assert basket["expired"] == 600
    texts = await _texts(api, who, basket["id"])
    assert "Basket points expired: earned on 2026-11-22, kept for 2160h." in texts[0]


async def test_what_was_spent_and_brought_back_is_repaid_by_the_next_purchase(api: Client) -> None:
    """Earned at the grocer, spent at the outfitter, brought back to the grocer: owed, then even."""
    who = api.member(await api.enrol("1"))
    bought = receipt("R", "1", "2026-11-22T08:00:00Z", ("WINE", "400.00"), ("WINE", "100.00"))
    await api.buy("partner:grocer", "grocer", bought)
    order = {"key": "k", "partner": "outfitter", "reward": "tote", "currency": "LAUREL"}
    done = await api.ask(who, REDEEM, input=order)
    assert done["redemption"]["ledger"]["balance"] == {"active": 10, "reserved": 0}
    back = item("B", "R", "2026-11-22T09:00:00Z", part(1, "1"))
    [returned] = await bring(api, "partner:grocer", "grocer", back)
    assert returned["takenBack"][0]["owed"] == 30
    assert await balances(api, who) == {"BASKET": {"active": 100}, "LAUREL": {"arrears": 30}}
    for number, amount, left in (("S", "120.00", {"arrears": 18}), ("T", "250.00", {"active": 7})):
        await api.buy(
            "partner:grocer",
            "grocer",
            receipt(number, "1", "2026-11-22T10:00:00Z", ("WINE", amount)),
        )
        assert (await balances(api, who))["LAUREL"] == left
    [laurels] = (await api.ask(who, '{ me { ledgers(currency: "LAUREL") { id } } }'))["ledgers"]
    assert [t for t in await _texts(api, who, laurels["id"]) if "owed" in t] == [
        "18 Laurel repaid what was owed.",
        "12 Laurel repaid what was owed.",
        "30 Laurel owed: line 1 of receipt R came back on 2026-11-22; 40 in all.",
    ]
