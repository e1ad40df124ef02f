"""The eight programme presets of Odoo, each as data rules and rewards on real books.

Where Odoo's point pays for a reward of the same order, a rule here awards its price and issues it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest

from core import issuing
from core.check import prove
from core.db import reading
from core.issuing import issue
from core.outcomes import Recorded
from core.paying import PayRequest, pay
from core.posting import Engine
from core.programme import Programme
from core.purchases import find_partner
from core.redeemed import Status
from core.redemptions import redeem
from core.returning import record
from core.returns import check_cancel
from core.rule_changes import activate, checked, save
from core.store import issues as store
from core.store.reference import Declared, install
from core.store.writes import IssueRow
from core.vouchers import import_codes
from laurels import Currency, Money, Partner, PayWithPoints, Reward, RewardKind
from tests.core.shop import dump, wish
from tests.support import NOW, enrol_cards, receipt, scalar

DEAL, CARD, SHIRT = (Currency(c, c.title()) for c in ("DEAL", "CARD", "SHIRT"))
POINT = Currency("POINT", "Points")
OFF = RewardKind.DISCOUNT
SHOP = Declared(
    "shop",
    "1",
    Partner("shop", "The Shop", currencies=[POINT, DEAL, CARD, SHIRT], trades_in=["EUR"]),
    rewards=[
        Reward("ten-off", "Ten off", {DEAL: 1}, kind=OFF, worth="10.00 EUR"),
        Reward("coupon", "A coupon", {DEAL: 1}, kind=OFF, worth="5.00 EUR", codes="pool"),
        Reward("next-order", "Five off your next order", {DEAL: 1}, kind=OFF, worth="5.00 EUR"),
        Reward("gift-card", "A gift card of 50", {CARD: 50}, kind=OFF, worth="50.00 EUR"),
        Reward("free-shirt", "A free shirt", {SHIRT: 2}),
        Reward("bag", "A bag", {POINT: 70}),
    ],
    redeem_rules=[PayWithPoints(CARD, points=1, worth="1.00 EUR", code="wallet")],
)  # fmt: skip


@pytest.fixture
async def shop(database: str) -> Engine:
    """A shop with rewards and no rules yet, and one member."""
    await enrol_cards(["1"])
    build = partial(install, Programme(), [SHOP])
    return Engine(await build(NOW), build)


async def put(engine: Engine, **rule: Any) -> None:
    """A data rule in force."""
    terms = find_partner(engine.rulebook, "shop")
    definition = checked(terms, {"code": "r", "title": "The rule", **rule}, NOW)
    await save(terms, definition, "partner:shop", NOW)
    await activate(engine, "shop", definition.code, 1, NOW)


async def buy(engine: Engine, name: str, *lines: tuple[str, str]) -> list[store.Issue]:
    """Buy; what was issued for it."""
    item = receipt(engine, name, "1", NOW, *lines, partner="shop", currency="EUR")
    (outcome,) = await engine.record_purchases([item], NOW)
    assert isinstance(outcome, Recorded), outcome
    key = (outcome.holder, outcome.event)
    return (await store.of_purchases([key])).get(key, [])


def award(currency: str, points: int = 1, **more: Any) -> dict[str, Any]:
    """An award."""
    return {"award": {"currency": currency, "points": points, **more}}


async def active(code: str) -> int:
    """What the member has of a currency."""
    found = await scalar(
        "SELECT l.active FROM ledger l JOIN currency c ON c.id = l.currency_id WHERE c.code = $1",
        code,
    )
    return int(found or 0)


async def fetched(query: str) -> list[Any]:
    """Rows."""
    async with reading() as connection:
        return list(await connection.fetch(query))


async def codes(reward: str) -> list[str]:
    """The codes that were shown for a reward."""
    found = await scalar(
        "SELECT array_agg(v.code ORDER BY v.code) FROM voucher v "
        "JOIN reward w ON w.id = v.reward_id WHERE w.code = $1 AND v.state = 2",
        reward,
    )
    return list(found or [])


async def test_loyalty(shop: Engine) -> None:
    """A point for each euro paid: 100 less 30 % gives 70, which buy a bag."""
    await put(shop, **award("POINT", per="1.00 EUR"))
    await buy(shop, "A", ("SHOES", "70.00"))
    assert await active("POINT") == 70
    done = await redeem(
        shop, wish(await scalar("SELECT id FROM holder"), "bag", partner="shop"), NOW
    )
    assert (done.status, await active("POINT")) == (Status.COMPLETED, 0)
    assert await prove() == []


@pytest.mark.parametrize(("paid", "given"), [("49.99", 0), ("50.00", 1)])
async def test_promotion(shop: Engine, paid: str, given: int) -> None:
    """Ten off this very order, from 50 on: no point is left of it."""
    deal = {**award("DEAL"), "issue": {"reward": "ten-off"}}
    await put(shop, when="purchase.total >= 50.0", **deal)
    issued = await buy(shop, "A", ("SHOES", paid))
    assert [(x.reward, x.problem, x.done) for x in issued] == [("ten-off", "", True)] * given
    assert await active("DEAL") == 0
    assert await scalar("SELECT count(*) FROM redemption WHERE order_id = 'A'") == given
    assert await prove() == []


async def test_coupons(shop: Engine) -> None:
    """Codes made ahead are handed out, each once, until there are none."""
    await import_codes(shop, "shop", "coupon", ["C-1", "C-2"], NOW)
    await put(shop, **award("DEAL"), issue={"reward": "coupon"})
    found = [await buy(shop, name, ("SHOES", "9.00")) for name in "ABC"]
    assert [[x.problem for x in issued] for issued in found] == [
        [""], [""], ["'A coupon' is out of stock"],
    ]  # fmt: skip
    assert await codes("coupon") == ["C-1", "C-2"]
    assert await prove() == []


async def test_promo_code(shop: Engine) -> None:
    """The till sends what was typed as a line that costs nothing."""
    typed = "lines.exists(x, x.type == 'CODE SPRING')"
    limit = {"caps": [{"times": 1}]}
    await put(shop, when=typed, **award("DEAL"), issue={"reward": "ten-off"}, **limit)
    assert await buy(shop, "A", ("SHOES", "60.00")) == []
    assert len(await buy(shop, "B", ("SHOES", "60.00"), ("CODE SPRING", "0.00"))) == 1
    assert await buy(shop, "C", ("SHOES", "60.00"), ("CODE SPRING", "0.00")) == []
    assert await prove() == []


async def test_gift_cards(shop: Engine) -> None:
    """Two of 50 on one line: two codes; a cancelled order takes both back."""
    cards = award("CARD", 50, each_unit=True)
    issued = {"reward": "gift-card", "each_unit": True}
    await put(shop, lines="line.type == 'GIFT CARD'", **cards, issue=issued)
    item = receipt(shop, "A", "1", NOW, ("GIFT CARD", "100.00"), partner="shop", currency="EUR")
    two = item.purchase.lines[0]._replace(quantity=2000)
    object.__setattr__(item.purchase, "lines", (two,))
    (outcome,) = await shop.record_purchases([item], NOW)
    assert isinstance(outcome, Recorded), outcome
    assert len(await codes("gift-card")) == 2
    assert await active("CARD") == 0
    (row,) = (await store.of_purchases([(outcome.holder, outcome.event)])).values()
    assert [(x.quantity, x.problem) for x in row] == [(2, "")]
    terms = find_partner(shop.rulebook, "shop")
    await record(shop, [check_cancel(terms, "A", NOW)], NOW)
    assert await codes("gift-card") == []
    assert (await active("CARD"), await scalar("SELECT sum(arrears) FROM ledger")) == (0, 0)
    assert await prove() == []


async def test_ewallet(shop: Engine) -> None:
    """A top-up is credit, which pays a later bill."""
    await put(shop, lines="line.type == 'TOP-UP'", **award("CARD", per="1.00 EUR"))
    await buy(shop, "A", ("TOP-UP", "30.00"))
    holder = await scalar("SELECT id FROM holder")
    bill = PayRequest("till", "k", "shop", holder, "wallet", Money.parse("20.00 EUR"))
    paid = await pay(shop, bill, NOW)
    assert (paid.worth, await active("CARD")) == (Money.parse("20.00 EUR"), 10)
    assert await prove() == []


async def test_buy_x_get_y(shop: Engine) -> None:
    """Two shirts bought, over however many orders, are one for free."""
    shirts = award("SHIRT", each_unit=True)
    await put(shop, lines="line.type == 'SHIRT'", **shirts, issue={"reward": "free-shirt"})
    first = await buy(shop, "A", ("SHIRT", "9.00"))
    assert [x.problem for x in first] == ["1 more points are needed"]
    second = await buy(shop, "B", ("SHIRT", "9.00"), ("SHIRT", "9.00"))
    assert [(x.reward, x.problem) for x in second] == [("free-shirt", "")]
    assert await active("SHIRT") == 1
    assert await prove() == []


async def test_next_order_coupons(shop: Engine) -> None:
    """A code for the next order, which the till finds by it."""
    deal = {**award("DEAL"), "issue": {"reward": "next-order"}}
    await put(shop, when="purchase.total >= 100.0", **deal)
    assert await buy(shop, "A", ("SHOES", "99.00")) == []
    (issued,) = await buy(shop, "B", ("SHOES", "100.00"))
    (code,) = await codes("next-order")
    found = await scalar("SELECT redemption_id FROM voucher WHERE code = $1", code)
    assert found == issued.redemption
    assert await prove() == []


@pytest.mark.parametrize(
    "forged",
    [
        "quantity = 2", "rule_id = rule_id + 1", "reward = 'next-order'", "order_id = 'B'",
        "redemption_id = 5", "currency = 'DEAL'",
    ],
)  # fmt: skip
async def test_a_falsified_issue_is_named(shop: Engine, database: str, forged: str) -> None:
    await put(shop, **award("DEAL"), issue={"reward": "ten-off"})
    await buy(shop, "A", ("SHOES", "9.00"))
    assert await prove() == []
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(f"UPDATE issue SET {forged}")
    finally:
        await connection.close()
    assert {finding.check for finding in await prove()} == {"issued = redeemed"}


# -- however it goes -------------------------------------------------------------------------------


async def test_what_a_process_died_over_is_taken_later_and_once(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(shop, **award("DEAL"), issue={"reward": "ten-off"})

    async def dies(*_: object, **__: object) -> int:
        raise RuntimeError("gone")

    with monkeypatch.context() as patch:
        patch.setattr("core.issuing.issue", dies)
        (waits,) = await buy(shop, "A", ("SHOES", "9.00"))
    assert (waits.redemption, waits.problem, waits.done) == (None, "", False)
    assert await active("DEAL") == 1
    assert await issue(shop, NOW) == 1
    assert await issue(shop, NOW) == 0
    # Even where it died after taking it and before it noted so.
    await scalar("UPDATE issue SET done_at = NULL, redemption_id = NULL RETURNING 1")
    assert await issue(shop, NOW) == 1
    assert await scalar("SELECT count(*) FROM redemption") == 1
    assert await buy(shop, "A", ("SHOES", "9.00")) != []  # sent again: the same, and nothing more
    assert await scalar("SELECT count(*) FROM redemption") == 1
    assert await prove() == []


async def test_history_issues_nothing(shop: Engine) -> None:
    await put(shop, **award("DEAL"), issue={"reward": "ten-off"})
    for name, historical, count in (("old", True, 0), ("new", False, 1)):
        item = receipt(shop, name, "1", NOW, ("SHOES", "9.00"), partner="shop", currency="EUR")
        await shop.record_purchases([item], NOW, historical=historical)
        assert await scalar("SELECT count(*) FROM issue") == count
    assert await prove() == []


async def test_a_till_whose_clock_runs_ahead_waits_until_its_points_can_be_spent(
    shop: Engine,
) -> None:
    await put(shop, **award("DEAL"), issue={"reward": "ten-off"})
    ahead = NOW + timedelta(minutes=3)
    item = receipt(shop, "A", "1", ahead, ("SHOES", "9.00"), partner="shop", currency="EUR")
    await shop.record_purchases([item], NOW)
    assert await scalar("SELECT count(*) FROM issue WHERE done_at IS NULL") == 1
    assert await issue(shop, ahead - timedelta(seconds=1)) == 0
    assert await issue(shop, ahead) == 1
    assert await active("DEAL") == 0
    assert await prove() == []


async def test_what_another_has_said_meanwhile_stands(shop: Engine) -> None:
    """Who read that it is due takes nothing where it was said since that it can't be taken."""
    await put(shop, **award("SHIRT"), issue={"reward": "free-shirt"})
    (missed,) = await buy(shop, "A", ("SHOES", "9.00"))
    assert missed.problem == "1 more points are needed"
    (stale,) = [
        IssueRow(*row)
        for row in await fetched(
            "SELECT holder_id, event_id, rule_id, place, partner_id, reward, quantity, currency, "
            "order_id, at FROM issue"
        )
    ]
    item = receipt(shop, "B", "1", NOW, ("SHOES", "9.00"), partner="shop", currency="EUR")
    await shop.record_purchases([item], NOW, historical=True)
    assert await active("SHIRT") == 2
    before = await dump()
    assert not await issuing._take(shop, stale, NOW)
    assert await dump() == before
    assert await prove() == []


