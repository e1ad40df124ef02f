"""Caps and budgets: the most that rules give to one member, and to all members together.

Pure: what was given before is handed in as facts. Points that came back count as never given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from laurels.declarations import check_points
from laurels.errors import DeclarationError, check_code, shown, within
from laurels.evaluation import Granted, Refused
from laurels.purchase import Facts, Purchase
from laurels.rounding import spread
from laurels.windows import Window, WindowKind

#: The longest count of times that a cap may name.
MOST_TIMES = 10**6
_UNITS = {"h": "hour", "D": "day", "W": "week", "M": "month", "Q": "quarter", "Y": "year"}


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that a rule gives one member: `points`, or so many `times`, in a period or ever.

    `per` is a rolling length (`"24h"`, `"7D"`: in no such span more than this; with `times=1` a
    cooldown) or a calendar's by the partner's own clock (`"calendar 1D"`, `1W`, `1M`, `1Q`, `1Y`).
    Each currency is capped by itself. Rules that name the same `shared` code are capped together.
    What is left is given, unless the cap `rejects`: then it is all or nothing (Voucherify's limits
    of a period reduce, its limit of a transaction rejects). Raises DeclarationError.
    """

    points: int | None = None
    times: int | None = None
    per: str | None = None
    shared: str = ""
    rejects: bool = False
    _window: Window | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if (self.points is None) == (self.times is None):
            raise DeclarationError("cap: points or times, one of the two")
        if self.points is not None:
            check_points("cap: points", self.points, 1)
        elif type(self.times) is not int or not 1 <= self.times <= MOST_TIMES:
            raise DeclarationError(f"cap: times: from 1 to {MOST_TIMES}, not {shown(self.times)}")
        object.__setattr__(self, "_window", _period("cap", self.per))
        if self.shared:
            check_code("cap: shared", self.shared)
        _check_flag("cap", self.rejects)

    def __str__(self) -> str:
        if self.points is not None:
            much = f"{self.points} points"
        else:
            much = "once" if self.times == 1 else f"{self.times} times"
        together = f" together with the rest of {self.shared}" if self.shared else ""
        return f"at most {much}{_in_words(self._window)}{together}"

    def key(self, rule: str) -> str:
        """Under which what it counts is kept."""
        return f"cap:{self.shared}" if self.shared else rule

    def used(self, facts: Facts, rule: str, currency: str, at: datetime, time_zone: str) -> int:
        """What was given of a currency in the period that an instant lies in.

        Of a rolling one, in the fullest that holds the instant: a late purchase finds later uses.
        """
        counts = [
            (use.at, use.times if self.points is None else use.points)
            for use in facts.uses.get(self.key(rule), ())
            if use.currency == currency
        ]
        window = self._window
        if window is None:
            return sum(n for _, n in counts)
        if window.kind is WindowKind.CALENDAR:
            begins, ends = window.period(at, time_zone, at)
            return sum(n for when, n in counts if begins <= when < ends)
        before = window.length.before
        last = [at, *(when for when, _ in counts if at < when and before(when, time_zone) < at)]
        spans = [(before(end, time_zone), end) for end in dict.fromkeys(last)]
        return max(sum(n for when, n in counts if lo < when <= hi) for lo, hi in spans)

    @property
    def reach(self) -> Window | None:
        """Its period; None: all time."""
        return self._window


@dataclass(frozen=True, slots=True)
class Budget:
    """The most `points` that all rules which name its `code` give to all members together.

    In all, or `per` period of the calendar (`"calendar 1M"`). It is never overspent, however many
    buy at once. What is left is given, unless it `rejects`. Raises DeclarationError.
    """

    code: str
    points: int
    per: str | None = None
    rejects: bool = False
    _window: Window | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        what = f"budget {check_code('budget', self.code)}"
        check_points(f"{what}: points", self.points, 1)
        object.__setattr__(self, "_window", period_of(what, self.per))
        _check_flag(what, self.rejects)

    def __str__(self) -> str:
        words = _in_words(self._window)
        return f"at most {self.points} points for all members{words}, the budget {self.code}"

    def key(self, rule: str) -> str:
        """Under which what it counts is kept."""
        return f"budget:{self.code}"

    def period(self, at: datetime, time_zone: str) -> datetime | None:
        """The start of the period that an instant lies in; None: there is one for all time."""
        return None if self._window is None else self._window.begins(at, time_zone)


Ceiling: TypeAlias = Cap | Budget


