"""A partner's key of one scope alone, over HTTP: what nested fields tell it, and what they don't.

What a field hands out is asked for anew there: by whatever way a receipt or a code is come by, it
takes the scope that reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from core.programme import AdjustmentSettings
from core.rulebook import Rulebook
from schema.roles import SCOPES, STAFF_ROLES
from tests.schema.client import REDEEM, Client, receipt
from tests.schema.returning import AT, LATER, TILL, item
from tests.schema.roots import HERO
from tests.schema.test_data_rules import ACTIVATE, SAVE, saving
from tests.schema.test_issued import RECORD as ISSUED
from tests.schema.test_keys import by, create
from tests.schema.test_shadows import REPORT, drafted
from tests.support import NOW

#: A line's number in the shop: whoever reads it reads the receipt.
SKU = "sku-that-is-told"
LINES = "{ lines { sku } }"
PURCHASE = f'{{ purchase(partner: "grocer", externalId: "R-1") {LINES} }}'
NODE = f"query($id: ID!) {{ node(id: $id) {{ ... on Purchase {LINES} }} }}"
CODES = "query($id: ID!) { node(id: $id) { ... on Redemption { codes } } }"
MEMBERS = "{ members { edges { node { redemptions { edges { node { codes } } } } } } }"
BY_CODE = """query($code: String!) {
  redemptionByCode(partner: "grocer", code: $code) { codes } }"""
ADJUSTED = f"{{ adjustments {{ edges {{ node {{ points cause {LINES} }} }} }} }}"
ADJUST = f"""mutation($input: AdjustPointsInput!) {{ adjustPoints(input: $input) {{ __typename
  ... on PointsAdjusted {{ adjustment {{ points cause {LINES} }} }} }} }}"""
RETURN = f"""mutation($input: RecordReturnsInput!) {{ recordReturns(input: $input) {{ results {{
  __typename ... on ReturnRecorded {{ purchase current {LINES} }} }} }} }}"""
#: By what name each way goes, and which scopes see what lies there, each alone.
RECEIPTS = {
    "purchase": {"purchases:read"}, "node": {"purchases:read"},
    "adjustments": set[str](), "adjustPoints": set[str](), "recordReturns": set[str](),
}  # fmt: skip
CODED = {
    "codes": {"redemptions:read"}, "redemptionByCode": {"redemptions:read"},
    "redeemReward": {"redemptions:write"}, "members": set[str](),
}  # fmt: skip
Ways = Mapping[str, tuple[str, dict[str, Any]]]


async def key(api: Client, *scopes: str, partner: str = "grocer") -> str:
    """A new key that opens these."""
    named = [scope.upper().replace(":", "_") for scope in scopes]
    made = await create(api, "admin:root", partner=partner, scopes=named)
    return str(made["secret"])


async def seen(api: Client, secret: str, ways: Ways, what: str) -> set[str]:
    """By which ways a key comes by something."""
    return {
        name
        for name, (query, variables) in ways.items()
        if what in json.dumps(await by(api, secret, query, **variables))
    }


async def bought(api: Client) -> None:
    """A receipt of a member."""
    await api.enrol("9012")
    given = receipt("R-1", "9012", AT, ("PRODUCE", "900.00"))
    given["lines"][0]["sku"] = SKU
    await api.buy(TILL, "grocer", given)


async def receipts(api: Client, coalition: Rulebook) -> Ways:
    """Every way to one."""
    terms = AdjustmentSettings.model_validate({"partner": {"each": 10}})
    object.__setattr__(coalition, "adjustments", terms)
    await bought(api)
    found = await api.ask(TILL, '{ purchase(partner: "grocer", externalId: "R-1") { id } }')
    adjusting = {
        "key": "a", "member": {"card": "9012"}, "currency": "LAUREL", "points": 5,
        "reason": "goodwill", "cause": found["id"],
    }  # fmt: skip
    returning = {"partner": "grocer", "returns": [item("B-1", "R-1", LATER, amount="10.00")]}
    return {
        "purchase": (PURCHASE, {}), "node": (NODE, {"id": found["id"]}),
        "adjustPoints": (ADJUST, {"input": adjusting}), "adjustments": (ADJUSTED, {}),
        "recordReturns": (RETURN, {"input": returning}),
    }  # fmt: skip


async def test_a_receipt_is_for_keys_that_read_purchases(api: Client, coalition: Rulebook) -> None:
    """By whatever way: an adjustment's cause, the answer to a return."""
    ways = await receipts(api, coalition)
    assert await seen(api, await key(api, *SCOPES), ways, SKU) == set(ways)  # the control
    for scope in SCOPES:
        wanted = {name for name, scopes in RECEIPTS.items() if scope in scopes}
        assert await seen(api, await key(api, scope), ways, SKU) == wanted, scope
    for scope, more in (
        ("points:adjust", {"adjustments", "adjustPoints"}),
        ("purchases:write", {"recordReturns"}),
    ):
        both = await key(api, "purchases:read", scope)
        assert await seen(api, both, ways, SKU) == {"purchase", "node"} | more


