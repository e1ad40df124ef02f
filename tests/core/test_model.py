"""The engine on a real PostgreSQL beside a model written by another hand: random lives, compared.

Every step is told to both, then every balance (now, before and to come), every rank and, each
night, every lot is compared. `make test-long` runs more of it (LAURELS_TEST_LONG=1).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.core.twin_shop import LADDERS, PRICES, TERMS, Ground, at_work
from tests.core.twins import Twins
from tests.core.wrong_models import WRONG
from tests.oracle import Oracle
from tests.oracle_purchases import Back, LineBought
from tests.support import Databases

LONG = bool(os.environ.get("LAURELS_TEST_LONG"))
SETTINGS = settings(
    max_examples=2000 if LONG else 20,
    stateful_step_count=20,
    deadline=None,
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    # Without `explain`, and shrunk only where there is time for it.
    phases=[Phase.reuse, Phase.generate, *([Phase.shrink] if LONG else [])],
)

HOURS = st.sampled_from([0, 0, 1, 9, 24, 72, 120, 240])
PASSES = st.sampled_from([1, 9, 24, 72, 96, 120, 240, 480]).map(lambda n: timedelta(hours=n))
AGO = HOURS.map(lambda n: timedelta(hours=n))
LINE = st.tuples(
    st.sampled_from(sorted(TERMS)),
    st.builds(
        LineBought,
        st.sampled_from([Fraction(1), Fraction(3), Fraction(5, 2)]),
        st.sampled_from([0, 99, 250, 500, 999, 1000, 1500, 2000, 3000]),
    ),
)
LINES = st.lists(LINE, min_size=1, max_size=3)
NAMES = st.sampled_from(["A", "A", "B", "B", "C", "D", "E", "F"])
KINDS = st.lists(st.sampled_from(sorted(TERMS)), max_size=2)
WHO = st.integers(0, 1)
LINE_NUMBER = st.integers(0, 2)
ITEM = st.one_of(
    st.builds(
        lambda n, q: Back(n, quantity=q),
        LINE_NUMBER,
        st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(5, 2), Fraction(3)]),
    ),
    st.builds(
        lambda n, m: Back(n, amount=m), LINE_NUMBER, st.sampled_from([1, 99, 250, 500, 1000])
    ),
)
ITEMS = st.one_of(
    st.lists(ITEM, min_size=1, max_size=2, unique_by=lambda x: x.line),
    st.sampled_from([1, 100, 499, 1000, 2500]).map(lambda m: [Back(None, amount=m)]),
)


class Lives(RuleBasedStateMachine):
    """Two members of one shop, and a clock."""

    ground: Ground
    model: Callable[[], Oracle]

    def __init__(self) -> None:
        super().__init__()
        self.twins = Twins(self.ground, self.model())
        self.last_night = self.twins.now

    @initialize(first=LINES, kinds=KINDS)
    def begin(self, first: list[tuple[str, LineBought]], kinds: list[str]) -> None:
        """Lives begin with something to spend: or most would never spend anything."""
        rich = [(kind, LineBought(Fraction(2), 3000)) for kind in ("STAR", "KUDO", *kinds)]
        self.twins.buy("A", 0, timedelta(0), rich)
        self.twins.buy("B", 1, timedelta(0), [*first, ("STAR", LineBought(Fraction(1), 2500))])

    @rule(passes=PASSES)
    def time_passes(self, passes: timedelta) -> None:
        self.twins.wait(passes)

    @rule(name=NAMES, who=WHO, ago=AGO, lines=LINES)
    def buy(self, name: str, who: int, ago: timedelta, lines: list[tuple[str, LineBought]]) -> None:
        free = [x for x in (name, *"CDEF") if x not in self.twins.receipts]
        if free:
            self.twins.buy(free[0], who, ago, lines)

    @precondition(lambda self: self.twins.receipts)
    @rule(name=NAMES, ago=AGO, lines=LINES)
    def edit(self, name: str, ago: timedelta, lines: list[tuple[str, LineBought]]) -> None:
        if name in self.twins.receipts:
            self.twins.edit(name, ago, lines)

    @rule(name=NAMES, ago=AGO, items=ITEMS)
    def give_back(self, name: str, ago: timedelta, items: list[Back]) -> None:
        self.twins.give_back(name, ago, items)

    @rule(name=NAMES, ago=AGO)
    def cancel(self, name: str, ago: timedelta) -> None:
        self.twins.cancel(name, ago)

    @rule(name=NAMES, ago=AGO)
    def ship(self, name: str, ago: timedelta) -> None:
        self.twins.ship(name, ago)

    @precondition(lambda self: self.twins.receipts)
    @rule(
        who=WHO,
        currency=st.sampled_from(sorted(TERMS)),
        points=st.sampled_from(PRICES),
        hold=st.sampled_from([None, None, "12h", "2D", "20D"]),
        order=st.one_of(st.none(), NAMES),
    )
    def redeem(
        self, who: int, currency: str, points: int, hold: str | None, order: str | None
    ) -> None:
        self.twins.redeem(who, currency, points, hold, order)

    @rule(
        who=WHO,
        currency=st.sampled_from(["STAR", "STAR", "KUDO"]),
        hold=st.sampled_from([None, "2D"]),
        order=NAMES,
    )
    def redeem_on_an_order(self, who: int, currency: str, hold: str | None, order: str) -> None:
        self.twins.redeem(who, currency, 10, hold, order)

    @rule(who=WHO, name=NAMES, points=st.sampled_from([10, 25, 25]), days=st.sampled_from([0, 4]))
    def spend_then_cancel(self, who: int, name: str, points: int, days: int) -> None:
        """What is owed most often comes about like this; then more is earned, which repays it."""
        self.twins.redeem(who, "STAR", points, None)
        self.twins.cancel(name, timedelta(0))
        if free := [x for x in "CDEF" if x not in self.twins.receipts]:
            self.twins.buy(free[0], who, timedelta(0), [("STAR", LineBought(Fraction(1), 999))])
        self.twins.wait(timedelta(days=days))

    @rule(
        who=WHO,
        currency=st.sampled_from(sorted(TERMS)),
        points=st.sampled_from([-30, -7, -1, 1, 12, 40]),
    )
    def adjust(self, who: int, currency: str, points: int) -> None:
        self.twins.adjust(who, currency, points)

    @precondition(lambda self: self.twins.held)
    @rule(which=st.integers(0, 9))
    def reverse(self, which: int) -> None:
        names = list(self.twins.held)
        self.twins.reverse(names[which % len(names)])

    @precondition(lambda self: self.twins.held)
    @rule(which=st.integers(0, 9), confirmed=st.booleans())
    def settle(self, which: int, confirmed: bool) -> None:
        names = list(self.twins.held)
        self.twins.settle(names[which % len(names)], confirmed)

    @precondition(lambda self: self.twins.held)
    @rule()
    def time_out(self) -> None:
        self.twins.time_out()

    @precondition(lambda self: self.last_night < self.twins.now)
    @rule()
    def night(self) -> None:
        self.twins.night()
        self.last_night = self.twins.now

    @invariant()
    def agree(self) -> None:
        self.twins.compare()

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:
            self.twins.night()
            self.twins.prove()


@pytest.fixture(scope="module")
def ground(databases: Databases) -> Iterator[Ground]:
    """The shop in a database of its own, with a loop of its own."""
    yield from at_work(databases)


def lives(ground: Ground, model: Callable[[], Oracle]) -> type[Lives]:
    """The machine for this ground, beside that model."""
    return type("Lives", (Lives,), {"ground": ground, "model": staticmethod(model)})


def run(ground: Ground, model: Callable[[], Oracle], given: settings) -> None:
    """Live as many lives as the settings say."""
    run_state_machine_as_test(lives(ground, model), settings=given)


def test_the_engine_and_the_model_agree(ground: Ground) -> None:
    run(ground, lambda: Oracle(TERMS, LADDERS), SETTINGS)


# -- negative controls: a model with one rule wrong must be told from the engine ------------------


def piece(currency: str, amount: int) -> list[tuple[str, LineBought]]:
    """Two pieces on one line."""
    return [(currency, LineBought(Fraction(2), amount))]


def lived(twins: Twins) -> None:
    """A life in which each rule matters, compared at each step."""
    days, at_once = timedelta(days=1), timedelta(0)
    steps: list[Callable[[], None]] = [
        lambda: twins.buy("A", 0, at_once, piece("STAR", 5000)),
        lambda: twins.buy("K", 0, at_once, piece("KUDO", 3000)),
        lambda: twins.wait(5 * days),
        lambda: twins.buy("B", 0, at_once, piece("STAR", 4000)),  # half more, being silver
        lambda: twins.redeem(0, "STAR", 10, None),
        lambda: twins.redeem(0, "KUDO", 4, None),
        lambda: twins.night(),
        lambda: twins.give_back("B", at_once, [Back(0, quantity=Fraction(1))]),
        lambda: twins.wait(16 * days),
        lambda: twins.give_back("A", at_once, [Back(0, quantity=Fraction(1))]),
        lambda: twins.night(),
        lambda: twins.buy("C", 1, at_once, piece("TRIP", 3000)),
        lambda: twins.ship("C", at_once),
        lambda: twins.redeem(1, "TRIP", 25, None),
        lambda: twins.cancel("C", at_once),
        lambda: twins.buy("D", 1, at_once, piece("TRIP", 1000)),
        lambda: twins.ship("D", at_once),
        lambda: twins.buy("E", 1, at_once, piece("STAR", 3500)),
        lambda: twins.cancel("E", at_once),
        lambda: twins.buy("F", 1, at_once, piece("KUDO", 3000)),
        lambda: twins.redeem(1, "KUDO", 10, None, "E"),  # on an order that was cancelled
        lambda: twins.redeem(1, "KUDO", 10, None, "G"),
        lambda: twins.cancel("G", at_once),  # and on one of which nothing else is known
        lambda: twins.redeem(1, "KUDO", 25, None),
        lambda: twins.buy("L", 1, at_once, piece("TRIP", 3000)),
        lambda: twins.ship("L", at_once),
        lambda: twins.redeem(1, "TRIP", 10, "12h"),
        lambda: twins.wait(25 * days),
        lambda: twins.redeem(1, "TRIP", 10, "20D"),  # what was held is let go for it
        lambda: twins.wait(21 * days),
        lambda: twins.time_out(),  # a day late: the lot died on the way, its grace has begun
        lambda: twins.night(),
        lambda: twins.ship("H", at_once),
        lambda: twins.wait(12 * days),
        lambda: twins.buy("H", 1, 13 * days, piece("TRIP", 3000)),  # its points were in time
        lambda: twins.wait(days),
        lambda: twins.night(),
    ]
    for step in steps:
        step()
        twins.compare()


def test_a_life_in_which_each_rule_matters(ground: Ground) -> None:
    twins = Twins(ground, Oracle(TERMS, LADDERS))
    lived(twins)
    twins.prove()


def test_what_becomes_active_pays_what_is_owed_though_no_job_saw_it_alive(ground: Ground) -> None:
    """Once the reads took the dead lot's points for unpaid until the night had run."""
    twins = Twins(ground, Oracle(TERMS, LADDERS))
    twins.buy("A", 0, timedelta(0), piece("STAR", 4000))
    twins.redeem(0, "STAR", 25, None)
    twins.cancel("A", timedelta(0))
    twins.buy("B", 0, timedelta(0), piece("STAR", 1000))
    twins.compare()
    twins.wait(timedelta(days=30))
    twins.compare()
    twins.night()
    twins.compare()


