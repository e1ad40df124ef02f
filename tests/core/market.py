"""A market for tests of returns and of the night: one brand, currencies of every kind of life.

A purchase's product types say what it earns, each in a currency of its own. Holds no assertion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from core.bought import Returned
from core.errors import Refusal
from core.outcomes import Recorded
from core.posting import Engine
from core.programme import LadderSettings, Programme, TierSettings
from core.purchases import find_partner
from core.returning import Outcome, record
from core.returns import ReturnedLine, ReturnInput, check_cancel, check_fulfilment, check_return
from core.store.reference import Declared, install
from laurels import (
    Currency,
    EarnRule,
    Effects,
    Facts,
    Partner,
    Purchase,
    Reward,
    award,
    earn_rule,
    multiply,
    pending,
    reevaluated,
)
from tests.support import NOW, figures, receipt

PLAIN = Currency("PLAIN", "Plain points", expires="90D", notices=("30D", "3D"))
HELD = Currency("HELD", "Held points", pending="14D", expires="30D", returns="pending")
SENT = Currency("SENT", "Sent points", pending="until shipped within 30D", expires="60D")
SOFT = Currency("SOFT", "Soft points", expires="90D", returns="within-balance")
KIND = Currency("KIND", "Kind points", expires="20D", grace="10D")
SLIDE = Currency("SLIDE", "Sliding points", expires="sliding 30D on earning spending")
ALL = (PLAIN, HELD, SENT, SOFT, KIND, SLIDE)


def per_line(currency: Currency) -> EarnRule:
    """A point for every full dollar on lines of the currency's own product type."""

    @earn_rule(currency.code.lower(), f"A point a dollar in {currency.code}")
    def rule(purchase: Purchase, _: Facts) -> Effects:
        lines = [
            line.amount // 100 if line.product_type == currency.code else 0
            for line in purchase.lines
        ]
        return award(currency, sum(lines), lines=lines)

    return rule


@earn_rule("hundred", "Fifty plain points from 100.00 on")
def hundred(purchase: Purchase, _: Facts) -> Effects:
    """A threshold that is judged again when goods come back."""
    plain = sum(x.amount for x in purchase.lines if x.product_type == "PLAIN")
    return award(PLAIN, 50) if plain >= 10_000 else None


@earn_rule("double", "Double plain points in the shop called double")
def double(purchase: Purchase, _: Facts) -> Effects:
    """A multiplier, of which a return takes its share."""
    return multiply(PLAIN, 2) if purchase.store == "double" else None


RULES: Sequence[EarnRule] = (
    *(per_line(c) for c in ALL),
    reevaluated(hundred),
    double,
    pending("7D", earn_rule("late", "Late plain points")(lambda p, f: _late(p))),
)


def _late(purchase: Purchase) -> Effects:
    lines = [x.amount // 100 if x.product_type == "LATE" else 0 for x in purchase.lines]
    return award(PLAIN, sum(lines), lines=lines)


async def open_market() -> Engine:
    """Install it in the database that this process is connected to."""
    steps = [("base", 0), ("silver", 60), ("gold", 200)]
    programme = Programme(
        ladders=(
            LadderSettings(
                code="club",
                measure="earned:PLAIN",
                window="30D",
                notices=("7D",),
                tiers=tuple(TierSettings(code=code, at=at) for code, at in steps),
            ),
        ),
    )
    market = Declared(
        "market",
        "1",
        Partner("market", "The Market", currencies=ALL),
        earn_rules=RULES,
        rewards=[Reward(f"x-{c.code.lower()}", "A thing", {c: 10}) for c in ALL],
    )
    build = partial(install, programme, [market])
    return Engine(await build(NOW), build)


async def buy(
    engine: Engine,
    external_id: str,
    *lines: tuple[str, str],
    at: datetime = NOW,
    now: datetime | None = None,
    member: str = "1",
) -> Recorded:
    """Buy lines of (product type, amount), booked when it happened unless `now` says later."""
    item = receipt(engine, external_id, member, at, *lines, partner="market")
    (outcome,) = await engine.record_purchases([item], now or at, historical=True)
    assert isinstance(outcome, Recorded), outcome
    return outcome


async def bring_back(
    engine: Engine,
    external_id: str,
    purchase: str,
    *lines: ReturnedLine,
    amount: str | None = None,
    at: datetime = NOW,
    now: datetime | None = None,
) -> Outcome:
    """Return part of a purchase; the outcome, whatever it is."""
    given = ReturnInput(external_id, purchase, at, lines, amount)
    unit = check_return(find_partner(engine.rulebook, "market"), given)
    (outcome,) = await record(engine, [unit], now or at)
    return outcome


async def returned(
    engine: Engine,
    external_id: str,
    purchase: str,
    *lines: ReturnedLine,
    amount: str | None = None,
    at: datetime = NOW,
) -> Returned:
    """Return part of a purchase, which must succeed."""
    outcome = await bring_back(engine, external_id, purchase, *lines, amount=amount, at=at)
    assert isinstance(outcome, Returned), outcome
    return outcome


async def cancelled(engine: Engine, purchase: str, at: datetime = NOW) -> Outcome:
    """Cancel a purchase."""
    unit = check_cancel(find_partner(engine.rulebook, "market"), purchase, at)
    (outcome,) = await record(engine, [unit], at)
    return outcome


async def shipped(engine: Engine, purchase: str, at: datetime, event: str = "shipped") -> Outcome:
    """Report an event that pending points wait for."""
    unit = check_fulfilment(find_partner(engine.rulebook, "market"), purchase, event, at)
    (outcome,) = await record(engine, [unit], at)
    return outcome


def refusal(outcome: Outcome, kind: type[Refusal]) -> Refusal:
    """The refusal that an outcome must be."""
    assert type(outcome) is kind, outcome
    return outcome


def line(number: int, quantity: str | None = None, amount: str | None = None) -> ReturnedLine:
    """Part of a line that comes back."""
    return ReturnedLine(number, quantity, amount)


async def balances(
    engine: Engine, holder: int, at: datetime
) -> Mapping[str, tuple[int, int, int, int]]:
    """(active, pending, reserved, arrears) of every currency that isn't all zero, by its code."""
    codes = {c.id: c.code for c in engine.rulebook.currencies.values()}
    return {
        codes[row[1]]: (row[2], row[3], row[4], row[5])
        for row in await figures([holder], at)
        if any(row[2:6])
    }
