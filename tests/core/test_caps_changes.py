"""What changes under caps, budgets and carry-overs: rules, sizes, zones; edits and returns."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

import asyncpg
import pytest

from core.bought import Returned
from core.check import prove
from core.errors import BadInput
from core.posting import Engine
from core.programme import Programme
from core.purchases import LineInput, find_partner
from core.returns import check_cancel, check_edit
from core.rule_changes import activate, checked, end, save
from core.rulebook import PartnerTerms
from core.store.reference import install
from laurels import (
    Budget,
    Challenge,
    EarnRule,
    Effects,
    Facts,
    Group,
    PointsPerAmount,
    PointsPerVisit,
    Purchase,
    award,
    capped,
    earn_rule,
    grouped,
    nothing,
)
from tests.core.kiosk import EACH, KIOSK, STEP, bring_back, buy, carried, come, given, open_kiosk
from tests.core.shop import days
from tests.support import ISTANBUL, NOW, enrol_cards, receipt, scalar

# -- what changes meanwhile ------------------------------------------------------------------------


async def test_a_budget_whose_period_changes_is_drawn_on_as_it_stood_then(database: str) -> None:
    """One rule, two revisions in turn: of the first it is for all time, then for each month."""
    await enrol_cards(["1"])
    build = partial(install, Programme(), [KIOSK])
    engine = Engine(await build(NOW), build)
    terms = find_partner(engine.rulebook, "kiosk")
    award = {"currency": "POINT", "points": 10}
    for revision, per, start in ((1, None, NOW), (2, "calendar 1M", NOW + days(30))):
        budget = {"code": "b", "points": 25, **({} if per is None else {"per": per})}
        said = {"code": "ten", "title": "Ten", "award": award, "budget": budget}
        await save(terms, checked(terms, said, NOW), "partner:kiosk", NOW)
        await activate(engine, "kiosk", "ten", revision, NOW, from_at=start)
    assert [given(await buy(engine, f"A{n}", "1.00")) for n in range(4)] == [[10], [10], [5], []]
    later = NOW + days(31)
    assert [given(await buy(engine, f"B{n}", "1.00", later)) for n in range(3)] == [[10], [10], [5]]
    assert given(await buy(engine, "late", "1.00", NOW + days(1))) == []
    await bring_back(engine, "r", "A0", "1.00")
    assert given(await buy(engine, "late2", "1.00", NOW + days(1))) == [10]
    assert await prove() == []


async def edit(engine: Engine, purchase: str, amount: str) -> None:
    """Its second revision."""
    terms = find_partner(engine.rulebook, "kiosk")
    unit = check_edit(terms, purchase, 2, NOW, [LineInput("A", amount)], "USD")
    assert isinstance(await come(engine, unit), Returned)


@earn_rule("gate", "A point for 50.00, from 100.00 on", carries=True)
def gate(purchase: Purchase, facts: Facts) -> Effects:
    """Carries over only what stands beyond its gate."""
    if purchase.total_minor < 10_000:
        return nothing("too little")
    total = purchase.total_minor + facts.carried.get("gate", 0)
    return award("POINT", total // 5_000, carry=total % 5_000)


VISIT = PointsPerVisit("POINT", 2)


@pytest.mark.parametrize(
    ("first", "second", "points"),
    [
        (grouped(Group("g"), STEP, VISIT), grouped(Group("g"), STEP, VISIT), 2),
        ([gate], [gate], 0),
        ([STEP], [EACH], 60),  # the rule is gone
    ],
)
async def test_what_an_edit_no_longer_carries_over_is_taken_back(
    database: str, first: list[EarnRule], second: list[EarnRule], points: int
) -> None:
    await enrol_cards(["1"])
    await buy(await open_kiosk(*first), "A", "190.00")
    assert await carried() == 4000
    await edit(await open_kiosk(*second), "A", "60.00")
    assert (await scalar("SELECT active FROM ledger"), await carried()) == (points, 0)
    assert await prove() == []


async def test_an_edit_gives_back_what_it_used_of_what_was_carried_over(database: str) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(*grouped(Group("g"), STEP, VISIT))
    await buy(engine, "A", "160.00")
    await buy(engine, "B", "140.00")
    assert await carried() == 0
    await edit(engine, "B", "60.00")
    assert await carried() == 1000
    assert await prove() == []


async def test_what_comes_back_after_the_rule_is_gone_is_taken_off_what_it_carried(
    database: str,
) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(STEP)
    await buy(engine, "A", "49.00")
    await buy(engine, "B", "30.00")
    assert await carried() == 2900
    gone = await open_kiosk(EACH)
    await come(gone, check_cancel(find_partner(gone.rulebook, "kiosk"), "A", NOW))
    assert await carried() == -2000
    assert await prove() == []


async def test_a_new_title_leaves_what_is_carried_over_in_step_with_the_money(
    database: str,
) -> None:
    await enrol_cards(["1"])
    await buy(await open_kiosk(STEP), "A", "60.00")
    assert await carried() == 1000
    again = PointsPerAmount(
        "POINT", 1, "50.00 USD", carries=True, code="step", title="In other words"
    )
    await bring_back(await open_kiosk(again), "r", "A", "59.00")
    assert (await scalar("SELECT active FROM ledger"), await carried()) == (0, 100)
    assert await prove() == []


async def test_a_partner_that_moves_to_another_zone_edits_what_it_counted_in_the_old_one(
    database: str,
) -> None:
    await enrol_cards(["1"])
    rule = capped(EACH, Budget("b", 50, "calendar 1M"))
    await buy(await open_kiosk(rule), "A", "40.00")
    moved = replace(KIOSK, partner=replace(KIOSK.partner, time_zone=ISTANBUL), earn_rules=[rule])
    engine = Engine(await install(Programme(), [moved], NOW))
    await edit(engine, "A", "30.00")
    assert await scalar("SELECT array_agg(taken ORDER BY taken) FROM budget") == [0, 30]
    await bring_back(engine, "r", "A", "10.00")  # from the one that it counts under now
    assert await scalar("SELECT array_agg(taken ORDER BY taken) FROM budget") == [0, 20]
    assert await prove() == []


async def test_a_rule_that_carries_money_on_says_so(database: str) -> None:
    await enrol_cards(["1"])
    odd = earn_rule("odd", "Odd")(lambda p, f: nothing("more", carry=500))
    engine = await open_kiosk(odd)
    item = receipt(engine, "A", "1", NOW, ("A", "5.00"), partner="kiosk")
    (outcome,) = await engine.record_purchases([item], NOW)
    assert "carries money on, and doesn't say so" in str(outcome)
    assert await scalar("SELECT count(*) FROM carry") == 0


async def test_what_rules_share_may_be_resized_once_the_others_have_ended(database: str) -> None:
    build = partial(install, Programme(), [KIOSK])
    engine = Engine(await build(NOW), build)

    async def put(code: str, points: int, at: datetime) -> None:
        terms = find_partner(engine.rulebook, "kiosk")
        said = {
            "code": code, "title": code, "award": {"currency": "POINT", "points": 1},
            "budget": {"code": "b", "points": points},
        }  # fmt: skip
        row = (await save(terms, checked(terms, said, at), "partner:kiosk", at)).row
        await activate(engine, "kiosk", code, row.revision, at)

    await put("one", 25, NOW)
    await put("two", 25, NOW)
    with pytest.raises(BadInput, match="rule one has it as: at most 25 points"):
        await put("two", 50, NOW + days(1))
    await end(engine, "kiosk", "one", NOW + days(1))
    await put("two", 50, NOW + days(2))
    # Another server that hasn't heard of it yet is told by the database.
    stale = Engine(await build(NOW), None)
    stale.rulebook = replace(stale.rulebook, partners={"kiosk": deaf(stale)})
    terms = find_partner(stale.rulebook, "kiosk")
    said = {
        "code": "three", "title": "3", "award": {"currency": "POINT", "points": 1},
        "budget": {"code": "b", "points": 99},
    }  # fmt: skip
    await save(terms, checked(terms, said, NOW + days(3)), "partner:kiosk", NOW + days(3))
    with pytest.raises(BadInput, match="rule two has it as: at most 50 points"):
        await activate(stale, "kiosk", "three", 1, NOW + days(3))


def deaf(engine: Engine) -> PartnerTerms:
    """The kiosk without its data rules, as a server has it that has heard of none."""
    return engine.rulebook.partners["kiosk"].with_rules(())


async def test_a_challenge_counts_what_stands_and_never_gives_twice_for_the_same(
    database: str,
) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(Challenge("POINT", 50, purchases=3, per="calendar 1M"))
    terms = find_partner(engine.rulebook, "kiosk")
    assert [given(await buy(engine, f"A{n}", "9.00")) for n in range(3)] == [[], [], [50]]
    await come(engine, check_cancel(terms, "A0", NOW))  # its place is to be filled again
    assert await scalar("SELECT active FROM ledger") == 50
    assert [given(await buy(engine, f"B{n}", "9.00")) for n in range(4)] == [[], [], [], [50]]
    await come(engine, check_cancel(terms, "B3", NOW))  # the one that reached it
    assert await scalar("SELECT active FROM ledger") == 50
    assert given(await buy(engine, "C", "9.00")) == [50]
    assert given(await buy(engine, "D", "9.00", NOW - days(31))) == []
    rows = await scalar("SELECT array_agg(carried ORDER BY rule) FROM carry")
    assert rows == [1, 0]
    assert await prove() == []


async def test_an_edit_goes_on_from_the_progress_that_stands(database: str) -> None:
    """Its purchase hadn't counted: of that there is no trace in its decision."""
    await enrol_cards(["1"])
    engine = await open_kiosk(Challenge("POINT", 100, purchases=3, of=["TEA"]))
    terms = find_partner(engine.rulebook, "kiosk")
    for name in ("A", "B"):
        tea = receipt(engine, name, "1", NOW, ("TEA", "1.00"), partner="kiosk")
        await engine.record_purchases([tea], NOW)
    await buy(engine, "C", "1.00")
    unit = check_edit(terms, "C", 2, NOW, [LineInput("TEA", "1.00")], "USD")
    assert isinstance(await come(engine, unit), Returned)
    assert (await scalar("SELECT active FROM ledger"), await carried()) == (100, 0)
    assert await prove() == []


async def test_a_falsified_count_of_an_edit_is_named(database: str) -> None:
    await enrol_cards(["1"])
    engine = await open_kiosk(capped(EACH, Budget("b", 500)))
    await buy(engine, "A", "40.00")
    await edit(engine, "A", "30.00")
    assert await prove() == []
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE cap_use SET points = -9 WHERE points = -10")
        await connection.execute("UPDATE budget SET taken = 31")
    finally:
        await connection.close()
    assert {finding.check for finding in await prove()} == {"counted after edits = what stands"}
