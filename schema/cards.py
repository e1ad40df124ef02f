"""A member's card: the number that a till scans, and a picture of it.

Knows nothing of how numbers are made: `core.cards` does.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from core import cards as engine
from core.members import IdentifierKind
from schema.access import SERVICE, allow_change
from schema.acts import watch_identifiers
from schema.context import Info
from schema.errors import (
    BadInputError,
    NotAllowedError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.inputs import MemberBy
from schema.noted import whose


@strawberry.type(description="What a member shows at a till.")
class Card:
    """Tills name the member by its number."""

    number: str = strawberry.field(description="The number, as a till sends it.")

    @answer(
        "The number as a QR code: an SVG element, to be put into a page or a wallet as it is. It "
        "scales with its size."
    )
    def qr(self) -> str:
        import segno  # of those who ask for a picture alone

        picture: str = segno.make_qr(self.number).svg_inline(omitsize=True)
        return picture


CardResult = Annotated[
    Card | BadInputError | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("CreateCardResult", description="The card, or why there is none."),
]


async def card_of(info: Info, holder: int) -> Card | None:
    """The card that a member shows, if there is one; no partner is told."""
    if info.context.viewer.role == "partner":
        return None
    known = await info.context.loaders.identifiers.load(holder)
    number = engine.shown([value for kind, _, value in known if kind == IdentifierKind.CARD])
    return None if number is None else Card(number=number)


@strawberry.type(description="Commands on cards.")
class CardMutations:
    """Root fields."""

    @change(
        "Make sure that a member has a card, and tell it. Safe to send again.",
        extensions=allow_change(member=True, admin=SERVICE),
    )
    async def create_card(
        self,
        info: Info,
        member: Annotated[
            MemberBy | None,
            strawberry.argument(
                description="Whose; a member's token leaves it out, and means that member."
            ),
        ] = None,
    ) -> CardResult | None:
        context = info.context
        holder = await whose(context, member, "card")
        await watch_identifiers(context, holder)
        return Card(number=await engine.card_for(holder))
