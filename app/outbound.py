"""Posts to addresses that partners named, and to nothing that isn't on the public internet.

A name is resolved once for each connection, every address of it is looked at, and the connection
goes to an address that was looked at: a name that leads elsewhere a moment later leads nowhere.
A partner's slow name servers keep no other partner waiting: few of its names are asked at a time.
Redirections are not followed, and no more of an answer is read than its head. Knows no webhook.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TypeAlias

import httpcore

from core.sender import Reply
from core.webhooks import is_public

#: Seconds that an answer may take, all in all, once it is known where the host is; and that one.
LONGEST, LONGEST_LOOK = 15.0, 5.0
#: Names that are looked up at a time, and those of one partner: far fewer.
_THREADS, EACH_LOOKS = 32, 2
#: With these a receiver may say when it wants to be asked again: too many requests, unavailable.
_PATIENT = frozenset({429, 503})
#: Of a name server's many answers the first ones are tried.
_MOST_ADDRESSES = 4
#: Finds the addresses of a host, as text. Raises OSError.
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class ForbiddenAddressError(Exception):
    """The host leads to an address that isn't public; the text is safe to show."""


class UnknownInTimeError(Exception):
    """Nobody said in time where the host is."""


def system_resolver() -> Resolve:
    """Asks the system, in threads of its own: what else has threads isn't kept waiting."""
    threads = ThreadPoolExecutor(_THREADS, "resolver")

    async def resolve(host: str, port: int) -> Sequence[str]:
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(threads, ask)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    return resolve


class Names:
    """Looks names up: each once at a time for a partner, and few of a partner's at a time.

    Who asks waits for so long at most. The lookup itself goes on, for a thread can't be stopped,
    and holds its partner's place until it ends.
    """

    def __init__(self, resolve: Resolve, longest: float) -> None:
        self._resolve, self._longest = resolve, longest
        self._places = defaultdict[int, asyncio.Semaphore](lambda: asyncio.Semaphore(EACH_LOOKS))
        self._under_way: dict[tuple[int, str], asyncio.Task[Sequence[str]]] = {}

    async def find(self, partner: int, host: str, port: int) -> Sequence[str]:
        """The addresses of a partner's host. Raises OSError, and UnknownInTimeError."""
        key = (partner, host)
        if (task := self._under_way.get(key)) is None:
            task = asyncio.create_task(self._look_up(partner, host, port), name=f"name {host}")
            self._under_way[key] = task
            task.add_done_callback(partial(self._ended, key))
        try:
            async with asyncio.timeout(self._longest):
                return await asyncio.shield(task)
        except TimeoutError:
            raise UnknownInTimeError from None

    async def close(self) -> None:
        """Wait for nothing more."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, partner: int, host: str, port: int) -> Sequence[str]:
        async with self._places[partner]:
            return await self._resolve(host, port)

    def _ended(self, key: tuple[int, str], task: asyncio.Task[Sequence[str]]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # nobody may be waiting any more


class Guarded(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, but for the hosts that needn't be."""

    def __init__(
        self,
        private: Collection[str],
        resolve: Resolve,
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._private, self._resolve = frozenset(private), resolve
        self._backend = backend or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the host's addresses, each of which was looked at."""
        addresses = await self._resolve(host, port)
        if host not in self._private and not all(map(is_public, addresses)):
            raise ForbiddenAddressError("the host leads to an address that isn't public")
        failed: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise ForbiddenAddressError("no such address")

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts, of which there are none here."""
        await self._backend.sleep(seconds)


class Outbound:
    """Posts for one process. `private` are the hosts that needn't be public."""

    def __init__(
        self,
        private: Collection[str] = (),
        *,
        trust: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        longest: float = LONGEST,
        longest_look: float = LONGEST_LOOK,
    ) -> None:
        self._private, self._longest, self._longest_look = private, longest, longest_look
        self._trust = trust or ssl.create_default_context()
        self._names = Names(resolve or system_resolver(), longest_look)

    async def post(self, partner: int, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Post for a partner, and tell how that went, whatever goes wrong: nothing is raised."""
        clock = asyncio.get_running_loop().time
        began = clock()
        status: int | None = None
        problem, patience = "", None
        limit = asyncio.timeout(None)  # it is the receiver's, and begins once its host is known

        async def resolve(host: str, port: int) -> Sequence[str]:
            found = await self._names.find(partner, host, port)
            limit.reschedule(clock() + self._longest)
            return found

        try:
            async with (
                limit,
                self._connection(resolve) as connection,
                connection.stream("POST", url, headers=list(headers.items()), content=body) as told,
            ):
                status = told.status
                if status in _PATIENT:
                    patience = patience_of(_header(told, b"retry-after"), datetime.now(UTC))
        except TimeoutError:
            problem = f"no answer within {self._longest:g} seconds"
        except UnknownInTimeError:
            problem = f"the host isn't known within {self._longest_look:g} seconds"
        except ForbiddenAddressError as error:
            problem = str(error)
        except socket.gaierror:
            problem = "the host isn't known"
        except Exception as error:
            problem = f"it can't be reached: {str(error) or type(error).__name__}"
        taken = int((clock() - began) * 1000)
        return Reply(status, taken, problem if status is None else "", patience)

    def _connection(self, resolve: Resolve) -> httpcore.AsyncConnectionPool:
        """For one post: none is kept."""
        return httpcore.AsyncConnectionPool(
            ssl_context=self._trust,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=Guarded(self._private, resolve),
        )

    async def close(self) -> None:
        """End the lookups that are under way."""
        await self._names.close()


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((v.decode("latin-1") for n, v in response.headers if n.lower() == name), "")


def patience_of(text: str, now: datetime) -> timedelta | None:
    """How long a header retry-after asks to wait, in seconds or until a date; None: it doesn't."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:9]))
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(until.astimezone(UTC) - now, timedelta(0)) if until.tzinfo else None
