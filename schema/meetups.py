"""Meetups, and members' registrations for them: read here, changed in `schema.meetup_changes`.

Members and admins read them all, a partner its own. Knows nothing of what attending earns.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core.attending import occasion_of
from core.errors import BadInput
from core.store import meetups as store
from core.store.meetups import MeetupRow, RegistrationRow
from schema.access import STAFF, allow, may_see, partner_for
from schema.context import Context, Info
from schema.fields import answer
from schema.ids import HolderNode, meant, numbers, told
from schema.ledgers import LedgerEntry
from schema.paging import (
    NEWEST,
    After,
    First,
    check_first,
    cursor,
    moment_cursor,
    page,
    read_cursor,
    read_moment,
    read_number,
)
from schema.partners import Partner, partner_of
from schema.postings import entries_of
from schema.redemptions import LazyMember
from schema.rewards import RequiredTier


@strawberry.type(description="Where a meetup is.")
class MeetupPlace:
    """A circle on the map."""

    name: str = strawberry.field(description="Its name, or its address.")
    latitude: float = strawberry.field(description="Degrees, north above zero.")
    longitude: float = strawberry.field(description="Degrees, east above zero.")
    radius: int = strawberry.field(description="So many metres around it one may check in.")


@strawberry.type(description="What a member shows to check in, as a QR code say.")
class CheckInCode:
    """A picture of it is worth nothing minutes later."""

    text: str = strawberry.field(description="The code, letters, digits, dots, `-` and `_`.")
    until_at: datetime = strawberry.field(
        name="until",
        description="Until when (exclusive) it is good, two minutes at the longest: ask anew.",
    )


@strawberry.type(description="What a partner invites members to, at a place and a time.")
class Meetup(relay.Node):
    """As it stands now."""

    number: relay.NodeID[int]
    row: strawberry.Private[MeetupRow]

    @classmethod
    def of(cls, row: MeetupRow) -> Meetup:
        """From the store."""
        return cls(number=row.id, row=row)

    @answer("The partner's own code of it, such as ridge-2026-05.")
    def code(self) -> str:
        return self.row.code

    @answer("What it is.")
    def title(self) -> str:
        return self.row.title

    @answer("Who invites.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.row.partner)

    @answer("Where it is.")
    def place(self) -> MeetupPlace:
        row = self.row
        return MeetupPlace(
            name=row.place, latitude=row.latitude, longitude=row.longitude, radius=row.radius
        )

    @answer("When it starts.")
    def starts_at(self) -> datetime:
        return self.row.starts_at

    @answer("When it ends; from then on nobody checks in.")
    def ends_at(self) -> datetime:
        return self.row.ends_at

    @answer("From when on (inclusive) one may check in, until the end (exclusive).")
    def check_in_from(self) -> datetime:
        return self.row.opens_at

    @answer("For how many there is room; null: for any number.")
    def capacity(self) -> int | None:
        return self.row.capacity

    @answer("How many places are left; null: there is no limit.")
    def places_left(self) -> int | None:
        return None if self.row.capacity is None else self.row.capacity - self.row.taken

    @answer("The tier that one needs to register, at least; null: none.")
    def tier(self) -> RequiredTier | None:
        row = self.row
        if row.ladder is None or row.tier is None:
            return None
        return RequiredTier(ladder=row.ladder, tier=row.tier)

    @answer("From when on no tier is needed; null: never, or it is for all.")
    def open_to_all_at(self) -> datetime | None:
        return self.row.all_from

    @answer("What it is of: rules may count these, and collections are of them.")
    def tags(self) -> list[str]:
        return list(self.row.tags)

    @answer("When it was cancelled; null: it takes place.")
    def cancelled_at(self) -> datetime | None:
        return self.row.cancelled_at

    @answer(
        "The member's own registration, one that was cancelled too. Null where there is none.",
        extensions=allow(member=True, quiet=True),
    )
    async def my_registration(self, info: Info) -> MeetupRegistration | None:
        holder = info.context.viewer.holder
        if holder is None:
            return None
        row = await info.context.loaders.registration.load((holder, self.row.id))
        return None if row is None else MeetupRegistration.of(row)

    @answer(
        "Who is registered, in the order of their enrolment; cancelled ones aren't told. Null for "
        "members.",
        extensions=allow(partner="engagement:read", admin=STAFF, quiet=True),
    )
    async def registrations(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[MeetupRegistration] | None:
        seen = _seen(info.context, after)
        key = (self.row.id, seen, check_first(first) + 1)
        rows = await info.context.loaders.registered.load(key)
        nodes = [MeetupRegistration.of(row) for row in rows]
        return page(nodes, first, after, lambda n: _cursor(info.context, n))


@strawberry.type(description="A member's place at a meetup.")
class MeetupRegistration(HolderNode):
    """As it stands now."""

    key: relay.NodeID[str]
    row: strawberry.Private[RegistrationRow]

    @classmethod
    def of(cls, row: RegistrationRow) -> MeetupRegistration:
        """From the store."""
        return cls(key=f"{row.holder}.{row.meetup}", row=row)

    @answer("What it is for.")
    async def meetup(self, info: Info) -> Meetup:
        row = await info.context.loaders.meetup.load(self.row.meetup)
        assert row is not None
        return Meetup.of(row)

    @answer("When the member registered.")
    def registered_at(self) -> datetime:
        return self.row.at

    @answer("When it was cancelled; null: it stands, unless the meetup itself is cancelled.")
    def cancelled_at(self) -> datetime | None:
        return self.row.cancelled_at

    @answer("When the member checked in; null: not yet.")
    def attended_at(self) -> datetime | None:
        return self.row.attended_at

    @answer(
        "The code to check in with, made anew each time. Null for all but the member itself, and "
        "where it can't check in any more.",
        extensions=allow(member=True, quiet=True),
    )
    async def check_in_code(self, info: Info) -> CheckInCode | None:
        context, row = info.context, self.row
        gone = row.cancelled_at is not None or row.attended_at is not None
        if gone or context.check_ins is None or context.viewer.holder != row.holder:
            return None
        meetup = await context.loaders.meetup.load(row.meetup)
        partner = context.engine.rulebook.partner_by_id(row.partner)
        if meetup is None or partner is None or meetup.cancelled_at is not None:
            return None
        if context.instant >= meetup.ends_at:
            return None
        name = partner.pseudonyms.of(row.holder)
        shown = context.check_ins.make(row.meetup, name, context.instant)
        return CheckInCode(text=shown.text, until_at=shown.until)

    @answer(
        "When rules had been told of it and what it earned was booked; null: the member wasn't "
        "there, or a rule fails on it (see failingOccasions) and it is tried again."
    )
    async def booked_at(self, info: Info) -> datetime | None:
        if self.row.attended_at is None:
            return None
        key = (self.row.partner, occasion_of(self.row.meetup, self.row.holder))
        return await info.context.loaders.attended.load(key)

    @answer("What attending earned, in all currencies.")
    async def entries(self, info: Info) -> list[LedgerEntry]:
        booked_at = await self.booked_at(info)
        return [] if booked_at is None else await entries_of(info, self.row.holder, booked_at)

    @answer("Whose it is. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # a circle, closed here

        holder = self.row.holder
        return await visible_member(info, holder)


def _cursor(context: Context, node: MeetupRegistration) -> str:
    return cursor("registered", told(context, node.key))


def _seen(context: Context, after: str | None) -> int:
    """After whom a page of a meetup's registrations begins."""
    text = read_cursor("registered", after)
    if text is None:
        return 0
    found = numbers(meant(context, "MeetupRegistration", text), 2)
    if found is None:
        raise BadInput("after is no cursor of this list", "after")
    return found[0]


