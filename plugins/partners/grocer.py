"""Greenleaf Grocer: points by the aisle, kept for ninety days, and laurels for the whole coalition.

It must not know more of Laurels than any outside brand: it imports the partner kit alone.
"""

from collections.abc import Sequence

from laurels import (
    Currency,
    EarnRule,
    Ladder,
    Partner,
    PointsPerAmount,
    ProductTypeRewardCalculator,
    Reward,
    RewardKind,
    Rounding,
    Tier,
    hookimpl,
)

# In hours: a point lives exactly 90 times 24 of them, whatever the clocks on the wall do.
BASKET = Currency("BASKET", "Basket points", symbol="🧺", expires="2160h")
#: The programme's own currency, which we may issue and others accept.
LAUREL = "LAUREL"

# Fuel and the kiosk's gas earn nothing by law or margin, nor does what the till can't name.
RATES = {"PRODUCE": 3, "MEAT": 2, "SEAFOOD": 2, "FUEL": 0, "KIOSK-GAS": 0, "MISCELLANEOUS": 0}


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner(
        "grocer",
        "Greenleaf Grocer",
        currencies=[BASKET],
        time_zone="UTC",
        trades_in=["USD"],
        issues=[LAUREL],
    )


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """One rule for our own points, so that a basket is one lot; laurels are counted beside it."""
    return [
        ProductTypeRewardCalculator(BASKET, RATES, default=1, rounding=Rounding.LINE_DOWN),
        PointsPerAmount(
            LAUREL, 1, "10.00 USD", code="laurels", title="A laurel for every full ten dollars"
        ),
    ]


@hookimpl
def laurels_rewards() -> Sequence[Reward]:
    """What a member can have for basket points."""
    five_off = "Five dollars off your next basket"
    return [Reward("five-off", five_off, {BASKET: 500}, kind=RewardKind.DISCOUNT, worth="5.00 USD")]


@hookimpl
def laurels_ladders() -> Sequence[Ladder]:
    """Ranks by the points earned in the last twelve months."""
    tiers = [Tier("bronze", 0), Tier("silver", 1000), Tier("gold", 2500), Tier("platinum", 5000)]
    return [Ladder("grocer", BASKET.earned, tiers, window="12M", name="Greenleaf ranks")]
