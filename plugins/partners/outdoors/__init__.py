"""Treeline, an outdoor shop whose members earn by taking part: walks, streaks, five trails.

It must not know more of Laurels than any outside brand: it imports the partner kit alone. Its
meetups aren't declared here: staff make them over GraphQL.
"""

from collections.abc import Sequence

from laurels import (
    Collection,
    Currency,
    EarnRule,
    Ladder,
    Partner,
    PayWithPoints,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    RedeemRule,
    Reward,
    RewardKind,
    Streak,
    Tier,
    hookimpl,
    on,
)

CAIRN = Currency("CAIRN", "Cairns", symbol="🪨", expires="12M_U")
FIVE_TRAILS = Currency("FIVE-TRAILS", "Five trails", symbol="🥾", badge=True)
#: The tags of our walks. A meetup that has one of them is a walk on that trail.
TRAILS = ("ridge", "coast", "lake", "canyon", "forest")


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner(
        "outdoors",
        "Treeline",
        currencies=[CAIRN, FIVE_TRAILS],
        time_zone="America/Denver",
        trades_in=["USD"],
    )


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """A cairn a dollar, none on gift cards; a hundred for coming along, and more for coming again.

    A streak is of months by our own clock, and a set of trails is walked once.
    """
    come = PointsPerVisit(CAIRN, 100, code="came-along", title="100 for coming along")
    again = Streak(
        CAIRN, 150, times=3, per="calendar 1M", code="three-months",
        title="150 for three months in a row",
    )  # fmt: skip
    return [
        ProductTypeRewardCalculator(CAIRN, {"gift card": 0}, default=1, code="gear"),
        on("attended", come),
        on("attended", again),
        Collection(CAIRN, 500, of=TRAILS, code="trails", title="500 for all five trails"),
        Collection(
            FIVE_TRAILS, 1, of=TRAILS, code="trails-badge", title="The badge of five trails"
        ),
    ]


@hookimpl
def laurels_redeem_rules() -> Sequence[RedeemRule]:
    """A hundred cairns are ten dollars, for up to half of the bill."""
    return [PayWithPoints(CAIRN, points=100, worth="10.00 USD", at_most="50%")]


@hookimpl
def laurels_rewards() -> Sequence[Reward]:
    """Perks by tier cost next to nothing: it is being here often that opens them."""
    perk = RewardKind.PERK
    explorer, pathfinder = ("outdoors", "explorer"), ("outdoors", "pathfinder")
    return [
        Reward("mug", "An enamel mug", {CAIRN: 150}, stock=200),
        Reward("first-look", "The new season, a week early", {CAIRN: 1}, tier=explorer, kind=perk),
        Reward(
            "field-test",
            "A tent that isn't for sale yet, to test and to keep",
            {CAIRN: 250},
            stock=20,
            tier=pathfinder,
            kind=perk,
        ),
    ]


@hookimpl
def laurels_ladders() -> Sequence[Ladder]:
    """Ranks by the cairns earned in a year, at the till or on the trail."""
    tiers = [
        Tier("wanderer", 0),
        Tier("explorer", 300, benefits=["The new season a week early", "Places before others"]),
        Tier("pathfinder", 1000, benefits=["Field tests of what isn't for sale yet"]),
    ]
    return [Ladder("outdoors", CAIRN.earned, tiers, window="12M", name="Treeline ranks")]
