"""Lantern Works: colleagues thank each other with points that are theirs to give away.

It must not know more of Laurels than any outside brand: it imports the partner kit alone.
"""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from laurels import (
    Activity,
    Cap,
    Currency,
    EarnRule,
    Effects,
    Facts,
    Giving,
    Partner,
    Reward,
    RewardKind,
    award,
    capped,
    earn_rule,
    hookimpl,
)

#: What each colleague has to give away: gone with the month, whenever in it it came.
ALLOWANCE = Currency("SPARK", "Sparks", symbol="🎁", expires="1M_D")
KUDOS = "GLOW"
_ONCE_A_MONTH = Cap(times=1, per="calendar 1M", shared="allowance", rejects=True)


class Settings(BaseModel):
    """What the company chooses for itself."""

    currency: str = Field("Glows", description="What the points are called that arrive.")
    emoji: str = Field("🏮", description="The sign beside them.")
    allowance: int = Field(100, ge=1, description="Points that each colleague gives in a month.")
    values: Mapping[str, str] = Field(
        {"courage": "Courage", "care": "Care for others", "craft": "Craft", "candour": "Candour"},
        description="The company's values by their codes; none: gifts name no value.",
    )
    each: int = Field(50, ge=1, description="The most points of one gift.")
    to_one: int = Field(60, ge=1, description="The most for one colleague in a month.")
    back: int = Field(
        20, ge=1, description="The most for a colleague who gave to the giver within 30 days."
    )
    catalogue: bool = Field(True, description="Whether there is anything to have for points.")


@hookimpl
def laurels_settings() -> type[BaseModel]:
    """What there is to be set."""
    return Settings


@hookimpl
def laurels_partner(settings: Settings) -> Partner:
    """Who we are."""
    return Partner(
        "workplace",
        "Lantern Works",
        currencies=[ALLOWANCE, Currency(KUDOS, settings.currency, symbol=settings.emoji)],
        time_zone="Europe/Istanbul",
        trades_in=["EUR"],
    )


def _allowance(settings: Settings, code: str, title: str, on: str) -> EarnRule:
    """So much for who has a team here, once a month by whichever rule comes first."""

    @earn_rule(code, title, {"points": settings.allowance}, on=on)
    def rule(activity: Activity, facts: Facts) -> Effects:
        return award(ALLOWANCE, settings.allowance) if "team" in facts.attributes else None

    return capped(rule, _ONCE_A_MONTH)


@hookimpl
def laurels_earn_rules(settings: Settings) -> Sequence[EarnRule]:
    """The allowance: on the first of each month, and on the day that somebody joins."""
    return [
        _allowance(settings, "monthly", "To give away this month", "schedule:monthly 1"),
        _allowance(settings, "joined", "To give away in your first month", "segment:colleague"),
    ]


@hookimpl
def laurels_giving(settings: Settings) -> Giving:
    """Sparks are given, and glow with whom they reach."""
    return Giving(
        ALLOWANCE,
        as_=KUDOS,
        values=settings.values,
        each=settings.each,
        to_one=Cap(points=settings.to_one, per="calendar 1M"),
        back=Cap(points=settings.back, per="30D"),
    )


@hookimpl
def laurels_rewards(settings: Settings) -> Sequence[Reward]:
    """What the office hands out by hand; nothing where the company wants no rewards."""
    if not settings.catalogue:
        return []
    perk = RewardKind.PERK
    return [
        Reward("book", "A book of your choice", {KUDOS: 60}, fulfilled="14D"),
        Reward("lunch", "Lunch with the founders", {KUDOS: 90}, kind=perk, fulfilled="14D"),
        Reward("day-off", "A day off", {KUDOS: 400}, kind=perk, fulfilled="31D"),
    ]
