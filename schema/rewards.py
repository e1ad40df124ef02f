"""The rewards: what partners offer for points, and whether a member can have one now.

Knows nothing of how one is redeemed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

import strawberry
from strawberry import relay

from core.eligibility import Eligibility as Chance
from core.models import RewardRow
from core.rulebook import PartnerTerms, RewardTerms
from laurels.money import Money as MoneyTerms
from laurels.rewards import CodeSource, RewardKind
from schema.access import STAFF, allow
from schema.context import Info
from schema.enums import words
from schema.fields import answer
from schema.money import Money
from schema.paging import After, First, check_first, cursor, page, read_cursor
from schema.partners import Currency, Partner, partner_of
from schema.scalars import BigInt

words(
    RewardKind,
    "What a reward is to the member.",
    PRODUCT="A thing.",
    DISCOUNT="Money off.",
    PERK="Something to enjoy.",
)
words(
    CodeSource,
    "Where the codes come from that a member shows.",
    name="RewardCodes",
    GENERATED="Made when one is wanted.",
    POOL="Imported ahead.",
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A reward from the rulebook, or from its row where it was withdrawn."""

    id: int
    partner: int
    code: str
    title: str
    description: str
    kind: RewardKind
    prices: Mapping[str, int]
    worth: str | None
    cash: str | None
    codes: CodeSource
    reversible: str | None
    tier: tuple[str, str] | None
    limited: bool
    offered: bool

    @classmethod
    def of(cls, partner: PartnerTerms, terms: RewardTerms) -> Offer:
        """From the rulebook."""
        r = terms.reward
        return cls(
            terms.id, partner.id, r.code, r.title, r.description, r.kind, r.prices, r.worth, r.cash,
            CodeSource(r.codes), r.reversible, r.tier, r.limited, True,
        )  # fmt: skip

    @classmethod
    def of_row(cls, row: RewardRow) -> Offer:
        """From the stored row."""
        tier = None if row.tier is None else (row.tier[0], row.tier[1])
        return cls(
            row.id, row.partner_id, row.code, row.title, row.description, RewardKind(row.kind),
            row.prices, row.worth, row.cash, CodeSource(row.codes), row.reversible, tier,
            row.limited or row.codes == CodeSource.POOL, row.offered,
        )  # fmt: skip


@strawberry.type(description="Points of one currency.")
class Price:
    """Any one of a reward's prices may pay for it."""

    amount: BigInt = strawberry.field(description="How many points.")
    currency: Currency = strawberry.field(description="Of which currency.")


@strawberry.type(description="The tier that a reward asks for.")
class RequiredTier:
    """That one or a higher one."""

    ladder: str = strawberry.field(description="The ladder's code.")
    tier: str = strawberry.field(description="The tier's code.")


@strawberry.type(description="Whether a member can have a reward now, and what is missing.")
class Eligibility:
    """As the member stands at this instant."""

    can: bool = strawberry.field(description="Whether it can be redeemed now.")
    missing: list[Price] = strawberry.field(
        description="The points missing, for each currency that would pay."
    )
    reasons: list[str] = strawberry.field(description="What stands in the way, in words.")


