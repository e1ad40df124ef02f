"""Rules on a basis, booked: what a line says is kept, comes back in proportion, and is proven."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import asyncpg
import pytest
from asyncpg import CheckViolationError

from core.bought import Returned
from core.check import prove
from core.data_rules import parse
from core.db import Connection, reading
from core.errors import BadInput, IdempotencyConflict
from core.folding import Recorded
from core.posting import Engine
from core.programme import Programme
from core.purchases import LineInput, PurchaseInput, check_purchase, find_partner
from core.replaying import Change
from core.returning import record
from core.returns import ReturnedLine, ReturnInput, check_edit, check_return
from core.rule_changes import activate, checked, save
from core.simulation import Points, simulate
from core.store.reference import Declared, install
from laurels import (
    Basis,
    Challenge,
    Currency,
    EarnRule,
    Partner,
    PointsPerAmount,
    PointsPerVisit,
    TierMultiplier,
    based,
    reevaluated,
)
from tests.core.shop import balance, days, dump
from tests.support import NOW, card, enrol_cards

POINT = Currency("POINT", "Points")
STEP = PointsPerAmount("POINT", 1, "1.00 USD", code="step")
#: Money less points, without tax, delivery and gift cards.
NET = Basis("net-of-points", ["tax", "delivery", "gift-cards"])
GOODS = [
    LineInput("shirt", "10.00", "2", "S1", "2.00", "1.67", "4.00"),
    LineInput("", "4.90", kind="delivery"),
    LineInput("card", "50.00", kind="gift-card"),
    LineInput("tea", "3.00", "3"),
]


def outlet(*rules: EarnRule, basis: Basis | None = None, version: str = "1") -> partial[Any]:
    """How a brand with these rules and this usual basis is installed."""
    brand = Partner("outlet", "The Outlet", currencies=[POINT], basis=basis)
    return partial(install, Programme(), [Declared("outlet", version, brand, earn_rules=rules)])


async def opened(*rules: EarnRule, basis: Basis | None = None, version: str = "1") -> Engine:
    """Its engine, and on a fresh database a member with the card 1."""
    build = outlet(*rules, basis=basis, version=version)
    engine = Engine(await build(NOW), build)
    if version == "1":
        await enrol_cards(["1"], engine.ids)
    return engine


async def buy(
    engine: Engine, *lines: LineInput, name: str = "A", paid: str | None = None, at: datetime = NOW
) -> Any:
    """A purchase of these lines; its outcome."""
    given = PurchaseInput(name, card("1"), at, "USD", lines, "", paid)
    item = check_purchase(find_partner(engine.rulebook, "outlet"), given)
    (outcome,) = await engine.record_purchases([item], at)
    return outcome


async def bring_back(
    engine: Engine, name: str, *lines: ReturnedLine, amount: str | None = None
) -> None:
    """Something of the purchase A comes back."""
    given = ReturnInput(name, "A", NOW + days(1), lines, amount)
    unit = check_return(find_partner(engine.rulebook, "outlet"), given)
    (outcome,) = await record(engine, [unit], NOW + days(1))
    assert isinstance(outcome, Returned), outcome


async def has(engine: Engine) -> int:
    """What the member can spend in the end, less what is owed."""
    (holder,) = await _holders()
    found = await balance(engine, holder, NOW + days(30), "POINT")
    return found["active"] - found["arrears"]


async def _holders() -> list[int]:
    async with reading() as connection:
        return [row[0] for row in await connection.fetch("SELECT id FROM holder")]


async def stored() -> list[tuple[Any, ...]]:
    """What lines say beyond what, how many and how much."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT line, discount, tax, points_paid, kind FROM event_line ORDER BY event_id, line"
        )
    return [tuple(row) for row in rows]


async def test_what_a_line_says_is_kept_and_judged_and_proven(database: str) -> None:
    engine = await opened(STEP)
    outcome = await buy(engine, *GOODS)
    assert isinstance(outcome, Recorded)
    assert await has(engine) == 67
    assert await stored() == [
        (1, 200, 167, 400, None), (2, None, None, None, 2), (3, None, None, None, 3),
        (4, None, None, None, None),
    ]  # fmt: skip
    assert await prove() == []


async def test_points_are_given_on_the_basis_and_a_plain_line_is_stored_as_ever(
    database: str,
) -> None:
    """Of 6.00 in money for the shirt 1.00 is tax: 5, and 3 for the tea."""
    engine = await opened(based(STEP, NET.of, without=NET.without))
    outcome = await buy(engine, *GOODS)
    assert [(g.points, list(g.lines)) for g in outcome.evaluation.granted] == [(8, [5, 0, 0, 3])]
    outcome = await buy(engine, LineInput("tea", "7.00"), name="B", paid="2.00")
    assert outcome.evaluation.points("POINT") == 5
    await buy(engine, LineInput("tea", "7.00"), name="C")
    assert (await stored())[4:] == [(1, None, None, 200, None), (1, None, None, None, None)]
    assert await prove() == []


async def test_the_same_again_is_the_same_and_another_tax_is_another_purchase(
    database: str,
) -> None:
    engine = await opened(STEP)
    assert not (await buy(engine, *GOODS)).replayed
    before = await dump()
    assert (await buy(engine, *GOODS)).replayed
    assert await dump() == before
    other = LineInput("shirt", "10.00", "2", "S1", "2.00", "1.66", "4.00")
    refused = await buy(engine, other, *GOODS[1:])
    assert isinstance(refused, IdempotencyConflict)
    # What was said of the whole receipt is said of its lines.
    await buy(engine, LineInput("tea", "2.00"), LineInput("tea", "2.00"), name="B", paid="1.01")
    halves = [LineInput("tea", "2.00", points_paid=x) for x in ("0.51", "0.50")]
    assert (await buy(engine, *halves, name="B")).replayed


