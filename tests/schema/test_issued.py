"""Rewards that rules issue, over HTTP: quoted, taken with the purchase, shown with their codes."""

from __future__ import annotations

from typing import Any

from core.check import prove
from tests.schema.client import Client, receipt
from tests.schema.test_data_rules import ACTIVATE, SAVE, saving
from tests.support import NOW

STAFF = "partner:market"
ISSUED = "issued { reward quantity problem redemption { status points codes order } }"
RECORD = f"""mutation($input: RecordPurchasesInput!) {{ recordPurchases(input: $input) {{
  results {{ __typename ... on PurchaseRecorded {{ replayed {ISSUED} }} }} }} }}"""
QUOTE = """query($purchase: PurchasesItemInput!) {
  quotePurchase(partner: "market", purchase: $purchase) { ... on PurchaseQuoted {
    issued { reward quantity rule } } } }"""


async def test_a_rule_issues_a_reward_with_the_purchase(market: Client) -> None:
    await market.enrol("9")
    award = {"currency": "PLAIN", "points": 10}
    rule: dict[str, Any] = {
        "code": "gift", "title": "A thing for ten plain ones", "when": "purchase.total >= 5.0",
        "award": award, "issue": {"reward": "x-plain", "eachUnit": False},
    }  # fmt: skip
    saved = await market.ask(STAFF, SAVE, input=saving(rule, "market"))
    assert saved["rule"]["issue"] == {
        "reward": "x-plain", "quantity": 1, "eachUnit": False, "currency": None
    }  # fmt: skip
    await market.ask(STAFF, ACTIVATE, input={"partner": "market", "code": "gift", "revision": 1})
    large = receipt("R1", "9", NOW.isoformat(), ("OTHER", "5.00"))
    quoted = await market.ask(STAFF, QUOTE, purchase=large)
    assert quoted["issued"] == [{"reward": "x-plain", "quantity": 1, "rule": "gift"}]
    small = receipt("R2", "9", NOW.isoformat(), ("OTHER", "4.99"))
    batch = {"partner": "market", "purchases": [large, small]}
    for replayed in (False, True):
        first, second = (await market.ask(STAFF, RECORD, input=batch))["results"]
        assert (first["replayed"], second["issued"]) == (replayed, [])
        (issued,) = first["issued"]
        (code,) = issued["redemption"].pop("codes")
        assert len(code) >= 8
        assert issued == {
            "reward": "x-plain", "quantity": 1, "problem": "",
            "redemption": {"status": "COMPLETED", "points": 10, "order": "R1"},
        }  # fmt: skip
    assert await prove() == []


async def test_what_a_rule_cant_issue_is_refused(market: Client) -> None:
    for issue, more, path, message in (
        ({"reward": "nothing"}, {}, ["rule", "issue", "reward"], "offers no reward 'nothing'"),
        ({"reward": "x-plain", "quantity": 101}, {}, ["rule", "issue", "quantity"], "less than"),
        ({"reward": "no code"}, {}, ["rule", "issue", "reward"], "a code has"),
        ({"reward": "x-plain"}, {"caps": [{"times": 1}]}, ["rule"], "are of points"),
        (
            {"reward": "x-plain"}, {"multiply": {"currency": "PLAIN", "factor": "2"}}, ["rule"],
            "a factor issues nothing",
        ),
    ):  # fmt: skip
        rule = {"code": "gift", "title": "Gift", "issue": issue, **more}
        refused = await market.ask(STAFF, SAVE, input=saving(rule, "market"))
        assert (refused["code"], refused["path"]) == ("BAD_INPUT", path), refused
        assert message in refused["message"]


WHY = """query($rule: String!) { purchase(partner: "market", externalId: "R1") {
  whyNot(rule: $rule) { points because } } }"""


async def test_a_rule_that_only_issues_says_so(market: Client) -> None:
    await market.enrol("9")
    for code, more in (
        ("ten", {"award": {"currency": "PLAIN", "points": 10}}),
        ("thing", {"issue": {"reward": "x-plain"}}),
        ("large", {"when": "purchase.total >= 9.0", "issue": {"reward": "x-plain"}}),
    ):
        rule = {"code": code, "title": f"Rule {code}", **more}
        saved = await market.ask(STAFF, SAVE, input=saving(rule, "market"))
        assert saved["__typename"] == "DataRuleChanged", saved
        which = {"partner": "market", "code": code, "revision": 1}
        await market.ask(STAFF, ACTIVATE, input=which)
    bought = receipt("R1", "9", NOW.isoformat(), ("OTHER", "5.00"))
    batch = {"partner": "market", "purchases": [bought]}
    (recorded,) = (await market.ask(STAFF, RECORD, input=batch))["results"]
    assert [x["reward"] for x in recorded["issued"]] == ["x-plain"]
    for code, points, because in (
        ("ten", 10, ""),
        ("thing", 0, "it issued 1 of x-plain"),
        ("large", 0, "purchase.total >= 9.0"),
    ):
        told = (await market.ask(STAFF, WHY, rule=code))["whyNot"]
        assert told == {"points": points, "because": because}
