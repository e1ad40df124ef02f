"""Quayside Hotels: guests are asked after each stay, and thanked for the answer, whatever it is.

It must not know more of Laurels than any outside brand: it imports the partner kit alone.
"""

from collections.abc import Sequence

from laurels import (
    Currency,
    EarnRule,
    Ladder,
    Partner,
    PointsPerAmount,
    PointsPerVisit,
    Reward,
    RewardKind,
    Survey,
    SurveyKind,
    Tier,
    hookimpl,
    offered,
    on,
)

ANCHOR = Currency("ANCHOR", "Anchors", symbol="⚓", expires="12M")
#: Where our page takes answers: the token stands behind the #, which browsers send to nobody.
PAGE = "https://quayside.example/survey"


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner(
        "voice",
        "Quayside Hotels",
        currencies=[ANCHOR],
        time_zone="Europe/Lisbon",
        trades_in=["EUR"],
    )


@hookimpl
def laurels_surveys() -> Sequence[Survey]:
    """How likely guests recommend us, once a quarter; how the desk helped them; and what they miss.

    Our desk tells of the activity `helped`, and the checkout of `left-early`.
    """
    return [
        Survey(
            "stay",
            "Your stay",
            "How likely are you to recommend us to a friend?",
            wait="4h",
            at_most="90D",
            lasts="14D",
            page=PAGE,
        ),
        Survey(
            "desk",
            "Our help",
            "How content are you with how we helped you?",
            kind=SurveyKind.CSAT,
            after="helped",
            at_most="30D",
            page=PAGE,
        ),
        Survey(
            "missed",
            "What went wrong",
            "You left before the end of your stay. What did you miss?",
            kind=SurveyKind.TEXT,
            after="left-early",
            at_most="1h",
            page=PAGE,
        ),
    ]


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """An anchor a euro, 25 for an answer; and, to whom it is offered, as many again for a stay."""
    thanks = PointsPerVisit(ANCHOR, 25, code="answered", title="25 for telling us")
    return [
        PointsPerAmount(ANCHOR, 1, "1.00 EUR", code="stays", title="An anchor for every euro"),
        on("survey-answered", thanks),
        offered(
            PointsPerVisit(ANCHOR, 200, code="come-back", title="200 when you come back to us")
        ),
    ]


@hookimpl
def laurels_rewards() -> Sequence[Reward]:
    """Small ones soon, a night in the end."""
    return [
        Reward("late", "Check out at two", {ANCHOR: 150}, kind=RewardKind.PERK),
        Reward("breakfast", "Breakfast for two", {ANCHOR: 400}),
        Reward("night", "A night", {ANCHOR: 4000}),
    ]


@hookimpl
def laurels_ladders() -> Sequence[Ladder]:
    """By the anchors earned in a year."""
    tiers = [Tier("guest", 0), Tier("regular", 1000), Tier("friend", 5000)]
    return [Ladder("voice", ANCHOR.earned, tiers, window="12M", name="Quayside ranks")]
