"""The real application with a living coalition on a database of its own, for the two pages.

It prints its port, the tokens of two members, of admins and of a partner, and serves until its
standard input is closed: `python -m tests.browser.living`, from the repository's root. PEOPLE and
DAYS make it larger, for pictures.
"""

import asyncio
import os
from datetime import UTC, datetime, time, timedelta
from time import monotonic

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app import demo, tokens
from app.asgi import create_app
from app.jobs import run_night
from app.living import Coalition
from app.pages import page_routes
from app.population import population
from app.postgres import throwaway
from app.runtime import Runtime, running
from app.sandbox import SEED
from app.serving import Server
from app.settings import Settings
from core.members import IdentifierKind, MemberRef
from core.outcomes import Recorded
from core.passcodes import Message
from core.posting import Engine
from core.purchases import LineInput, PurchaseInput, check_purchase, find_partner
from schema.build import build_schema
from schema.gate import Gate
from schema.rates import RATES, Buckets, Rate
from tests.browser.serving import serve_until_told
from tests.core.inn import asked

SECRET = "a secret of the browser tests, long enough"
#: Enough for every picture: some who stopped to come, points that expired, tiers that were reached.
PEOPLE, DAYS = int(os.environ.get("PEOPLE", "8")), int(os.environ.get("DAYS", "100"))
_NIGHTS = 33


async def live(runtime: Runtime, now: datetime) -> None:
    """All the days up to yesterday, a night now and then, and one at the end."""
    until = now.date()
    began = until - timedelta(days=DAYS)
    coalition = Coalition(runtime.engine, population(PEOPLE, SEED), SEED, began, until)
    for n in range(DAYS):
        await coalition.live(began + timedelta(days=n))
        if n % _NIGHTS == _NIGHTS - 1:
            at = datetime.combine(began + timedelta(days=n + 1), time(1), UTC)
            await run_night(runtime.engine, at)


async def stay(engine: Engine, card: str, now: datetime) -> None:
    """A guest left yesterday, and is asked how it was."""
    hotel = find_partner(engine.rulebook, "voice")
    guest = MemberRef.make(IdentifierKind.CARD, card)
    lines = [LineInput("ROOM", "120.00")]
    item = check_purchase(
        hotel, PurchaseInput("the stay", guest, now - timedelta(days=1), "EUR", lines)
    )
    [outcome] = await engine.record_purchases([item], now)
    assert isinstance(outcome, Recorded), outcome
    await asked(engine, now)


async def serve() -> None:
    """Everything up."""
    with throwaway() as server:
        settings = Settings(database_url=server.url, secret=SECRET, _env_file=None)
        now = datetime.now(UTC)
        async with running(settings, name="pages") as runtime:
            await live(runtime, now)
            ada, ben, cem, *_ = await demo.known(runtime.engine, now)
            await stay(runtime.engine, ben.card, now)
            hour = timedelta(hours=1)
            told = {
                "member": tokens.issue(SECRET, "member", str(ada.holder), hour, now),
                "other": tokens.issue(SECRET, "member", str(ben.holder), hour, now),
                "leaver": tokens.issue(SECRET, "member", str(cem.holder), hour, now),
                "partner": tokens.issue(SECRET, "partner", "grocer", hour, now),
                **{
                    role: tokens.issue(SECRET, "admin", role, hour, now, staff=[role])
                    for role in ("finance", "manager", "support")
                },
            }
            pages = page_routes("/graphql", sign_in="/session/login")
            # One member opens its page more often in a minute than a person does in a day.
            free = Gate(Buckets(dict.fromkeys(RATES, Rate(10**9, 10**9)), monotonic))
            schema = build_schema(free)
            sent: list[Message] = []

            async def send(message: Message) -> bool:
                sent.append(message)
                return True

            async def inbox(request: Request) -> JSONResponse:
                return JSONResponse([[x.to, x.language, x.code] for x in sent])

            pages.append(Route("/inbox", inbox))
            app = create_app(runtime.engine, SECRET, ide_routes=pages, schema=schema, send=send)
            await serve_until_told(Server(app, "127.0.0.1", 0, "warning"), told)


if __name__ == "__main__":
    asyncio.run(serve())
