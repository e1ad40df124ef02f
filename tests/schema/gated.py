"""The application of a test once more, with limits of its own: another gate, another deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from app.asgi import create_app
from schema.build import build_schema
from schema.gate import Gate
from schema.rates import RATES, Buckets
from tests.schema.client import SECRET, Client

NEW_TYPE = "application/graphql-response+json"


@dataclass
class Seconds:
    """A clock of seconds that stands until it is moved."""

    at: float = 1000.0

    def __call__(self) -> float:
        """Now."""
        return self.at


def open_gate(**given: Any) -> Gate:
    """A gate with the usual rates, on a clock that stands."""
    return Gate(Buckets(RATES, Seconds()), **given)


@asynccontextmanager
async def gated(
    api: Client, gate: Gate | None = None, *, query_timeout: float = 10.0
) -> AsyncIterator[Client]:
    """A client of the same engine and clock behind another gate."""
    schema = build_schema(gate or open_gate(), query_timeout=query_timeout)
    app = create_app(api.engine, SECRET, now=api.clock, schema=schema)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://laurels.test") as http:
        yield replace(api, http=http)


async def post(
    client: Client,
    who: str | None,
    body: Mapping[str, Any] | bytes,
    accept: str = NEW_TYPE,
) -> httpx.Response:
    """Send a body as it is; not more is asked of the answer than that it is JSON."""
    headers = {"accept": accept, "content-type": "application/json"}
    if who is not None:
        headers["authorization"] = f"Bearer {client.tokens[who]}"
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    response = await client.http.post("/graphql", headers=headers, **content)
    response.json()
    return response


def code(response: httpx.Response) -> str:
    """The code of the first error of an answer that has no data."""
    told = response.json()
    assert "data" not in told
    found: str = told["errors"][0]["extensions"]["code"]
    return found
