"""What partners note of members: attributes, segments, offers; badges; and by what code one refers.

Attributes and segments are the business of the partner and of admins; a member is told its offers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core.errors import BadInput, NotAllowed
from core.members import parse_birthday, set_birthday
from core.noted import AttributeRow, noted_at
from core.occasions import note
from core.referrals import code_of
from core.store.personal import LATEST, Taking
from laurels.effects import OFFER, SetAttribute, checked_attribute
from laurels.errors import DeclarationError
from schema.access import SERVICE, allow_change, knows, partner_for, sees_currency
from schema.context import Context, Info
from schema.errors import BadInputError, NotAllowedError, UnknownReferenceError, WrongStateError
from schema.fields import change
from schema.inputs import MemberBy, known_holder, scope_of
from schema.partners import Currency, Partner
from schema.personal import MemberOffer
from schema.scalars import BigInt

#: As many things as one call notes.
MOST_NOTES = 50


@strawberry.type(description="Something that a partner has noted of a member.")
class MemberAttribute:
    """As it stands now."""

    partner: Partner = strawberry.field(description="Who noted it.")
    name: str = strawberry.field(
        description="What it is; `segment:CODE` for a segment, `offer:CODE` for a rule on offer, "
        "`set:RULE:THING` for a thing of a collection."
    )
    value: str = strawberry.field(description="Its value.")
    until_at: datetime | None = strawberry.field(
        name="until", description="Until when it stands; null: until it is taken away."
    )


@strawberry.type(description="A badge that a member has earned.")
class Badge:
    """Of a currency that is a badge."""

    currency: Currency = strawberry.field(description="Which one.")
    times: BigInt = strawberry.field(description="How often it was earned.")


def _standing(rows: list[AttributeRow], now: datetime) -> list[AttributeRow]:
    """What stands now, each once."""
    by_partner: dict[int, list[AttributeRow]] = {}
    for row in rows:
        by_partner.setdefault(row.partner, []).append(row)
    found = []
    for own in by_partner.values():
        for name in noted_at(own, now):
            alike = [r for r in own if r.name == name and r.at <= now]
            found.append(max(alike, key=lambda r: (r.at, r.id)))
    return found


async def attributes_of(info: Info, holder: int) -> list[MemberAttribute]:
    """A member's; a partner is told its own, a member none."""
    context = info.context
    if context.viewer.role == "member":
        return []
    found = []
    for row in _standing(await context.loaders.noted.load(holder), context.instant):
        partner = context.engine.rulebook.partner_by_id(row.partner)
        if partner is not None and context.partner in (None, partner):
            assert row.value is not None
            found.append(
                MemberAttribute(
                    partner=Partner.of(partner), name=row.name, value=row.value, until_at=row.until
                )
            )
    return found


async def offers_of(info: Info, holder: int) -> list[MemberOffer]:
    """A member's; a partner is told its own. Only of rules that judge now."""
    context = info.context
    standing = [
        (row, partner)
        for row in _standing(await context.loaders.noted.load(holder), context.instant)
        if row.name.startswith(OFFER)
        and (partner := context.engine.rulebook.partner_by_id(row.partner)) is not None
        and context.partner in (None, partner)
    ]
    if not standing:
        return []
    chosen = {row.attribute: row for row in await context.loaders.chosen.load(holder)}
    found = []
    for row, partner in standing:
        code = row.name.removeprefix(OFFER)
        rule = next((r for r in partner.at(context.instant).rules if r.code == code), None)
        if rule is not None:
            taking = Taking(holder, partner.id, code, row.at, row.until or LATEST)
            found.append(MemberOffer.of(partner, rule, taking, row.until, chosen.get(row.id)))
    return found


async def badges_of(info: Info, holder: int) -> list[Badge]:
    """A member's; a partner is told those that it may see."""
    context = info.context
    known = context.engine.rulebook.currencies
    held = await context.loaders.held(context.instant).load(holder) or {}
    return [
        Badge(currency=Currency.of(known[currency]), times=BigInt(balance.active))
        for currency, balance in held.items()
        if balance.active > 0
        and currency in known
        and known[currency].badge
        and sees_currency(context, currency)
    ]


@strawberry.input(description="Something to note of a member.")
class NoteInput:
    """An attribute, or a segment, or an offer."""

    name: str = strawberry.field(
        description="What it is, such as vip; `segment:CODE` puts the member into a segment, "
        "`offer:CODE` offers it a rule."
    )
    value: strawberry.Maybe[str | None] = strawberry.field(
        description="Its value, at most 100 characters; left out: yes; null: it stands no longer."
    )


