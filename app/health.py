"""Says whether the process lives, and whether it can do its work. Knows no secrets to tell.

Ready means: the database answers, its schema is this version's, and what it commits stays. That
nothing is sent on (no worker runs, or it can't) is told beside: who only asks and books is served.
"""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.db import MIGRATION_NAMES, reading
from core.store import health

#: Seconds after which somebody should look why what is booked isn't sent on.
_LATE = 60
_log = structlog.get_logger("laurels.health")


async def live(request: Request) -> Response:
    """The process answers."""
    del request
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """200 if nothing is wrong, else 503 and what is."""
    found = await problems()
    if found:
        _log.warning("not ready", problems=found)
        return JSONResponse({"status": "not ready", "problems": found}, status_code=503)
    late = [*await warnings(), *unsafe_of(request)]
    if late:
        _log.warning("ready, but", warnings=late)
        return JSONResponse({"status": "ready", "warnings": late})
    return JSONResponse({"status": "ready"})


def unsafe_of(request: Request) -> list[str]:
    """What is unsafe in how this process was set up, in words for the operator."""
    app = request.scope.get("app")
    return [] if app is None else list(app.state.unsafe)


async def problems() -> list[str]:
    """What keeps this process from its work, in words for the operator."""
    try:
        async with reading() as connection:
            state = await health.state(connection)
    except Exception as error:
        _log.warning("the database doesn't answer", error=repr(error))
        return ["the database doesn't answer"]
    found = [
        f"migration {name} isn't applied" for name in MIGRATION_NAMES if name not in state.applied
    ]
    found += [f"{name} is {value}: what is booked may be lost" for name, value in state.unsafe]
    return found


async def warnings() -> list[str]:
    """What an operator should look at although the process does its work."""
    try:
        async with reading() as connection:
            seconds = await health.untold(connection)
    except Exception as error:
        _log.warning("the database doesn't answer", error=repr(error))
        return ["the database doesn't answer"]
    if seconds < _LATE:
        return []
    return [f"what was booked {int(seconds)} seconds ago isn't sent on: does a worker run?"]


HEALTH_ROUTES = [Route("/health/live", live), Route("/health/ready", ready)]
