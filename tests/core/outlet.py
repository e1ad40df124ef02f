"""A brand whose receipts say all there is to say. Holds no test."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from core.bought import Returned
from core.db import reading
from core.posting import Engine
from core.programme import Programme
from core.purchases import LineInput, PurchaseInput, check_purchase, find_partner
from core.returning import record
from core.returns import ReturnedLine, ReturnInput, check_return
from core.store.reference import Declared, install
from laurels import (
    Basis,
    Currency,
    EarnRule,
    Partner,
    PointsPerAmount,
)
from tests.core.shop import balance, days
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


def outlet(
    *rules: EarnRule, basis: Basis | None = None, version: str = "1", currency: Currency = POINT
) -> partial[Any]:
    """How a brand with these rules and this usual basis is installed."""
    brand = Partner("outlet", "The Outlet", currencies=[currency], basis=basis)
    return partial(install, Programme(), [Declared("outlet", version, brand, earn_rules=rules)])


async def opened(
    *rules: EarnRule, basis: Basis | None = None, version: str = "1", currency: Currency = POINT
) -> Engine:
    """Its engine, and on a fresh database a member with the card 1."""
    build = outlet(*rules, basis=basis, version=version, currency=currency)
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