async def test_a_key_acts_on_receipts_that_it_may_not_read(
    api: Client, coalition: Rulebook
) -> None:
    """It names one as a cause, and brings part of it back; it is told no more of it."""
    ways = await receipts(api, coalition)
    query, variables = ways["adjustPoints"]
    made = await by(api, await key(api, "points:adjust"), query, **variables)
    assert made == {
        "data": {
            "adjustPoints": {
                "__typename": "PointsAdjusted",
                "adjustment": {"points": 5, "cause": None},
            }
        }
    }
    query, variables = ways["recordReturns"]
    came = await by(api, await key(api, "purchases:write"), query, **variables)
    [done] = came["data"]["recordReturns"]["results"]
    assert done == {"__typename": "ReturnRecorded", "purchase": "R-1", "current": None}
    # Another partner's receipt is nobody's cause, whatever the key opens.
    query, variables = ways["adjustPoints"]
    coffee = receipt("C-1", "9012", AT, ("COFFEE", "5.00"), currency="EUR")
    await api.buy("partner:cafe", "cafe", coffee)
    theirs = await api.ask("admin:root", '{ purchase(partner: "cafe", externalId: "C-1") { id } }')
    other = {"input": {**variables["input"], "key": "b", "cause": theirs["id"]}}
    refused = await by(api, await key(api, *SCOPES), query, **other)
    assert refused["data"]["adjustPoints"]["__typename"] == "UnknownReferenceError"


async def test_a_shadows_receipts_are_for_keys_that_read_purchases(pantry: Client) -> None:
    """The awards are for whoever reads rules."""
    await pantry.enrol("9")
    await drafted(pantry)
    await pantry.buy(
        "partner:grocer", "grocer", receipt("R-1", "9", NOW.isoformat(), ("TEA", "10.00"))
    )
    for scope in SCOPES:
        answer = await by(pantry, await key(pantry, scope), REPORT, code="grocer")
        assert "R-1" not in json.dumps(answer), scope
        if scope == "rules:read":
            [told] = answer["data"]["partners"]
            [difference] = told["shadow"]["differences"]
            assert (difference["purchase"], len(difference["shadow"])) == (None, 2)
    both = await by(
        pantry, await key(pantry, "rules:read", "purchases:read"), REPORT, code="grocer"
    )
    [told] = both["data"]["partners"]
    assert told["shadow"]["differences"][0]["purchase"]["externalId"] == "R-1"


async def redeemed(api: Client) -> tuple[str, str, Ways]:
    """(a redemption's id, its code, every way to it)."""
    await bought(api)
    given = {"input": {**HERO, "member": {"card": "9012"}}}
    done = await api.ask(TILL, REDEEM, **given)
    [code] = done["redemption"]["codes"]
    found = done["redemption"]["id"]
    return found, code, {
        "codes": (CODES, {"id": found}), "redemptionByCode": (BY_CODE, {"code": code}),
        "redeemReward": (REDEEM, given), "members": (MEMBERS, {}),
    }  # fmt: skip


async def test_a_code_is_for_keys_that_redeem_or_look_codes_up(api: Client) -> None:
    """Whoever has one has what it is worth; of redemptions members:read alone tells nothing."""
    _, code, ways = await redeemed(api)
    assert await seen(api, await key(api, *SCOPES), ways, code) == set(ways)  # the control
    for scope in SCOPES:
        wanted = {name for name, scopes in CODED.items() if scope in scopes}
        assert await seen(api, await key(api, scope), ways, code) == wanted, scope
    both = await key(api, "members:read", "redemptions:read")
    assert await seen(api, both, ways, code) == {"codes", "redemptionByCode", "members"}
    for scopes in (["members:read"], ["members:read", "redemptions:write"]):
        answer = await by(api, await key(api, *scopes), MEMBERS)
        [edge] = answer["data"]["members"]["edges"]
        assert edge["node"]["redemptions"]["edges"] == [], scopes


async def test_a_code_that_a_rule_issues_is_for_them_too(market: Client) -> None:
    """The till that records the purchase is told that there is a reward."""
    await market.enrol("9")
    rule = {
        "code": "gift", "title": "A gift", "award": {"currency": "PLAIN", "points": 10},
        "issue": {"reward": "x-plain", "eachUnit": False},
    }  # fmt: skip
    await market.ask("partner:market", SAVE, input=saving(rule, "market"))
    force = {"partner": "market", "code": "gift", "revision": 1}
    await market.ask("partner:market", ACTIVATE, input=force)
    given = receipt("R1", "9", NOW.isoformat(), ("OTHER", "5.00"))
    batch = {"partner": "market", "purchases": [given]}
    for more, codes in ((), 0), (("redemptions:write",), 1), (("redemptions:read",), 1):
        secret = await key(market, "purchases:write", *more, partner="market")
        answer = await by(market, secret, ISSUED, input=batch)
        [done] = answer["data"]["recordPurchases"]["results"]
        [issued] = done["issued"]
        assert issued["redemption"]["status"] == "COMPLETED"
        assert len(issued["redemption"]["codes"]) == codes, more


@pytest.mark.parametrize("role", STAFF_ROLES)
async def test_a_code_is_for_admins_who_serve_members(api: Client, role: str) -> None:
    """Whoever reads the books alone reads that there was a redemption."""
    _, code, _ = await redeemed(api)
    [member] = (await api.ask(f"admin:sam:{role}", MEMBERS))["edges"]
    [edge] = member["node"]["redemptions"]["edges"]
    serves = role in ("support", "manager", "owner")
    assert edge["node"]["codes"] == ([code] if serves else [])
