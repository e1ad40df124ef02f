"""A shop whose counter gives things for points in every way there is: for tests of redemptions.

A star and a moon for every full dollar. Holds no assertion and no fixture.
"""

from __future__ import annotations

from core.posting import Engine
from core.pricing import RedeemRequest
from core.programme import ContractSettings, CurrencySettings, Programme
from core.redeemed import Redemption
from core.redemptions import redeem
from core.store.redemptions import stock_left
from core.store.reference import Declared, install
from core.vouchers import import_codes
from laurels import (
    Duration,
    Partner,
    PayWithPoints,
    ProductTypeRewardCalculator,
    Reward,
    RewardKind,
)
from tests.core.shop import earn
from tests.support import NEW_YORK, NOW, enrol_cards

BOTH = ("STAR", "MOON")
PROGRAMME = Programme(
    currencies=(
        CurrencySettings(code="STAR", name="Stars", expires="90D"),
        CurrencySettings(code="MOON", name="Moons", expires="30D", grace="10D"),
    ),
    contracts={
        "grocer": ContractSettings(issues=BOTH, accepts=BOTH),
        "rival": ContractSettings(issues=(), accepts=("STAR",)),
    },
)
GROCER = Declared(
    "grocer",
    "1",
    Partner("grocer", "The Grocer", time_zone=NEW_YORK, issues=BOTH, accepts=BOTH),
    earn_rules=[
        ProductTypeRewardCalculator("STAR", {}, default=1, code="stars"),
        ProductTypeRewardCalculator("MOON", {}, default=1, code="moons"),
    ],
    redeem_rules=[PayWithPoints("STAR", points=100, worth="5.00 USD", reversible="1D")],
    rewards=[
        Reward("bag", "A bag", {"STAR": 100}),
        Reward("mug", "A mug", {"STAR": 10}, stock=5, cash="2.50 USD"),
        Reward("card", "A card", {"STAR": 50}, kind=RewardKind.DISCOUNT, worth="5.00 USD"),
        Reward("cinema", "A ticket", {"STAR": 10}, codes="pool"),
        Reward("opera", "A box", {"STAR": 10}, codes="pool", stock=2),
        Reward("vase", "A vase", {"STAR": 10}, reversible=None),
        Reward("lamp", "A lamp", {"MOON": 20}),
    ],
)
RIVAL = Declared(
    "rival", "1", Partner("rival", "The Rival"), rewards=[Reward("tea", "Tea", {"STAR": 10})]
)
ORDER = "O-1"


async def open_counter() -> Engine:
    """Install the coalition in the database that this process is connected to."""
    return Engine(await install(PROGRAMME, [GROCER, RIVAL], NOW))


async def member(engine: Engine, card: str = "1", dollars: str = "350.00") -> int:
    """A member who bought for so much."""
    (holder,) = await enrol_cards([card])
    await earn(engine, f"P{card}", dollars, card)
    return holder


def want(
    holder: int,
    reward: str = "bag",
    *,
    key: str = "k",
    quantity: int = 1,
    order: str | None = None,
    hold: str | None = None,
    partner: str = "grocer",
) -> RedeemRequest:
    """A request for pieces of a reward."""
    duration = None if hold is None else Duration.parse(hold)
    return RedeemRequest("till", key, partner, holder, reward, None, duration, quantity, order)


async def take(engine: Engine, holder: int, reward: str = "bag", **how: object) -> Redemption:
    """Redeem now; `how` is as for `want`."""
    return await redeem(engine, want(holder, reward, **how), NOW)  # type: ignore[arg-type]


async def left(engine: Engine, reward: str) -> int | None:
    """What is left of a reward; None: no limit."""
    number = engine.rulebook.partners["grocer"].rewards[reward].id
    return (await stock_left([number])).get(number)


async def fill(engine: Engine, reward: str = "cinema", *codes: str) -> None:
    """Put codes into a pool."""
    await import_codes(engine, "grocer", reward, codes or ("C1", "C2", "C3"), NOW)
