"""Every request of the table of `hostile` is refused with its code, after work by its length.

The work is counted as calls of functions, Python's and C's, so nothing here depends on time, which
is measured in `bench.hostile`. And nothing was changed by any of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest
from graphql import parse, validate
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.extensions.query_depth_limiter import create_validator

from app.asgi import create_app
from schema.build import build_schema
from schema.gate import Gate
from schema.rates import RATES, Buckets, Rate
from tests.schema.client import SECRET, Client
from tests.schema.gated import Seconds
from tests.schema.hostile import GOOD, NEW_TYPE, Hostile, _bomb, everything

OLD_TYPE = "application/json"
#: Calls that any request takes, those for each byte of it, and those of graphql-core's own budget
#: for the comparison of fields, where it is used up.
ANY, PER_BYTE, COMPARED = 40_000, 60, 20 * overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET
REPEATED = '{"errors":[{"message":"fields are repeated too often'
#: Bytes that any refusal takes.
MOST_TOLD = 6000
FINE = Hostile("fine", b'{"query": "{ __typename }"}', (200, 200), "")


async def counted(work: Callable[[], Awaitable[Any]]) -> tuple[Any, int]:
    """What it came to, and how many functions were called for it."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        return await work(), calls
    finally:
        sys.setprofile(before)


async def _rows(url: str) -> dict[str, int]:
    """How many rows each table has: of the books, and whatever else."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n "
            "ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_|^info'"
        )
        return {
            t["name"]: await connection.fetchval(f"SELECT count(*) FROM {t['name']}")
            for t in tables
        }
    finally:
        await connection.close()


async def _send(http: httpx.AsyncClient, hostile: Hostile, accept: str, token: str) -> Any:
    headers = {"accept": accept, "authorization": f"Bearer {token}", **hostile.headers}
    return await http.request(hostile.method, hostile.path, content=hostile.body, headers=headers)


def _told(response: httpx.Response) -> str | None:
    """The code: of an error, or of a refusal among the data."""
    told = response.json()
    for error in told.get("errors", ()):
        return str(error["extensions"]["code"])
    [answer] = told["data"].values()
    return answer.get("code") if isinstance(answer, dict) else None


def _too_much(hostile: Hostile, response: httpx.Response, calls: int) -> str | None:
    most = ANY + PER_BYTE * len(hostile.body)
    if response.text.startswith(REPEATED):
        most += COMPARED
    if calls > most:
        return f"{calls} calls for {len(hostile.body)} bytes"
    if len(response.content) > MOST_TOLD:
        return f"an answer of {len(response.content)} bytes"
    return None


async def test_the_table(api: Client, database: str) -> None:
    """Under both media types; the next request is served each time, and all is as before."""
    rates = dict.fromkeys(RATES, Rate(10**12, 1))
    schema = build_schema(Gate(Buckets(rates, Seconds())))
    app = create_app(api.engine, SECRET, now=api.clock, schema=schema)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    token = api.tokens["admin:root"]
    wrong: list[Any] = []
    async with httpx.AsyncClient(transport=transport, base_url="http://laurels.test") as http:
        await _send(http, FINE, NEW_TYPE, token)
        before = await _rows(database)
        for hostile in everything():
            for accept, status in zip((NEW_TYPE, OLD_TYPE), hostile.statuses, strict=True):
                send = partial(_send, http, hostile, accept, token)
                response, calls = await counted(send)
                found = (response.status_code, _told(response))
                if found != (status, hostile.code):
                    wrong.append((hostile.name, accept, found, response.text[:300]))
                if said := _too_much(hostile, response, calls):
                    wrong.append((hostile.name, accept, said))
                served = await _send(http, FINE, accept, token)
                if served.json()["data"] != {"__typename": "Query"}:
                    wrong.append((hostile.name, accept, "the next one isn't served"))
        assert wrong == []
        # What was run and refused is on record, for an admin tried it; nothing else is there.
        tried = 2 * sum(hostile.code == "BAD_INPUT" for hostile in everything())
        assert await _rows(database) == {**before, "audit": tried, "audit_outcome": tried}
        # The negative control: the change that many of them hold is one.
        sane = Hostile("sane", json.dumps({"query": GOOD}).encode(), (200, 200), "")
        assert (await _send(http, sane, NEW_TYPE, token)).status_code == 200
        after = await _rows(database)
        assert after["member"] == before["member"] + 1


async def test_the_count_sees_what_isnt_linear() -> None:
    """The negative control: the library's own limit of depth, which must not be used, on a bomb."""
    schema = build_schema()._schema
    text = _bomb(15)
    rule = create_validator(10, lambda _: False)

    async def limited() -> Any:
        return validate(schema, parse(text), [rule])

    _, calls = await counted(limited)
    assert calls > ANY + PER_BYTE * len(text)


@pytest.mark.parametrize("size", [20, 40, 80])
async def test_a_bomb_of_twice_the_length_takes_twice_the_work(api: Client, size: int) -> None:
    """Of the whole request, at sizes where no limit cuts it short but the cost."""

    async def of(many: int) -> int:
        document = {"query": _bomb(many)}
        _, calls = await counted(lambda: api.http.post("/graphql", json=document))
        return calls

    await of(size)
    once, twice = await of(size), await of(2 * size)
    assert twice < 2.2 * once
