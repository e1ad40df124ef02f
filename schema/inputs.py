"""By what a caller names a member, and the small texts of inputs, checked field by field.

Raises `BadInput` naming the field. Knows no query but the look-up of an identifier.
"""

from __future__ import annotations

import strawberry

from core.errors import BadInput, UnknownReference
from core.members import TOLD, IdentifierKind, MemberRef
from core.purchases import find_partner
from core.store import lookups
from laurels.durations import Duration
from laurels.errors import DeclarationError
from laurels.money import Money, MoneyError, to_minor
from schema.acts import watch_member
from schema.context import Context
from schema.ids import parse_number


@strawberry.input(one_of=True, description="One identifier of a member.")
class MemberIdentifier:
    """What a till knows of its customer."""

    email: strawberry.Maybe[str] = strawberry.field(description="The e-mail address.")
    phone: strawberry.Maybe[str] = strawberry.field(description="The telephone number.")
    card: strawberry.Maybe[str] = strawberry.field(description="The number of a card or app code.")
    reference: strawberry.Maybe[str] = strawberry.field(
        description="The partner's own reference; it counts within that partner only."
    )


@strawberry.input(one_of=True, description="One member: its id, or one of its identifiers.")
class MemberBy:
    """Like `MemberIdentifier`, and by the id that this API hands out."""

    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="The member's id here.")
    email: strawberry.Maybe[str] = strawberry.field(description="The e-mail address.")
    phone: strawberry.Maybe[str] = strawberry.field(description="The telephone number.")
    card: strawberry.Maybe[str] = strawberry.field(description="The number of a card or app code.")
    reference: strawberry.Maybe[str] = strawberry.field(
        description="The partner's own reference; it counts within that partner only."
    )


def identifier(given: MemberIdentifier | MemberBy, scope: int | None) -> MemberRef:
    """The identifier given, normalised. `scope` is the partner's id; None where none is named."""
    for kind in TOLD:
        value = getattr(given, kind.name.lower())
        if value is not None:
            if kind is IdentifierKind.REFERENCE and scope is None:
                raise BadInput("a reference needs its partner named", "member", "reference")
            return MemberRef.make(kind, value.value, scope or 0)
    raise BadInput("one of email, phone, card or reference is needed", "member")


async def find_holder(context: Context, given: MemberBy, scope: int | None) -> int | None:
    """The holder that is meant, if there is one."""
    if given.id is not None:
        return parse_number(context, "Member", given.id.value, "member", "id")
    return await lookups.holder_of(*identifier(given, scope).key)


async def known_holder(context: Context, given: MemberBy, scope: int | None) -> int:
    """Like `find_holder`; raises UnknownReference where nobody is meant."""
    holder = await find_holder(context, given, scope)
    if holder is None:
        raise UnknownReference("nobody is known by this", "member")
    await watch_member(context, holder)
    return holder


def scope_of(context: Context, partner: str | None) -> int | None:
    """Within which partner a reference counts: the one that asks, or one that an admin names."""
    if context.partner is not None:
        return context.partner.id
    return None if partner is None else find_partner(context.engine.rulebook, partner).id


def parse_duration(text: str, *path: str) -> Duration:
    """A duration such as 30D or 2h. Raises BadInput."""
    try:
        return Duration.parse(text)
    except DeclarationError as error:
        raise BadInput(str(error), *path) from None


def parse_money(amount: str, currency: str, *path: str) -> Money:
    """An amount in major units of an ISO 4217 currency. Raises BadInput."""
    try:
        return Money(to_minor(amount, currency), currency)
    except MoneyError as error:
        raise BadInput(str(error), *path) from None
