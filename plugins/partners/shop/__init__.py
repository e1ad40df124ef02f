"""Clay & Kiln, a pottery's web shop: clay for what is bought, told, and recommended; store credit.

It must not know more of Laurels than any outside brand: it imports the partner kit alone. What its
shop system sends is read by `hooks`.
"""

from collections.abc import Sequence

from pydantic import BaseModel, Field, SecretStr

from laurels import (
    Adapter,
    Cap,
    Currency,
    EarnRule,
    Effects,
    Facts,
    Hmac,
    Ladder,
    Partner,
    PayWithPoints,
    PointsPerAmount,
    PointsPerVisit,
    Purchase,
    RedeemRule,
    Reward,
    RewardKind,
    Tier,
    award,
    based,
    capped,
    earn_rule,
    hookimpl,
    on,
    pending,
    thank_referrer,
)
from plugins.partners.shop import hooks

CLAY = Currency("CLAY", "Clay", symbol="🏺", expires="12M_U")
#: Store credit: one is a cent.
CREDIT = Currency("KILN-CREDIT", "Store credit", symbol="$", expires="24M")
#: Nobody earns on what isn't goods, nor on what points paid.
LEFT_OUT = ("tax", "delivery", "gift-cards", "fees")


class Settings(BaseModel):
    """What the operator sets: LAURELS_PLUGIN_SHOP_WEBHOOK_SECRET and the like."""

    webhook_secret: SecretStr | None = Field(
        None, description="What the shop signs its webhooks with; without it none is taken."
    )
    signature: str = Field("X-Shopify-Hmac-Sha256", description="The header of the signature.")
    topic: str = Field("X-Shopify-Topic", description="The header of the topic.")
    delivery: str = Field("X-Shopify-Webhook-Id", description="The header of the delivery's name.")
    guests: str = Field("90D", description="How long a guest's order waits to be claimed.")


@earn_rule("recommended", "A recommended friend's first order: clay for both")
def recommended(purchase: Purchase, facts: Facts) -> Effects:
    """The friend's part; who recommended the shop has the occasion `referral`."""
    if facts.first_purchase and facts.attributes.get("referred") == "yes":
        return [award(CLAY, 50), thank_referrer()]
    return None


@hookimpl
def laurels_settings() -> type[BaseModel]:
    """What there is to be set."""
    return Settings


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner(
        "shop",
        "Clay & Kiln",
        currencies=[CLAY, CREDIT],
        time_zone="America/New_York",
        trades_in=["USD"],
    )


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """A piece of clay a dollar, fifty more on a kiln-load, and for what isn't buying."""
    clay = PointsPerAmount(CLAY, 1, "1.00 USD", code="clay", title="One for each dollar")
    load = PointsPerVisit(
        CLAY, 50, minimum="60.00 USD", code="kiln-load", title="Fifty more from 60.00 on"
    )
    review = PointsPerVisit(CLAY, 25, code="review", title="Twenty-five for a review")
    return [
        based(clay, "net-of-points", without=LEFT_OUT),
        based(load, "net-of-points", without=LEFT_OUT),
        recommended,
        on("enrolment", PointsPerVisit(CLAY, 100, code="welcome", title="A hundred to begin with")),
        capped(on("review", review), Cap(times=2, per="calendar 1M")),
        pending(
            "14D",
            on("referral", PointsPerVisit(CLAY, 200, code="thanks", title="For a friend's order")),
        ),
    ]


@hookimpl
def laurels_redeem_rules() -> Sequence[RedeemRule]:
    """Store credit pays at the checkout, to the last cent."""
    return [PayWithPoints(CREDIT, 1, "0.01 USD", code="credit", title="Pay with store credit")]


@hookimpl
def laurels_rewards() -> Sequence[Reward]:
    """Clay becomes credit, or a code for money off."""
    return [
        Reward("credit-5", "Five dollars of store credit", {CLAY: 500}, gives={CREDIT: 500}),
        Reward(
            "ten-off", "Ten dollars off", {CLAY: 900}, kind=RewardKind.DISCOUNT, worth="10.00 USD"
        ),
    ]


@hookimpl
def laurels_ladders() -> Sequence[Ladder]:
    """Ranks by the clay of a year."""
    return [Ladder("shop", CLAY.earned, [Tier("raw", 0), Tier("glazed", 1000)], name="Firing")]


@hookimpl
def laurels_adapters(settings: Settings) -> Sequence[Adapter]:
    """Where the shop's webhooks are taken, once there is a secret to know them by."""
    if settings.webhook_secret is None:
        return []
    topic, name, guests = settings.topic.lower(), settings.delivery.lower(), settings.guests
    return [
        Adapter(
            "orders",
            Hmac(settings.webhook_secret, settings.signature),
            lambda message: hooks.read(message, topic, name, guests),
            headers=[topic, name],
        )
    ]
