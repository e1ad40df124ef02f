"""Subscriptions: what changed in the books, told as it stands at that moment.

Every message is read with loaders and an instant of its own, after asking anew who may see it.
Knows nothing of sockets, nor of how changes come here (`schema.feed`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Annotated, NamedTuple, TypeAlias, TypeVar

import strawberry
from graphql import GraphQLError

from core.errors import BadInput, UnknownReference
from core.lot_moves import find_currency
from core.outbox import ANSWERS
from core.redeemed import from_row
from schema.access import STAFF, allow_stream, may_see, partner_for, sees_currency
from schema.booked import BookedEvent
from schema.context import Context, Info
from schema.feed import Change, Follower, Place, Seen
from schema.fields import stream
from schema.ids import parse_numbers
from schema.inputs import MemberBy, known_holder, scope_of
from schema.ladders import MemberTier
from schema.ledgers import Ledger
from schema.paging import NEWEST
from schema.redemptions import Redemption
from schema.surveys import SurveyInvitation, visible_invitation

K = TypeVar("K", bound=Hashable)
#: After this long a subscriber is asked again who it is: a key that was revoked ends so.
LEASE = timedelta(seconds=60)
#: Redemptions of a member that are told at first.
_NEWEST = 20
_PRESENT = "At first, and after a break in which changes may have been missed, it is told as it is."
_MISSED = (
    "Changes only: after a break in which some may have been missed it ends with the code "
    "CHANGES_MISSED; then read anew and subscribe again."
)

Whose: TypeAlias = Annotated[
    MemberBy | None,
    strawberry.argument(
        description="Whose. A member's token follows its own and leaves it out; others name one."
    ),
]
#: What is to be told as it stands, by its keys.
State: TypeAlias = Callable[[], Awaitable[Sequence[K]]]


class EndedError(GraphQLError):
    """The credentials ended while something was followed: subscribe again with new ones."""

    def __init__(self) -> None:
        super().__init__(
            "these credentials have ended: subscribe again with new ones",
            extensions={"code": "UNAUTHENTICATED"},
        )


class MissedError(GraphQLError):
    """Changes may have been missed, and there is no present state to tell instead."""

    def __init__(self) -> None:
        super().__init__(
            "changes may have been missed: read anew and subscribe again",
            extensions={"code": "CHANGES_MISSED"},
        )


async def _authorise(context: Context, follower: Follower[K]) -> None:
    """Ask anew who is following. Raises EndedError once the credentials have ended."""
    if context.again is not None:
        context.viewer = await context.again()
    context.renew()
    until = context.viewer.until
    if context.viewer.role == "anonymous" or (until is not None and until <= context.instant):
        raise EndedError
    lease = context.instant + LEASE
    follower.extend(lease if until is None else min(until, lease))


async def _begin(context: Context, follower: Follower[K]) -> None:
    """A message of its own begins: a new instant, and nothing known from the one before."""
    context.renew()
    if follower.until is not None and follower.until <= context.instant:
        await _authorise(context, follower)


async def _followed(
    context: Context,
    place: Place,
    pick: Callable[[Change], Iterable[K]],
    state: State[K] | None = None,
) -> AsyncGenerator[K, None]:
    """What to tell of, one key a message: the state, then whatever changes."""
    with context.feed.follow(place, pick) as follower:
        await _authorise(context, follower)
        seen: Seen[K] = Seen(anew=state is not None)
        while True:
            if seen.due:
                await _authorise(context, follower)
            if seen.anew and state is None:
                raise MissedError
            keys: Sequence[K] = seen.keys
            if seen.anew and state is not None:
                await _begin(context, follower)
                keys = await state()
            for key in keys:
                await _begin(context, follower)
                yield key
            seen = await follower.look()


async def _holder(info: Info, member: MemberBy | None) -> int:
    """Whom a subscription is about. Raises UnknownReference, also for who may not be seen."""
    context = info.context
    own = context.viewer.holder
    if member is None:
        if own is None:
            raise BadInput("say whose", "member")
        return own
    holder = await known_holder(context, member, scope_of(context, None))
    await _check_seen(context, holder)
    return holder


async def _check_seen(context: Context, holder: int) -> None:
    if not await may_see(context, holder):
        raise UnknownReference("nobody is known by this", "member")


async def _redemption(info: Info, key: tuple[int, int]) -> Redemption | None:
    """A redemption, if there is one and the viewer may read it."""
    row = await info.context.loaders.redemption.load(key)
    if row is None:
        return None
    own = info.context.partner
    seen = await may_see(info.context, key[0]) if own is None else row["partner_id"] == own.id
    return Redemption.of(from_row(row)) if seen else None


class _Booked(NamedTuple):
    """By what an event is told once, however often its change comes."""

    event: int
    holder: int
    redemption: int | None


@strawberry.type(description="What can be followed, over graphql-transport-ws or as SSE.")
class Subscription:
    """Every field names the roles that may open it."""

    @stream(
        "A member's ledgers: each that changed, as it stands now. Several changes in a row may be "
        f"one message. {_PRESENT} What time does is told when it is booked. A partner is told "
        "those in currencies that it issues or accepts.",
        extensions=allow_stream(member=True, partner="members:read", admin=STAFF),
    )
    async def ledger_changed(
        self,
        info: Info,
        member: Whose = None,
        currency: Annotated[
            str | None, strawberry.argument(description="Only the one of this currency's code.")
        ] = None,
    ) -> AsyncGenerator[Ledger, None]:
        context = info.context
        holder = await _holder(info, member)
        only = None if currency is None else find_currency(context.engine.rulebook, currency).id

        def pick(change: Change) -> list[int]:
            return [key for key in change.currencies if only in (None, key)]

        async def state() -> list[int]:
            found = await context.loaders.ledgers.load(holder)
            return [key for key in found if only in (None, key)]

        keys = _followed(context, Place(holder=holder), pick, state)
        async with aclosing(keys):
            async for key in keys:
                await _check_seen(context, holder)
                if sees_currency(context, key):
                    yield Ledger.of(holder, key)

    @stream(
        "Where a member stands on each ladder on which its tier changed, as it stands now. "
        f"{_PRESENT} A partner is told of the ladders that it may use.",
        extensions=allow_stream(member=True, partner="members:read", admin=STAFF),
    )
    async def tier_changed(
        self,
        info: Info,
        member: Whose = None,
        ladder: Annotated[
            str | None, strawberry.argument(description="Only the one of this ladder's code.")
        ] = None,
    ) -> AsyncGenerator[MemberTier, None]:
        context = info.context
        holder = await _holder(info, member)
        ladders = context.engine.rulebook.ladders.values()
        if ladder is not None and ladder not in [terms.ladder.code for terms in ladders]:
            raise UnknownReference(f"there is no ladder '{ladder[:64]}'", "ladder")

        async def state() -> list[int]:
            return list(context.engine.rulebook.ladders)

        keys = _followed(context, Place(holder=holder), lambda change: change.ladders, state)
        async with aclosing(keys):
            async for key in keys:
                await _check_seen(context, holder)
                own = context.partner
                for status in await context.loaders.tiers(context.instant).load(holder):
                    terms = status.ladder
                    mine = own is None or terms.owner in (None, own.id)
                    if terms.id == key and mine and ladder in (None, terms.ladder.code):
                        yield MemberTier.of(holder, status)

    @stream(
        "Redemptions that were asked for, confirmed, cancelled, timed out or reversed, each as it "
        "stands now. Of a member the newest "
        f"{_NEWEST} are told at first, or the one that is named, and again after a break in which "
        "changes may have been missed. Of all members, for a partner its own and for an admin all: "
        f"{_MISSED[0].lower()}{_MISSED[1:]}",
        extensions=allow_stream(member=True, partner="redemptions:read", admin=STAFF),
    )
    async def redemption_changed(
        self,
        info: Info,
        member: Annotated[
            MemberBy | None,
            strawberry.argument(
                description="Whose. A member's token follows its own and leaves it out; others "
                "follow all members' without it."
            ),
        ] = None,
        redemption: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only the one of this id.")
        ] = None,
    ) -> AsyncGenerator[Redemption, None]:
        keys = await _redemptions(info, member, redemption)
        async with aclosing(keys):
            async for key in keys:
                found = await _redemption(info, key)
                if found is not None:
                    yield found

    @stream(
        f"Every event that is booked, as soon as it is. {_MISSED} Imports aren't told.",
        extensions=allow_stream(admin=STAFF),
    )
    async def activity(
        self,
        info: Info,
        partner: Annotated[
            str | None, strawberry.argument(description="Only at the partner of this code.")
        ] = None,
        member: Annotated[
            MemberBy | None, strawberry.argument(description="Only of this member.")
        ] = None,
    ) -> AsyncGenerator[BookedEvent, None]:
        context = info.context
        holder = None if member is None else await _holder(info, member)
        at = None if partner is None else partner_for(context, partner).id

        def pick(change: Change) -> list[_Booked]:
            meant = at in (None, change.partner) and holder in (None, change.holder)
            return [_Booked(change.event, change.holder, change.redemption)] if meant else []

        place = Place(holder=holder) if holder is not None else Place(partner=at)
        keys = _followed(context, place, pick)
        async with aclosing(keys):
            async for key in keys:
                record = await context.loaders.event.load(key.event)
                if record is not None:
                    yield BookedEvent(record=record, redemption_id=key.redemption)

    @stream(
        f"Answers to a partner's surveys, as they come in. {_MISSED}",
        extensions=allow_stream(partner="engagement:read", admin=STAFF),
    )
    async def survey_answered(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
        survey: Annotated[
            str | None, strawberry.argument(description="Only to the survey of this code.")
        ] = None,
    ) -> AsyncGenerator[SurveyInvitation, None]:
        context = info.context
        at = partner_for(context, partner).id

        def pick(change: Change) -> list[tuple[int, int]]:
            return [(change.holder, -change.event)] if change.kind in ANSWERS else []

        keys = _followed(context, Place(partner=at), pick)
        async with aclosing(keys):
            async for key in keys:
                found = await visible_invitation(info, *key)
                if found is not None and survey in (None, found.asked.invitation.survey):
                    yield found


async def _redemptions(
    info: Info, member: MemberBy | None, redemption: strawberry.ID | None
) -> AsyncGenerator[tuple[int, int], None]:
    """Which redemptions to tell of. Raises UnknownReference for one that may not be seen."""
    context = info.context

    def pick(change: Change) -> list[tuple[int, int]]:
        return [] if change.redemption is None else [(change.holder, change.redemption)]

    if redemption is not None:
        holder, number = parse_numbers(context, "Redemption", redemption, 2, "redemption")
        if await _redemption(info, (holder, number)) is None:
            raise UnknownReference("no such redemption", "redemption")

        async def that() -> list[tuple[int, int]]:
            return [(holder, number)]

        place = Place(holder=holder)
        return _followed(context, place, lambda c: [k for k in pick(c) if k[1] == number], that)
    if member is None and context.viewer.holder is None:
        own = context.partner
        return _followed(context, Place(partner=None if own is None else own.id), pick)
    whose = await _holder(info, member)

    async def newest() -> list[tuple[int, int]]:
        rows = await context.loaders.redemptions.load((whose, NEWEST, _NEWEST))
        return [(whose, from_row(row).id) for row in reversed(rows)]

    return _followed(context, Place(holder=whose), pick, newest)
