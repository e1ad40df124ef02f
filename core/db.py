"""The one place that connects, opens transactions and migrates. Knows no table but its own guards.

The application runs as role `laurels_app`, migrations as the role that connects (the owner).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import structlog
from tortoise import Tortoise
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.migrations.api import migrate as run_migrations

from core.errors import BadInput
from core.lending import Lender

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Row: TypeAlias = asyncpg.Record
else:
    Connection: TypeAlias = asyncpg.Connection
    Row: TypeAlias = asyncpg.Record

MIGRATIONS = "core.migrations"
#: Those that a database of this version has had.
MIGRATION_NAMES = tuple(
    sorted(path.stem for path in (Path(__file__).parent / "migrations").glob("[0-9]*.py"))
)
# Any constant will do; this one is "laurels" in a telephone's letters.
_MIGRATION_LOCK = 5287357
#: Seconds until a lost channel is tried again.
_AGAIN = 1.0
#: Seconds after which a channel on which nothing is told is asked whether it is still there, and
#: those in which it says so.
_ASK = 30.0
_log = structlog.get_logger("laurels.db")
#: One connection more, see `aside`.
_beside: asyncpg.Pool[asyncpg.Record] | None = None
#: How long requests wait: for a statement, and for a lock that others hold.
SERVING = {"statement_timeout": "30s", "lock_timeout": "10s"}
#: Connections of what runs beside the requests of a serving process, and may take its time.
_unhurried: asyncpg.Pool[asyncpg.Record] | None = None
#: Keeps the connections of all others at hand; there from the first that is asked for.
_lender: Lender | None = None
_patient: ContextVar[bool] = ContextVar("patient", default=False)


async def _as_it_is(connection: Connection) -> None:
    """Nothing to undo: the pool's own reset would cost each statement another round trip.

    It ends a transaction that was left open all the same, and whatever outlives one is kept to
    `session`.
    """
    del connection


def config(url: str, *, role: str | None = "laurels_app", pool: int = 8) -> dict[str, Any]:
    """The ORM's configuration for a `postgresql://` address; `role` None keeps the login's own.

    Raises BadInput where the address has an option that would be lost.
    """
    parts = urlsplit(url)
    query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
    if unknown := sorted(set(query) - {"host", "port", "sslmode"}):
        # Dropping one in silence could mean a connection that is less safe than was asked for.
        raise BadInput(f"LAURELS_DATABASE_URL: {', '.join(unknown)} isn't an option known here")
    credentials: dict[str, Any] = {
        "host": query.get("host") or parts.hostname or "localhost",
        "port": int(query.get("port") or parts.port or 5432),
        **({"ssl": query["sslmode"]} if "sslmode" in query else {}),
        "user": unquote(parts.username or "postgres"),
        "password": unquote(parts.password) if parts.password else None,
        "database": unquote(parts.path.lstrip("/")) or "postgres",
        "minsize": 1,
        "maxsize": pool,
        "reset": _as_it_is,
        "server_settings": {
            "timezone": "UTC",
            # Our statements take arrays of any length and go by keys: planned for each they take
            # longer to plan than to run. A plan is made anew every five minutes, as tables grow.
            "plan_cache_mode": "force_generic_plan",
            **({"role": role} if role else {}),
        },
    }
    return {
        "connections": {
            "default": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}
        },
        "apps": {
            "core": {
                "models": ["core.models"],
                "default_connection": "default",
                "migrations": MIGRATIONS,
            }
        },
        "use_tz": True,
        "timezone": "UTC",
    }


#: Two transactions waited for each other, and this one gave way: it may begin anew at once.
Deadlock = asyncpg.DeadlockDetectedError
#: A statement or a lock took longer than this connection waits: nothing was changed.
TOO_SLOW = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
#: Seconds that a request waits for a connection, where others wait for it in turn.
LONGEST_WAIT = 10.0


class BusyError(Exception):
    """All connections of this process are taken, and have been for LONGEST_WAIT: try again."""


#: What PostgreSQL or the way to it raises that may be otherwise in a moment.
PASSING = (
    BusyError,
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)


@asynccontextmanager
async def connected(
    url: str, *, pool: int = 8, waits: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """Open the pool for this process, and close it. One at a time per process.

    `waits` end what takes too long, such as `SERVING`: not what runs `patiently`.
    """
    global _beside, _unhurried, _lender
    settings = config(url, pool=pool)
    known = settings["connections"]["default"]["credentials"]
    options = {k: v for k, v in known.items() if k not in ("minsize", "maxsize")}
    known["server_settings"] = {**known["server_settings"], **(waits or {})}
    if (before := _lender) is not None:  # of a pool whose place is taken now
        _lender = None
        await before.close()
    await Tortoise.init(config=settings, _enable_global_fallback=True)
    try:
        async with (
            asyncpg.create_pool(**options, min_size=0, max_size=1) as _beside,
            asyncpg.create_pool(**options, min_size=0, max_size=pool) as patient,
        ):
            _unhurried = patient if waits else None
            yield
    finally:
        _beside = _unhurried = None
        if _lender is not None:  # which stays: what is under way gives back to it, and to the pool
            await _lender.close()
        await Tortoise.close_connections()
        _lender = None


@contextmanager
def patiently() -> Iterator[None]:
    """Whatever is begun inside may take its time: jobs, which nobody waits for."""
    before = _patient.set(True)
    try:
        yield
    finally:
        _patient.reset(before)


async def _lent() -> Lender:
    """Who lends the pool's connections, which the ORM has made when somebody first asks."""
    global _lender
    client = Tortoise.get_connection("default")
    assert isinstance(client, AsyncpgDBClient)
    if client._pool is None:
        await client.create_connection(with_db=True)
    assert client._pool is not None
    if _lender is None:
        _lender = Lender(client._pool)
    return _lender


