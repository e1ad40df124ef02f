"""Asking for exports, as several tests do. Holds no test."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson

from core.store import exports as store
from tests.schema.client import Client

MEMBERS = "{ members(first: 3) { edges { node { id name } } } }"
EXPORT = """mutation($input: BulkExportInput!) { bulkExport(input: $input) { __typename
  ... on ExportReady { url expiresAt } ... on Error { code message path } } }"""


async def ask(
    api: Client, who: str, query: str, variables: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The answer of `bulkExport`."""
    given = {"query": query, "variables": variables}
    answer: dict[str, Any] = await api.ask(who, EXPORT, input=given)
    return answer


async def url_of(api: Client, who: str, query: str, variables: dict[str, Any] | None = None) -> str:
    """The URL of an export that is granted."""
    done = await ask(api, who, query, variables)
    assert done["__typename"] == "ExportReady", done
    return str(done["url"])


async def stored() -> int:
    """How many exports were kept; none is, after this."""
    return await store.forget(datetime(2100, 1, 1, tzinfo=UTC))


async def fetch(api: Client, url: str) -> list[Any]:
    """A download's lines."""
    response = await api.http.get(url)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/jsonl"
    assert response.text.endswith("\n")
    return [orjson.loads(line) for line in response.content.splitlines()]


async def crowd(api: Client, count: int) -> list[str]:
    """So many members, M0 and on; their ids."""
    return [await api.enrol(f"c{n}", f"M{n}") for n in range(count)]


async def call(
    api: Client, url: str, send: Any, gone: asyncio.Event | None = None, app: Any = None
) -> None:
    """Call the application, or another, as a server does, with a client that may go away."""
    path, _, query = url.partition("?")
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [], "scheme": "http", "server": ("laurels.test", 80), "client": ("x", 1),
        "root_path": "",
    }  # fmt: skip
    app = app or api.http._transport.app  # type: ignore[attr-defined]
    await app(scope, receive, send)