def _reads_all(context: Context) -> bool:
    """Whether the viewer may read meetups at all; a partner by a key that reads such."""
    viewer = context.viewer
    return viewer.role != "partner" or "engagement:read" in viewer.scopes


async def registrations_of(
    info: Info, holder: int, first: int, after: str | None
) -> relay.Connection[MeetupRegistration]:
    """A member's; a partner is told those for its own meetups."""
    context = info.context
    before = read_number("registration", after, NEWEST)
    own = None if context.partner is None else context.partner.id
    key = (holder, before, check_first(first) + 1, own)
    rows = await context.loaders.registrations.load(key) if _reads_all(context) else []
    nodes = [MeetupRegistration.of(row) for row in rows]
    return page(nodes, first, after, lambda n: cursor("registration", n.row.meetup))


async def visible_meetup(info: Info, number: int) -> Meetup | None:
    """The meetup, if there is one and the viewer may read it."""
    row, own = await info.context.loaders.meetup.load(number), info.context.partner
    if row is None or (own is not None and row.partner != own.id):
        return None
    return Meetup.of(row)


async def visible_registration(info: Info, holder: int, meetup: int) -> MeetupRegistration | None:
    """The registration, if there is one and the viewer may read it."""
    context = info.context
    row = await context.loaders.registration.load((holder, meetup))
    if row is None:
        return None
    own = context.partner
    readable = row.partner == own.id if own is not None else await may_see(context, holder)
    return MeetupRegistration.of(row) if readable else None


@strawberry.type(description="Queries on meetups.")
class MeetupQueries:
    """Root fields."""

    @answer(
        "Meetups as they start. A partner is told its own.",
        extensions=allow(member=True, partner="engagement:read", admin=STAFF),
    )
    async def meetups(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        partner: Annotated[
            str | None, strawberry.argument(description="Only those of this partner's code.")
        ] = None,
        since: Annotated[
            datetime | None,
            strawberry.argument(
                name="from", description="Only those that end after this; left out: after now."
            ),
        ] = None,
        until: Annotated[
            datetime | None,
            strawberry.argument(description="Only those that start before this instant."),
        ] = None,
    ) -> relay.Connection[Meetup]:
        own = info.context.partner
        if partner is not None:
            own = partner_for(info.context, partner)
        begins = info.context.instant if since is None else since
        wanted = store.Wanted(None if own is None else own.id, begins, until)
        rows = await store.page(wanted, read_moment("meetup", after), check_first(first) + 1)
        for row in rows:
            info.context.loaders.meetup.prime(row.id, row)
        return page([Meetup.of(row) for row in rows], first, after, _cursor_of)


def _cursor_of(node: Meetup) -> str:
    return moment_cursor("meetup", node.row.starts_at, node.row.id)
