"""Activities as they come in, checked field by field; occasions that the engine makes itself.

Knows nothing of how they are booked (`core.folding`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from core.errors import BadInput, NotAllowed
from core.events import EventKind
from core.members import IdentifierKind, MemberRef
from core.noted import Occasion
from core.purchases import Incoming, check_text
from core.rulebook import PartnerTerms
from laurels.activities import Activity, Value, check_attributes, check_trigger, is_own
from laurels.errors import LaurelsError
from laurels.purchase import Purchase

_NOBODY = MemberRef(IdentifierKind.REFERENCE, "")
#: As long as the number of an activity is: it becomes the order of what rules issue for it.
LONGEST_NUMBER = 180


@dataclass(frozen=True, slots=True)
class ActivityInput:
    """An activity as a partner sends it."""

    external_id: str
    member: MemberRef
    occurred_at: datetime
    type: str
    attributes: Mapping[str, Value]


def check_activity(partner: PartnerTerms, given: ActivityInput) -> Incoming:
    """Make an `Incoming` of what a partner sent. Raises BadInput or NotAllowed naming the field."""
    external_id = check_text(given.external_id, "externalId", LONGEST_NUMBER, least=1)
    if given.occurred_at.tzinfo is None:
        raise BadInput("occurredAt needs a time zone, such as +03:00 or Z", "occurredAt")
    if not 1970 <= given.occurred_at.year <= 9000:
        raise BadInput("occurredAt is no year of trade", "occurredAt")
    try:
        check_trigger(given.type)
    except LaurelsError as error:
        raise BadInput(str(error), "type") from None
    if not is_own(given.type):
        raise NotAllowed(f"'{given.type}' is told by the engine itself", "type")
    try:
        check_attributes(given.attributes)
    except LaurelsError as error:
        raise BadInput(str(error), "attributes") from None
    at = given.occurred_at.astimezone(UTC)
    activity = Activity.of(
        partner.code, external_id, at, given.type, given.attributes, partner.time_zone
    )
    return Incoming(partner, given.member, activity, kind=EventKind.ACTIVITY)


def of_occasion(partner: PartnerTerms, occasion: Occasion) -> Incoming:
    """An occasion as it is judged and booked."""
    activity = Activity.of(
        partner.code, occasion.external_id, occasion.at, occasion.type, occasion.attributes,
        partner.time_zone,
    )  # fmt: skip
    return Incoming(partner, _NOBODY, activity, kind=EventKind.OCCASION, holder=occasion.holder)


def activity_hash(
    holder: int, external_id: str, at: datetime, type: str, attributes: Mapping[str, Value]
) -> bytes:
    """16 bytes by which an activity sent again is told from another one with its external id."""
    content = orjson.dumps(
        [holder, external_id, at, type, dict(attributes)], option=orjson.OPT_SORT_KEYS
    )
    return hashlib.blake2b(content, digest_size=16).digest()


def hash_of(purchase: Purchase, holder: int) -> bytes | None:
    """The same of what is judged; None of a purchase, which has a hash of its own."""
    if not isinstance(purchase, Activity):
        return None
    return activity_hash(
        holder, purchase.external_id, purchase.occurred_at, purchase.type, purchase.attributes
    )


def order_of(purchase: Purchase) -> str:
    """The order on which rewards are taken that rules issue for it."""
    if isinstance(purchase, Activity):
        return order_of_activity(purchase.external_id)
    return purchase.external_id


def order_of_activity(external_id: str) -> str:
    """The same of an activity, by its number: no purchase's number can be that."""
    return f"activity:{external_id}"