@strawberry.type(description="Something to have for points.")
class Reward(relay.Node):
    """By its partner's code and its own."""

    key: relay.NodeID[str]
    offer: strawberry.Private[Offer]
    holder: strawberry.Private[int | None] = None

    @classmethod
    def of(cls, partner: str, offer: Offer, holder: int | None = None) -> Reward:
        """`holder` is the member whose eligibility the reward then tells."""
        return cls(key=f"{partner}/{offer.code}", offer=offer, holder=holder)

    @answer("The code, unique within its partner.")
    def code(self) -> str:
        return self.offer.code

    @answer("What it is.")
    def title(self) -> str:
        return self.offer.title

    @answer("More about it; may be empty.")
    def description(self) -> str:
        return self.offer.description

    @answer("What it is to the member.")
    def kind(self) -> RewardKind:
        return self.offer.kind

    @answer("Whether it can still be redeemed.")
    def offered(self) -> bool:
        return self.offer.offered

    @answer("Who gives it.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.offer.partner)

    @answer("What it costs; any one of these pays.")
    def price(self, info: Info) -> list[Price]:
        return _prices(info, self.offer.prices)

    @answer("The points that its partner issues for one piece of it, at once; mostly none.")
    def gives(self, info: Info) -> list[Price]:
        partner = info.context.engine.rulebook.partner_by_id(self.offer.partner)
        terms = None if partner is None else partner.rewards.get(self.offer.code)
        return [] if terms is None else _prices(info, terms.reward.made)

    @answer("The money off of a discount; null for other kinds.")
    def worth(self) -> Money | None:
        worth = self.offer.worth
        return None if worth is None else Money.of(MoneyTerms.parse(worth))

    @answer("The money that the till collects beside the points; null: none.")
    def cash(self) -> Money | None:
        cash = self.offer.cash
        return None if cash is None else Money.of(MoneyTerms.parse(cash))

    @answer("Where the codes come from that members show for it.")
    def codes(self) -> CodeSource:
        return self.offer.codes

    @answer("How long after completion its partner may reverse a redemption, as 30D; null: never.")
    def reversible(self) -> str | None:
        return self.offer.reversible

    @answer("The tier needed at least; null: none.")
    def tier(self) -> RequiredTier | None:
        tier = self.offer.tier
        return None if tier is None else RequiredTier(ladder=tier[0], tier=tier[1])

    @answer(
        "How many are left, of its stock or of the codes in its pool (which are counted up to "
        "10,000); null: no limit."
    )
    async def left(self, info: Info) -> BigInt | None:
        if not self.offer.limited:
            return None
        return BigInt(await info.context.loaders.stock.load(self.offer.id) or 0)

    @answer("Whether the member that is meant can have it. Null where no member is.")
    async def eligibility(self, info: Info) -> Eligibility | None:
        if self.holder is None:
            return None
        loader = info.context.loaders.chances(info.context.instant)
        chance = await loader.load((self.holder, self.offer.id))
        return None if chance is None else _eligibility(info, chance)


def _prices(info: Info, prices: Mapping[str, int]) -> list[Price]:
    by_code = {c.code: c for c in info.context.engine.rulebook.currencies.values()}
    return [
        Price(amount=BigInt(points), currency=Currency.of(by_code[code]))
        for code, points in prices.items()
        if code in by_code
    ]


def _eligibility(info: Info, chance: Chance) -> Eligibility:
    return Eligibility(
        can=chance.can, missing=_prices(info, chance.missing), reasons=list(chance.reasons)
    )


async def reward_of(info: Info, reward_id: int) -> Reward:
    """The reward of this stored id, withdrawn or not."""
    row = await info.context.loaders.reward.load(reward_id)
    assert row is not None
    partner = await partner_of(info, row.partner_id)
    return Reward.of(partner.code, Offer.of_row(row), info.context.viewer.holder)


def catalogue(
    info: Info, first: int, after: str | None, partner: str | None, holder: int | None
) -> relay.Connection[Reward]:
    """A page of what is on offer, by partner and code."""
    check_first(first)
    seen = read_cursor("reward", after)
    partners: Iterable[PartnerTerms] = info.context.engine.rulebook.partners.values()
    nodes = sorted(
        (
            Reward.of(p.code, Offer.of(p, terms), holder)
            for p in partners
            if partner in (None, p.code)
            for terms in p.rewards.values()
        ),
        key=lambda node: node.key,
    )
    rest = [node for node in nodes if seen is None or node.key > seen]
    return page(rest[: first + 1], first, after, lambda n: cursor("reward", n.key))


PartnerFilter = Annotated[
    str | None, strawberry.argument(description="Only those of the partner of this code.")
]


@strawberry.type(description="Queries on rewards.")
class RewardQueries:
    """What anybody with a token may know of the coalition."""

    @answer(
        "The rewards on offer. A member's token is told its own eligibility with them.",
        extensions=allow(member=True, partner="any", admin=STAFF),
    )
    async def rewards(
        self, info: Info, first: First = 20, after: After = None, partner: PartnerFilter = None
    ) -> relay.Connection[Reward]:
        return catalogue(info, first, after, partner, info.context.viewer.holder)
