"""Returns, cancels, edits, fulfilments through the API: exact answers, refusals, who sees what."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest

from core.check import prove
from core.entitlement import Item, Remains
from tests.core.shop import dump
from tests.schema.client import REDEEM, Client, receipt, statements
from tests.schema.returning import (
    AT,
    CANCELS,
    EDITS,
    FULFILS,
    LATER,
    PURCHASE,
    TILL,
    balances,
    bring,
    cancel,
    edit,
    item,
    part,
    results,
    sold,
)


async def test_a_return_answers_what_it_took_and_why(api: Client) -> None:
    who = await sold(api)
    assert await balances(api, who) == {"BASKET": {"active": 180}, "LAUREL": {"active": 10}}
    given = item("B-1", "R-1", LATER, part(1, "1"), part(2, amount="10.00"))
    [done] = await bring(api, TILL, "grocer", given)
    assert (done["__typename"], done["replayed"]) == ("ReturnRecorded", False)
    assert done["money"] == {"amount": "23.33", "currency": "USD"}
    came = "1 of 3 of line 1 and 10.00 USD of line 2 of receipt R-1 came back on 2026-11-22."
    # 120 less a third and 60 less 10; of the laurels, 4 and 6 by line, 2.67 and 5.01 are left.
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
    me = await api.ask(who, "{ me { id } }")
    assert done["member"] == {"id": api.told(TILL, me["id"])}
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
    who = await sold(api)
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
    await results(api, TILL, CANCELS, partner="grocer", cancels=[cancel()])
    found = await api.ask(who, PURCHASE, partner="grocer", id="R-1")
    assert (found["cancelled"], found["returned"]["amount"]) == (True, "100.50")
    assert [a["earned"] for a in found["awards"]] == [0, 0]
    assert [x["returnedQuantity"] for x in found["lines"]] == ["3", "1"]
    assert await balances(api, who) == {}


async def test_a_cancel_takes_the_rest_and_is_answered_again(api: Client) -> None:
    who = await sold(api)
    given = {"partner": "grocer", "cancels": [cancel()]}
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
    who = await sold(api)
    given = {"partner": "grocer", "edits": [edit(2, "90.00")]}
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
    [third] = await results(api, TILL, EDITS, partner="grocer", edits=[edit(3, "10.00")])
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


async def test_a_purchase_is_seen_by_its_member_its_partner_and_admins(api: Client) -> None:
    who = await sold(api)
    other = api.member(await api.enrol("2", "Bob"))
    await api.buy("partner:cafe", "cafe", receipt("C", "9012", AT, ("tea", "4.00"), currency="EUR"))
    find = {"partner": "grocer", "id": "R-1"}
    found = await api.ask(who, PURCHASE, **find)
    node = "query($id: ID!) { node(id: $id) { id } }"
    for viewer, seen in (
        (who, True), (TILL, True), ("admin:root", True), (other, False), ("partner:cafe", False),
        ("partner:outfitter", False),
    ):  # fmt: skip
        mine = {**found, "member": {"id": api.told(viewer, found["member"]["id"])}}
        assert ((await api.ask(viewer, PURCHASE, **find)) == mine) is seen, viewer
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
        who = await sold(api, f"R{place}", str(place))
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
