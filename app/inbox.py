"""Takes webhooks of partners' own shops over HTTP: `POST /in/{partner}/{adapter}`.

A genuine one is kept and answered at once, and done right after; whatever is left of it is done by
the job of every minute. Knows nothing of what a message says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.answers import failure
from core.db import PASSING
from core.errors import PartnerRuleFailed
from core.inbound import keep, named, work
from core.posting import Engine
from core.rulebook import PartnerTerms
from core.store.inbound import Arrived
from laurels.adapters import Adapter, DeliveryError, Message, Received
from laurels.errors import storable
from schema.masking import unexpected

#: So often in a row one request does what others brought; the rest is the job's.
_ROUNDS = 10
_log = structlog.get_logger("laurels.inbox")


class Inbox:
    """The end points of all adapters. A forged message learns nothing but that it is refused."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self.engine = engine
        self.now = now
        self._busy: set[int] = set()
        self._again: set[int] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one message, then do it."""
        request = Request(scope, receive)
        partner = self.engine.rulebook.partners.get(request.path_params["partner"])
        response = await self._respond(request, partner)
        await response(scope, receive, send)
        if partner is not None and response.status_code == 202:
            await self.process(partner.id)

    async def _respond(self, request: Request, partner: PartnerTerms | None) -> Response:
        adapter = None if partner is None else partner.adapters.get(request.path_params["adapter"])
        if partner is None or adapter is None:
            return failure(404, "there is no such adapter")
        if request.method != "POST":
            return failure(405, "webhooks are taken by POST", {"allow": "POST"})
        try:
            return await self._take(request, partner, adapter)
        except PASSING as error:
            _log.warning("a webhook couldn't be kept", partner=partner.code, why=repr(error))
            return failure(503, "not now: send it again")
        except Exception as error:
            return failure(500, unexpected(error))
        finally:
            await self.engine.tell_faults(self.now())

    async def _take(self, request: Request, partner: PartnerTerms, adapter: Adapter) -> Response:
        body, now = await request.body(), self.now()
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            headers.setdefault(name.lower(), value)
        if not self.engine.containment.verified(partner, adapter, headers, body, now):
            return failure(401, "the signature isn't good")
        message = adapter.message(headers, body)
        if not all(map(storable, message.headers.values())):
            return failure(400, "a header holds what is no text")
        name, subject, version = named(self._read(partner, adapter, message), message)
        given = Arrived(
            partner.id, adapter.code, name, subject, version, message.headers, body
        )  # fmt: skip
        kept = await keep(self.engine, given, now)
        if kept is None:
            return failure(409, "a delivery of this name is known and said something else")
        if not kept:
            return JSONResponse({"status": "known"}, 200)
        return JSONResponse({"status": "received"}, 202)

    def _read(self, partner: PartnerTerms, adapter: Adapter, message: Message) -> Received | None:
        """By which name to keep it. What can't be read is kept too: a later `read` may."""
        try:
            return self.engine.containment.read(partner, adapter, message, tentative=True)
        except (DeliveryError, PartnerRuleFailed):
            return None

    async def process(self, partner: int) -> None:
        """Do what came for a partner, and some of what comes meanwhile."""
        self._again.add(partner)
        if partner in self._busy:
            return
        self._busy.add(partner)
        try:
            for _ in range(_ROUNDS):
                if partner not in self._again:
                    break
                self._again.discard(partner)
                await work(self.engine, self.now(), [partner])
        except Exception:
            _log.exception("what came in couldn't be done; it is done within a minute")
        finally:
            self._busy.discard(partner)
