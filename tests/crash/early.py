"""Laurels broken on purpose: it acknowledges purchases, and books them a moment later.

A control of the rig, started as the application is: `python -m tests.crash.early serve`. Who kills
it in that moment loses what was acknowledged, and the rig must see it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import serving
from app.asgi import create_app
from laurels.cli import commands

#: How long the books lag behind the answers; seconds.
LAG = 0.5


class Early:
    """Answers `recordPurchases` by itself, and hands the request on when that is out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] != "/graphql":
            return await self._app(scope, receive, send)
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        purchases = orjson.loads(body)["variables"]["input"].get("purchases")
        if purchases is None:
            return await self._app(scope, _again(body), send)
        await JSONResponse(_recorded(purchases))(scope, receive, send)
        task = asyncio.create_task(self._book(scope, body))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return None

    async def _book(self, scope: Scope, body: bytes) -> None:
        await asyncio.sleep(LAG)
        await self._app(scope, _again(body), _nobody)


def _recorded(purchases: list[dict[str, Any]]) -> dict[str, Any]:
    result = {
        "__typename": "PurchaseRecorded",
        "bookedAt": datetime.now(UTC).isoformat(),
        "replayed": False,
        "entries": [],
        "tierChanges": [],
    }
    results = [result | {"externalId": purchase["externalId"]} for purchase in purchases]
    return {"data": {"answer": {"results": results}}}


def _again(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _nobody(message: Message) -> None:
    del message


def _early_app(*given: Any, **named: Any) -> Starlette:
    application = create_app(*given, **named)
    application.add_middleware(Early)
    return application


if __name__ == "__main__":
    setattr(serving, "create_app", _early_app)  # noqa: B010
    commands()
