"""A deadline for whatever runs a rule: one that loops is stopped by a timer signal.

It works in the main thread alone, where the engine evaluates; it stops pure Python, regular
expressions and big powers. A single long call in C ends late, and is the engine's watchdog's.
"""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import TypeVar

from laurels.errors import RuleError, RuleTooSlow
from laurels.evaluation import Evaluation
from laurels.evaluator import evaluate
from laurels.purchase import Facts, Purchase
from laurels.redeeming import Answer, Checkout, RedeemRule, ask
from laurels.rules import EarnRule

T = TypeVar("T")
#: Seconds that all rules of a partner may take for one receipt, and more for each of its lines;
#: and that a redeem rule may take for one bill.
DEADLINE = 0.25
EACH_LINE = 0.0002
#: Seconds after which a rule that swallowed the signal gets it again.
_AGAIN = 0.02


class _Timer:
    """The process's one timer signal. `running` while a rule may be interrupted."""

    def __init__(self) -> None:
        self.running = False
        self._installed = False

    def ready(self) -> bool:
        """Whether a signal can interrupt this thread."""
        if threading.get_ident() != threading.main_thread().ident:
            return False
        if not self._installed:
            signal.signal(signal.SIGALRM, self._interrupt)
            self._installed = True
        return True

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.running:
            raise RuleTooSlow

    def start(self, seconds: float) -> None:
        self.running = True
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)

    def stop(self) -> None:
        while True:
            try:
                self.running = False
                signal.setitimer(signal.ITIMER_REAL, 0)
            except RuleTooSlow:  # in the very moment before it was stopped
                continue
            return


_timer = _Timer()


def in_time(call: Callable[[], T], more: float = 0.0) -> T:
    """What a partner's code answers within the deadline, and so many seconds more.

    Raises what it does, or RuleTooSlow. Meanwhile no garbage is collected: the signal would end
    some other object's finalizer instead of that code.
    """
    if not _timer.ready():
        return call()
    collecting = gc.isenabled()
    gc.disable()
    try:
        _timer.start(DEADLINE + more)
        return call()
    finally:
        # Here and not by a call: the interpreter hands signals out where a function is entered, and
        # one that came there would leave the timer on.
        _timer.running = False
        _timer.stop()
        if collecting:
            gc.enable()


def evaluate_in_time(rules: Sequence[EarnRule], purchase: Purchase, facts: Facts) -> Evaluation:
    """`evaluate` under the deadline. Raises what that does, or RuleTooSlow, blaming no rule."""
    more = EACH_LINE * len(purchase.lines)
    return in_time(partial(evaluate, rules, purchase, facts), more)


def ask_in_time(rule: RedeemRule, checkout: Checkout) -> Answer:
    """`ask` a redeem rule under the deadline. Raises RuleError, of what is late too."""
    try:
        return in_time(partial(ask, rule, checkout))
    except RuleTooSlow as late:
        raise RuleError(rule.code, "took longer than a rule may") from late
