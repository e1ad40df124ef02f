"""What-if: history judged by other rules comes to what living by them would have come to.

The oracle is a twin: the same events booked on another database by the other rules from the first
day on. Its control judges by rules that are otherwise, and differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from core.check import prove
from core.data_rules import parse, rule_of
from core.db import connected
from core.posting import Engine
from core.programme import LadderSettings, Programme, TierSettings
from core.purchases import LineInput, find_partner
from core.replaying import Change
from core.returning import record
from core.returns import ReturnedLine, ReturnInput, check_cancel, check_edit, check_return
from core.simulation import Points, Report, StoppedError, simulate
from core.standings import standings
from core.store.reference import Declared, install
from laurels import (
    Cap,
    Challenge,
    Currency,
    EarnRule,
    Partner,
    PointsPerAmount,
    award,
    capped,
    earn_rule,
)
from tests.core.shop import days, dump
from tests.support import NOW, Databases, enrol_cards, receipt, scalar

POINT = Currency("POINT", "Points", expires="60D")
MEMBERS = ("1", "2", "3")
EACH = capped(
    PointsPerAmount("POINT", 1, "1.00 USD", code="each"), Cap(points=90, per="calendar 1M")
)
STEP = PointsPerAmount("POINT", 5, "50.00 USD", carries=True, code="step")
PERIOD = (NOW - days(80), NOW + days(1))
DRAFT = parse(
    {
        "code": "each", "title": "Two a dollar", "award": {
            "currency": "POINT", "points": 2, "per": "1.00 USD"
        },
        "caps": [{"points": 150, "per": "calendar 1M"}, {"times": 1, "per": "24h"}],
        "budget": {"code": "more", "points": 400},
    }
)  # fmt: skip


async def open_kiosk(*rules: EarnRule) -> Engine:
    """A brand with these rules, and a ladder for its points."""
    steps = (("base", 0), ("silver", 100), ("gold", 250))
    tiers = tuple(TierSettings(code=code, at=at) for code, at in steps)
    ladder = LadderSettings(code="club", measure="earned:POINT", window="90D", tiers=tiers)
    kiosk = Declared(
        "kiosk", "1", Partner("kiosk", "The Kiosk", currencies=[POINT]), earn_rules=rules
    )
    return Engine(await install(Programme(ladders=(ladder,)), [kiosk], NOW))


async def live(engine: Engine, history: Sequence[tuple[str, int, int, str, int]]) -> None:
    """Buy (member, hours ago, dollars), oldest first; in between edit, return part of it, cancel.

    What came back is booked before the next purchase where it is an odd one, else at the end.
    """
    clock = (NOW - timedelta(hours=1) + timedelta(seconds=n) for n in count())
    late: list[int] = []
    for n, (who, ago, dollars, _, _) in sorted(
        enumerate(history), key=lambda x: (-x[1][1], x[0])
    ):  # fmt: skip
        at = NOW - timedelta(hours=ago)
        item = receipt(engine, f"R{n}", who, at, ("A", f"{dollars}.00"), partner="kiosk")
        await engine.record_purchases([item], next(clock))
        if n % 2:
            await come_back(engine, n, history[n], next(clock))
        else:
            late.append(n)
    for n in late:
        await come_back(engine, n, history[n], next(clock))


async def come_back(
    engine: Engine, n: int, lived: tuple[str, int, int, str, int], now: datetime
) -> None:
    """What came of one purchase."""
    terms = find_partner(engine.rulebook, "kiosk")
    _, _, dollars, then, amount = lived
    part = ReturnInput(f"b{n}", f"R{n}", now, [ReturnedLine(1, None, f"{amount}.00")], None)
    if then == "return" and 0 < amount <= dollars:
        await record(engine, [check_return(terms, part)], now)
    elif then == "cancel":
        await record(engine, [check_cancel(terms, f"R{n}", now)], now)
    elif then == "edit":
        lines = [LineInput("A", f"{amount}.00")]
        await record(engine, [check_edit(terms, f"R{n}", 2, now, lines, "USD")], now)


async def on(_: int, __: int) -> bool:
    """Go on."""
    return True


async def tried(engine: Engine, change: Change) -> Report:
    """What a change comes to."""
    partner = find_partner(engine.rulebook, "kiosk")
    return await simulate(engine.rulebook, partner, change, *PERIOD, NOW, on)


async def earned(engine: Engine) -> tuple[int, dict[str, int]]:
    """Points of this coalition that are still earned, and how many stand on each tier."""
    taken = await scalar(
        "SELECT coalesce(sum((g ->> 3)::bigint - (g ->> 2)::bigint), 0)::bigint FROM decision d "
        "CROSS JOIN LATERAL jsonb_array_elements(d.content::jsonb -> 'e') g WHERE kind IN (8, 9)"
    )
    given = await scalar(
        "SELECT coalesce(sum((SELECT sum(x::bigint) FROM jsonb_array_elements_text(g -> 2) x)), 0)"
        "::bigint FROM decision d "
        "CROSS JOIN LATERAL jsonb_array_elements(d.content::jsonb -> 'g') g WHERE kind = 1"
    )
    holders = await scalar("SELECT array_agg(id ORDER BY id) FROM holder")
    found = await standings(engine, holders, NOW)
    ranks: dict[str, int] = {}
    for own in found.values():
        for status in own:
            code = status.ladder.ladder.tiers[status.rank].code
            ranks[code] = ranks.get(code, 0) + 1
    return given + taken, ranks


HISTORY = st.lists(
    st.tuples(
        st.sampled_from(MEMBERS), st.integers(2, 1500), st.integers(1, 120),
        st.sampled_from(("", "", "return", "cancel")), st.integers(1, 60),
    ),
    max_size=14,
)  # fmt: skip
SETTINGS = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


THRICE = Challenge("POINT", 40, purchases=3, code="thrice")


@SETTINGS
@given(history=HISTORY, others=st.sampled_from(((), (STEP, THRICE))))
async def test_what_is_tried_comes_to_what_living_by_it_would(
    databases: Databases,
    history: list[tuple[str, int, int, str, int]],
    others: tuple[EarnRule, ...],
) -> None:
    async with databases.migrated() as url, connected(url):
        await enrol_cards(MEMBERS)
        engine = await open_kiosk(EACH, *others)
        await live(engine, history)
        report = await tried(engine, Change(DRAFT))
        was = await earned(engine)
    async with databases.migrated() as url, connected(url):
        await enrol_cards(MEMBERS)
        twin = await open_kiosk(*others, rule_of(DRAFT))
        await live(twin, history)
        would = await earned(twin)
    figures = report.currencies.get("POINT", Points())
    assert (figures.booked, figures.now, figures.then) == (was[0], was[0], would[0])
    moved = dict(was[1])
    tiers = twin.rulebook.ladders
    for shift in report.tiers:
        names = [t.code for t in tiers[shift.ladder].ladder.tiers]
        moved[names[shift.now]] -= shift.members
        moved[names[shift.then]] = moved.get(names[shift.then], 0) + shift.members
    assert {k: n for k, n in moved.items() if n} == would[1]
    assert (report.purchases, report.failed, report.otherwise) == (len(history), 0, 0)


PLAIN_HISTORY = [
    ("1", 900, 60, "", 0), ("1", 600, 60, "", 0), ("2", 500, 30, "return", 10),
    ("1", 30, 60, "", 0), ("3", 20, 45, "", 0), ("3", 5, 45, "edit", 20),
]  # fmt: skip


async def seen(databases: Databases, *rules: EarnRule) -> int:
    """What a plain history comes to, lived by these rules."""
    async with databases.migrated() as url, connected(url):
        await enrol_cards(MEMBERS)
        engine = await open_kiosk(*rules)
        await live(engine, [x for x in PLAIN_HISTORY if x[3] != "edit"])
        return (await earned(engine))[0]


async def test_the_control_lives_by_other_rules_and_differs(databases: Databases) -> None:
    async with databases.migrated() as url, connected(url):
        await enrol_cards(MEMBERS)
        engine = await open_kiosk(EACH)
        await live(engine, [x for x in PLAIN_HISTORY if x[3] != "edit"])
        then = (await tried(engine, Change(DRAFT))).currencies["POINT"].then
    assert then == await seen(databases, rule_of(DRAFT))
    uncapped = parse({**DRAFT.model_dump(exclude={"caps", "budget"}, exclude_none=True)})
    assert then != await seen(databases, rule_of(uncapped))


async def test_the_report_names_rules_winners_losers_and_tiers(database: str) -> None:
    ada, bob, eve = await enrol_cards(MEMBERS)
    engine = await open_kiosk(EACH, STEP)
    await live(engine, PLAIN_HISTORY)
    before = await dump()
    report = await tried(engine, Change(None, ("each",)))
    assert report.purchases == 6
    figures = report.currencies["POINT"]
    assert figures.then == sum(then for _, then in report.rules.values())
    assert report.rules["each"][1] == 0
    assert report.rules["step"][0] == report.rules["step"][1] > 0
    assert figures.now == figures.booked
    assert [(x.holder, x.now > x.then) for x in report.losers] == [
        (ada, True), (eve, True), (bob, True)
    ]  # fmt: skip
    assert report.winners == []
    assert report.members == 3
    assert sum(shift.members for shift in report.tiers) > 0
    assert all(shift.then < shift.now for shift in report.tiers)
    # Points of the first purchases would have expired after sixty days anyway.
    assert figures.then - figures.now <= figures.outstanding < 0
    double = await tried(engine, Change(DRAFT))
    assert {x.holder for x in double.winners} == {ada, bob, eve}
    assert double.losers == []
    assert await dump() == before
    assert await prove() == []


async def test_where_rules_have_changed_since_it_says_so(database: str) -> None:
    await enrol_cards(MEMBERS)
    await live(await open_kiosk(EACH), PLAIN_HISTORY)
    changed = await open_kiosk(PointsPerAmount("POINT", 3, "1.00 USD", code="each"))
    report = await tried(changed, Change(None, ("each",)))
    assert report.otherwise == 6
    assert report.currencies["POINT"].now > report.currencies["POINT"].booked


async def test_purchases_on_which_a_rule_fails_are_counted_and_left_out(database: str) -> None:
    await enrol_cards(MEMBERS)
    await live(await open_kiosk(EACH), PLAIN_HISTORY)

    @earn_rule("picky", "Picky")
    def picky(purchase: Any, facts: Any) -> Any:
        return award("POINT", 1) if purchase.total_minor > 5_000 else 1 / 0

    engine = await open_kiosk(EACH, picky)
    with capture_logs() as logs:
        report = await tried(engine, Change(DRAFT))
    assert (report.purchases, report.failed) == (6, 3)
    assert logs == []
    assert await scalar("SELECT count(*) FROM rule_fault") == 0


async def test_it_stops_when_told_to(database: str) -> None:
    await enrol_cards(MEMBERS)
    engine = await open_kiosk(EACH)
    await live(engine, PLAIN_HISTORY)
    told: list[tuple[int, int]] = []

    async def enough(done: int, total: int) -> bool:
        told.append((done, total))
        return False

    partner = find_partner(engine.rulebook, "kiosk")
    with pytest.raises(StoppedError):
        await simulate(engine.rulebook, partner, Change(DRAFT), *PERIOD, NOW, enough)
    assert told == [(0, 6), (6, 6)]
