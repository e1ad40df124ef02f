"""Several processes that serve one address, so that each has a core of its own.

The first is the one that was started: it starts the others, puts another in the place of one that
ends untold, and ends them. New connections the system deals out among those that are ready. Knows
nothing of what is served.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess
from typing import TypeAlias

import structlog

from core.errors import BadInput

#: Serves in a process of its own until a signal ends it. It is pickled.
Serve: TypeAlias = Callable[[], None]

#: Seconds until another takes the place of one that ended: it may fail again at once.
_AGAIN = 1.0
#: Nothing of a running process is carried over: no loop, no pool, no lock that a thread holds.
_NEW = multiprocessing.get_context("spawn")
_log = structlog.get_logger("laurels.serving")


def unshared(host: str, port: int) -> None:
    """Raise BadInput where somebody serves on an address already, or it can't be shared here.

    Shared sockets don't tell: they would share it with him.
    """
    if sys.platform != "linux":
        raise BadInput("processes share an address on Linux alone: set LAURELS_PROCESSES=1")
    _bound(host, port, socket.SO_REUSEADDR).close()


def shared(host: str, port: int) -> socket.socket:
    """A socket on an address that others have too; it gets connections once it listens.

    Raises BadInput.
    """
    return _bound(host, port, socket.SO_REUSEADDR, socket.SO_REUSEPORT)


def _bound(host: str, port: int, *options: int) -> socket.socket:
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Named as TCP: only then does the loop turn its waiting for more to send off.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            for option in options:
                made.setsockopt(socket.SOL_SOCKET, option, 1)
            made.bind(place)
        except BaseException:
            made.close()
            raise
    except OSError as error:
        told = f"can't serve on {host}:{port}: {error.strerror}; set LAURELS_HOST or LAURELS_PORT"
        raise BadInput(told) from error
    return made


@asynccontextmanager
async def beside(serve: Serve, many: int, patience: float) -> AsyncIterator[Callable[[], None]]:
    """While inside, so many others. Yields what tells them to end: they have `patience` for it."""
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
            process = _NEW.Process(target=_served, args=(serve,), daemon=True)
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

    kept = [asyncio.create_task(keep(place)) for place in range(many)]

    async def end() -> None:
        tell()
        _, late = await asyncio.wait(kept, timeout=patience) if kept else ((), ())
        for process in now.values() if late else ():
            process.kill()
        await asyncio.gather(*kept)

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


def _served(serve: Serve) -> None:
    """What a new process does: it ends with the one that started it, however that ends."""
    first = multiprocessing.parent_process()
    assert first is not None

    def follow() -> None:
        first.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()
    serve()
