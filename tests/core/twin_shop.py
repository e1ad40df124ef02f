"""A shop for engine and model alike: five currencies, each with its own policy, and ladders.

What it declares to the engine, what the model is told of it, and a database to meet in. Holds no
assertion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, TypeVar

import asyncpg

from core.db import Connection, connected
from core.posting import Engine
from core.programme import (
    ContractSettings,
    CurrencySettings,
    LadderSettings,
    Programme,
    TierSettings,
)
from core.store.reference import Declared, install
from laurels import (
    EarnRule,
    Effects,
    Facts,
    FunctionRule,
    Partner,
    Purchase,
    Reward,
    TierMultiplier,
    award,
    pending,
    reevaluated,
)
from tests.oracle_ladders import LadderModel
from tests.oracle_ledger import Terms
from tests.oracle_purchases import Award, LineBought
from tests.support import ISTANBUL, NEW_YORK, Databases

T = TypeVar("T")
START = datetime(2026, 1, 28, 15, tzinfo=UTC)
SHOP = "shop"
TERMS = {
    "STAR": Terms(expires="20D", zone=NEW_YORK),
    "BEAN": Terms("5D", "on 02-15 03-20", "within-balance", "3D", ISTANBUL),
    "KUDO": Terms(None, "sliding 15D on earning spending returning", "arrears"),
    "TRIP": Terms("until shipped within 10D", "1M_U", "arrears", "2D", NEW_YORK),
    "CORK": Terms("4D", None, "pending"),
}
FACTORS = {1: Fraction(3, 2), 2: Fraction(2)}
LADDERS = {
    "coalition": LadderModel([0, 30, 80], "STAR", "30D", zone=NEW_YORK),
    "life": LadderModel([0, 2, 4], None),
    "monthly": LadderModel([0, 10, 25, 60], "KUDO", "calendar 1M", soft=True, zone=ISTANBUL),
}
PRICES = (1, 4, 10, 25)


def share(purchase: Purchase, currency: str, per: int) -> list[int]:
    """A point for each full `per` minor units on each line of that type."""
    return [x.amount // per if x.product_type == currency else 0 for x in purchase.lines]


def plain(currency: str) -> FunctionRule:
    """A point for each full dollar spent on the currency's own type."""

    def give(purchase: Purchase, facts: Facts) -> Effects:
        lines = share(purchase, currency, 100)
        return award(currency, sum(lines), lines=lines)

    return FunctionRule(f"dollars-{currency.lower()}", "A point a dollar", give)


def _bonus(purchase: Purchase, facts: Facts) -> Effects:
    return award("STAR", 7) if purchase.total_minor >= 2000 else None


def _extra(purchase: Purchase, facts: Facts) -> Effects:
    lines = share(purchase, "STAR", 500)
    return award("STAR", sum(lines), lines=lines)


RULES: list[EarnRule] = [
    *(plain(currency) for currency in TERMS),
    reevaluated(FunctionRule("bonus", "Seven from twenty dollars", _bonus)),
    pending("3D", FunctionRule("extra", "One on each five dollars, later", _extra)),
    TierMultiplier("STAR", "coalition", {"t1": "1.5", "t2": 2}),
]
PROGRAMME = Programme(
    currencies=tuple(
        CurrencySettings(
            code=code,
            name=code.capitalize(),
            pending=t.pending,
            expires=t.expires,
            returns=t.returns,
            grace=t.grace,
            time_zone=t.zone,
        )
        for code, t in TERMS.items()
    ),
    ladders=tuple(
        LadderSettings(
            code=code,
            measure="visits" if x.earned is None else f"earned:{x.earned}",
            window=x.window,
            soft_landing=x.soft,
            time_zone=x.zone,
            tiers=tuple(TierSettings(code=f"t{n}", at=at) for n, at in enumerate(x.thresholds)),
        )
        for code, x in LADDERS.items()
    ),
    contracts={SHOP: ContractSettings(issues=tuple(TERMS), accepts=tuple(TERMS))},
)
DECLARED = Declared(
    SHOP,
    "1",
    Partner(SHOP, "The Shop", issues=list(TERMS), accepts=list(TERMS)),
    earn_rules=RULES,
    rewards=[Reward(f"{c.lower()}-{n}", "Something", {c: n}) for c in TERMS for n in PRICES],
)


def awards(lines: Sequence[tuple[str, LineBought]], factor: Fraction | None) -> list[Award]:
    """What the shop's rules give, as the model is told it."""
    found = [
        Award(c, c, tuple(x.amount // 100 if kind == c else 0 for kind, x in lines)) for c in TERMS
    ]
    if sum(x.amount for _, x in lines) >= 2000:
        found.append(Award("STAR", "bonus", (7,), again=lambda m: 7 if sum(m) >= 2000 else 0))
    extra = tuple(x.amount // 500 if kind == "STAR" else 0 for kind, x in lines)
    found.append(Award("STAR", "extra", extra, pending="3D"))
    base = sum(a.points for a in found if a.currency == "STAR")
    if factor is not None:
        points = base * factor.numerator // factor.denominator - base
        found.append(Award("STAR", "tier", (points,), base=base))
    return [a for a in found if a.points]


class Ground:
    """A database with the shop in it, emptied before each example, and a loop.

    Emptied by an administrator whose session passes over the triggers that forbid it: a database
    for each example would take ten times as long.
    """

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.run(self._open())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Drive async code to its end."""
        return self._runner.run(coroutine)

    async def _open(self) -> None:
        url = await self._stack.enter_async_context(self._databases.migrated())
        await self._stack.enter_async_context(connected(url))
        self.engine = Engine(await install(PROGRAMME, [DECLARED], START))
        self._admin: Connection = await asyncpg.connect(url)
        await self._admin.execute("SET session_replication_role = replica")
        tables = await self._admin.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        )
        # Whatever the shop's opening left empty is of the books, of members and of requests.
        empty = [
            t for (t,) in tables if not await self._admin.fetchval(f'SELECT count(*) FROM "{t}"')
        ]
        self._clear = "TRUNCATE " + ", ".join(f'"{t}"' for t in empty)

    def clear(self) -> None:
        """Forget everybody."""
        self.run(self._admin.execute(self._clear))

    def close(self) -> None:
        """Drop the database and the loop."""
        try:
            self.run(self._close())
        finally:
            self._runner.close()

    async def _close(self) -> None:
        await self._admin.close()
        await self._stack.aclose()


def at_work(databases: Databases) -> Iterator[Ground]:
    """For a fixture."""
    ground = Ground(databases)
    try:
        yield ground
    finally:
        ground.close()