def test_a_lifetime_rank_stays(ground: Ground) -> None:
    """Once a standing was read from the last two days' purchases alone."""
    twins = Twins(ground, Oracle(TERMS, LADDERS))
    for name in ("A", "B"):
        twins.buy(name, 0, timedelta(0), piece("BEAN", 500))
    twins.wait(timedelta(days=300))
    twins.compare()


@pytest.mark.parametrize("reported", [2, 20])
def test_what_an_edit_adds_after_the_event(ground: Ground, reported: int) -> None:
    """Once it lapsed at once, or broke the books."""
    twins = Twins(ground, Oracle(TERMS, LADDERS))
    twins.buy("A", 0, timedelta(0), piece("BEAN", 500))
    twins.wait(timedelta(days=reported))
    twins.ship("A", timedelta(0))
    twins.wait(timedelta(days=19))
    twins.edit("A", timedelta(0), piece("TRIP", 500))
    twins.compare()
    twins.night()
    twins.prove()


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_model_is_caught(ground: Ground, wrong: type[Oracle]) -> None:
    with pytest.raises(AssertionError):
        lived(Twins(ground, wrong(TERMS, LADDERS)))


@pytest.mark.skipif(not LONG, reason="make test-long")
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_model_is_caught_by_random_lives(ground: Ground, wrong: type[Oracle]) -> None:
    given = settings(SETTINGS, max_examples=1000, derandomize=True, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run(ground, lambda: wrong(TERMS, LADDERS), given)
