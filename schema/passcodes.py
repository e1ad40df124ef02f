"""Enrolment by one field and one code: `requestCode`, then `confirmCode`.

What keeps strangers from guessing, and from learning who is known, stands in `core.passcodes`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import strawberry

from core.errors import BadInput, NotAllowed
from core.members import ADDRESSES, MemberRef
from core.occasions import follow
from core.passcodes import Passcodes
from core.purchases import check_text
from schema.access import allow_change
from schema.cards import Card
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    NotAllowedError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import change
from schema.ids import holder_id
from schema.joining import JoinProgrammeInput, person_of
from schema.rates import caller

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z")
_EMAIL = "The e-mail address; this or a telephone number."
_PHONE = "The telephone number, with its country's code; this or an e-mail address."


@strawberry.input(description="Where a code is to be sent: an e-mail address or a number.")
class RequestCodeInput:
    """One of both."""

    email: strawberry.Maybe[str] = strawberry.field(description=_EMAIL)
    phone: strawberry.Maybe[str] = strawberry.field(description=_PHONE)
    language: str = strawberry.field(
        description="In which language to write, such as en or tr.", default="en"
    )


@strawberry.input(description="The code that came.")
class ConfirmCodeInput:
    """To the address that it was sent to."""

    email: strawberry.Maybe[str] = strawberry.field(description=_EMAIL)
    phone: strawberry.Maybe[str] = strawberry.field(description=_PHONE)
    code: str = strawberry.field(description="The six digits.")


@strawberry.type(description="A code is on its way, whether or not anybody is known there.")
class CodeRequested:
    """It takes the place of an earlier one."""

    expires_at: datetime = strawberry.field(description="Until when it is good.")


@strawberry.type(description="The address is a member's from now on, or was before.")
class CodeConfirmed:
    """Whatever else is asked is asked with the token."""

    created: bool = strawberry.field(description="Whether the member is new.")
    member_id: strawberry.ID = strawberry.field(description="The member's id.")
    card: Card = strawberry.field(description="The member's card, which tills scan.")
    token: str = strawberry.field(
        description="A token of the member's, for the header `Authorization: Bearer …`."
    )
    expires_at: datetime = strawberry.field(description="Until when the token is good.")


RequestCodeResult = Annotated[
    CodeRequested | BadInputError | NotAllowedError | WrongStateError,
    strawberry.union("RequestCodeResult", description="It is sent, or why it isn't."),
]
ConfirmCodeResult = Annotated[
    CodeConfirmed | BadInputError | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("ConfirmCodeResult", description="The member, or why there is none."),
]


@strawberry.type(description="Commands by which strangers become members.")
class PasscodeMutations:
    """Root fields."""

    @change(
        "Send a code to an e-mail address or a telephone number, to enrol or to sign in with it. "
        "The answer is the same whether or not anybody is known there.",
        extensions=allow_change(strangers=True),
    )
    async def request_code(
        self,
        info: Info,
        input: Annotated[RequestCodeInput, strawberry.argument(description="Where to.")],
    ) -> RequestCodeResult | None:
        context = info.context
        address = _address(input)
        if not _LANGUAGE.match(input.language):
            raise BadInput("a language is a tag such as en or pt-BR", "language")
        origin = caller(context.viewer, context.address)
        until = await _codes(context).request(address, input.language, origin, context.instant)
        return CodeRequested(expires_at=until)

    @change(
        "Enrol, or sign in, by the code that was sent. Who is known by the address is that member. "
        "A code is good once: after a lost answer ask for another one.",
        extensions=allow_change(strangers=True),
    )
    async def confirm_code(
        self,
        info: Info,
        input: Annotated[ConfirmCodeInput, strawberry.argument(description="The code.")],
        about: Annotated[
            JoinProgrammeInput | None, strawberry.argument(description="About whoever is new.")
        ] = None,
    ) -> ConfirmCodeResult | None:
        context, now = info.context, info.context.instant
        address = _address(input)
        code = check_text(input.code.strip(), "code", 20, least=1)
        person, greeted = person_of(info, about)
        codes, issue = _codes(context), context.member_token
        if issue is None:
            raise NotAllowed("this process gives no tokens")
        done = await codes.confirm(context.engine.ids, address, code, person, now)
        if done.created and greeted:
            await follow(context.engine, now, [done.holder])
        token, until = issue(done.holder, now)
        return CodeConfirmed(
            created=done.created, member_id=holder_id(context, "Member", str(done.holder)),
            card=Card(number=done.card), token=token, expires_at=until,
        )  # fmt: skip


def _codes(context: Context) -> Passcodes:
    if context.passcodes is None:
        raise NotAllowed("this programme sends no codes")
    return context.passcodes


def _address(given: RequestCodeInput | ConfirmCodeInput) -> MemberRef:
    told = [
        MemberRef.make(kind, value.value)
        for kind in ADDRESSES
        if (value := getattr(given, kind.name.lower())) is not None
    ]
    if len(told) != 1:
        raise BadInput("either an e-mail address or a telephone number is needed", "email")
    return told[0]
