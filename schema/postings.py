"""What every answer of a booked event has in common: its entries, its tier changes, its member.

Knows nothing of what was booked.
"""

from __future__ import annotations

from datetime import datetime

import strawberry

from core.outcomes import Recorded
from schema.context import Context, Info
from schema.fields import answer
from schema.ladders import TierChange
from schema.ledgers import LedgerEntry
from schema.redemptions import LazyMember


@strawberry.interface(description="Something stands in the books, now or since before.")
class Posted:
    """One posting on one member."""

    replayed: bool = strawberry.field(
        description="Whether it stood there before, and this is its first outcome."
    )
    booked_at: datetime = strawberry.field(description="When it was booked.")
    holder: strawberry.Private[int]

    @answer("What was booked for it, in all currencies.")
    async def entries(self, info: Info) -> list[LedgerEntry]:
        return await entries_of(info, self.holder, self.booked_at)

    @answer("The tiers that it changed.")
    async def tier_changes(self, info: Info) -> list[TierChange]:
        return await changes_of_tiers(info, self.holder, self.booked_at)

    @answer("Whose it is. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # a circle, closed here

        return await visible_member(info, self.holder)


def note_entries(context: Context, outcome: Recorded) -> None:
    """Keep what was just booked for whoever asks for its entries: nobody need look it up."""
    if not outcome.replayed:
        key = (outcome.holder, outcome.booked_at)
        context.loaders.posted.prime(key, list(outcome.moved))


async def entries_of(info: Info, holder: int, booked_at: datetime) -> list[LedgerEntry]:
    """What a posting booked."""
    posted = await info.context.loaders.posted.load((holder, booked_at))
    return [LedgerEntry.of(transfer) for transfer in posted]


async def changes_of_tiers(info: Info, holder: int, booked_at: datetime) -> list[TierChange]:
    """The tiers that a posting changed, as far as the viewer may know the ladders."""
    ladders = info.context.engine.rulebook.ladders
    own = info.context.partner
    return [
        TierChange.of(ladders[c.ladder], c.at, c.before, c.after)
        for c in await info.context.loaders.tier_changes.load((holder, booked_at))
        if c.ladder in ladders and (own is None or ladders[c.ladder].owner in (None, own.id))
    ]