def period_of(what: str, per: str | None) -> Window | None:
    """A period of the calendar, `calendar 1M`; None: there is one for all time.

    Raises DeclarationError.
    """
    window = _period(what, per)
    if window is not None and window.kind is not WindowKind.CALENDAR:
        raise DeclarationError(f"{what}: per: a period of the calendar: calendar 1M")
    return window


def _period(what: str, per: str | None) -> Window | None:
    if per is None:
        return None
    window = within(f"{what}: per", Window.parse, per)
    if window.kind is WindowKind.ANNIVERSARY:
        raise DeclarationError(f"{what}: per: 24h, 7D or calendar 1M, not {shown(per)}")
    return window


def _check_flag(what: str, rejects: object) -> None:
    if not isinstance(rejects, bool):
        raise DeclarationError(f"{what}: rejects: it is True or False, not {shown(rejects)}")


def _in_words(window: Window | None) -> str:
    if window is None:
        return ""
    count, unit = window.length.count, _UNITS[window.length.unit]
    length = unit if count == 1 else f"{count} {unit}s"
    if window.kind is WindowKind.ROLLING:
        return f" within {length if count > 1 else f'1 {unit}'}"
    return f" in a calendar {length}" if count == 1 else f" in {length} of the calendar"


class Restraint:
    """Holds the awards of one receipt to the ceilings of their rules, by place in the sequence."""

    def __init__(
        self,
        ceilings: Mapping[int, Sequence[Ceiling]],
        codes: Mapping[int, str],
        purchase: Purchase,
        facts: Facts,
    ) -> None:
        self._ceilings = ceilings
        self._codes = codes
        self._purchase = purchase
        self._facts = facts
        # What this receipt has taken: (key, currency) to points, and which rules had their turn.
        self._points: dict[tuple[str, str], int] = {}
        self._turns: dict[tuple[str, str], set[int]] = {}

    def hold(
        self, granted: Sequence[Granted], *, own: bool, shared: bool
    ) -> tuple[list[Granted], list[Refused]]:
        """What stands of awards by their rules' own ceilings, and by those shared with others."""
        standing: list[Granted] = []
        refused: list[Refused] = []
        for award in granted:
            left, why = award, ""
            chosen = [
                x for x in self._ceilings.get(award.rule, ()) if (shared if _shared(x) else own)
            ]
            for ceiling in chosen:
                left, why = self._held(ceiling, left)
                if why:
                    break
            if why:
                refused.append(Refused(award.rule, why))
                continue
            standing.append(left)
            for ceiling in chosen:
                key = (ceiling.key(self._codes[left.rule]), left.currency)
                self._points[key] = self._points.get(key, 0) + left.points
                self._turns.setdefault(key, set()).add(left.rule)
        return standing, refused

    def _held(self, ceiling: Ceiling, award: Granted) -> tuple[Granted, str]:
        code, purchase = self._codes[award.rule], self._purchase
        key = (ceiling.key(code), award.currency)
        if isinstance(ceiling, Budget):
            left = self._facts.budgets.get(ceiling.code, ceiling.points)
            # A budget is of points, of whichever currency.
            left -= sum(n for (name, _), n in self._points.items() if name == key[0])
        else:
            used = ceiling.used(
                self._facts, code, award.currency, purchase.occurred_at, purchase.time_zone
            )
            if ceiling.times is not None:
                others = self._turns.get(key, set()) - {award.rule}
                free = ceiling.times - used - len(others) > 0
                return award, "" if free else f"{ceiling}: that was reached"
            assert ceiling.points is not None
            left = ceiling.points - used - self._points.get(key, 0)
        left = max(0, left)
        if award.points <= left:
            return award, ""
        if not left:
            return award, f"{ceiling}: that was reached"
        if ceiling.rejects:
            return award, f"{ceiling}: {left} are left, and it gives {award.points} or nothing"
        return award._replace(
            points=left, lines=spread(left, award.lines), cut=f"{ceiling}: {left} were left",
            wanted=award.points if award.wanted is None else award.wanted,
        ), ""  # fmt: skip


def _shared(ceiling: Ceiling) -> bool:
    return isinstance(ceiling, Budget) or bool(ceiling.shared)


def shared_by(ceilings: Sequence[Ceiling]) -> dict[str, Ceiling]:
    """By their keys those that rules may share: every rule must say the same of one."""
    return {ceiling.key(""): ceiling for ceiling in ceilings if _shared(ceiling)}
