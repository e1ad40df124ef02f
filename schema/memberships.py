"""A member's memberships as they stand, term by term, and what each one saved.

Knows nothing of how a term comes about: `core.memberships` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Annotated

import strawberry
from strawberry import relay

from core import membership as engine
from core.errors import BadInput
from core.perks import held, multipliers
from core.rulebook import PartnerTerms
from core.store.memberships import Found, SpanOf, TermRow
from laurels import money
from laurels.durations import at_local, zone
from schema.access import STAFF, allow, may_see
from schema.context import Info
from schema.enums import words
from schema.fields import answer
from schema.ids import HolderNode
from schema.membership_plans import MembershipFee, MembershipPlan, Perk
from schema.money import Money
from schema.paging import NEWEST, After, First, check_first, cursor, page, read_number
from schema.partners import Currency, Partner, currency_of, partner_of
from schema.rewards import PartnerFilter, Price
from schema.scalars import BigInt

words(
    engine.State,
    "Where a membership stands.",
    name="MembershipState",
    TRIAL="In its trial: the perks hold.",
    ACTIVE="Paid: the perks hold.",
    GRACE="Its term is over and the next one isn't paid yet: the perks still hold.",
    LAPSED="Over.",
)
words(
    engine.TermKind,
    "How a term of a membership came about.",
    name="MembershipTermKind",
    TRIAL="Without a fee, to try it.",
    PAID="For a fee.",
)


@strawberry.type(description="One term of a membership.")
class MembershipTerm(HolderNode):
    """As it was agreed; terms never overlap."""

    key: relay.NodeID[str]
    row: strawberry.Private[TermRow]

    @classmethod
    def of(cls, row: TermRow) -> MembershipTerm:
        """From the books."""
        return cls(key=f"{row.holder}.{row.event}", row=row)

    @answer("Its place, counted from 1.")
    def number(self) -> int:
        return self.row.number

    @answer("How it came about.")
    def kind(self) -> engine.TermKind:
        return engine.TermKind(self.row.kind)

    @answer("The code of the fee that paid it; null: a trial.")
    def fee(self) -> str | None:
        return self.row.fee

    @answer("When it was agreed.")
    def agreed_at(self) -> datetime:
        return self.row.at

    @answer("From when it lasts.", name="from")
    def since(self) -> datetime:
        return self.row.since

    @answer("Until when it lasts, exclusive.")
    def until(self) -> datetime:
        return self.row.until

    @answer("The money that the partner took; null: none.")
    def money(self) -> Money | None:
        row = self.row
        if row.amount is None or row.money is None:
            return None
        return Money.of(money.Money(row.amount, row.money))

    @answer(
        "By what the payment is known outside; null for a member, and where no money was paid.",
        extensions=allow(partner="engagement:read", admin=STAFF, quiet=True),
    )
    def payment(self) -> str | None:
        return self.row.payment

    @answer("The points that were redeemed; null: none.")
    async def points(self, info: Info) -> Price | None:
        row = self.row
        if row.points is None or row.currency is None:
            return None
        return Price(amount=BigInt(row.points), currency=await currency_of(info, row.currency))


@strawberry.type(description="What one perk saved.")
class PerkSavings:
    """In a span of time, in one money."""

    perk: str = strawberry.field(description="The perk's code.")
    title: str = strawberry.field(description="Its title; the code where it is gone.")
    times: int = strawberry.field(description="How often it was used.")
    worth: Money | None = strawberry.field(description="What that saved; null: not money.")


@strawberry.type(description="What one rule gave more because of the tier.")
class PointSavings:
    """In a span of time, less what was lost again when something came back."""

    rule: str = strawberry.field(description="The rule's code.")
    title: str = strawberry.field(description="Its title.")
    points: BigInt = strawberry.field(description="The points.")
    currency: Currency = strawberry.field(description="Of which currency.")


@strawberry.type(description="What a membership saved its member.")
class MembershipSavings:
    """Money by perk, and points by rule: they don't add up."""

    since: datetime = strawberry.field(name="from", description="From when, inclusive.")
    until: datetime = strawberry.field(description="Until when, exclusive.")
    money: list[Money] = strawberry.field(description="The money of all perks, by its currency.")
    perks: list[PerkSavings] = strawberry.field(description="By perk.")
    points: list[PointSavings] = strawberry.field(
        description="By rule: what the multipliers of the tier gave beside the usual."
    )


