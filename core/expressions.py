"""Conditions in CEL on a purchase: checked when saved, compiled once, judged in microseconds.

An expression sees typed facts of its own partner, nothing else, and can loop over the receipt's
lines only, within a bound. Amounts are decimals of major units (`purchase.total >= 50.0`): each is
the double nearest to its exact figure, as is the literal beside it, so comparisons are exact.
Knows neither rules nor books.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cel_expr_python import cel

from core.errors import BadInput
from core.seeing import (
    ACTIVITIES,
    LINES,
    NAMES_OF_ACTIVITIES,
    NAMES_OF_LINES,
    NAMES_OF_RECEIPTS,
    RECEIPTS,
    Seen,
)
from laurels.errors import storable

#: As long as one condition may be.
LONGEST = 2000
_NAME = re.compile(
    r"\b(?:activity|purchase|local|member|line)\.[a-z_]+"
    r"(?:\.[A-Za-z_][\w-]*(?!\w*\()|\[[^\]]*\])?"
)


class Part(NamedTuple):
    """One of the parts that a condition joins by `&&`, and whether it held; None: never judged."""

    text: str
    held: bool | None
    actual: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a receipt, or on each of its lines."""

    text: str
    of_lines: bool
    _whole: cel.Expression
    _parts: tuple[tuple[str, cel.Expression], ...]
    #: Whether it asks for the receipt's lines: few do, and it costs to hand them over.
    asks_lines: bool

    @property
    def texts(self) -> tuple[str, ...]:
        """Of its parts."""
        return tuple(text for text, _ in self._parts)

    @property
    def count(self) -> int:
        """Of its parts."""
        return len(self._parts)

    def holds(self, seen: Seen) -> bool:
        """Whether it holds of a receipt."""
        return self.failed(seen) is None

    def failed(self, seen: Seen) -> str | None:
        """The first part that doesn't hold of a receipt; None where the whole holds."""
        held = seen.held(self)
        if held is not None:
            return None if held == len(self._parts) else self._parts[held][0]
        activation = seen.receipt(lines=self.asks_lines)
        if _is_true(self._whole, activation):
            return None
        for text, expression in self._parts[:-1]:
            if not _is_true(expression, activation):
                return text
        return self._parts[-1][0]

    def chosen(self, seen: Seen) -> list[bool]:
        """Of each line whether it holds of it."""
        found = seen.chosen(self)
        if found is not None:
            return found
        return [_is_true(self._whole, line) for line in seen.lines(lines=self.asks_lines)]

    def parts(self, seen: Seen) -> list[Part]:
        """Every part with the facts that it was judged by, also after the first that failed."""
        return [self._judged(text, expression, seen) for text, expression in self._parts]

    def _judged(self, text: str, expression: cel.Expression, seen: Seen) -> Part:
        value = _value(expression, seen.receipt(lines=True))
        if not isinstance(value, bool):
            return Part(text, None, str(value))
        bare = _NAME.finditer(_without_texts(text))
        names = dict.fromkeys(text[found.start() : found.end()] for found in bare)
        told = [f"{name} is {_shown(seen.facts, name)}" for name in names]
        return Part(text, value, ", ".join(told))


@lru_cache(maxsize=4096)
def condition(
    text: str, field: str, *, of_lines: bool = False, of_activity: bool = False
) -> Condition:
    """Compile a condition. Raises BadInput naming the field, the place and what is wrong."""
    if len(text) > LONGEST or not storable(text):
        raise BadInput(f"a condition is a text of at most {LONGEST} characters", field)
    env = LINES if of_lines else ACTIVITIES if of_activity else RECEIPTS
    parts = tuple((part, _compiled(env, part, text, field)) for part in _conjuncts(text))
    # Handed over where they may be asked for: a text that only speaks of them costs time, no more.
    return Condition(text, of_lines, _compiled(env, text, text, field), parts, "lines" in text)


def _compiled(env: cel.Env, part: str, text: str, field: str) -> cel.Expression:
    try:
        expression = env.compile(part)
    except RuntimeError as error:
        raise BadInput(_said(str(error), text, env), field) from None
    # What was told of an activity may be anything: whether it is true is seen when it is judged.
    if expression.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise BadInput(
            f"a condition is true or false; '{part[:100]}' is {expression.return_type()}", field
        )
    return expression


def _said(error: str, text: str, env: cel.Env) -> str:
    """The compiler's words without its frame, and what helps with the commonest slips."""
    found = re.search(r"<input>:(\d+):(\d+): (.*)", error)
    if found is None:
        return f"'{text[:100]}' isn't understood"
    line, column, what = found.groups()
    place = f"at {column}" if line == "1" else f"in line {line} at {column}"
    hint = ""
    if "'(double, int)'" in what or "'(int, double)'" in what:
        hint = "; amounts and quantities are decimals: write 50.0 for 50"
    elif what.startswith("undeclared reference"):
        known = NAMES_OF_LINES if env is LINES else NAMES_OF_RECEIPTS
        hint = f"; there are {', '.join(NAMES_OF_ACTIVITIES if env is ACTIVITIES else known)}"
    return f"{place}: {what.removesuffix(chr(92))}{hint}"


def _conjuncts(text: str) -> list[str]:
    """The parts joined by `&&` outside brackets and texts; one where `||` or `?` stands beside."""
    bare, depth, cuts = _without_texts(text), 0, []
    for n, c in enumerate(bare):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif depth == 0 and (bare.startswith("||", n) or c == "?"):
            return [text.strip()]
        elif depth == 0 and bare.startswith("&&", n):
            cuts.append(n)
    parts, start = [], 0
    for cut in [*cuts, len(text)]:
        parts.append(text[start:cut].strip())
        start = cut + 2
    return [part for part in parts if part] or [text.strip()]


_TEXT = re.compile(
    r"'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|//[^\n]*",
    re.DOTALL,
)


def _without_texts(text: str) -> str:
    """The same length, with blanks for what stands in quotes or is a comment."""
    return _TEXT.sub(lambda found: " " * len(found.group()), text)


def _is_true(expression: cel.Expression, activation: cel.Activation) -> bool:
    """What can't be judged isn't."""
    try:
        return expression.eval(activation).value() is True
    except RuntimeError:
        return False


def _value(expression: cel.Expression, activation: cel.Activation) -> object:
    """What it comes to; in words why it comes to nothing."""
    try:
        value = expression.eval(activation)
    except RuntimeError as error:
        return str(error).partition(": ")[2].partition(" [")[0] or "it can't be judged"
    if value.type() == cel.Type.ERROR:
        return str(value.value()).partition(": ")[2]
    found: object = value.value()
    return found


def _shown(facts: Mapping[str, object], name: str) -> str:
    """A fact as a person reads it."""
    for several in ("member.tiers", "member.balances", "member.attributes", "activity"):
        if name.startswith(several):
            known = facts[several]
            assert isinstance(known, Mapping)
            one = name.removeprefix(several).strip(".[]'\"")
            return str(known.get(one, "none") if one else dict(known))
    value = facts.get(name)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