@asynccontextmanager
async def reading() -> AsyncIterator[Connection]:
    """A connection for reads, each statement on its own. Raises BusyError if none comes free."""
    if _unhurried is not None and _patient.get():
        async with _unhurried.acquire() as connection:
            yield connection
        return
    lender = _lender or await _lent()
    try:
        lent = await lender.take(None if _unhurried is None else LONGEST_WAIT)
    except TimeoutError:
        raise BusyError("no connection to the database came free") from None
    whole = False
    try:
        yield lent
        whole = True
    finally:
        await lender.give(lent, whole=whole)


@asynccontextmanager
async def transaction() -> AsyncIterator[Connection]:
    """A connection inside a transaction (READ COMMITTED): committed at the end, or rolled back.

    Our own and not the ORM's, whose `in_transaction` leaks its connection when cancelled in BEGIN.
    Raises BusyError if no connection comes free: nothing has begun then.
    """
    async with reading() as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def session() -> AsyncIterator[Connection]:
    """A connection for what outlives a transaction, such as locks: freed of them at the end."""
    async with reading() as connection:
        try:
            yield connection
        finally:
            try:
                if not connection.is_closed():
                    await connection.reset()
            except BaseException:
                connection.terminate()  # whoever gets it next must not hold them
                raise


@asynccontextmanager
async def aside() -> AsyncIterator[Connection]:
    """The connection beside the pool, for what is committed whatever becomes of a transaction.

    Whoever holds one of the pool's may wait for it: nobody waits for anything while holding it.
    """
    assert _beside is not None
    async with _beside.acquire() as connection:
        yield connection


async def heard(url: str, channel: str, tell: Callable[[], Awaitable[None]]) -> None:
    """Call `tell` for ever: whenever something is told on a channel, and after each connecting.

    Several notices in a row may be one call. What it raises is its own affair, and ends this.
    """
    told = asyncio.Event()

    async def listen(connection: Connection) -> None:
        connection.add_termination_listener(lambda _: told.set())
        await connection.add_listener(channel, lambda *_: told.set())
        while not connection.is_closed():
            told.clear()
            await tell()
            await _happened(connection, told)

    await _for_ever(url, channel, listen)


async def overheard(
    url: str, channel: str, take: Callable[[str], None], miss: Callable[[], None]
) -> None:
    """Hand each notice of a channel to `take`, in order, for ever.

    `miss` is called after each connecting, the first too: what was told before wasn't heard.
    """

    async def listen(connection: Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(channel, lambda *told: take(str(told[3])))
        miss()
        await _happened(connection, lost)

    await _for_ever(url, channel, listen)


async def _happened(connection: Connection, event: asyncio.Event) -> None:
    """Wait until something happens on a channel. Raises one of PASSING where it is lost instead.

    A connection can be lost without a word, and a silent channel looks the same.
    """
    while not event.is_set():
        try:
            async with asyncio.timeout(_ASK):
                await event.wait()
        except TimeoutError:
            await connection.execute("SELECT 1")


async def _for_ever(
    url: str, channel: str, listen: Callable[[Connection], Awaitable[None]]
) -> None:
    """Connect and listen, again and again."""
    me = asyncio.current_task()
    assert me is not None
    while True:
        connection: Connection | None = None
        try:
            connection = await asyncpg.connect(url, command_timeout=_ASK)
            await listen(connection)
        except PASSING as error:
            if me.cancelling():  # lost while stopping: that came as an error instead
                raise asyncio.CancelledError from None
            _log.warning("the channel is lost; it is tried again", channel=channel, why=repr(error))
        finally:
            if connection is not None:
                connection.terminate()
        await asyncio.sleep(_AGAIN)


async def migrate(url: str) -> None:
    """Bring the database to this version's schema. Safe to run twice, or twice at once."""
    lock: Connection = await asyncpg.connect(url)
    try:
        # The ORM's runner takes no lock of its own: two at once would apply a migration twice.
        await lock.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
        try:
            await run_migrations(config=config(url, role=None))
        finally:
            # While the lock is still ours: the next one in this process opens its own.
            await Tortoise.close_connections()
    finally:
        await lock.close()
