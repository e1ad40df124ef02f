"""Returns, cancels, edits, fulfilments through the API: exact answers, refusals, who sees what."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest

from core.check import prove
from core.entitlement import Item, Remains
from schema import purchase_events
from tests.core.shop import dump
from tests.schema.client import REDEEM, Client, receipt, statements
from tests.schema.returning import (
    CANCELS,
    EDITS,
    FULFILS,
    PURCHASE,
    RETURN,
    WAITING,
    balances,
    bring,
    item,
    part,
    results,
)

AT = "2026-11-21T09:00:00Z"
LATER = "2026-11-22T09:00:00Z"
TILL = "partner:grocer"


async def _sold(api: Client, number: str = "R-1", card: str = "9012", at: str = AT) -> str:
    """A member who bought three pieces for 40.00 and one for 60.50."""
    who = api.member(await api.enrol(card))
    bought = receipt(number, card, at, ("PRODUCE", "40.00"), ("WINE", "60.50"))
    bought["lines"][0]["quantity"] = "3"
    [done] = await api.buy(TILL, "grocer", bought)
    assert done["__typename"] == "PurchaseRecorded"
    return who


def _cancel(purchase: str = "R-1", at: str = LATER) -> dict[str, Any]:
    return {"purchase": purchase, "occurredAt": at}


def _edit(revision: int, *amounts: str, purchase: str = "R-1", **other: Any) -> dict[str, Any]:
    lines = [{"productType": "PRODUCE", "amount": amount} for amount in amounts]
    given = {"purchase": purchase, "revision": revision, "occurredAt": LATER, "currency": "USD"}
    return {**given, "lines": lines, **other}


async def test_a_return_answers_what_it_took_and_why(api: Client) -> None:
    who = await _sold(api)
    assert await balances(api, who) == {"BASKET": {"active": 180}, "LAUREL": {"active": 10}}
    given = item("B-1", "R-1", LATER, part(1, "1"), part(2, amount="10.00"))
    [done] = await bring(api, TILL, "grocer", given)
    assert (done["__typename"], done["replayed"]) == ("ReturnRecorded", False)
    assert done["money"] == {"amount": "23.33", "currency": "USD"}
    came = "1 of 3 of line 1 and 10.00 USD of line 2 of receipt R-1 came back on 2026-11-22."
    # 120 less a third and 60 less 10; laurels: 10 for 100.50, 3 + 7 by line: 2 and 5 and 4/5 left.
    assert [(e["kind"], e["amount"], e["currency"]["code"]) for e in done["entries"]] == [
        ("CLAWBACK", 3, "LAUREL"),
        ("CLAWBACK", 50, "BASKET"),
    ]
    assert [e["explanation"]["text"] for e in done["entries"]] == [
        f"3 Laurel taken back: {came}",
        f"50 Basket points taken back: {came}",
    ]
    assert done["takenBack"][1] == {
        "currency": {"code": "BASKET"}, "lost": 50, "expired": 0, "charged": 50, "taken": 50,
        "owed": 0, "letGo": 0,
    }  # fmt: skip
    assert done["member"] == {"id": (await api.ask(who, "{ me { id } }"))["id"]}
    assert await balances(api, who) == {"BASKET": {"active": 130}, "LAUREL": {"active": 7}}
    before = await dump()
    [again] = await bring(api, TILL, "grocer", given)
    assert again == {**done, "replayed": True}
    assert await dump() == before


async def test_spent_points_become_arrears_and_cost_the_tier(api: Client) -> None:
    who = api.member(await api.enrol("1"))
    await api.buy(TILL, "grocer", receipt("R", "1", AT, ("PRODUCE", "400.00")))
    order = {"key": "k", "partner": "grocer", "reward": "five-off"}
    assert (await api.ask(who, REDEEM, input=order))["__typename"] == "RewardRedeemed"
    [done] = await bring(api, TILL, "grocer", item("B", "R", LATER, part(1, "1")))
    entries = [(e["amount"], e["explanation"]["text"]) for e in done["entries"]]
    why = "line 1 of receipt R came back on 2026-11-22; 1200 in all."
    assert entries[1:] == [
        (700, f"700 Basket points taken back: {why}"),
        (500, f"500 Basket points owed: {why}"),
    ]
    basket = done["takenBack"][1]
    assert (basket["lost"], basket["taken"], basket["owed"]) == (1200, 700, 500)
    # A tier is lost at the nightly review, not at the till.
    assert done["tierChanges"] == []
    ranks = "query($at: DateTime) { me { tiers(asOf: $at) { ladder { code } current { code } } } }"
    for at, wanted in (("2026-11-22T13:00:00Z", "silver"), ("2026-11-23T00:00:00Z", "bronze")):
        found = (await api.ask(who, ranks, at=at))["tiers"]
        assert {"ladder": {"code": "grocer"}, "current": {"code": wanted}} in found
    assert await balances(api, who) == {"BASKET": {"arrears": 500}}
    assert await prove() == []


async def test_a_purchase_tells_what_became_of_it(api: Client) -> None:
    who = await _sold(api)
    await bring(api, TILL, "grocer", item("B-1", "R-1", LATER, part(1, "1"), part(2, "1")))
    await bring(api, TILL, "grocer", item("B-2", "R-1", LATER, amount="7.00"))
    found = await api.ask(who, PURCHASE, partner="grocer", id="R-1")
    assert (found["total"]["amount"], found["returned"]["amount"]) == ("100.50", "80.83")
    assert [
        (x["quantity"], x["returnedQuantity"], x["amount"]["amount"], x["returnedAmount"]["amount"])
        for x in found["lines"]
    ] == [("3", "1", "40.00", "13.33"), ("1", "1", "60.50", "60.50")]
    # Of 120, two thirds are left, and of these all but 7.00 of 26.67.
    assert [(a["currency"]["code"], a["given"], a["earned"]) for a in found["awards"]] == [
        ("BASKET", 180, int(Fraction(80) * (Fraction(8000, 3) - 700) / Fraction(8000, 3))),
        ("LAUREL", 10, 1),
    ]
    assert [(e["kind"], e["externalId"], e["money"]["amount"]) for e in found["events"]] == [
        ("RETURN", "B-1", "73.83"),
        ("RETURN", "B-2", "7.00"),
    ]
    assert [x["number"] for x in found["events"][0]["lines"]] == [1, 2]
    assert found["events"][1]["lines"] == []
    assert [e["kind"] for e in found["entries"]] == ["ACCRUAL"] * 2 + ["CLAWBACK"] * 4
    assert sum(e["amount"] for e in found["entries"] if e["kind"] == "CLAWBACK") == 180 - 59 + 9
    await results(api, TILL, CANCELS, partner="grocer", cancels=[_cancel()])
    found = await api.ask(who, PURCHASE, partner="grocer", id="R-1")
    assert (found["cancelled"], found["returned"]["amount"]) == (True, "100.50")
    assert [a["earned"] for a in found["awards"]] == [0, 0]
    assert [x["returnedQuantity"] for x in found["lines"]] == ["3", "1"]
    assert await balances(api, who) == {}


async def test_a_cancel_takes_the_rest_and_is_answered_again(api: Client) -> None:
    who = await _sold(api)
    given = {"partner": "grocer", "cancels": [_cancel()]}
    [done] = await results(api, TILL, CANCELS, **given)
    assert (done["__typename"], done["money"]["amount"]) == ("PurchaseCancelled", "100.50")
    assert done["current"]["cancelled"]
    assert done["entries"][1]["explanation"]["text"] == (
        "180 Basket points taken back: receipt R-1 was cancelled on 2026-11-22."
    )
    [again] = await results(api, TILL, CANCELS, **given)
    assert again == {**done, "replayed": True}
    assert await balances(api, who) == {}


async def test_an_edit_books_what_differs_and_tells_its_revision(api: Client) -> None:
    who = await _sold(api)
    given = {"partner": "grocer", "edits": [_edit(2, "90.00")]}
    [done] = await results(api, TILL, EDITS, **given)
    assert (done["__typename"], done["revision"]) == ("PurchaseEdited", 2)
    assert done["total"] == {"amount": "90.00", "currency": "USD"}
    changed = "receipt R-1 was changed to revision 2 on 2026-11-22"
    assert [(e["kind"], e["amount"], e["explanation"]["text"]) for e in done["entries"]] == [
        ("CLAWBACK", 1, f"1 Laurel taken back: {changed}."),
        (
            "ACCRUAL",
            90,
            f"90 Basket points more, because {changed}: Points by the type of product: 270 Basket "
            "points; 270 for PRODUCE (90.00 USD at 3); rounded down, line by line.",
        ),
    ]
    assert await balances(api, who) == {"BASKET": {"active": 270}, "LAUREL": {"active": 9}}
    [again] = await results(api, TILL, EDITS, **given)
    assert again == {**done, "replayed": True}
    [third] = await results(api, TILL, EDITS, partner="grocer", edits=[_edit(3, "10.00")])
    assert third["current"]["revision"] == 3
    # The purchase's own entry still tells the receipt as it was.
    found = await api.ask(who, PURCHASE, partner="grocer", id="R-1")
    assert [(e["kind"], e["revision"]) for e in found["events"]] == [("EDIT", 2), ("EDIT", 3)]
    assert [(x["number"], x["amount"]["amount"]) for x in found["lines"]] == [(1, "10.00")]
    # A return speaks of the last revision's lines.
    [back] = await bring(api, TILL, "grocer", item("B", "R-1", LATER, part(1, "1")))
    assert back["money"]["amount"] == "10.00"
    assert await balances(api, who) == {}
    assert await prove() == []


MARKET_AT = "2026-03-15T12:00:00Z"


async def test_an_event_activates_what_waited_for_it(market: Client) -> None:
    who = market.member(await market.enrol("1"))
    bought = receipt("P", "1", MARKET_AT, ("SENT", "30.00"), ("PLAIN", "5.00"))
    await market.buy("partner:market", "market", bought)
    assert await balances(market, who) == {"PLAIN": {"active": 5}, "SENT": {"pending": 30}}
    market.clock.tick(days=2)
    given = {"purchase": "P", "event": "shipped", "occurredAt": "2026-03-16T12:00:00Z"}
    send = {"partner": "market", "fulfilments": [given, {**given, "event": "delivered"}]}
    done, other = await results(market, "partner:market", FULFILS, **send)
    assert (done["__typename"], done["event"], done["replayed"]) == (
        "PurchaseFulfilled", "shipped", False,
    )  # fmt: skip
    [entry] = done["entries"]
    assert (entry["kind"], entry["amount"], entry["explanation"]["text"]) == (
        "ACTIVATION",
        30,
        "30 Sent points became active: 'shipped' was reported for receipt P on 2026-03-16.",
    )
    assert other["entries"] == []  # nothing waits for that one
    assert await balances(market, who) == {"PLAIN": {"active": 5}, "SENT": {"active": 30}}
    again, _ = await results(market, "partner:market", FULFILS, **send)
    assert again == {**done, "replayed": True}


# Each refusal: the operation, the list, the item, the type and the path within the item.
_REFUSALS: list[tuple[str, str, dict[str, Any], str, list[str]]] = [
    (RETURN, "returns", item("", "R-1", LATER, part(1, "1")), "BadInputError", ["externalId"]),
    (RETURN, "returns", item("B", "", LATER, part(1, "1")), "BadInputError", ["purchase"]),
    (RETURN, "returns", item("B", "R-1", LATER), "BadInputError", ["lines"]),
    (
        RETURN, "returns", item("B", "R-1", LATER, part(1, "1"), amount="1.00"),
        "BadInputError", ["lines"],
    ),
    (RETURN, "returns", item("B", "R-1", LATER, part(0, "1")), "BadInputError",
     ["lines", "0", "line"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(3, "1")), "BadInputError",
     ["lines", "0", "line"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1)), "BadInputError",
     ["lines", "0", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, "1", "1.00")), "BadInputError",
     ["lines", "0", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, "x")), "BadInputError",
     ["lines", "0", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, "0")), "BadInputError",
     ["lines", "0", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, amount="1.001")), "BadInputError",
     ["lines", "0", "amount"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, amount="-1")), "BadInputError",
     ["lines", "0", "amount"]),
    (RETURN, "returns", item("B", "R-1", LATER, amount="0.00"), "BadInputError", ["amount"]),
    (RETURN, "returns", item("B", "R-1", "2026-11-20T09:00:00Z", part(1, "1")), "BadInputError",
     ["occurredAt"]),
    (RETURN, "returns", item("B", "R-1", "2026-11-23T09:00:00Z", part(1, "1")), "NotAllowedError",
     ["occurredAt"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(2, "1"), part(1, "3.001")), "NotAllowedError",
     ["lines", "1", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(2, amount="60.51")), "NotAllowedError",
     ["lines", "0", "amount"]),
    (RETURN, "returns", item("B", "R-1", LATER, amount="100.51"), "NotAllowedError", ["amount"]),
    (RETURN, "returns", item("B-0", "R-0", LATER, part(1, "2")), "IdempotencyConflictError",
     ["externalId"]),
    (RETURN, "returns", item("B", "gone", LATER, part(1, "1")), "WrongStateError", ["purchase"]),
    (CANCELS, "cancels", _cancel(""), "BadInputError", ["purchase"]),
    (CANCELS, "cancels", _cancel(at="2026-11-20T09:00:00Z"), "BadInputError", ["occurredAt"]),
    (CANCELS, "cancels", _cancel("gone", AT), "IdempotencyConflictError", ["purchase"]),
    (EDITS, "edits", _edit(1, "1.00"), "BadInputError", ["revision"]),
    (EDITS, "edits", _edit(3, "1.00"), "WrongStateError", ["revision"]),
    (EDITS, "edits", _edit(2), "BadInputError", ["lines"]),
    (EDITS, "edits", _edit(2, "1.00", "-1"), "BadInputError", ["lines", "1", "amount"]),
    (EDITS, "edits", _edit(2, "1.00", currency="EUR"), "BadInputError", ["currency"]),
    (EDITS, "edits", _edit(2, "1.00", purchase="R-9"), "UnknownReferenceError", ["purchase"]),
    (EDITS, "edits", _edit(2, "1.00", purchase="R-0"), "WrongStateError", ["purchase"]),
    (EDITS, "edits", _edit(2, "1.00", purchase="gone"), "WrongStateError", ["purchase"]),
    (FULFILS, "fulfilments", {**_cancel(), "event": ""}, "BadInputError", ["event"]),
    (FULFILS, "fulfilments", {**_cancel(at=""), "event": "x" * 65, "occurredAt": LATER},
     "BadInputError", ["event"]),
]  # fmt: skip


async def test_every_refusal_names_its_field_and_books_nothing(api: Client) -> None:
    """One bad item costs no other of its batch, and the whole table leaves the books as before."""
    await _sold(api)
    await _sold(api, "R-0", "1")
    await _sold(api, "gone", "2")
    await bring(api, TILL, "grocer", item("B-0", "R-0", LATER, part(1, "1")))
    await results(api, TILL, CANCELS, partner="grocer", cancels=[_cancel("gone")])
    before = await dump()
    for operation, name, given, kind, path in _REFUSALS:
        [done] = await results(api, TILL, operation, partner="grocer", **{name: [given]})
        assert (done["__typename"], done["path"]) == (kind, [name, "0", *path]), (given, done)
        assert done["message"]
        for partner, wanted in (("cafe", "NotAllowedError"), ("no", "UnknownReferenceError")):
            [done] = await results(api, TILL, operation, partner=partner, **{name: [given]})
            assert (done["__typename"], done["path"]) == (wanted, [name, "0", "partner"])
    assert await dump() == before
    good = item("B", "R-1", LATER, part(2, "1"))
    mixed = [given for operation, _, given, _, _ in _REFUSALS if operation is RETURN]
    answers = await bring(api, TILL, "grocer", mixed[3], good, mixed[4], good)
    assert [(d["__typename"], d.get("path", [None, None])[1]) for d in answers] == [
        ("BadInputError", "0"),
        ("ReturnRecorded", None),
        ("BadInputError", "2"),
        ("ReturnRecorded", None),
    ]
    assert [d["replayed"] for d in answers[1::2]] == [False, True]


async def test_a_batch_beyond_the_limit_is_refused_whole(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchase_events, "MOST_ITEMS", 1)
    for operation, name, given in (
        (RETURN, "returns", item("B", "R-1", LATER, part(1, "1"))),
        (CANCELS, "cancels", _cancel()),
        (EDITS, "edits", _edit(2, "1.00")),
        (FULFILS, "fulfilments", {**_cancel(), "event": "x"}),
    ):
        answer = await api.send(TILL, operation, input={"partner": "grocer", name: [given] * 2})
        assert [*answer["data"].values()] == [None]
        assert answer["errors"][0]["extensions"]["field"] == [name]


async def test_what_comes_before_its_purchase_waits_visibly(api: Client) -> None:
    who = api.member(await api.enrol("9012"))
    given = item("B-1", "R-1", LATER, part(2, "1"))
    [put] = await bring(api, TILL, "grocer", given)
    assert (put["__typename"], put["kind"], put["externalId"], put["purchase"]) == (
        "ReturnWaiting", "RETURN", "B-1", "R-1",
    )  # fmt: skip
    assert (put["since"], put["problem"]) == ("2026-11-22T12:00:00Z", None)
    api.clock.tick(minutes=1)
    [again] = await bring(api, TILL, "grocer", given)
    assert again == put
    [other] = await bring(api, TILL, "grocer", item("B-1", "R-1", LATER, part(1, "1")))
    assert (other["__typename"], other["path"]) == (
        "IdempotencyConflictError", ["returns", "0", "externalId"],
    )  # fmt: skip
    [cancel] = await results(api, "partner:cafe", CANCELS, partner="cafe", cancels=[_cancel("R-1")])
    assert (cancel["kind"], cancel["externalId"]) == ("CANCEL", "R-1")
    for viewer, seen in (("admin:root", {"grocer", "cafe"}), (TILL, {"grocer"})):
        page = await api.ask(viewer, WAITING)
        assert {e["node"]["partner"]["code"] for e in page["edges"]} == seen
    page = await api.ask("admin:root", WAITING, partner="cafe")
    assert [e["node"]["id"] for e in page["edges"]] == [cancel["id"]]
    refused = await api.send(TILL, WAITING, partner="cafe")
    assert refused["errors"][0]["extensions"]["reason"] == "NOT_ALLOWED"
    node = "query($id: ID!) { node(id: $id) { id } }"
    for viewer, found in (
        (TILL, True),
        ("partner:cafe", False),
        ("admin:root", True),
        (who, False),
    ):
        assert (await api.ask(viewer, node, id=put["id"]) == {"id": put["id"]}) is found
    await api.buy(
        TILL, "grocer", receipt("R-1", "9012", AT, ("PRODUCE", "40.00"), ("WINE", "60.50"))
    )
    assert await balances(api, who) == {"BASKET": {"active": 120}, "LAUREL": {"active": 4}}
    assert (await api.ask(TILL, WAITING))["edges"] == []
    [last] = await bring(api, TILL, "grocer", given)
    assert (last["__typename"], last["replayed"]) == ("ReturnRecorded", True)


async def test_what_waited_in_vain_says_why(api: Client) -> None:
    await bring(api, TILL, "grocer", item("B-1", "R-1", LATER, part(3, "1")))
    await _sold(api)
    [edge] = (await api.ask(TILL, WAITING))["edges"]
    assert edge["node"]["problem"] == "the receipt has 2 lines"


async def test_what_waits_is_paged_without_gap_or_repeat(api: Client) -> None:
    """Also where a return and a cancel of several partners bear one number and one instant."""
    for partner in ("grocer", "cafe", "outfitter"):
        till = f"partner:{partner}"
        await bring(api, till, partner, item("X", "R", LATER, part(1, "1")))
        await results(api, till, CANCELS, partner=partner, cancels=[_cancel("X")])
    whole = (await api.ask("admin:root", WAITING))["edges"]
    assert len({edge["node"]["id"] for edge in whole}) == 6
    seen, after, more = [], None, True
    while more:
        page = await api.ask("admin:root", WAITING, first=1, after=after)
        seen += page["edges"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == whole
    for cursor in ("eA==", "d2FpdGluZzp4", "d2FpdGluZzo5OTk5OTk5OTk5OTk5OTk5OTk5OTkuMS44Lng="):
        answer = await api.send("admin:root", WAITING, after=cursor)
        assert answer["errors"][0]["extensions"]["field"] == ["after"]


async def test_a_purchase_is_seen_by_its_member_its_partner_and_admins(api: Client) -> None:
    who = await _sold(api)
    other = api.member(await api.enrol("2", "Bob"))
    await api.buy("partner:cafe", "cafe", receipt("C", "9012", AT, ("tea", "4.00"), currency="EUR"))
    find = {"partner": "grocer", "id": "R-1"}
    found = await api.ask(who, PURCHASE, **find)
    node = "query($id: ID!) { node(id: $id) { id } }"
    for viewer, seen in (
        (who, True), (TILL, True), ("admin:root", True), (other, False), ("partner:cafe", False),
        ("partner:outfitter", False),
    ):  # fmt: skip
        assert ((await api.ask(viewer, PURCHASE, **find)) == found) is seen, viewer
        assert ((await api.ask(viewer, node, id=found["id"])) == {"id": found["id"]}) is seen
    assert await api.ask(who, PURCHASE, partner="grocer", id="R-9") is None
    unknown = await api.send(who, PURCHASE, partner="no", id="R-1")
    assert unknown["errors"][0]["extensions"]["field"] == ["partner"]
    absurd = await api.send(who, PURCHASE, partner="grocer", id="a\0b")
    assert absurd["errors"][0]["extensions"]["field"] == ["externalId"]


# What comes back in parts that don't divide evenly: a third, an amount, an amount of the whole.
_PARTS = (
    (part(1, "1"),),
    (part(2, amount="10.01"),),
    (part(1, amount="3.33"), part(2, "0.333")),
    "7.77",
)


async def _in_every_order(api: Client) -> set[tuple[object, ...]]:
    """The ends that the same returns come to, one member for each order."""
    ends: set[tuple[object, ...]] = set()
    for place, order in enumerate(permutations(range(len(_PARTS)))):
        who = await _sold(api, f"R{place}", str(place))
        for n in order:
            given = _PARTS[n]
            number, of = f"{place}.{n}", f"R{place}"
            sent = (
                item(number, of, LATER, amount=given)
                if isinstance(given, str)
                else item(number, of, LATER, *given)
            )
            [done] = await bring(api, TILL, "grocer", sent)
            assert done["__typename"] == "ReturnRecorded", done
        found = await api.ask(who, PURCHASE, partner="grocer", id=f"R{place}")
        ends.add(
            (
                str(await balances(api, who)),
                tuple(a["earned"] for a in found["awards"]),
                found["returned"]["amount"],
            )
        )
    return ends


async def test_any_order_of_returns_ends_alike(api: Client) -> None:
    assert len(await _in_every_order(api)) == 1
    assert await prove() == []


async def test_a_share_of_what_is_left_would_not(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above sees it, were an amount of the whole taken from what is left of each line."""
    honest = Remains.less

    def naive(self: Remains, items: list[Item], amount: int) -> Remains:
        after = honest(self, items, 0)
        part = Fraction(amount) / after.worth
        return Remains(after.lines, tuple(f + (1 - f) * part for f in after.gone))

    monkeypatch.setattr(Remains, "less", naive)
    assert len(await _in_every_order(api)) > 1


async def test_a_batch_costs_the_same_however_long(api: Client) -> None:
    """Returns recorded and answered in full: as many statements for a hundred as for one."""
    cards = [str(n) for n in range(10)]
    for card in cards:
        await api.enrol(card)
    bought = [receipt(f"R{n}", cards[n % 10], AT, ("PRODUCE", "40.00")) for n in range(111)]
    await api.buy(TILL, "grocer", *bought)
    counts, first = [], 0
    for size in (1, 10, 100):
        batch = [item(f"B{n}", f"R{n}", LATER, part(1, "0.5")) for n in range(first, first + size)]
        first += size
        with statements() as sent:
            done = await bring(api, TILL, "grocer", *batch)
        assert all(d["entries"][0]["explanation"]["text"] for d in done)
        counts.append(len(sent))
    assert counts == [counts[0]] * 3
    assert counts[0] <= 26, counts
