"""A kiosk for tests of caps, budgets and carry-overs: one brand, one currency. Holds no test."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from core.bought import Returned
from core.outcomes import Recorded
from core.posting import Engine
from core.programme import Programme
from core.purchases import find_partner
from core.returning import Outcome, record
from core.returns import ReturnedLine, ReturnInput, check_return
from core.store.reference import Declared, install
from laurels import Cap, Currency, EarnRule, Partner, PointsPerAmount
from tests.support import NOW, books, receipt, scalar

POINT = Currency("POINT", "Points")
EACH = PointsPerAmount("POINT", 1, "1.00 USD", code="each")
STEP = PointsPerAmount("POINT", 1, "50.00 USD", carries=True, code="step")
MONTH = Cap(points=100, per="calendar 1M")
KIOSK = Declared("kiosk", "1", Partner("kiosk", "The Kiosk", currencies=[POINT]))


async def open_kiosk(*rules: EarnRule) -> Engine:
    """A brand with these rules, in the database that this process is connected to."""
    kiosk = replace(KIOSK, earn_rules=rules)
    return Engine(await install(Programme(), [kiosk], NOW))


async def buy(
    engine: Engine, name: str, amount: str, at: datetime = NOW, member: str = "1"
) -> Recorded:
    """Buy one thing."""
    item = receipt(engine, name, member, at, ("A", amount), partner="kiosk")
    (outcome,) = await engine.record_purchases([item], max(at, NOW))
    assert isinstance(outcome, Recorded), outcome
    return outcome


async def come(engine: Engine, unit: Any) -> Outcome:
    """Book what came in on a purchase."""
    (outcome,) = await record(engine, [unit], NOW)
    return outcome


async def bring_back(engine: Engine, name: str, purchase: str, amount: str) -> Returned:
    """Return money of a purchase's first line."""
    terms = find_partner(engine.rulebook, "kiosk")
    given = ReturnInput(name, purchase, NOW, [ReturnedLine(1, None, amount)], None)
    outcome = await come(engine, check_return(terms, given))
    assert isinstance(outcome, Returned), outcome
    return outcome


def given(outcome: Recorded) -> list[int]:
    """What each rule that gave something gave."""
    assert outcome.evaluation is not None
    return [g.points for g in outcome.evaluation.granted]


async def budgets() -> dict[str, tuple[int, int]]:
    """(size, taken) by their codes."""
    rows = (await books(["budget"]))["budget"]
    return {row["code"]: (row["size"], row["taken"]) for row in rows}


async def carried() -> int:
    """What the one rule carries over for the one member."""
    return int(await scalar("SELECT carried FROM carry"))
