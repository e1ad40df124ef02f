"""Versions of what a currency says of its points: each lot keeps the one it was opened under."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core import nightly
from core.check import prove
from core.db import reading
from core.models import PolicyRow, RuleRow
from core.posting import Engine
from core.programme import Programme
from core.store import reads
from core.store.reference import Declared, install
from laurels import Currency, EarnRule, Partner, PointsPerAmount, pending, reevaluated
from tests.core.shop import days, earn
from tests.support import NOW, enrol_cards


async def open_mill(rules: list[EarnRule] | None = None, **terms: Any) -> Engine:
    """A brand with one currency on these terms: a point for every dollar, if no rules are given."""
    flour = Currency("FLOUR", "Flour", **terms)
    brand = Declared(
        "mill", "1", Partner("mill", "The Mill", currencies=[flour]),
        earn_rules=[PointsPerAmount(flour, 1, "1.00 USD")] if rules is None else rules,
    )  # fmt: skip
    return Engine(await install(Programme(), [brand], NOW))


async def buy(engine: Engine, name: str, at: datetime = NOW) -> None:
    """Ten dollars' worth, booked as it happens."""
    await earn(engine, name, "10.00", at=at, partner="mill")


async def lots() -> list[tuple[Any, ...]]:
    """(version, pending, expires, active, expires on) of each lot, in days from now, in order."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT p.version, p.pending, p.expires, nullif(l.active_at, 'infinity'), "
            "nullif(l.expires_at, 'infinity') FROM lot l JOIN policy p ON p.id = l.policy_id "
            "ORDER BY l.seq"
        )
    return [
        (*row[:3], *(None if at is None else (at - NOW) / days(1) for at in row[3:]))
        for row in rows
    ]


async def test_each_lot_keeps_the_terms_it_was_opened_under(database: str) -> None:
    (holder,) = await enrol_cards(["1"])
    await buy(await open_mill(expires="90D"), "A")
    await buy(await open_mill(expires="30D"), "B")
    mill = await open_mill(pending="5D", expires="30D", grace="1D", returns="pending")
    await buy(mill, "C")
    assert await lots() == [
        (1, None, "90D", 0, 90), (2, None, "30D", 0, 30), (3, "5D", "30D", 5, 35),
    ]  # fmt: skip
    await nightly.run(mill, NOW + days(60))
    ((_, _, active, *_, expired),) = await reads.figures([holder], NOW + days(60))
    assert (active, expired) == (10, 20)
    assert await prove() == []


async def test_the_same_terms_make_no_new_version_and_old_ones_come_back(database: str) -> None:
    first = await open_mill(expires="90D_UM", time_zone="Europe/Istanbul")
    again = await open_mill(expires=" 90D_UM", time_zone="Europe/Istanbul")
    other = await open_mill(expires="90D_UM", time_zone="Asia/Kolkata")
    back = await open_mill(expires="90D_UM", time_zone="Europe/Istanbul")
    terms = [next(iter(x.rulebook.currencies.values())).terms for x in (first, again, other, back)]
    assert [t.version for t in terms] == [1, 1, 2, 1]
    assert terms[0].id == terms[1].id == terms[3].id != terms[2].id
    # Besides, each database of a test holds the policies of rulebooks that are made by hand.
    assert await PolicyRow.filter(currency_id__gt=0).count() == 2


async def test_what_was_renewed_is_renewed_still_though_new_points_are_not(database: str) -> None:
    await enrol_cards(["1"])
    await buy(await open_mill(expires="sliding 30D on earning"), "A")
    mill = await open_mill(expires="30D")
    (currency,) = mill.rulebook.currencies.values()
    assert currency.sliding
    await buy(mill, "B", NOW + days(20))
    assert [x[2:] for x in await lots()] == [("sliding 30D on earning", 0, 50), ("30D", 20, 50)]
    await buy(mill, "C", NOW + days(25))
    assert [x[4] for x in await lots()] == [55, 50, 55]
    assert await prove() == []


async def test_a_rule_that_holds_its_points_back_has_terms_of_its_own(database: str) -> None:
    await enrol_cards(["1"])
    plain = PointsPerAmount("FLOUR", 1, "1.00 USD")
    bonus = PointsPerAmount("FLOUR", 2, "1.00 USD", code="bonus")
    await buy(await open_mill([plain, bonus], expires="30D"), "A")
    mill = await open_mill([plain, pending("until ground within 3D", bonus)], expires="30D")
    await buy(mill, "B")
    late = await open_mill([plain, pending("7D", bonus)], expires="30D")
    await buy(late, "C")
    assert [x[1:] for x in await lots()] == [
        (None, "30D", 0, 30), (None, "30D", 0, 30),
        (None, "30D", 0, 30), ("until ground within 3D", "30D", None, None),
        (None, "30D", 0, 30), ("7D", "30D", 7, 37),
    ]  # fmt: skip
    (currency,) = late.rulebook.currencies.values()
    assert currency.policy.pending is None
    assert await prove() == []


async def test_what_a_rule_says_of_its_points_makes_a_version_of_it(database: str) -> None:
    rule = PointsPerAmount("FLOUR", 1, "1.00 USD", code="grain")
    told: list[EarnRule] = [
        rule, pending("7D", rule), pending("8D", rule), reevaluated(pending("8D", rule)),
        pending("8D", reevaluated(rule)), reevaluated(rule), rule,
    ]  # fmt: skip
    for one in told:
        await open_mill([one])
    rows = await RuleRow.filter(code="grain").order_by("version")
    assert [(r.terms.get("pending"), r.terms.get("reevaluated")) for r in rows] == [
        (None, None), ("7D", None), ("8D", None), ("8D", True), (None, True), (None, None),
    ]  # fmt: skip
