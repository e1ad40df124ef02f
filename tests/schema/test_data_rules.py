"""Rules as data over HTTP: a partner's staff write, try, put in force and end one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app import whatif
from core.check import prove
from core.data_rules import parse
from tests.schema.client import Client, receipt
from tests.support import NOW, scalar

RULE = """rule { code revision state title when lines otherwise pending reevaluated
  savedAt from until award { currency points per wholeSteps eachUnit atMost carries
    every streak within }
  caps { points times per shared rejects } budget { code points per rejects }
  multiply { currency factor } group { code mode eachLine }
  issue { reward quantity eachUnit currency }
  on deny thanks offered notes { name value lasts } }"""
CHANGED = (
    f"__typename ... on DataRuleChanged {{ replayed {RULE} }} ... on Error {{ code message path }}"
)
SAVE = f"mutation($input: SaveRuleInput!) {{ saveRule(input: $input) {{ {CHANGED} }} }}"
ACTIVATE = f"mutation($input: ActivateRuleInput!) {{ activateRule(input: $input) {{ {CHANGED} }} }}"
END = f"mutation($input: EndRuleInput!) {{ endRule(input: $input) {{ {CHANGED} }} }}"
LIST = """query($partner: String!, $code: String) {
  dataRules(partner: $partner, code: $code) { code revision state } }"""
QUOTE = """query($purchase: PurchasesItemInput!, $draft: DataRuleInput) {
  quotePurchase(partner: "grocer", purchase: $purchase, draft: $draft) { __typename
    ... on PurchaseQuoted { awards { amount explanation { text } }
      rules { code points because } }
    ... on Error { code message path } } }"""
STAFF = "partner:grocer"
AT = NOW.isoformat().replace("+00:00", "Z")


def tea(points: int = 10, **more: Any) -> dict[str, Any]:
    """Stars for tea bought after noon."""
    return {
        "code": "tea",
        "title": "Tea time",
        "when": "local.hour >= 12 && purchase.total >= 5.0",
        "lines": "line.type == 'TEA'",
        "otherwise": "Come for tea in the afternoon",
        "award": {"currency": "STAR", "points": points, "atMost": 50},
        **more,
    }


def saving(rule: dict[str, Any], partner: str = "grocer") -> dict[str, Any]:
    """An input."""
    return {"partner": partner, "rule": rule}


def bought(name: str, amount: str = "10.00") -> dict[str, Any]:
    """Tea and bread, at noon."""
    return receipt(name, "9", NOW.isoformat(), ("TEA", amount), ("BREAD", "3.00"))


async def test_staff_write_try_use_and_end_a_rule_without_a_deployment(pantry: Client) -> None:
    await pantry.enrol("9")
    tried = await pantry.ask(STAFF, QUOTE, purchase=bought("R1"), draft=tea())
    assert [a["amount"] for a in tried["awards"]] == [1, 10]
    assert tried["awards"][1]["explanation"]["text"].startswith("Tea time: 10 STAR")
    saved = await pantry.ask(STAFF, SAVE, input=saving(tea()))
    assert saved["__typename"] == "DataRuleChanged", saved
    assert saved["rule"] == {
        "code": "tea", "revision": 1, "state": "DRAFT", "title": "Tea time",
        "when": "local.hour >= 12 && purchase.total >= 5.0", "lines": "line.type == 'TEA'",
        "otherwise": "Come for tea in the afternoon", "pending": None, "reevaluated": False,
        "savedAt": AT, "from": None, "until": None, "multiply": None, "group": None,
        "award": {
            "currency": "STAR", "points": 10, "per": None, "wholeSteps": True, "eachUnit": False,
            "atMost": 50, "carries": False, "every": None, "streak": None, "within": None,
        },
        "caps": [], "budget": None, "issue": None, "on": "purchase", "deny": "", "thanks": False,
        "offered": False, "notes": [],
    }  # fmt: skip
    assert (await pantry.ask(STAFF, SAVE, input=saving(tea())))["replayed"]
    # Saved isn't in force.
    assert len((await pantry.ask(STAFF, QUOTE, purchase=bought("R1")))["awards"]) == 1
    which = {"partner": "grocer", "code": "tea"}
    done = await pantry.ask(STAFF, ACTIVATE, input={**which, "revision": 1})
    assert (done["rule"]["state"], done["rule"]["from"]) == ("ACTIVE", AT)
    recorded = await pantry.buy(STAFF, "grocer", bought("R1"), bought("R2", "1.00"))
    assert [[e["amount"] for e in r["entries"]] for r in recorded] == [[1, 10], [1]]
    told = recorded[0]["entries"][1]["explanation"]
    assert told["rule"] == {"title": "Tea time", "version": 1, "points": 10}
    assert [line["points"] for line in told["lines"]] == [10, 0]
    missed = recorded[1]["entries"][0]["explanation"]["rules"][1]
    assert missed == {"code": "tea", "points": 0, "because": "Come for tea in the afternoon"}
    ended = await pantry.ask(STAFF, END, input=which)
    assert (ended["rule"]["state"], ended["rule"]["until"]) == ("ENDED", AT)
    recorded = await pantry.buy(STAFF, "grocer", bought("R3"))
    assert [e["amount"] for e in recorded[0]["entries"]] == [1]
    assert await prove() == []


async def test_rules_are_listed_with_their_revisions(pantry: Client) -> None:
    for n, rule in enumerate((tea(1), tea(2), {**tea(), "code": "also"})):
        await pantry.ask("admin:root", SAVE, input=saving(rule))
        pantry.clock.tick(seconds=n)
    later = "2030-01-01T00:00:00Z"
    which = {"partner": "grocer", "code": "tea", "revision": 2, "from": later}
    await pantry.ask(STAFF, ACTIVATE, input=which)
    assert await pantry.ask(STAFF, LIST, partner="grocer") == [
        {"code": "also", "revision": 1, "state": "DRAFT"},
        {"code": "tea", "revision": 2, "state": "SCHEDULED"},
        {"code": "tea", "revision": 1, "state": "DRAFT"},
    ]
    assert len(await pantry.ask("admin:root", LIST, partner="grocer", code="tea")) == 2
    assert await pantry.ask("admin:root", LIST, partner="cafe") == []


async def test_a_factor_and_a_held_back_award_go_there_and_back(pantry: Client) -> None:
    multiply = {"currency": "STAR", "factor": "1.5"}
    rule: dict[str, Any] = {"code": "double", "title": "Half more", "multiply": multiply}
    saved = await pantry.ask(STAFF, SAVE, input=saving(rule))
    assert (saved["rule"]["multiply"], saved["rule"]["award"]) == (multiply, None)
    award = {"currency": "STAR", "points": 1, "per": "2.00 USD", "wholeSteps": False}
    held = tea(award=award, pending="14D", reevaluated=True)
    saved = await pantry.ask(STAFF, SAVE, input=saving(held))
    assert (saved["rule"]["pending"], saved["rule"]["reevaluated"]) == ("14D", True)
    assert saved["rule"]["award"]["per"] == "2.00 USD"


MARKET = "partner:market"
SUPPOSE = """query($purchase: PurchasesItemInput!, $draft: DataRuleInput,
    $tiers: [SupposedTierInput!]) {
  quotePurchase(partner: "market", purchase: $purchase, draft: $draft, tiers: $tiers) { __typename
    ... on PurchaseQuoted { awards { amount } } ... on Error { code message path } } }"""


async def test_a_quote_of_another_day_or_tier_is_judged_by_what_holds_then(market: Client) -> None:
    await market.enrol("9")
    rule = {
        "code": "gold", "title": "For gold in May",
        "when": "member.tiers.club == 'gold' && local.month == 5",
        "award": {"currency": "PLAIN", "points": 7},
    }  # fmt: skip
    may = "2026-05-02T12:00:00Z"
    gold = [{"ladder": "club", "tier": "gold"}]
    for at, tiers, extra in (
        (may, gold, [7]), (NOW.isoformat(), gold, []), (may, None, []), (may, [], []),
    ):  # fmt: skip
        purchase = receipt("R", "9", at, ("PLAIN", "10.00"))
        told = await market.ask(MARKET, SUPPOSE, purchase=purchase, draft=rule, tiers=tiers)
        assert [a["amount"] for a in told["awards"]] == [10, *extra], (at, tiers)
    far = receipt("R", "9", "2031-06-01T12:00:00Z", ("PLAIN", "10.00"))
    refused = await market.ask(MARKET, SUPPOSE, purchase=far)
    assert (refused["code"], refused["path"]) == ("NOT_ALLOWED", ["occurredAt"])
    for tier, path in (
        ({"ladder": "nobodys", "tier": "gold"}, ["tiers", "0", "ladder"]),
        ({"ladder": "club", "tier": "lead"}, ["tiers", "0", "tier"]),
    ):
        purchase = receipt("R", "9", may, ("PLAIN", "10.00"))
        refused = await market.ask(MARKET, SUPPOSE, purchase=purchase, tiers=[tier])
        assert (refused["code"], refused["path"]) == ("UNKNOWN_REFERENCE", path)
    assert await prove() == []


async def test_of_a_group_one_rule_gives_and_the_others_say_so(pantry: Client) -> None:
    await pantry.enrol("9")
    group = {"code": "drinks", "mode": "HIGHEST", "eachLine": True}
    for code, points in (("tea", 10), ("tea-more", 15)):
        saved = await pantry.ask(STAFF, SAVE, input=saving(tea(points, code=code, group=group)))
        assert saved["rule"]["group"] == group
        which = {"partner": "grocer", "code": code, "revision": 1}
        await pantry.ask(STAFF, ACTIVATE, input=which)
    recorded = await pantry.buy(STAFF, "grocer", bought("R1"))
    assert [e["amount"] for e in recorded[0]["entries"]] == [1, 15]
    told = recorded[0]["entries"][1]["explanation"]["rules"]
    assert told[-1] == {"code": "tea", "points": 0, "because": "'Tea time' gave instead"}
    other = tea(code="third", group={**group, "mode": "FIRST"})
    saved = await pantry.ask(STAFF, SAVE, input=saving(other))
    assert (saved["code"], saved["path"]) == ("BAD_INPUT", ["rule", "group"])
    assert await prove() == []


async def test_a_cap_and_a_budget_hold_what_a_rule_gives_and_say_what_they_cut(
    pantry: Client,
) -> None:
    for card in ("9", "8"):
        await pantry.enrol(card)
    caps = [
        {"points": 25, "times": None, "per": "calendar 1M", "shared": "", "rejects": False},
        {"points": None, "times": 9, "per": "24h", "shared": "drinks", "rejects": True},
    ]
    budget = {"code": "tea", "points": 35, "per": None, "rejects": False}
    sent = [{k: v for k, v in cap.items() if v is not None} for cap in caps]
    rule = tea(caps=sent, budget={"code": "tea", "points": 35})
    saved = await pantry.ask(STAFF, SAVE, input=saving(rule))
    assert (saved["rule"]["caps"], saved["rule"]["budget"]) == (caps, budget)
    await pantry.ask(STAFF, ACTIVATE, input={"partner": "grocer", "code": "tea", "revision": 1})
    mine = [await pantry.buy(STAFF, "grocer", bought(f"R{n}")) for n in range(4)]
    assert [[e["amount"] for e in x[0]["entries"]] for x in mine] == [[1, 10], [1, 10], [1, 5], [1]]
    assert mine[2][0]["entries"][1]["explanation"]["text"] == (
        "Tea time: 5 STAR; at most 25 points in a calendar month: 5 were left; without the cap 10."
    )
    told = mine[3][0]["entries"][0]["explanation"]["rules"][-1]
    assert told["because"] == "at most 25 points in a calendar month: that was reached"
    others = receipt("R9", "8", NOW.isoformat(), ("TEA", "10.00"))
    for _ in range(2):  # sent again it is the same, and takes nothing more
        (recorded,) = await pantry.buy(STAFF, "grocer", others)
        assert [e["amount"] for e in recorded["entries"]] == [1, 10]
    quoted = await pantry.ask(STAFF, QUOTE, purchase={**others, "externalId": "R10"})
    assert [(r["code"], r["points"]) for r in quoted["rules"]] == [("visit", 1), ("tea", 0)]
    assert quoted["rules"][1]["because"].endswith("the budget tea: that was reached")
    for field, given, message in (
        ("caps", {"caps": [{"points": 1, "times": 1}]}, "points or times, one of the two"),
        ("caps", {"caps": [{"times": 1, "per": "soon"}]}, "cap: per: 'soon' is no duration"),
        ("budget", {"budget": {"code": "b", "points": 0}}, "budget b: points: a whole number"),
        ("award", {"award": {"currency": "STAR", "points": 1, "carries": True}}, "full steps"),
        ("budget", {"code": "cake", "budget": {"code": "tea", "points": 36}}, "rule tea has it as"),
    ):
        refused = await pantry.ask(STAFF, SAVE, input=saving(tea(**given)))
        assert refused["path"][:2] == ["rule", field], refused
        assert message in refused["message"], refused
    assert await prove() == []


async def test_refusals_name_the_field_of_the_input(pantry: Client) -> None:
    await pantry.enrol("9")

    async def refused(answer: dict[str, Any], code: str, message: str, *path: str) -> None:
        assert answer["code"] == code, answer
        assert message in answer["message"]
        assert answer["path"] == list(path)

    bad = tea(when="purchase.total >= 5")
    saved = await pantry.ask(STAFF, SAVE, input=saving(bad))
    await refused(saved, "BAD_INPUT", "write 50.0 for 50", "rule", "when")
    tried = await pantry.ask(STAFF, QUOTE, purchase=bought("R1"), draft=bad)
    await refused(tried, "BAD_INPUT", "write 50.0 for 50", "draft", "when")
    gold = tea() | {"award": {"currency": "GOLD", "points": 1}}
    saved = await pantry.ask(STAFF, SAVE, input=saving(gold))
    await refused(saved, "BAD_INPUT", "may not issue GOLD", "rule", "award", "currency")
    saved = await pantry.ask(STAFF, SAVE, input=saving(tea(0)))
    await refused(saved, "BAD_INPUT", "greater than or equal to 1", "rule", "award", "points")
    saved = await pantry.ask("partner:cafe", SAVE, input=saving(tea()))
    await refused(saved, "NOT_ALLOWED", "this token acts for 'cafe' only", "partner")
    saved = await pantry.ask("admin:root", SAVE, input=saving(tea(), "nobody"))
    await refused(saved, "UNKNOWN_REFERENCE", "no partner 'nobody'", "partner")
    which = {"partner": "grocer", "code": "tea"}
    done = await pantry.ask(STAFF, ACTIVATE, input={**which, "revision": 1})
    await refused(done, "UNKNOWN_REFERENCE", "no such rule was saved", "code")
    await pantry.ask(STAFF, SAVE, input=saving(tea()))
    past = {**which, "revision": 1, "from": "2020-01-01T00:00:00Z"}
    done = await pantry.ask(STAFF, ACTIVATE, input=past)
    await refused(done, "BAD_INPUT", "keeps its rules", "from")
    done = await pantry.ask(STAFF, END, input=which)
    await refused(done, "WRONG_STATE", "nothing of it is in force", "code")
    answer = await pantry.send("partner:cafe", LIST, partner="grocer")
    assert answer["data"] is None
    assert "this token acts for 'cafe' only" in answer["errors"][0]["message"]
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_whoever_writes_a_rule_is_told_what_it_may_name(pantry: Client) -> None:
    facts = await pantry.ask(STAFF, "{ ruleFacts { name description } }")
    told = {fact["name"]: fact["description"] for fact in facts}
    assert told["purchase.total"] == "what was paid in all, in major units: 49.9"
    assert all(told.values())


WHY = """query($name: String!, $rule: String!) { purchase(partner: "grocer", externalId: $name) {
  whyNot(rule: $rule) { code title points because conditions { text held facts } lines } } }"""


async def test_why_a_rule_gave_nothing_is_told_part_by_part_by_the_facts_of_then(
    pantry: Client,
) -> None:
    ada = await pantry.enrol("9")
    for rule in (tea(), tea() | {"code": "late", "lines": "", "when": "local.hour > 20"}):
        await pantry.ask(STAFF, SAVE, input=saving(rule))
        which = {"partner": "grocer", "code": rule["code"], "revision": 1}
        await pantry.ask(STAFF, ACTIVATE, input=which)
    await pantry.buy(STAFF, "grocer", bought("R1"), bought("R2", "1.00"))

    async def why(name: str, rule: str, who: str = STAFF) -> Any:
        return (await pantry.ask(who, WHY, name=name, rule=rule))["whyNot"]

    parts = [
        {"text": "local.hour >= 12", "held": True, "facts": "local.hour is 12"},
        {"text": "purchase.total >= 5.0", "held": False, "facts": "purchase.total is 4"},
    ]
    missed = {
        "code": "tea", "title": "Tea time", "points": 0, "conditions": parts, "lines": [1],
        "because": "Come for tea in the afternoon",
    }  # fmt: skip
    assert await why("R2", "tea") == missed
    # A member is told in words alone.
    member = pantry.member(ada)
    assert await why("R2", "tea", member) == {**missed, "conditions": [], "lines": []}
    gave = await why("R1", "tea")
    assert (gave["points"], gave["because"], gave["lines"]) == (10, "", [1])
    assert [part["held"] for part in gave["conditions"]] == [True, True]
    assert (await why("R1", "late"))["because"] == "Come for tea in the afternoon"
    visit = await why("R1", "visit")
    assert (visit["points"], visit["because"], visit["conditions"]) == (1, "", [])
    assert await why("R1", "nope") is None
    # A later revision judges by other words; what is told stays as it was judged.
    await pantry.ask(STAFF, SAVE, input=saving(tea(when="purchase.total >= 100.0")))
    pantry.clock.tick(days=1)
    which = {"partner": "grocer", "code": "tea", "revision": 2}
    await pantry.ask(STAFF, ACTIVATE, input=which)
    assert await why("R2", "tea") == missed
    # A rule that began later didn't judge it.
    await pantry.ask(STAFF, SAVE, input=saving(tea() | {"code": "new"}))
    await pantry.ask(STAFF, ACTIVATE, input={"partner": "grocer", "code": "new", "revision": 1})
    assert (await why("R1", "new"))["because"] == "it wasn't in force then"


async def test_a_draft_reads_as_save_rule_takes_it(pantry: Client, tmp_path: Path) -> None:
    """The very JSON of an input: what is checked of it is what saveRule stores."""
    notes = [{"name": "vip"}, {"name": "old", "value": None}, {"name": "x", "value": "GIFT_CARDS"}]
    rule = {
        "code": "MORE_TEA", "title": "HIGHEST", "when": "local.weekday != 'NET_OF_POINTS'",
        "award": {"currency": "STAR", "points": "1", "per": "1.00 USD", "wholeSteps": True},
        "basis": {"of": "NET_OF_POINTS", "without": ["TAX", "GIFT_CARDS"], "exceptTypes": ["A_B"]},
        "group": {"code": "G_1", "mode": "LOWEST", "eachLine": False},
        "caps": [{"points": "100", "per": "calendar 1M"}], "notes": notes,
    }  # fmt: skip
    saved = await pantry.ask(STAFF, SAVE, input=saving(rule))
    assert saved["__typename"] == "DataRuleChanged", saved
    stored = parse(json.loads(await scalar("SELECT definition::text FROM data_rule")))
    file = tmp_path / "rule.json"
    # Optional inputs that are left out a client may send as null, too.
    for more in ({}, dict.fromkeys(("multiply", "issue", "budget", "pending"))):
        file.write_text(json.dumps({**rule, **more}))
        draft = whatif._read(file)
        assert draft is not None
        assert parse(draft) == stored


@pytest.mark.parametrize("odd", ["\0", "tea\0", "x" * 65])
async def test_a_code_that_no_rule_can_have(pantry: Client, odd: str) -> None:
    """Refused with its field, wherever one is named; PostgreSQL isn't asked what it is."""
    query = 'query($code: String) { dataRules(partner: "grocer", code: $code) { code } }'
    answer = await pantry.send("admin:root", query, code=odd)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    for field, more in (("activateRule", {"revision": 1}), ("endRule", {})):
        kind = f"{field[0].upper()}{field[1:]}Input"
        change = f"""mutation($input: {kind}!) {{ {field}(input: $input) {{ __typename
          ... on Error {{ path }} }} }}"""
        given = {"partner": "grocer", "code": odd, **more}
        done = await pantry.ask("admin:root", change, input=given)
        assert done == {"__typename": "BadInputError", "path": ["code"]}, field


@pytest.mark.parametrize("said", [{"deny": "no\0"}, {"lines": "true\0"}, {"otherwise": "\0"}])
async def test_a_rule_of_what_is_no_text(pantry: Client, said: dict[str, str]) -> None:
    """Refused before it is kept."""
    change = """mutation($input: SaveRuleInput!) { saveRule(input: $input) { __typename
      ... on Error { path } } }"""
    rule = {"code": "tea", "title": "Tea", "award": {"currency": "STAR", "points": 1}, **said}
    done = await pantry.ask("admin:root", change, input={"partner": "grocer", "rule": rule})
    assert done == {"__typename": "BadInputError", "path": ["rule", *said]}
