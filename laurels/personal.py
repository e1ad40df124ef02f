"""Personal offers: which of a brand's `offered` rules a member is offered, from its own past there.

What chooses is pure: a history in, choices out, the same every time. Who is offered nothing, so
that the others can be compared with them, the engine draws; and it alone notes and books.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import NamedTuple, TypeAlias

from laurels.caps import period_of
from laurels.durations import Duration
from laurels.errors import DeclarationError, check_code, check_title, shown, within
from laurels.money import Money
from laurels.windows import Window

#: As many rules as one member is offered at once.
MOST_CHOICES = 5
#: As long as an explanation is.
LONGEST_BECAUSE = 300
_SHARE = re.compile(r"([0-9]{1,2})(?:\.([0-9]))?%\Z")


class Visit(NamedTuple):
    """One of a member's purchases, as it stands now: `at` the partner's own clock.

    `spend` is what its goods cost, in minor units of `currency`; `products` gives, by product type,
    thousandths of units. Gift cards (and loads of a card), fees and delivery are none of it.
    """

    at: datetime
    currency: str
    spend: int
    products: Mapping[str, int]


class Bought(NamedTuple):
    """What of a product type was bought: on how many receipts, thousandths of units, when last."""

    times: int
    quantity: int
    last: datetime | None


@dataclass(frozen=True, slots=True)
class History:
    """A member's own purchases at this partner, the earliest first, from `begins` until `ends`."""

    begins: datetime
    ends: datetime
    visits: tuple[Visit, ...] = ()

    @property
    def purchases(self) -> int:
        """How many there were."""
        return len(self.visits)

    @property
    def weeks(self) -> int:
        """How many full weeks are looked back on."""
        return (self.ends - self.begins).days // 7

    @property
    def products(self) -> Mapping[str, Bought]:
        """What was bought, by product type, in the order of their names."""
        kinds = sorted({kind for visit in self.visits for kind in visit.products})
        return {kind: self.bought(kind) for kind in kinds}

    @property
    def weekdays(self) -> tuple[int, ...]:
        """How many purchases fell on each day of the week, Monday first."""
        days = [visit.at.weekday() for visit in self.visits]
        return tuple(days.count(day) for day in range(7))

    @property
    def last(self) -> datetime | None:
        """When the member bought last; None: never in this time."""
        return self.visits[-1].at if self.visits else None

    @property
    def usual_gap(self) -> int | None:
        """Days between one day of buying and the next, as a rule; None: there was one at most."""
        days = sorted({visit.at.date() for visit in self.visits})
        gaps = [(b - a).days for a, b in pairwise(days)]
        return int(median(gaps)) if gaps else None

    def spend(self, currency: str) -> Money:
        """What its goods cost in all, in this money."""
        return Money(sum(x.spend for x in self.visits if x.currency == currency), currency)

    def bought(self, product_type: str) -> Bought:
        """What of a product type was bought."""
        found = [x for x in self.visits if product_type in x.products]
        quantity = sum(x.products[product_type] for x in found)
        return Bought(len(found), quantity, found[-1].at if found else None)

    def together(self, *product_types: str) -> int:
        """On how many receipts all of these stood."""
        return sum(all(kind in x.products for kind in product_types) for x in self.visits)


class Choice(NamedTuple):
    """A rule to offer, by its code, and why: in words for the member whose past it is."""

    rule: str
    because: str


Choices: TypeAlias = Choice | Sequence[Choice] | None


@dataclass(frozen=True, slots=True)
class PersonalOffers:
    """Chooses, in each period anew, which `offered` rules each member is offered.

    `choose` sees the purchases of `span` (`"8W"`) before the period; `per` is the period, of the
    calendar by the partner's own clock. What is chosen is on offer from the night that begins it
    until it `lasts`, at the latest until the next one begins. `control` is the share of those for
    whom something was chosen who are offered nothing nevertheless, drawn anew in each period: what
    they do is what the others would have done
    (`"0%"`: nobody is left out, and nothing can be told). Raises DeclarationError.
    """

    code: str
    choose: Callable[[History], Choices]
    per: str = "calendar 1W"
    control: str = "10%"
    lasts: str = "7D"
    span: str = "8W"
    title: str = "Offers for you"
    window: Window = field(init=False, repr=False, compare=False)
    lasting: Duration = field(init=False, repr=False, compare=False)
    looking_back: Duration = field(init=False, repr=False, compare=False)
    share: Fraction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        what = f"personal offers {check_code('personal offers', self.code)}"
        check_title(f"{what}: title", self.title)
        if isinstance(self.choose, type) or not callable(self.choose):
            raise DeclarationError(f"{what}: choose: a function of a History is wanted")
        window = period_of(what, self.per)
        if window is None:
            raise DeclarationError(f"{what}: per: a period of the calendar: calendar 1W")
        made = {
            "window": window,
            "lasting": within(f"{what}: lasts", Duration.parse, self.lasts),
            "looking_back": within(f"{what}: span", Duration.parse, self.span),
            "share": _share(what, self.control),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)


def checked_choices(answer: object, offered: Sequence[str]) -> tuple[Choice, ...]:
    """What a `choose` answered, of rules that its partner may offer. Raises DeclarationError."""
    if answer is None:
        return ()
    chosen = (answer,) if isinstance(answer, Choice) else answer
    if isinstance(chosen, str) or not isinstance(chosen, Sequence):
        raise DeclarationError(f"choose: a Choice, several or None, not {shown(answer)}")
    if len(chosen) > MOST_CHOICES:
        raise DeclarationError(f"choose: at most {MOST_CHOICES} at once, not {len(chosen)}")
    for one in chosen:
        if not isinstance(one, Choice):
            raise DeclarationError(f"choose: {shown(one)} is no Choice")
        if one.rule not in offered:
            raise DeclarationError(f"choose: {shown(one.rule)} is no offered rule of this partner")
        check_title("choose: because", one.because, LONGEST_BECAUSE)
    if len({one.rule for one in chosen}) < len(chosen):
        raise DeclarationError("choose: a rule is chosen once")
    return tuple(chosen)


def _share(what: str, text: object) -> Fraction:
    match = _SHARE.match(text) if isinstance(text, str) else None
    if match is None or int(match[1]) > 90:
        raise DeclarationError(f"{what}: control: from 0% to 90%, not {shown(text)}")
    return Fraction(10 * int(match[1]) + int(match[2] or 0), 1000)