@strawberry.input(description="What to note of a member.")
class NoteMemberInput:
    """Said again, it stands as it does."""

    partner: str = strawberry.field(description="The code of the partner that notes it.")
    member: MemberBy = strawberry.field(description="Of whom.")
    notes: list[NoteInput] = strawberry.field(description=f"What, at most {MOST_NOTES}.")
    until_at: strawberry.Maybe[datetime] = strawberry.field(
        name="until", description="Until when; left out: until it is taken away."
    )


@strawberry.type(description="It is noted.")
class MemberNoted:
    """Rules find it from now on."""

    attributes: list[MemberAttribute] = strawberry.field(
        description="All that this partner has noted of the member, as it stands now."
    )


@strawberry.type(description="A member refers others by this code.")
class ReferralCode:
    """Always the same one."""

    code: str = strawberry.field(description="What a friend gives when enrolling.")


@strawberry.type(description="The birthday is set.")
class BirthdaySet:
    """Partners' rules on birthdays are told of it each year."""

    birthday: str = strawberry.field(description="Month and day.")


BirthdayResult = Annotated[
    BirthdaySet | BadInputError | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("SetBirthdayResult", description="The birthday, or why it stays as it is."),
]
NoteResult = Annotated[
    MemberNoted | BadInputError | UnknownReferenceError | NotAllowedError,
    strawberry.union("NoteMemberResult", description="What stands, or why nothing was noted."),
]
ReferralCodeResult = Annotated[
    ReferralCode | BadInputError | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("ReferralCodeResult", description="The code, or why there is none."),
]


def _effect(n: int, given: NoteInput) -> SetAttribute:
    value = "yes" if given.value is None else given.value.value
    try:
        return checked_attribute(SetAttribute(given.name, value))
    except DeclarationError as error:
        raise BadInput(str(error), "notes", n) from None


async def whose(context: Context, member: MemberBy | None, what: str) -> int:
    """The member meant: a member's token means itself and nobody else."""
    if context.viewer.holder is not None:
        if member is not None:
            # Answered before any look-up, so that nobody learns who else is enrolled.
            raise NotAllowed("a member's token means itself: leave the member out", "member")
        return context.viewer.holder
    if member is None:
        raise BadInput(f"whose {what}? name the member", "member")
    holder = await known_holder(context, member, scope_of(context, None))
    if not await knows(context, holder):
        raise NotAllowed("this token may not read that member", "member")
    return holder


@strawberry.type(description="Commands on what is noted of members.")
class NoteMutations:
    """Safe to send again."""

    @change(
        "Note something of a member: rules find it from now on, and who enters a segment that a "
        "rule waits for has its occasion.",
        extensions=allow_change(partner="members:write", admin=SERVICE),
    )
    async def note_member(
        self,
        info: Info,
        input: Annotated[NoteMemberInput, strawberry.argument(description="What, of whom.")],
    ) -> NoteResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        holder = await known_holder(context, input.member, partner.id)
        if not await knows(context, holder):
            raise NotAllowed("this partner hasn't dealt with that member", "member")
        if not 1 <= len(input.notes) <= MOST_NOTES:
            raise BadInput(f"from 1 to {MOST_NOTES} notes, not {len(input.notes)}", "notes")
        until = None if input.until_at is None else input.until_at.value
        if until is not None and until <= context.instant:
            raise BadInput("until when it stands lies ahead", "until")
        effects = [_effect(n, given) for n, given in enumerate(input.notes)]
        await note(context.engine, partner, holder, effects, context.instant, until)
        standing = await attributes_of(info, holder)
        return MemberNoted(attributes=[x for x in standing if x.partner.code == partner.code])

    @change(
        "Set a member's birthday; a member whose own is set already asks an admin.",
        extensions=allow_change(member=True, admin=SERVICE),
    )
    async def set_birthday(
        self,
        info: Info,
        birthday: Annotated[str, strawberry.argument(description="Month and day, such as 04-23.")],
        member: Annotated[
            MemberBy | None,
            strawberry.argument(
                description="Whose; a member's token leaves it out, and means that member."
            ),
        ] = None,
    ) -> BirthdayResult | None:
        context = info.context
        holder = await whose(context, member, "birthday")
        by_admin = context.viewer.role == "admin"
        await set_birthday(holder, parse_birthday(birthday), anew=by_admin)
        return BirthdaySet(birthday=birthday)

    @change(
        "The code by which a member refers others, made where there is none yet.",
        extensions=allow_change(member=True, partner="members:write", admin=SERVICE),
    )
    async def create_referral_code(
        self,
        info: Info,
        member: Annotated[
            MemberBy | None,
            strawberry.argument(
                description="Whose; a member's token leaves it out, and means that member."
            ),
        ] = None,
    ) -> ReferralCodeResult | None:
        holder = await whose(info.context, member, "code")
        return ReferralCode(code=await code_of(holder, info.context.instant))
