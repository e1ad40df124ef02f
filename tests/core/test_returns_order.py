"""Returns that come one after another: none takes twice, and history is told in its order."""

from __future__ import annotations

import pytest

from core.bought import Returned
from core.check import prove
from core.posting import Engine
from core.programme import Programme
from core.purchases import find_partner
from core.returning import record
from core.returns import ReturnInput, check_return
from core.store.reference import Declared, install
from laurels import (
    Currency,
    EarnRule,
    Effects,
    Facts,
    Partner,
    Purchase,
    award,
    earn_rule,
    reevaluated,
)
from tests.core.market import balances, buy, cancelled, line, open_market, returned
from tests.core.shop import days
from tests.support import NOW, enrol_cards

NOTE = Currency("NOTE", "Notes")


@earn_rule("dear", "A hundred notes where a line costs 20.00 on average")
def dear(purchase: Purchase, _: Facts) -> Effects:
    """What comes back may lower the average, and then raise it again."""
    total = sum(x.amount for x in purchase.lines)
    return award(NOTE, 100) if total >= 2000 * len(purchase.lines) else None


@earn_rule("much", "A hundred notes from 100.00 on")
def much(purchase: Purchase, _: Facts) -> Effects:
    """A threshold."""
    return award(NOTE, 100) if sum(x.amount for x in purchase.lines) >= 10_000 else None


async def open_with(rule: EarnRule, version: str = "1") -> Engine:
    """A market with this one rule, judged again when goods come back."""
    partner = Partner("market", "The Market", currencies=[NOTE])
    market = Declared("market", version, partner, earn_rules=[reevaluated(rule)])
    return Engine(await install(Programme(), [market], NOW))


async def notes(engine: Engine, holder: int) -> tuple[int, int]:
    """(active, arrears)."""
    found = (await balances(engine, holder, NOW)).get("NOTE", (0, 0, 0, 0))
    return found[0], found[3]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (1, 3, 2)])
async def test_a_rule_that_holds_again_gives_nothing_that_would_be_taken_twice(
    database: str, order: tuple[int, ...]
) -> None:
    engine = await open_with(dear)
    (holder,) = await enrol_cards(["1"])
    await buy(engine, "P", ("x", "30.00"), ("x", "5.00"), ("x", "30.00"))
    assert await notes(engine, holder) == (100, 0)
    for number in order:
        await returned(engine, f"R{number}", "P", line(number, "1"))
        assert await notes(engine, holder) == (0, 0)
    assert await prove() == []


async def test_a_rule_that_changed_since_takes_nothing_twice(database: str) -> None:
    engine = await open_with(much)
    (holder,) = await enrol_cards(["1"])
    await buy(engine, "P", ("x", "60.00"), ("x", "60.00"))
    await returned(engine, "R1", "P", line(1, "0.5"))
    assert await notes(engine, holder) == (0, 0)
    engine = await open_with(much, "2")
    await returned(engine, "R2", "P", line(1, "0.25"))
    assert await notes(engine, holder) == (0, 0)
    assert isinstance(await cancelled(engine, "P"), Returned)
    assert await notes(engine, holder) == (0, 0)
    assert await prove() == []


async def bought_every_twenty_days(engine: Engine, comes_back: str) -> None:
    """Six purchases of 10 sliding points each, imported long after; half of the third comes back.

    `comes_back`: before its purchase or after it.
    """
    now = NOW + days(110)
    given = ReturnInput("R", "P2", NOW + days(41), [line(1, "0.5")])
    unit = check_return(find_partner(engine.rulebook, "market"), given)
    if comes_back == "before":
        await record(engine, [unit], now, historical=True)
    for n in range(6):
        await buy(engine, f"P{n}", ("SLIDE", "10.00"), at=NOW + days(20 * n), now=now)
        if comes_back == "after" and n == 2:
            (outcome,) = await record(engine, [unit], now, historical=True)
            assert isinstance(outcome, Returned)


@pytest.mark.parametrize("comes_back", ["before", "after"])
async def test_a_return_in_history_ends_no_points_that_later_purchases_renew(
    database: str, comes_back: str
) -> None:
    engine = await open_market()
    (holder,) = await enrol_cards(["1"])
    await bought_every_twenty_days(engine, comes_back)
    assert await balances(engine, holder, NOW + days(110)) == {"SLIDE": (55, 0, 0, 0)}
    assert await prove() == []
