"""What-if over activities, withdrawn ones too: what a twin that lived by the other rules has."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data_rules import parse, rule_of
from core.db import connected
from core.posting import Engine
from core.replaying import Change
from core.simulation import Report, simulate
from laurels import Cap, EarnRule, PointsPerVisit, capped, on
from tests.core.club import balance, bought, open_club, tell, withdraw
from tests.core.shop import dump
from tests.support import DAY, NOW, Databases, enrol_cards

SHARED = Cap(points=40, per="calendar 1W", shared="week")
BUYS = capped(PointsPerVisit("POINT", 7, code="buys"), SHARED)
WRITES = capped(on("review", PointsPerVisit("POINT", 10, code="writes")), SHARED)
SAID = {
    "code": "writes", "title": "Twenty", "on": "review", "when": "activity.stars >= 4",
    "award": {"currency": "POINT", "points": 20},
    "caps": [{"points": 40, "per": "calendar 1W", "shared": "week"}],
}  # fmt: skip
DRAFT = parse(SAID)
PERIOD = (NOW - 30 * DAY, NOW + DAY)
#: (days ago, stars, withdrawn); without stars it is a purchase.
LIVES = st.lists(
    st.tuples(st.integers(1, 20), st.integers(0, 5), st.booleans()), min_size=1, max_size=12
)


async def live(engine: Engine, life: list[tuple[int, int, bool]]) -> None:
    """Buy and write, oldest first; what is withdrawn goes before the next."""
    for n, (ago, stars, gone) in sorted(enumerate(life), key=lambda x: -x[1][0]):
        at = NOW - ago * DAY + timedelta(seconds=n)
        if stars:
            await tell(engine, f"A-{n}", at=at, stars=stars)
            if gone:
                await withdraw(engine, f"A-{n}", NOW)
        else:
            await bought(engine, f"R-{n}", at=at)


async def tried(engine: Engine, change: Change) -> Report:
    """The report."""

    async def on_and_on(done: int, total: int) -> bool:
        return True

    partner = engine.rulebook.partners["club"]
    return await simulate(engine.rulebook, partner, change, *PERIOD, NOW, on_and_on)


async def lived(databases: Databases, life: list[tuple[int, int, bool]], *rules: EarnRule) -> int:
    """What is left of a life by these rules, on books of its own."""
    async with databases.migrated() as url, connected(url):
        engine = await open_club(*rules)
        await enrol_cards(["1"])
        await live(engine, life)
        return await balance()


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(life=LIVES)
async def test_what_is_tried_comes_to_what_living_by_it_would(
    databases: Databases, life: list[tuple[int, int, bool]]
) -> None:
    others = (BUYS, rule_of(DRAFT))
    async with databases.migrated() as url, connected(url):
        engine = await open_club(BUYS, WRITES)
        await enrol_cards(["1"])
        await live(engine, life)
        before, now = await dump(), await balance()
        report = await tried(engine, Change(DRAFT))
        assert await dump() == before
    points = report.currencies.get("POINT")
    assert (points.now if points else 0) == now
    assert (points.then if points else 0) == await lived(databases, life, *others)
    assert report.purchases == len(life)


async def test_the_control_lives_by_other_rules_and_differs(databases: Databases) -> None:
    life = [(3, 5, False), (2, 2, False)]
    assert await lived(databases, life, BUYS, WRITES) == 20
    assert await lived(databases, life, BUYS, rule_of(DRAFT)) == 20
    assert await lived(databases, life[:1], BUYS, rule_of(DRAFT)) != await lived(
        databases, life[:1], BUYS, WRITES
    )