async def test_what_isnt_begun_in_time_is_left_to_the_next(shop: Engine) -> None:
    await put(shop, **award("DEAL"), issue={"reward": "ten-off"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.posting.LONGEST_ISSUE", -1.0)
        (waits,) = await buy(shop, "A", ("SHOES", "9.00"))
    assert not waits.done
    assert await issue(shop, NOW) == 1


async def test_pieces_beyond_all_measure_are_not_issued(shop: Engine) -> None:
    """Whatever a till sends: no list of a thousand million, no till that waits for minutes."""
    each = {"reward": "gift-card", "each_unit": True, "quantity": 100}
    await put(shop, lines="line.type == 'GIFT CARD'", **award("CARD"), issue=each)
    item = receipt(shop, "A", "1", NOW, ("GIFT CARD", "1.00"), partner="shop", currency="EUR")
    for quantity, count in ((10**12, 0), (11_000, 0), (10_000, 10)):
        line = item.purchase.lines[0]._replace(quantity=quantity)
        bought = replace(item.purchase, external_id=f"A{quantity}", lines=(line,))
        (outcome,) = await shop.record_purchases([replace(item, purchase=bought)], NOW)
        assert isinstance(outcome, Recorded), outcome
        assert await scalar("SELECT count(*) FROM issue") == count
    assert await prove() == []


async def test_an_award_that_its_cap_leaves_nothing_of_issues_nothing(shop: Engine) -> None:
    await put(shop, **award("DEAL"), issue={"reward": "ten-off"}, caps=[{"times": 1}])
    assert len(await buy(shop, "A", ("SHOES", "9.00"))) == 1
    assert await buy(shop, "B", ("SHOES", "9.00")) == []
    (quoted,) = await shop.quote(
        [receipt(shop, "C", "1", NOW, ("SHOES", "9.00"), partner="shop", currency="EUR")], NOW
    )
    assert isinstance(quoted, Recorded)
    assert quoted.evaluation is not None
    assert quoted.evaluation.issued == ()
    assert await prove() == []
