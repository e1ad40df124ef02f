"""Serves the application in this process, with the worker beside it. Knows no GraphQL.

The database outlives the server by a moment: what was started first stops last.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import uvicorn
from rich.console import Console

from app.asgi import create_app
from app.ide import ide_routes
from app.ide_tabs import ADMIN_TABS
from app.runtime import Runtime, running, up_to_date
from app.settings import Settings
from app.trust import authenticator, login
from app.watchdog import watched
from app.work import stopped_gently, working

#: Told the runtime, the secret and the address before serving; returns lines to print.
Prepare = Callable[[Runtime, str, str], Awaitable[list[str]]]


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


async def serve(
    settings: Settings, name: str | None, out: Console, *, prepare: Prepare | None = None
) -> None:
    """Serve until a signal stops it."""
    # The server takes the signals while it serves, and hands them on to us when it has ended.
    with stopped_gently():
        await _serve(settings, name, out, prepare)


async def _serve(
    settings: Settings, name: str | None, out: Console, prepare: Prepare | None
) -> None:
    secret = settings.signing_secret()
    async with running(settings, name=name) as runtime, httpx.AsyncClient() as http:
        address = f"http://{settings.host}:{settings.port}"
        for refused in runtime.plugins.refused:
            out.print(f"[red]plugin refused[/] {refused}", soft_wrap=True)
        lines = [] if prepare is None else await prepare(runtime, secret, address)
        trust = authenticator(settings, http, now)
        provider = login(settings, trust)
        app = create_app(
            runtime.engine,
            secret,
            ide_routes=ide_routes(
                "/graphql", ADMIN_TABS, sign_in=None if provider is None else "/session/login"
            ),
            now=now,
            authenticator=trust,
            login=provider,
        )
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            lifespan="off",
            log_level=settings.log_level,
            access_log=False,
            ws="none",
        )
        # What the start made lives as long as the process: the collector needn't look at it again.
        gc.collect()
        gc.freeze()
        for line in [f"Laurels serves GraphQL at {address}/graphql", *lines]:
            out.print(line, soft_wrap=True, highlight=False)
        async with watched(), up_to_date(runtime), working(runtime, wanted=settings.worker):
            await uvicorn.Server(config).serve()
