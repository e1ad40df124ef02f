"""Streaks: points for coming in so many periods of the calendar one after another.

What counted is kept as an occasion of its own, points or none, and is taken off again when all of
its purchase comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from laurels.caps import period_of
from laurels.declarations import Currency, check_points
from laurels.earning import BoxRule, named
from laurels.errors import DeclarationError, shown, within
from laurels.lasting import unwrapped
from laurels.money import Money
from laurels.purchase import Facts, Purchase, Use
from laurels.rules import Award, EarnRule, Effect, Nothing
from laurels.windows import Window

#: The longest streak that a rule may ask for.
MOST_PERIODS = 366
_TICK = timedelta(microseconds=1)
_WORDS = {"D": "day", "W": "week", "M": "month"}


@dataclass(frozen=True, slots=True)
class Run:
    """`times` periods of the calendar in a row; what counts is kept under this `currency`."""

    times: int
    window: Window
    currency: str

    def key(self, rule: str) -> str:
        """Under which what counts is kept."""
        return f"run:{rule}"

    def since(self, at: datetime, time_zone: str) -> datetime:
        """From when on what counted bears on an instant."""
        begins = self.window.begins(at, time_zone)
        for _ in range(self.times):
            begins = self.window.begins(begins - _TICK, time_zone)
        return begins

    def length(self, uses: list[Use], at: datetime, time_zone: str) -> tuple[bool, int]:
        """Whether the period of an instant has counted, and how many before it, one after another.

        A period that was rewarded ends what came before it.
        """
        begins, ends = self.window.period(at, time_zone, at)
        counted = _times(uses, begins, ends) > 0
        length = 0
        while length < self.times:
            ends, begins = begins, self.window.begins(begins - _TICK, time_zone)
            own = [use for use in uses if begins <= use.at < ends]
            if sum(use.times for use in own) <= 0 or sum(use.points for use in own) > 0:
                break
            length += 1
        return counted, length


def _times(uses: list[Use], begins: datetime, ends: datetime) -> int:
    return sum(use.times for use in uses if begins <= use.at < ends)


def run_of(rule: EarnRule) -> Run | None:
    """The run that a rule counts, where it counts one."""
    run = getattr(unwrapped(rule), "run", None)
    return run if isinstance(run, Run) else None


class Streak(BoxRule):
    """`points` for each `times` periods in a row (`"calendar 1D"`, `1W`, `1M`) with a purchase.

    Of receipts of `at_least` (`"5.00 USD"`), if named. The points come with the period that
    completes the streak, and the next one begins after it. A period counts once, and a day left out
    begins anew. Judged by what is known when it happens: a late purchase looks back only. On an
    activity it counts those: `on("check-in", Streak(...))`. It can't be `reevaluated`. Raises
    DeclarationError.
    """

    __slots__ = ("at_least", "points", "run")

    def __init__(
        self,
        currency: Currency | str,
        points: int,
        *,
        times: int,
        per: str,
        at_least: str | None = None,
        code: str = "streak",
        title: str = "Points for a streak",
    ) -> None:
        what = named(code)
        self.points = check_points(f"{what}: points", points, 1)
        if type(times) is not int or not 2 <= times <= MOST_PERIODS:
            raise DeclarationError(f"{what}: times: from 2 to {MOST_PERIODS}, not {shown(times)}")
        window = period_of(what, per)
        if window is None:
            raise DeclarationError(f"{what}: per: a period of the calendar: calendar 1W")
        self.at_least: Money | None = None
        if at_least is not None:
            self.at_least = within(f"{what}: at_least", Money.parse, at_least)
        super().__init__(
            code, title, currency,
            {
                "points": points, "times": times, "per": per,
                "at_least": None if self.at_least is None else str(self.at_least),
            },
        )  # fmt: skip
        self.run = Run(times, window, self.currency)

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """The points, where this completes a streak; else how many are missing."""
        least = self.at_least
        if least is not None and purchase.currency != least.currency:
            return Nothing(f"counts receipts in {least.currency}")
        if least is not None and purchase.total < least:
            return Nothing(f"counts receipts of {least} or more, this was {purchase.total}")
        uses = [
            use for use in facts.uses.get(self.run.key(self.code), ())
            if use.currency == self.currency
        ]  # fmt: skip
        counted, length = self.run.length(uses, purchase.occurred_at, purchase.time_zone)
        word = _WORDS.get(self.run.window.length.unit, "period")
        if counted:
            return Nothing(f"this {word} has counted already", counts=True)
        missing = self.run.times - length - 1
        if missing > 0:
            more = f"{missing} more {word}{'' if missing == 1 else 's'}"
            return Nothing(f"{length + 1} in a row, {more} to go", counts=True)
        return Award(self.currency, self.points, counts=True)
