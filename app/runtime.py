"""The composition root: joins settings, database, plugins and engine, and takes them apart again.

The one place that knows all parts. It decides nothing about points.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncpg
import structlog

from app import postgres
from app.plugin_settings import from_environment
from app.settings import CHECKOUT, Settings
from core import db, programme
from core.digests import DigestKey
from core.posting import Engine
from core.store.casting import Understudy
from core.store.data_rules import CHANNEL
from core.store.reference import Declared, install
from core.survey_tokens import SurveyTokens
from laurels.deadline import in_time
from laurels.plugin.refusal import RefusalError, guarded
from plugins.host import Collected, Installed, Refused, collect

_log = structlog.get_logger("laurels.runtime")
PROGRAMME_FILE = CHECKOUT / "programme.toml"


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs: the engine, what was collected, where the database is, what seals its books."""

    engine: Engine
    plugins: Collected
    url: str
    seal: DigestKey


#: The database on the embedded server, where none is named.
DEFAULT_DATABASE = "laurels"


@asynccontextmanager
async def server(settings: Settings) -> AsyncIterator[str]:
    """The address of the server, with the database that the settings name; started if embedded."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    embedded = await asyncio.to_thread(postgres.start, settings.postgres_dir)
    try:
        yield embedded.url
    finally:
        await asyncio.to_thread(embedded.stop)


@asynccontextmanager
async def database(settings: Settings, name: str | None = None) -> AsyncIterator[str]:
    """The address of the database, migrated; the embedded server is started if it is needed.

    `name` chooses another database of the same server, made if it isn't there.
    """
    async with server(settings) as base:
        wanted = name or (DEFAULT_DATABASE if settings.embedded else None)
        url = base if wanted is None else postgres.database_url(base, wanted)
        if wanted is not None:
            await _create(base, wanted)
        await db.migrate(url)
        yield url


async def _create(base: str, name: str) -> None:
    connection = await asyncpg.connect(base)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            quoted = '"' + name.replace('"', '""') + '"'
            # Another process may make it in this very moment.
            with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(f"CREATE DATABASE {quoted}")
    finally:
        await connection.close()


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    name: str | None = None,
    programme_file: Path = PROGRAMME_FILE,
    now: datetime | None = None,
    waits: Mapping[str, str] | None = None,
) -> AsyncIterator[Runtime]:
    """Everything up: database, plugins, reference rows, engine. Taken down on leaving.

    `waits`: how long the database is waited for, as `core.db.connected` has it.
    """
    plugins = collect(blocked=settings.blocked_plugins, values=from_environment)
    terms = programme.read(programme_file)
    async with database(settings, name) as url, db.connected(url, waits=waits):
        declared = [_declared(plugin) for plugin in plugins.installed]
        shadows, plugins = _understudies(plugins)
        build = partial(install, terms, declared, shadows=shadows)
        with db.patiently():  # others may install at the same time
            rulebook = await build(now or datetime.now(UTC))
        engine = Engine(rulebook, build)
        engine.private_hosts = settings.webhook_hosts
        engine.survey_tokens = SurveyTokens.of(settings.secrets())
        seal = DigestKey.of(settings.signing_secret())
        yield Runtime(engine, plugins, url, seal)


def _understudies(plugins: Collected) -> tuple[list[Understudy], Collected]:
    """The next versions that can judge; one that can't be looked at costs nobody else the start."""
    made: list[Understudy] = []
    kept: list[Installed] = []
    refused = list(plugins.refused)
    for plugin in plugins.shadows:
        make = partial(Understudy, _declared(plugin))
        try:
            made.append(guarded(None, "its rules can't be examined:", partial(in_time, make)))
        except RefusalError as refusal:
            left_out = Refused(plugin.name, plugin.version, None, refusal.reason, shadow=True)
            _log.warning("a shadow is left out", why=str(left_out))
            refused.append(left_out)
        else:
            kept.append(plugin)
    return made, replace(plugins, refused=tuple(refused), shadows=tuple(kept))


@asynccontextmanager
async def up_to_date(runtime: Runtime) -> AsyncIterator[None]:
    """While inside, rules that any process puts in force are taken up on notice."""

    async def renew() -> None:
        try:
            await runtime.engine.renew(datetime.now(UTC))
        except db.PASSING:
            raise
        except Exception:  # the rules that are in force go on
            _log.exception("the rulebook couldn't be built anew")

    hearing = asyncio.create_task(db.heard(runtime.url, CHANNEL, renew), name="rulebook")
    try:
        yield
    finally:
        hearing.cancel()
        with suppress(asyncio.CancelledError):
            await hearing


def _declared(plugin: Installed) -> Declared:
    return Declared(
        plugin.name,
        plugin.version,
        plugin.partner,
        plugin.earn_rules,
        plugin.redeem_rules,
        plugin.rewards,
        plugin.ladders,
        plugin.settings,
        plugin.adapters,
        plugin.giving,
        plugin.plans,
        plugin.surveys,
        plugin.personal,
    )
