"""The scalars that GraphQL lacks: points of 64 bits, and instants that always name their zone.

Knows nothing of what they count or date.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types.scalar import ScalarDefinition

BigInt = NewType("BigInt", int)

_MOST = 2**63 - 1


def parse_big_int(value: object) -> BigInt:
    """A whole number of 64 bits, from a number or a text of digits."""
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isdecimal():
        value = int(value)
    if type(value) is not int or not -_MOST <= value <= _MOST:
        raise StrawberryInputCoercionError("a BigInt is a whole number of at most 64 bits")
    return BigInt(value)


def parse_instant(value: object) -> datetime:
    """An instant in UTC, from an ISO 8601 text with a zone."""
    if not isinstance(value, str) or not 10 <= len(value) <= 40:
        raise StrawberryInputCoercionError("a DateTime is a text such as 2026-11-22T09:30:00+03:00")
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise StrawberryInputCoercionError(
            "a DateTime is a text such as 2026-11-22T09:30:00+03:00"
        ) from None
    if instant.tzinfo is None:
        raise StrawberryInputCoercionError("a DateTime needs a time zone, such as +03:00 or Z")
    if not 1900 <= instant.year <= 9000:
        raise StrawberryInputCoercionError("a DateTime lies between the years 1900 and 9000")
    return instant.astimezone(UTC)


def _iso(value: datetime) -> str:
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return f"{value.isoformat()[:-6]}Z"


SCALARS: dict[Any, ScalarDefinition] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number of 64 bits, such as points. Sent as a number; a text of "
        "digits is taken too.",
        serialize=int,
        parse_value=parse_big_int,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant as ISO 8601 text. It always names its zone: 2026-11-22T09:30:00Z.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
        serialize=_iso,
        parse_value=parse_instant,
    ),
}
