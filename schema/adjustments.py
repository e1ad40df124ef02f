"""Adjustments by hand: points given or taken with a reason, and the report of them.

Knows nothing of limits or lots: `core.adjustments` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core import adjustments as engine
from core.errors import BadInput, UnknownReference
from core.purchases import check_text
from core.reviews import PROGRAMME
from core.store import adjustments as store
from schema.access import (
    SERVICE,
    STAFF,
    allow,
    allow_change,
    knows,
    partner_for,
    sees_currency,
)
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    NotEligibleError,
    UnknownReferenceError,
)
from schema.fields import answer, change
from schema.ids import HolderNode, numbers, parse_id
from schema.inputs import MemberBy, known_holder, scope_of
from schema.ledgers import LedgerEntry
from schema.paging import After, First, check_first, moment_cursor, page, read_moment
from schema.partners import Currency, Partner, currency_of, partner_of
from schema.postings import Posted
from schema.receipts import Purchase, knows_purchase, visible_purchase
from schema.redemptions import LazyMember
from schema.scalars import BigInt


@strawberry.type(description="What an adjustment may be for.")
class AdjustmentReason:
    """One of the programme's own list."""

    code: str = strawberry.field(description="The code that an adjustment names.")
    title: str = strawberry.field(description="What it means, in words; the code where it is gone.")


@strawberry.type(description="How many points of a currency may be given or taken by hand.")
class AdjustmentLimits:
    """What is given and what is taken both count."""

    each: BigInt | None = strawberry.field(description="At once; null: no limit.")
    per_day: BigInt | None = strawberry.field(
        description="By one caller in one day of the programme; null: no limit."
    )


@strawberry.type(description="What the viewer may adjust, and for which reasons.")
class AdjustmentTerms:
    """By the programme's settings."""

    reasons: list[AdjustmentReason] = strawberry.field(description="The reasons there are.")
    limits: AdjustmentLimits | None = strawberry.field(
        description="The viewer's limits; null where it may not adjust at all."
    )


