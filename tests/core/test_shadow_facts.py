"""What shadow rules are told: what the rules in force counted, in batches of whichever size."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.db import connected
from core.store import shadows
from laurels import (
    Budget,
    Cap,
    EarnRule,
    Effects,
    Facts,
    PointsPerAmount,
    PointsPerVisit,
    Purchase,
    award,
    capped,
    earn_rule,
)
from tests.core.test_shadows import STAR, brand, opened, totals
from tests.support import BOOKS, DAY, NOW, Databases, books, enrol_cards, receipt

VISIT = PointsPerVisit(STAR, 10)
CARRIES = PointsPerAmount(STAR, 1, "7.00 USD", carries=True)


@earn_rule("saver", "Three for who has a hundred", balances=True)
def _saver(purchase: Purchase, facts: Facts) -> Effects:
    return award("STAR", 3) if facts.balances["STAR"] >= 100 else None


#: The rules in force, and in shadow: of which what counts reaches further than the live one's.
SETS: dict[str, tuple[Sequence[EarnRule], Sequence[EarnRule]]] = {
    "a longer cap": ([capped(VISIT, Cap(points=15, per="7D"))],
                     [capped(VISIT, Cap(points=60, per="30D"))]),
    "for ever": ([capped(VISIT, Cap(points=15, per="7D"))], [capped(VISIT, Cap(points=100))]),
    "by calendar": ([capped(VISIT, Cap(times=1, per="calendar 1D"))],
                    [capped(VISIT, Cap(times=9, per="calendar 1Q"))]),
    "a budget": ([capped(VISIT, Budget("all", 10**6))], [capped(VISIT, Budget("all", 170))]),
    "carried over": ([CARRIES], [CARRIES, VISIT]),
    "balances": ([VISIT], [_saver]),
    "no caps": ([capped(VISIT, Cap(points=15, per="7D"))], [VISIT]),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
async def test_a_batchs_size_never_shows_in_what_is_counted(
    databases: Databases, name: str
) -> None:
    """Forty purchases in as many days, one by one and at once."""
    live, next_ = SETS[name]
    found = []
    for size in (1, 40):
        async with databases.migrated() as url, connected(url):
            await enrol_cards(["1"])
            engine = await opened(brand("grocer", "2", *next_), live=brand("grocer", "1", *live))
            items = [
                receipt(engine, f"R{n}", "1", NOW - DAY * (40 - n), ("TEA", "5.00"))
                for n in range(40)
            ]
            for place in range(0, 40, size):
                await engine.record_purchases(items[place : place + size], NOW)
            told = await totals(engine)
            assert told.same + told.different == 40
            found.append((told, await books(BOOKS)))
    assert found[0] == found[1]
    assert found[0][0] != shadows.Totals(40, 0, 0, found[0][0].points)  # they do differ
