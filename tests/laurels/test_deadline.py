"""The deadline of an evaluation: what it ends, whom it names, and that it leaves nothing behind."""

from __future__ import annotations

import gc
import re
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from laurels import EarnRule, Effects, Facts, PointsPerVisit, Purchase, award, deadline, earn_rule
from laurels.deadline import evaluate_in_time
from laurels.errors import RuleError
from laurels.purchase import Line

STAR = "STAR"
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


def loop(purchase: Purchase, facts: Facts) -> Effects:
    while True:
        pass


def stubborn(purchase: Purchase, facts: Facts) -> Effects:
    """Swallows what would end it, three times."""
    for _ in range(3):
        try:
            loop(purchase, facts)
        except BaseException:
            continue
    return loop(purchase, facts)


PURCHASE = Purchase("p", "1", NOW, "USD", (Line("A", 100),))


def judge(rule: EarnRule) -> object:
    """Evaluate one rule under the deadline."""
    return evaluate_in_time([rule], PURCHASE, Facts(0, {}))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that a test needn't wait for."""
    monkeypatch.setattr(deadline, "DEADLINE", 0.02)


SLOW: dict[str, Callable[[Purchase, Facts], Effects]] = {
    "a loop": loop,
    "one that swallows it": stubborn,
    "a sleep": lambda purchase, facts: time.sleep(60),
    "a big power": lambda purchase, facts: award(STAR, 3 ** (10**9) % 7),
    "a wild expression": lambda purchase, facts: award(
        STAR, bool(re.match("(a+)+$", "a" * 64 + "b"))
    ),
}


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", SLOW)
def test_what_takes_too_long_is_ended_and_named_and_the_timer_is_off_again(name: str) -> None:
    with pytest.raises(RuleError, match="rule 'slow': took longer than a rule may"):
        judge(earn_rule("slow", "Slow")(SLOW[name]))
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert judge(PointsPerVisit(STAR, 1)) == judge(PointsPerVisit(STAR, 1))


@pytest.mark.usefixtures("short")
def test_a_signal_that_comes_late_hurts_nobody() -> None:
    judge(PointsPerVisit(STAR, 1))
    signal.raise_signal(signal.SIGALRM)


def test_beside_the_main_thread_rules_run_without_a_deadline() -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(judge(PointsPerVisit(STAR, 2))))
    thread.start()
    thread.join()
    assert found == [judge(PointsPerVisit(STAR, 2))]


class Loop:
    """Garbage that only the collector finds; says when it went."""

    def __init__(self, gone: list[str]) -> None:
        self.me, self.gone = self, gone

    def __del__(self) -> None:
        self.gone.append("gone")


@pytest.mark.parametrize("enabled", [True, False])
def test_the_signal_ends_no_finalizer_for_garbage_waits_for_the_rule(enabled: bool) -> None:
    gone: list[str] = []

    def littering(purchase: Purchase, facts: Facts) -> Effects:
        litter = [[] for _ in range(100_000)]  # type: ignore[var-annotated]  # of nothing at all
        return award(STAR, len(litter) + len(gone))

    gc.collect()
    (gc.enable if enabled else gc.disable)()
    try:
        Loop(gone)
        assert judge(earn_rule("litter", "Litter")(littering)) == judge(
            PointsPerVisit(STAR, 100_000)
        )
        assert gc.isenabled() is enabled
        gc.collect()
        assert gone == ["gone"]
        # The control: left alone, the collector would have come in the middle.
        gc.enable()
        Loop(gone)
        littering(PURCHASE, Facts())
        assert gone == ["gone", "gone"]
    finally:
        gc.enable()
