"""How much more on a receipt brings how many more points: "spend 4.20 more for 50 points".

Thresholds are read off what rules declare, and each is tried: the receipt is judged again with that
much more, so that nothing is promised that a purchase wouldn't keep. Pure; knows no member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from laurels.activities import PURCHASE
from laurels.based import basis_of_rule
from laurels.challenges import Counts, goal_of
from laurels.errors import LaurelsError
from laurels.evaluation import Evaluation
from laurels.lasting import trigger_of, unwrapped
from laurels.money import Money
from laurels.purchase import Line, LineKind, Purchase
from laurels.rules import EarnRule

#: As many are told, and as many thresholds tried.
MOST_NUDGES, MOST_TRIED = 3, 20
#: What a rule's terms call the least that a receipt must come to.
_LEAST = ("minimum", "at_least")
#: Judges a receipt as the engine would, with what it knows of the member.
Judge = Callable[[Purchase], Evaluation]


class Nudge(NamedTuple):
    """With `missing` more on the receipt there are `points` more of a currency."""

    missing: Money
    currency: str
    points: int


def more(purchase: Purchase, minor: int) -> Purchase | None:
    """The receipt with one line more of this amount: of its dearest goods. None: it has none."""
    whole = purchase.whole
    goods = [line for line in whole.lines if line.kind is LineKind.GOODS]
    if not goods:
        return None
    kind = max(goods, key=lambda line: line.amount).product_type
    return Purchase(
        whole.partner, whole.external_id, whole.occurred_at, whole.currency,
        (*whole.lines, Line(kind, minor, 1000)), whole.store, whole.time_zone, tender=whole.tender,
    )  # fmt: skip


def nudges(
    rules: Sequence[EarnRule], purchase: Purchase, now: Evaluation, judge: Judge
) -> list[Nudge]:
    """The best few, by what they bring beyond what the receipt's points a unit of money would.

    At most as much more as the receipt comes to. `now` is what it gets as it is.
    """
    trials = _Trials(purchase, now, judge)
    found: dict[tuple[int, str], Nudge] = {}
    for minor in sorted(_gaps(rules, purchase, now))[:MOST_TRIED]:
        # A unit less doesn't bring it: or that much wouldn't be missing.
        for code, points in trials.gain(minor).items():
            if points > trials.gain(minor - 1).get(code, 0):
                money = Money(minor, purchase.currency)
                found[minor, code] = Nudge(money, code, points)
    worth = sorted(found.values(), key=lambda x: (-trials.beyond(x), x.missing.minor, x.currency))
    return [nudge for nudge in worth if trials.beyond(nudge) > 0][:MOST_NUDGES]


def least_more(
    purchase: Purchase, now: Evaluation, judge: Judge, currency: str, points: int
) -> Nudge | None:
    """The least more that brings so many more points; None where as much again doesn't."""
    trials = _Trials(purchase, now, judge)
    low, high = 0, purchase.total_minor
    if not high or trials.gain(high).get(currency, 0) < points:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if trials.gain(middle).get(currency, 0) < points:
            low = middle
        else:
            high = middle
    brought = trials.gain(high).get(currency, 0)
    return Nudge(Money(high, purchase.currency), currency, brought)


@dataclass(slots=True)
class _Trials:
    """What more of a receipt would bring, each judged once."""

    purchase: Purchase
    now: Evaluation
    judge: Judge

    def gain(self, minor: int) -> Mapping[str, int]:
        """By currency, the points that so much more brings; empty where none, or a rule fails."""
        tried = more(self.purchase, minor) if minor > 0 else None
        if tried is None:
            return {}
        after = self.judge(tried)
        codes = {granted.currency for granted in after.granted}
        gains = {code: after.points(code) - self.now.points(code) for code in sorted(codes)}
        return {code: points for code, points in gains.items() if points > 0}

    def beyond(self, nudge: Nudge) -> Fraction:
        """What a nudge brings beyond the receipt's own points for a unit of money."""
        usual = Fraction(self.now.points(nudge.currency), self.purchase.total_minor)
        return nudge.points - usual * nudge.missing.minor


def _gaps(rules: Sequence[EarnRule], purchase: Purchase, now: Evaluation) -> set[int]:
    """What is missing to the next threshold of each rule, in minor units."""
    found: set[int] = set()
    for place, rule in enumerate(rules):
        if trigger_of(rule) != PURCHASE:
            continue
        basis = basis_of_rule(rule)
        seen = purchase if basis is None else basis.view(purchase)
        total = seen.total_minor
        found.update(least - total for least in _leasts(rule, purchase.currency))
        if (step := _step(rule, purchase.currency)) is not None:
            found.add(step - now.carried.get(place, total) % step)
    return {gap for gap in found if 0 < gap <= purchase.total_minor}


def _leasts(rule: EarnRule, money: str) -> list[int]:
    """The least receipts that a rule's terms name, of its own too, in this money."""
    found = []
    for name in _LEAST:
        text = rule.terms.get(name)
        if not isinstance(text, str):
            continue
        try:
            least = Money.parse(text)
        except LaurelsError:  # a partner's own rule may call anything its minimum
            continue
        if least.currency == money:
            found.append(least.minor)
    return found


def _step(rule: EarnRule, money: str) -> int | None:
    """What of this money brings a rule's next points, each time."""
    goal = goal_of(rule)
    if goal is not None:
        return goal.target if goal.counts is Counts.MONEY and goal.money == money else None
    inner = unwrapped(rule)
    per = getattr(inner, "per", None)
    if getattr(inner, "per_step", False) and isinstance(per, Money) and per.currency == money:
        return per.minor
    return None
