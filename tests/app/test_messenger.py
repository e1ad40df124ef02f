"""Codes go to the operator's messenger, signed; and to a log in a demo alone, which says so."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import orjson
import pytest
import structlog
from pydantic import ValidationError
from starlette.requests import Request

from app.asgi import create_app
from app.health import ready, unsafe_of
from app.messenger import PRINTED, Messenger, messenger, printed, secret_of
from app.settings import Settings
from core.passcodes import Message
from core.posting import Engine
from core.rulebook import Rulebook
from tests.app.test_outbound import answered, receiver
from tests.core.test_webhooks import VerificationError, verify
from tests.schema.client import SECRET

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
MESSAGE = Message("ada@example.com", "email", "012345", "tr")


def settings(**given: str) -> Settings:
    return Settings.model_validate({"secret": SECRET, **given})


async def test_a_code_is_posted_and_signed() -> None:
    """To this very machine too, for the address is the operator's."""
    async with receiver(answered("204 No Content")) as (port, got):
        set_up = settings(messages_url=f"http://127.0.0.1:{port}/send", messages_secret=KEY)
        made = messenger(set_up, lambda: NOW)
        assert isinstance(made, Messenger)
        assert await made.send(MESSAGE)
        await made.close()
    head, _, body = got[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /send HTTP/1.1"
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
    assert orjson.loads(body) == {
        "type": "enrolment.code", "timestamp": "2026-11-22T12:00:00+00:00",
        "data": {"to": "ada@example.com", "channel": "email", "code": "012345", "language": "tr"},
    }  # fmt: skip
    verify(KEY, body, headers, NOW)
    with pytest.raises(VerificationError):  # the control: another secret's signature
        verify("whsec_" + base64.b64encode(b"x" * 32).decode(), body, headers, NOW)


@pytest.mark.parametrize("status", ["500 Oops", "302 Found", "429 Slow down"])
async def test_what_is_not_taken_was_not_sent(status: str) -> None:
    """And the log has neither the code nor the address."""
    async with receiver(answered(status)) as (port, _):
        made = Messenger(f"http://127.0.0.1:{port}/", b"k" * 32, lambda: NOW)
        with structlog.testing.capture_logs() as logs:
            assert not await made.send(MESSAGE)
        await made.close()
    assert [entry["status"] for entry in logs] == [int(status.split()[0])]
    assert "012345" not in str(logs)
    assert "ada@" not in str(logs)


@pytest.mark.parametrize(
    "given",
    [{"messages_url": "https://m.example"}, {"messages_secret": KEY},
     {"messages_url": "http://m.example", "messages_secret": KEY},
     {"messages_url": "https://m.example", "messages_secret": "whsec_short"},
     {"messages_url": "https://m.example", "messages_secret": "whsec_" + "A" * 8},
     {"messages_url": "https://m.example", "messages_secret": KEY.removeprefix("whsec_")}],
)  # fmt: skip
def test_settings_that_can_not_work_are_refused_at_the_start(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(**given)


def test_the_secret_is_what_lies_behind_its_prefix() -> None:
    given = settings(messages_url="https://m.example/x", messages_secret=KEY)
    assert secret_of(given) == b"k" * 32
    assert KEY not in repr(given)
    assert messenger(settings(), lambda: NOW) is None


async def test_a_demo_prints_the_code_and_readiness_says_so(coalition: Rulebook) -> None:
    with structlog.testing.capture_logs() as logs:
        assert await printed(MESSAGE)
    assert [(x["to"], x["code"]) for x in logs] == [("ada@example.com", "012345")]
    for unsafe, told in (([PRINTED], [PRINTED]), ([], [])):
        app = create_app(Engine(coalition), SECRET, send=printed, unsafe=unsafe)
        response = await ready(Request({"type": "http", "app": app}))
        # The server of the tests may lose what it commits: of that readiness speaks first.
        assert response.status_code == 503
        assert app.state.unsafe == told == unsafe_of(Request({"type": "http", "app": app}))
