"""Rules on a basis, booked: what a line says is kept, comes back in proportion, and is proven."""

from __future__ import annotations

import asyncpg
import pytest
from asyncpg import CheckViolationError

from core.bought import Returned
from core.check import prove
from core.db import Connection, reading
from core.errors import IdempotencyConflict
from core.outcomes import Recorded
from core.purchases import LineInput, find_partner
from core.returning import record
from core.returns import ReturnedLine, check_edit
from laurels import (
    Challenge,
    PointsPerAmount,
    based,
    reevaluated,
)
from tests.core.outlet import GOODS, NET, STEP, bring_back, buy, has, opened, stored
from tests.core.shop import days, dump
from tests.support import NOW


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
