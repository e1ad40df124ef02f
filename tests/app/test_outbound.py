"""Posts to partners' addresses: to public ones alone, whatever a name server says later."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpcore
import pytest

from app.outbound import EACH_LOOKS, ForbiddenAddressError, Guarded, Outbound, patience_of
from core.webhooks import headers, new_secret, shown_secret
from tests.app.certificates import Certificates
from tests.app.working import PATIENCE
from tests.core.test_webhooks import NOT_PUBLIC, verify

PUBLIC = "93.184.215.14"
NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


class Recording(httpcore.AsyncNetworkBackend):
    """Connects nowhere, and remembers where to."""

    def __init__(self, refused: Iterable[str] = ()) -> None:
        self.to: list[str] = []
        self.refused = set(refused)

    async def connect_tcp(
        self, host: str, port: int, *_: object, **__: object
    ) -> httpcore.AsyncNetworkStream:
        """Note it."""
        self.to.append(host)
        if host in self.refused:
            raise httpcore.ConnectError("refused")
        return httpcore.AsyncMockStream([])


class Names:
    """A name server whose answers change from one question to the next."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The next answer, and the last one for ever."""
        del host, port
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


# --- where it connects to -------------------------------------------------------------------------


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_nothing_connects_to_a_private_address(address: str) -> None:
    backend = Recording()
    guarded = Guarded((), Names([address]), backend)
    with pytest.raises(ForbiddenAddressError):
        await guarded.connect_tcp("evil.example", 443)
    assert backend.to == []


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    backend = Recording()
    guarded = Guarded((), Names([PUBLIC, "127.0.0.1"]), backend)
    with pytest.raises(ForbiddenAddressError):
        await guarded.connect_tcp("evil.example", 443)
    assert backend.to == []


async def test_a_name_that_leads_elsewhere_a_moment_later_leads_nowhere() -> None:
    """The connection goes to the very address that was looked at, which is asked for once."""
    names, backend = Names([PUBLIC], ["127.0.0.1"]), Recording()
    guarded = Guarded((), names, backend)
    await guarded.connect_tcp("evil.example", 443)
    assert (names.asked, backend.to) == (1, [PUBLIC])
    with pytest.raises(ForbiddenAddressError):
        await guarded.connect_tcp("evil.example", 443)  # the next connection asks anew
    assert (names.asked, backend.to) == (2, [PUBLIC])


async def test_a_guard_that_looks_and_then_connects_by_name_would_be_fooled() -> None:
    """The control: what everybody writes first."""
    names, backend = Names([PUBLIC], ["127.0.0.1"]), Recording()
    looked = await names("evil.example", 443)
    assert list(looked) == [PUBLIC]
    [address] = await names("evil.example", 443)  # as a library does that is handed the name
    await backend.connect_tcp(address, 443)
    assert backend.to == ["127.0.0.1"]


async def test_what_needs_not_be_public_is_named() -> None:
    backend = Recording()
    guarded = Guarded({"tester"}, Names(["127.0.0.1"]), backend)
    await guarded.connect_tcp("tester", 80)
    with pytest.raises(ForbiddenAddressError):
        await guarded.connect_tcp("other", 80)
    assert backend.to == ["127.0.0.1"]


async def test_the_next_address_is_tried_where_one_refuses() -> None:
    backend = Recording(["1.1.1.1"])
    await Guarded((), Names(["1.1.1.1", PUBLIC]), backend).connect_tcp("a.example", 443)
    assert backend.to == ["1.1.1.1", PUBLIC]
    with pytest.raises(httpcore.ConnectError):
        await Guarded((), Names(["1.1.1.1"]), backend).connect_tcp("a.example", 443)


# --- names that nobody answers for ----------------------------------------------------------------


class SlowNames:
    """Answers for `dead.…` when it is let go, for others at once; counts who waits at most."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.waiting = self.most = 0
        self.begun, self.let_go = asyncio.Event(), asyncio.Event()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Loopback, sooner or later."""
        del port
        self.asked.append(host)
        self.begun.set()
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if host.startswith("dead"):
            await self.let_go.wait()
        self.waiting -= 1
        return ["127.0.0.1"]


async def test_one_partners_dead_names_keep_no_other_waiting() -> None:
    names = SlowNames()
    dead = [f"dead{n}.example" for n in range(40)]
    outbound = Outbound({"tester", *dead}, resolve=names, longest_look=PATIENCE)
    async with receiver(answered("200 OK")) as (port, _):
        lost = [
            asyncio.create_task(outbound.post(1, f"http://{host}:{port}/", {}, b""))
            for host in dead
        ]
        told = await outbound.post(2, f"http://tester:{port}/", {}, b"{}")
        assert told.status == 200
        assert sorted(names.asked) == sorted(
            [*dead[:EACH_LOOKS], "tester"]
        )  # few of the one's at a time
        names.let_go.set()
        assert [reply.status for reply in await asyncio.gather(*lost)] == [200] * len(dead)
    assert names.most <= EACH_LOOKS + 1
    assert len(names.asked) == len(dead) + 1
    await outbound.close()


async def test_a_host_is_looked_up_once_for_all_who_wait() -> None:
    names = SlowNames()
    outbound = Outbound({"dead"}, resolve=names, longest_look=PATIENCE)
    async with receiver(answered("200 OK")) as (port, got):
        posts = [
            asyncio.create_task(outbound.post(1, f"http://dead:{port}/", {}, b"")) for _ in range(9)
        ]
        await names.begun.wait()
        names.let_go.set()
        assert [reply.status for reply in await asyncio.gather(*posts)] == [200] * 9
        assert (names.asked, len(got)) == (["dead"], 9)
        assert (await outbound.post(1, f"http://dead:{port}/", {}, b"")).status == 200
        assert names.asked == ["dead", "dead"]  # and anew for the next connection
    await outbound.close()


