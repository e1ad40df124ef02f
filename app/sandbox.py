"""A sandbox: a database of its own whose clock is moved by hand, night by night, in seconds.

Its members shop, bring things back and redeem as people of their habits do: the same people and
days give the same books. What is a sandbox says so on the database itself, and nothing else is ever
lived in: a real programme's clock can't be moved.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from app.jobs import run_night, run_occasions
from app.living import Coalition
from app.population import population
from app.postgres import database_url
from app.runtime import DEFAULT_DATABASE, running, server
from app.sending import send_on
from app.settings import Settings
from core import db
from core.entries import Kind
from core.errors import BadInput
from core.events import EventKind
from core.posting import Engine
from core.store import months as store
from core.surveys import invite

DATABASE = "laurels_sandbox"
#: The demo coalition's, which is made by living in it.
DEMO = "laurels_demo"
#: As many people live in a sandbox, and of this seed, unless others are named.
PEOPLE, SEED = 3, 7
_MARK = "A Laurels sandbox, whose clock is moved by hand. It lived from {} to {}."
_MARKED = re.compile(re.escape(_MARK).replace(r"\{\}", r"(\d{4}-\d\d-\d\d)"))
_DAY = timedelta(days=1)
#: Days after which the tables have grown so much that the planner must hear of it; by itself the
#: server looks once a minute, which is months here.
_GROWN = frozenset({16, 32, 64, 128, 256, 512})


@dataclass(frozen=True, slots=True)
class Month:
    """What a month, or the part of it that was lived, brought; points are of all currencies."""

    month: str
    purchases: int
    returns: int
    earned: int
    activated: int
    redeemed: int
    expired: int
    ranks_reached: int
    ranks_lost: int
    notices: int
    outstanding: dict[str, int] = field(default_factory=dict)


#: Told how many days were lived, of how many, and the month that has just ended, if one has.
Told = Callable[[int, int, Month | None], None]


def year_before(until: date) -> date:
    """The same day of the year before; the 28th of February for a 29th."""
    if (until.month, until.day) == (2, 29):
        until -= _DAY
    return until.replace(year=until.year - 1)


async def live(
    settings: Settings,
    name: str,
    begin: date | None,
    until: date,
    fresh: bool,
    told: Told,
    people: int = PEOPLE,
) -> None:
    """Live up to the midnight at which `until` begins, from where the sandbox stands.

    A new one begins at `begin`, or a year before. Raises BadInput where the database isn't a
    sandbox, or has lived that far.
    """
    if name in _in_use(settings):
        raise BadInput(f"'{name}' is in use; a sandbox has a database of its own")
    async with server(settings) as base, _opened(base, name, begin, until, fresh) as days:
        began, lived = days.began, days.lived
        if begin not in (None, began):
            raise BadInput(f"'{name}' began on {began}: leave --from out, or add --fresh")
        if lived >= until:
            raise BadInput(f"'{name}' has lived to {lived} already: go further, or add --fresh")
        await _lived_in(settings, name, days, until, told, people)


async def make(settings: Settings, until: date, days: int, told: Told, people: int) -> None:
    """Have the demo's database live its days, if it hasn't: the last before `until` at first.

    One that was cut off goes on to its own end, and one that came to it is left alone: from there
    on the real clock has it.
    """
    begin = until - timedelta(days=days)
    async with server(settings) as base, _opened(base, DEMO, begin, until, fresh=False) as life:
        end = life.began + timedelta(days=days)
        if life.lived < end:
            await _lived_in(settings, DEMO, life, end, told, people)


async def _lived_in(
    settings: Settings, name: str, days: _Days, until: date, told: Told, people: int
) -> None:
    start = datetime.combine(days.lived, time(), UTC)
    if days.lived == days.began:
        async with running(settings, name=name, now=start):
            await days.draw_alike()
    async with running(settings, name=name, now=start) as runtime:
        await _live(runtime.engine, days, until, told, people)


def _in_use(settings: Settings) -> set[str]:
    """Databases that others of our commands take for their own."""
    known = {DEFAULT_DATABASE, DEMO}
    if settings.database_url is not None:
        url = db.config(settings.database_url)
        known.add(url["connections"]["default"]["credentials"]["database"])
    return known


# --- the days -------------------------------------------------------------------------------------


async def _live(engine: Engine, days: _Days, until: date, told: Told, people: int) -> None:
    zone = ZoneInfo(engine.rulebook.time_zone)
    coalition = Coalition(engine, population(people, SEED), SEED, days.began, until)
    day, total = days.lived, (until - days.lived).days
    await coalition.remember(day)
    after = _midnight(day, zone)
    for n in range(total):
        await coalition.live(day)
        day += _DAY
        if n in _GROWN or day == until:
            await days.weigh()
        midnight = _midnight(day, zone)
        await run_night(engine, midnight)
        await run_occasions(engine, midnight)
        await send_on(engine, midnight)
        await invite(engine, midnight)
        await days.lived_to(day)
        month = None
        if day.day == 1 or day == until:
            month = await _sum_up(f"{day - _DAY:%Y-%m}", after, midnight)
            after = midnight
        told(n + 1, total, month)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The start of a local day, as an instant; a midnight that the clocks skip moves forward."""
    local = datetime.combine(day, time(), zone)
    return local.astimezone(UTC)


