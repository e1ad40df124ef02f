"""Corner Bakery: a crumb for every lira, two on bread, and a croissant for 120.

The whole plugin of an outside brand. It knows the partner kit alone, nothing of the engine.
"""

from collections.abc import Sequence

from laurels import (
    Currency,
    EarnRule,
    Effects,
    Facts,
    Ladder,
    Partner,
    PayWithPoints,
    ProductTypeRewardCalculator,
    Purchase,
    RedeemRule,
    Reward,
    Tier,
    TierMultiplier,
    award,
    earn_rule,
    hookimpl,
    nothing,
)

CRUMB = Currency("CRUMB", "Crumbs", symbol="🥐", expires="12M_U")


@earn_rule(
    "quiet-tuesday",
    "Fifty crumbs when you come on a Tuesday and spend 100",
    {"points": 50, "weekday": "Tuesday", "at_least": "100.00 TRY"},
)
def quiet_tuesday(purchase: Purchase, facts: Facts) -> Effects:
    """Fill the shop on its quietest day, by the clock on the shop's own wall."""
    if purchase.local_time.weekday() != 1:
        return nothing("it wasn't a Tuesday")
    if purchase.total < "100.00":
        return nothing("needs at least 100.00 TRY")
    return award(CRUMB, 50)


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner(
        "bakery",
        "Corner Bakery",
        currencies=[CRUMB],
        time_zone="Europe/Istanbul",
        trades_in=["TRY"],
    )


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """Crumbs by product, the Tuesday's bonus, and half as much again for gold."""
    return [
        ProductTypeRewardCalculator(CRUMB, {"bread": 2, "gift card": 0}, default=1),
        quiet_tuesday,
        TierMultiplier(CRUMB, "bakery", {"gold": "1.5"}),
    ]


@hookimpl
def laurels_redeem_rules() -> Sequence[RedeemRule]:
    """A hundred crumbs pay five lira, for up to half of the bill."""
    return [PayWithPoints(CRUMB, points=100, worth="5.00 TRY", at_most="50%")]


@hookimpl
def laurels_rewards() -> Sequence[Reward]:
    """The catalogue."""
    return [Reward("croissant", "A croissant", {CRUMB: 120}, stock=500)]


@hookimpl
def laurels_ladders() -> Sequence[Ladder]:
    """Ranks by the crumbs earned in a year."""
    tiers = [Tier("bronze", 0), Tier("silver", 1000), Tier("gold", 2500)]
    return [Ladder("bakery", CRUMB.earned, tiers)]
