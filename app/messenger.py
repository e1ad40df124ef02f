"""Sends codes to members by the programme's own messenger: a signed call to one address.

It is signed as webhooks are (Standard Webhooks), so that nobody else can have messages sent. The
address is the operator's: it may be of a network of its own. Knows nothing of who is written to.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import orjson
import structlog

from app.outbound import Outbound
from app.settings import Settings
from core.passcodes import Message
from core.webhooks import headers

_TYPE = "enrolment.code"
#: What `/health/ready` says where codes are printed.
PRINTED = "codes by which members enrol are printed to the log: set LAURELS_MESSAGES_URL"
_log = structlog.get_logger("laurels.messages")


class Messenger:
    """Posts messages to one address."""

    def __init__(
        self, url: str, secret: bytes, now: Callable[[], datetime], outbound: Outbound | None = None
    ) -> None:
        self._url, self._secret, self._now = url, secret, now
        self._outbound = outbound or Outbound({urlsplit(url).hostname or ""})

    async def send(self, message: Message) -> bool:
        """Whether the messenger took it. What it was is told to nobody else."""
        now = self._now()
        data = {
            "to": message.to, "channel": message.channel, "code": message.code,
            "language": message.language,
        }  # fmt: skip
        head = {"type": _TYPE, "timestamp": now.astimezone(UTC).isoformat()}
        body = orjson.dumps({**head, "data": data})
        name = f"msg_{secrets.token_hex(16)}"
        reply = await self._outbound.post(
            0, self._url, headers(name, now, body, [self._secret]), body
        )
        if reply.status is not None and 200 <= reply.status < 300:
            return True
        _log.warning(
            "the messenger didn't take a code", message=name, status=reply.status,
            why=reply.problem,
        )  # fmt: skip
        return False

    async def close(self) -> None:
        """End what is under way."""
        await self._outbound.close()


async def printed(message: Message) -> bool:
    """For a demo, which has no messenger: the code is in its log."""
    _log.warning(
        "a code for a member, by no messenger", to=message.to, code=message.code,
        channel=message.channel,
    )  # fmt: skip
    return True


@asynccontextmanager
async def closing(messages: Messenger | None) -> AsyncIterator[None]:
    """While inside, messages are sent; what is under way is ended on leaving."""
    try:
        yield
    finally:
        if messages is not None:
            await messages.close()


def messenger(settings: Settings, now: Callable[[], datetime]) -> Messenger | None:
    """The messenger of the settings, if they name one."""
    if settings.messages_url is None or settings.messages_secret is None:
        return None
    return Messenger(settings.messages_url, secret_of(settings), now)


def secret_of(settings: Settings) -> bytes:
    """What messages are signed with: the bytes behind `whsec_`."""
    assert settings.messages_secret is not None
    text = settings.messages_secret.get_secret_value().removeprefix("whsec_")
    return base64.b64decode(text, validate=True)
