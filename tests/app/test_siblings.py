"""Several processes on one address: each answers, one that dies is followed, all end as one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from app.siblings import beside, shared, unshared
from core.errors import BadInput
from tests.app.working import PATIENCE, heard, process, serve
from tests.support import Databases

#: Connections, of which it would be a wonder if all came to one of two processes.
MANY = 60


@asynccontextmanager
async def serving(databases: Databases, many: int) -> AsyncIterator[tuple[Process, str]]:
    """The first of so many processes, all of which are ready, and the address."""
    async with (
        databases.migrated() as url,
        process(url, serve(), LAURELS_PORT="0", LAURELS_PROCESSES=str(many)) as first,
    ):
        found = re.search(r"http://[\d.:]+", await heard(first, "Laurels serves"))
        assert found is not None
        for _ in range(many):
            await heard(first, "one of several serves")
        yield first, found.group()


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
    async with serving(databases, 2) as (first, address):
        [second] = children(first.pid)
        await both_answer(address, first.pid)
        os.kill(second, signal.SIGKILL)
        await heard(first, "a serving process ended")
        assert {await ask(address) for _ in range(MANY)} == {200}  # its share is the other's now
        await heard(first, "one of several serves")
        [third] = children(first.pid)
        assert third != second
        await both_answer(address, first.pid)
        first.terminate()
        async with asyncio.timeout(PATIENCE):
            await first.communicate()
        assert not lives(third)


async def test_all_end_with_the_first_however_it_ends(databases: Databases) -> None:
    async with serving(databases, 3) as (first, _):
        others = children(first.pid)
        assert len(others) == 2
        first.kill()
        async with asyncio.timeout(PATIENCE):
            while any(lives(pid) for pid in others):  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(0)


def stubborn(note: Path) -> None:
    """What doesn't end when it is told to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note.write_text(str(os.getpid()))
    time.sleep(PATIENCE)


async def test_who_does_not_end_is_killed_although_who_waits_is_cancelled(tmp_path: Path) -> None:
    """As the signal does that ended the server, which is raised again."""
    note = tmp_path / "pid"

    async def run() -> None:
        async with beside(partial(stubborn, note), 1, 0.1) as tell:
            while not (note.exists() and note.read_text()):  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(0)
            tell()
            me = asyncio.current_task()
            assert me is not None
            me.cancel()

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(run())
    assert not lives(int(note.read_text()))


def test_an_address_that_is_taken_is_not_shared_with_strangers() -> None:
    with shared("127.0.0.1", 0) as first:
        port: int = first.getsockname()[1]
        first.listen()
        with shared("127.0.0.1", port) as second:
            second.listen()  # they share it among themselves
            with pytest.raises(BadInput, match=f"can't serve on 127.0.0.1:{port}: Address already"):
                unshared("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port)) as client:
            served, _ = first.accept()
            served.close()  # from our side first: it waits for stragglers a minute long
            assert client.recv(1) == b""
    unshared("127.0.0.1", port)  # the control: it is free again, at once
    shared("127.0.0.1", port).close()
