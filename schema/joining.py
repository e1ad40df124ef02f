"""Joining: a person with a token of the front end's identity provider becomes a member, or is one.

What a login is joined to, and what it never is, stands in `core.joining`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import strawberry

from core import joining
from core.errors import BadInput, UnknownReference
from core.members import Enrolment, MemberRef, parse_birthday
from core.occasions import follow
from laurels.activities import ENROLMENT
from schema.access import SERVICE, allow_change, partner_for
from schema.acts import watch_identifiers
from schema.context import Info
from schema.errors import BadInputError, IdempotencyConflictError, NotAllowedError
from schema.errors import UnknownReferenceError as UnknownError
from schema.fields import change
from schema.ids import holder_id
from schema.inputs import MemberBy, MemberIdentifier, identifier, known_holder
from schema.members import Member, visible_member

_MOST_DROPPED = 20


@strawberry.input(description="What somebody says of themselves who joins; of who is new.")
class JoinProgrammeInput:
    """All of it may be left out. The identifiers are the identity provider's to tell."""

    name: strawberry.Maybe[str] = strawberry.field(description="The name; welcome, not needed.")
    birthday: strawberry.Maybe[str] = strawberry.field(
        description="Month and day, such as 04-23; once given it stays."
    )
    partner: strawberry.Maybe[str] = strawberry.field(
        description="The code of the partner through which somebody joins: it then knows them."
    )
    referred_by: strawberry.Maybe[str] = strawberry.field(
        description="The code of the member who referred this one to the partner."
    )


@strawberry.type(description="The login is a member's.")
class ProgrammeJoined:
    """From now on, or since before."""

    created: bool = strawberry.field(description="Whether the member is new.")
    member: Member = strawberry.field(description="The member.")


@strawberry.type(description="The login is nobody's.")
class LoginParted:
    """Done."""

    member_id: strawberry.ID = strawberry.field(description="The member's id.")
    dropped: int = strawberry.field(description="How many identifiers were dropped with it.")
    replayed: bool = strawberry.field(
        description="Whether there was nothing left to do: no login, and nothing to drop."
    )


JoinResult = Annotated[
    ProgrammeJoined | BadInputError | UnknownError | NotAllowedError | IdempotencyConflictError,
    strawberry.union("JoinProgrammeResult", description="The member, or why there is none."),
]
PartResult = Annotated[
    LoginParted | BadInputError | UnknownError,
    strawberry.union("PartLoginResult", description="Whose it was, or what is wrong."),
]


@strawberry.type(description="Commands on logins.")
class JoiningMutations:
    """Root fields."""

    @change(
        "Become a member with a token of the front end's own identity provider. Who is known by an "
        "e-mail address or telephone number that the provider has verified is that member; one "
        "that isn't verified counts for nothing. Safe to send again.",
        extensions=allow_change(member=True, newcomers=True, departed=True),
    )
    async def join_programme(
        self,
        info: Info,
        input: Annotated[
            JoinProgrammeInput | None, strawberry.argument(description="About whoever joins.")
        ] = None,
    ) -> JoinResult | None:
        context = info.context
        viewer, now = context.viewer, context.instant
        if viewer.login is None:
            # A token that names a member already.
            member = await visible_member(info, viewer.holder or 0)
            if member is None:
                raise UnknownReference("the token names a member that isn't there")
            return ProgrammeJoined(created=False, member=member)
        person, greeted = person_of(info, input)
        holder, created = await joining.join(context.engine.ids, viewer.login, person, now)
        if created and greeted:
            await follow(context.engine, now, [holder])
        # What follows in this request is the member's.
        context.viewer = replace(viewer, holder=holder, subject="", login=None)
        return ProgrammeJoined(created=created, member=Member(holder=holder))

    @change(
        "Take a member's login away, so that another one can join: for somebody who has a new one, "
        "or whose address was given to somebody else. That login never joins this member again. "
        "Safe to send again.",
        extensions=allow_change(admin=SERVICE),
    )
    async def part_login(
        self,
        info: Info,
        member: Annotated[MemberBy, strawberry.argument(description="Whose.")],
        drop: Annotated[
            list[MemberIdentifier] | None,
            strawberry.argument(
                description="E-mail addresses, telephone numbers and cards to drop from the member "
                f"with it, by which a stranger came in; at most {_MOST_DROPPED}."
            ),
        ] = None,
    ) -> PartResult | None:
        context = info.context
        planted = _planted(drop or [])
        holder = await known_holder(context, member, None)
        await watch_identifiers(context, holder)
        parted, dropped = await joining.part(holder, planted)
        return LoginParted(
            member_id=holder_id(context, "Member", str(holder)),
            dropped=dropped,
            replayed=not parted and not dropped,
        )


def _planted(given: list[MemberIdentifier]) -> list[MemberRef]:
    if len(given) > _MOST_DROPPED:
        raise BadInput(f"at most {_MOST_DROPPED}, not {len(given)}", "drop")
    found = []
    for n, one in enumerate(given):
        try:
            found.append(identifier(one, None))
        except BadInput as refusal:
            refusal.path = ("drop", n, *refusal.path[1:])
            raise
    return found


def person_of(info: Info, given: JoinProgrammeInput | None) -> tuple[Enrolment, bool]:
    """What somebody says, and whether rules wait for new members."""
    if given is None:
        return Enrolment(()), False
    terms = None
    if given.partner is not None:
        terms = partner_for(info.context, given.partner.value)
    greeted = terms is not None and ENROLMENT in terms.at(info.context.instant).triggers
    person = Enrolment(
        (),
        None if given.name is None else given.name.value,
        partner=None if terms is None else terms.id,
        greeted=greeted,
        birthday=None if given.birthday is None else parse_birthday(given.birthday.value),
        referred_by=None if given.referred_by is None else given.referred_by.value,
    )
    return person, greeted
