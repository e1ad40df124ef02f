"""Brio Coffee: stars for every euro, more by its card; a treat, a challenge, offers of one's own.

It must not know more of Laurels than any outside brand: it imports the partner kit alone.
"""

from collections.abc import Sequence

from laurels import (
    Activity,
    Cap,
    Challenge,
    Choice,
    Currency,
    EarnRule,
    Effects,
    Facts,
    History,
    Ladder,
    Partner,
    PersonalOffers,
    PointsPerAmount,
    PointsPerVisit,
    Purchase,
    Reward,
    Tier,
    TierMultiplier,
    award,
    based,
    capped,
    earn_rule,
    hookimpl,
    issue,
    multiply,
    nothing,
    offered,
)

STAR = Currency("BRIOSTAR", "Stars", symbol="⭐", expires="6M_U", notices=("30D",))
#: How a purchase says that the preloaded Brio card paid it.
CARD = "stored-value"
DRINK = 100
WEDNESDAY = 2
#: Loads of the card earn nothing: what it buys later does.
LOADS = ["gift-cards"]
ONCE_A_WEEK = Cap(times=1, per="calendar 1W")
PER_EURO = PointsPerAmount(STAR, 1, "1.00 EUR", code="stars", title="A star for every full euro")


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner(
        "coffee", "Brio Coffee", currencies=[STAR], time_zone="Europe/Berlin", trades_in=["EUR"]
    )


@earn_rule("card-star", "One more star for every full euro paid by the Brio card")
def card_star(purchase: Purchase, facts: Facts) -> Effects:
    """Two a euro by the card in all."""
    if purchase.tender != CARD:
        return nothing("it wasn't paid by the Brio card")
    return PER_EURO.evaluate(purchase, facts)


@earn_rule("birthday-treat", "A drink on us on your birthday", on="birthday")
def birthday_treat(birthday: Activity, facts: Facts) -> Effects:
    """Its stars are given, and taken for the drink at once."""
    return [award(STAR, DRINK), issue("drink")]


@earn_rule("coffee-and-cake", "25 stars when cake goes with your coffee")
def coffee_and_cake(purchase: Purchase, facts: Facts) -> Effects:
    """For who buys the one, and never the other with it."""
    sold = {line.product_type for line in purchase.lines}
    return award(STAR, 25) if {"coffee", "cake"} <= sold else nothing("coffee and cake, together")


@earn_rule("double-stars", "Double stars on a Wednesday")
def double_stars(purchase: Purchase, facts: Facts) -> Effects:
    """In the middle of the week, by our own clock."""
    if purchase.local_time.weekday() != WEDNESDAY:
        return nothing("it is no double-star day")
    return multiply(STAR, 2)


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """What multiplies does so to all stars of the receipt, each to what the others gave."""
    visits = Challenge(
        STAR,
        30,
        purchases=3,
        per="calendar 1W",
        code="three-a-week",
        title="30 stars for three orders in a week",
    )
    come_back = PointsPerVisit(STAR, 40, code="come-back", title="40 stars when you come again")
    return [
        based(PER_EURO, without=LOADS),
        based(card_star, without=LOADS),
        based(capped(visits, ONCE_A_WEEK), without=LOADS),
        birthday_treat,
        based(capped(offered(coffee_and_cake), ONCE_A_WEEK), without=LOADS),
        based(capped(offered(come_back), ONCE_A_WEEK), without=LOADS),
        TierMultiplier(
            STAR, "coffee", {"gold": "1.25"}, code="gold-stars", title="A quarter more for gold"
        ),
        double_stars,
    ]


def choose(history: History) -> Choice | None:
    """What a member's own eight weeks suggest: the missing half of a pair, or to come again."""
    cake, coffee = history.bought("cake").times, history.bought("coffee").times
    if max(cake, coffee) >= 3 and not history.together("coffee", "cake"):
        had, never = ("cake", "coffee") if cake > coffee else ("coffee", "cake")
        often = f"{max(cake, coffee)} times in {history.weeks} weeks"
        why = f"you bought {had} {often}, never with {never}"
        return Choice("coffee-and-cake", why)
    gap, last = history.usual_gap, history.last
    away = 0 if last is None else (history.ends.date() - last.date()).days
    if gap is not None and away > max(7, 2 * gap):
        days = "day" if gap == 1 else f"{gap} days"
        return Choice("come-back", f"you used to come every {days}, and {away} have gone by")
    return None


@hookimpl
def laurels_personal_offers() -> Sequence[PersonalOffers]:
    """Chosen anew each Monday; one in ten is left out, to see whether it pays."""
    return [PersonalOffers("for-you", choose, per="calendar 1W", control="10%", lasts="7D")]


@hookimpl
def laurels_rewards() -> Sequence[Reward]:
    """Something for every purse."""
    return [
        Reward("extra", "A shot or a syrup", {STAR: 25}),
        Reward("drink", "A coffee or a tea", {STAR: DRINK}),
        Reward("breakfast", "A handcrafted drink or breakfast", {STAR: 200}),
        Reward("lunch", "Lunch, or a bag of beans", {STAR: 300}),
    ]


@hookimpl
def laurels_ladders() -> Sequence[Ladder]:
    """By the stars earned in a calendar year, whatever they were spent on."""
    tiers = [Tier("green", 0), Tier("gold", 300, benefits=["A quarter more stars"])]
    return [Ladder("coffee", STAR.earned, tiers, window="calendar 1Y", grace="2M", name="Brio")]
