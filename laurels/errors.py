"""What the kit refuses, in words that name the declaration and the field.

Knows nothing of the engine: the host catches these and adds the plugin's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
V = TypeVar("V")


_CODE = re.compile(r"[A-Za-z0-9._-]+\Z")


class LaurelsError(Exception):
    """Base of everything that this package raises on purpose."""


class DeclarationError(LaurelsError):
    """A declaration (partner, currency, rule, reward, ladder) is malformed; names the field."""


class RuleError(LaurelsError):
    """A rule raised, or returned what no rule may return, while it judged one purchase."""

    def __init__(self, rule: str, problem: str) -> None:
        super().__init__(f"rule '{rule}': {problem}")
        self.rule = rule
        self.problem = problem

    def __reduce__(self) -> tuple[type[RuleError], tuple[str, str]]:
        # Exceptions are rebuilt from their text alone; this one takes two, and crosses processes.
        return (type(self), (self.rule, self.problem))


class RuleTooSlow(BaseException):  # not for a rule to catch by Exception
    """Raised into a rule by the engine's clock: its time is up."""


def shown(value: object, longest: int = 60) -> str:
    """The value as a refusal quotes it: never long, and never itself a reason to fail."""
    try:
        return repr(value)[:longest]
    except Exception:  # a partner's own __repr__, or a number of thousands of digits
        return f"a {type(value).__name__}"


def storable(text: str) -> bool:
    """Whether a database takes this text: no NUL, no half of a surrogate pair."""
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def within(what: str, check: Callable[[V], T], value: V) -> T:
    """`check(value)`, its refusal told as one of `what`: `currency STAR: expires: …`."""
    try:
        return check(value)
    except LaurelsError as error:
        raise DeclarationError(f"{what}: {error}") from None


def check_code(kind: str, code: object) -> str:
    """Return `code` if it may name a thing for ever: 1-64 letters, digits, `.`, `_` or `-`."""
    if not isinstance(code, str) or not 1 <= len(code) <= 64:
        raise DeclarationError(f"{kind}: a code is a text of 1 to 64 characters, not {shown(code)}")
    if not _CODE.match(code):
        raise DeclarationError(
            f"{kind} {code!r}: a code has ASCII letters, digits, '.', '_', '-' only"
        )
    return code


def check_title(kind: str, title: object, longest: int = 500) -> str:
    """Return `title` if a person can read it: not empty, not too long, fit to be stored."""
    if (
        not isinstance(title, str)
        or not title.strip()
        or len(title) > longest
        or not storable(title)
    ):
        raise DeclarationError(
            f"{kind}: a text of 1 to {longest} characters is wanted, not {shown(title)}"
        )
    return title
