"""Serves the application in this process, with the worker beside it. Knows no GraphQL.

The database outlives the server by a moment: what was started first stops last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import uvicorn
from rich.console import Console

from app.asgi import create_app
from app.ide import ide_routes
from app.ide_tabs import ADMIN_TABS
from app.runtime import Runtime, running
from app.settings import Settings
from app.work import jobs
from core.posting import Engine

#: Told the runtime, the secret and the address before serving; returns lines to print.
Prepare = Callable[[Runtime, str, str], Awaitable[list[str]]]


async def serve(
    settings: Settings, name: str | None, out: Console, *, prepare: Prepare | None = None
) -> None:
    """Serve until a signal stops it."""
    secret = settings.signing_secret()
    async with running(settings, name=name) as runtime:
        address = f"http://{settings.host}:{settings.port}"
        for refused in runtime.plugins.refused:
            out.print(f"[red]plugin refused[/] {refused}", soft_wrap=True)
        lines = [] if prepare is None else await prepare(runtime, secret, address)
        app = create_app(runtime.engine, secret, ide_routes=ide_routes("/graphql", ADMIN_TABS))
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            lifespan="off",
            log_level=settings.log_level,
            access_log=False,
            ws="none",
        )
        for line in [f"Laurels serves GraphQL at {address}/graphql", *lines]:
            out.print(line, soft_wrap=True, highlight=False)
        async with _beside(runtime.engine, settings.worker):
            await uvicorn.Server(config).serve()


@asynccontextmanager
async def _beside(engine: Engine, worker: bool) -> AsyncIterator[None]:
    """The worker in this process, unless it runs on its own."""
    background = asyncio.create_task(jobs(engine)) if worker else None
    try:
        yield
    finally:
        if background is not None:
            background.cancel()
            with suppress(asyncio.CancelledError):
                await background
