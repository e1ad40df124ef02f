"""What lines say and on what rules count, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from core.check import prove
from tests.schema.client import LINES, RECORD, Client, receipt
from tests.support import NOW

STAFF, AT = "partner:grocer", NOW.isoformat()
CHANGED = """__typename ... on DataRuleChanged { replayed rule { revision
  basis { of without exceptTypes } } } ... on Error { message path }"""
SAVE = f"mutation($input: SaveRuleInput!) {{ saveRule(input: $input) {{ {CHANGED} }} }}"
ACTIVATE = f"mutation($input: ActivateRuleInput!) {{ activateRule(input: $input) {{ {CHANGED} }} }}"
QUOTE = """query($purchase: PurchasesItemInput!, $draft: DataRuleInput) {
  quotePurchase(partner: "grocer", purchase: $purchase, draft: $draft) { __typename
    ... on PurchaseQuoted { awards { amount explanation { text lines { amount { amount } } } }
      rules { code points because } }
    ... on Error { message path } } }"""
EDIT = """mutation($input: EditPurchasesInput!) { editPurchases(input: $input) { results {
  __typename ... on PurchaseEdited { total { amount } } ... on Error { message path } } } }"""
RULES = """{ partners(code: "grocer") { earnRules { code basis } } }"""


def sold(name: str, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A purchase of these lines, as a till sends it."""
    return {**receipt(name, "9", AT, ("", "0")), "lines": list(lines), **more}


SHIRT = {
    "productType": "shirt", "amount": "10.00", "discount": "2.00", "tax": "1.67",
    "pointsPaid": "4.00",
}  # fmt: skip
DELIVERY = {"amount": "4.90", "kind": "DELIVERY"}
CARD = {"productType": "card", "amount": "50", "kind": "GIFT_CARD"}
FEE = {"productType": "bag", "amount": "0.25", "kind": "FEE"}


def ones(**more: Any) -> dict[str, Any]:
    """A star a dollar."""
    award = {"currency": "STAR", "points": 1, "per": "1.00 USD"}
    return {"code": "ones", "title": "Ones", "award": award, **more}


async def test_what_a_till_says_of_a_line_is_read_again(pantry: Client) -> None:
    await pantry.enrol("9")
    given = sold("A", SHIRT, DELIVERY, CARD, FEE, pointsPaid="5.00")
    done = await pantry.ask(STAFF, RECORD, input={"partner": "grocer", "purchases": [given]})
    assert [x["__typename"] for x in done["results"]] == ["PurchaseRecorded"]
    found = await pantry.ask(STAFF, LINES, id="A")
    told = [
        (x["kind"], *(x[name]["amount"] for name in ("amount", "discount", "tax", "pointsPaid")))
        for x in found["lines"]
    ]
    # Of the 5.00 the shirt says 4.00; the other 1.00 falls on the other lines by their amounts.
    assert told == [
        ("GOODS", "10.00", "2.00", "1.67", "4.00"),
        ("DELIVERY", "4.90", "0.00", "0.00", "0.09"),
        ("GIFT_CARD", "50.00", "0.00", "0.00", "0.91"),
        ("FEE", "0.25", "0.00", "0.00", "0.00"),
    ]
    assert found["total"]["amount"] == "65.15"
    edit = {"purchase": "A", "revision": 2, "occurredAt": AT, "currency": "USD"}
    edits = [{**edit, "lines": [FEE, {"amount": "1.00"}], "pointsPaid": "0.25"}]
    (done,) = (await pantry.ask(STAFF, EDIT, input={"partner": "grocer", "edits": edits}))[
        "results"
    ]
    assert done == {"__typename": "PurchaseEdited", "total": {"amount": "1.25"}}
    found = await pantry.ask(STAFF, LINES, id="A")
    paid = [(x["kind"], x["pointsPaid"]["amount"]) for x in found["lines"]]
    assert paid == [("FEE", "0.05"), ("GOODS", "0.20")]
    assert await prove() == []


