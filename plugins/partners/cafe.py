"""Café Corda: a stamp a visit and the tenth drink free; stars for what you spend, double for gold.

It must not know more of Laurels than any outside brand: it imports the partner kit alone.
"""

from collections.abc import Sequence

from laurels import (
    Currency,
    EarnRule,
    FirstPurchaseBonus,
    Ladder,
    Partner,
    PointsPerAmount,
    PointsPerVisit,
    Reward,
    RewardKind,
    Tier,
    TierMultiplier,
    hookimpl,
)

STAMP = Currency("STAMP", "Stamps", symbol="☕")
STAR = Currency("STAR", "Stars", symbol="★", expires="12M")


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner(
        "cafe",
        "Café Corda",
        currencies=[STAMP, STAR],
        time_zone="Europe/Rome",
        trades_in=["EUR"],
    )


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """The doubling comes last to be read last; it doubles all stars of the receipt."""
    return [
        # Of at least a cent: the free drink itself gets no stamp.
        PointsPerVisit(STAMP, 1, minimum="0.01 EUR", code="stamp", title="A stamp for each visit"),
        PointsPerAmount(STAR, 1, "1.00 EUR", code="stars", title="A star for every full euro"),
        FirstPurchaseBonus(STAR, 25, code="welcome", title="25 stars to welcome you"),
        TierMultiplier(
            STAR, "cafe", {"gold": 2}, code="gold-double", title="Double stars for gold"
        ),
    ]


@hookimpl
def laurels_rewards() -> Sequence[Reward]:
    """Nine stamps are nine drinks paid: the tenth is free."""
    return [
        Reward("free-drink", "Your tenth drink is free", {STAMP: 9}),
        Reward(
            "barista-class",
            "A morning behind the machine",
            {STAR: 400},
            stock=12,
            tier=("cafe", "gold"),
            kind=RewardKind.PERK,
        ),
    ]


@hookimpl
def laurels_ladders() -> Sequence[Ladder]:
    """Ranks by the stars earned in the last twelve months."""
    tiers = [Tier("green", 0), Tier("gold", 300, benefits=["Double stars"])]
    return [Ladder("cafe", STAR.earned, tiers, window="12M", name="Corda ranks")]
