"""From a booking to a message: the dispatcher, the connection that listens, the feed, a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import orjson
import pytest_asyncio
from structlog.testing import capture_logs

from app.feeding import feeding
from core.db import Connection, transaction
from core.dispatching import CHANNEL, dispatch
from core.store import outbox
from schema.feed import Change, Feed, Place, Seen
from tests.schema.client import Client, receipt
from tests.schema.conftest import api as _api
from tests.schema.roots_engaged import AT
from tests.schema.wire import holder_of, live, until

api = _api
LEDGER = 'subscription { ledgerChanged(currency: "BASKET") { balance { active } } }'
ACTIVITY = "subscription { activity { kind purchase { externalId } } }"
_LISTENERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'LISTEN%' AND pid <> pg_backend_pid()
"""


@pytest_asyncio.fixture(loop_scope="session")
async def admin(database: str) -> AsyncIterator[Connection]:
    """A connection of the owner."""
    connection: Connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Feed]:
    """A feed whose connection listens: it says so by letting all look anew."""
    async with feeding(url) as feed:
        with feed.follow(Place(), lambda change: [change]) as follower:
            assert await follower.look() == Seen(anew=True)
        yield feed


async def tell(admin: Connection, *rows: list[object]) -> None:
    await admin.execute("SELECT pg_notify($1, $2)", CHANNEL, orjson.dumps(rows).decode())


async def test_a_purchase_is_told_to_its_member_and_to_an_admin(api: Client, database: str) -> None:
    """End to end: nothing before the dispatcher has told it, and all of it afterwards."""
    member = await api.enrol("1")
    who = api.member(member)
    await api.buy("admin:root", "grocer", receipt("Q", "1", AT, ("PRODUCE", "10.00")))
    await dispatch()
    async with (
        listening(database) as feed,
        live(api, feed) as served,
        served.open(who) as ada,
        served.open("admin:root") as admin,
    ):
        await ada.subscribe("1", LEDGER)
        await admin.subscribe("1", ACTIVITY)
        # Told how it stands at first: from here on it follows.
        assert await ada.next() == {"balance": {"active": 30}}
        await served.followed(2)
        [done] = await api.buy("admin:root", "grocer", receipt("R", "1", AT, ("PRODUCE", "10.00")))
        assert done["__typename"] == "PurchaseRecorded"
        await ada.quiet()
        await admin.quiet()
        assert await dispatch() == 1
        assert await ada.next() == {"balance": {"active": 60}}
        assert await admin.next() == {"kind": "PURCHASE", "purchase": {"externalId": "R"}}
        await ada.quiet()


async def test_what_is_booked_and_told_is_what_the_feed_hears(
    api: Client, database: str, admin: Connection
) -> None:
    """The words of the dispatcher and those of the feed are the same."""
    holder = holder_of(await api.enrol("1"))
    async with listening(database) as feed:
        with feed.follow(Place(holder=holder), lambda change: [change]) as follower:
            await api.buy("admin:root", "grocer", receipt("R", "1", AT, ("PRODUCE", "10.00")))
            async with transaction() as connection:
                kept = await outbox.claim(connection, 10)
                await outbox.notify(
                    connection, CHANNEL, [orjson.dumps([*map(tuple, kept)]).decode()]
                )
            seen = await follower.look()
    assert seen == Seen(keys=tuple(Change(*row) for row in kept))
    assert len(kept) == 1


async def test_when_the_connection_is_lost_all_look_anew(database: str, admin: Connection) -> None:
    with capture_logs():
        async with listening(database) as feed:
            with feed.follow(Place(holder=1), lambda change: [change.event]) as follower:
                await tell(admin, [7, 1, 1, 1, [], [], None])
                assert await follower.look() == Seen(keys=(7,))
                [row] = await admin.fetch(_LISTENERS)
                await admin.execute("SELECT pg_terminate_backend($1)", row["pid"])
                await tell(admin, [8, 1, 1, 1, [], [], None])  # which nobody hears
                async with asyncio.timeout(20):
                    assert await follower.look() == Seen(anew=True)
                await tell(admin, [9, 1, 1, 1, [], [], None])
                assert await follower.look() == Seen(keys=(9,))


async def test_a_notice_that_nobody_understands_is_missed_and_not_passed_over(
    database: str, admin: Connection
) -> None:
    with capture_logs() as logs:
        async with listening(database) as feed:
            with feed.follow(Place(holder=1), lambda change: [change.event]) as follower:
                await admin.execute("SELECT pg_notify($1, 'nonsense')", CHANNEL)
                assert await follower.look() == Seen(anew=True)
                await tell(admin, [9, 1, 1, 1, [], [], None])
                assert await follower.look() == Seen(keys=(9,))
    assert [log["event"] for log in logs] == ["a notice that nobody understands; all look anew"]


async def test_one_connection_listens_for_all(
    api: Client, database: str, admin: Connection
) -> None:
    member = api.member(await api.enrol("1"))
    async with (
        listening(database) as feed,
        live(api, feed) as served,
        served.open(member) as wire,
    ):
        for n in range(50):
            await wire.subscribe(str(n), LEDGER)
        await until(lambda: feed.followers == 50)
        assert len(await admin.fetch(_LISTENERS)) == 1
