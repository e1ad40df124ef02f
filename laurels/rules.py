"""What an earn rule is and may answer: one protocol, and the effects.

A rule is pure: a purchase and facts in, effects out. It reads no clock and no database, and it
books nothing: the engine alone rounds, caps and books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias, overload, runtime_checkable

from laurels.activities import PURCHASE, Activity, check_trigger
from laurels.declarations import Currency, currency_code
from laurels.effects import Deny, SetAttribute, ThankReferrer
from laurels.errors import DeclarationError, check_code, check_title, shown, storable, within
from laurels.purchase import Facts, Purchase
from laurels.rates import Rate, rate

#: What may stand in a rule's terms: plain data, so that it can be stored and read for ever.
Terms: TypeAlias = Mapping[str, "str | int | bool | Mapping[str, str | int] | Sequence[str] | None"]


class Award(NamedTuple):
    """Points for this purchase.

    `lines` says which line gave how many, in the receipt's order; without it the engine spreads
    the points over the lines by their amounts. `because` is a member's reason where the rule's
    title alone doesn't say it. `wanted` is the figure before the rule's own cap cut it. `carry` is
    what it carries on to the next receipt (see `Facts.carried`); None leaves that as it is.
    `counts` where it is one of a run (see `Streak`).
    """

    currency: str
    points: int
    lines: Sequence[int] | None = None
    because: str = ""
    wanted: int | None = None
    carry: int | None = None
    counts: bool = False


class Multiply(NamedTuple):
    """An award of floor(base x factor) - base; base is what all awards of the currency gave."""

    currency: str
    factor: Fraction
    because: str = ""


class Nothing(NamedTuple):
    """No points, and why: the first condition that failed, in a member's words.

    `carry` as in `Award`; `counts` where it is one of a run nevertheless (see `Streak`).
    """

    because: str
    carry: int | None = None
    counts: bool = False


class Issue(NamedTuple):
    """A reward of this partner's, taken for the member's points as soon as the purchase is booked.

    With what the same rules award for it: so a rule that awards a reward's price and issues it
    gives it away. Where the points don't suffice, or none is left, nothing is taken; that isn't
    tried again (Voucherify's auto-redeem). A cancelled purchase takes it back, as whatever was
    redeemed on its order. `currency` is named where the reward has several prices. Where caps or
    its group leave nothing of what its rule awards, it isn't issued either.
    """

    reward: str
    quantity: int = 1
    currency: str | None = None


#: As many pieces of a reward as one rule issues at once.
MOST_ISSUED = 100
#: As many times as rules issue for one receipt.
MOST_ISSUES = 1000
Effect: TypeAlias = Award | Multiply | Nothing | Issue | Deny | SetAttribute | ThankReferrer
Effects: TypeAlias = Effect | Sequence[Effect] | None


def award(
    currency: Currency | str,
    points: int,
    *,
    lines: Sequence[int] | None = None,
    because: str = "",
    carry: int | None = None,
) -> Award:
    """Give `points` (a whole number, at least 0) of `currency`, perhaps line by line."""
    return Award(currency_code(currency), points, lines, because, None, carry)


def multiply(currency: Currency | str, factor: Rate, *, because: str = "") -> Multiply:
    """Multiply what the other rules gave of it: `multiply(STARS, "1.5")` adds half."""
    return Multiply(currency_code(currency), check_factor("factor", factor), because)


def nothing(because: str, *, carry: int | None = None) -> Nothing:
    """Give nothing and say why, so that the member can be told."""
    return Nothing(because, carry)


def issue(reward: str, quantity: int = 1, *, currency: Currency | str | None = None) -> Issue:
    """Take a reward for the member at once: `[award(STAMP, 1), issue("coffee")]`."""
    return Issue(reward, quantity, None if currency is None else currency_code(currency))


def check_factor(what: str, value: object) -> Fraction:
    """The exact factor of a multiplier, from 1 to 1000. Raises DeclarationError."""
    return rate(what, value, 1, 1000)


def check_terms(what: str, terms: object) -> Terms:
    """Return a frozen copy of `terms` if they can be stored. Raises DeclarationError."""
    if not isinstance(terms, Mapping):
        raise DeclarationError(f"{what}: terms: a mapping is wanted, not {shown(terms)}")
    plain = {_word(f"{what}: terms", k): _plain(f"{what}: terms", k, v) for k, v in terms.items()}
    return MappingProxyType(plain)


def _word(what: str, key: object) -> str:
    if not isinstance(key, str) or not storable(key):
        raise DeclarationError(f"{what}: {shown(key)} is no text")
    return key


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return storable(value)
    return value is None or (isinstance(value, int) and -(2**63) <= value < 2**63)


def _plain(what: str, key: object, value: object) -> Any:
    if _is_plain(value):
        return value
    if isinstance(value, Mapping) and all(map(_is_plain, value.values())):
        return {_word(f"{what}: {key}", k): v for k, v in value.items()}
    if isinstance(value, list | tuple) and all(isinstance(v, str) and storable(v) for v in value):
        return tuple(value)
    raise DeclarationError(
        f"{what}: {key}: text, a 64 bit whole number, a mapping of these, or a list of texts is "
        f"wanted, not {shown(value)}"
    )


@runtime_checkable
class EarnRule(Protocol):
    """What a partner implements to give points by a rule of its own.

    `code` names the rule for ever within its partner; `title` is what a member reads; `terms` are
    the rule's figures as plain data: stored with each version, shown to members, compared to tell
    one version from the next.
    """

    @property
    def code(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def terms(self) -> Terms: ...

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """What this purchase gets. Raising fails this purchase, and no other."""


@dataclass(frozen=True, slots=True)
class FunctionRule:
    """A rule made of one function by `@earn_rule`."""

    code: str
    title: str
    function: Callable[[Purchase, Facts], Effects]
    terms: Terms = field(default_factory=dict, hash=False)
    carries: bool = False
    on: str = PURCHASE
    balances: bool = False

    def __post_init__(self) -> None:
        check_code("earn rule", self.code)
        within(f"earn rule {self.code}", check_trigger, self.on)
        what = f"earn rule {self.code}"
        check_title(f"{what}: title", self.title)
        if not callable(self.function):
            raise DeclarationError(f"{what}: {shown(self.function)} is no function")
        terms = self.terms if self.on == PURCHASE else {**self.terms, "on": self.on}
        object.__setattr__(self, "terms", check_terms(what, terms))

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """What the function says."""
        return self.function(purchase, facts)


#: What a rule is made of: a function of a purchase, or of an activity.
OnPurchase: TypeAlias = Callable[[Purchase, Facts], Effects]
OnActivity: TypeAlias = Callable[[Activity, Facts], Effects]


@overload
def earn_rule(
    code: str,
    title: str,
    terms: Terms | None = None,
    *,
    carries: bool = False,
    balances: bool = False,
) -> Callable[[OnPurchase], FunctionRule]: ...
@overload
def earn_rule(
    code: str,
    title: str,
    terms: Terms | None = None,
    *,
    carries: bool = False,
    balances: bool = False,
    on: str,
) -> Callable[[OnActivity], FunctionRule]: ...
def earn_rule(
    code: str,
    title: str,
    terms: Terms | None = None,
    *,
    carries: bool = False,
    balances: bool = False,
    on: str = PURCHASE,
) -> Callable[[OnPurchase], FunctionRule] | Callable[[OnActivity], FunctionRule]:
    """Make an earn rule of a function of a purchase and facts. Raises DeclarationError.

    One that `carries` money over to the next receipt finds it in `facts.carried`. `on` names what
    it judges in place of purchases: see `check_trigger`. One that asks for the member's `balances`
    finds them in `facts.balances`.
    """

    def make(function: Callable[[Any, Facts], Effects]) -> FunctionRule:
        known = {} if terms is None else terms
        return FunctionRule(code, title, function, known, carries, on, balances)

    return make
