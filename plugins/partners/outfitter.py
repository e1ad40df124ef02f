"""Thread & Needle, an outfitter: points by the garment, a catalogue with stock, laurels welcome.

It must not know more of Laurels than any outside brand: it imports the partner kit alone.
"""

from collections.abc import Sequence

from laurels import (
    Currency,
    EarnRule,
    Ladder,
    Partner,
    PayWithPoints,
    ProductTypeRewardCalculator,
    RedeemRule,
    Reward,
    RewardKind,
    Tier,
    hookimpl,
    spend,
)

THREAD = Currency("THREAD", "Threads", symbol="🧵", expires="12M_U")
#: The programme's own currency: earned at other brands, taken here.
LAUREL = "LAUREL"

RATES: dict[str, int | str] = {"coat": 5, "shoes": 3, "sale": "0.5", "gift card": 0}


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner(
        "outfitter",
        "Thread & Needle",
        currencies=[THREAD],
        time_zone="America/New_York",
        trades_in=["USD"],
        accepts=[LAUREL],
    )


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """Two threads a dollar unless the garment says otherwise, at most 2000 a receipt."""
    return [ProductTypeRewardCalculator(THREAD, RATES, default=2, at_most=2000)]


@hookimpl
def laurels_redeem_rules() -> Sequence[RedeemRule]:
    """A hundred threads are a dollar, for up to half of the bill."""
    return [PayWithPoints(THREAD, points=100, worth="1.00 USD", at_most="50%", minimum=200)]


@hookimpl
def laurels_rewards() -> Sequence[Reward]:
    """The catalogue. Either currency pays, so laurels from the grocer buy a tote here."""
    off, perk = RewardKind.DISCOUNT, RewardKind.PERK
    gold = ("outfitter", "gold")
    return [
        Reward("tote", "A canvas tote", {THREAD: 300, LAUREL: 40}, stock=50),
        Reward("ten-off", "Ten dollars off", {THREAD: 800, LAUREL: 100}, kind=off, worth="10 USD"),
        Reward("tailoring", "An hour with our tailor", {THREAD: 500}, tier=gold, kind=perk),
    ]


@hookimpl
def laurels_ladders() -> Sequence[Ladder]:
    """Ranks by what was spent in a year, in cents: 500 dollars for silver, 1500 for gold."""
    tiers = [Tier("basic", 0), Tier("silver", 50_000), Tier("gold", 150_000)]
    return [Ladder("outfitter", spend("USD"), tiers, window="12M", name="Needle ranks")]
