"""The real application with the demo's data on a database of its own, for a day's work.

It prints its port and the tokens of two admins, and serves until its standard input is closed:
`python -m tests.browser.day`, from the repository's root.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from app import demo, tokens
from app.asgi import create_app
from app.feeding import feeding
from app.ide import ide_routes
from app.ide_tabs import ADMIN_TABS
from app.postgres import throwaway
from app.runtime import running
from app.serving import Server
from app.settings import Settings
from app.work import working
from tests.browser.serving import serve_until_told

SECRET = "a secret of the browser tests, long enough"


async def serve() -> None:
    """Everything up: the demo's members with their past, and the worker beside."""
    with throwaway() as server:
        settings = Settings(database_url=server.url, secret=SECRET, _env_file=None)
        now = datetime.now(UTC)
        async with running(settings, name="browser") as runtime:
            await demo.seed(runtime.engine, now)
            who = {
                role: tokens.issue(SECRET, "admin", name, timedelta(hours=1), now, staff=[role])
                for role, name in (("owner", "ada"), ("support", "sam"))
            }
            async with working(runtime, wanted=True), feeding(runtime.url) as feed:
                ide = ide_routes("/graphql", ADMIN_TABS)
                app = create_app(runtime.engine, SECRET, ide_routes=ide, feed=feed)
                await serve_until_told(Server(app, "127.0.0.1", 0, "warning"), who)


if __name__ == "__main__":
    asyncio.run(serve())
