"""Adjustments and the trial balance over HTTP: who may, what is answered, what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from core.check import prove
from core.programme import AdjustmentSettings
from core.rulebook import Rulebook
from tests.schema.client import Client, receipt

ADJUST = """mutation($input: AdjustPointsInput!) { adjustPoints(input: $input) { __typename
  ... on PointsAdjusted { replayed bookedAt member { id } entries { amount kind partner { code }
      explanation { text } } tierChanges { to { code } }
    adjustment { id at points runningTotal note counts caller causeCameBack currency { code }
      reason { code title } partner { code } entry { amount source target } member { id }
      cause { externalId } } }
  ... on Error { code message path } } }"""
REPORT = """query($first: Int! = 20, $after: String, $reason: String, $partner: String,
    $from: DateTime, $until: DateTime) {
  adjustments(first: $first, after: $after, reason: $reason, partner: $partner, from: $from,
      until: $until) {
    edges { node { id points runningTotal reason { code } causeCameBack note caller } }
    pageInfo { hasNextPage endCursor }
    totals { reason { code title } currency { code } times added taken } } }"""
TERMS = "{ adjustmentTerms { reasons { code title } limits { each perDay } } }"
LOTS = """query($id: ID!) { node(id: $id) { ... on Member { ledgers {
  lots { edges { node { amount partner { code } } } } } } } }"""
CANCEL = """mutation($input: CancelPurchasesInput!) { cancelPurchases(input: $input) {
  results { __typename } } }"""
SHEET = """query($asOf: DateTime) { trialBalance(asOf: $asOf) { at members currencies { sum ledgers
  currency { code } accounts { account points } partners { partner { code } issued given
    outstanding active pending reserved redeemed expired lapsed clawedBack repaid taken arrears
    openLots difference } } } }"""


def asked(member: str, points: int, key: str = "k", **more: Any) -> dict[str, Any]:
    """An input."""
    base = {"key": key, "member": {"id": member}, "currency": "LAUREL", "points": points}
    return {**base, "reason": "goodwill", **more}


async def test_an_admin_gives_and_takes(api: Client) -> None:
    ada = await api.enrol("9012")
    bought = await api.buy(
        "partner:grocer", "grocer",
        receipt("R1", "9012", "2026-11-22T11:00:00Z", ("PRODUCE", "10.00")),
    )  # fmt: skip
    assert bought[0]["__typename"] == "PurchaseRecorded"
    purchase = await api.ask(
        "admin:root", '{ purchase(partner: "grocer", externalId: "R1") { id } }'
    )
    given = asked(ada, 60, note="The till was down", counts=True, cause=purchase["id"])
    done = await api.ask("admin:root", ADJUST, input=given)
    assert done["__typename"] == "PointsAdjusted", done
    made = done["adjustment"]
    assert (done["replayed"], made["points"], made["note"]) == (False, 60, "The till was down")
    assert (made["caller"], made["counts"], made["causeCameBack"]) == ("admin:root", True, False)
    assert made["reason"] == {"code": "goodwill", "title": "Goodwill"}
    assert made["cause"] == {"externalId": "R1"}
    assert made["partner"] is None
    assert made["entry"] == {"amount": 60, "source": "ADJUSTED", "target": "ACTIVE"}
    (entry,) = done["entries"]
    assert (entry["kind"], entry["partner"]) == ("ADJUSTMENT", None)
    assert "by hand" in entry["explanation"]["text"]
    again = await api.ask("admin:root", ADJUST, input=given)
    assert again == {**done, "replayed": True}
    lots = (await api.ask("admin:root", LOTS, id=ada))["ledgers"][0]["lots"]["edges"]
    assert [x["node"]["partner"] for x in lots] == [None, {"code": "grocer"}]
    taken = await api.ask("admin:root", ADJUST, input=asked(ada, -5, "2", reason="correction"))
    assert taken["adjustment"]["entry"] == {"amount": 5, "source": "ACTIVE", "target": "ADJUSTED"}
    node = await api.ask("admin:root", "query($id: ID!) { node(id: $id) { id } }", id=made["id"])
    assert node == {"id": made["id"]}
    assert await prove() == []


async def test_refusals_name_their_fields(api: Client) -> None:
    ada = await api.enrol("9012")
    bob = await api.enrol("9013")
    await api.buy(
        "partner:grocer", "grocer",
        receipt("R1", "9013", "2026-11-22T11:00:00Z", ("PRODUCE", "10.00")),
    )  # fmt: skip
    purchase = await api.ask(
        "admin:root", '{ purchase(partner: "grocer", externalId: "R1") { id } }'
    )
    nobody = base64.b64encode(b"Member:5").decode()
    odd = [base64.b64encode(x).decode() for x in (b"Purchase:x", b"LedgerEntry:1.2", b"Lot:1.2.3",
        b"Purchase:1", b"LedgerEntry:1.2.99999999999", b"LedgerEntry:1.2.3")]  # fmt: skip
    cases: list[tuple[dict[str, Any], str, list[str]]] = [
        ({"reason": "because"}, "BAD_INPUT", ["reason"]),
        ({"points": 0}, "BAD_INPUT", ["points"]),
        ({"points": -1}, "NOT_ELIGIBLE", ["points"]),
        ({"currency": "NONE"}, "UNKNOWN_REFERENCE", ["currency"]),
        ({"key": ""}, "BAD_INPUT", ["key"]),
        ({"note": "x" * 2001}, "BAD_INPUT", ["note"]),
        ({"partner": "nowhere"}, "UNKNOWN_REFERENCE", ["partner"]),
        ({"partner": "outfitter"}, "NOT_ALLOWED", ["currency"]),
        ({"member": {"card": "1"}}, "UNKNOWN_REFERENCE", ["member"]),
        ({"member": {"id": nobody}}, "UNKNOWN_REFERENCE", ["member"]),
        ({"cause": "x"}, "BAD_INPUT", ["cause"]),
        ({"cause": purchase["id"]}, "UNKNOWN_REFERENCE", ["cause"]),
        ({"cause": odd[2]}, "BAD_INPUT", ["cause"]),
        *(({"cause": x}, "UNKNOWN_REFERENCE", ["cause"]) for x in (*odd[:2], *odd[3:])),
    ]
    for change, code, path in cases:
        done = await api.ask("admin:root", ADJUST, input={**asked(ada, 5), **change})
        assert (done.get("code"), done.get("path")) == (code, path), (change, done)
    await api.ask("admin:root", ADJUST, input=asked(ada, 5))
    done = await api.ask("admin:root", ADJUST, input=asked(bob, 5))
    assert done["code"] == "IDEMPOTENCY_CONFLICT"


async def test_partners_adjust_only_where_the_programme_lets_them(
    api: Client, coalition: Rulebook
) -> None:
    ada = await api.enrol("9012")
    adas = api.told("partner:grocer", ada)
    for who in (ada, api.told("partner:cafe", ada), adas):
        done = await api.ask("partner:grocer", ADJUST, input=asked(who, 5))
        path = ["member"] if who == adas else ["member", "id"]
        assert (done["code"], done["path"]) == ("UNKNOWN_REFERENCE", path)
    await api.buy(
        "partner:grocer", "grocer",
        receipt("R1", "9012", "2026-11-22T11:00:00Z", ("PRODUCE", "10.00")),
    )  # fmt: skip
    done = await api.ask("partner:grocer", ADJUST, input=asked(adas, 5))
    assert done["code"] == "NOT_ALLOWED"
    assert (await api.ask("partner:grocer", TERMS))["limits"] is None
    terms = AdjustmentSettings.model_validate({"partner": {"each": 10}, "admin": {"per_day": 9}})
    object.__setattr__(coalition, "adjustments", terms)
    assert (await api.ask("partner:grocer", TERMS))["limits"] == {"each": 10, "perDay": None}
    assert (await api.ask("admin:root", TERMS))["limits"] == {"each": None, "perDay": 9}
    done = await api.ask("partner:grocer", ADJUST, input=asked(adas, 11))
    assert (done["code"], done["path"]) == ("NOT_ALLOWED", ["points"])
    done = await api.ask("partner:grocer", ADJUST, input=asked(adas, 5, partner="cafe"))
    assert (done["code"], done["path"]) == ("NOT_ALLOWED", ["partner"])
    done = await api.ask("partner:grocer", ADJUST, input=asked(adas, 5))
    assert done["adjustment"]["partner"] == {"code": "grocer"}
    # Its own are seen by it; the programme's and another's aren't.
    await api.ask("admin:root", ADJUST, input=asked(ada, 1))
    found = await api.ask("partner:grocer", REPORT)
    assert [x["node"]["points"] for x in found["edges"]] == [5]
    assert (await api.ask("partner:cafe", REPORT))["edges"] == []
    assert [x["node"]["points"] for x in (await api.ask("admin:root", REPORT))["edges"]] == [1, 5]
    ids = [x["node"]["id"] for x in (await api.ask("admin:root", REPORT))["edges"]]
    node = "query($id: ID!) { node(id: $id) { id } }"
    programmes, own = (api.told("partner:grocer", x) for x in ids)
    assert await api.ask("partner:grocer", node, id=programmes) is None
    assert await api.ask("partner:grocer", node, id=own) == {"id": own}
    assert await api.ask(api.member(ada), node, id=ids[1]) is None


@pytest.mark.parametrize("query", [REPORT, TERMS, SHEET])
async def test_members_and_nobody_are_turned_away(api: Client, query: str) -> None:
    ada = await api.enrol("9012")
    assert "errors" in await api.send(None, query)
    assert "errors" in await api.send(api.member(ada), query)
    assert "errors" in await api.send(api.member(ada), ADJUST, input=asked(ada, 5))
    if query == SHEET:
        assert "errors" in await api.send("partner:grocer", query)


async def test_the_report(api: Client) -> None:
    ada = await api.enrol("9012")
    await api.buy(
        "partner:grocer", "grocer",
        receipt("R1", "9012", "2026-11-22T11:00:00Z", ("PRODUCE", "10.00")),
    )  # fmt: skip
    purchase = await api.ask(
        "admin:root", '{ purchase(partner: "grocer", externalId: "R1") { id } }'
    )
    for n, more in enumerate(
        ({"cause": purchase["id"]}, {"reason": "fraud"}, {"partner": "grocer"}, {})
    ):
        api.clock.tick(minutes=1)
        given = asked(ada, 10 * (n + 1), f"{n}", **more)
        assert (await api.ask("admin:root", ADJUST, input=given))["__typename"] == "PointsAdjusted"
    cancel = {"purchase": "R1", "occurredAt": "2026-11-22T12:03:00Z"}
    await api.ask("partner:grocer", CANCEL, input={"partner": "grocer", "cancels": [cancel]})
    found = await api.ask("admin:root", REPORT, first=3)
    nodes = [x["node"] for x in found["edges"]]
    assert [(x["points"], x["runningTotal"]) for x in nodes] == [(40, 80), (30, 40), (20, 20)]
    assert found["totals"] == [
        {"reason": {"code": "fraud", "title": "Fraud"}, "currency": {"code": "LAUREL"},
         "times": 1, "added": 20, "taken": 0},
        {"reason": {"code": "goodwill", "title": "Goodwill"}, "currency": {"code": "LAUREL"},
         "times": 3, "added": 80, "taken": 0},
    ]  # fmt: skip
    assert found["pageInfo"]["hasNextPage"]
    rest = await api.ask("admin:root", REPORT, after=found["pageInfo"]["endCursor"])
    assert [(x["node"]["points"], x["node"]["causeCameBack"]) for x in rest["edges"]] == [
        (10, True)
    ]
    only = await api.ask("admin:root", REPORT, reason="fraud")
    assert [x["node"]["points"] for x in only["edges"]] == [20]
    only = await api.ask("admin:root", REPORT, partner="grocer")
    assert [x["node"]["points"] for x in only["edges"]] == [30]
    span = {"from": "2026-11-22T12:02:00Z", "until": "2026-11-22T12:04:00Z"}
    only = await api.ask("admin:root", REPORT, **span)
    assert [x["node"]["points"] for x in only["edges"]] == [30, 20]
    for bad in ({"first": 0}, {"first": 101}, {"after": "x"}, {"partner": "nowhere"}):
        assert "errors" in await api.send("admin:root", REPORT, **bad)
    for text in ("adjustment:1", "adjustment:1.x", "adjustment:999999999999999999.1", "lot:1.2"):
        after = base64.b64encode(text.encode()).decode()
        assert "errors" in await api.send("admin:root", REPORT, after=after)


async def test_the_trial_balance(api: Client) -> None:
    ada = await api.enrol("9012")
    await api.buy(
        "partner:grocer", "grocer",
        receipt("R1", "9012", "2026-11-22T11:00:00Z", ("PRODUCE", "10.00")),
    )  # fmt: skip
    await api.ask("admin:root", ADJUST, input=asked(ada, 7))
    found = await api.ask("admin:root", SHEET)
    assert (found["at"], found["members"]) == ("2026-11-22T12:00:00Z", 1)
    (laurel,) = [x for x in found["currencies"] if x["currency"]["code"] == "LAUREL"]
    assert all(x["sum"] == 0 for x in found["currencies"])
    sums = {x["account"]: x["points"] for x in laurel["accounts"]}
    issued = -sums["ISSUED"]
    assert issued > 0
    assert sums == {
        "ACTIVE": issued + 7, "PENDING": 0, "RESERVED": 0, "ARREARS": 0, "ISSUED": -issued,
        "REDEEMED": 0, "EXPIRED": 0, "CLAWED_BACK": 0, "ADJUSTED": -7, "LAPSED": 0,
        "IN_TRANSIT": 0,
    }  # fmt: skip
    assert (laurel["sum"], laurel["ledgers"]) == (0, 1)
    programme, grocer = laurel["partners"]
    assert (programme["partner"], programme["given"], programme["outstanding"]) == (None, 7, 7)
    assert (grocer["partner"], grocer["issued"]) == ({"code": "grocer"}, issued)
    assert (grocer["outstanding"], grocer["openLots"], grocer["difference"]) == (issued, 1, 0)
    early = await api.ask("admin:root", SHEET, asOf="2026-11-22T10:59:59Z")
    assert early["currencies"] == []