async def _sum_up(name: str, after: datetime, until: datetime) -> Month:
    points = await store.transfers(after, until)
    events = await store.events(after, until)
    reached, lost = await store.ranks(after, until)
    return Month(
        name,
        purchases=events.get(EventKind.PURCHASE, 0),
        returns=events.get(EventKind.RETURN, 0),
        earned=points.get(Kind.ACCRUAL, 0),
        activated=points.get(Kind.ACTIVATION, 0),
        redeemed=points.get(Kind.REDEMPTION, 0),
        expired=points.get(Kind.EXPIRY, 0),
        ranks_reached=reached,
        ranks_lost=lost,
        notices=await store.notices(after, until),
        outstanding=await store.outstanding(),
    )


# --- the database ---------------------------------------------------------------------------------


class _Days:
    """What is written on the database: that it is a sandbox, and the days that it has lived."""

    def __init__(
        self, connection: asyncpg.Connection[asyncpg.Record], name: str, began: date, lived: date
    ) -> None:
        self.began = began
        self.lived = lived
        self._connection = connection
        self._name = _quoted(name)

    async def draw_alike(self) -> None:
        """Have partners draw lots as those of any sandbox do: their keys are random elsewhere."""
        await self._connection.execute(
            "UPDATE pseudonym_key k SET key = decode(md5('sandbox ' || p.code), 'hex') "
            "FROM partner p WHERE p.id = k.partner_id"
        )

    async def weigh(self) -> None:
        """Let the planner know how large the tables are."""
        await self._connection.execute("ANALYZE")

    async def lived_to(self, day: date) -> None:
        """Remember it, so that a stopped life goes on where it was; a day lived twice is one."""
        self.lived = day
        mark = _MARK.format(self.began, day)
        await self._connection.execute(f"COMMENT ON DATABASE {self._name} IS '{mark}'")


@asynccontextmanager
async def _opened(
    base: str, name: str, begin: date | None, until: date, fresh: bool
) -> AsyncIterator[_Days]:
    """The sandbox of this name, made if there is none. Raises BadInput where it is none."""
    admin = await asyncpg.connect(base)
    try:
        found = await admin.fetchrow(
            "SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database "
            "WHERE datname = $1",
            name,
        )
        marked = _MARKED.fullmatch((found["mark"] or "") if found else "")
        if found and not marked:
            raise BadInput(f"'{name}' is not a sandbox, and its clock isn't moved: name another")
        if found and fresh:
            await admin.execute(f"DROP DATABASE {_quoted(name)} WITH (FORCE)")
        if marked and not fresh:
            began, lived = (date.fromisoformat(text) for text in marked.groups())
        else:
            began = lived = begin or year_before(until)
            await admin.execute(f"CREATE DATABASE {_quoted(name)}")
    finally:
        await admin.close()
    # Of the database itself, so that the comment is written where the sandbox is.
    own = await asyncpg.connect(database_url(base, name))
    try:
        days = _Days(own, name, began, lived)
        if not marked or fresh:
            # What a crash of the server takes from a sandbox is lived again.
            await own.execute(f"ALTER DATABASE {_quoted(name)} SET synchronous_commit = off")
            await days.lived_to(began)
        yield days
    finally:
        await own.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
