"""Webhooks that are done in several places at once, or whose process dies in the middle."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from core.check import prove
from core.inbound import work
from core.posting import Engine
from tests.core.webshop import (
    Webhook,
    arrive,
    created,
    customer,
    edited,
    log,
    open_webshop,
    points,
    put,
    stamp,
    states,
)
from tests.support import NOW, figures, scalar


@pytest.fixture
async def shop(database: str) -> Engine:
    """The web shop on a fresh database, with the customer 7."""
    engine = await open_webshop()
    await arrive(engine, customer(7))
    return engine


async def test_many_at_once_do_each_once_and_wait_for_nobody_in_a_circle(shop: Engine) -> None:
    """More than there are connections: who holds one while it waits for another takes turns."""
    other = await open_webshop()
    for order in range(1, 21):
        await put(shop, edited(order, 2, ("20.00", 1)))
        await put(shop, created(order, 1, ("10.00", 1)))
    partner = shop.rulebook.partners["webshop"].id
    done = await asyncio.gather(*(work(engine, NOW, [partner]) for engine in [shop, other] * 12))
    assert sum(done) == 40
    assert {state for _, state in await states()} == {"done"}
    assert await points() == 20 * 20
    assert await scalar("SELECT max(attempts) FROM inbound") == 1
    assert await prove() == []


async def test_what_was_booked_and_not_noted_is_known(shop: Engine, database: str) -> None:
    """The process dies between the booking and the note of it: the database refuses the note."""
    await put(shop, created(1, 1, ("10.00", 1)))
    await put(shop, edited(1, 2, ("20.00", 1)))
    owner: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(database)
    try:
        await owner.execute("REVOKE UPDATE ON inbound FROM laurels_app")
        assert await work(shop, NOW) == 0
        assert {state for _, state in (await states())[1:]} == {"received"}
        assert await points() == 20
        await owner.execute("GRANT UPDATE ON inbound TO laurels_app")
    finally:
        await owner.close()
    assert await work(shop, NOW) == 2
    assert {state for _, state in await states()} == {"done"}
    assert await points() == 20
    assert await scalar("SELECT count(*) FROM event WHERE kind IN (1, 10)") == 2


def review(number: int, at: float, stars: int = 5, *, topic: str = "create") -> Webhook:
    """A review is written, or taken away again."""
    said = {"id": number, "updated_at": stamp(at), "customer": 7, "stars": stars}
    return Webhook(f"reviews/{topic}", f"review-{topic}-{number}", said)


async def test_reviews_earn_once_and_a_withdrawal_waits_for_its_own(database: str) -> None:
    shop = await open_webshop()
    # Taken away before it was written, before anybody knew who wrote it.
    await arrive(shop, review(1, 3, topic="delete"), review(1, 2), review(2, 2), review(2, 2))
    assert await states() == [
        ("review-delete-1", "waiting"), ("review-create-1", "waiting"),
        ("review-create-2", "waiting"),
    ]  # fmt: skip
    await arrive(shop, customer(7))
    await work(shop, NOW + timedelta(minutes=5))
    await work(shop, NOW + timedelta(minutes=10))
    assert {state for _, state in await states()} == {"done"}
    holder = await scalar("SELECT min(holder_id) FROM member")
    (row,) = await figures([holder], NOW + timedelta(hours=1))
    assert row[2] == 5  # of the review that stands
    assert await prove() == []


async def test_what_a_line_says_beside_reaches_the_books_and_an_edit_compares_it(
    database: str,
) -> None:
    shop = await open_webshop()
    await arrive(shop, customer(7))
    made = created(1, 1, ("10.00", 1))
    made.said["line_items"][0]["tax"] = "1.50"
    same = edited(1, 2, ("10.00", 1))
    same.said["line_items"][0]["tax"] = "1.50"
    other = edited(1, 3, ("10.00", 1))
    await arrive(shop, made, same, other)
    told = [x["what"] for row in await log() for x in row.outcome]
    assert told == ["booked", "booked", "known", "booked"]
    taxes = await scalar("SELECT array_agg(tax ORDER BY event_id) FROM event_line")
    assert taxes == [150, None]
    assert await prove() == []