@strawberry.type(description="A member's membership of a plan.")
class Membership:
    """As it stands at this instant, whenever a job ran."""

    code: str = strawberry.field(description="The plan's code.")
    found: strawberry.Private[engine.Membership]
    owner: strawberry.Private[PartnerTerms | None]

    @answer("Whose plan it is.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.found.last.partner)

    @answer("The plan; null where it is no longer offered.")
    def plan(self) -> MembershipPlan | None:
        plan = None if self.owner is None else self.owner.plans.get(self.code)
        return None if self.owner is None or plan is None else MembershipPlan.of(self.owner, plan)

    @answer("Where it stands.")
    def state(self, info: Info) -> engine.State:
        return self.found.state(info.context.instant)

    @answer("Since when it lasts, or lasted, without a break.")
    def since(self) -> datetime:
        return self.found.since

    @answer("Until when its last term lasts, exclusive.")
    def until(self) -> datetime:
        return self.found.last.until

    @answer("Until when the perks hold if nothing more is paid: with the grace, if it has any.")
    def grace_until(self) -> datetime:
        return self.found.ends_at

    @answer("The fee by which it is to be renewed; null: it ends with its term.")
    def renews(self, info: Info) -> MembershipFee | None:
        plan = None if self.owner is None else self.owner.plans.get(self.code)
        code = self.found.renews
        fee = None if plan is None or code is None else plan.fee(code)
        lasts = self.found.holds(info.context.instant)
        return None if fee is None or not lasts else MembershipFee.of(info.context, fee)

    @answer("When it was cancelled, or agreed not to be renewed; null: it wasn't.")
    def cancelled_at(self) -> datetime | None:
        return self.found.cancelled_at

    @answer("The perks that it gives now.")
    def perks(self, info: Info) -> list[Perk]:
        plan = None if self.owner is None else self.owner.plans.get(self.code)
        if plan is None or not self.found.holds(info.context.instant):
            return []
        return [Perk.of(perk) for perk in plan.perks]

    @answer("Its terms, newest first.")
    async def terms(
        self, first: First = 20, after: After = None
    ) -> relay.Connection[MembershipTerm]:
        before = read_number("term", after, NEWEST)
        rows = [row for row in reversed(self.found.terms) if row.number < before]
        nodes = [MembershipTerm.of(row) for row in rows[: check_first(first) + 1]]
        return page(nodes, first, after, lambda n: cursor("term", n.row.number))

    @answer(
        "What it saved: in a calendar year of the partner's (left out: this one), or in a span. "
        "What was used for an order that was cancelled saved nothing."
    )
    async def saved(
        self,
        info: Info,
        year: Annotated[int | None, strawberry.argument(description="The calendar year.")] = None,
        since: Annotated[
            datetime | None,
            strawberry.argument(name="from", description="From when on, in place of a year."),
        ] = None,
        until: Annotated[
            datetime | None, strawberry.argument(description="Until when, exclusive.")
        ] = None,
    ) -> MembershipSavings:
        zone_name = "UTC" if self.owner is None else self.owner.time_zone
        start, end = _span(info, zone_name, year, since, until)
        last = self.found.last
        rules = () if self.owner is None else multipliers(self.owner, self.code)
        span = SpanOf(last.holder, last.partner, self.code, start, end, rules)
        saved = await info.context.loaders.savings.load(span)
        assert saved is not None
        titles = {} if self.owner is None else {r.code: r.title for r in self.owner.earn}
        plan = None if self.owner is None else self.owner.plans.get(self.code)
        perks = {} if plan is None else {perk.code: perk.title for perk in plan.perks}
        totals: dict[str, int] = {}
        for _, unit, _, amount in saved.perks:
            if unit is not None and amount is not None:
                totals[unit] = totals.get(unit, 0) + amount
        return MembershipSavings(
            since=start, until=end,
            money=[_money(amount, unit) for unit, amount in sorted(totals.items())],
            perks=[
                PerkSavings(
                    perk=code, title=perks.get(code, code), times=times,
                    worth=None if unit is None or amount is None else _money(amount, unit),
                )
                for code, unit, times, amount in saved.perks
            ],
            points=[
                PointSavings(
                    rule=code, title=titles.get(code, code), points=BigInt(points),
                    currency=await currency_of(info, currency),
                )
                for code, currency, points in saved.rules
            ],
        )  # fmt: skip

    @classmethod
    def of(cls, info: Info, found: engine.Membership) -> Membership:
        """As it stands."""
        owner = info.context.engine.rulebook.partner_by_id(found.last.partner)
        return cls(code=found.last.plan, found=found, owner=owner)


def _money(minor: int, code: str) -> Money:
    return Money.of(money.Money(minor, code))


def _span(
    info: Info, zone_name: str, year: int | None, since: datetime | None, until: datetime | None
) -> tuple[datetime, datetime]:
    """From when until when, of what was asked for. Raises BadInput."""
    if since is not None or until is not None:
        if year is not None:
            raise BadInput("a year or a span, not both", "year")
        if since is None or until is None or since >= until:
            raise BadInput("a span has a beginning and, after it, an end", "until")
        return since, until
    if year is None:
        year = info.context.instant.astimezone(zone(zone_name)).year
    if not 1970 <= year <= 9000:
        raise BadInput("no year of trade", "year")
    return _new_year(year, zone_name), _new_year(year + 1, zone_name)


def _new_year(year: int, zone_name: str) -> datetime:
    return at_local(datetime.combine(date(year, 1, 1), time()), zone_name)


@strawberry.type(description="A perk that a member holds now.")
class HeldPerk:
    """By a membership."""

    partner: Partner = strawberry.field(description="Whose plan gives it.")
    plan: MembershipPlan = strawberry.field(description="The plan.")
    perk: Perk = strawberry.field(description="The perk.")
    until: datetime = strawberry.field(
        description="Until when it holds if nothing more is paid, exclusive."
    )


async def _known(info: Info, holder: int, partner: str | None = None) -> tuple[Found, list[int]]:
    """A holder's memberships, and the partners whose memberships the viewer is told of."""
    context = info.context
    viewer, own = context.viewer, context.partner
    if viewer.role == "partner" and "engagement:read" not in viewer.scopes:
        return {}, []
    known = await context.loaders.memberships.load(holder) or {}
    terms = context.engine.rulebook.partners.get(partner or "")
    if partner is not None and terms is None:
        return known, []
    told = sorted({number for number, _ in known})
    return known, [
        n for n in told if (own is None or own.id == n) and (terms is None or terms.id == n)
    ]


async def memberships_of(info: Info, holder: int) -> list[Membership]:
    """A member's memberships, as far as the viewer is told."""
    known, partners = await _known(info, holder)
    return [
        Membership.of(info, engine.Membership(*rows))
        for (number, _), rows in sorted(known.items())
        if number in partners
    ]


async def perks_of(info: Info, holder: int, partner: PartnerFilter) -> list[HeldPerk]:
    """The perks that a member holds now, as far as the viewer is told."""
    known, partners = await _known(info, holder, partner)
    rulebook = info.context.engine.rulebook
    owners: Sequence[PartnerTerms | None] = [rulebook.partner_by_id(n) for n in partners]
    return [
        HeldPerk(
            partner=Partner.of(x.partner), plan=MembershipPlan.of(x.partner, x.plan),
            perk=Perk.of(x.perk), until=x.membership.ends_at,
        )
        for owner in owners if owner is not None
        for x in held(owner, known, info.context.instant)
    ]  # fmt: skip


async def visible_term(info: Info, holder: int, event: int) -> MembershipTerm | None:
    """The term of this event, if there is one and the viewer may read it."""
    if not await may_see(info.context, holder):
        return None
    known, partners = await _known(info, holder)
    rows = (row for terms, _ in known.values() for row in terms)
    return next(
        (MembershipTerm.of(r) for r in rows if r.event == event and r.partner in partners), None
    )
