"""Downloads of exports: `GET /export/{id}`, by a URL that is signed and ends.

JSON Lines, made while they are sent: a page is read when the client has taken the one before. The
last line says that it is complete; a download without that line goes on after its last cursor.
Knows nothing of what is exported.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

import orjson
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
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

#: Downloads at once in one process: each keeps a connection to the database busy.
MOST_AT_ONCE = 4
_NUMBER = 18  # digits that a bigint takes whatever they are
_MEDIA_TYPE = "application/jsonl"
_USE = b"laurels exports"
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


class Exports:
    """The end point of all downloads. `schema` is the one that requests are answered by."""

    def __init__(
        self, engine: Engine, secrets: Secrets, now: Callable[[], datetime], schema: BaseSchema
    ) -> None:
        self.engine = engine
        self._keys = secrets.keys(_USE)
        self.now = now
        self.schema = schema
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with rows or with why not."""
        request = Request(scope, receive)
        if self._open >= MOST_AT_ONCE:
            busy = failure(503, "too many downloads at once: try again", {"retry-after": "5"})
            return await busy(scope, receive, send)
        self._open += 1
        try:
            try:
                download = await self._begin(request)
            except _RefusedError as refused:
                return await refused.response(scope, receive, send)
            except Exception as error:
                return await failure(500, unexpected(error))(scope, receive, send)
            headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
            async with aclosing(self._lines(download)) as lines:
                # It ends where the client goes away, which cancels the page under way.
                answer = StreamingResponse(lines, 200, headers, _MEDIA_TYPE)
                await answer(scope, receive, send)
        finally:
            self._open -= 1

    async def _begin(self, request: Request) -> _Download:
        """What the URL opens, with its first page. Raises _RefusedError."""
        if request.method != "GET":
            raise _RefusedError(failure(405, "downloads are by GET", {"allow": "GET"}))
        export = await store.find(self._signed(request), self.now())
        if export is None:
            raise _RefusedError(failure(410, OVER))
        try:
            wanted = plan(self.schema._schema, export.query)  # type: ignore[attr-defined]
        except BadInput as error:  # the schema changed since it was asked for
            raise _RefusedError(failure(400, error.message)) from None
        first = await self._page(export, wanted, request.query_params.get("after"))
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