@pytest.mark.parametrize(
    ("purchase", "path"),
    [
        (sold("A", {**SHIRT, "tax": "10.01"}), ["lines", "0", "tax"]),
        (sold("A", DELIVERY, {**SHIRT, "discount": "-1"}), ["lines", "1", "discount"]),
        (sold("A", {**SHIRT, "pointsPaid": "11"}), ["lines", "0", "pointsPaid"]),
        (sold("A", SHIRT, pointsPaid="3.99"), ["pointsPaid"]),
        (sold("A", DELIVERY, pointsPaid="5"), ["pointsPaid"]),
    ],
)
async def test_what_fits_no_line_is_refused_by_its_field(
    pantry: Client, purchase: dict[str, Any], path: list[str]
) -> None:
    await pantry.enrol("9")
    given = {"partner": "grocer", "purchases": [purchase]}
    (refused,) = (await pantry.ask(STAFF, RECORD, input=given))["results"]
    assert (refused["__typename"], refused["code"]) == ("BadInputError", "BAD_INPUT")
    assert refused["path"] == ["purchases", "0", *path]
    assert await pantry.ask(STAFF, LINES, id="A") is None


async def test_a_rule_names_its_basis_and_tells_it(pantry: Client) -> None:
    await pantry.enrol("9")
    basis = {"of": "NET_OF_POINTS", "without": ["GIFT_CARDS", "TAX"], "exceptTypes": ["bag"]}
    told = {"of": "NET_OF_POINTS", "without": ["TAX", "GIFT_CARDS"], "exceptTypes": ["bag"]}
    draft = ones(basis=basis)
    saved = await pantry.ask(STAFF, SAVE, input={"partner": "grocer", "rule": draft})
    assert saved["rule"] == {"revision": 1, "basis": told}
    draft = ones(basis={**basis, "without": ["TAX", "GIFT_CARDS", "TAX"]})
    again = await pantry.ask(STAFF, SAVE, input={"partner": "grocer", "rule": draft})
    assert (again["replayed"], again["rule"]["revision"]) == (True, 1)
    plain = await pantry.ask(STAFF, SAVE, input={"partner": "grocer", "rule": ones()})
    assert plain["rule"] == {"revision": 2, "basis": None}
    # 5.00 of the shirt, and the delivery's 4.90.
    quoted = await pantry.ask(STAFF, QUOTE, purchase=sold("A", SHIRT, DELIVERY, CARD), draft=draft)
    explained = quoted["awards"][-1]["explanation"]
    assert quoted["awards"][-1]["amount"] == 9
    assert explained["text"] == (
        "Ones: 9 STAR; on what was paid with money, without tax and gift cards, except bag."
    )
    assert [x["amount"]["amount"] for x in explained["lines"]] == ["5.00", "4.90", "0.00"]
    quoted = await pantry.ask(STAFF, QUOTE, purchase=sold("A", CARD, FEE), draft=draft)
    assert quoted["rules"][-1] == {
        "code": "ones", "points": 0, "because": "nothing here counts: it is for what was paid with "
        "money, without tax and gift cards, except bag",
    }  # fmt: skip
    await pantry.ask(STAFF, ACTIVATE, input={"partner": "grocer", "code": "ones", "revision": 1})
    (grocer,) = await pantry.ask(STAFF, RULES)
    assert grocer["earnRules"] == [
        {"code": "visit", "basis": None},
        {
            "code": "ones",
            "basis": "what was paid with money, without tax and gift cards, except bag",
        },
    ]


async def test_a_basis_where_none_belongs_is_refused_by_its_field(pantry: Client) -> None:
    factor = {"code": "f", "title": "F", "multiply": {"currency": "STAR", "factor": "2"}}
    rule = {"partner": "grocer", "rule": {**factor, "basis": {"of": "GROSS"}}}
    refused = await pantry.ask(STAFF, SAVE, input=rule)
    assert (refused["__typename"], refused["path"]) == ("BadInputError", ["rule"])
    rule = {"partner": "grocer", "rule": ones(basis={"exceptTypes": [""]})}
    refused = await pantry.ask(STAFF, SAVE, input=rule)
    assert refused["path"] == ["rule", "basis"]