async def test_what_is_judged_again_has_its_parts_in_proportion(database: str) -> None:
    """A rule on what money paid; half of the shirts go, then money of the whole receipt."""
    engine = await opened(reevaluated(based(STEP, "net-of-points", without=["delivery"])))
    await buy(engine, *GOODS[:2])
    assert await has(engine) == 6
    await bring_back(engine, "b1", ReturnedLine(1, "1"))
    assert await has(engine) == 3
    # 2.00 of the 9.90 that are left: of the shirt 3.99 stay, of these 1.59 were paid with points.
    await bring_back(engine, "b2", amount="2.00")
    assert await has(engine) == 2
    assert await prove() == []


async def test_by_line_and_share_goes_what_a_rule_on_a_basis_gave(database: str) -> None:
    """Nothing was given for delivery, so nothing goes with it."""
    engine = await opened(based(STEP, without=["delivery", "gift-cards"]))
    await buy(engine, *GOODS)
    assert await has(engine) == 13
    await bring_back(engine, "b1", ReturnedLine(2, "1"), ReturnedLine(3, "1"))
    assert await has(engine) == 13
    await bring_back(engine, "b2", ReturnedLine(4, "1"))
    assert await has(engine) == 12
    assert await prove() == []


async def test_what_carries_over_counts_on_the_basis_and_is_judged_again_on_it(
    database: str,
) -> None:
    rules = (
        based(PointsPerAmount("POINT", 1, "10.00 USD", carries=True), "net-of-points"),
        based(Challenge("POINT", 100, purchases=2), without=["gift-cards"]),
    )
    engine = await opened(*rules)
    await buy(engine, LineInput("tea", "30.00"), paid="12.00")
    assert await has(engine) == 1
    assert await carried() == {"challenge": 1, "per-amount": 800}
    # A receipt of a gift card alone takes no part in the challenge.
    await buy(engine, LineInput("card", "2.00", kind="gift-card"), name="B", at=NOW + days(1))
    assert await has(engine) == 2
    assert await carried() == {"challenge": 1, "per-amount": 0}
    # Half comes back: of the 15.00 left money paid 9.00, and with the card's 2.00 that is one.
    await bring_back(engine, "b1", ReturnedLine(1, amount="15.00"))
    assert await has(engine) == 1
    assert await carried() == {"challenge": 1, "per-amount": 100}
    assert await prove() == []


async def carried() -> dict[str, int]:
    """What rules carry over, by their codes."""
    async with reading() as connection:
        return {r[0]: r[1] for r in await connection.fetch("SELECT rule, carried FROM carry")}


async def test_an_edit_says_all_of_it_anew(database: str) -> None:
    engine = await opened(based(STEP, "net-of-points", without=["tax"]))
    await buy(engine, *GOODS)
    partner = find_partner(engine.rulebook, "outlet")
    lines = [LineInput("shirt", "10.00", tax="1.00"), LineInput("hat", "10.00", kind="fee")]
    unit = check_edit(partner, "A", 2, NOW, lines, "USD", "10.00")
    (outcome,) = await record(engine, [unit], NOW)
    assert isinstance(outcome, Returned)
    assert (await stored())[4:] == [(1, None, 100, 500, None), (2, None, None, 500, 4)]
    # Of each 5.00 in money; of the shirt's 0.50 is tax: 9.50 in all.
    assert await has(engine) == 9
    (again,) = await record(engine, [unit], NOW)
    assert isinstance(again, Returned)
    assert again.replayed
    other = check_edit(partner, "A", 2, NOW, lines, "USD", "10.01")
    (refused,) = await record(engine, [other], NOW)
    assert isinstance(refused, IdempotencyConflict)
    assert await prove() == []


async def as_owner(database: str, statement: str) -> None:
    """Do what no process of ours may: past grants and triggers."""
    connection: Connection = await asyncpg.connect(database)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(statement)
    finally:
        await connection.close()


DAMAGE = {
    "discount": "discount = coalesce(discount, 0) + 1",
    "tax": "tax = 1",
    "points_paid": "points_paid = NULL",
    "kind": "kind = 4",
}


@pytest.mark.parametrize("column", DAMAGE)
async def test_a_change_of_what_a_line_says_is_found(database: str, column: str) -> None:
    engine = await opened(STEP)
    await buy(engine, *GOODS)
    assert await prove() == []
    await as_owner(database, f"UPDATE event_line SET {DAMAGE[column]} WHERE line = 1")
    found = await prove()
    assert {(f.check, f.problem) for f in found} == {
        ("receipts = their hashes", "the receipt isn't the one that was recorded")
    }


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("discount = 0", "event_line_discount_check"),
        ("tax = 0", "event_line_tax"),
        ("tax = amount + 1", "event_line_tax"),
        ("points_paid = 0", "event_line_points_paid"),
        ("points_paid = amount + 1", "event_line_points_paid"),
        ("kind = 1", "event_line_kind_check"),
        ("kind = 5", "event_line_kind_check"),
    ],
)
async def test_the_database_refuses_parts_that_fit_no_line(
    database: str, said: str, name: str
) -> None:
    engine = await opened(STEP)
    await buy(engine, *GOODS)
    with pytest.raises(CheckViolationError) as refused:
        await as_owner(database, f"UPDATE event_line SET {said} WHERE line = 1")
    assert refused.value.constraint_name == name


# -- a partner's usual basis, and data rules -------------------------------------------------------


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
        ({"basis": {"of": "net"}}, ("basis",), "basis: of: 'net' is none of gross, paid, net"),
        ({"basis": {"without": ["vat"]}}, ("basis",), "basis: without: 'vat' is none of tax"),
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
