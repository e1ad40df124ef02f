"""Downloads of exports: `GET /export/{id}`, by a URL that is signed and ends.

JSON Lines, made while they are sent: a page is read when the client has taken the one before. The
last line says that it is complete; a download without that line goes on after its last cursor.
Whoever takes nothing of it for a while is cut off, and nobody has all the places there are. Knows
nothing of what is exported.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

import orjson
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from strawberry.schema import BaseSchema

from app.answers import failure
from core.errors import BadInput
from core.posting import Engine
from core.signing import DerivedKey, Secrets
from core.store import exports as store
from core.store.exports import Export
from schema.context import Context
from schema.export_plans import Plan, plan
from schema.exports import Page, read_page, viewer_of
from schema.masking import shown, unexpected

#: Downloads at once in one process, each with a page in memory.
MOST_AT_ONCE = 20
#: Of these, of one caller.
MOST_EACH = 2
#: Pages that are read at once: each keeps a connection to the database busy.
_READING = 4
#: Seconds in which a client takes what was sent, or is cut off.
PATIENCE = 30.0
_NUMBER = 18  # digits that a bigint takes whatever they are
_MEDIA_TYPE = "application/jsonl"
_USE = b"laurels exports"
_LATER = {"retry-after": "5"}
OVER = "this URL's time is over, or its key was revoked"


def signature(key: DerivedKey, export: int, ends: int) -> str:
    """What only this deployment can say of an export and its end."""
    return key.mac(f"{export}.{ends}".encode()).hex()


def link(secrets: Secrets, export: int, expires_at: datetime) -> str:
    """The path that opens an export until its end, which is a whole second."""
    ends = int(expires_at.timestamp())
    query = {"expires": ends, "signature": signature(secrets.keys(_USE)[0], export, ends)}
    return f"/export/{export}?{urlencode(query)}"


def links(secrets: Secrets) -> Callable[[int, datetime], str]:
    """Makes the paths, for the schema, which knows no secret."""
    return partial(link, secrets)


@dataclass(frozen=True, slots=True)
class _Download:
    """What is read, from where on, and its first page, which was read before the answer began."""

    export: Export
    plan: Plan
    first: Page


class _RefusedError(Exception):
    """The download doesn't begin."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class _StalledError(Exception):
    """The client took nothing for too long, or its time was over."""


class Exports:
    """The end point of all downloads. `schema` is the one that requests are answered by."""

    def __init__(
        self,
        engine: Engine,
        secrets: Secrets,
        now: Callable[[], datetime],
        schema: BaseSchema,
        patience: float = PATIENCE,
    ) -> None:
        self.engine = engine
        self._keys = secrets.keys(_USE)
        self.now = now
        self.schema = schema
        self.patience = patience
        self._open: Counter[str] = Counter()
        self._reading = asyncio.Semaphore(_READING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with rows or with why not."""
        request = Request(scope, receive)
        try:
            export = await self._find(request)
            with self._place(export):
                download = await self._begin(request, export)
                await self._answer(download, scope, receive, send)
        except _RefusedError as refused:
            await refused.response(scope, receive, send)

    @contextmanager
    def _place(self, export: Export) -> Iterator[None]:
        """One of the places for downloads. Raises _RefusedError where none is free."""
        caller = viewer_of(export.viewer).caller
        if self._open[caller] >= MOST_EACH:
            message = f"{MOST_EACH} of your downloads are under way: try again when one has ended"
            raise _RefusedError(failure(429, message, _LATER))
        if self._open.total() >= MOST_AT_ONCE:
            raise _RefusedError(failure(503, "too many downloads at once: try again", _LATER))
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]

    async def _answer(
        self, download: _Download, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Send the rows for as long as they are taken and the URL's time lasts."""

        async def bounded(message: Message) -> None:
            left = (download.export.expires_at - self.now()).total_seconds()
            waiting = asyncio.timeout(min(self.patience, left))
            try:
                async with waiting:
                    await send(message)
            except TimeoutError:
                if waiting.expired():
                    raise _StalledError from None
                raise

        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        async with aclosing(self._lines(download)) as lines:
            # It ends where the client goes away, which cancels the page under way.
            answer = StreamingResponse(lines, 200, headers, _MEDIA_TYPE)
            # An answer that isn't ended has its connection closed by the server.
            with suppress(_StalledError):
                await answer(scope, receive, bounded)

    async def _find(self, request: Request) -> Export:
        """The export that the URL opens now. Raises _RefusedError."""
        if request.method != "GET":
            raise _RefusedError(failure(405, "downloads are by GET", {"allow": "GET"}))
        number = self._signed(request)
        try:
            export = await store.find(number, self.now())
        except Exception as error:
            raise _RefusedError(failure(500, unexpected(error))) from None
        if export is None:
            raise _RefusedError(failure(410, OVER))
        return export

    async def _begin(self, request: Request, export: Export) -> _Download:
        """The download with its first page. Raises _RefusedError."""
        try:
            wanted = plan(self.schema._schema, export.query)  # type: ignore[attr-defined]
            first = await self._page(export, wanted, request.query_params.get("after"))
        except BadInput as error:  # the schema changed since it was asked for
            raise _RefusedError(failure(400, error.message)) from None
        except Exception as error:
            raise _RefusedError(failure(500, unexpected(error))) from None
        if isinstance(first, GraphQLError):
            told = shown(first)
            fault = told.get("extensions", {}).get("code") == "INTERNAL_SERVER_ERROR"
            raise _RefusedError(failure(500 if fault else 400, told["message"]))
        return _Download(export, wanted, first)

    def _signed(self, request: Request) -> int:
        """The export that the URL names, which is ours and goes on. Raises _RefusedError."""
        texts = (request.path_params["id"], request.query_params.get("expires", ""))
        if not all(t.isascii() and t.isdigit() and len(t) <= _NUMBER for t in texts):
            raise _RefusedError(failure(403, "this URL isn't one of ours"))
        export, ends = map(int, texts)
        given = request.query_params.get("signature", "").encode()
        good = [signature(key, export, ends).encode() for key in self._keys]
        if not any(hmac.compare_digest(given, one) for one in good):
            raise _RefusedError(failure(403, "this URL isn't one of ours"))
        if ends <= self.now().timestamp():
            raise _RefusedError(failure(410, OVER))
        return export

    async def _page(self, export: Export, wanted: Plan, after: str | None) -> Page | GraphQLError:
        """One page, as who asked may see it at this instant, or why not."""
        context = Context(self.engine, viewer_of(export.viewer), self.now, ours=True)
        async with self._reading:
            return await read_page(self.schema, context, wanted, export.variables, after)

    async def _lines(self, download: _Download) -> AsyncGenerator[bytes, None]:
        """The rows page by page, and a last line that says how it ended."""
        page: Page | GraphQLError = download.first
        count = 0
        try:
            while isinstance(page, Page):
                count += len(page.rows)
                if page.rows:
                    yield b"".join(map(_line, page.rows))
                if not page.more:
                    yield _json({"complete": True, "count": count})
                    return
                if await store.find(download.export.id, self.now()) is None:
                    yield _json({"error": {"message": OVER}})
                    return
                page = await self._page(download.export, download.plan, page.rows[-1][0])
            yield _json({"error": shown(page)})
        except Exception as error:
            yield _json({"error": {"message": unexpected(error)}})


def _line(row: tuple[str, object]) -> bytes:
    cursor, node = row
    return _json({"cursor": cursor, "node": node})


def _json(content: object) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
