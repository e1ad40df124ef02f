"""Bazaar Street, a marketplace with a paid membership: delivery is free, and coins count double.

It must not know more of Laurels than any outside brand: it imports the partner kit alone.
"""

from collections.abc import Sequence

from laurels import (
    Currency,
    EarnRule,
    Fee,
    Ladder,
    MembershipPlan,
    Partner,
    Perk,
    PointsPerAmount,
    Reward,
    RewardKind,
    Tier,
    TierMultiplier,
    hookimpl,
    spend,
)

COIN = Currency("COIN", "Coins", symbol="🪙", expires="24M")
#: What the membership gives while it lasts.
PLUS = ("marketplace", "plus")


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner(
        "marketplace",
        "Bazaar Street",
        currencies=[COIN],
        time_zone="America/Chicago",
        trades_in=["USD"],
    )


@hookimpl
def laurels_ladders() -> Sequence[Ladder]:
    """Guests become Plus by the membership, or by 10,000 dollars in a year."""
    plus = Tier("plus", 1_000_000, benefits=["Double coins", "Rewards for Plus alone"])
    return [Ladder("marketplace", spend("USD"), [Tier("guest", 0), plus], window="12M")]


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """A coin a dollar, and as many again for Plus: an award of its own, so that members see it."""
    return [
        PointsPerAmount(COIN, 1, "1.00 USD", code="coins", title="A coin for every dollar"),
        TierMultiplier(
            COIN, "marketplace", {"plus": 2}, code="plus-double", title="Double coins for Plus"
        ),
    ]


@hookimpl
def laurels_plans() -> Sequence[MembershipPlan]:
    """A month may be paid by money, by coins, or half by either."""
    return [
        MembershipPlan(
            "plus",
            "Bazaar Plus",
            fees=[
                Fee("monthly", "1M", "12.99 USD", title="By the month"),
                Fee("yearly", "1Y", "129.00 USD", title="By the year"),
                Fee("monthly-coins", "1M", points=(COIN, 1300), title="A month for coins"),
                Fee("monthly-half", "1M", "6.49 USD", (COIN, 650), title="A month, half for coins"),
            ],
            trial="30D",
            grace="7D",
            perks=[
                Perk("delivery", "Free delivery", worth="5.99 USD"),
                Perk("media", "A film from the media pass", worth="3.99 USD"),
                Perk("early", "Deals half an hour before all others"),
            ],
            tier=PLUS,
        )
    ]


@hookimpl
def laurels_rewards() -> Sequence[Reward]:
    """Gift wrap is for all; the rest is for Plus."""
    return [
        Reward("gift-wrap", "Gift wrap", {COIN: 40}),
        Reward("tasting", "A box of things to try", {COIN: 150}, tier=PLUS, kind=RewardKind.PERK),
        Reward(
            "ten-off",
            "Ten dollars off",
            {COIN: 900},
            tier=PLUS,
            kind=RewardKind.DISCOUNT,
            worth="10.00 USD",
        ),
    ]