@strawberry.type(description="Points given or taken by hand.")
class Adjustment(HolderNode):
    """As it stands in the books; what was said of it in words may have been erased."""

    key: relay.NodeID[str]
    told: strawberry.Private[store.Told]

    @classmethod
    def of(cls, told: store.Told) -> Adjustment:
        """From the books."""
        return cls(key=f"{told.row.holder}.{told.row.event}", told=told)

    @answer("When.")
    def at(self) -> datetime:
        return self.told.row.at

    @answer("The points: above zero given, below zero taken.")
    def points(self) -> BigInt:
        return BigInt(self.told.row.points)

    @answer(
        "The sum of this reason in this currency up to and with this one, within what the report "
        "was asked for; null outside a report."
    )
    def running_total(self) -> BigInt | None:
        return None if self.told.running is None else BigInt(self.told.running)

    @answer("Why.")
    def reason(self, info: Info) -> AdjustmentReason:
        return _reason(info.context, self.told.row.reason)

    @answer("What was said of it in words; null where nothing was, or where it was erased.")
    def note(self) -> str | None:
        return self.told.note

    @answer("Whether it counts for tiers.")
    def counts(self) -> bool:
        return self.told.row.counts

    @answer("Who did it: the role, and the partner where one did; admins are told which admin.")
    def caller(self, info: Info) -> str:
        role, _, who = self.told.row.caller.partition(":")
        # Which admin it was is no partner's affair.
        told = role == "partner" or info.context.viewer.role == "admin"
        return f"{role}:{who}" if who and told else role

    @answer("The unit.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.told.row.currency)

    @answer("In which partner's name. Null: in the programme's own.")
    async def partner(self, info: Info) -> Partner | None:
        partner = self.told.row.partner
        return None if partner == PROGRAMME else await partner_of(info, partner)

    @answer("The entry in the member's ledger. Null where the viewer may not read it.")
    async def entry(self, info: Info) -> LedgerEntry | None:
        row = self.told.row
        if not sees_currency(info.context, row.currency):
            return None
        found = await info.context.loaders.entry.load((row.holder, row.currency, row.seq))
        return None if found is None else LedgerEntry.of(found)

    @answer("The purchase that it was for; null where it was for none, or none that is readable.")
    async def cause(self, info: Info) -> Purchase | None:
        row = self.told.row
        if row.cause is None or not self.told.for_purchase:
            return None
        return await visible_purchase(info, row.cause)

    @answer(
        "Whether the purchase that it was for was cancelled or came back whole since: then think "
        "of taking it back. Null where it was for no purchase."
    )
    def cause_came_back(self) -> bool | None:
        return self.told.came_back

    @answer("Whose points. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # a circle, closed here

        return await visible_member(info, self.told.row.holder)


def _reason(context: Context, code: str) -> AdjustmentReason:
    titles = context.engine.rulebook.adjustments.reasons
    return AdjustmentReason(code=code, title=titles.get(code, code))


@strawberry.type(description="What was adjusted for one reason in one currency.")
class AdjustmentTotal:
    """Over everything that the report is about, not one page of it."""

    total: strawberry.Private[store.Total]

    @answer("Why.")
    def reason(self, info: Info) -> AdjustmentReason:
        return _reason(info.context, self.total.reason)

    @answer("The unit.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.total.currency)

    @answer("How many adjustments.")
    def times(self) -> int:
        return self.total.times

    @answer("The points given.")
    def added(self) -> BigInt:
        return BigInt(self.total.added)

    @answer("The points taken, above zero.")
    def taken(self) -> BigInt:
        return BigInt(self.total.taken)


@strawberry.type(description="A page of adjustments, newest first, with the totals of all.")
class AdjustmentConnection(relay.Connection[Adjustment]):
    """What was asked for."""

    totals: list[AdjustmentTotal] = strawberry.field(
        description="By reason and currency, over everything that was asked for."
    )


@strawberry.input(description="Points to give or to take by hand.")
class AdjustPointsInput:
    """Within the limits of the caller's role."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    member: MemberBy = strawberry.field(description="Whose points.")
    currency: str = strawberry.field(description="The currency's code.")
    points: BigInt = strawberry.field(description="Above zero: given. Below zero: taken.")
    reason: str = strawberry.field(description="The code of a reason, see adjustmentTerms.")
    cause: strawberry.Maybe[strawberry.ID] = strawberry.field(
        description="The id of the purchase, or of the ledger entry, that it is for."
    )
    counts: bool = strawberry.field(
        description="Whether it counts for tiers, up or down.", default=False
    )
    note: str = strawberry.field(
        description="Free words, which can be erased later; up to 2000 characters.", default=""
    )
    partner: strawberry.Maybe[str] = strawberry.field(
        description="The code of the partner in whose name; a partner's token means its own. Left "
        "out by an admin: in the programme's name."
    )


@strawberry.type(description="The adjustment stands in the books.")
class PointsAdjusted(Posted):
    """Now, or since before."""

    adjustment: Adjustment = strawberry.field(description="The adjustment.")


AdjustResult = Annotated[
    PointsAdjusted
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | NotEligibleError
    | IdempotencyConflictError,
    strawberry.union("AdjustPointsResult", description="The adjustment, or why there is none."),
]


async def _cause(info: Info, holder: int, text: str) -> int:
    """The event behind a purchase or an entry that is the viewer's affair."""
    kind, key = parse_id(info.context, text, "cause")
    place = numbers(key, 3 if kind == "LedgerEntry" else 1)
    if kind == "Purchase" and place is not None:
        if await knows_purchase(info, place[0]):
            return place[0]
    elif kind == "LedgerEntry" and place is not None and max(place[1:]) < 2**31:
        entry = await info.context.loaders.entry.load((place[0], place[1], place[2]))
        readable = entry is not None and sees_currency(info.context, entry.currency)
        if entry is not None and readable and entry.holder == holder:
            return entry.event
    elif kind not in ("Purchase", "LedgerEntry"):
        raise BadInput("a purchase or a ledger entry is a cause", "cause")
    raise UnknownReference("nothing of the kind happened to this member", "cause")


@strawberry.type(description="Commands that adjust points.")
class AdjustmentMutations:
    """Root fields."""

    @change(
        "Give or take points by hand, within the limits of the caller's role.",
        extensions=allow_change(partner="points:adjust", admin=SERVICE),
    )
    async def adjust_points(
        self,
        info: Info,
        input: Annotated[AdjustPointsInput, strawberry.argument(description="What to adjust.")],
    ) -> AdjustResult | None:
        context, own = info.context, info.context.partner
        check_text(input.key, "key", 255, least=1)
        code = None if own is None else own.code
        if input.partner is not None:
            code = input.partner.value
            partner_for(context, code)
        holder = await known_holder(context, input.member, scope_of(context, code))
        if not await knows(context, holder):
            raise UnknownReference("no such member", "member")
        cause = None if input.cause is None else await _cause(info, holder, input.cause.value)
        request = engine.AdjustRequest(
            context.viewer.caller, input.key, context.viewer.role, holder, input.currency,
            input.points, input.reason, cause, input.counts, input.note, code,
        )  # fmt: skip
        done = await engine.adjust(context.engine, request, context.instant)
        return PointsAdjusted(
            replayed=done.replayed, booked_at=done.row.booked_at, holder=holder,
            adjustment=Adjustment.of(done.told),
        )  # fmt: skip


def _cursor(node: Adjustment) -> str:
    return moment_cursor("adjustment", node.told.row.at, node.told.row.event)


async def visible_adjustment(info: Info, holder: int, event: int) -> Adjustment | None:
    """The adjustment of this event, if there is one and the viewer may read it."""
    if info.context.viewer.role not in ("admin", "partner"):
        return None
    told, own = await store.read(holder, event), info.context.partner
    if told is None or (own is not None and told.row.partner != own.id):
        return None
    return Adjustment.of(told)


@strawberry.type(description="Queries on adjustments.")
class AdjustmentQueries:
    """Root fields."""

    @answer(
        "Points given or taken by hand, newest first, with totals by reason. A partner is told "
        "what was done in its own name.",
        extensions=allow(partner="points:adjust", admin=STAFF),
    )
    async def adjustments(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        reason: Annotated[
            str | None, strawberry.argument(description="Only those for this reason's code.")
        ] = None,
        partner: Annotated[
            str | None, strawberry.argument(description="Only those in this partner's name.")
        ] = None,
        since: Annotated[
            datetime | None,
            strawberry.argument(name="from", description="Only those from this instant on."),
        ] = None,
        until: Annotated[
            datetime | None, strawberry.argument(description="Only those before this instant.")
        ] = None,
    ) -> AdjustmentConnection:
        own = info.context.partner
        if partner is not None:
            own = partner_for(info.context, partner)
        wanted = store.Filter(
            None if reason is None else check_text(reason, "reason", 64),
            None if own is None else own.id, since, until,
        )  # fmt: skip
        found, totals = await store.report(
            wanted, read_moment("adjustment", after), check_first(first) + 1
        )
        base = page([Adjustment.of(told) for told in found], first, after, _cursor)
        return AdjustmentConnection(
            edges=base.edges, page_info=base.page_info,
            totals=[AdjustmentTotal(total=total) for total in totals],
        )  # fmt: skip

    @answer(
        "For which reasons points are adjusted, and how many the viewer may adjust.",
        extensions=allow(partner="points:adjust", admin=STAFF),
    )
    async def adjustment_terms(self, info: Info) -> AdjustmentTerms:
        settings = info.context.engine.rulebook.adjustments
        limits = settings.admin if info.context.viewer.role == "admin" else settings.partner
        return AdjustmentTerms(
            reasons=[AdjustmentReason(code=c, title=t) for c, t in settings.reasons.items()],
            limits=None
            if limits is None
            else AdjustmentLimits(each=_points(limits.each), per_day=_points(limits.per_day)),
        )


def _points(limit: int | None) -> BigInt | None:
    return None if limit is None else BigInt(limit)
