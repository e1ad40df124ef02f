"""Giving: what colleagues may give each other, and the command that gives.

Knows nothing of limits or lots: `core.gifts` does.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from core import gifts as engine
from core.errors import BadInput, NotAllowed, UnknownReference
from core.purchases import check_text
from core.rulebook import PartnerTerms
from laurels.caps import Cap
from laurels.giving import Giving
from schema.access import SERVICE, STAFF, allow, allow_change, knows, partner_for
from schema.colleagues import ColleagueBy, RecognitionValue, colleague_by, company
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    NotEligibleError,
    UnknownReferenceError,
)
from schema.fields import answer, change
from schema.inputs import MemberBy, known_holder
from schema.partners import Currency
from schema.recognitions import Recognition
from schema.scalars import BigInt


@strawberry.type(description="The most points for one and the same colleague in a period.")
class GivingCap:
    """A gift beyond it is refused whole."""

    points: BigInt = strawberry.field(description="How many.")
    per: str = strawberry.field(description="In which period: a length, or one of the calendar.")

    @classmethod
    def of(cls, cap: Cap | None) -> GivingCap | None:
        """From the declaration."""
        if cap is None or cap.points is None:
            return None
        return cls(points=BigInt(cap.points), per=cap.per or "")


@strawberry.type(description="What colleagues may give each other.")
class GivingTerms:
    """As their company declares it."""

    partner: strawberry.Private[PartnerTerms]
    giving: strawberry.Private[Giving]

    @answer("What is given; null where the company's contract doesn't cover it.")
    def gives(self) -> Currency | None:
        found = self.partner.accepts.get(self.giving.out)
        return None if found is None else Currency.of(found)

    @answer("What arrives of it; null where the company's contract doesn't cover it.")
    def arrives(self) -> Currency | None:
        found = self.partner.issues.get(self.giving.into)
        return None if found is None else Currency.of(found)

    @answer("The values, of which each gift names one; none: it names none.")
    def values(self) -> list[RecognitionValue]:
        return [RecognitionValue(code=c, title=t) for c, t in self.giving.values.items()]

    @answer("The most points of one gift; null: no limit.")
    def each(self) -> BigInt | None:
        return None if self.giving.each is None else BigInt(self.giving.each)

    @answer("The most points that one colleague gives in a day; null: no limit.")
    def per_day(self) -> BigInt | None:
        return None if self.giving.per_day is None else BigInt(self.giving.per_day)

    @answer("The most for one and the same colleague; null: no limit.")
    def to_one(self) -> GivingCap | None:
        return GivingCap.of(self.giving.to_one)

    @answer("The most for a colleague who gave to the giver in that time; null: no limit.")
    def back(self) -> GivingCap | None:
        return GivingCap.of(self.giving.back)

    @answer("Whether a gift may go without a message.")
    def wordless(self) -> bool:
        return self.giving.wordless


@strawberry.input(description="Points for a colleague.")
class GiveRecognitionInput:
    """Within the company's limits."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    partner: str = strawberry.field(description="The company's code.")
    to: ColleagueBy = strawberry.field(description="To whom.")
    points: BigInt = strawberry.field(description="How many of what is given there.")
    value: strawberry.Maybe[str] = strawberry.field(
        description="The code of one of the company's values, where it has any."
    )
    message: str = strawberry.field(
        description="What it is for, in words; up to 1000 characters. It can be erased later.",
        default="",
    )
    giver: strawberry.Maybe[MemberBy] = strawberry.field(
        description="Who gives. A member's token gives for itself and leaves it out."
    )


@strawberry.type(description="It is given: both sides of it stand in the books.")
class RecognitionGiven:
    """Now, or since before."""

    recognition: Recognition = strawberry.field(description="What the feed shows.")
    replayed: bool = strawberry.field(
        description="Whether the key was used before, and this is its first outcome."
    )


GiveResult = Annotated[
    RecognitionGiven
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | NotEligibleError
    | IdempotencyConflictError,
    strawberry.union("GiveRecognitionResult", description="What was given, or why nothing was."),
]


async def _giver(context: Context, input: GiveRecognitionInput, partner: PartnerTerms) -> int:
    """Who gives: a member's token means itself and nobody else."""
    if context.viewer.role == "member":
        if input.giver is not None:
            # Answered before any look-up, so that nobody learns who else is enrolled.
            raise NotAllowed("a member's token gives for itself: leave the giver out", "giver")
        assert context.viewer.holder is not None
        return context.viewer.holder
    if input.giver is None:
        raise BadInput("say who gives", "giver")
    holder = await known_holder(context, input.giver.value, partner.id)
    if not await knows(context, holder):
        raise UnknownReference("no such member", "giver")
    return holder


@strawberry.type(description="Queries on giving.")
class GivingQueries:
    """Root fields."""

    @answer(
        "What a company's colleagues may give each other. Null: nothing, or the viewer is a member "
        "who is none of them.",
        extensions=allow(member=True, partner="engagement:read", admin=STAFF),
    )
    async def giving_terms(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The company's code.")],
    ) -> GivingTerms | None:
        known = await company(info.context, partner)
        return None if known is None else GivingTerms(partner=known[0], giving=known[1])


@strawberry.type(description="Commands on giving.")
class GivingMutations:
    """Root fields."""

    @change(
        "Give points to a colleague, with a message and one of the company's values.",
        extensions=allow_change(member=True, partner="engagement:write", admin=SERVICE),
    )
    async def give_recognition(
        self,
        info: Info,
        input: Annotated[GiveRecognitionInput, strawberry.argument(description="What, to whom.")],
    ) -> GiveResult | None:
        context = info.context
        check_text(input.key, "key", 255, least=1)
        partner = partner_for(context, input.partner)
        giver = await _giver(context, input, partner)
        request = engine.GiveRequest(
            context.viewer.caller, input.key, partner.code, giver,
            await colleague_by(context, partner, input.to), input.points,
            None if input.value is None else input.value.value, input.message,
        )  # fmt: skip
        done = await engine.give(context.engine, request, context.instant)
        return RecognitionGiven(recognition=Recognition.of(done.told), replayed=done.replayed)
