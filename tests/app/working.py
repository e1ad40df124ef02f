"""What tests of the worker share: real worker processes, and a database with a night's work in it.

Holds no assertion.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from pydantic import SecretStr

from app.postgres import database_url
from app.runtime import running
from app.settings import Settings
from core.db import Connection
from core.errors import Refusal
from tests.support import Databases, enrol_cards, receipt

CHECKOUT = Path(__file__).resolve().parents[2]
SECRET = "s" * 40
#: Seconds until a process that hangs fails its test.
PATIENCE = 120.0
BOUGHT = datetime(2025, 1, 10, 12, 0, tzinfo=UTC)
#: When all that was bought then has expired, and every rank that it carried has ended.
LATE = datetime(2026, 4, 1, tzinfo=UTC)

_ONCE = """
import asyncio
from datetime import datetime
from app.settings import Settings
from app.work import run_once
print(asyncio.run(run_once(Settings(), None, datetime.fromisoformat({now!r}))))
"""
_STAY = """
import asyncio
from app.settings import Settings
from app.work import run_worker
asyncio.run(run_worker(Settings(), None))
"""
_SERVE = """
from laurels.cli import commands
commands(["serve"])
"""


def settings(url: str) -> Settings:
    """Of a process on this database."""
    return Settings(database_url=url, secret=SecretStr(SECRET))


def once(now: datetime = LATE) -> str:
    """The program that does what is due at `now`, then stops."""
    return _ONCE.format(now=now.isoformat())


def stay() -> str:
    """The program that works until it is stopped."""
    return _STAY


def serve() -> str:
    """The program that serves the application, with the worker beside it."""
    return _SERVE


@asynccontextmanager
async def process(url: str, program: str, **also: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process at work on this database, in which any warning is an error; then killed.

    And whatever it started: that writes to the same pipes, whose end is waited for.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAURELS_")}
    environment |= {"LAURELS_DATABASE_URL": url, "LAURELS_SECRET": SECRET} | also
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", program,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=CHECKOUT, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        await started.communicate()


async def heard(worker: asyncio.subprocess.Process, *words: str) -> str:
    """Read what a process prints until a line has all these words; the line."""
    assert worker.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while line := (await worker.stdout.readline()).decode():
            if all(word in line for word in words):
                return line
    assert worker.stderr is not None
    raise EOFError((await worker.stderr.read()).decode())


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[Connection]:
    """A connection with all rights."""
    connection: Connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def until_blocked(
    watcher: Connection, blocker: int, worker: asyncio.subprocess.Process
) -> None:
    """Wait until somebody waits for a lock of this backend."""
    async with asyncio.timeout(PATIENCE):
        while not await watcher.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))", blocker
        ):
            if worker.returncode is not None:
                raise EOFError("the worker ended without coming to the lock")


async def fill(url: str, members: int) -> None:
    """Members with one old receipt each: two lots to expire, and for a third of them a rank."""
    async with running(settings(url), now=BOUGHT) as runtime:
        numbers = [f"{n:05}" for n in range(members)]
        await enrol_cards(numbers, runtime.engine.ids)
        items = [
            receipt(
                runtime.engine, f"r{number}", number, BOUGHT + timedelta(seconds=n),
                ("PRODUCE", f"{30 if n % 3 else 400}.00"), ("MEAT", "12.50"),
            )
            for n, number in enumerate(numbers)
        ]  # fmt: skip
        for start in range(0, members, 500):
            for outcome in await runtime.engine.record_purchases(
                items[start : start + 500], BOUGHT + timedelta(hours=1), historical=True
            ):
                if isinstance(outcome, Refusal):
                    raise outcome


@asynccontextmanager
async def copied(databases: Databases, url: str, name: str) -> AsyncIterator[str]:
    """A copy of a database that nobody is connected to."""
    source = urlsplit(url).path.lstrip("/")
    name = f"{name}_{os.getpid()}"
    async with owner(databases.server) as admin:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {source}")
    try:
        yield database_url(databases.server, name)
    finally:
        async with owner(databases.server) as admin:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


#: What time did to the books; ids of events and the moments of booking are left out, because a
#: process that was killed has used up some.
_TOLD = {
    "lot": "holder_id, currency_id, seq, amount, remaining, active_at, expires_at, pending",
    "ledger": "holder_id, currency_id, seq, active, reserved, pending, arrears",
    "transfer": "holder_id, currency_id, seq, occurred_at, amount, kind, source, target",
    "allocation": "holder_id, currency_id, seq, lot_seq, at, amount",
    "standing": "holder_id, ladder_id, measured_at, value, rank, since, due_at",
    "tier_change": "holder_id, ladder_id, at, from_rank, to_rank",
    "notice": "holder_id, kind, subject_id, due_at, lead, amount",
}


#: Rows by table.
Books = Mapping[str, Sequence[tuple[Any, ...]]]


async def told(url: str) -> Books:
    """What the books say, in an order of its own."""
    async with owner(url) as connection:
        return {
            table: [
                tuple(row)
                for row in await connection.fetch(
                    f"SELECT {columns} FROM {table} ORDER BY {columns}"
                )
            ]
            for table, columns in _TOLD.items()
        }
