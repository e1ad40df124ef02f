"""The field's own worked examples, through the engine: each system's figure, to the point.

The tiers' are in `test_tiers.py` (Siebel, Voucherify), the codes' in `test_redemptions*.py` (Odoo).
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core import nightly
from core.bought import Returned
from core.outcomes import Recorded
from core.posting import Engine
from core.programme import CurrencySettings, LadderSettings, Programme, TierSettings
from core.purchases import find_partner
from core.redemptions import redeem
from core.returning import record
from core.returns import ReturnInput, check_return
from core.store.reference import Declared, install
from laurels import (
    Currency,
    Effects,
    Facts,
    Partner,
    PointsPerAmount,
    Purchase,
    Reward,
    earn_rule,
    multiply,
)
from tests.core.shop import days, wish
from tests.support import NOW, enrol_cards, receipt, scalar

SQUARE = Currency("SQ", "Square points", expires="12M_U", time_zone="America/Los_Angeles")
MONTH = Currency("MONTH", "Points for a month", expires="1M", time_zone="Europe/Warsaw")


@earn_rule("promotion", "Half as much again in the shop called promotion")
def promotion(purchase: Purchase, _: Facts) -> Effects:
    """Square's multiplier of 1.5."""
    return multiply(SQUARE, "1.5") if purchase.store == "promotion" else None


BRAND = Declared(
    "brand",
    "1",
    Partner("brand", "The Brand", currencies=[SQUARE, MONTH], issues=["SF"], accepts=["SF"]),
    earn_rules=[
        PointsPerAmount(SQUARE, 1, "10.00 USD"),
        PointsPerAmount(MONTH, 1, "1.00 USD"),
        PointsPerAmount("SF", 1, "1.00 USD"),
        promotion,
    ],
    rewards=[Reward("hundred", "A thing", {"SF": 100})],
)
PROGRAMME = Programme(
    currencies=(CurrencySettings(code="SF", name="Points", expires="1Y"),),
    ladders=(
        LadderSettings(
            code="club",
            measure="earned:SF",
            window="30D",
            tiers=(TierSettings(code="base", at=0), TierSettings(code="silver", at=50)),
        ),
    ),
)


@pytest.fixture
async def brand(database: str) -> Engine:
    """The brand on a fresh database, with one member."""
    engine = Engine(await install(PROGRAMME, [BRAND], NOW))
    await enrol_cards(["1"])
    return engine


async def bought(
    engine: Engine, external_id: str, amount: str, at: datetime = NOW, store: str = ""
) -> dict[str, int]:
    """The points that a purchase of this amount earned, by currency."""
    item = receipt(engine, external_id, "1", at, ("X", amount), partner="brand")
    if store:
        object.__setattr__(item.purchase, "store", store)
    (outcome,) = await engine.record_purchases([item], at, historical=True)
    assert isinstance(outcome, Recorded), outcome
    assert outcome.evaluation is not None
    return {c: outcome.evaluation.points(c) for c in ("SQ", "MONTH", "SF")}


async def test_square_drops_fractions(brand: Engine) -> None:
    assert (await bought(brand, "A", "105.00"))["SQ"] == 10
    assert (await bought(brand, "B", "40.00", store="promotion"))["SQ"] == 6


async def test_square_points_last_to_the_end_of_the_month_a_year_on(brand: Engine) -> None:
    await bought(brand, "A", "105.00", datetime(2020, 7, 6, 18, tzinfo=UTC))
    until = await scalar("SELECT l.expires_at FROM lot l JOIN currency c ON c.id = l.currency_id "
                         "WHERE c.code = 'SQ'")  # fmt: skip
    # The first instant after 31 July 2021 in Los Angeles.
    assert until == datetime(2021, 8, 1, 7, tzinfo=UTC)


async def test_odoo_counts_what_was_paid(brand: Engine) -> None:
    # 100.00 less 30 %: the line's amount is what was paid for it.
    assert (await bought(brand, "A", "70.00"))["SF"] == 70


async def test_voucherify_clamps_to_the_end_of_february(brand: Engine) -> None:
    await bought(brand, "A", "5.00", datetime(2026, 1, 31, 12, tzinfo=UTC))
    until = await scalar("SELECT l.expires_at FROM lot l JOIN currency c ON c.id = l.currency_id "
                         "WHERE c.code = 'MONTH'")  # fmt: skip
    assert until == datetime(2026, 2, 28, 12, tzinfo=UTC)


async def test_the_night_activates_then_reviews_then_expires(database: str) -> None:
    coins = (
        CurrencySettings(code="SF", name="Points", pending="40D"),
        CurrencySettings(code="OLD", name="Old points", expires="40D"),
    )
    declared = Declared(
        "brand",
        "1",
        Partner("brand", "The Brand", issues=["SF", "OLD"]),
        earn_rules=[PointsPerAmount("SF", 1, "1.00 USD"), PointsPerAmount("OLD", 1, "1.00 USD")],
    )
    programme = PROGRAMME.model_copy(update={"currencies": coins})
    engine = Engine(await install(programme, [declared], NOW))
    await enrol_cards(["1"])
    await bought(engine, "A", "60.00")
    night = await nightly.run(engine, NOW + days(41))
    assert (night.activated, night.ranks, night.expired) == (60, 1, 60)
    booked = await scalar(
        "SELECT array_agg(x ORDER BY at) FROM (SELECT booked_at AS at, CASE kind WHEN 7 THEN "
        "'activate' ELSE 'expire' END AS x FROM transfer WHERE kind IN (3, 7) UNION ALL "
        "SELECT booked_at, 'review' FROM tier_change WHERE to_rank = 0) t"
    )
    assert booked == ["activate", "review", "expire"]


async def test_salesforce_traces_arrears_to_the_credit_that_settles_them(brand: Engine) -> None:
    """A debit beyond the balance leaves arrears; a later credit settles them, itself traced."""
    await bought(brand, "A", "100.00")
    (holder,) = [await scalar("SELECT id FROM holder")]
    await redeem(brand, wish(holder, "hundred", partner="brand"), NOW)
    partner = find_partner(brand.rulebook, "brand")
    unit = check_return(partner, ReturnInput("R", "A", NOW, amount="40.00"))
    (outcome,) = await record(brand, [unit], NOW)
    assert isinstance(outcome, Returned)
    await bought(brand, "B", "60.00", NOW + days(1))
    # kind source>target amount [lot:points …] of every transfer in the currency, in order
    story = await scalar(
        "SELECT array_agg(concat_ws(' ', t.kind, t.source || '>' || t.target, t.amount, (SELECT "
        "string_agg(a.lot_seq || ':' || a.amount, ' ' ORDER BY a.lot_seq) FROM allocation a WHERE "
        "(a.holder_id, a.currency_id, a.seq) = (t.holder_id, t.currency_id, t.seq))) "
        "ORDER BY t.seq) FROM transfer t JOIN currency c ON c.id = t.currency_id "
        "WHERE c.code = 'SF'"
    )
    assert story == [
        "1 10>1 100",  # A: a lot of 100
        "2 1>11 100 1:100",  # redeemed from it
        "8 4>13 40",  # the return: nothing left to take, so 40 are owed
        "1 10>1 60",  # B: a lot of 60
        "6 1>4 40 4:40",  # which settles the arrears
    ]
