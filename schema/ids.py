"""Global ids: what stands in them for a member depends on who asks.

The key of whatever belongs to a member begins with its holder's number. A partner is told its own
name for the member there instead, and names it by that: so no two partners can join what they know
by ids. What a member tells both, such as a referral code, is another matter.
Knows nothing of who may read what lies behind an id.
"""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import relay

from core.errors import BadInput, NotAllowed, UnknownReference
from schema.context import Context, Info

#: The types whose keys begin with a holder's number.
OF_HOLDERS = frozenset(
    {
        "Member", "Ledger", "LedgerEntry", "Lot", "Redemption", "Adjustment", "Notice",
        "TierAssignment", "MembershipTerm", "MeetupRegistration", "AheadOrder", "Colleague",
        "Recognition", "Fulfilment", "SurveyInvitation",
    }
)  # fmt: skip


class HolderNode(relay.Node):
    """An object that belongs to a member, with the member's name for whoever asks in its id."""

    @classmethod
    def resolve_id(cls, root: Any, *, info: Info) -> str:
        """The key, as the viewer is told it."""
        key = super().resolve_id(root, info=info)
        return told(info.context, str(key))


def told(context: Context, key: str) -> str:
    """A key that begins with a holder's number, as the viewer is told it."""
    partner = context.partner
    if partner is None:
        if context.viewer.role == "partner":  # which has gone meanwhile
            raise NotAllowed("this partner isn't installed", "partner")
        return key
    holder, dot, rest = key.partition(".")
    return f"{partner.pseudonyms.of(int(holder))}{dot}{rest}"


def holder_id(context: Context, type_name: str, key: str) -> strawberry.ID:
    """The id of something that belongs to a member, as the viewer is told it."""
    return strawberry.ID(str(relay.GlobalID(type_name, told(context, key))))


def meant(context: Context, type_name: str, key: str) -> str:
    """The other way round: the key that the viewer means.

    One that says nothing to this partner is a key of nothing: the empty one.
    """
    partner = context.partner
    if partner is None or type_name not in OF_HOLDERS:
        return key
    name, dot, rest = key.partition(".")
    holder = partner.pseudonyms.holder(name)
    return "" if holder is None else f"{holder}{dot}{rest}"


def parse_id(context: Context, text: str, *path: str) -> tuple[str, str]:
    """(type, key) of an id that this API handed out to the viewer. Raises BadInput."""
    try:
        parsed = relay.GlobalID.from_id(text)
    except relay.GlobalIDValueError:
        raise BadInput("this is no id of ours", *path) from None
    return parsed.type_name, meant(context, parsed.type_name, parsed.node_id)


def numbers(key: str, count: int) -> tuple[int, ...] | None:
    """The `count` numbers of a key such as 7.2.31, or None where it isn't one."""
    parts = key.split(".")
    if len(parts) != count or any(not p.isascii() or not p.isdigit() or len(p) > 18 for p in parts):
        return None
    return tuple(int(p) for p in parts)


def parse_number(context: Context, type_name: str, text: str, *path: str) -> int:
    """Like `parse_numbers`, for a key of one."""
    return parse_numbers(context, type_name, text, 1, *path)[0]


def parse_numbers(
    context: Context, type_name: str, text: str, count: int, *path: str
) -> tuple[int, ...]:
    """The numbers behind an id of this type. Raises BadInput; UnknownReference for another's id."""
    found, key = parse_id(context, text, *path)
    if found == type_name and not key:
        raise UnknownReference(f"this is no {type_name} that you know", *path)
    keys = numbers(key, count)
    if found != type_name or keys is None:
        raise BadInput(f"this is no id of a {type_name}", *path)
    return keys
