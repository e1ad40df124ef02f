"""Rules that ask what the member could spend: told just before, kept with the decision."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.bought import Returned
from core.check import prove
from core.data_rules import parse, rule_of
from core.errors import BadInput
from core.posting import Engine
from core.purchases import LineInput, find_partner
from core.replaying import Change
from core.returning import record
from core.returns import ReturnedLine, check_edit
from core.rule_definitions import RuleDefinition
from core.simulation import Report, check_change, simulate
from laurels import (
    Currency,
    Effects,
    Facts,
    PointsPerVisit,
    Purchase,
    award,
    earn_rule,
    nothing,
    on,
)
from tests.core.club import balance, bought, open_club
from tests.core.outlet import bring_back, buy, has, opened
from tests.support import DAY, NOW, enrol_cards

pytestmark = pytest.mark.asyncio

FIVE = PointsPerVisit("POINT", 5, code="five", title="Five a visit")
SAID = {
    "code": "saver", "title": "Three for who has ten", "when": "member.balances.POINT >= 10",
    "award": {"currency": "POINT", "points": 3},
}  # fmt: skip


@earn_rule("saver", "Three for who has ten", balances=True)
def saver(purchase: Purchase, facts: Facts) -> Effects:
    return award("POINT", 3) if facts.balances["POINT"] >= 10 else nothing("it has too few")


APART = {**SAID, "when": "member\n  .balances.POINT >= 10"}


@pytest.mark.parametrize(
    "rule", [saver, rule_of(parse(SAID)), rule_of(parse(APART))], ids=["python", "data", "apart"]
)
async def test_a_rule_is_told_of_the_balance_just_before(database: str, rule: object) -> None:
    engine = await open_club(FIVE, rule)  # type: ignore[arg-type]  # either kind of rule
    await enrol_cards(["1"])
    assert [await bought(engine, f"R-{n}") for n in range(4)] == [[5], [5], [5, 3], [5, 3]]
    assert await balance() == 26
    assert await prove() == []


async def test_points_count_while_they_can_be_spent(database: str) -> None:
    lasting = Currency("POINT", "Points", expires="10D", pending="1D")
    engine = await opened(FIVE, saver, currency=lasting)
    for n, days in enumerate((0, 0, 0, 2, 9, 20)):
        at = NOW + days * DAY
        (outcome,) = [await buy(engine, LineInput("A", "1.00"), name=f"R-{n}", at=at)]
        assert [g.points for g in outcome.evaluation.granted] == (
            # Nothing is active on the first day; on the third fifteen; on the tenth the same and
            # eight; on the twenty-first all that was earned by then has lapsed but for the last.
            [5, 3] if days in (2, 9) else [5]
        ), n
    assert await prove() == []


async def _tried(engine: Engine, definition: RuleDefinition) -> Report:
    """What a draft would have said of the last days."""

    async def on_and_on(done: int, total: int) -> bool:
        return True

    partner = find_partner(engine.rulebook, "club")
    period = (NOW - 2 * DAY, NOW + DAY)
    return await simulate(engine.rulebook, partner, Change(definition), *period, NOW, on_and_on)


async def test_an_edit_and_a_return_find_them_as_they_were(database: str) -> None:
    engine = await opened(FIVE, saver)
    for n in range(3):
        await buy(engine, LineInput("A", "1.00", "2"), name="ABC"[n])
    assert await has(engine) == 18
    # A was judged at a balance of nothing; edited at one of 18, it still was.
    partner = find_partner(engine.rulebook, "outlet")
    unit = check_edit(partner, "A", 2, NOW, [LineInput("A", "2.00", "2")], "USD")
    (outcome,) = await record(engine, [unit], NOW)
    assert isinstance(outcome, Returned)
    assert await has(engine) == 18
    await bring_back(engine, "X", ReturnedLine(1, "2"))
    assert await has(engine) == 13
    assert await prove() == []


async def test_what_if_finds_them_as_they_were(database: str) -> None:
    engine = await open_club(FIVE, saver)
    await enrol_cards(["1"])
    for n in range(4):
        await bought(engine, f"R-{n}", at=NOW - DAY + timedelta(minutes=n))
    report = await _tried(engine, parse({**SAID, "when": "member.balances.POINT >= 5"}))
    points = report.currencies["POINT"]
    assert (points.booked, points.now, points.then) == (26, 26, 29)
    assert (report.failed, report.otherwise) == (0, 0)


async def test_what_if_cannot_know_what_was_never_kept(database: str) -> None:
    engine = await open_club(FIVE)
    partner = find_partner(engine.rulebook, "club")
    with pytest.raises(BadInput, match="none were kept") as caught:
        check_change(partner, Change(parse(SAID)), NOW - DAY, NOW, NOW)
    assert caught.value.path == ("draft",)


async def test_what_if_leaves_out_that_of_which_none_were_kept(database: str) -> None:
    """A rule that asks judges reviews alone: of purchases nothing was kept."""
    engine = await open_club(FIVE, on("review", saver))
    await enrol_cards(["1"])
    for n in range(4):
        await bought(engine, f"R-{n}", at=NOW - DAY + timedelta(minutes=n))
    report = await _tried(engine, parse(SAID))
    assert (report.purchases, report.failed, report.currencies) == (4, 4, {})
