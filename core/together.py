"""All conditions of a partner's rules as one: judged by few calls into CEL instead of one for each.

A call costs far more than what is judged in it. So conditions are joined to an expression that is a
whole number, a few binary digits for each. Where that comes to nothing, for one of them can't be
judged, each is judged by itself: what is found is the same, whichever way. Knows no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from cel_expr_python import cel

from core.expressions import Condition
from core.seeing import FACTS, LINES, RECEIPTS

#: Binary digits of a condition in its number, and conditions in one: 63 digits are there, and the
#: parser takes so many terms.
_DIGITS = 3
_MOST = 20
#: Below so many parts of 100 that are asked for, lines are judged condition by condition.
_WORTH = 25


class Place(NamedTuple):
    """Where a condition's digits stand: in which number, after how many others."""

    number: int
    shift: int

    def count(self, number: int) -> int:
        """What they say."""
        return number >> self.shift & (1 << _DIGITS) - 1

    def held(self, numbers: Sequence[int]) -> list[bool]:
        """Of each number whether they say one."""
        one = 1 << self.shift
        return [number & one == one for number in numbers]


Pair: TypeAlias = tuple[Condition | None, Condition | None]


@dataclass(frozen=True, slots=True)
class Joined:
    """Conditions of one kind joined to numbers, by their texts; some can't be and aren't there."""

    places: Mapping[str, Place]
    numbers: tuple[cel.Expression, ...]

    def judged(self, activation: cel.Activation) -> list[int | None]:
        """The numbers; None for one that can't be told."""
        return [_number(expression, activation) for expression in self.numbers]

    def judged_each(self, activations: Iterable[cel.Activation]) -> list[list[int] | None]:
        """Each number for all activations; None for one that can't be told for one of them."""
        columns = zip(*map(self.judged, activations), strict=True)
        return [_all_told(column) for column in columns]


@dataclass(frozen=True, slots=True)
class Together:
    """The conditions of rules: on the receipt, and on each of its lines.

    The digits of one on the receipt say how many of its parts hold, from the first on; those of one
    on a line are 1 where it holds. `named` are the facts that the latter may ask for, beside the
    line's own; `pairs` those of each rule that chooses lines: the receipt's, then the line's.
    """

    receipts: Joined
    lines: Joined
    named: tuple[str, ...]
    pairs: tuple[Pair, ...]

    def worth(self, asked: int) -> bool:
        """Whether to judge lines by all conditions at once, where so many will be asked for."""
        return 100 * asked >= _WORTH * len(self.pairs)


@lru_cache(maxsize=4096)
def together(pairs: tuple[Pair, ...]) -> Together:
    """Join the conditions of rules, for each the receipt's and the line's."""
    of_receipt = {when.text: when for when, _ in pairs if when is not None}
    of_lines = {lines.text: lines for _, lines in pairs if lines is not None}
    return Together(
        _joined(RECEIPTS, {x.text: x.texts for x in of_receipt.values() if _fits(x)}),
        _joined(LINES, {x.text: [x.text] for x in of_lines.values() if _fits(x)}),
        tuple(name for name in FACTS if any(name in text for text in of_lines)),
        tuple(pair for pair in pairs if pair[1] is not None),
    )


def _fits(condition: Condition) -> bool:
    # One that asks for all lines may loop over them: in one call with it none would be ended in
    # time, nor would the rule be named that is to blame.
    return not condition.asks_lines and condition.count < 1 << _DIGITS


def _joined(env: cel.Env, conditions: Mapping[str, Sequence[str]]) -> Joined:
    places: dict[str, Place] = {}
    numbers: list[cel.Expression] = []
    texts = list(conditions)
    waiting = [texts[n : n + _MOST] for n in range(0, len(texts), _MOST)]
    while waiting:
        some = waiting.pop()
        try:
            found = env.compile(
                " + ".join(
                    f"({_count(text, conditions[text], _DIGITS * n)})"
                    for n, text in enumerate(some)
                )
            )
        except RuntimeError:  # too deep for the parser: that one is judged by itself
            half = len(some) // 2
            waiting += [some[:half], some[half:]] if half else []
            continue
        places |= {text: Place(len(numbers), _DIGITS * n) for n, text in enumerate(some)}
        numbers.append(found)
    return Joined(places, tuple(numbers))


def _count(text: str, parts: Sequence[str], shift: int) -> str:
    """How many parts hold, from the first on, in its place: as `Condition.failed` finds it.

    All where the whole holds; else the first that doesn't, and the last isn't asked.
    """
    told = str(len(parts) - 1 << shift)
    for n in reversed(range(len(parts) - 1)):
        told = f"({parts[n]}\n) ? ({told}) : {n << shift}"
    # A text may end with a comment, and so with the line.
    return f"({text}\n) ? {len(parts) << shift} : ({told})"


def _all_told(numbers: Sequence[int | None]) -> list[int] | None:
    told = [number for number in numbers if number is not None]
    return told if len(told) == len(numbers) else None


def _number(expression: cel.Expression, activation: cel.Activation) -> int | None:
    try:
        found = expression.eval(activation).value()
    except RuntimeError:
        return None
    return found if type(found) is int else None
