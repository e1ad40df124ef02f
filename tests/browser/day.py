"""The real application with the demo's data on a database of its own, for a day's work.

It prints its port and an admin's token, and serves until its standard input is closed:
`python -m tests.browser.day`, from the repository's root.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app import demo, tokens
from app.asgi import create_app
from app.ide import ide_routes
from app.ide_tabs import ADMIN_TABS
from app.postgres import throwaway
from app.runtime import running
from app.settings import Settings
from app.work import working
from tests.browser.cookies import Sessions
from tests.browser.serving import serve_until_told

SECRET = "a secret of the browser tests, long enough"


class ByCookie:
    """Stands in for the application's own sessions: hands a session's token on as a header."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.token = token
        self.sessions = Sessions({token: "ada"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.sessions.caller(HTTPConnection(scope)) is not None:
            MutableHeaders(scope=scope)["authorization"] = f"Bearer {self.token}"
        await self.app(scope, receive, send)


async def serve() -> None:
    """Everything up: the demo's members with their past, and the worker beside."""
    with throwaway() as server:
        settings = Settings(database_url=server.url, secret=SECRET, _env_file=None)
        now = datetime.now(UTC)
        async with running(settings, name="browser") as runtime:
            await demo.seed(runtime.engine, now)
            token = tokens.issue(SECRET, "admin", "ada", timedelta(hours=1), now)
            app = create_app(runtime.engine, SECRET, ide_routes=ide_routes("/graphql", ADMIN_TABS))
            by = ByCookie(app, token)
            outer = Starlette(
                routes=[
                    Route("/session", by.sessions.serve, methods=["GET", "POST", "DELETE"]),
                    Mount("/", by),
                ]
            )
            async with working(runtime, wanted=True):
                await serve_until_told(outer, {"token": token})


if __name__ == "__main__":
    asyncio.run(serve())
