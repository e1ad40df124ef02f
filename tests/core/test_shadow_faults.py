"""Faults of shadow rules: they refuse nothing, suspend nobody, and pause the shadow alone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from core.containment import FAILURES
from core.db import Connection, heard
from core.outcomes import Recorded
from core.posting import Engine
from core.rule_changes import reset
from core.store import caps, shadows
from core.store.data_rules import CHANNEL
from core.store.faults import of_partners
from core.store.writes import Given
from core.tally import Tally
from laurels import (
    Budget,
    EarnRule,
    Facts,
    PointsPerVisit,
    Purchase,
    award,
    capped,
    deadline,
    earn_rule,
    on,
)
from laurels.rules import Effects, Terms
from tests.core.shop import days
from tests.core.test_shadows import STAR, brand, buy, differences, opened, shadow_of, totals
from tests.schema.client import statements
from tests.support import NOW, enrol_cards, receipt, scalar


def raises(purchase: Purchase, facts: Facts) -> Effects:
    raise ValueError("ada@example.com bought wine")


def loops(purchase: Purchase, facts: Facts) -> Effects:
    while True:
        pass


def stubborn(purchase: Purchase, facts: Facts) -> Effects:
    for _ in range(3):
        try:
            loops(purchase, facts)
        except BaseException:
            continue
    return loops(purchase, facts)


class Renamed:
    """Says another title once it has judged."""

    code = "slow"
    terms: Terms = {}  # noqa: RUF012  # a protocol's attribute, read only
    title = "Fine"

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        self.title = "\0"
        return award(STAR, 1000)


class Untitled(Renamed):
    """Has neither code nor title any more once it has judged: to read them ends the process."""

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        for name in ("code", "title"):
            setattr(type(self), name, property(lambda _: sys.exit()))
        return award(STAR, 1000)


class Exits:
    """To ask what it judges ends the process, once it is `armed`."""

    code, title = "slow", "Slow"
    terms: Terms = {}  # noqa: RUF012  # as above
    armed = False

    @property
    def on(self) -> str:
        """What it judges."""
        return sys.exit() if self.armed else "purchase"

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        return award(STAR, 1000)


def made(function: Callable[[Purchase, Facts], Any]) -> EarnRule:
    """A rule by this function."""
    return earn_rule("slow", "Slow")(function)


UNTOLD = ("", "gave what can't be told in shadow")
LATE = ("slow", "took longer than a rule may in shadow")
FAULTS: dict[str, tuple[Callable[[], EarnRule], tuple[str, str]]] = {
    "raises": (lambda: made(raises), ("slow", "raised ValueError in shadow")),
    "loops": (lambda: made(loops), LATE),
    "stubborn": (lambda: made(stubborn), LATE),
    "lies": (
        lambda: made(lambda p, f: award("GOLD", 1)),
        ("slow", "issued what its contract doesn't name in shadow"),
    ),
    "no effect": (lambda: made(lambda p, f: 7), ("slow", "answered what no rule may in shadow")),
    "too much": (lambda: made(lambda p, f: [award(STAR, 10**15)] * 2), UNTOLD),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_faulty_shadow_costs_nobody_a_thing_and_pauses_itself(
    database: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "DEADLINE", 0.05)
    await enrol_cards(["1"])
    rule, fault = FAULTS[name]
    engine = await opened(brand("grocer", "2", PointsPerVisit(STAR, 1), rule()))
    grocer, run = engine.rulebook.partners["grocer"], shadow_of(engine.rulebook).run
    for n in range(FAILURES + 2):
        await buy(engine, f"g{n}")
        await buy(engine, f"c{n}", partner="cafe")
    assert engine.containment.breakers.left(grocer.id) == 0
    assert await scalar("SELECT sum(active) FROM ledger") == 21 * (FAILURES + 2)
    (found,) = await of_partners([grocer.id, engine.rulebook.partners["cafe"].id])
    assert (found.rule, found.what, found.faults) == (*fault, FAILURES)
    assert await totals(engine) == shadows.Totals(0, 0, FAILURES)
    assert await differences(engine) == []
    # It is stored, so that who begins now, or hears of it, doesn't even try.
    assert await scalar("SELECT paused_at FROM shadow_run WHERE id = $1", run) == NOW
    await engine.renew(NOW)
    assert shadow_of(engine.rulebook).paused_at == NOW
    fresh = Engine(engine.rulebook)
    await buy(fresh, "later")
    assert (await totals(engine)).faults == FAILURES
    assert "ada@example.com" not in str(await scalar("SELECT array_agg(f::text) FROM rule_fault f"))


async def test_a_judgement_forgets_faults_and_a_reset_tries_again(database: str) -> None:
    """The control: who fails now and then is never paused."""
    await enrol_cards(["1"])
    broken = [True]

    def moody(purchase: Purchase, facts: Facts) -> Effects:
        return raises(purchase, facts) if broken[0] else award(STAR, 20)

    engine = await opened(brand("grocer", "2", made(moody)))
    for n in range(2 * FAILURES):
        broken[0] = n % FAILURES != FAILURES - 1
        await buy(engine, f"a{n}")
    assert await totals(engine) == shadows.Totals(2, 0, 2 * FAILURES - 2, {STAR: (40, 40)})
    assert await scalar("SELECT count(*) FROM shadow_run WHERE paused_at IS NOT NULL") == 0
    broken[0] = True
    for n in range(FAILURES):
        await buy(engine, f"b{n}")
    assert await scalar("SELECT count(*) FROM shadow_run WHERE paused_at IS NOT NULL") == 1
    broken[0] = False
    assert (await reset(engine, "grocer", NOW + days(1))).shadow is not None
    await buy(engine, "again")
    assert await totals(engine) == shadows.Totals(1, 0, 0, {STAR: (20, 20)})


async def test_every_process_hears_of_a_pause(database: str) -> None:
    await enrol_cards(["1"])
    engine = await opened(brand("grocer", "2", made(raises)))
    told = asyncio.Event()

    async def renew() -> None:
        told.set()

    hearing = asyncio.create_task(heard(database, CHANNEL, renew))
    try:
        await asyncio.wait_for(told.wait(), 30)  # at first, once it listens
        told.clear()
        await buy(engine, *(f"g{n}" for n in range(FAILURES)))
        await asyncio.wait_for(told.wait(), 30)
    finally:
        hearing.cancel()


async def test_a_suspended_partner_is_compared_with_nothing(database: str) -> None:
    """What goes on by the kit's rules alone isn't what its rules give."""
    await enrol_cards(["1"])
    engine = await opened(brand("grocer", "2", PointsPerVisit(STAR, 1)))
    grocer = engine.rulebook.partners["grocer"]
    for _ in range(FAILURES):
        engine.containment.breakers.failed(grocer.id)
    (refused,) = await engine.record_purchases([receipt(engine, "x")], NOW)
    assert not isinstance(refused, Recorded)
    assert await totals(engine) == shadows.Totals()


@pytest.mark.parametrize("rule", [Renamed, Untitled])
async def test_a_rule_is_told_by_the_words_it_had_when_it_was_loaded(
    database: str, rule: type[Renamed]
) -> None:
    await enrol_cards(["1"])
    engine = await opened(brand("grocer", "2", rule()))
    await buy(engine, "A", "B")
    assert await totals(engine) == shadows.Totals(0, 2, 0, {STAR: (40, 2000)})
    for difference in await differences(engine):
        assert difference.shadow == [Given("slow", "Fine", 1000, STAR)]


async def test_a_rule_that_exits_when_it_is_looked_at_is_contained(database: str) -> None:
    await enrol_cards(["1"])
    rule = Exits()
    others = on("review", PointsPerVisit(STAR, 1))
    engine = await opened(brand("grocer", "2", rule, others))
    rule.armed = True
    grocer = engine.rulebook.partners["grocer"]
    await buy(engine, "A")
    assert await totals(engine) == shadows.Totals(0, 0, 1)
    assert [(x.rule, x.what) for x in await of_partners([grocer.id])] == [UNTOLD]
    # Nor does it end who takes up the rulebook anew: it is left out.
    await engine.renew(NOW)
    assert engine.rulebook.partners["grocer"].shadow is None
    rule.armed = False
    await engine.renew(NOW)
    await buy(engine, "B")
    assert await totals(engine) == shadows.Totals(0, 1, 1, {STAR: (20, 1000)})


async def test_a_purchase_that_is_tried_again_failed_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Races that are lost leave nothing: no failure, no fault, no pause."""
    await enrol_cards(["1"])
    engine = await opened(brand("grocer", "2", made(raises)))
    grocer, write, races = engine.rulebook.partners["grocer"], caps.write, [4]

    async def loses(connection: Connection, tally: Tally) -> bool:
        races[0] -= 1
        return races[0] < 0 and await write(connection, tally)

    with monkeypatch.context() as patch:
        patch.setattr(caps, "write", loses)
        await buy(engine, "A")
    assert races == [-1]
    assert await totals(engine) == shadows.Totals(0, 0, 1)
    assert [x.faults for x in await of_partners([grocer.id])] == [1]
    assert await scalar("SELECT count(*) FROM shadow_run WHERE paused_at IS NOT NULL") == 0
    # The control: as many in a row as pause it, each told.
    for n in range(FAILURES - 1):
        assert await scalar("SELECT count(*) FROM shadow_run WHERE paused_at IS NOT NULL") == 0
        await buy(engine, f"B{n}")
    assert await scalar("SELECT count(*) FROM shadow_run WHERE paused_at IS NOT NULL") == 1
    assert [x.faults for x in await of_partners([grocer.id])] == [FAILURES]


async def test_budgets_are_locked_before_what_is_counted_in_shadow(database: str) -> None:
    """Who is sure of a budget locks it first of all: in any other order two could wait."""
    await enrol_cards(["1"])
    live = brand("grocer", "1", capped(PointsPerVisit(STAR, 1), Budget("all", 100)))
    engine = await opened(brand("grocer", "2", PointsPerVisit(STAR, 2)), live=live)
    with statements() as sent:
        await buy(engine, "A")
    (budget,) = [n for n, text in enumerate(sent) if "INSERT INTO budget" in text]
    (count,) = [n for n, text in enumerate(sent) if "INSERT INTO shadow_count" in text]
    assert budget < count
