"""graphql-transport-ws on a real port: the protocol, whatever a client may send, and its limits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode
from websockets.typing import Origin, Subprotocol

from app import sockets
from core.db import Connection, transaction
from tests.schema.client import ENROL, Client
from tests.schema.conftest import api as _api
from tests.schema.wire import Live, Wire, live, running, until

api = _api
ADMIN = "admin:root"
ME = "{ members(first: 1) { edges { node { name } } } }"
_BLOCKED = """SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""
WHEN = ENROL.replace("{ name }", "{ enrolledAt }")
FOLLOW = "subscription { activity { kind } }"


@pytest_asyncio.fixture(loop_scope="session")
async def served(api: Client) -> AsyncIterator[Live]:
    """The coalition, served on a port."""
    async with live(api) as made:
        yield made


def subscribe(**changed: Any) -> dict[str, Any]:
    """A message that begins an operation, or nearly."""
    return {"id": "1", "type": "subscribe", "payload": {"query": ME}, **changed}


async def test_queries_and_mutations_run_as_over_http(served: Live) -> None:
    async with served.open(ADMIN) as wire:
        await wire.subscribe("1", ENROL, input={"card": "7", "name": "Ada"})
        assert (await wire.next())["member"] == {"name": "Ada"}
        assert await wire.receive() == {"id": "1", "type": "complete"}
        await wire.subscribe("1", ME)
        assert (await wire.next())["edges"] == [{"node": {"name": "Ada"}}]
        assert await wire.receive() == {"id": "1", "type": "complete"}


async def test_each_operation_has_an_instant_of_its_own(served: Live) -> None:
    """What is enrolled later is enrolled at a later instant, on one socket."""
    times = set()
    async with served.open(ADMIN) as wire:
        for n in range(2):
            await wire.subscribe("1", WHEN, input={"card": str(n)})
            times.add((await wire.next())["member"]["enrolledAt"])
            await wire.receive()
            served.api.clock.tick(hours=1)
    assert len(times) == 2


async def test_many_operations_go_on_at_once(served: Live) -> None:
    async with served.open(ADMIN) as wire:
        for n in range(20):
            await wire.subscribe(str(n), ME)
        told = [await wire.receive() for _ in range(40)]
    assert sorted(x["id"] for x in told if x["type"] == "complete") == sorted(map(str, range(20)))


async def test_a_change_goes_on_when_its_client_has_gone(served: Live, database: str) -> None:
    """Called off, or cut off, while it waits in the database: it is done all the same."""
    other: Connection = await asyncpg.connect(database)
    for card, cut in (("1", False), ("2", True)):
        async with transaction() as connection, served.open(ADMIN) as wire:
            await connection.execute("LOCK TABLE identifier IN ACCESS EXCLUSIVE MODE")
            await wire.subscribe("1", ENROL, input={"card": card})
            while not await other.fetch(_BLOCKED):
                pass
            if cut:
                wire.socket.transport.abort()
            else:
                await wire.send({"id": "1", "type": "complete"})
                await wire.quiet()
    await other.close()
    await until(lambda: served.callers.count == 0)
    for card in ("1", "2"):
        again = await served.api.ask(ADMIN, ENROL, input={"card": card})
        assert again["created"] is False


async def test_of_a_change_that_was_called_off_nothing_is_told(served: Live, database: str) -> None:
    """It goes on, and whatever has its id next is another operation."""
    other: Connection = await asyncpg.connect(database)
    async with served.open(ADMIN) as wire:
        async with transaction() as connection:
            await connection.execute("LOCK TABLE identifier IN ACCESS EXCLUSIVE MODE")
            await wire.subscribe("1", ENROL, input={"card": "1"})
            while not await other.fetch(_BLOCKED):
                pass
            await wire.send({"id": "1", "type": "complete"})
            await wire.subscribe("1", FOLLOW)
            await served.followed(1)
        await until(lambda: running() == 1)
        again = await served.api.ask(ADMIN, ENROL, input={"card": "1"})
        assert again["created"] is False
        await wire.quiet()
        await served.followed(1)
        await wire.subscribe("1", FOLLOW)
        assert await wire.closed() == 4409
    await other.close()


