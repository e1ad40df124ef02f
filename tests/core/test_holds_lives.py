"""Random lives with holds, once with a job at each hold's end and once with none until the last.

What was refused, how redemptions ended, the lots and every balance throughout must be the same.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import pytest

from core import nightly
from core.adjustments import AdjustRequest, adjust
from core.check import prove
from core.db import connected
from core.errors import Refusal
from core.posting import Engine
from core.pricing import RedeemRequest
from core.redemptions import cancel, confirm, redeem, time_out
from core.reversals import ReverseRequest, reverse_redemption
from laurels import Duration
from tests.core.market import balances, bring_back, buy, cancelled, open_market
from tests.core.shop import days
from tests.support import NOW, Databases, enrol_cards, scalar

DEEDS = [
    *["buy"] * 5, *["redeem"] * 3, *["hold"] * 5, "back", "back", "cancel", "reverse", "adjust",
    "adjust", "close", "close",
]  # fmt: skip
KINDS = ["PLAIN", "PLAIN", "SLIDE", "KIND"]
LOTS = """
SELECT array_agg(ARRAY[holder_id::text, currency_id::text, amount::text, remaining::text,
    expires_at::text, pending::text] ORDER BY holder_id, currency_id, occurred_at, seq) FROM lot
"""


class Life:
    """Two members of the market; the same seed does the same."""

    def __init__(self, engine: Engine, holders: list[int], seed: int) -> None:
        self.engine, self.holders = engine, holders
        self.chance = random.Random(seed)
        self.bought: list[str] = []
        self.taken: list[tuple[int, int]] = []
        self.ends: list[float] = []

    async def step(self, number: int, day: float) -> str:
        """What came of the next deed, whose every choice is made beforehand."""
        chance = self.chance
        who, deed = chance.randint(0, 1), chance.choice(DEEDS)
        choices = (chance.choice(KINDS), chance.choice([*KINDS, "LATE"]), chance.randint(5, 30))
        hold, order = chance.choice(["1D", "2D", "6D", "20D"]), chance.choice([None, "O1", "P3"])
        place, yes = chance.random(), chance.random() < 0.5
        try:
            await self._do(deed, number, day, who, choices, hold, order, place, yes)
        except Refusal as refusal:
            return f"{deed}: {type(refusal).__name__}"
        return deed

    async def _do(
        self, deed: str, number: int, day: float, who: int, choices: tuple[str, str, int],
        hold: str, order: str | None, place: float, yes: bool,
    ) -> None:  # fmt: skip
        engine, holder, at = self.engine, self.holders[who], NOW + days(day)
        kind, other, amount = choices
        match deed:
            case "buy":
                lines = ((kind, f"{amount}.00"), (other, "10.00"))
                await buy(engine, f"P{number}", *lines, member=str(who + 1), at=at)
                self.bought.append(f"P{number}")
            case "redeem" | "hold":
                length = Duration.parse(hold) if deed == "hold" else None
                request = RedeemRequest(
                    "till", f"k{number}", "market", holder, f"x-{kind.lower()}", None, length,
                    order=order,
                )  # fmt: skip
                done = await redeem(engine, request, at)
                self.taken.append((holder, done.id))
                if length is not None:
                    self.ends.append(day + float(hold[:-1]))
            case "back" if self.bought:
                purchase = self.bought[int(place * len(self.bought))]
                await bring_back(engine, f"B{number}", purchase, amount=f"{amount}.00", at=at)
            case "cancel":
                await cancelled(engine, order or f"P{number // 2}", at)
            case "adjust":
                points = amount if yes else -amount
                name = f"a{number}"
                await adjust(
                    engine,
                    AdjustRequest("root", name, "admin", holder, kind, points, "goodwill"),
                    at,
                )
            case _ if self.taken:
                await self._end(deed, number, at, *self.taken[int(place * len(self.taken))], yes)

    async def _end(
        self, deed: str, number: int, at: datetime, holder: int, redemption: int, yes: bool
    ) -> None:
        if deed == "reverse":
            request = ReverseRequest(
                "till", f"r{number}", holder, redemption, "damaged", by_admin=True
            )
            await reverse_redemption(self.engine, request, at)
        else:
            close = confirm if yes else cancel
            await close(self.engine, holder, redemption, "till", f"c{number}", at)


async def lived(databases: Databases, seed: int, *, timely: bool) -> Any:
    """What became of a life; see the module's docstring."""
    async with databases.migrated() as url, connected(url):
        engine = await open_market()
        life = Life(engine, await enrol_cards(["1", "2"]), seed)
        for who in "12":  # with something to spend
            lines = [(kind, "40.00") for kind in ("PLAIN", "SLIDE", "KIND")]
            await buy(engine, f"W{who}", *lines, member=who)
        clock = random.Random(-seed)
        day, outcomes = 0.0, []

        async def let_go(until: float) -> None:
            for end in sorted(end for end in life.ends if timely and end <= until):
                await time_out(engine, NOW + days(end))
                life.ends.remove(end)

        for number in range(45):
            day += clock.choice([0, 0.3, 1, 2, 5])
            await let_go(day)
            outcomes.append(await life.step(number, day))
        await let_go(day + 40)
        await nightly.run(engine, NOW + days(day + 40))
        assert await prove() == []
        ends = await scalar("SELECT array_agg(status ORDER BY id) FROM redemption")
        instants = [NOW + days(1.3 * n) for n in range(70)]
        read = [await balances(engine, h, at) for at in instants for h in life.holders]
        return outcomes, ends, await scalar(LOTS), read


@pytest.mark.parametrize("seed", range(1, 7))
async def test_a_life_is_the_same_whenever_holds_are_let_go(
    databases: Databases, seed: int
) -> None:
    timely, late = [await lived(databases, seed, timely=x) for x in (True, False)]
    for one, other in zip(timely, late, strict=True):
        assert one == other
    assert timely[1].count(4) >= 1, "holds run out"
    assert sum(": " in outcome for outcome in timely[0]) < 25, "most deeds are done"
