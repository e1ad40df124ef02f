"""Tier ladders, and where a member stands on them: what is reached, what is missing, what keeps it.

Knows nothing of how a standing is measured.
"""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry import relay

from core.judging import Floor
from core.rulebook import LadderTerms
from core.standings import TierStatus
from laurels import declarations
from schema.access import STAFF, allow
from schema.context import Info
from schema.fields import answer
from schema.ids import holder_id
from schema.scalars import BigInt


@strawberry.type(description="A rank on a ladder.")
class Tier:
    """By its place: the first is where everybody starts."""

    code: str = strawberry.field(description="The code, unique within the ladder.")
    name: str = strawberry.field(description="The name that members know.")
    threshold: BigInt = strawberry.field(description="The measure at which it is reached.")
    benefits: list[str] = strawberry.field(description="What it brings, in words.")
    never_down: bool = strawberry.field(
        description="Whether who has reached it never falls below it."
    )

    @classmethod
    def of(cls, tier: declarations.Tier) -> Tier:
        """From the rulebook."""
        return cls(
            code=tier.code, name=tier.name, threshold=BigInt(tier.at),
            benefits=list(tier.benefits), never_down=tier.never_down,
        )  # fmt: skip

    @classmethod
    def at(cls, ladder: LadderTerms, rank: int) -> Tier:
        """By its place; a place that the ladder no longer has is its top."""
        tiers = ladder.ladder.tiers
        return cls.of(tiers[min(rank, len(tiers) - 1)])


@strawberry.type(description="Tiers by one measure over one window.")
class TierLadder(relay.Node):
    """By its code, which is unique in the coalition."""

    code: relay.NodeID[str]
    name: str = strawberry.field(description="The name that members know.")
    measure: str = strawberry.field(
        description="What counts: earned:CURRENCY, spend:MONEY in minor units, or visits."
    )
    window: str | None = strawberry.field(
        description="What counts: 12M rolls and ends now, calendar 1Y begins anew with each year, "
        "anniversary 12M with the day of enrolment; null: all time."
    )
    hold: str | None = strawberry.field(
        description="How long a tier reached is kept before it is judged again, such as 12M."
    )
    grace: str | None = strawberry.field(
        description="How long after the review that found it a fall takes effect."
    )
    soft_landing: bool = strawberry.field(
        description="Whether a review takes one tier at most, however little is left."
    )
    time_zone: str = strawberry.field(description="The IANA zone of its reviews and periods.")
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
            hold=ladder.hold, grace=ladder.grace, soft_landing=ladder.soft_landing,
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
        description="The review that finds the tier no longer carried if nothing more comes before."
    )


@strawberry.type(description="What the judgment ahead comes to if nothing more comes.")
class TierProjection:
    """At the end of the period or of the hold, or at the review that threatens the tier."""

    tier: Tier = strawberry.field(description="The tier after it.")
    at: datetime = strawberry.field(description="When it is.")


@strawberry.type(
    description="A tier given by hand or for a status held elsewhere: at least that one is held."
)
class TierAssignment:
    """As it stands."""

    id: strawberry.ID = strawberry.field(description="By which it is ended before its time.")
    tier: Tier = strawberry.field(description="The tier given.")
    since: datetime = strawberry.field(description="From when on.")
    until: datetime | None = strawberry.field(description="Until when; null: for good.")
    status_match: bool = strawberry.field(
        description="Whether it is for a status that the member holds elsewhere."
    )
    reason: str | None = strawberry.field(description="Why, as a code; null but for admins.")

    @classmethod
    def of(cls, info: Info, ladder: LadderTerms, holder: int, floor: Floor) -> TierAssignment:
        """From the engine."""
        return cls(
            id=holder_id(info.context, cls.__name__, f"{holder}.{floor.event}"),
            tier=Tier.at(ladder, floor.rank), since=floor.since, until=floor.until,
            status_match=floor.match,
            reason=floor.reason if info.context.viewer.role == "admin" else None,
        )  # fmt: skip


@strawberry.type(description="Where a member stands on one ladder.")
class MemberTier:
    """As of the instant asked for."""

    ladder: TierLadder = strawberry.field(description="The ladder.")
    current: Tier = strawberry.field(description="The tier held.")
    since: datetime | None = strawberry.field(
        description="Since when; null for the first tier of who never had another."
    )
    until: datetime | None = strawberry.field(
        description="When it is lost if nothing more comes, grace included; null: not by time."
    )
    value: BigInt = strawberry.field(description="The measure reached in the window.")
    to_next: TierProgress | None = strawberry.field(description="The way up; null at the top.")
    to_keep: TierKeep | None = strawberry.field(
        description="What keeps the tier; null where nothing threatens it."
    )
    projected: TierProjection | None = strawberry.field(
        description="The tier after the judgment ahead; null where none is to come."
    )
    assignment: TierAssignment | None = strawberry.field(
        description="The tier given that is in force; null where none is."
    )

    @classmethod
    def of(cls, info: Info, holder: int, status: TierStatus) -> MemberTier:
        """From the engine's figures."""
        tiers = status.ladder.ladder.tiers
        to_next = to_keep = projected = assignment = None
        if status.projected_at is not None:
            projected = TierProjection(
                tier=Tier.of(tiers[status.projected_rank]), at=status.projected_at
            )
        if status.floor is not None:
            assignment = TierAssignment.of(info, status.ladder, holder, status.floor)
        if status.next_rank is not None and status.missing_to_next is not None:
            to_next = TierProgress(
                tier=Tier.of(tiers[status.next_rank]), missing=BigInt(status.missing_to_next)
            )
        if status.keep_until is not None and status.keep_missing is not None:
            to_keep = TierKeep(missing=BigInt(status.keep_missing), until=status.keep_until)
        return cls(
            ladder=TierLadder.of(status.ladder), current=Tier.of(tiers[status.rank]),
            since=status.since, until=status.until, value=BigInt(status.value),
            to_next=to_next, to_keep=to_keep, projected=projected, assignment=assignment,
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
        return cls(
            ladder=TierLadder.of(ladder), at=at, from_=Tier.at(ladder, before),
            to=Tier.at(ladder, after),
        )  # fmt: skip


@strawberry.type(description="Queries on tier ladders.")
class LadderQueries:
    """What anybody with a token may know of the coalition."""

    @answer(
        "The tier ladders of the programme and of its partners.",
        extensions=allow(member=True, partner="any", admin=STAFF),
    )
    async def tier_ladders(self, info: Info) -> list[TierLadder]:
        ladders = info.context.engine.rulebook.ladders.values()
        return [TierLadder.of(x) for x in sorted(ladders, key=lambda x: x.ladder.code)]