async def test_pings_are_answered_before_and_after(served: Live) -> None:
    async with served.open(None) as wire:
        await wire.quiet()
        await wire.send({"type": "pong"})
        await wire.send({"type": "connection_init", "payload": served.payload(ADMIN)})
        assert await wire.receive() == {"type": "connection_ack"}
        await wire.send({"type": "ping", "payload": {"any": 1}})
        assert (await wire.receive())["type"] == "pong"


async def test_nobody_without_a_token_is_let_in(served: Live) -> None:
    said: list[dict[str, Any]] = [
        {},
        {"payload": {}},
        {"payload": {"authorization": "Bearer nonsense"}},
        {"payload": {"authorization": "Basic abc"}},
        {"payload": {"authorization": 7}},
        {"payload": {"authorization": ["Bearer"]}},
    ]
    for payload in said:
        async with served.open(None) as wire:
            await wire.send({"type": "connection_init", **payload})
            assert await wire.closed() == 4403, payload
    assert served.callers.count == 0


async def test_the_token_may_come_with_the_handshake(served: Live) -> None:
    """As clients do that aren't browsers."""
    async with served.open(None, additional_headers=served.payload(ADMIN)) as wire:
        await wire.send({"type": "connection_init"})
        assert await wire.receive() == {"type": "connection_ack"}


async def test_nothing_is_done_before_the_acknowledgement(served: Live) -> None:
    async with served.open(None) as wire:
        await wire.subscribe("1", ME)
        assert await wire.closed() == 4401


