"""Tier ladders, and where a member stands on them: what is reached, what is missing, what keeps it.

Knows nothing of how a standing is measured.
"""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry import relay

from core.rulebook import LadderTerms
from core.standings import TierStatus
from laurels import declarations
from schema.access import allow
from schema.context import Info
from schema.fields import answer
from schema.scalars import BigInt


@strawberry.type(description="A rank on a ladder.")
class Tier:
    """By its place: the first is where everybody starts."""

    code: str = strawberry.field(description="The code, unique within the ladder.")
    name: str = strawberry.field(description="The name that members know.")
    threshold: BigInt = strawberry.field(description="The measure at which it is reached.")
    benefits: list[str] = strawberry.field(description="What it brings, in words.")

    @classmethod
    def of(cls, tier: declarations.Tier) -> Tier:
        """From the rulebook."""
        return cls(
            code=tier.code, name=tier.name, threshold=BigInt(tier.at), benefits=list(tier.benefits)
        )


@strawberry.type(description="Tiers by one measure over one window.")
class TierLadder(relay.Node):
    """By its code, which is unique in the coalition."""

    code: relay.NodeID[str]
    name: str = strawberry.field(description="The name that members know.")
    measure: str = strawberry.field(
        description="What counts: earned:CURRENCY, spend:MONEY in minor units, or visits."
    )
    window: str | None = strawberry.field(
        description="The rolling window that ends now, such as 12M; null: all time."
    )
    time_zone: str = strawberry.field(description="The IANA zone of its nightly review.")
    tiers: list[Tier] = strawberry.field(description="The tiers, lowest first.")

    @answer("The code, unique in the programme.", name="code")
    def _code(self) -> str:
        return self.code

    @classmethod
    def of(cls, terms: LadderTerms) -> TierLadder:
        """From the rulebook."""
        ladder = terms.ladder
        return cls(
            code=ladder.code, name=ladder.name, measure=str(ladder.measure), window=ladder.window,
            time_zone=terms.time_zone, tiers=[Tier.of(t) for t in ladder.tiers],
        )  # fmt: skip


@strawberry.type(description="What the next tier still asks for.")
class TierProgress:
    """Upwards."""

    tier: Tier = strawberry.field(description="The next tier.")
    missing: BigInt = strawberry.field(description="How much of the measure is missing.")


@strawberry.type(description="What would keep the tier when its window moves on.")
class TierKeep:
    """Against falling."""

    missing: BigInt = strawberry.field(description="How much of the measure would keep it.")
    until: datetime = strawberry.field(
        description="The review that takes the tier if nothing more comes before."
    )


@strawberry.type(description="Where a member stands on one ladder.")
class MemberTier:
    """As of the instant asked for."""

    ladder: TierLadder = strawberry.field(description="The ladder.")
    current: Tier = strawberry.field(description="The tier held.")
    value: BigInt = strawberry.field(description="The measure reached in the window.")
    to_next: TierProgress | None = strawberry.field(description="The way up; null at the top.")
    to_keep: TierKeep | None = strawberry.field(
        description="What keeps the tier; null where nothing threatens it."
    )

    @classmethod
    def of(cls, status: TierStatus) -> MemberTier:
        """From the engine's figures."""
        tiers = status.ladder.ladder.tiers
        to_next = to_keep = None
        if status.next_rank is not None and status.missing_to_next is not None:
            to_next = TierProgress(
                tier=Tier.of(tiers[status.next_rank]), missing=BigInt(status.missing_to_next)
            )
        if status.keep_until is not None and status.keep_missing is not None:
            to_keep = TierKeep(missing=BigInt(status.keep_missing), until=status.keep_until)
        return cls(
            ladder=TierLadder.of(status.ladder), current=Tier.of(tiers[status.rank]),
            value=BigInt(status.value), to_next=to_next, to_keep=to_keep,
        )  # fmt: skip


@strawberry.type(description="A member's tier changed.")
class TierChange:
    """Up or down."""

    ladder: TierLadder = strawberry.field(description="The ladder.")
    at: datetime = strawberry.field(description="When it took effect.")
    from_: Tier = strawberry.field(name="from", description="The tier before.")
    to: Tier = strawberry.field(description="The tier since.")

    @classmethod
    def of(cls, ladder: LadderTerms, at: datetime, before: int, after: int) -> TierChange:
        """From ranks, which are places in the ladder's tiers."""
        tiers = ladder.ladder.tiers
        return cls(
            ladder=TierLadder.of(ladder), at=at, from_=Tier.of(tiers[before]),
            to=Tier.of(tiers[after]),
        )  # fmt: skip


@strawberry.type(description="Queries on tier ladders.")
class LadderQueries:
    """What anybody with a token may know of the coalition."""

    @answer(
        "The tier ladders of the programme and of its partners.",
        extensions=allow("member", "partner", "admin"),
    )
    async def tier_ladders(self, info: Info) -> list[TierLadder]:
        ladders = info.context.engine.rulebook.ladders.values()
        return [TierLadder.of(x) for x in sorted(ladders, key=lambda x: x.ladder.code)]
