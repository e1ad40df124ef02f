"""Members: who they are, their ledgers, tiers, rewards and redemptions; and enrolment.

Personal data pass through here and nowhere else of this face. Knows nothing of how points come
about.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core.errors import BadInput, UnknownReference
from core.members import (
    TOLD,
    Enrolment,
    IdentifierKind,
    MemberRef,
    Telling,
    enrol,
    parse_birthday,
)
from core.occasions import follow
from core.redeemed import from_row
from core.store import lookups
from laurels.activities import ENROLMENT
from schema.access import SERVICE, STAFF, allow, allow_change, may_see, partner_for, sees_currency
from schema.acts import watch_identifiers
from schema.ahead import AheadOrder, orders_of
from schema.cards import Card, card_of
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    UnknownReferenceError,
)
from schema.fields import answer, change
from schema.identifiers import Identifier
from schema.ids import HolderNode, holder_id, meant, numbers, told
from schema.inputs import MemberBy, MemberIdentifier, find_holder, identifier, scope_of
from schema.ladders import MemberTier
from schema.ledgers import AsOf, Ledger
from schema.meetups import MeetupRegistration, registrations_of
from schema.memberships import HeldPerk, Membership, memberships_of, perks_of
from schema.noted import (
    Badge,
    MemberAttribute,
    attributes_of,
    badges_of,
    offers_of,
)
from schema.notices import Notice, notices_of
from schema.one_view import OneView
from schema.paging import NEWEST, After, First, check_first, cursor, page, read_cursor, read_number
from schema.personal import MemberOffer
from schema.progress import Progress, progress_of
from schema.redemptions import Redemption
from schema.rewards import PartnerFilter, Reward, catalogue


@strawberry.type(description="An enrolled person.")
class Member(OneView, HolderNode):
    """Whoever hands one out has asked whether the viewer may read it."""

    holder: relay.NodeID[int]

    async def _record(self, info: Info) -> lookups.MemberRecord:
        record = await info.context.loaders.member.load(self.holder)
        assert record is not None
        return record

    @answer("The name, where one was given.")
    async def name(self, info: Info) -> str | None:
        return (await self._record(info)).name

    @answer("When the member enrolled.")
    async def enrolled_at(self, info: Info) -> datetime:
        return (await self._record(info)).enrolled_at

    @answer("Whether a person stands behind it yet, not only a card in circulation.")
    async def claimed(self, info: Info) -> bool:
        return (await self._record(info)).claimed

    @answer("By what the member is known. A partner is told its own references only.")
    async def identifiers(self, info: Info) -> list[Identifier]:
        known = await info.context.loaders.identifiers.load(self.holder)
        own = info.context.partner
        return [
            Identifier(kind=IdentifierKind(kind), value=value)
            for kind, scope, value in known
            if own is None or scope == own.id
        ]

    @answer("What the member shows at a till; null: none was made yet, or you may not show it.")
    async def card(self, info: Info) -> Card | None:
        return await card_of(info, self.holder)

    @answer("The ledgers. A partner is told those in currencies that it issues or accepts.")
    async def ledgers(
        self,
        info: Info,
        currency: Annotated[
            str | None, strawberry.argument(description="Only the one of this currency's code.")
        ] = None,
    ) -> list[Ledger]:
        terms = info.context.engine.rulebook.currencies
        return [
            Ledger.of(self.holder, key)
            # With the balances, which nearly everybody asks for too.
            for key in await info.context.loaders.held(info.context.instant).load(self.holder) or ()
            if sees_currency(info.context, key)
            and (currency is None or (key in terms and terms[key].code == currency))
        ]

    @answer("Where the member stands on each ladder. A partner is told those that it may use.")
    async def tiers(self, info: Info, as_of: AsOf = None) -> list[MemberTier]:
        own = info.context.partner
        loader = info.context.loaders.tiers(as_of or info.context.instant)
        return [
            MemberTier.of(self.holder, status)
            for status in await loader.load(self.holder)
            if own is None or status.ladder.owner in (None, own.id)
        ]

    @answer("The rewards on offer, each with this member's eligibility.")
    async def rewards(
        self, info: Info, first: First = 20, after: After = None, partner: PartnerFilter = None
    ) -> relay.Connection[Reward]:
        return catalogue(info, first, after, partner, self.holder)

    @answer(
        "How far the member has come: challenges, and what is left of receipts beyond full steps. "
        "A partner is told of its own rules."
    )
    async def progress(self, info: Info) -> list[Progress]:
        return await progress_of(info, self.holder)

    @answer("What partners have noted. A partner is told its own, a member none.")
    async def attributes(self, info: Info) -> list[MemberAttribute]:
        return await attributes_of(info, self.holder)

    @answer("The rules that are offered to this member alone. A partner is told its own.")
    async def offers(self, info: Info) -> list[MemberOffer]:
        return await offers_of(info, self.holder)

    @answer(
        "The orders ahead, newest first. A partner is told its own, with `purchases:read` alone."
    )
    async def ahead_orders(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[AheadOrder]:
        return await orders_of(info, self.holder, first, after)

    @answer("The badges earned.")
    async def badges(self, info: Info) -> list[Badge]:
        return await badges_of(info, self.holder)

    @answer(
        "The memberships, those that are over too. A partner is told those of its own plans, with "
        "`engagement:read` alone."
    )
    async def plans(self, info: Info) -> list[Membership]:
        return await memberships_of(info, self.holder)

    @answer(
        "The perks that hold now. A partner is told those of its own plans, with "
        "`engagement:read` alone."
    )
    async def perks(self, info: Info, partner: PartnerFilter = None) -> list[HeldPerk]:
        return await perks_of(info, self.holder, partner)

    @answer("By what code the member refers others; null: none was asked for yet.")
    async def referral_code(self, info: Info) -> str | None:
        return await info.context.loaders.referral_code.load(self.holder)

    @answer(
        "The redemptions, newest first. A partner is told its own, with `redemptions:read` alone."
    )
    async def redemptions(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[Redemption]:
        before = read_number("redemption", after, NEWEST)
        key = (self.holder, before, check_first(first) + 1)
        viewer = info.context.viewer
        silent = viewer.role == "partner" and "redemptions:read" not in viewer.scopes
        rows = [] if silent else await info.context.loaders.redemptions.load(key)
        nodes = [Redemption.of(from_row(row)) for row in rows]
        return page(nodes, first, after, lambda n: cursor("redemption", n.found.id))

    @answer("The places at meetups; a partner is told its own, with `engagement:read` alone.")
    async def registrations(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[MeetupRegistration]:
        return await registrations_of(info, self.holder, first, after)

    @answer("What the member was told ahead of time, newest first: expiries, tiers at risk.")
    async def notices(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[Notice]:
        return await notices_of(info, self.holder, first, after)


@strawberry.type(description="Queries on members.")
class MemberQueries:
    """Root fields."""

    @answer("The member whose token this is.", extensions=allow(member=True, newcomers=True))
    async def me(self, info: Info) -> Member | None:
        holder = info.context.viewer.holder
        return None if holder is None else await visible_member(info, holder)

    @answer(
        "One member. Null where there is none, or none that the viewer may read.",
        extensions=allow(member=True, partner="members:read", admin=STAFF),
    )
    async def member(
        self,
        info: Info,
        by: Annotated[MemberBy, strawberry.argument(description="Which one.")],
        partner: Annotated[
            str | None,
            strawberry.argument(description="The partner's code, for a reference of its own."),
        ] = None,
    ) -> Member | None:
        holder = await find_holder(info.context, by, scope_of(info.context, partner))
        return None if holder is None else await visible_member(info, holder)

    @answer(
        "Members in the order of their enrolment. A partner is told those it has dealt with.",
        extensions=allow(partner="members:read", admin=STAFF),
    )
    async def members(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        search: Annotated[
            MemberIdentifier | None,
            strawberry.argument(description="Only the one known by exactly this."),
        ] = None,
        partner: Annotated[
            str | None,
            strawberry.argument(description="Only those who have dealt with this partner."),
        ] = None,
    ) -> relay.Connection[Member]:
        context = info.context
        own = context.partner
        within = None if own is None else own.id
        if partner is not None:
            terms = partner_for(context, partner)
            within = terms.id
        key = None if search is None else identifier(search, scope_of(context, partner)).key
        seen = _seen(context, after)
        found = await lookups.member_page(seen, check_first(first) + 1, within, key)
        for record in found:
            context.loaders.member.prime(record.holder, record)
        nodes = [Member(holder=record.holder) for record in found]
        return page(nodes, first, after, lambda n: cursor("member", told(context, str(n.holder))))


def _seen(context: Context, after: str | None) -> int:
    """After whom a page of members begins."""
    text = read_cursor("member", after)
    if text is None:
        return 0
    found = numbers(meant(context, "Member", text), 1)
    if found is None:
        raise BadInput("after is no cursor of this list", "after")
    return found[0]


async def visible_member(info: Info, holder: int) -> Member | None:
    """The member, if there is one and the viewer may read it."""
    if not await may_see(info.context, holder):
        return None
    record = await info.context.loaders.member.load(holder)
    return None if record is None else Member(holder=holder)


@strawberry.input(description="Someone to enrol: at least one identifier.")
class EnrolMemberInput:
    """Who is known by one of them already is that member, and gains the others."""

    email: strawberry.Maybe[str] = strawberry.field(
        description="The e-mail address. A partner gives one of who is new, or one that is known "
        "of the member: it adds none."
    )
    phone: strawberry.Maybe[str] = strawberry.field(
        description="The telephone number. A partner adds none to a member who is known already."
    )
    card: strawberry.Maybe[str] = strawberry.field(description="The number of a card or app code.")
    reference: strawberry.Maybe[str] = strawberry.field(description="A partner's own reference.")
    name: strawberry.Maybe[str] = strawberry.field(description="The name; welcome, not needed.")
    partner: strawberry.Maybe[str] = strawberry.field(
        description="The code of the partner whose reference is meant; a partner's token its own."
    )
    birthday: strawberry.Maybe[str] = strawberry.field(
        description="Month and day, such as 04-23; once given it stays. From a partner it is taken "
        "of who is new, or has dealt with the partner named, and else passed over."
    )
    referred_by: strawberry.Maybe[str] = strawberry.field(
        description="The code of the member who referred this one to the partner; of who is new."
    )


@strawberry.type(description="The member is enrolled.")
class MemberEnrolled:
    """Newly, or since before."""

    created: bool = strawberry.field(description="Whether the member is new.")
    member_id: strawberry.ID = strawberry.field(description="The member's id.")
    holder: strawberry.Private[int]

    @answer("The member. Null where the viewer may not read that member (yet).")
    async def member(self, info: Info) -> Member | None:
        if self.created:
            return Member(holder=self.holder)
        return await visible_member(info, self.holder)


EnrolResult = Annotated[
    MemberEnrolled
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError,
    strawberry.union("EnrolMemberResult", description="The member, or why nobody was enrolled."),
]


def _references(given: EnrolMemberInput, scope: int | None) -> list[MemberRef]:
    found = []
    for kind in TOLD:
        value = getattr(given, kind.name.lower())
        if value is not None:
            if kind is IdentifierKind.REFERENCE and scope is None:
                raise UnknownReference("a reference needs its partner named", "partner")
            found.append(MemberRef.make(kind, value.value, scope or 0))
    return found


@strawberry.type(description="Commands on members.")
class MemberMutations:
    """Root fields."""

    @change(
        "Enrol somebody. Safe to send again: who is known already is that member, and gains the "
        "other identifiers; a partner adds cards and its own references only, and is refused an "
        "e-mail address or telephone number that isn't that member's yet.",
        extensions=allow_change(partner="members:write", admin=SERVICE),
    )
    async def enrol_member(
        self,
        info: Info,
        input: Annotated[EnrolMemberInput, strawberry.argument(description="Whom to enrol.")],
    ) -> EnrolResult | None:
        context = info.context
        partner = None if input.partner is None else input.partner.value
        known, greeted = None, False
        if partner is not None:
            terms = partner_for(context, partner)
            known = terms.id
            greeted = ENROLMENT in terms.at(context.instant).triggers
        name = None if input.name is None else input.name.value
        references = _references(input, scope_of(context, partner))
        person = Enrolment(
            references, name, partner=known, greeted=greeted,
            birthday=None if input.birthday is None else parse_birthday(input.birthday.value),
            referred_by=None if input.referred_by is None else input.referred_by.value,
            telling=Telling.SURE if context.viewer.role == "admin" else Telling.TILL,
        )  # fmt: skip
        if context.act is not None:
            for ref in references:
                found = await lookups.holder_of(*ref.key)
                if found is not None:
                    await watch_identifiers(context, found)
        [(holder, created)] = await enrol(context.engine.ids, [person], context.instant)
        await watch_identifiers(context, holder, new=created)
        if created and greeted:
            await follow(context.engine, context.instant, [holder])
        member_id = holder_id(context, "Member", str(holder))
        return MemberEnrolled(created=created, member_id=member_id, holder=holder)
