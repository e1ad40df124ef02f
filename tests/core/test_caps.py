"""Caps, budgets and carry-overs on the real books: whatever the batch, the return, the race."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import asyncpg
import pytest

from core.bought import Returned
from core.check import prove
from core.db import connected
from core.outcomes import Recorded
from core.posting import Engine
from core.purchases import LineInput, find_partner
from core.returns import check_cancel, check_edit
from laurels import Budget, Cap, capped
from tests.core.kiosk import (
    EACH,
    MONTH,
    STEP,
    bring_back,
    budgets,
    buy,
    carried,
    come,
    given,
    open_kiosk,
)
from tests.core.shop import days
from tests.schema.client import statements
from tests.support import BOOKS, NOW, Databases, books, enrol_cards, receipt, scalar

# -- caps ------------------------------------------------------------------------------------------


async def test_a_cap_counts_by_when_things_happened(database: str) -> None:
    await enrol_cards(["1", "2"])
    engine = await open_kiosk(capped(EACH, MONTH))
    assert given(await buy(engine, "A", "70.00")) == [70]
    assert given(await buy(engine, "B", "70.00", NOW + days(1))) == [30]
    assert given(await buy(engine, "C", "70.00", NOW + days(2))) == []
    assert given(await buy(engine, "D", "70.00", member="2")) == [70]
    # Last month's is told late, and counts there.
    assert given(await buy(engine, "E", "90.00", NOW - days(31))) == [90]
    assert given(await buy(engine, "F", "90.00", NOW - days(30))) == [10]
    told = await scalar("SELECT content FROM decision WHERE content LIKE '%left%' LIMIT 1")
    assert '"at most 100 points in a calendar month: 30 were left"' in told
    assert await prove() == []


async def test_the_batch_never_shows(databases: Databases) -> None:
    """Batches of 1, 7 and 500, told out of order, with caps, a budget and a carry-over."""
    found = []
    for size in (1, 7, 500):
        async with databases.migrated() as url, connected(url):
            await enrol_cards(["1", "2", "3"])
            engine = await open_kiosk(
                capped(EACH, MONTH, Cap(times=3, per="24h"), Budget("all", 250)),
                capped(STEP, MONTH),
            )
            items = [
                receipt(
                    engine, f"R{n}", str(n % 3 + 1), NOW - timedelta(hours=7 * (n * 5 % 11)),
                    ("A", f"{n * 13 % 40}.00"), partner="kiosk",
                )
                for n in range(40)
            ]  # fmt: skip
            for start in range(0, len(items), size):
                await engine.record_purchases(items[start : start + size], NOW)
            assert await prove() == []
            found.append(await books((*BOOKS, "cap_use", "budget", "carry")))
    assert found[0] == found[1] == found[2]
    assert [row["taken"] for row in found[0]["budget"]] == [250]
    assert len(found[0]["cap_use"]) > 30


async def test_what_comes_back_leaves_room_again(database: str) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(
        capped(EACH, MONTH, Cap(times=2, per="calendar 1M"), Budget("b", 500))
    )
    await buy(engine, "A", "80.00")
    await bring_back(engine, "r1", "A", "30.00")
    assert await scalar("SELECT sum(points) FROM cap_use WHERE key = 'each'") == 50
    assert given(await buy(engine, "B", "70.00")) == [50]
    assert given(await buy(engine, "C", "70.00")) == []
    terms = find_partner(engine.rulebook, "kiosk")
    assert isinstance(await come(engine, check_cancel(terms, "A", NOW)), Returned)
    assert await scalar("SELECT sum(times) FROM cap_use WHERE key = 'each'") == 1
    assert given(await buy(engine, "D", "70.00")) == [50]
    assert await budgets() == {"b": (500, 100)}
    assert await prove() == []


async def test_an_edit_is_judged_as_if_its_purchase_had_never_been(database: str) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(capped(EACH, MONTH, Cap(times=2), Budget("b", 120)))
    await buy(engine, "A", "60.00")
    await buy(engine, "B", "30.00")
    terms = find_partner(engine.rulebook, "kiosk")

    async def edit(purchase: str, revision: int, amount: str) -> None:
        unit = check_edit(terms, purchase, revision, NOW, [LineInput("A", amount)], "USD")
        assert isinstance(await come(engine, unit), Returned)

    total = "SELECT active FROM ledger"
    await edit("A", 2, "90.00")
    assert (await scalar(total), await budgets()) == (100, {"b": (120, 100)})
    await edit("A", 3, "10.00")
    assert (await scalar(total), await budgets()) == (40, {"b": (120, 40)})
    await edit("B", 2, "0.50")
    assert await scalar("SELECT sum(times) FROM cap_use WHERE key = 'each'") == 1
    assert given(await buy(engine, "C", "100.00")) == [90]
    assert await prove() == []


async def test_rules_without_caps_cost_no_statement_and_a_batch_costs_as_few_as_one(
    database: str,
) -> None:
    await enrol_cards([str(n) for n in range(1, 21)])
    plain = await open_kiosk(EACH)
    capping = await open_kiosk(capped(EACH, MONTH, Budget("b", 10**6)), STEP)

    async def cost(engine: Engine, name: str, members: Sequence[int]) -> int:
        items = [
            receipt(engine, f"{name}{n}", str(n), NOW, ("A", "5.00"), partner="kiosk")
            for n in members
        ]
        with statements() as sent:
            await engine.record_purchases(items, NOW)
        return len(sent)

    await cost(plain, "w", [1])  # takes ids for the rest
    await cost(capping, "v", [1])
    one = await cost(plain, "a", [1])
    few, many = await cost(capping, "b", [1]), await cost(capping, "c", range(1, 21))
    assert (few - one, many - few) == (4, 0)  # loads uses and budgets, writes uses and a budget
    assert await prove() == []


# -- budgets ---------------------------------------------------------------------------------------


async def test_many_at_once_never_overspend_a_budget(database: str) -> None:
    """Sixteen engines want 30 each of 250; the last of them gets what is left."""
    await enrol_cards([str(n) for n in range(1, 17)])
    engines = [await open_kiosk(capped(EACH, Budget("b", 250))) for _ in range(16)]
    outcomes = await asyncio.gather(
        *(buy(e, f"R{n}", "30.00", member=str(n)) for n, e in enumerate(engines, 1))
    )
    found = sorted(x for outcome in outcomes for x in given(outcome))
    assert found == [10] + [30] * 8
    assert await budgets() == {"b": (250, 250)}
    assert await scalar("SELECT sum(amount) FROM transfer WHERE kind = 1") == 250
    assert await prove() == []


async def test_a_budget_is_as_large_as_its_rule_says_now(database: str) -> None:
    await enrol_cards(["1"])
    assert given(await buy(await open_kiosk(capped(EACH, Budget("b", 50))), "A", "40.00")) == [40]
    smaller = await open_kiosk(capped(EACH, Budget("b", 30)))
    assert given(await buy(smaller, "B", "40.00")) == []
    await bring_back(smaller, "r1", "A", "15.00")
    assert given(await buy(smaller, "C", "40.00")) == [5]
    larger = await open_kiosk(capped(EACH, Budget("b", 100)))
    assert given(await buy(larger, "D", "40.00")) == [40]
    assert await budgets() == {"b": (100, 70)}
    assert await prove() == []


async def test_each_period_has_a_budget_of_its_own(database: str) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(capped(EACH, Budget("b", 50, "calendar 1M")))
    assert given(await buy(engine, "A", "40.00")) == [40]
    assert given(await buy(engine, "B", "40.00", NOW - days(31))) == [40]
    assert given(await buy(engine, "C", "40.00")) == [10]
    assert await scalar("SELECT array_agg(taken ORDER BY period) FROM budget") == [40, 50]
    assert await prove() == []


async def test_a_quote_takes_nothing(database: str) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(capped(EACH, MONTH, Budget("b", 70)), STEP)
    item = receipt(engine, "Q", "1", NOW, ("A", "60.00"), partner="kiosk")
    for _ in range(2):
        (quoted,) = await engine.quote([item], NOW)
        assert isinstance(quoted, Recorded)
        assert given(quoted) == [60, 1]
    assert await books(("cap_use", "budget", "carry")) == {"cap_use": [], "budget": [], "carry": []}
    await buy(engine, "A", "60.00")
    (quoted,) = await engine.quote([item], NOW)
    assert isinstance(quoted, Recorded)
    assert given(quoted) == [10, 1]


# -- carried over ----------------------------------------------------------------------------------


async def test_a_rest_is_carried_to_the_next_receipt_and_taken_along_when_goods_come_back(
    database: str,
) -> None:
    """What stands is points x 50.00 + what is carried over, whatever came back."""
    await enrol_cards(["1"])
    engine = await open_kiosk(STEP)
    assert given(await buy(engine, "A", "49.00")) == []
    assert given(await buy(engine, "B", "1.00")) == [1]
    assert await carried() == 0
    await bring_back(engine, "r1", "A", "49.00")  # the point was given for B, and stays
    assert (await scalar("SELECT active FROM ledger"), await carried()) == (1, -4900)
    assert given(await buy(engine, "C", "98.00")) == []
    assert await carried() == 4900
    assert given(await buy(engine, "D", "1.00")) == [1]
    terms = find_partner(engine.rulebook, "kiosk")
    await come(engine, check_cancel(terms, "D", NOW))
    assert (await scalar("SELECT active FROM ledger"), await carried()) == (1, 4900)
    edited = check_edit(terms, "C", 2, NOW, [LineInput("A", "200.00")], "USD")
    assert isinstance(await come(engine, edited), Returned)
    # C began with -49.00: 200 - 49 are 151, three points and 1.00; with B's point 201.00 stand.
    assert (await scalar("SELECT active FROM ledger"), await carried()) == (4, 100)
    assert await prove() == []


async def test_what_stands_is_full_steps_and_a_rest_after_any_history(database: str) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(STEP)
    standing = 0
    for n in range(12):
        amount = 700 * (n * 7 % 11) + 33
        await buy(engine, f"R{n}", f"{amount / 100:.2f}")
        standing += amount
        if n % 3 == 1:
            await bring_back(engine, f"b{n}", f"R{n}", "0.33")
            standing -= 33
        if n % 4 == 2:
            back = 700 * ((n - 1) * 7 % 11)
            terms = find_partner(engine.rulebook, "kiosk")
            before = await scalar("SELECT count(*) FROM event WHERE purchase_id IS NOT NULL")
            await come(engine, check_cancel(terms, f"R{n - 1}", NOW))
            assert await scalar("SELECT count(*) FROM event WHERE purchase_id IS NOT NULL") > before
            standing -= back + (0 if (n - 1) % 3 == 1 else 33)
        points = await scalar("SELECT coalesce(sum(active - arrears), 0)::bigint FROM ledger")
        assert points * 5000 + await carried() == standing, n
    assert await prove() == []


# -- proven ----------------------------------------------------------------------------------------

FORGED: Mapping[str, tuple[str, str]] = {
    "more was counted": (
        "UPDATE cap_use SET points = points + 1 WHERE key = 'each'",
        "counted under caps = what was given",
    ),
    "it was counted for another": (
        "UPDATE cap_use SET rule_id = rule_id + 1 WHERE key = 'each'",
        "counted under caps = what was given",
    ),
    "what came back wasn't": (
        "UPDATE cap_use SET points = -1 WHERE points < 0 AND key = 'each'",
        "counted under caps = what was given",
    ),
    "less of a budget is taken": (
        "UPDATE budget SET taken = taken - 1",
        "budgets = what was counted",
    ),
    "a budget is gone": ("DELETE FROM budget", "budgets = what was counted"),
    "more is carried over": ("UPDATE carry SET carried = carried + 1", "carried over = decisions"),
    "nothing is carried over": ("DELETE FROM carry", "carried over = decisions"),
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_falsification_is_named(database: str, what: str) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(capped(EACH, MONTH, Budget("b", 500)), STEP)
    await buy(engine, "A", "60.00")
    await bring_back(engine, "r1", "A", "20.00")
    assert await prove() == []
    statement, check = FORGED[what]
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("SET session_replication_role = replica")
        assert not (await connection.execute(statement)).endswith(" 0")
    finally:
        await connection.close()
    assert check in {finding.check for finding in await prove()}
