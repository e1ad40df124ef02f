"""The report of shadow rules over HTTP: who is told what, and how it is begun anew."""

from __future__ import annotations

from typing import Any

from core.check import prove
from core.containment import FAILURES
from core.data_rules import DataRule
from tests.schema.client import Client, receipt, statements
from tests.schema.test_data_rules import ACTIVATE, CHANGED, SAVE, STAFF, saving, tea
from tests.support import NOW

SHADOW = f"mutation($input: ShadowRuleInput!) {{ shadowRule(input: $input) {{ {CHANGED} }} }}"
TOLD = """shadow { version since pausedAt judged same different faults
  points { currency live shadow } differences(first: 5) { at
    purchase { externalId total { amount } member { id } }
    live { rule title points currency reward quantity }
    shadow { rule title points currency reward quantity } } }"""
REPORT = f"query($code: String) {{ partners(code: $code) {{ code {TOLD} }} }}"
RESET = f"""mutation($input: ResetShadowInput!) {{ resetShadow(input: $input) {{ __typename
  ... on ShadowReset {{ partner {{ {TOLD} }} }} ... on Error {{ code message path }} }} }}"""
AT = NOW.isoformat().replace("+00:00", "Z")


async def drafted(client: Client, points: int = 10, revision: int = 1) -> dict[str, Any]:
    """Save a draft and put it into shadow."""
    await client.ask(STAFF, SAVE, input=saving(tea(points)))
    which = {"partner": "grocer", "code": "tea", "revision": revision, "on": True}
    done: dict[str, Any] = await client.ask(STAFF, SHADOW, input=which)
    return done


async def report(client: Client, who: str = STAFF, code: str = "grocer") -> Any:
    """A partner's shadow, as somebody sees it."""
    [told] = await client.ask(who, REPORT, code=code)
    return told["shadow"]


def bought(name: str, kind: str = "TEA") -> dict[str, Any]:
    """Ten dollars, at noon."""
    return receipt(name, "9", NOW.isoformat(), (kind, "10.00"))


async def test_a_draft_in_shadow_is_reported_and_books_nothing(pantry: Client) -> None:
    holder = await pantry.enrol("9")
    assert await report(pantry) is None
    done = await drafted(pantry)
    assert (done["rule"]["state"], done["rule"]["from"]) == ("SHADOW", None)
    empty: dict[str, Any] = {
        "version": "1 + tea@1", "since": AT, "pausedAt": None, "judged": 0, "same": 0,
        "different": 0, "faults": 0, "points": [], "differences": [],
    }  # fmt: skip
    assert await report(pantry) == empty
    recorded = await pantry.buy(STAFF, "grocer", bought("R1"), bought("R2", "BREAD"))
    assert [[e["amount"] for e in r["entries"]] for r in recorded] == [[1], [1]]
    visit = {"rule": "visit", "title": "Points for each visit", "points": 1, "currency": "STAR",
             "reward": None, "quantity": 0}  # fmt: skip
    told = {
        **empty, "judged": 2, "same": 1, "different": 1,
        "points": [{"currency": "STAR", "live": 2, "shadow": 12}],
        "differences": [{
            "at": AT, "live": [visit],
            "purchase": {
                "externalId": "R1", "total": {"amount": "10.00"},
                "member": {"id": pantry.told(STAFF, holder)},
            },
            "shadow": [visit, {**visit, "rule": "tea", "title": "Tea time", "points": 10}],
        }],
    }  # fmt: skip
    assert await report(pantry) == told
    told["differences"][0]["purchase"]["member"] = {"id": holder}
    assert await report(pantry, "admin:root") == told
    assert await report(pantry, "partner:cafe") is None
    assert await report(pantry, pantry.member(holder)) is None
    assert await report(pantry, code="cafe") is None
    assert await prove() == []


async def test_a_reset_begins_anew_and_ends_a_pause(pantry: Client, monkeypatch: Any) -> None:
    await pantry.enrol("9")
    await drafted(pantry)

    def broken(self: DataRule, *given: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(DataRule, "evaluate", broken)
        for n in range(FAILURES + 1):
            [done] = await pantry.buy(STAFF, "grocer", bought(f"R{n}"))
            assert done["__typename"] == "PurchaseRecorded"
    await pantry.engine.renew(NOW)
    told = await report(pantry)
    assert (told["pausedAt"], told["judged"], told["faults"]) == (AT, 0, FAILURES)
    told = '{ partners(code: "grocer") { faults { rule what count } } }'
    [faults] = await pantry.ask(STAFF, told)
    assert faults["faults"] == [
        {"rule": "tea", "what": "raised ZeroDivisionError in shadow", "count": FAILURES}
    ]
    pantry.clock.tick(hours=1)
    done = await pantry.ask(STAFF, RESET, input={"partner": "grocer"})
    since = done["partner"]["shadow"]
    assert (since["pausedAt"], since["faults"], since["since"]) == (None, 0, "2026-03-15T13:00:00Z")
    await pantry.buy(STAFF, "grocer", bought("after"))
    assert (await report(pantry))["different"] == 1


async def test_refusals_name_the_field(pantry: Client) -> None:
    async def refused(query: str, who: str = STAFF, **given: Any) -> tuple[str, list[str]]:
        done = await pantry.ask(who, query, input={"partner": "grocer", **given})
        return done["__typename"], done["path"]

    which: dict[str, Any] = {"code": "tea", "revision": 1, "on": True}
    assert await refused(RESET) == ("WrongStateError", ["partner"])
    assert await refused(RESET, "partner:cafe") == ("NotAllowedError", ["partner"])
    assert await refused(RESET, partner="nobody") == ("UnknownReferenceError", ["partner"])
    assert await refused(SHADOW, **which) == ("UnknownReferenceError", ["code"])
    assert await refused(SHADOW, "partner:cafe", **which) == ("NotAllowedError", ["partner"])
    assert await refused(SHADOW, **which | {"code": "\0"}) == ("BadInputError", ["code"])
    await drafted(pantry)
    await pantry.ask(STAFF, ACTIVATE, input={"partner": "grocer", "code": "tea", "revision": 1})
    assert await refused(SHADOW, **which) == ("WrongStateError", ["revision"])
    await drafted(pantry, 20, 2)
    for first in (0, 1001, -1):
        asked = f"shadow {{ differences(first: {first}) {{ at }} }}"
        asked = f'{{ partners(code: "grocer") {{ {asked} }} }}'
        answer = await pantry.send(STAFF, asked)
        assert answer["errors"][0]["message"] == f"first is from 1 to 1000, not {first}"


async def test_a_report_costs_the_same_however_much_differs(pantry: Client) -> None:
    await pantry.enrol("9")
    await drafted(pantry)
    costs = []
    for size in (1, 4):
        await pantry.buy(STAFF, "grocer", *(bought(f"R{size}.{n}") for n in range(size)))
        with statements() as sent:
            assert len((await report(pantry, "admin:root"))["differences"]) in (1, 5)
        costs.append(len(sent))
    assert costs[0] == costs[1]
