"""What a member is offered, and whether offering it paid: those offered against those left out.

Knows nothing of how offers are chosen. Who was left out is told in figures only; a member whom it
concerns finds it among its personal data, as is its right.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Annotated

import strawberry

from core.errors import BadInput
from core.rulebook import PartnerTerms
from core.store import personal as store
from core.store.personal import Arm, OfferRow, Taking
from laurels import money
from laurels.rules import EarnRule, Terms
from schema.access import STAFF, allow, partner_for
from schema.context import Info
from schema.fields import answer
from schema.money import Money
from schema.partners import Partner


@strawberry.type(description="One of the terms of a rule, as it was declared.")
class RuleTerm:
    """Such as what it gives, how often, and of what."""

    name: str = strawberry.field(description="What it says something of, such as points.")
    value: str = strawberry.field(description="What it says.")


@strawberry.type(description="A rule that a partner offers to this member.")
class MemberOffer:
    """As it stands now."""

    partner: Partner = strawberry.field(description="Whose rule it is.")
    rule: str = strawberry.field(description="The rule's code.")
    title: str = strawberry.field(description="What it gives, in words for members.")
    until_at: datetime | None = strawberry.field(
        name="until", description="Until when it is on offer; null: without an end."
    )
    because: str | None = strawberry.field(
        description="Why this member is offered it, from its own past; null: it wasn't chosen so."
    )
    terms: list[RuleTerm] = strawberry.field(description="The rule's terms.")
    taking: strawberry.Private[Taking]

    @answer("For how many purchases or activities it has given points since it is on offer.")
    async def taken(self, info: Info) -> int:
        return await info.context.loaders.taken.load(self.taking) or 0

    @classmethod
    def of(
        cls, partner: PartnerTerms, rule: EarnRule, taking: Taking, until: datetime | None,
        chosen: OfferRow | None,
    ) -> MemberOffer:  # fmt: skip
        """A rule that stands on offer; `chosen` says why, where it was chosen for the member."""
        return cls(
            partner=Partner.of(partner), rule=rule.code, title=rule.title, until_at=until,
            because=None if chosen is None else chosen.because, terms=_terms(rule.terms),
            taking=taking,
        )  # fmt: skip


def _terms(terms: Terms) -> list[RuleTerm]:
    found = []
    for name, value in terms.items():
        if isinstance(value, Mapping):
            told = ", ".join(f"{key}: {x}" for key, x in value.items())
        elif isinstance(value, str | int):
            told = str(value).lower() if isinstance(value, bool) else str(value)
        else:
            told = "; ".join(value or ())
        if told:
            found.append(RuleTerm(name=name, value=told))
    return found


@strawberry.type(description="What became of members in the time of their offers.")
class OfferArm:
    """A member in a period is a round, so that who was chosen for twice counts twice."""

    arm: strawberry.Private[Arm]
    currency: strawberry.Private[str]

    @answer("How many members there are.")
    def members(self) -> int:
        return self.arm.members

    @answer("How many rounds there are: a member in a period is one.")
    def rounds(self) -> int:
        return self.arm.rounds

    @answer("In how many of them the member bought.")
    def bought(self) -> int:
        return self.arm.bought

    @answer("What all of them spent on goods, by purchases as they stand, cancelled ones left out.")
    def spend(self) -> Money:
        return Money.of(money.Money(self.arm.spend, self.currency))

    @answer("The same for each round, down to the smallest coin; null: there is none.")
    def spend_each(self) -> Money | None:
        if not self.arm.rounds:
            return None
        return Money.of(money.Money(self.arm.spend // self.arm.rounds, self.currency))


@strawberry.type(description="Those who were offered something against those who weren't.")
class OfferReport:
    """Both were chosen for alike; by lot one part was offered nothing."""

    code: str = strawberry.field(description="The code of these personal offers.")
    title: str = strawberry.field(description="What they are, in words.")
    offered: OfferArm = strawberry.field(description="Those who were offered something.")
    control: OfferArm = strawberry.field(description="Those who were offered nothing, by lot.")

    @answer(
        "How many more rounds of a hundred saw a purchase where something was offered, as a "
        "decimal; null where one of the two has no rounds. Mind how many rounds stand behind it."
    )
    def lift_bought(self) -> str | None:
        shares = [_share(x.arm.bought, x.arm.rounds) for x in (self.offered, self.control)]
        return None if None in shares else _told(100 * (shares[0] or 0) - 100 * (shares[1] or 0))

    @answer(
        "By how much of a hundred the spend for each round was higher where something was offered, "
        "as a decimal; null where the control group spent nothing. Mind how many rounds stand "
        "behind it."
    )
    def lift_spend(self) -> str | None:
        mine, theirs = (_share(x.arm.spend, x.arm.rounds) for x in (self.offered, self.control))
        return None if mine is None or not theirs else _told(100 * mine / theirs - 100)


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _told(percent: Fraction | int) -> str:
    tenths = round(10 * percent)
    sign, (whole, rest) = "-" if tenths < 0 else "", divmod(abs(tenths), 10)
    return f"{sign}{whole}.{rest}"


@strawberry.type(description="Queries on personal offers.")
class PersonalQueries:
    """Root fields."""

    @answer(
        "Whether personal offers paid: those who were offered something against those who, by lot, "
        "weren't though it was chosen for them. Null where the partner has none of this code.",
        extensions=allow(partner="engagement:read", admin=STAFF),
    )
    async def offer_report(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
        code: Annotated[str, strawberry.argument(description="The code of its personal offers.")],
        since: Annotated[
            datetime,
            strawberry.argument(name="from", description="Of periods that begin from then on."),
        ],
        until: Annotated[
            datetime, strawberry.argument(description="Of periods that begin before then.")
        ],
        currency: Annotated[
            str | None,
            strawberry.argument(
                description="The ISO 4217 code of the money whose purchases count; left out: the "
                "only one that the partner trades in."
            ),
        ] = None,
    ) -> OfferReport | None:
        terms = partner_for(info.context, partner)
        offers = next((x for x in terms.personal if x.code == code), None)
        if offers is None:
            return None
        if until <= since:
            raise BadInput("it ends after it begins", "until")
        traded = sorted(terms.trades_in)
        if currency is None and len(traded) != 1:
            raise BadInput(f"in which money? {', '.join(traded)}", "currency")
        counted = traded[0] if currency is None else currency
        if counted not in traded:
            raise BadInput(f"'{terms.code}' trades in {', '.join(traded)}", "currency")
        offered, control = await store.report(terms.id, code, since, until, counted)
        return OfferReport(
            code=code, title=offers.title, offered=OfferArm(arm=offered, currency=counted),
            control=OfferArm(arm=control, currency=counted),
        )  # fmt: skip
