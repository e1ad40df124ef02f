"""Meetups are made and cancelled, members register and check in.

Knows nothing of what attending earns.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core import meetups as engine
from core.attending import CheckInRequest, check_in
from core.errors import NotAllowed
from schema.access import MANAGERS, allow_change, partner_for
from schema.context import Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    NotEligibleError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import change
from schema.meetups import Meetup, MeetupRegistration


@strawberry.input(description="Where a meetup is.")
class MeetupPlaceInput:
    """A circle on the map."""

    name: str = strawberry.field(description="Its name, or its address.")
    latitude: float = strawberry.field(description="Degrees, north above zero.")
    longitude: float = strawberry.field(description="Degrees, east above zero.")
    radius: int = strawberry.field(
        description="So many metres around it one may check in.", default=200
    )


@strawberry.input(description="A tier of a ladder.")
class RequiredTierInput:
    """By their codes."""

    ladder: str = strawberry.field(description="The ladder's code.")
    tier: str = strawberry.field(description="The tier's code.")


@strawberry.input(description="A meetup to make; its natural key is the partner with `code`.")
class CreateMeetupInput:
    """What can't be changed later: cancel it, and make another."""

    partner: str = strawberry.field(description="The code of the partner that invites.")
    code: str = strawberry.field(description="The partner's own code of it.")
    title: str = strawberry.field(description="What it is, at most 200 characters.")
    place: MeetupPlaceInput = strawberry.field(description="Where it is.")
    starts_at: datetime = strawberry.field(description="When it starts.")
    ends_at: datetime = strawberry.field(description="When it ends.")
    check_in_from: strawberry.Maybe[datetime] = strawberry.field(
        description="From when on one may check in; left out: half an hour before the start."
    )
    capacity: strawberry.Maybe[int] = strawberry.field(
        description="For how many there is room; left out: for any number."
    )
    tier: strawberry.Maybe[RequiredTierInput] = strawberry.field(
        description="The tier that one needs to register, at least; left out: none."
    )
    open_to_all_at: strawberry.Maybe[datetime] = strawberry.field(
        description="From when on no tier is needed: early access for it; left out: it always is."
    )
    tags: list[str] = strawberry.field(
        default_factory=list, description="What it is of, such as ridge; at most 20."
    )


@strawberry.input(description="A meetup that doesn't take place.")
class CancelMeetupInput:
    """By its natural key."""

    partner: str = strawberry.field(description="The partner's code.")
    code: str = strawberry.field(description="The meetup's code.")


@strawberry.input(description="A meetup that a member goes to, or doesn't.")
class MeetupSeatInput:
    """By its natural key."""

    partner: str = strawberry.field(description="The code of the partner that invites.")
    meetup: str = strawberry.field(description="The meetup's code.")


@strawberry.input(description="A code that was scanned, and where.")
class CheckInInput:
    """Sent again, the first outcome is answered."""

    partner: str = strawberry.field(description="The code of the partner whose meetup it is.")
    code: str = strawberry.field(description="What the member shows: checkInCode.")
    latitude: float = strawberry.field(
        description="Where the scanner is, in degrees, north above zero."
    )
    longitude: float = strawberry.field(description="The same, east above zero.")
    at: strawberry.Maybe[datetime] = strawberry.field(
        description="When it was scanned, where that is told later; left out: now."
    )


@strawberry.type(description="The meetup stands: made, or cancelled.")
class MeetupSaved:
    """Now, or since before."""

    replayed: bool = strawberry.field(description="Whether it stood so before.")
    meetup: Meetup = strawberry.field(description="The meetup.")


@strawberry.type(description="The registration stands: made, or cancelled.")
class RegistrationSaved:
    """Now, or since before."""

    replayed: bool = strawberry.field(description="Whether it stood so before.")
    registration: MeetupRegistration = strawberry.field(description="The registration.")


@strawberry.type(description="The member is there.")
class CheckedIn:
    """Now, or since before."""

    replayed: bool = strawberry.field(
        description="Whether this very code had checked in before: the first outcome."
    )
    registration: MeetupRegistration = strawberry.field(
        description="The registration, with what attending earned."
    )


