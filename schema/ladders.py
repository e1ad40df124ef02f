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
    declared: strawberry.Private[declarations.Ladder]

    @answer("The code, unique in the programme.", name="code")
    def _code(self) -> str:
        return self.code

    @answer("The tiers, lowest first.")
    def tiers(self) -> list[Tier]:
        return [Tier.of(t) for t in self.declared.tiers]

    @classmethod
    def of(cls, terms: LadderTerms) -> TierLadder:
        """From the rulebook."""
        ladder = terms.ladder
        return cls(
            code=ladder.code, name=ladder.name, measure=str(ladder.measure), window=ladder.window,
            hold=ladder.hold, grace=ladder.grace, soft_landing=ladder.soft_landing,
            time_zone=terms.time_zone, declared=ladder,
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
    """As of the instant asked for; what takes a search through time is reckoned if asked for."""

    holder: strawberry.Private[int]
    status: strawberry.Private[TierStatus]

    def _tier(self, rank: int) -> Tier:
        return Tier.of(self.status.ladder.ladder.tiers[rank])

    @answer("The ladder.")
    def ladder(self) -> TierLadder:
        return TierLadder.of(self.status.ladder)

    @answer("The tier held.")
    def current(self) -> Tier:
        return self._tier(self.status.rank)

    @answer("Since when; null for the first tier of who never had another.")
    def since(self) -> datetime | None:
        return self.status.since

    @answer("When it is lost if nothing more comes, grace included; null: not by time.")
    def until(self) -> datetime | None:
        return self.status.until

    @answer("The measure reached in the window.")
    def value(self) -> BigInt:
        return BigInt(self.status.value)

    @answer("The way up; null at the top.")
    def to_next(self) -> TierProgress | None:
        following, missing = self.status.next_rank, self.status.missing_to_next
        if following is None or missing is None:
            return None
        return TierProgress(tier=self._tier(following), missing=BigInt(missing))

    @answer("What keeps the tier; null where nothing threatens it.")
    def to_keep(self) -> TierKeep | None:
        until, missing = self.status.keep_until, self.status.keep_missing
        if until is None or missing is None:
            return None
        return TierKeep(missing=BigInt(missing), until=until)

    @answer("The tier after the judgment ahead; null where none is to come.")
    def projected(self) -> TierProjection | None:
        at = self.status.projected_at
        if at is None:
            return None
        return TierProjection(tier=self._tier(self.status.projected_rank), at=at)

    @answer("The tier given that is in force; null where none is.")
    def assignment(self, info: Info) -> TierAssignment | None:
        floor = self.status.floor
        if floor is None:
            return None
        return TierAssignment.of(info, self.status.ladder, self.holder, floor)

    @classmethod
    def of(cls, holder: int, status: TierStatus) -> MemberTier:
        """From the engine's figures."""
        return cls(holder=holder, status=status)


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
