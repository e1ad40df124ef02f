"""The books don't depend on when a job runs: lives with a night each day, and with none at all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from core import nightly
from core.check import prove
from core.db import connected, reading
from core.errors import Refusal
from core.posting import Engine
from core.redemptions import cancel, redeem
from tests.core.market import (
    ALL,
    balances,
    bring_back,
    buy,
    cancelled,
    line,
    open_market,
    shipped,
)
from tests.core.shop import days, wish
from tests.support import NOW, Databases, enrol_cards, figures

END = NOW + days(150)
#: Every kind of thing that happens to a ledger, the ones that owe and repay most of all.
DEEDS = [
    "buy", "buy", "buy", "buy", "late", "return", "cancel", "cancel", "ship", "redeem", "redeem",
    "redeem", "hold", "free",
]  # fmt: skip
KINDS = [*(c.code for c in ALL), *["PLAIN"] * 4, *["LATE"] * 4]
TRANSFERS = """
SELECT currency_id, occurred_at, kind, source, target, amount FROM transfer
ORDER BY 1, 2, 3, 4, 5, 6
"""
LOTS = """
SELECT currency_id, occurred_at, amount, remaining, pending, active_at, expires_at FROM lot
ORDER BY 1, 2, 3, 4, 5, 6, 7
"""


class Diary:
    """One life told to an engine, deed by deed; the same seed tells the same."""

    def __init__(self, engine: Engine, holder: int, seed: int) -> None:
        self.engine = engine
        self.holder = holder
        self.chance = random.Random(seed)
        self.bought: list[str] = []
        self.held: list[int] = []
        self.refused = 0

    async def live(self, deeds: int, nights: Sequence[float]) -> None:
        """Do things for some weeks; a night's work is done at these hours of each day."""
        now = NOW
        for number in range(deeds):
            later = now + timedelta(hours=self.chance.randint(1, 30))
            for night in _nights(now, later, nights):
                await nightly.run(self.engine, night)
            now = later
            try:
                await self._do(self.chance.choice(DEEDS), f"{number}", now)
            except Refusal:
                self.refused += 1
        for night in _nights(now, END, nights)[::9]:
            await nightly.run(self.engine, night)
        await nightly.run(self.engine, END)

    async def _do(self, deed: str, name: str, now: datetime) -> None:
        chance, engine, holder = self.chance, self.engine, self.holder
        kind, other = chance.choice(KINDS), chance.choice(KINDS)
        dollars, back = chance.randint(5, 40), chance.randint(0, 72)
        bought = chance.choice(self.bought[-5:]) if self.bought else None
        match deed:
            case "buy" | "late":
                at = now - timedelta(hours=back * 4) if deed == "late" else now
                lines = ((kind, f"{dollars}.00"), (other, "10.00"))
                await buy(engine, f"P{name}", *lines, at=at, now=now)
                self.bought.append(f"P{name}")
            case "return" if bought:
                at = now - timedelta(hours=back)
                part = line(1, amount=f"{dollars % 7 + 1}.00")
                await bring_back(engine, f"R{name}", bought, part, at=at, now=now)
            case "cancel" if bought:
                await cancelled(engine, bought, now)
            case "ship" if bought:
                await shipped(engine, bought, now)
            case "redeem" | "hold":
                code = "plain" if kind == "LATE" else kind.lower()
                hold = f"{1 + back}D" if deed == "hold" else None
                for n in range(8):
                    key = f"{name}-{n}"
                    request = wish(holder, f"x-{code}", key=key, partner="market", hold=hold)
                    found = await redeem(engine, request, now)
                    if deed == "hold":
                        self.held.append(found.id)
            case "free" if self.held:
                await cancel(engine, holder, self.held.pop(0), "till", name, now)


def _nights(after: datetime, until: datetime, hours: Sequence[float]) -> list[datetime]:
    midnight = after.replace(hour=0, minute=0)
    starts = [midnight + days(n) for n in range((until - midnight).days + 1)]
    found = sorted(start + timedelta(hours=hour) for start in starts for hour in hours)
    return [night for night in found if after < night <= until]


async def _rows(query: str) -> list[tuple[Any, ...]]:
    async with reading() as connection:
        return [tuple(row) for row in await connection.fetch(query)]


async def _life(databases: Databases, seed: int, nights: Sequence[float]) -> dict[str, Any]:
    """The books of a life, and how a member's balances read throughout."""
    async with databases.migrated() as url, connected(url):
        engine = await open_market()
        (holder,) = await enrol_cards(["1"])
        diary = Diary(engine, holder, seed)
        await diary.live(36, nights)
        assert diary.refused < 20
        assert await prove() == []
        instants = [NOW + timedelta(hours=11 * n) for n in range(110)]
        return {
            "transfers": await _rows(TRANSFERS),
            "lots": await _rows(LOTS),
            "reads": [await figures([holder], at) for at in instants],
        }


@pytest.mark.parametrize("seed", [9, 18, 26])
async def test_lives_with_and_without_nights_leave_the_same_books(
    databases: Databases, seed: int
) -> None:
    never = await _life(databases, seed, ())
    assert {row[2] for row in never["transfers"]} >= {1, 2, 3, 6, 7, 8}
    each_day = await _life(databases, seed, (5,))
    for what, found in each_day.items():
        assert found == never[what], what


async def test_what_became_active_repays_before_a_purchase_does(
    databases: Databases,
) -> None:
    """Though no job saw it alive: or what the purchase brings would repay, and the rest be lost."""
    for nights in ((), (8,), (96,), (8, 98)):
        async with databases.migrated() as url, connected(url):
            market = await open_market()
            (holder,) = await enrol_cards(["1"])
            await buy(market, "P", ("PLAIN", "30.00"))
            for n in range(3):
                await redeem(market, wish(holder, "x-plain", key=f"{n}", partner="market"), NOW)
            await cancelled(market, "P")
            await buy(market, "Q", ("LATE", "40.00"))
            for night in nights:
                await nightly.run(market, NOW + days(night))
            late = NOW + days(99)
            await buy(market, "R", ("PLAIN", "5.00"), at=late)
            assert await balances(market, holder, late) == {"PLAIN": (5, 0, 0, 0)}, nights
            await nightly.run(market, late)
            assert await balances(market, holder, late) == {"PLAIN": (5, 0, 0, 0)}, nights
            assert await _rows(
                "SELECT kind::int, amount, round(extract(epoch FROM occurred_at - "
                f"'{NOW.isoformat()}') / 86400)::int FROM transfer WHERE kind IN (3, 6, 7) "
                "ORDER BY seq"
            ) == [(7, 40, 7), (6, 30, 7), (3, 10, 97)]
            assert await prove() == []
