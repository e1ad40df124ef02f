"""Several processes on one address: each answers, one that dies is followed, all end as one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from app.siblings import listening
from core.errors import BadInput
from tests.app.working import PATIENCE, heard, process, serve
from tests.support import Databases

#: Connections, of which it would be a wonder if all came to one of two processes.
MANY = 60


async def started(first: Process) -> str:
    """The address."""
    said = await heard(first, "Laurels serves")
    found = re.search(r"http://[\d.:]+", said)
    assert found is not None
    return found.group()


def children(pid: int) -> set[int]:
    """The processes that serve beside this one."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(n) for n in found if b"spawn_main" in Path(f"/proc/{n}/cmdline").read_bytes()}


def lives(pid: int) -> bool:
    """Whether there is such a process still, and it isn't only to be buried."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it went between opening and reading
        return False


async def ask(address: str) -> int:
    """The status of an answer, by a connection of its own."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        return (await client.get(f"{address}/health/live")).status_code


async def both_answer(address: str, first: int) -> None:
    """One does although the other stands still, which answers the rest when it goes on."""
    os.kill(first, signal.SIGSTOP)
    asked = [asyncio.create_task(ask(address)) for _ in range(MANY)]
    done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert {task.result() for task in done} == {200}
    os.kill(first, signal.SIGCONT)
    assert [await task for task in waiting] == [200] * len(waiting)


async def test_both_answer_and_one_that_is_killed_is_followed(databases: Databases) -> None:
    async with (
        databases.migrated() as url,
        process(url, serve(), LAURELS_PORT="0", LAURELS_PROCESSES="2") as first,
    ):
        address = await started(first)
        for _ in range(2):
            await heard(first, "one of several serves")
        [second] = children(first.pid)
        await both_answer(address, first.pid)
        os.kill(second, signal.SIGKILL)
        await heard(first, "a serving process ended")
        await heard(first, "one of several serves")
        [third] = children(first.pid)
        assert third != second
        await both_answer(address, first.pid)
        first.terminate()
        async with asyncio.timeout(PATIENCE):
            await first.communicate()
        assert not lives(third)


async def test_all_end_with_the_first_however_it_ends(databases: Databases) -> None:
    async with (
        databases.migrated() as url,
        process(url, serve(), LAURELS_PORT="0", LAURELS_PROCESSES="3") as first,
    ):
        address = await started(first)
        for _ in range(3):
            await heard(first, "one of several serves")
        assert await ask(address) == 200
        others = children(first.pid)
        assert len(others) == 2
        first.kill()
        async with asyncio.timeout(PATIENCE):
            while any(lives(pid) for pid in others):  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(0)


def test_an_address_that_is_taken_is_not_shared_with_strangers() -> None:
    mine = listening("127.0.0.1", 0, 2)
    try:
        port = mine[0].getsockname()[1]
        assert [s.getsockname()[1] for s in mine] == [port, port]
        with pytest.raises(BadInput, match=f"can't serve on 127.0.0.1:{port}: Address already"):
            listening("127.0.0.1", port, 2)
        for each in mine:
            each.setblocking(False)
        with socket.create_connection(("127.0.0.1", port)) as client:
            while not (served := _accepted(mine)):
                pass
            served.close()  # from our side first: it waits for stragglers a minute long
            assert client.recv(1) == b""
    finally:
        for each in mine:
            each.close()
    for many in (2, 1):  # the control: it is free again, at once
        for each in listening("127.0.0.1", port, many):
            each.close()


def _accepted(sockets: list[socket.socket]) -> socket.socket | None:
    for each in sockets:
        with suppress(BlockingIOError):
            return each.accept()[0]
    return None
