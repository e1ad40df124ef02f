"""A partner's usual basis, and data rules on one: what is stored of them, and what they give."""

from __future__ import annotations

from typing import Any

import pytest

from core.check import prove
from core.data_rules import parse
from core.db import reading
from core.errors import BadInput
from core.purchases import find_partner
from core.replaying import Change
from core.returns import ReturnedLine
from core.rule_changes import activate, checked, save
from core.simulation import Points, simulate
from laurels import (
    Basis,
    PointsPerVisit,
    TierMultiplier,
    based,
)
from tests.core.outlet import GOODS, NET, STEP, bring_back, buy, has, opened
from tests.core.shop import days
from tests.support import NOW


def tea(**more: Any) -> dict[str, Any]:
    """A data rule of ten for each dollar."""
    award = {"currency": "POINT", "points": 10, "per": "1.00 USD"}
    return {"code": "tea", "title": "Tens", "award": award, **more}


async def terms() -> list[tuple[str, int, str | None]]:
    """Of all stored versions (code, version, basis)."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT code, version, terms ->> 'basis' FROM rule ORDER BY code, version"
        )
    return [tuple(row) for row in rows]


async def test_rules_take_their_partners_usual_basis_and_a_change_of_it_is_a_version(
    database: str,
) -> None:
    rules = (
        STEP,
        based(PointsPerVisit("POINT", 7), "gross"),
        TierMultiplier("POINT", "club", {"gold": 2}),
    )
    engine = await opened(*rules, basis=NET)
    assert await terms() == [
        ("step", 1, "net-of-points"), ("tier-multiplier", 1, None), ("visit", 1, "gross"),
    ]  # fmt: skip
    outcome = await buy(engine, *GOODS)
    assert [g.points for g in outcome.evaluation.granted] == [8, 7]
    only_card = await buy(engine, GOODS[2], name="B")
    assert [(g.rule, g.points) for g in only_card.evaluation.granted] == [(1, 7)]
    engine = await opened(*rules, basis=Basis("gross"), version="1.1")
    assert [x for x in await terms() if x[0] == "step"] == [
        ("step", 1, "net-of-points"), ("step", 2, "gross"),
    ]  # fmt: skip
    outcome = await buy(engine, *GOODS, name="C")
    assert outcome.evaluation.granted[0].points == 69
    assert await prove() == []


async def test_a_data_rule_is_saved_on_its_partners_usual_basis_of_the_day(database: str) -> None:
    engine = await opened(basis=NET)
    partner = find_partner(engine.rulebook, "outlet")
    plain = checked(partner, tea(), NOW)
    assert plain.basis is not None
    assert plain.basis.declared() == NET
    own = checked(partner, tea(basis={"of": "gross"}), NOW)
    assert own.basis is not None
    assert own.basis.declared() == Basis("gross")
    factor = {"code": "f", "title": "F", "multiply": {"currency": "POINT", "factor": "2"}}
    assert checked(partner, factor, NOW).basis is None
    await save(partner, plain, "admin:", NOW)
    await activate(engine, "outlet", "tea", 1, NOW)
    assert (await buy(engine, *GOODS)).evaluation.points("POINT") == 80
    assert await terms() == [("tea", 1, "net-of-points")]
    # The usual basis changes: what was saved keeps the one that it was saved on.
    engine = await opened(basis=Basis("gross"), version="1.1")
    assert (await buy(engine, *GOODS, name="B")).evaluation.points("POINT") == 80
    assert await terms() == [("tea", 1, "net-of-points")]
    assert await prove() == []


async def test_conditions_see_the_receipt_as_it_is_and_the_award_counts_on_the_basis(
    database: str,
) -> None:
    engine = await opened()
    partner = find_partner(engine.rulebook, "outlet")
    said = tea(
        when="purchase.total == 67.9 && purchase.gross == 69.9 && purchase.points_paid == 4.0",
        lines="line.kind != 'delivery' && (line.kind == 'gift-card' || line.tax > 0.0)",
        basis={"of": "net-of-points", "without": ["gift-cards"]},
    )
    await save(partner, checked(partner, said, NOW), "admin:", NOW)
    await activate(engine, "outlet", "tea", 1, NOW)
    (granted,) = (await buy(engine, *GOODS)).evaluation.granted
    assert list(granted.lines) == [60, 0, 0, 0]


@pytest.mark.parametrize(
    ("said", "path", "message"),
    [
        ({"basis": {"of": "net"}}, ("basis", "of"), "basis: of: 'net' is none of gross, paid, net"),
        (
            {"basis": {"without": ["vat"]}},
            ("basis", "without", 0),
            "basis: without: 'vat' is none of tax",
        ),
        ({"basis": {"except_types": [""]}}, ("basis",), "basis: except_types: a text of 1 to"),
        (
            {"award": None, "multiply": {"currency": "POINT", "factor": "2"}, "basis": {}},
            (),
            "a factor is for the whole receipt",
        ),
        ({"award": None, "issue": {"reward": "r"}, "basis": {}}, (), "are of points"),
    ],
)
def test_what_is_no_basis_of_a_data_rule_is_told(
    said: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(BadInput) as refused:
        parse(tea(**said))
    assert refused.value.path == path
    assert message in refused.value.message


async def test_history_is_judged_again_on_another_basis(database: str) -> None:
    engine = await opened(STEP)
    await buy(engine, *GOODS)
    await bring_back(engine, "b1", ReturnedLine(1, "1"))
    partner = find_partner(engine.rulebook, "outlet")
    draft = parse({**tea(code="draft", basis={"of": "net-of-points", "without": ["gift-cards"]})})
    change = Change(draft, ("step",))

    async def on(_: int, __: int) -> bool:
        return True

    report = await simulate(
        engine.rulebook, partner, change, NOW - days(1), NOW + days(2), NOW + days(3), on
    )
    # 67.90 earned 67, of which the shirt's half took 5. On the other basis it is 13.90 and so 130,
    # of them 56 for the shirt: half of these go.
    booked = await has(engine)
    points = report.currencies["POINT"]
    assert (points.booked, points.now, points.then) == (booked, booked, 102)
    assert isinstance(points, Points)
