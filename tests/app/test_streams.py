"""Subscriptions as server-sent events, on a real port: graphql-sse's distinct connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.requests import HTTPConnection
from strawberry.types import ExecutionResult

from app import streams
from app.authentication import Authenticator
from app.negotiation import prefers_events
from app.tokens import issue
from core.posting import Engine
from schema.context import ANONYMOUS, Context, Viewer
from tests.schema.client import SECRET, Client
from tests.schema.conftest import api as _api
from tests.schema.wire import Live, holder_of, live, until

api = _api
ADMIN = "admin:root"
FOLLOW = "subscription { activity { kind } }"
LEDGER = "subscription { ledgerChanged { currency { code } balance { active } } }"
TIER = 'subscription { tierChanged(ladder: "cafe") { current { code } } }'
CODES = "{ currencies { code } }"
#: Of no request.
BODIES = (b"", b"{", b"[]", b"1", b"\xff", b'{"query":1}', b'{"query":"{a}","variables":1}')
#: What urql sends with every query, and with a subscription.
URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, "
    "text/event-stream, multipart/mixed"
)
URQL_SUBSCRIBES = "text/event-stream, multipart/mixed"


@pytest_asyncio.fixture(loop_scope="session")
async def served(api: Client) -> AsyncIterator[Live]:
    """The coalition, served on a port."""
    async with live(api) as made:
        yield made


class Events:
    """The events of an answer, one after the other; comments left out and counted."""

    def __init__(self, response: httpx.Response) -> None:
        self.lines = response.aiter_lines()
        self.comments = 0

    async def next(self) -> tuple[str, Any]:
        """The next event's name and data."""
        name, data = "", ""
        async with asyncio.timeout(10):
            async for line in self.lines:
                if line.startswith(":"):
                    self.comments += 1
                elif line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    data = line.removeprefix("data: ")
                elif name:
                    return name, json.loads(data) if data else None
        return "end", None


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream;charset=utf-8", True),
        (URQL_SUBSCRIBES, True),
        (URQL, False),
        ("application/json;q=0.5, text/event-stream", True),
        ("application/json, text/event-stream;q=0.9", False),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=x, application/json;q=0.1", False),
        ("application/graphql-response+json,application/json;q=0.9", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_events_are_sent_to_who_prefers_them(accept: str, wanted: bool) -> None:
    assert prefers_events(accept) is wanted


async def test_a_subscription_is_told_event_by_event(served: Live) -> None:
    member = await served.api.enrol("1")
    who = served.api.member(member)
    ladders = tuple(served.api.engine.rulebook.ladders)
    async with served.stream(who, TIER, URQL_SUBSCRIBES) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "no-transform" in response.headers["cache-control"]
        assert response.headers["x-accel-buffering"] == "no"
        events = Events(response)
        green = ("next", {"data": {"tierChanged": {"current": {"code": "green"}}}})
        assert _without_cost(await events.next()) == green
        await until(lambda: served.feed.followers == 1)
        served.tell(holder_of(member), ladders=ladders)
        assert _without_cost(await events.next()) == green
    await served.followed(0)
    await until(lambda: served.callers.count == 0)


def _without_cost(told: tuple[str, Any]) -> tuple[str, Any]:
    name, payload = told
    return name, {key: value for key, value in payload.items() if key != "extensions"}


async def test_a_query_is_one_result_and_then_complete_in_plain_line_feeds(served: Live) -> None:
    async with served.stream(ADMIN, CODES) as response:
        whole = (await response.aread()).decode()
    assert "\r" not in whole
    first, second, rest = whole.split("\n\n")
    assert first.startswith("event: next\ndata: {")
    assert json.loads(first.partition("data: ")[2])["data"]["currencies"]
    assert (second, rest) == ("event: complete\ndata: ", "")


async def test_who_merely_names_events_gets_json(served: Live) -> None:
    async with served.stream(ADMIN, CODES, URQL) as response:
        await response.aread()
        assert response.status_code == 200
        assert "json" in response.headers["content-type"]
        assert response.json()["data"]["currencies"]
    assert served.callers.count == 0


async def test_what_is_wrong_is_told_as_a_result(served: Live) -> None:
    for who, query, code in (
        (ADMIN, "subscription { activity { nothing } }", "GRAPHQL_VALIDATION_FAILED"),
        (ADMIN, "{", "GRAPHQL_PARSE_FAILED"),
        (None, FOLLOW, "UNAUTHENTICATED"),
        ("partner:grocer", FOLLOW, "FORBIDDEN"),
        (ADMIN, LEDGER, "BAD_USER_INPUT"),
    ):
        async with served.stream(who, query) as response:
            events = Events(response)
            name, payload = await events.next()
            assert name == "next"
            [error] = payload["errors"]
            assert error.get("extensions", {}).get("code", code) == code, payload
            assert await events.next() == ("complete", None)
            assert await events.next() == ("end", None)
    assert served.feed.followers == 0


async def test_what_is_no_request_is_refused_in_json(served: Live) -> None:
    headers = {"accept": "text/event-stream", "content-type": "application/json"}
    async with httpx.AsyncClient(base_url=served.url) as http:
        for body in BODIES:
            answer = await http.post("/graphql", content=body, headers=headers)
            assert answer.status_code == 400, body
            assert answer.json()["errors"]
        bad = {**headers, "authorization": "Bearer nonsense"}
        answer = await http.post("/graphql", json={"query": FOLLOW}, headers=bad)
        assert answer.status_code == 401
        assert answer.json()["errors"]
    assert served.callers.count == 0


async def test_a_subscription_isnt_had_as_json(served: Live) -> None:
    """The client is told so, and not that a field was null."""
    async with served.stream(ADMIN, FOLLOW, "application/json") as response:
        await response.aread()
        [error] = response.json()["errors"]
        assert "subscription" in error["message"]
    assert served.feed.followers == 0


async def test_silence_is_filled_with_comments(served: Live) -> None:
    served.streams.keep_alive = 0.01
    async with served.stream(ADMIN, FOLLOW) as response:
        events = Events(response)
        lines = response.aiter_lines()
        for _ in range(3):
            assert await anext(lines) == ": alive"
            assert await anext(lines) == ""
        del events
    await served.followed(0)


async def test_it_ends_when_the_token_does(served: Live) -> None:
    member = await served.api.enrol("1")
    clock = served.api.clock
    served.tokens["brief"] = issue(
        SECRET, "member", str(holder_of(member)), timedelta(minutes=1), clock()
    )
    async with served.stream("brief", TIER) as response:
        events = Events(response)
        assert (await events.next())[0] == "next"
        clock.tick(seconds=62)
        served.feed.expire(clock())
        name, payload = await events.next()
        assert (name, payload["errors"][0]["extensions"]["code"]) == ("next", "UNAUTHENTICATED")
        assert await events.next() == ("complete", None)


async def test_a_caller_has_so_many_streams_at_once(served: Live) -> None:
    served.callers.most_each = 1
    async with served.stream(ADMIN, FOLLOW) as response:
        assert response.status_code == 200
        async with served.stream(ADMIN, FOLLOW) as other:
            assert other.status_code == 429
            assert other.headers["retry-after"]
        async with served.stream("partner:grocer", CODES) as another:
            assert another.status_code == 200
    await until(lambda: served.callers.count == 0)


async def test_strangers_are_counted_each_by_its_address(served: Live) -> None:
    served.callers.most_each = 1
    here = HTTPConnection({"type": "http", "client": ("127.0.0.1", 1)})
    leave = served.callers.enter(here, ANONYMOUS)
    assert leave is not None
    headers = {"accept": "text/event-stream"}
    for address, status in (("127.0.0.1", 429), ("127.0.0.2", 200)):
        way = httpx.AsyncHTTPTransport(local_address=address)
        async with httpx.AsyncClient(base_url=served.url, transport=way) as http:
            answer = await http.post("/graphql", json={"query": CODES}, headers=headers)
            assert answer.status_code == status, address
    await until(lambda: served.callers.count == 1)
    leave()
    assert served.callers.count == 0


async def test_who_is_refused_by_a_fault_isnt_counted(
    served: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is asking is found out twice: at first, and for what is followed."""
    plain, asked = Authenticator.viewer, 0

    async def fails(trust: Authenticator, headers: Mapping[str, str]) -> Viewer:
        nonlocal asked
        asked += 1
        if asked % 2 == 0:
            raise ConnectionError
        return await plain(trust, headers)

    monkeypatch.setattr(Authenticator, "viewer", fails)
    for _ in range(3):
        async with served.stream(ADMIN, CODES) as response:
            assert response.status_code == 500
    assert asked == 6
    assert served.callers.count == 0


async def test_whoever_is_cut_off_at_the_very_end_is_counted_off(api: Client) -> None:
    """The client has gone while its change goes on; then the server gives that up too."""
    left, never = list[bool](), asyncio.Event()
    context = Context(api.engine, ANONYMOUS, api.clock)
    context.changing = True

    async def results() -> AsyncGenerator[ExecutionResult, None]:
        await never.wait()
        yield ExecutionResult(data=None, errors=None)

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        del message

    def leave() -> None:
        left.append(True)

    answer = streams.Events(results(), context, leave, asyncio.Event(), 15.0)
    serving = asyncio.create_task(answer({"type": "http"}, receive, send))
    await asyncio.sleep(0)
    while not serving.done():
        assert left == []
        serving.cancel()
        await asyncio.sleep(0)
    assert serving.cancelled()
    assert left == [True]


async def test_a_stream_is_cut_off_when_the_server_stops(api: Client) -> None:
    """Without `complete`, after which no client would come back."""
    async with live(api) as served, served.stream(ADMIN, FOLLOW) as response:
        await served.followed(1)
        served.server.should_exit = True
        assert await Events(response).next() == ("end", None)
        await served.followed(0)
    assert isinstance(api.engine, Engine)