async def test_a_name_has_a_limit_of_its_own() -> None:
    """The receiver's begins once its host is known: how long that took isn't its affair."""
    outbound = Outbound({"dead"}, resolve=SlowNames(), longest_look=0.02)
    reply = await outbound.post(1, "http://dead/", {}, b"")
    await outbound.close()
    assert (reply.status, reply.problem) == (None, "the host isn't known within 0.02 seconds")
    names = SlowNames()
    outbound = Outbound({"dead"}, resolve=names, longest=0, longest_look=PATIENCE)
    post = asyncio.create_task(outbound.post(1, "http://dead/", {}, b""))
    await names.begun.wait()
    names.let_go.set()
    assert (await post).problem == "no answer within 0 seconds"
    await outbound.close()


# --- what a receiver sees, and how it answers -----------------------------------------------------


@asynccontextmanager
async def receiver(
    answer: bytes, trust: ssl.SSLContext | None = None, *, silent: bool = False
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on a free port that takes requests and answers alike: its port, what it got."""
    got: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        got.append(head + await reader.readexactly(length))
        if silent:
            await ended.wait()
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=trust)
    try:
        yield server.sockets[0].getsockname()[1], got
    finally:
        ended.set()
        server.close()
        await server.wait_closed()


def answered(status: str, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "content-length: 0", *more, "", ""]
    return "\r\n".join(lines).encode()


async def post(
    url: str, private: Iterable[str] = ("tester",), **more: object
) -> tuple[object, ...]:
    """(status, problem, patience) of a post."""
    given = {"resolve": Names(["127.0.0.1"]), **more}
    outbound = Outbound(frozenset(private), **given)  # type: ignore[arg-type]  # by name
    try:
        reply = await outbound.post(1, url, {"x-y": "z"}, b'{"a":1}')
    finally:
        await outbound.close()
    return reply.status, reply.problem, reply.patience


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found", "410 Gone", "500 No"])
async def test_the_status_is_told(status: str) -> None:
    async with receiver(answered(status, "location: http://tester:1/")) as (port, got):
        assert await post(f"http://tester:{port}/hook?x=1") == (int(status[:3]), "", None)
    assert len(got) == 1  # a redirection is followed nowhere
    head, _, body = got[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?x=1 HTTP/1.1\r\n")
    assert f"host: tester:{port}".encode() in head.lower()
    assert b"x-y: z" in head
    assert body == b'{"a":1}'


@pytest.mark.parametrize(("status", "patience"), [("429 No", 7), ("503 No", 7), ("500 No", None)])
async def test_patience_is_asked_for_by_some(status: str, patience: int | None) -> None:
    async with receiver(answered(status, "Retry-After: 7")) as (port, _):
        _, _, found = await post(f"http://tester:{port}/")
    assert found == (None if patience is None else timedelta(seconds=patience))


async def test_a_private_address_is_told_as_such_and_sees_nothing() -> None:
    async with receiver(answered("200 OK")) as (port, got):
        told = await post(f"http://tester:{port}/", ())
        assert told == (None, "the host leads to an address that isn't public", None)
        assert got == []
        assert await post(f"http://tester:{port}/") == (200, "", None)  # the control
        assert len(got) == 1


async def test_silence_is_a_failure() -> None:
    async with receiver(b"", silent=True) as (port, _):
        status, problem, _ = await post(f"http://tester:{port}/", longest=0.05)
    assert (status, problem) == (None, "no answer within 0.05 seconds")


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n"])
async def test_nonsense_is_a_failure(answer: bytes) -> None:
    async with receiver(answer) as (port, _):
        status, problem, _ = await post(f"http://tester:{port}/")
    assert status is None
    assert str(problem).startswith("it can't be reached: ")


async def test_nobody_there_is_a_failure() -> None:
    async with receiver(b"") as (port, _):
        pass
    status, problem, _ = await post(f"http://tester:{port}/")
    assert status is None
    assert str(problem).startswith("it can't be reached: ")


async def test_an_endless_answer_is_not_read() -> None:
    endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 1000
    async with receiver(endless) as (port, _):
        assert await post(f"http://tester:{port}/") == (200, "", None)


async def test_the_certificate_must_be_the_names_own(tmp_path: Path) -> None:
    """Although the connection is to an address: what it shows must be the name's."""
    made = Certificates(tmp_path)
    secret = new_secret()
    for name, good in (("tester", True), ("other", False)):
        async with receiver(answered("200 OK"), made.server(name)) as (port, got):
            outbound = Outbound({"tester"}, trust=made.trusting(), resolve=Names(["127.0.0.1"]))
            said = headers("msg_1", NOW, b"{}", [secret])
            reply = await outbound.post(1, f"https://tester:{port}/", said, b"{}")
            await outbound.close()
        assert (reply.status == 200) is good
        assert len(got) == good
        if good:
            told = dict(
                line.lower().decode().split(": ", 1)
                for line in got[0].split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            )
            told["webhook-signature"] = said["webhook-signature"]  # which lower() would spoil
            verify(shown_secret(secret), b"{}", told, NOW)
        else:
            assert "certificate verify failed" in reply.problem


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("120", timedelta(seconds=120)),
        ("Sun, 15 Mar 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Sun, 15 Mar 2026 11:00:00 GMT", timedelta(0)),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, timedelta(seconds=999_999_999)),
    ],
)
def test_patience(text: str, wanted: timedelta | None) -> None:
    assert patience_of(text, NOW) == wanted
