"""Several processes that serve one address, so that each has a core of its own.

The first is the one that was started: it starts the others, puts another in the place of one that
ends untold, and ends them. New connections the system deals out. Knows nothing of what is served.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess
from typing import TypeAlias

import structlog

from core.errors import BadInput

#: Serves what comes to a socket, in a process of its own, until a signal ends it. It is pickled.
Serve: TypeAlias = Callable[[socket.socket], None]

#: Seconds until another takes the place of one that ended: it may fail again at once.
_AGAIN = 1.0
#: Connections that wait to be taken.
_BACKLOG = 2048
#: Nothing of a running process is carried over: no loop, no pool, no lock that a thread holds.
_NEW = multiprocessing.get_context("spawn")
_log = structlog.get_logger("laurels.serving")


def listening(host: str, port: int, many: int) -> list[socket.socket]:
    """So many sockets on one address. Raises BadInput if it is taken, or can't be shared here."""
    if sys.platform != "linux":
        raise BadInput("processes share an address on Linux alone: set LAURELS_PROCESSES=1")
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Shared ones don't tell that somebody else has the address: they would share it with him.
        with _socket(family) as alone:
            alone.bind(place)
            place = alone.getsockname()
        made = [_socket(family, socket.SO_REUSEPORT) for _ in range(many)]
        for each in made:
            each.bind(place)
        for each in made:  # once all have it: else whoever connects first finds one alone
            each.listen(_BACKLOG)
    except OSError as error:
        told = f"can't serve on {host}:{port}: {error.strerror}; set LAURELS_HOST or LAURELS_PORT"
        raise BadInput(told) from error
    return made


def _socket(family: int, *more: int) -> socket.socket:
    # Named as TCP: only then does the loop turn its waiting for more to send off.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    for option in (socket.SO_REUSEADDR, *more):  # what a server before this left keeps none out
        made.setsockopt(socket.SOL_SOCKET, option, 1)
    return made


@asynccontextmanager
async def beside(
    serve: Serve, sockets: Sequence[socket.socket], patience: float
) -> AsyncIterator[Callable[[], None]]:
    """While inside, a process for each socket. Yields what tells them to end; then `patience`."""
    now: dict[int, BaseProcess] = {}
    told = False

    def tell() -> None:
        nonlocal told
        if told:
            return
        told = True
        for process in now.values():
            process.terminate()

    async def keep(place: int) -> None:
        while not told:
            process = _NEW.Process(target=_served, args=(serve, sockets[place]), daemon=True)
            try:
                process.start()
            except OSError as error:  # no memory, no descriptor: perhaps in a moment
                _log.error("a serving process can't be started: it is tried again", why=repr(error))
                await asyncio.sleep(_AGAIN)
                continue
            now[place] = process
            await _end(process)
            if not told:
                _log.error("a serving process ended: another follows", exit=process.exitcode)
                await asyncio.sleep(_AGAIN)

    kept = [asyncio.create_task(keep(place)) for place in range(len(sockets))]

    async def end() -> None:
        tell()
        _, late = await asyncio.wait(kept, timeout=patience) if kept else ((), ())
        for process in now.values() if late else ():
            process.kill()
        await asyncio.gather(*kept)
        for each in sockets:
            each.close()

    try:
        yield tell
    finally:
        # The signal that ended the server is raised again, and cancels whatever waits here.
        ending = asyncio.create_task(end())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise


async def _end(process: BaseProcess) -> None:
    """Wait until it has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()


def _served(serve: Serve, listening: socket.socket) -> None:
    """What a new process does: it ends with the one that started it, however that ends."""
    first = multiprocessing.parent_process()
    assert first is not None

    def follow() -> None:
        first.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()
    serve(listening)
