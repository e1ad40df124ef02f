"""What takes too long is given up, and what nobody waits for: queries. A change is never cut off.

A query is made to wait by a lock that the test holds, so nothing here depends on how fast anything
is: what is given up would otherwise never end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from app.asgi import create_app
from core import db
from core.gathering import Gathering
from tests.schema.client import ENROL, SECRET, Client, receipt
from tests.schema.gated import gated, post

MEMBERS = {"query": "{ members { edges { cursor } } }"}
BEA = {"query": ENROL, "variables": {"input": {"card": "2", "name": "Bea"}}}
FIND = '{ member(by: {card: "2"}) { id } }'


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Nobody else reads or writes members while inside."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE member IN ACCESS EXCLUSIVE MODE")
            yield connection
    finally:
        await connection.close()


async def _waiting(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """How many wait for a lock."""
    waiting: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()"
    )
    return waiting


async def _until_waiting(connection: asyncpg.Connection[asyncpg.Record], many: int) -> None:
    async with asyncio.timeout(60):
        while await _waiting(connection) != many:  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0)


async def test_a_query_is_given_up_and_a_change_is_not(api: Client, database: str) -> None:
    """The query's connection works on, others are answered meanwhile, the change is done."""
    async with gated(api, query_timeout=0.2) as client:
        async with locked(database) as lock:
            change = asyncio.create_task(post(client, "admin:root", BEA))
            await _until_waiting(lock, 1)
            for accept in ("application/json", "application/graphql-response+json"):
                response = await post(client, "admin:root", MEMBERS, accept)
                told = response.json()
                assert (response.status_code, told["data"]) == (200, None)
                [error] = told["errors"]
                assert error["extensions"]["code"] == "TIMEOUT"
                assert error["message"].startswith("this took longer than 0.2 s")
                assert told["extensions"]["cost"]["requested"] == 22
            bystander = await post(client, "admin:root", {"query": "{ __typename }"})
            assert bystander.json()["data"] == {"__typename": "Query"}
            assert not change.done()
            await _until_waiting(lock, 1)  # what was given up waits no more in the database either
        done = (await change).json()["data"]["enrolMember"]
        assert done["__typename"] == "MemberEnrolled"
        assert (await post(client, "admin:root", MEMBERS)).json()["data"]["members"]["edges"]


class Leaver:
    """Sends one request, and is gone."""

    def __init__(self, client: Client, body: dict[str, Any]) -> None:
        self.body = json.dumps(body).encode()
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {client.tokens['admin:root']}",
        }
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/graphql",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        self.told: list[Any] = []
        self.noticed = asyncio.Event()
        self._sent = False

    async def receive(self) -> dict[str, Any]:
        """The request; then that it is gone."""
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        self.noticed.set()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Nobody listens."""
        self.told.append(message)


async def test_whoever_leaves_has_its_query_given_up_and_its_change_done(
    api: Client, database: str
) -> None:
    app = create_app(api.engine, SECRET, now=api.clock)
    async with locked(database) as lock, asyncio.timeout(60):
        asking = Leaver(api, MEMBERS)
        await app(asking.scope, asking.receive, asking.send)  # or it would wait for the lock
        await _until_waiting(lock, 0)
        changing = Leaver(api, BEA)
        change = asyncio.create_task(app(changing.scope, changing.receive, changing.send))
        await changing.noticed.wait()
        await _until_waiting(lock, 1)
        assert not change.done()
    await change
    assert changing.told[0]["status"] == 200
    assert await api.ask("admin:root", FIND) is not None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        *((kind, "the database took too long and gave this up") for kind in db.TOO_SLOW),
        (db.Deadlock, "another change was in the way of this: send it again"),
    ],
)
async def test_what_postgresql_gives_up_is_told_as_such(
    api: Client, monkeypatch: pytest.MonkeyPatch, kind: type[asyncpg.PostgresError], words: str
) -> None:
    """Its own words say too much of us."""

    async def slow(*_: Any) -> Any:
        raise kind("canceling statement due to statement timeout")

    monkeypatch.setattr(Gathering, "record", slow)
    query = """mutation($p: PurchasesItemInput!) { recordPurchases(input: {partner: "grocer",
      purchases: [$p]}) { results { __typename } } }"""
    bought = receipt("R", "1", "2026-11-22T09:00:00Z", ("X", "1.00"))
    answer = await api.send("admin:root", query, p=bought)
    [error] = answer["errors"]
    assert error["message"] == words
    assert error["extensions"] == {"code": "TIMEOUT"}
    assert answer["data"] == {"recordPurchases": None}
