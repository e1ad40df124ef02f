"""Serves the application, with the worker beside it, in one process or several. Knows no noun.

The database outlives the server by a moment: what was started first stops last.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial

import httpx
import structlog
import uvicorn
from rich.console import Console
from starlette.applications import Starlette

from app.asgi import create_app
from app.feeding import feeding
from app.garbage import settle
from app.ide import ide_routes
from app.ide_tabs import ADMIN_TABS
from app.loops import new_event_loop
from app.messenger import PRINTED, closing, messenger, printed
from app.pages import page_routes
from app.runtime import Runtime, running, up_to_date
from app.settings import Settings
from app.siblings import beside, shared, unshared
from app.sockets import MOST_BYTES
from app.streams import Streams
from app.trust import authenticator, login
from app.watchdog import watched
from app.work import stopped_gently, working
from core import db
from schema.build import Schema, build_schema
from schema.documents import Documents, read_manifest
from schema.gate import Gate
from schema.rates import Buckets, Rate
from schema.roles import Role

_log = structlog.get_logger("laurels.serving")
#: Seconds in which requests may come to their end when the server stops.
_GRACE = 20
#: Connections that wait to be taken.
_BACKLOG = 2048
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
    with stopped_gently(), _own_socket(settings) as own:
        await _serve(settings, name, out, own, settings.processes - 1, prepare)


def _serve_beside(settings: Settings, name: str | None, port: int) -> None:
    """The same in another process, on the port that there is: the first one has the worker."""

    async def serve() -> None:
        with stopped_gently(), shared(settings.host, port) as own:
            quiet = settings.model_copy(update={"worker": False})
            await _serve(quiet, name, Console(quiet=True), own)

    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve())


def _own_socket(settings: Settings) -> AbstractContextManager[socket.socket | None]:
    """What the first of several serves on; one alone leaves it to the server."""
    if settings.processes == 1:
        return nullcontext()
    unshared(settings.host, settings.port)
    return shared(settings.host, settings.port)


def schema_of(settings: Settings) -> Schema:
    """The schema with the limits that are set. Raises ManifestError."""
    path = settings.trusted_documents
    trusted = None if path is None else read_manifest(path)
    rates: dict[Role, Rate] = {
        "anonymous": settings.rate_stranger,
        "member": settings.rate_member,
        "partner": settings.rate_partner,
        "admin": settings.rate_admin,
    }
    documents = Documents(trusted, trusted_only=settings.trusted_only)
    gate = Gate(Buckets(rates, time.monotonic), documents=documents)
    return build_schema(gate, query_timeout=settings.query_timeout)


async def _serve(
    settings: Settings,
    name: str | None,
    out: Console,
    own: socket.socket | None,
    others: int = 0,
    prepare: Prepare | None = None,
) -> None:
    secret = settings.signing_secret()
    schema = schema_of(settings)
    async with (
        running(settings, name=name, waits=db.SERVING) as runtime,
        httpx.AsyncClient() as http,
    ):
        port = settings.port if own is None else own.getsockname()[1]
        address = f"http://{settings.host}:{port}"
        for refused in runtime.plugins.refused:
            out.print(f"[red]plugin refused[/] {refused}", soft_wrap=True)
        lines = [] if prepare is None else await prepare(runtime, secret, address)
        for line in [f"Laurels serves GraphQL at {address}/graphql", *lines]:
            out.print(line, soft_wrap=True, highlight=False)
        trust = authenticator(settings, http, now)
        messages = messenger(settings, now)
        # A demo has nobody who sends them: its log will do. Of a real programme's it never does.
        in_log = messages is None and prepare is not None
        provider = login(settings, trust)
        sign_in = None if provider is None else "/session/login"
        async with (
            watched(),
            closing(messages),
            up_to_date(runtime),
            feeding(runtime.url, now) as feed,
            working(runtime, wanted=settings.worker),
            beside(partial(_serve_beside, settings, name, port), others, 2 * _GRACE) as tell,
        ):
            app = create_app(
                runtime.engine,
                secret,
                ide_routes=[
                    *ide_routes("/graphql", ADMIN_TABS, sign_in=sign_in),
                    *page_routes("/graphql", sign_in=sign_in),
                ],
                now=now,
                authenticator=trust,
                login=provider,
                schema=schema,
                feed=feed,
                send=printed if in_log else None if messages is None else messages.send,
                unsafe=[PRINTED] if in_log else [],
            )
            settle()
            server = Server(app, settings.host, settings.port, settings.log_level, tell)
            if own is not None:
                own.listen(_BACKLOG)
                _log.info("one of several serves", process=os.getpid())
            await server.serve(None if own is None else [own])


class Server(uvicorn.Server):
    """Serves an application and its sockets on one address."""

    def __init__(
        self,
        app: Starlette,
        host: str,
        port: int,
        log_level: str,
        stopping: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                lifespan="off",
                log_level=log_level,
                access_log=False,
                ws="websockets-sansio",
                ws_max_size=MOST_BYTES,
                # Messages are short, and every idle socket would keep what it takes to pack them.
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._streams: Streams = app.state.streams
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close sockets with 1012, which clients take for "come back", and cut off streams."""
        self._stopping()
        self._streams.stop()
        await super().shutdown(sockets)
