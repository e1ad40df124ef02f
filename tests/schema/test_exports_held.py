"""Downloads that somebody holds on to: how many, how long, and who is kept from what by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from app.exports import MOST_AT_ONCE, MOST_EACH, Exports
from core.signing import Secrets
from schema.build import build_schema
from tests.schema.client import SECRET, Client
from tests.schema.exporting import MEMBERS, call, crowd, fetch, url_of

WHOLE = {"complete": True, "count": 7}


@asynccontextmanager
async def _held(api: Client, urls: list[str]) -> AsyncIterator[None]:
    """Downloads of which the first page was sent and isn't taken, until their clients go away."""
    gone, waiting = asyncio.Event(), asyncio.Semaphore(0)

    async def send(message: Any) -> None:
        if message.get("body"):
            waiting.release()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        for url in urls:
            group.create_task(call(api, url, send, gone))
        for _ in urls:
            await waiting.acquire()
        yield
        gone.set()


async def test_nobody_has_more_than_two_places(api: Client) -> None:
    """By whatever URLs: before, four downloads of one member were all that there are."""
    await crowd(api, 7)
    one, other = [await url_of(api, "admin:root", MEMBERS) for _ in range(MOST_EACH)]
    third = await url_of(api, "admin:root", MEMBERS)
    others = await url_of(api, "admin:sam", MEMBERS)
    async with _held(api, [one, other]):
        for url in (one, third):
            refused = await api.http.get(url)
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "5"
            [error] = refused.json()["errors"]
            assert error["extensions"] == {"code": "RATE_LIMITED"}
            assert error["message"].startswith(f"{MOST_EACH} of your downloads are under way")
        assert (await fetch(api, others))[-1] == WHOLE
    assert (await fetch(api, third))[-1] == WHOLE


async def test_no_more_than_so_many_at_once(api: Client) -> None:
    """The next is told to come again, and does when one has gone."""
    await crowd(api, 7)
    urls = [await url_of(api, f"admin:a{n // MOST_EACH}", MEMBERS) for n in range(MOST_AT_ONCE)]
    late = await url_of(api, "admin:late", MEMBERS)
    async with _held(api, urls):
        busy = await api.http.get(late)
        assert busy.status_code == 503
        assert busy.headers["retry-after"] == "5"
        [error] = busy.json()["errors"]
        assert error["extensions"] == {"code": "UNAVAILABLE"}
        # A URL that isn't ours is refused as ever, and takes nobody's place.
        assert (await api.http.get(late.partition("?")[0])).status_code == 403
    assert (await fetch(api, late))[-1] == WHOLE


def _impatient(api: Client) -> tuple[Exports, Starlette]:
    """Downloads that are cut off as soon as a client has to be waited for."""
    downloads = Exports(api.engine, Secrets(SECRET), api.clock, build_schema(), patience=0)
    return downloads, Starlette(routes=[Route("/export/{id}", downloads)])


async def test_who_takes_nothing_is_cut_off(api: Client) -> None:
    """And its place is another's: before, it was kept for as long as the client liked.

    At the beginning, in the middle and at the end; whoever takes what comes gets all of it.
    """
    await crowd(api, 7)
    url = await url_of(api, "admin:root", MEMBERS)
    downloads, app = _impatient(api)
    for taken in range(6):  # the headers, three pages, the last line, the end
        messages: list[Any] = []

        async def send(message: Any, taken: int = taken, messages: Any = messages) -> None:
            messages.append(message)
            if len(messages) > taken:
                await asyncio.Event().wait()

        await call(api, url, send, app=app)
        assert len(messages) == taken + 1
        assert downloads._open == {}
    whole: list[Any] = []

    async def take(message: Any) -> None:
        whole.append(message)

    await call(api, url, take, app=app)
    lines = b"".join(message.get("body", b"") for message in whole).splitlines()
    assert orjson.loads(lines[-1]) == WHOLE
    assert whole[-1]["more_body"] is False


async def test_it_is_cut_off_at_its_end_though_nobody_takes_it(api: Client) -> None:
    """However patient the server: before, the end was looked at between pages alone."""
    await crowd(api, 7)
    url = await url_of(api, "admin:root", MEMBERS)
    bodies: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            api.clock.tick(hours=11, minutes=59, seconds=59, microseconds=999_999)
        else:
            bodies.append(message["body"])
            await asyncio.Event().wait()

    never = Exports(api.engine, Secrets(SECRET), api.clock, build_schema(), patience=1e9)
    await call(api, url, send, app=Starlette(routes=[Route("/export/{id}", never)]))
    assert len(bodies) == 1
    assert never._open == {}


async def test_a_fault_of_the_server_in_between_is_told(api: Client) -> None:
    """A time-out that isn't ours is no client that stalls."""
    await crowd(api, 1)
    url = await url_of(api, "admin:root", MEMBERS)
    downloads, app = _impatient(api)

    async def send(message: Any) -> None:
        raise TimeoutError(message["type"])

    with pytest.raises(TimeoutError, match=r"http\.response\.start"):
        await call(api, url, send, app=app)
    assert downloads._open == {}
