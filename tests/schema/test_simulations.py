"""What-if over HTTP: asked for by a partner's staff, done by a worker, read, listed, cancelled."""

from __future__ import annotations

from typing import Any

from core import simulating
from core.check import prove
from tests.core.shop import days, dump
from tests.schema.client import Client, receipt
from tests.support import NOW

RUN = """id state from until requestedAt done total problem draft without partner { code }
  report { purchases failed otherwise members
    currencies { currency { code } booked now then change outstanding }
    rules { code now then } winners { member { id } currency { code } now then }
    losers { member { id } } tiers { ladder now { code } then { code } members } }"""
ASK = f"""mutation($input: SimulateRulesInput!) {{ simulateRules(input: $input) {{ __typename
  ... on SimulationAsked {{ replayed simulation {{ {RUN} }} }}
  ... on Error {{ code message path }} }} }}"""
NODE = f"query($id: ID!) {{ node(id: $id) {{ ... on Simulation {{ {RUN} }} }} }}"
LIST = "{ simulations { edges { node { id state } } } }"
CANCEL = """mutation($input: CancelSimulationInput!) { cancelSimulation(input: $input) { __typename
  ... on SimulationCancelled { simulation { state } } ... on Error { code message path } } }"""
STAFF = "partner:grocer"
TEA = {
    "code": "tea",
    "title": "Tea time",
    "lines": "line.type == 'TEA'",
    "award": {"currency": "STAR", "points": 10},
}


def asking(**more: Any) -> dict[str, Any]:
    """Tea for the last month."""
    period = {"from": (NOW - days(30)).isoformat(), "until": (NOW + days(1)).isoformat()}
    given = {"key": "k", "partner": "grocer", "draft": TEA, **period, **more}
    return {name: value for name, value in given.items() if value is not None}


async def test_staff_try_a_draft_on_last_months_purchases(pantry: Client) -> None:
    ada, _ = await pantry.enrol("9"), await pantry.enrol("8")
    for n, (card, kind) in enumerate((("9", "TEA"), ("9", "TEA"), ("8", "BREAD"))):
        await pantry.buy(STAFF, "grocer", receipt(f"R{n}", card, NOW.isoformat(), (kind, "5.00")))
    before = await dump()
    asked = await pantry.ask(STAFF, ASK, input=asking())
    run = asked["simulation"]
    assert (asked["__typename"], asked["replayed"]) == ("SimulationAsked", False)
    assert (run["state"], run["report"], run["draft"]) == ("WAITING", None, "tea")
    again = await pantry.ask(STAFF, ASK, input=asking())
    assert (again["replayed"], again["simulation"]["id"]) == (True, run["id"])
    assert await simulating.work(pantry.engine, NOW) == 1
    done = await pantry.ask(STAFF, NODE, id=run["id"])
    assert (done["state"], done["done"], done["total"], done["problem"]) == ("DONE", 3, 3, "")
    assert done["partner"] == {"code": "grocer"}
    assert done["report"] == {
        "purchases": 3, "failed": 0, "otherwise": 0, "members": 1,
        "currencies": [
            {"currency": {"code": "STAR"}, "booked": 3, "now": 3, "then": 23, "change": 20,
             "outstanding": 20}
        ],
        "rules": [{"code": "tea", "now": 0, "then": 20}, {"code": "visit", "now": 3, "then": 3}],
        "winners": [
            {"member": {"id": pantry.told(STAFF, ada)}, "currency": {"code": "STAR"}, "now": 2,
             "then": 22}
        ],
        "losers": [], "tiers": [],
    }  # fmt: skip
    assert {k: v for k, v in (await dump()).items() if k not in ("simulation", "request_key")} == {
        k: v for k, v in before.items() if k not in ("simulation", "request_key")
    }
    assert await prove() == []


async def test_a_simulation_is_its_partners_and_the_admins(pantry: Client) -> None:
    run = (await pantry.ask(STAFF, ASK, input=asking()))["simulation"]
    without = asking(key="2", draft=None, without=["visit"])
    other = (await pantry.ask("admin:root", ASK, input=without))["simulation"]
    assert (other["draft"], other["without"]) == (None, ["visit"])
    for who, found in (
        (STAFF, [other["id"], run["id"]]), ("admin:root", [other["id"], run["id"]]),
        ("partner:cafe", []),
    ):  # fmt: skip
        listed = (await pantry.ask(who, LIST))["edges"]
        assert [edge["node"]["id"] for edge in listed] == found
        assert (await pantry.ask(who, NODE, id=run["id"]) is None) is (not found)
    stranger = await pantry.ask("partner:cafe", CANCEL, input={"id": run["id"]})
    assert (stranger["code"], stranger["path"]) == ("UNKNOWN_REFERENCE", ["id"])
    for _ in range(2):
        stopped = await pantry.ask(STAFF, CANCEL, input={"id": run["id"]})
        assert stopped["simulation"]["state"] == "CANCELLED"
    assert await simulating.work(pantry.engine, NOW) == 1
    late = await pantry.ask(STAFF, CANCEL, input={"id": other["id"]})
    assert (late["code"], late["path"]) == ("WRONG_STATE", ["id"])
    assert (await pantry.ask(STAFF, NODE, id=run["id"]))["report"] is None


async def test_refusals_name_the_field_of_the_input(pantry: Client) -> None:
    bad = {**TEA, "award": {"currency": "GOLD", "points": 1}}
    ends = (NOW - days(31)).isoformat()
    for given, code, path in (
        ({"draft": bad}, "BAD_INPUT", ["draft", "award", "currency"]),
        ({"draft": None}, "BAD_INPUT", ["draft"]),
        ({"without": ["nobody"]}, "UNKNOWN_REFERENCE", ["without", "0"]),
        ({"until": ends}, "BAD_INPUT", ["until"]),
        ({"key": ""}, "BAD_INPUT", ["key"]),
        ({"partner": "cafe"}, "NOT_ALLOWED", ["partner"]),
        ({"partner": "nobody"}, "UNKNOWN_REFERENCE", ["partner"]),
    ):
        refused = await pantry.ask(STAFF, ASK, input=asking(**given))
        assert (refused["code"], refused["path"]) == (code, path), refused
    await pantry.ask(STAFF, ASK, input=asking())
    other = await pantry.ask(STAFF, ASK, input=asking(without=["visit"]))
    assert (other["code"], other["path"]) == ("IDEMPOTENCY_CONFLICT", ["key"])
    for wrong in ("nonsense", "U2ltdWxhdGlvbjp4", "TWVtYmVyOjE="):
        refused = await pantry.ask(STAFF, CANCEL, input={"id": wrong})
        assert refused["path"] == ["id"], wrong