async def test_who_says_nothing_is_shown_out(served: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served.open(None) as wire:
        assert await wire.closed() == 4408
    assert sockets.PATIENCE.total_seconds() <= 5


async def test_one_introduces_oneself_once(served: Live) -> None:
    async with served.open(ADMIN) as wire:
        await wire.send({"type": "connection_init", "payload": served.payload(ADMIN)})
        assert await wire.closed() == 4429


async def test_an_id_is_used_once_at_a_time(served: Live) -> None:
    for id in ("1", "ü" * 100):  # the longest, which a close frame can't repeat
        async with served.open(ADMIN) as wire:
            await wire.subscribe(id, FOLLOW)
            await served.followed(1)
            await wire.subscribe(id, FOLLOW)
            assert await wire.closed() == 4409
        await served.followed(0)


async def test_no_other_protocol_is_spoken(served: Live) -> None:
    """Not the older one either, which knew no refusal."""
    address = served.url.replace("http:", "ws:") + "/graphql"
    for spoken in (["graphql-ws"], [], ["nonsense"]):
        protocols = [Subprotocol(x) for x in spoken] or None
        async with connect(address, subprotocols=protocols) as made:
            assert made.subprotocol is None
            assert await Wire(made).closed() == 4406


#: What is no message of the protocol.
NONSENSE: list[str | bytes] = [
        "", "{", "nonsense", "[]", "1", "null", "true", '"x"', "{}", '{"type":null}',
        '{"type":1}', '{"type":["subscribe"]}', '{"type":"start"}', '{"type":"next"}',
        '{"type":"' + "x" * 5000 + '"}', '{"type":"ping","payload":1}', "[" * 20000,
        '{"type":"subscribe","a":' + "[" * 20000 + "]" * 20000 + "}",
        '{"type":"ping","payload":{"n":' + "9" * 5000 + "}}garbage",
        '{"type":"complete"}', '{"type":"complete","id":7}', '{"type":"complete","id":[1]}',
        b"{}", b"\x00\xff",
        *map(json.dumps, [
            subscribe(payload=None), subscribe(payload=[]), subscribe(payload="x"),
            subscribe(payload={}), subscribe(payload={"query": None}),
            subscribe(payload={"query": ["{ me { id } }"]}), subscribe(id=None), subscribe(id=1),
            subscribe(id=["1"]), subscribe(id={}), subscribe(id=""), subscribe(id="x" * 101),
            subscribe(payload={"query": ME, "variables": []}),
            subscribe(payload={"query": ME, "variables": "x"}),
            subscribe(payload={"query": ME, "operationName": 1}),
            subscribe(payload={"query": ME, "extensions": 1}),
        ]),
]  # fmt: skip


async def test_whatever_isnt_a_message_closes_with_4400(
    served: Live, caplog: pytest.LogCaptureFixture
) -> None:
    async with served.open(ADMIN) as other:
        for frame in NONSENSE:
            async with served.open(ADMIN) as wire:
                await wire.socket.send(frame)
                assert await wire.closed() == 4400, frame
        assert [r for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")] == []
        await other.quiet()  # which is served as before


async def test_frames_that_are_none_close_the_socket(
    served: Live, caplog: pytest.LogCaptureFixture
) -> None:
    """Text that isn't UTF-8, control frames too long: the library under us refuses them."""
    for opcode, data, code in (
        (Opcode.TEXT, b"\xff\xfe", 1007),
        (Opcode.CONT, b"x", 1002),
    ):
        async with served.open(ADMIN) as wire:
            made: Any = wire.socket
            made.protocol.send_frame(_frame(opcode, data))
            made.send_data()
            assert await wire.closed() == code
    async with served.open(ADMIN) as wire:
        await wire.quiet()


def _frame(opcode: Opcode, data: bytes) -> Any:
    from websockets.frames import Frame

    return Frame(opcode, data)


async def test_a_message_has_a_most(served: Live) -> None:
    fits = json.dumps({"type": "ping", "payload": {"x": ""}})
    most = fits.replace('""', '"' + "x" * (sockets.MOST_BYTES - len(fits)) + '"')
    for size in (sockets.MOST_BYTES + 1, 3 * 1024 * 1024):
        async with served.open(ADMIN) as wire:
            await wire.socket.send(most)
            assert (await wire.receive())["type"] == "pong"
            with suppress(ConnectionClosed):
                await wire.socket.send("x" * size)
            assert await wire.closed() == 1009


async def test_what_is_wrong_with_one_operation_ends_that_one_alone(served: Live) -> None:
    async with served.open(ADMIN) as wire:
        await wire.subscribe("0", FOLLOW)
        await served.followed(1)
        for wrong, code in (
            ("{", "GRAPHQL_PARSE_FAILED"),
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("query A { me { id } } query B { me { id } }", None),
            ("subscription { activity { kind } ledgerChanged { id } }", None),
            ("", None),
            ("query($x: Int!) { members(first: $x) { edges { cursor } } }", None),
        ):
            await wire.subscribe("1", wrong)
            message = await wire.receive()
            assert message["type"] in ("error", "next"), message
            if message["type"] == "next":
                assert message["payload"]["errors"], message
                assert (await wire.receive())["type"] == "complete"
            del code
        await wire.quiet()
        await served.followed(1)


async def test_a_caller_has_so_many_sockets_at_once(api: Client) -> None:
    """And one who has them all takes nothing from others."""
    member = api.member(await api.enrol("1"))
    async with live(api) as served:
        served.callers.most_each = 2
        async with served.open(ADMIN), served.open(ADMIN):
            async with served.open(None) as wire:
                await wire.send({"type": "connection_init", "payload": served.payload(ADMIN)})
                assert await wire.closed() == 1013
            async with served.open(member) as wire:
                await wire.quiet()
        await until(lambda: served.callers.count == 0)
        async with served.open(ADMIN) as wire:
            await wire.quiet()


async def test_no_foreign_page_opens_a_socket(served: Live) -> None:
    for origin in (None, served.url):
        async with served.open(ADMIN, origin=None if origin is None else Origin(origin)) as wire:
            await wire.quiet()
    for origin in ("https://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            async with served.open(None, origin=Origin(origin)):
                pass
        assert refused.value.response.status_code == 403


async def test_sockets_are_closed_when_the_server_stops(api: Client) -> None:
    """With a code that clients take for "come back"; none is told that what it follows is over."""
    async with live(api) as served, served.open(ADMIN) as wire:
        await wire.subscribe("1", FOLLOW)
        await served.followed(1)
        served.server.should_exit = True
        with pytest.raises(ConnectionClosed):  # and not a message before
            await wire.receive()
        assert wire.socket.close_code == 1012
        await served.followed(0)
