"""Controls: systems broken on purpose, in which the rig must find what is lost or booked twice.

A rig that finds nothing in them is blind, and what it says of the real system is worth nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg

from tests.crash import books
from tests.crash.early import LAG
from tests.crash.oracle import Wrong
from tests.crash.processes import Application, Postgres
from tests.crash.rig import Fault, Rig
from tests.crash.tills import Habits

#: Purchases alone, none sent again later: what was lost stays lost.
_BUYING = Habits(redeem=0, bring_back=0, replay=0)
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Caught:
    """What came of a control."""

    looked_for: Wrong
    found: int
    faults: int
    remark: str = ""


async def _no_natural_key(server: Postgres, data: Path, seed: int) -> Caught:
    habits = replace(_BUYING, new_name_each_time=True)
    rig = Rig(server, Application(data, "control_names"), habits, seed)
    return await _hunt(rig, Fault.REPLIES, Wrong.DOUBLED)


async def _early_answer(server: Postgres, data: Path, seed: int) -> Caught:
    command = [sys.executable, "-m", "tests.crash.early"]
    rig = Rig(server, Application(data, "control_early", command), _BUYING, seed)
    return await _hunt(rig, Fault.APPLICATION, Wrong.LOST)


async def _lazy_commit(server: Postgres, data: Path, seed: int) -> Caught:
    rig = Rig(server, Application(data, "control_lazy"), _BUYING, seed)
    async with _lazily(server, "control_lazy"):
        careless = await books.careless_settings(rig.url)
        caught = await _hunt(rig, Fault.POSTGRES, Wrong.LOST)
    if not careless:
        return replace(caught, found=0, remark="the look at the settings missed it")
    return replace(caught, remark=f"refused at the start, too: {', '.join(careless)}")


async def _hunt(rig: Rig, fault: Fault, wrong: Wrong) -> Caught:
    faults = 0
    async with rig.standing():
        # What the application made at its start is to outlive the fault, also where commits linger.
        await _statements(rig.server)("CHECKPOINT")
        while faults < _ATTEMPTS and rig.figures.count(wrong) == 0:
            async with rig.load():
                await rig.strike(fault)
            faults += 1
            await asyncio.sleep(2 * LAG)  # so that what is booked late isn't taken for lost
            await rig.examine()
    return Caught(wrong, rig.figures.count(wrong), faults)


@asynccontextmanager
async def _lazily(server: Postgres, database: str) -> AsyncIterator[None]:
    """A database whose commits reach the disk seconds after they were acknowledged."""
    run = _statements(server)
    await run(f"CREATE DATABASE {database}")
    await run(f"ALTER DATABASE {database} SET synchronous_commit = off")
    await run("ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        await run("ALTER SYSTEM RESET wal_writer_delay", "SELECT pg_reload_conf()")


def _statements(server: Postgres) -> Callable[..., Awaitable[None]]:
    async def run(*statements: str) -> None:
        connection = await asyncpg.connect(server.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    return run


CONTROLS: Mapping[str, Callable[[Postgres, Path, int], Awaitable[Caught]]] = {
    "each retry takes a new number": _no_natural_key,
    "answered before it is booked": _early_answer,
    "commits reach the disk later": _lazy_commit,
}
