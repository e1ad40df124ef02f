"""Occasions that rules couldn't be told of yet, for a rule fails on them; and another try.

Knows nothing of how an occasion comes about.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core.occasions import tell
from core.store import attributes as store
from schema.access import SERVICE, STAFF, allow, allow_change, partner_for
from schema.context import Info
from schema.errors import BadInputError, NotAllowedError, UnknownReferenceError
from schema.fields import answer, change
from schema.partners import Partner, partner_of
from schema.redemptions import LazyMember

MOST_LISTED = 100


@strawberry.type(description="An occasion that a rule failed on. It is tried again, for some days.")
class FailingOccasion:
    """Gone once it is booked."""

    type: str = strawberry.field(description="What it is, such as birthday: the rules' trigger.")
    at: datetime = strawberry.field(description="When it was.")
    attempts: int = strawberry.field(description="How often it was tried; after 12 no more.")
    next_at: datetime | None = strawberry.field(
        description="When it is tried next; null: only by retryOccasions."
    )
    problem: str = strawberry.field(description="Why it couldn't be booked.")
    own_name: strawberry.Private[str]
    partner_id: strawberry.Private[int]
    holder: strawberry.Private[int]

    @answer(
        "The engine's own name of it, which holds the member's number. Null for others.",
        extensions=allow(admin=STAFF, quiet=True),
    )
    def name(self) -> str | None:
        return self.own_name

    @answer("Whose rules are to be told.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.partner_id)

    @answer("Whose it is. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # a circle, closed here

        return await visible_member(info, self.holder)

    @classmethod
    def of(cls, row: store.Failing) -> FailingOccasion:
        """From the store."""
        return cls(
            own_name=row.external_id, type=row.type, at=row.at, attempts=row.attempts,
            next_at=None if row.attempts >= store.MOST_ATTEMPTS else row.next_at,
            problem=row.problem, partner_id=row.partner, holder=row.holder,
        )  # fmt: skip


@strawberry.type(description="They were tried once more.")
class OccasionsRetried:
    """What fails again is listed again."""

    booked: int = strawberry.field(description="How many are booked now.")


RetryResult = Annotated[
    OccasionsRetried | BadInputError | UnknownReferenceError | NotAllowedError,
    strawberry.union(
        "RetryOccasionsResult", description="What came of it, or why it wasn't tried."
    ),
]


@strawberry.type(description="Queries on occasions.")
class OccasionQueries:
    """Root fields."""

    @answer(
        f"Occasions that a partner's rules fail on, the earliest first, at most {MOST_LISTED}.",
        extensions=allow(partner="purchases:read", admin=STAFF),
    )
    async def failing_occasions(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
    ) -> list[FailingOccasion]:
        terms = partner_for(info.context, partner)
        rows = await store.failing(terms.id, MOST_LISTED)
        return [FailingOccasion.of(row) for row in rows]


@strawberry.type(description="Commands on occasions.")
class OccasionMutations:
    """Safe to send again."""

    @change(
        "Try a partner's failing occasions once more, also those that were given up: its rules are "
        "mended.",
        extensions=allow_change(partner="purchases:write", admin=SERVICE),
    )
    async def retry_occasions(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
    ) -> RetryResult | None:
        context = info.context
        terms = partner_for(context, partner)
        holders = await store.again(terms.id, context.instant, MOST_LISTED)
        booked = await tell(context.engine, context.instant, holders) if holders else 0
        return OccasionsRetried(booked=booked)
