"""A member's own data: seen and taken along, and erased.

What is personal is `core.store.verdicts`'s to say, what erasing does `core.erasing`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import orjson
import strawberry

from core import erasing
from core.errors import BadInput
from core.members import IdentifierKind
from core.store import verdicts
from schema.access import MANAGERS, SERVICE, allow_change, is_there
from schema.acts import watch_identifiers
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import change
from schema.ids import holder_id
from schema.inputs import MemberBy
from schema.noted import whose

_WHOSE = "Whose; a member's token leaves it out, and means that member."
_NOT_TOLD = (
    "logins and codes are kept as keyed digests, which nobody can turn back; partners keep data of "
    "their own"
)
_BOOKS = "read them by `me`, or whole by `bulkExport` of any of its connections"


@strawberry.type(description="What is kept of a member, as it stood at an instant.")
class PersonalData:
    """Not kept anywhere itself."""

    member_id: strawberry.ID = strawberry.field(description="The member's id.")
    at: datetime = strawberry.field(description="As of when.")
    lines: str = strawberry.field(
        description="JSON Lines: one `about`, then each piece of personal data with its `kind`, "
        "then how many rows of the `books` stand for the member, which know it by a number."
    )


@strawberry.input(description="A member that is to be forgotten.")
class EraseMemberInput:
    """It can't be undone."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    member: MemberBy | None = strawberry.field(description=_WHOSE, default=None)
    reason: str = strawberry.field(
        description="A word why, up to 64 characters. It is kept: nothing about the person.",
        default="asked",
    )
    confirm: bool = strawberry.field(description="True: the points there are lapse with it.")


@strawberry.type(description="Nobody knows any more who the member was.")
class MemberErased:
    """Its points have lapsed; what was booked stands under a number that leads to nobody."""

    at: datetime = strawberry.field(description="Since when.")
    replayed: bool = strawberry.field(description="Whether it was erased before.")


PersonalDataResult = Annotated[
    PersonalData | BadInputError | UnknownReferenceError | NotAllowedError,
    strawberry.union("PersonalDataResult", description="The data, or why there are none."),
]
EraseResult = Annotated[
    MemberErased
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | WrongStateError,
    strawberry.union("EraseMemberResult", description="It is done, or why it isn't."),
]


@strawberry.type(description="Commands on a member's own data.")
class LeavingMutations:
    """Root fields."""

    @change(
        "Everything personal that is kept of a member. It changes nothing; that an admin asked for "
        "it is recorded.",
        extensions=allow_change(member=True, admin=SERVICE),
    )
    async def personal_data(
        self,
        info: Info,
        member: Annotated[MemberBy | None, strawberry.argument(description=_WHOSE)] = None,
    ) -> PersonalDataResult | None:
        context = info.context
        holder = await whose(context, member, "data")
        lines = await _lines(context, holder)
        return PersonalData(
            member_id=holder_id(context, "Member", str(holder)), at=context.instant,
            lines="".join(orjson.dumps(line).decode() + "\n" for line in lines),
        )  # fmt: skip

    @change(
        "Erase who a member is: names, addresses, cards, logins, notes, what partners noted. Its "
        "points lapse; what was booked stands under a number that leads to nobody. Tills find "
        "nobody any more, and the member's tokens open nothing. Safe to send again.",
        extensions=allow_change(member=True, admin=MANAGERS, departed=True),
    )
    async def erase_member(
        self,
        info: Info,
        input: Annotated[EraseMemberInput, strawberry.argument(description="Whom.")],
    ) -> EraseResult | None:
        context = info.context
        if not input.confirm:
            raise BadInput("it can't be undone: confirm it", "confirm")
        holder = await whose(context, input.member, "data")
        await watch_identifiers(context, holder)
        request = erasing.EraseRequest(context.viewer.caller, input.key, holder, input.reason)
        done = await erasing.erase(context.engine, request, context.instant)
        return MemberErased(at=done.at, replayed=done.replayed)


async def _lines(context: Context, holder: int) -> list[dict[str, Any]]:
    there = await is_there(context, holder)
    about = {
        "kind": "about", "member": holder_id(context, "Member", str(holder)),
        "at": context.instant, "known": there, "notTold": _NOT_TOLD, "books": _BOOKS,
    }  # fmt: skip
    told = list(_told(context, await verdicts.kept_of(holder)))
    return [about, *told, {"kind": "books", **await verdicts.counted(holder)}]


def _told(context: Context, kept: list[tuple[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Rows as lines: partners by their codes, kinds by their names; of a login no digest."""
    partners = {terms.id: terms.code for terms in context.engine.rulebook.partners.values()}
    for table, row in kept:
        line = {"kind": table.replace("_", "-")}
        for name, value in row.items():
            if name in ("partner_id", "scope"):
                line["partner"] = partners.get(value, str(value)) if value else ""
            elif table == "identifier" and name == "kind":
                line["of"] = IdentifierKind(value).name
            else:
                line[name] = value
        if line.get("of") != IdentifierKind.LOGIN.name:
            yield line
        else:
            yield {**line, "value": None}
