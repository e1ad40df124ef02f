"""Effects beside points: a veto, what is noted of a member, thanks to who brought it.

Pure data, as all effects are; the engine carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass

from laurels.durations import Duration
from laurels.errors import DeclarationError, check_code, shown, storable, within

#: As long as the value of an attribute is.
LONGEST = 100
#: As long as its name is.
LONGEST_NAME = 80
SEGMENT, OFFER, SET = "segment:", "offer:", "set:"


@dataclass(frozen=True, slots=True)
class Deny:
    """Nothing for this event by any rule of the partner's, and why, in a member's words."""

    because: str


@dataclass(frozen=True, slots=True)
class SetAttribute:
    """Something that the partner notes of a member: `value` None takes it away again.

    `lasts` is a duration (`"7D"`) after which it is gone; None: it stays.
    """

    name: str
    value: str | None
    lasts: str | None = None


@dataclass(frozen=True, slots=True)
class ThankReferrer:
    """Who referred the member to this partner has the occasion `referral`, once for each member."""


def deny(because: str) -> Deny:
    """A veto: `deny("staff buy without points")`."""
    return Deny(because)


def set_attribute(name: str, value: str | None, *, lasts: str | None = None) -> SetAttribute:
    """Note something of a member, which rules find in `facts.attributes` from then on."""
    return checked_attribute(SetAttribute(check_code("attribute", name), value, lasts))


def enter_segment(code: str, *, lasts: str | None = None) -> SetAttribute:
    """Put the member into a segment; rules on `segment:CODE` judge that as an occasion."""
    return checked_attribute(SetAttribute(f"{SEGMENT}{code}", "yes", lasts))


def leave_segment(code: str) -> SetAttribute:
    """Take the member out of a segment."""
    return checked_attribute(SetAttribute(f"{SEGMENT}{code}", None))


def offer(rule: str, *, lasts: str | None = None) -> SetAttribute:
    """Offer the member a rule of this partner's that is `offered`: a bonus week, a challenge.

    Until it `lasts`; it counts for this member from the next event on.
    """
    return checked_attribute(SetAttribute(f"{OFFER}{rule}", "yes", lasts))


def collect(rule: str, thing: str = "") -> SetAttribute:
    """Note that a member has a thing of a collection; without one, that it is complete."""
    return SetAttribute(f"{SET}{rule}:{thing}" if thing else f"{SET}{rule}", "yes")


def thank_referrer() -> ThankReferrer:
    """Let rules on `referral` judge for who referred this member: two-sided referral."""
    return ThankReferrer()


def checked_attribute(effect: SetAttribute) -> SetAttribute:
    """The effect, where it can be stored. Raises DeclarationError."""
    name: object = effect.name
    if not isinstance(name, str):
        raise DeclarationError(f"attribute: a name is wanted, not {shown(name)}")
    kind, colon, code = name.partition(":")
    if colon and f"{kind}:" in (SEGMENT, OFFER):
        check_code(kind, code)
    elif colon and f"{kind}:" == SET:
        rule, second, thing = code.partition(":")
        check_code("collection", rule)
        if second:
            check_code(f"collection {rule}", thing)
        if len(name) > LONGEST_NAME:
            raise DeclarationError(f"attribute {name}: at most {LONGEST_NAME} characters")
    else:
        check_code("attribute", name)
    value: object = effect.value
    if value is not None and (
        not isinstance(value, str) or not 1 <= len(value) <= LONGEST or not storable(value)
    ):
        raise DeclarationError(
            f"attribute {name}: a text of 1 to {LONGEST} characters or None, not {shown(value)}"
        )
    if effect.lasts is not None:
        within(f"attribute {name}: lasts", Duration.parse, effect.lasts)
    return effect
