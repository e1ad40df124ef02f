"""What a socket may have going at once, and what a client that doesn't read may cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any

import pytest
import pytest_asyncio

from app import sockets
from tests.schema.client import Client
from tests.schema.conftest import api as _api
from tests.schema.wire import Live, holder_of, live, running, until

api = _api
ADMIN = "admin:root"
FOLLOW = "subscription { activity { kind } }"


@pytest_asyncio.fixture(loop_scope="session")
async def served(api: Client) -> AsyncIterator[Live]:
    """The coalition, served on a port."""
    async with live(api) as made:
        yield made


async def test_a_socket_has_so_many_operations_at_once(
    served: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MOST_OPERATIONS", 3)
    async with served.open(ADMIN) as wire:
        for n in range(3):
            await wire.subscribe(str(n), FOLLOW)
        await served.followed(3)
        await wire.subscribe("x", FOLLOW)
        assert (await wire.error("x"))["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        await wire.send({"id": "0", "type": "complete"})
        await served.followed(2)
        await wire.subscribe("x", FOLLOW)
        await served.followed(3)


async def test_as_many_as_a_socket_may_have_are_followed_anew_at_once(
    served: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was called off before has let go, also where all is said in one breath."""
    monkeypatch.setattr(sockets, "MOST_OPERATIONS", 3)
    async with served.open(ADMIN) as wire:
        for n in range(3):
            await wire.subscribe(str(n), FOLLOW)
        await served.followed(3)
        for n in range(3):
            await wire.send({"id": str(n), "type": "complete"})
        for n in range(3):
            await wire.subscribe(str(n), FOLLOW)
        await wire.quiet()
        await served.followed(3)


async def test_a_client_that_doesnt_read_has_so_many_operations_unfinished(
    served: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many it begins, and however soon each of them is over; it isn't read, then."""
    monkeypatch.setattr(sockets, "MOST_OPERATIONS", 3)
    count, most = 4000, 0
    async with served.open(ADMIN) as wire:
        [connection] = served.server.server_state.connections
        made: Any = connection
        made.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
        wire.socket.transport.pause_reading()

        async def begin() -> None:
            for n in range(count):
                await wire.subscribe(str(n), "{nope}")

        def settled() -> bool:
            nonlocal most
            most = max(most, running())
            stuck = not (made.writable.is_set() or made.transport.is_reading())
            return most > 3 or (stuck and most == 3)

        beginning = asyncio.create_task(begin())
        await until(settled)
        assert most == 3
        assert not made.transport.is_reading()
        # Each is answered once, when it reads again, and as many as before may begin.
        wire.socket.transport.resume_reading()
        told = [await wire.receive() for _ in range(count)]
        await beginning
        assert {x["type"] for x in told} == {"error"}
        assert sorted(int(x["id"]) for x in told) == list(range(count))
        await wire.quiet()
        await until(lambda: running() == 0)


async def test_a_client_that_doesnt_read_costs_a_bounded_amount(served: Live) -> None:
    """Beside it one that reads is told of everything: far more than may wait for the first."""
    member = await served.api.enrol("1")
    holder = holder_of(member)
    wide = " ".join(f"as_long_as_three_of_its_kind_{n}: __typename" for n in range(50))
    query = (
        "subscription($m: MemberBy) { tierChanged(member: $m) { "
        f"{wide} ladder {{ tiers {{ name benefits }} }} }} }}"
    )
    ladder = min(served.api.engine.rulebook.ladders)
    async with served.open(ADMIN) as lazy, served.open(ADMIN) as reader:
        connections: list[Any] = [*served.server.server_state.connections]
        # What the kernel takes for a client isn't the server's, and is made small here.
        for connection in connections:
            connection.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
        for wire in (lazy, reader):
            await wire.subscribe("1", query, m={"id": member})
            for _ in served.api.engine.rulebook.ladders:
                await wire.next()
        lazy.socket.transport.pause_reading()
        size, most, rounds = 0, 0, 0
        while all(c.writable.is_set() for c in connections) or rounds < 100:
            served.tell(holder, ladders=(ladder,))
            size += len(json.dumps(await reader.receive()))
            most = max(most, *(c.transport.get_write_buffer_size() for c in connections))
            rounds += 1
        assert rounds < 5000
        limit = 64 * 1024 + 2 * size // rounds  # until the transport says stop, and a message
        assert most < limit
        assert size > most
        for _ in range(200):
            served.tell(holder, ladders=(ladder,))
            size += len(json.dumps(await reader.receive()))
            most = max(most, *(c.transport.get_write_buffer_size() for c in connections))
        assert most < limit
        # What it is told when it reads again is the newest, once for all that came meanwhile.
        lazy.socket.transport.resume_reading()
        await lazy.send({"type": "ping"})
        told = 0
        while (await lazy.receive())["type"] != "pong":
            told += 1
        assert told <= rounds + 1
    await served.followed(0)
