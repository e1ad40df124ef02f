"""The report of personal offers, and orders ahead: who may ask, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schema.client import Client, receipt

REPORT = """query($code: String! = "for-you", $partner: String! = "coffee", $until: DateTime!,
  $currency: String) { offerReport(partner: $partner, code: $code,
  from: "2026-11-01T00:00:00Z", until: $until, currency: $currency) {
  code title liftBought liftSpend offered { members rounds bought spend { amount currency }
  spendEach { amount } } control { rounds } } }"""
UNTIL = "2026-12-01T00:00:00Z"
ORDER = """mutation($input: OrderAheadInput!) { orderAhead(input: $input) { __typename
  ... on OrderedAhead { order { id externalId } } ... on Error { code path } } }"""
OFF = """mutation($input: CancelOrderAheadInput!) { cancelOrderAhead(input: $input) { __typename
  ... on OrderedAhead { order { state } } ... on Error { code path } } }"""
NODE = """query($id: ID!) { node(id: $id) { ... on AheadOrder { state member { id }
  purchase { id } partner { code } } } }"""


async def test_a_report_of_nobody_tells_no_lift(api: Client) -> None:
    assert await api.ask("partner:coffee", REPORT, until=UNTIL) == {
        "code": "for-you",
        "title": "Offers for you",
        "liftBought": None,
        "liftSpend": None,
        "offered": {
            "members": 0,
            "rounds": 0,
            "bought": 0,
            "spend": {"amount": "0.00", "currency": "EUR"},
            "spendEach": None,
        },
        "control": {"rounds": 0},
    }


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"until": "2026-10-01T00:00:00Z"}, ["until"]),
        ({"currency": "USD"}, ["currency"]),
        ({"partner": "gone"}, ["partner"]),
    ],
)
async def test_what_there_is_no_report_of_is_refused_by_its_field(
    api: Client, given: dict[str, Any], path: list[str]
) -> None:
    answer = await api.send("admin:root", REPORT, **{"until": UNTIL, **given})
    assert answer["errors"][0]["extensions"]["field"] == path


async def test_of_what_there_is_none_there_is_no_report(api: Client) -> None:
    assert await api.ask("admin:root", REPORT, until=UNTIL, code="none") is None


async def test_another_partner_sees_neither_report_nor_order(api: Client) -> None:
    answer = await api.send("partner:cafe", REPORT, until=UNTIL)
    assert answer["errors"][0]["extensions"]["reason"] == "NOT_ALLOWED"
    who = api.member(await api.enrol("9"))
    other = api.member(await api.enrol("8"))
    given: dict[str, Any] = {
        "key": "k",
        "partner": "coffee",
        "store": "",
        "pickupAt": "2026-11-22T13:00:00Z",
        "currency": "EUR",
        "lines": [{"productType": "coffee", "amount": "4.00"}],
    }
    order = (await api.ask(who, ORDER, input=given))["order"]
    assert (await api.ask(who, NODE, id=order["id"]))["state"] == "PLACED"
    assert await api.ask(other, NODE, id=order["id"]) is None
    assert await api.ask("partner:cafe", NODE, id=order["id"]) is None
    told = api.told("partner:coffee", order["id"])
    assert await api.ask("partner:coffee", NODE, id=told) == {
        "state": "PLACED", "member": None, "purchase": None, "partner": {"code": "coffee"},
    }  # fmt: skip
    for stranger in (other, "partner:cafe"):
        done = await api.ask(stranger, OFF, input={"key": "x", "order": order["id"]})
        assert (done["code"], done["path"]) == ("UNKNOWN_REFERENCE", ["order"])
    done = await api.ask("partner:coffee", OFF, input={"key": "x", "order": told})
    assert done["order"] == {"state": "CANCELLED"}
    bad = {**given, "key": "b", "lines": [{"amount": "x"}]}
    refused = await api.ask(who, ORDER, input=bad)
    assert (refused["code"], refused["path"]) == ("BAD_INPUT", ["lines", "0", "amount"])


async def test_a_purchase_says_how_it_was_paid(api: Client) -> None:
    await api.enrol("9")
    sold = receipt("T", "9", "2026-11-22T09:00:00Z", ("coffee", "4.00"), currency="EUR")
    (done,) = await api.buy("partner:coffee", "coffee", {**sold, "tender": "stored-value"})
    assert [e["amount"] for e in done["entries"]] == [4, 4]
    query = '{ purchase(partner: "coffee", externalId: "T") { tender } }'
    assert await api.ask("partner:coffee", query) == {"tender": "stored-value"}
    (refused,) = await api.buy("partner:coffee", "coffee", {**sold, "tender": "two words"})
    assert (refused["code"], refused["path"][-1]) == ("BAD_INPUT", "tender")