CreateResult = Annotated[
    MeetupSaved
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError,
    strawberry.union("CreateMeetupResult", description="The meetup, or why there is none."),
]
CancelResult = Annotated[
    MeetupSaved | BadInputError | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("CancelMeetupResult", description="The meetup, or why it takes place."),
]
RegisterResult = Annotated[
    RegistrationSaved | BadInputError | UnknownReferenceError | NotEligibleError | WrongStateError,
    strawberry.union("RegisterForMeetupResult", description="The place, or why there is none."),
]
GiveUpResult = Annotated[
    RegistrationSaved | BadInputError | UnknownReferenceError | WrongStateError,
    strawberry.union("CancelRegistrationResult", description="What stands now, or why it stays."),
]
CheckInResult = Annotated[
    CheckedIn
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | NotEligibleError
    | WrongStateError,
    strawberry.union("CheckInResult", description="That the member is there, or why not."),
]


@strawberry.type(description="Commands on meetups.")
class MeetupMutations:
    """Root fields."""

    @change(
        "Make a meetup. Safe to send again; its code is used once and for all.",
        extensions=allow_change(partner="engagement:write", admin=MANAGERS),
    )
    async def create_meetup(
        self,
        info: Info,
        input: Annotated[CreateMeetupInput, strawberry.argument(description="What to make.")],
    ) -> CreateResult | None:
        context, place = info.context, input.place
        partner = partner_for(context, input.partner)
        request = engine.MeetupRequest(
            input.code, input.title, place.name, place.latitude, place.longitude, place.radius,
            input.starts_at, input.ends_at,
            None if input.check_in_from is None else input.check_in_from.value,
            None if input.capacity is None else input.capacity.value,
            None if input.tier is None else (input.tier.value.ladder, input.tier.value.tier),
            None if input.open_to_all_at is None else input.open_to_all_at.value,
            input.tags,
        )  # fmt: skip
        done = await engine.create(context.engine, partner, request, context.instant)
        return MeetupSaved(replayed=done.replayed, meetup=Meetup.of(done.meetup))

    @change(
        "Cancel a meetup: nobody registers for it or checks in any more. Safe to send again.",
        extensions=allow_change(partner="engagement:write", admin=MANAGERS),
    )
    async def cancel_meetup(
        self,
        info: Info,
        input: Annotated[CancelMeetupInput, strawberry.argument(description="Which one.")],
    ) -> CancelResult | None:
        partner = partner_for(info.context, input.partner)
        done = await engine.cancel(partner, input.code, info.context.instant)
        return MeetupSaved(replayed=done.replayed, meetup=Meetup.of(done.meetup))

    @change(
        "Take a place at a meetup, for the member whose token this is. Safe to send again.",
        extensions=allow_change(member=True),
    )
    async def register_for_meetup(
        self,
        info: Info,
        input: Annotated[MeetupSeatInput, strawberry.argument(description="At which one.")],
    ) -> RegisterResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        assert context.viewer.holder is not None  # or the rule hadn't let it in
        done = await engine.register(
            context.engine, context.viewer.holder, partner, input.meetup, context.instant
        )
        registration = MeetupRegistration.of(done.registration)
        return RegistrationSaved(replayed=done.replayed, registration=registration)

    @change(
        "Give up a place at a meetup, of the member whose token this is. Safe to send again.",
        extensions=allow_change(member=True),
    )
    async def cancel_registration(
        self,
        info: Info,
        input: Annotated[MeetupSeatInput, strawberry.argument(description="At which one.")],
    ) -> GiveUpResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        assert context.viewer.holder is not None  # as above
        done = await engine.give_up(
            context.viewer.holder, partner, input.meetup, context.instant
        )  # fmt: skip
        registration = MeetupRegistration.of(done.registration)
        return RegistrationSaved(replayed=done.replayed, registration=registration)

    @change(
        "Check a member in by the code that it shows, in the time of the meetup and at its place. "
        "A code is good for two minutes at the longest, and once. Safe to send again.",
        extensions=allow_change(partner="engagement:write"),
    )
    async def check_in(
        self,
        info: Info,
        input: Annotated[CheckInInput, strawberry.argument(description="What was scanned.")],
    ) -> CheckInResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        if context.check_ins is None:
            raise NotAllowed("nobody checks in by this way")
        request = CheckInRequest(
            partner, input.code, input.latitude, input.longitude,
            None if input.at is None else input.at.value,
        )  # fmt: skip
        done = await check_in(context.engine, context.check_ins, request, context.instant)
        registration = MeetupRegistration.of(done.registration)
        return CheckedIn(replayed=done.replayed, registration=registration)
