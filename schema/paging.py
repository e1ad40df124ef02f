"""Keyset pages: a cursor names the last row seen, so rows that come meanwhile move nothing.

Knows nothing of what is paged.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeAlias, TypeVar

import strawberry
from strawberry import relay

from core.errors import BadInput
from schema.ids import numbers

N = TypeVar("N", bound=relay.Node)

MOST = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
#: Where a list that begins with its newest row has no cursor.
NEWEST = 2**63 - 1
First: TypeAlias = Annotated[
    int, strawberry.argument(description=f"How many at most, from 1 to {MOST}.")
]
After: TypeAlias = Annotated[
    str | None, strawberry.argument(description="The cursor after which the page begins.")
]


def check_first(first: int) -> int:
    """Return `first` if a page may be so long. Raises BadInput."""
    if not 1 <= first <= MOST:
        raise BadInput(f"first is from 1 to {MOST}, not {first}", "first")
    return first


def cursor(kind: str, value: int | str) -> str:
    """An opaque cursor of one kind of list."""
    return base64.urlsafe_b64encode(f"{kind}:{value}".encode()).decode()


def read_cursor(kind: str, text: str | None) -> str | None:
    """What a cursor of this kind of list names. Raises BadInput for any other text."""
    if text is None:
        return None
    try:
        plain = base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        plain = ""
    found, _, value = plain.partition(":")
    if found != kind or not value:
        raise BadInput("after is no cursor of this list", "after")
    return value


#: A place within a ledger is a number of 32 bits.
_LAST_SEQ = 2**31 - 1


def read_number(kind: str, text: str | None, without: int) -> int:
    """Like `read_cursor`, for lists in the order of a number; `without` stands for no cursor."""
    value = read_cursor(kind, text)
    if value is None:
        return without
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise BadInput("after is no cursor of this list", "after")
    if kind in ("entry", "lot") and int(value) > _LAST_SEQ:
        raise BadInput("after is no cursor of this list", "after")
    return int(value)


def moment_cursor(kind: str, at: datetime, number: int) -> str:
    """A cursor of a list in the order of an instant, and of a number among those of one instant."""
    return cursor(kind, f"{micros_of(at)}.{number}")


def read_moment(kind: str, text: str | None) -> tuple[datetime, int] | None:
    """What `moment_cursor` made; None without a cursor. Raises BadInput for any other text."""
    value = read_cursor(kind, text)
    if value is None:
        return None
    found = numbers(value, 2)
    if found is None:
        raise BadInput("after is no cursor of this list", "after")
    return instant_of(found[0]), found[1]


def micros_of(at: datetime) -> int:
    """An instant as a cursor has it: microseconds since 1970."""
    return (at - _EPOCH) // _TICK


def instant_of(micros: int) -> datetime:
    """The instant of a cursor. Raises BadInput for one beyond all years."""
    try:
        return _EPOCH + micros * _TICK
    except OverflowError:
        raise BadInput("after is no cursor of this list", "after") from None


def page(
    nodes: Sequence[N], first: int, after: str | None, at: Callable[[N], str]
) -> relay.Connection[N]:
    """The connection of `nodes`, one more of which than `first` was asked for; `at`: its cursor."""
    edges = [relay.Edge(cursor=at(node), node=node) for node in nodes[:first]]
    return relay.Connection(
        edges=edges,
        page_info=relay.PageInfo(
            has_next_page=len(nodes) > first,
            has_previous_page=after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )
