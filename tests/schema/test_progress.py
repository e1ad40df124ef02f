"""What members see of their way to the next points: challenges, and what receipts leave over."""

from __future__ import annotations

from typing import Any

from core.check import prove
from tests.core.shop import days
from tests.schema.client import Client, receipt
from tests.schema.test_data_rules import ACTIVATE, SAVE, STAFF, bought, saving
from tests.support import NOW

FIELDS = """progress { rule title partner { code } counts current target missing currency until }"""
ME = f"{{ me {{ {FIELDS} }} }}"
BY_CARD = f'{{ member(by: {{card: "9"}}) {{ {FIELDS} }} }}'


async def put(pantry: Client, code: str, **award: Any) -> None:
    """A rule in force."""
    rule = {"code": code, "title": f"Rule {code}", "award": {"currency": "STAR", **award}}
    saved = await pantry.ask(STAFF, SAVE, input=saving(rule))
    assert saved["__typename"] == "DataRuleChanged", saved
    await pantry.ask(STAFF, ACTIVATE, input={"partner": "grocer", "code": code, "revision": 1})


async def test_a_member_sees_what_is_carried_over_to_the_next_receipt(pantry: Client) -> None:
    me = pantry.member(await pantry.enrol("9"))
    await put(pantry, "step", points=1, per="50.00 USD", carries=True)
    assert (await pantry.ask(me, ME))["progress"] == []
    await pantry.buy(STAFF, "grocer", bought("R1", "30.00"))  # and bread for 3.00
    told = {
        "rule": "step", "title": "Rule step", "partner": {"code": "grocer"}, "counts": "MONEY",
        "current": "33.00", "target": "50.00", "missing": "17.00", "currency": "USD", "until": None,
    }  # fmt: skip
    assert (await pantry.ask(me, ME))["progress"] == [told]
    assert (await pantry.ask(STAFF, BY_CARD))["progress"] == [told]
    cafe = await pantry.ask("partner:cafe", BY_CARD)
    assert cafe is None or cafe["progress"] == []
    (recorded,) = await pantry.buy(STAFF, "grocer", bought("R2", "14.00"))
    assert [e["amount"] for e in recorded["entries"]] == [1, 1]
    assert (await pantry.ask(me, ME))["progress"] == []
    assert await prove() == []


async def test_a_challenge_of_a_week_begins_anew_with_the_next(pantry: Client) -> None:
    """NOW is a Sunday, the last day of its week."""
    me = pantry.member(await pantry.enrol("9"))
    await put(pantry, "thrice", points=50, every=3, within="calendar 1W")
    await put(pantry, "tens", points=7, every=10, eachUnit=True)
    for n in range(2):
        await pantry.buy(STAFF, "grocer", bought(f"R{n}"))
    tens, thrice = (await pantry.ask(me, ME))["progress"]
    assert {k: thrice[k] for k in ("counts", "current", "target", "missing", "until")} == {
        "counts": "PURCHASES", "current": "2", "target": "3", "missing": "1",
        "until": "2026-03-16T00:00:00Z",
    }  # fmt: skip
    assert (tens["counts"], tens["current"], tens["missing"]) == ("UNITS", "4", "6")
    pantry.clock.at += days(1)
    assert [p["rule"] for p in (await pantry.ask(me, ME))["progress"]] == ["tens"]
    monday = (NOW + days(1)).isoformat()
    given = []
    for n in range(3, 6):
        item = receipt(f"R{n}", "9", monday, ("TEA", "1.00"))
        (recorded,) = await pantry.buy(STAFF, "grocer", item)
        given.append([e["amount"] for e in recorded["entries"]])
    assert given == [[1], [1], [1, 50]]
    late = receipt("late", "9", NOW.isoformat(), ("TEA", "1.00"))  # the third of last week
    (recorded,) = await pantry.buy(STAFF, "grocer", late)
    assert [e["amount"] for e in recorded["entries"]] == [1, 50]
    assert await prove() == []


async def test_what_is_no_challenge_is_refused(pantry: Client) -> None:
    for award, message in (
        ({"every": 3, "per": "1.00 USD"}, "every so much money, or so many purchases"),
        ({"every": 0}, "greater than or equal to 1"),
        ({"within": "calendar 1W"}, "within is of what is carried over"),
        ({"every": 3, "within": "7D"}, "a period of the calendar"),
    ):
        rule = {"code": "c", "title": "C", "award": {"currency": "STAR", "points": 1, **award}}
        refused = await pantry.ask(STAFF, SAVE, input=saving(rule))
        assert refused["path"][:2] == ["rule", "award"], refused
        assert message in refused["message"], refused
