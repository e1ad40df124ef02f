"""Each ready operation of GraphiQL, run as an admin on the demo's coalition with its variables."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from graphql import OperationDefinitionNode, parse

from app import demo, tokens
from app.asgi import create_app
from app.ide import Tab
from app.ide_day import ADJUST, DAY_TABS
from app.ide_more import FOLLOW_LEDGER, REVERSE_REDEMPTION
from app.ide_tabs import ADMIN_TABS, REDEEM
from app.runtime import running
from tests.app.working import SECRET, settings
from tests.support import Databases


@asynccontextmanager
async def _demo(databases: Databases) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's client of the demo, which runs by the clock as the page's variables do."""
    now = datetime.now(UTC)
    async with databases.migrated() as url, running(settings(url)) as runtime:
        await demo.seed(runtime.engine, now)
        token = tokens.issue(SECRET, "admin", "ada", timedelta(hours=1), now)
        transport = httpx.ASGITransport(create_app(runtime.engine, SECRET))
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://laurels.test", headers=headers
        ) as client:
            yield client


async def _run(client: httpx.AsyncClient, tab: Tab) -> Any:
    """The answer to what the page would send."""
    sent = {"query": tab.query, "variables": json.loads(tab.written or "{}")}
    return (await client.post("/graphql", json=sent)).json()


def _refusals(value: Any) -> list[str]:
    """The errors in an answer: GraphQL's own, and members of a union."""
    if isinstance(value, list):
        return [each for item in value for each in _refusals(item)]
    if not isinstance(value, dict):
        return []
    own = [str(value)] if str(value.get("__typename", "")).endswith("Error") else []
    own += [str(error) for error in value.get("errors", [])]
    return own + [each for below in value.values() for each in _refusals(below)]


async def test_each_tab_does_in_the_demo_what_it_says(databases: Databases) -> None:
    async with _demo(databases) as client:
        answers = {}
        for tab in ADMIN_TABS:
            # Of one the demo doesn't know the id beforehand, and the other never ends.
            if tab not in (REVERSE_REDEMPTION, FOLLOW_LEDGER):
                answers[tab.title] = await _run(client, tab)
        refused = {title: _refusals(answer) for title, answer in answers.items()}
        assert {title: said for title, said in refused.items() if said} == {}
        assert all(None not in answer["data"].values() for answer in answers.values())

        redeemed = answers[REDEEM.title]["data"]["redeemReward"]["redemption"]
        given = {**REVERSE_REDEMPTION.variables["input"], "redemption": redeemed["id"]}
        undone = await _run(client, replace(REVERSE_REDEMPTION, variables={"input": given}))
        assert undone["data"]["reverseRedemption"]["redemption"]["status"] == "REVERSED"


async def test_a_tab_that_is_refused_is_seen(databases: Databases) -> None:
    """The oracle above can fail: by a member of a union, and by an error of GraphQL's own."""
    async with _demo(databases) as client:
        given = {**ADJUST.variables["input"], "reason": "whim"}
        (said,) = _refusals(await _run(client, replace(ADJUST, variables={"input": given})))
        assert "BadInputError" in said
        (said,) = _refusals(await _run(client, Tab("", "query Nobody { nobody }")))
        assert "nobody" in said


def test_the_tabs_are_the_day_s_work_and_no_two_have_one_name() -> None:
    operations = [parse(tab.query).definitions[0] for tab in ADMIN_TABS]
    names = [o.name.value for o in operations if isinstance(o, OperationDefinitionNode) and o.name]
    assert len(set(names)) == len(ADMIN_TABS)
    assert tuple(tab for tab in ADMIN_TABS if tab.opened) == DAY_TABS
