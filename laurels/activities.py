"""What isn't a purchase: an activity that a partner tells of, or an occasion that the engine makes.

And the triggers by which rules name the one that they judge. Pure; knows nothing of rules.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import TypeAlias

from laurels.errors import DeclarationError, check_code, shown, storable
from laurels.purchase import Line, Purchase, PurchaseError

#: What an attribute of an activity may be: a text, a whole number, true or false.
Value: TypeAlias = str | int | bool
#: The trigger of a rule that names none.
PURCHASE = "purchase"
#: Occasions that the engine makes itself, so that no partner may tell of one.
ENROLMENT, BIRTHDAY, RETURN, REFERRAL = "enrolment", "birthday", "return", "referral"
#: What it tells when a member has answered a survey.
SURVEY_ANSWERED = "survey-answered"
OCCASIONS = frozenset({PURCHASE, ENROLMENT, BIRTHDAY, RETURN, REFERRAL, SURVEY_ANSWERED})
#: The type of what the engine tells when a member checks in at a meetup. A partner may tell of it
#: too, of what was before there were meetups here.
ATTENDED = "attended"
#: As many attributes as one activity has, and as long as one text of them is.
MOST_ATTRIBUTES, LONGEST_VALUE = 30, 200
#: ISO 4217's own code for a transaction without money.
NO_MONEY = "XXX"
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_YEARLY = re.compile(r"yearly ([0-9]{2})-([0-9]{2})\Z")
_MONTHLY = re.compile(r"monthly ([0-9]{1,2})\Z")
_NO_ATTRIBUTES: Mapping[str, Value] = MappingProxyType({})
#: An activity's receipt: one line of nothing, so that points have a place.
ACTIVITY_LINES = (Line("", 0),)


@dataclass(frozen=True, slots=True)
class Activity(Purchase):
    """A review, a check-in, a birthday: what a member did, or what befell, without money.

    `type` is its trigger: the partner's own word (`review`), or an occasion of the engine's
    (`enrolment`, `birthday`, `return`, `referral`, `segment:vip`, `schedule:monthly 1`).
    `attributes` say more of it: texts, whole numbers, true or false. Make one with `Activity.of`.
    """

    type: str = ""
    attributes: Mapping[str, Value] = field(default_factory=lambda: _NO_ATTRIBUTES, hash=False)

    @property
    def trigger(self) -> str:
        """By which rules name it: its type."""
        return self.type

    @classmethod
    def of(
        cls,
        partner: str,
        external_id: str,
        occurred_at: datetime,
        type: str,
        attributes: Mapping[str, Value] = _NO_ATTRIBUTES,
        time_zone: str = "UTC",
    ) -> Activity:
        """Make one; as for a purchase, nothing is checked here."""
        if attributes is not _NO_ATTRIBUTES:
            # A copy: one rule must not be able to change it for the next.
            attributes = MappingProxyType(dict(attributes))
        return cls(
            partner, external_id, occurred_at, NO_MONEY, ACTIVITY_LINES, "", time_zone,
            type=type, attributes=attributes,
        )  # fmt: skip


def check_attributes(attributes: Mapping[str, object]) -> None:
    """Raise PurchaseError, naming it, unless each attribute can be stored and told."""
    if len(attributes) > MOST_ATTRIBUTES:
        raise PurchaseError(f"attributes: at most {MOST_ATTRIBUTES}, not {len(attributes)}")
    for name, value in attributes.items():
        try:
            check_code("attribute", name)
        except DeclarationError as error:
            raise PurchaseError(f"attributes: {error}") from None
        if isinstance(value, str):
            good = len(value) <= LONGEST_VALUE and storable(value)
        else:
            good = isinstance(value, int) and abs(value) < 2**63
        if not good:
            raise PurchaseError(
                f"attribute {name}: a text of at most {LONGEST_VALUE} characters, a whole number, "
                f"true or false is wanted, not {shown(value)}"
            )


def check_trigger(trigger: object) -> str:
    """Return `trigger` if a rule can name it: what happens is a purchase, or an activity's type.

    `purchase`, `enrolment`, `birthday`, `return`, `referral`, a partner's own activity (`review`),
    `segment:CODE` (a member enters it), or `schedule:` with `daily`, `weekly monday`, `monthly 15`
    (in a shorter month its last day), `yearly 04-23`. Raises DeclarationError.
    """
    if not isinstance(trigger, str):
        raise DeclarationError(f"trigger: a text is wanted, not {shown(trigger)}")
    kind, colon, rest = trigger.partition(":")
    if not colon:
        return check_code("trigger", trigger)
    if kind == "segment":
        check_code("trigger segment", rest)
    elif kind != "schedule" or not _is_schedule(rest):
        raise DeclarationError(
            f"trigger {shown(trigger)}: it reads segment:CODE, schedule:daily, schedule:weekly "
            "monday, schedule:monthly 15 or schedule:yearly 04-23"
        )
    return trigger


def is_own(trigger: str) -> bool:
    """Whether a partner may tell of it, by a type of its own."""
    return trigger not in OCCASIONS and ":" not in trigger


def _is_schedule(text: str) -> bool:
    if text == "daily" or text.removeprefix("weekly ") in _WEEKDAYS:
        return text == "daily" or text.startswith("weekly ")
    if found := _MONTHLY.match(text):
        return 1 <= int(found[1]) <= 31 and not found[1].startswith("0")
    found = _YEARLY.match(text)
    # A leap year: 29 February is a day, and in other years it is the last of its month.
    return found is not None and 1 <= int(found[1]) <= 12 and _is_day(2000, found)


def _is_day(year: int, found: re.Match[str]) -> bool:
    return 1 <= int(found[2]) <= monthrange(year, int(found[1]))[1]


def falls_on(trigger: str, day: date) -> bool:
    """Whether a schedule's trigger is due on a local day."""
    text = trigger.removeprefix("schedule:")
    if text == "daily":
        return True
    if text.startswith("weekly "):
        return text.removeprefix("weekly ") == _WEEKDAYS[day.weekday()]
    last = monthrange(day.year, day.month)[1]
    if found := _MONTHLY.match(text):
        return day.day == min(int(found[1]), last)
    found = _YEARLY.match(text)
    assert found is not None
    return day.month == int(found[1]) and day.day == min(int(found[2]), last)
