"""The worker's part: what is booked goes out by itself, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import orjson
import pytest
from structlog.testing import capture_logs

from app import sending
from app.outbound import Outbound
from core import dispatching, endpoints
from core.endpoints import Request, Wanted
from core.posting import Engine
from core.webhooks import Topic
from tests.app.test_outbound import answered, receiver
from tests.app.working import PATIENCE
from tests.core.test_webhooks import verify
from tests.support import NOW, enrol_cards, receipt, scalar


def clock() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def sent(engine: Engine) -> AsyncIterator[asyncio.Task[None]]:
    """The sending, for a while."""
    task = asyncio.create_task(sending.send(engine, clock))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(query: str, wanted: object) -> None:
    """Look until the database answers so: the work is another task's."""
    async with asyncio.timeout(PATIENCE):
        while await scalar(query) != wanted:
            pass


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits between attempts."""
    monkeypatch.setattr(sending, "_LOOK", 0.01)
    monkeypatch.setattr(sending, "_FIRST_PAUSE", 0.0)
    return iter(())


async def test_what_is_booked_arrives_signed(engine: Engine) -> None:
    """From a purchase to another's socket, by the query that was registered."""
    engine.private_hosts = frozenset({"127.0.0.1"})
    await enrol_cards(["1"])
    async with receiver(answered("204 No Content")) as (port, got), sent(engine):
        wanted = Wanted(
            f"http://127.0.0.1:{port}/hook",
            [Topic.PURCHASE_RECORDED],
            "query($purchase: ID!) { node(id: $purchase) { ... on Purchase { externalId } } }",
            ["purchases:read"],
        )
        made = await endpoints.create(1, wanted, Request("me", "k"), NOW)
        await engine.record_purchases([receipt(engine, "R1", "1")], NOW)
        await until("SELECT count(*) FROM webhook_delivery WHERE state = 2", 1)
    head, _, body = got[0].partition(b"\r\n\r\n")
    said = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
    assert made.secret is not None
    verify(made.secret, body, {name.lower(): value for name, value in said.items()}, clock())
    assert orjson.loads(body)["data"] == {"node": {"externalId": "R1"}}
    assert len(got) == 1


async def test_a_private_address_is_never_asked(engine: Engine) -> None:
    """The same without the setting: the control is the test above."""
    await enrol_cards(["1"])
    async with receiver(answered("204 No Content")) as (port, got), sent(engine):
        wanted = Wanted(f"http://127.0.0.1:{port}/", [Topic.PURCHASE_RECORDED], None, [])
        await endpoints.create(1, wanted, Request("me", "k"), NOW)
        await engine.record_purchases([receipt(engine, "R1", "1")], NOW)
        await until("SELECT count(*) FROM webhook_attempt", 1)
    assert got == []
    problem = await scalar("SELECT problem FROM webhook_attempt")
    assert problem == "the host leads to an address that isn't public"


async def test_it_goes_on_after_whatever_happens(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "R1", "1")], NOW)
    dispatch, failures = dispatching.dispatch, [OSError("gone"), RuntimeError("odd")]

    async def failing(also: dispatching.Also) -> int:
        if failures:
            raise failures.pop(0)
        return await dispatch(also)

    monkeypatch.setattr(dispatching, "dispatch", failing)
    with capture_logs() as told:
        async with sent(engine) as task:
            await until("SELECT count(*) FROM outbox", 0)
            assert not task.done()
    assert [(line["log_level"], line.get("why")) for line in told] == [
        ("warning", "OSError('gone')"),
        ("error", None),
    ]


async def test_it_begins_anew_where_it_could_not_begin(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or where it ended beside its work, as its certificates may have it."""
    await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "R1", "1")], NOW)
    failures = [RuntimeError("odd")]

    def failing(private: Collection[str]) -> Outbound:
        if failures:
            raise failures.pop(0)
        return Outbound(private)

    monkeypatch.setattr(sending, "Outbound", failing)
    with capture_logs() as told:
        async with sent(engine) as task:
            await until("SELECT count(*) FROM outbox", 0)
            assert not task.done()
    assert [line["log_level"] for line in told] == ["error"]
