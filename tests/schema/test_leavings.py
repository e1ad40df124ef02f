"""What a request made goes with it: no garbage collector has to look for it, and stop them all."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from app.graphql_http import Endpoint, _Watch
from bench.wallet import LAURELS as WALLET
from schema.executor import FastExecutor
from tests.schema.client import RECORD, Client, receipt
from tests.schema.roots import AT
from tests.schema.test_statements import LISTS

#: Whose objects a request makes.
MADE_OF = {"app", "core", "graphql", "laurels", "schema", "strawberry"}


async def answered(api: Client, who: str, query: str, variables: Mapping[str, Any]) -> Any:
    """Ask the application itself: a client would leave something of its own."""
    body = orjson.dumps({"query": query, "variables": variables})
    told: list[dict[str, Any]] = []
    asked: list[bool] = []

    async def receive() -> dict[str, Any]:
        if asked:
            await asyncio.Event().wait()  # it never hangs up
        asked.append(True)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    headers = {
        "host": "laurels.test",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "authorization": f"Bearer {api.tokens[who]}",
    }
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": "/graphql", "raw_path": b"/graphql", "query_string": b"",
        "root_path": "", "server": ("laurels.test", 80), "client": ("127.0.0.1", 1),
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip
    await api.http._transport.app(scope, receive, send)  # type: ignore[attr-defined]  # ASGI's
    return orjson.loads(told[1]["body"])


async def left(
    api: Client, who: str, query: str, variables: Mapping[str, Any], before: Any = None
) -> list[object]:
    """What is found after a request, whose like was sent `before`: its plan is made by then.

    Of what requests are made of: one that happens to open a connection leaves asyncpg's own.
    """
    await answered(api, who, query, before or variables)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        told = await answered(api, who, query, variables)
        for _ in range(3):
            await asyncio.sleep(0)  # what it cancelled ends
        gc.collect()
        found = [x for x in gc.garbage if type(x).__module__.partition(".")[0] in MADE_OF]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert "errors" not in told, told
    return found


@pytest.fixture
async def busy(api: Client) -> Client:
    """Three members who bought."""
    for n in range(3):
        await api.enrol(str(n))
        await api.buy("admin:root", "grocer", receipt(f"R{n}", str(n), AT, ("PRODUCE", "99.00")))
    return api


@pytest.mark.parametrize("name", LISTS)
async def test_a_list(busy: Client, name: str) -> None:
    assert await left(busy, "admin:root", LISTS[name], {"n": 3}) == []


async def test_a_wallet(busy: Client) -> None:
    assert await left(busy, busy.member(await busy.enrol("new")), WALLET, {}) == []


async def test_a_request_that_was_watched(busy: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes its time is looked after: its client might go away."""
    routes: list[Any] = busy.http._transport.app.routes  # type: ignore[attr-defined]  # ASGI's
    [endpoint] = [r.app for r in routes if isinstance(r.app, Endpoint)]
    monkeypatch.setattr(endpoint, "patience", 0.0)
    began: list[str] = []
    begin = _Watch._begin

    def noted(self: _Watch) -> None:
        began.append("a request")
        begin(self)

    monkeypatch.setattr(_Watch, "_begin", noted)
    assert await left(busy, "admin:root", LISTS["rewards"], {"n": 1}) == []
    assert len(began) == 2


async def test_purchases(busy: Client) -> None:
    """Once booked, and once told again."""

    def given(name: str) -> dict[str, Any]:
        item = receipt(name, "0", AT, ("PRODUCE", "5.00"))
        return {"input": {"partner": "grocer", "purchases": [item]}}

    assert await left(busy, "partner:grocer", RECORD, given("new"), given("another")) == []
    assert await left(busy, "partner:grocer", RECORD, given("new")) == []


async def test_what_is_left_is_seen(busy: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an executor that knows who knows it."""
    monkeypatch.delattr(FastExecutor, "async_helpers")
    left_over = {
        type(thing) for thing in await left(busy, "admin:root", LISTS["rewards"], {"n": 1})
    }
    assert FastExecutor in left_over
