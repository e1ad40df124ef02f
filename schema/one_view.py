"""What a member's page shows beside points: purchases, surveys, what was said, what to do next.

The part of `Member` that a partner's staff calls its view of the customer. Whoever hands a member
out has asked whether the viewer may read it.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry import relay

from core.reviews import PROGRAMME
from schema.access import STAFF, allow
from schema.context import Info
from schema.enums import words
from schema.fields import answer
from schema.loading import NotePage, PurchasePage, SurveyPage
from schema.next_action import NextBestAction, next_best_action
from schema.notices import Notice, notices_of
from schema.paging import (
    NEWEST,
    After,
    First,
    check_first,
    cursor,
    instant_of,
    micros_of,
    page,
    read_number,
)
from schema.partners import Partner, partner_of
from schema.receipts import Purchase, visible_purchase
from schema.surveys import SurveyInvitation, invitations_of


class ContactKind(Enum):
    """Who said something to whom."""

    NOTICE = "notice"
    ASKED = "asked"
    ANSWERED = "answered"
    NOTE = "note"


words(
    ContactKind,
    "What was said.",
    NOTICE="The member was told ahead of time of what it will lose.",
    ASKED="The member was asked by a survey.",
    ANSWERED="The member answered.",
    NOTE="Staff wrote something when it adjusted points; told to staff alone.",
)


@strawberry.type(description="Something that was said to a member, by it, or of it.")
class Contact:
    """One of three kinds of things, in one order."""

    at: datetime = strawberry.field(description="When.")
    kind: ContactKind = strawberry.field(description="What it is.")
    notice: Notice | None = strawberry.field(
        description="What it was told; null for all else.", default=None
    )
    invitation: SurveyInvitation | None = strawberry.field(
        description="What it was asked, with what it answered; null for all else.", default=None
    )
    note: str | None = strawberry.field(
        description="What staff wrote; null for all else.", default=None
    )
    said_by: strawberry.Private[int | None] = None

    @answer("In which partner's name; null: in the programme's own.")
    async def partner(self, info: Info) -> Partner | None:
        return None if self.said_by is None else await partner_of(info, self.said_by)


@strawberry.type(description="What a member's page shows beside points.")
class OneView:
    """Fields of `Member`."""

    if TYPE_CHECKING:
        holder: int

    @answer(
        "The purchases, newest first, as they were booked. A partner is told its own, with "
        "`purchases:read` alone."
    )
    async def purchases(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[Purchase]:
        context = info.context
        place = _instant(read_number("purchase", after, NEWEST))
        own = None if context.partner is None else context.partner.id
        key = PurchasePage(self.holder, place, check_first(first) + 1, own)
        silent = context.viewer.role == "partner" and "purchases:read" not in context.viewer.scopes
        rows = [] if silent else await context.loaders.purchases.load(key)
        # All at once; then each is asked for as ever.
        await context.loaders.story.load_many([row.event for row in rows])
        shown = [await visible_purchase(info, row.event) for row in rows]
        nodes = [purchase for purchase in shown if purchase is not None]
        return page(
            nodes, first, after,
            lambda n: cursor("purchase", micros_of(n.story.steps[0].booked_at)),
        )  # fmt: skip

    @answer(
        "What the member was asked, newest first; a partner is told its own, with "
        "`engagement:read` alone."
    )
    async def survey_invitations(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        answered: Annotated[
            bool | None,
            strawberry.argument(description="Only those answered, or not; left out: all."),
        ] = None,
    ) -> relay.Connection[SurveyInvitation]:
        return await invitations_of(info, self.holder, first, after, answered)

    @answer(
        "What was said to the member, by it and of it, newest first: notices, surveys and their "
        "answers, and what staff wrote. A partner is told what is its own."
    )
    async def contacts(self, info: Info, first: First = 20) -> list[Contact]:
        return await _contacts(info, self.holder, check_first(first))

    @answer(
        "The one thing to do next for the member at a partner, and why. Null for a member, and "
        "for a partner of another one.",
        extensions=allow(partner="engagement:read", admin=STAFF, quiet=True),
    )
    async def next_best_action(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
    ) -> NextBestAction | None:
        return await next_best_action(info, self.holder, partner)


def _instant(micros: int) -> datetime | None:
    """Before which instant a page begins; None: with the newest."""
    return None if micros == NEWEST else instant_of(micros)


async def _contacts(info: Info, holder: int, most: int) -> list[Contact]:
    context = info.context
    viewer, own = context.viewer, context.partner
    scope = None if own is None else own.id
    told = await notices_of(info, holder, most, None)
    found = [Contact(at=e.node.at(), kind=ContactKind.NOTICE, notice=e.node) for e in told.edges]
    if viewer.role != "partner" or "engagement:read" in viewer.scopes:
        key = SurveyPage(holder, NEWEST, most, scope)
        for asked in await context.loaders.surveyed.load(key):
            node, by = SurveyInvitation.of(asked), asked.invitation.partner
            found.append(
                Contact(at=asked.invitation.at, kind=ContactKind.ASKED, invitation=node, said_by=by)
            )
            if asked.answer is not None:
                at = asked.answer.at
                found.append(Contact(at=at, kind=ContactKind.ANSWERED, invitation=node, said_by=by))
    if viewer.role == "admin" or (viewer.role == "partner" and "points:adjust" in viewer.scopes):
        for row in await context.loaders.staff_notes.load(NotePage(holder, most, scope)):
            by_whom = None if row.partner == PROGRAMME else row.partner
            found.append(Contact(at=row.at, kind=ContactKind.NOTE, note=row.note, said_by=by_whom))
    order = list(ContactKind)
    return sorted(found, key=lambda c: (c.at, order.index(c.kind)), reverse=True)[:most]
