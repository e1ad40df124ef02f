"""A booked event of any kind, for those who watch everything. Knows nothing of who may watch."""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry import relay

from core.events import EventKind
from core.redeemed import from_row
from core.reviews import PROGRAMME
from core.store.lookups import EventRecord
from schema.context import Info
from schema.enums import words
from schema.fields import answer
from schema.ladders import TierChange
from schema.ledgers import LedgerEntry
from schema.partners import Partner, partner_of
from schema.postings import changes_of_tiers, entries_of
from schema.receipts import Purchase, visible_purchase
from schema.redemptions import LazyMember, Redemption

words(
    EventKind,
    "What was booked: at a till, by hand, or by time.",
    PURCHASE="A purchase was recorded.",
    REDEMPTION="Points were spent at once.",
    RESERVATION="Points were held for a redemption.",
    CONFIRMATION="What was held is redeemed.",
    CANCELLATION="A hold was called off.",
    TIME_OUT="A hold ran out.",
    REVIEW="A tier was reviewed.",
    RETURN="Part of a purchase came back.",
    CANCEL="All that was left of a purchase came back.",
    EDIT="A purchase has a new revision.",
    FULFILMENT="An event of a purchase came, such as shipped.",
    ADJUSTMENT="Points were given or taken by hand.",
    REVERSAL="A completed redemption was taken back.",
    NIGHT="Points became active or expired.",
    ASSIGNMENT="A tier was given by hand.",
    ASSIGNMENT_END="A tier that was given by hand ended.",
    LOT_MOVE="Lots were put under today's policy.",
    ACTIVITY="An activity was recorded.",
    OCCASION="An occasion of the member's came, such as a birthday.",
    WITHDRAWAL="An activity was withdrawn.",
    GIFT="Points were given to a colleague.",
    GIFT_RECEIVED="Points came from a colleague.",
    MEMBERSHIP="A membership was joined, renewed, cancelled or resumed.",
    MEMBERSHIP_DUE="The fee of a membership's next term was asked for.",
    PERK="A perk of a membership was used.",
)
_OF_PURCHASES = frozenset(
    {
        EventKind.PURCHASE,
        EventKind.RETURN,
        EventKind.CANCEL,
        EventKind.EDIT,
        EventKind.FULFILMENT,
    }
)


@strawberry.type(description="Something that was booked on a member.")
class BookedEvent:
    """One event of any kind."""

    record: strawberry.Private[EventRecord]
    redemption_id: strawberry.Private[int | None]

    @answer("Its id, by which two messages on one event are told to be the same.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(relay.GlobalID("BookedEvent", str(self.record.id))))

    @answer("What it is.")
    def kind(self) -> EventKind:
        return EventKind(self.record.kind)

    @answer("When it happened.")
    def at(self) -> datetime:
        return self.record.occurred_at

    @answer("When it was booked.")
    def booked_at(self) -> datetime:
        return self.record.booked_at

    @answer("At which partner; null for the programme's own: at night, or by hand.")
    async def partner(self, info: Info) -> Partner | None:
        partner = self.record.partner
        return None if partner == PROGRAMME else await partner_of(info, partner)

    @answer("On whom. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # a circle, closed here

        return await visible_member(info, self.record.holder)

    @answer("What was booked for it, in all currencies.")
    async def entries(self, info: Info) -> list[LedgerEntry]:
        return await entries_of(info, self.record.holder, self.record.booked_at)

    @answer("The tiers that it changed.")
    async def tier_changes(self, info: Info) -> list[TierChange]:
        return await changes_of_tiers(info, self.record.holder, self.record.booked_at)

    @answer("The purchase that it is, or is about, as it stands now; null for all else.")
    async def purchase(self, info: Info) -> Purchase | None:
        if self.record.kind not in _OF_PURCHASES:
            return None
        return await visible_purchase(info, self.record.purchase or self.record.id)

    @answer("The redemption that it is about, as it stands now; null for all else.")
    async def redemption(self, info: Info) -> Redemption | None:
        if self.redemption_id is None:
            return None
        key = (self.record.holder, self.redemption_id)
        row = await info.context.loaders.redemption.load(key)
        return None if row is None else Redemption.of(from_row(row))
