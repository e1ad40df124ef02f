"""What a shop's webhooks say of a member goes with it: before, and whatever comes later."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.check import prove
from core.erasing import EraseRequest, erase
from core.errors import BadInput
from core.inbound import replay
from core.occasions import tell
from core.posting import Engine
from core.programme import Programme
from core.store.reference import install
from laurels import Effects, Facts, PointsPerVisit, Purchase, earn_rule, on
from laurels.effects import set_attribute
from laurels.rules import EarnRule
from tests.core.webshop import (
    POINT,
    WEBSHOP,
    arrive,
    cancelled,
    created,
    customer,
    edited,
    log,
    open_webshop,
    refunded,
)
from tests.support import NOW, scalar


@earn_rule("spender", "Who spends fifty is noted")
def spender(purchase: Purchase, _: Facts) -> Effects:
    """By a purchase, or by what an edit makes of it."""
    return set_attribute("spender", "yes") if purchase.total >= "50.00" else None


async def test_an_erased_members_webhooks_are_dropped_and_enrol_nobody_again(
    database: str,
) -> None:
    """The enrolment's, which has no event, as well as the orders'; another member's stays."""
    shop = await open_webshop()
    await arrive(
        shop, customer(7), customer(8), created(1, 1, ("10.00", 2)),
        created(2, 1, ("10.00", 2), customer=8),
    )  # fmt: skip
    ada, bob = await _who("7"), await _who("8")
    assert [b"7" in (row.body or b"") for row in await log()] == [True, False, True, False]
    await erase(shop, EraseRequest("admin:root", "k", ada, "asked"), NOW)
    rows = await log()
    assert [row.body is None for row in rows] == [True, False, True, False]
    assert [row.outcome for row in rows if row.body is None] == [[], []]
    with pytest.raises(BadInput, match="dropped"):
        await replay(shop, [rows[0].id], NOW)
    assert await scalar("SELECT array_agg(holder_id) FROM member") == [bob]
    # Done again, the other's are found as they were.
    assert await replay(shop, [rows[1].id], NOW)
    assert [row.body is None for row in await log()] == [True, False, True, False]
    assert await prove() == []


async def test_what_was_said_of_its_orders_in_vain_is_dropped_too(database: str) -> None:
    """Older than what was known, or refused: nothing was booked of it, and it tells as much."""
    shop = await open_webshop()
    await arrive(shop, customer(7), created(1, 1, ("10.00", 2)), edited(1, 5, ("20.00", 2)))
    await arrive(shop, edited(1, 3, ("15.00", 2)), customer(8))
    await arrive(shop, created(2, 1, ("10.00", 2), customer=8), edited(2, 5, ("20.00", 2)))
    await arrive(shop, edited(2, 3, ("15.00", 2)))
    assert [row.state.name for row in await log()].count("SUPERSEDED") == 2
    await erase(shop, EraseRequest("admin:root", "k", await _who("7"), "asked"), NOW)
    kept = [(row.subject, row.body is None) for row in await log()]
    gone = [("customer 7", True), ("1", True), ("1", True), ("1", True)]
    assert kept == [*gone, ("customer 8", False), ("2", False), ("2", False), ("2", False)]
    assert await prove() == []


async def test_what_comes_later_about_an_erased_members_order_is_done_and_dropped(
    database: str,
) -> None:
    shop = await open_webshop()
    await arrive(shop, customer(7), created(1, 1, ("10.00", 2)))
    await erase(shop, EraseRequest("admin:root", "k", await _who("7"), "asked"), NOW)
    await arrive(shop, cancelled(1, 5))
    *_, last = await log()
    assert (last.state.name, last.body, last.headers, last.outcome) == ("DONE", None, {}, [])
    assert await scalar("SELECT count(*) FROM event WHERE kind = 9") == 1
    assert await prove() == []


async def test_a_return_and_an_edit_after_the_erasure_note_and_tell_nothing(database: str) -> None:
    """Both are booked: of what had begun only the points go on."""
    noting: list[EarnRule] = [on("return", PointsPerVisit(POINT, 5, code="came-back")), spender]
    shop = Engine(await install(Programme(), [replace(WEBSHOP, earn_rules=noting)], NOW))
    await arrive(shop, customer(7), created(1, 1, ("10.00", 2)), created(2, 1, ("10.00", 2)))
    ada = await _who("7")
    await erase(shop, EraseRequest("admin:root", "k", ada, "asked"), NOW)
    await arrive(shop, refunded(1, 5, 1, (1, 1)), edited(2, 5, ("90.00", 2)))
    assert [row.state.name for row in await log()] == ["DONE"] * 5
    assert await scalar("SELECT count(*) FROM event WHERE kind IN (8, 10)") == 2
    assert await scalar("SELECT count(*) FROM attribute") == 0
    assert await scalar("SELECT count(*) FROM occasion") == 0
    assert await prove() == []
    # The control: of somebody who is there both are noted, and told.
    await arrive(shop, customer(8), created(3, 1, ("10.00", 2), customer=8))
    await arrive(shop, refunded(3, 5, 2, (1, 1)), created(4, 1, ("90.00", 2), customer=8))
    assert await tell(shop, NOW) + await scalar("SELECT count(*) FROM event WHERE kind = 19") > 0
    assert await scalar("SELECT array_agg(name) FROM attribute") == ["spender"]


async def _who(reference: str) -> int:
    found = await scalar(
        "SELECT holder_id FROM identifier WHERE kind = 4 AND value = $1", reference
    )
    assert isinstance(found, int)
    return found
