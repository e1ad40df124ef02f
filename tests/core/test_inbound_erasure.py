"""What a shop's webhooks say of a member goes with it: before, and whatever comes later."""

from __future__ import annotations

import pytest

from core.check import prove
from core.erasing import EraseRequest, erase
from core.errors import BadInput
from core.inbound import replay
from tests.core.webshop import arrive, cancelled, created, customer, log, open_webshop
from tests.support import NOW, scalar


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


async def _who(reference: str) -> int:
    found = await scalar(
        "SELECT holder_id FROM identifier WHERE kind = 4 AND value = $1", reference
    )
    assert isinstance(found, int)
    return found
