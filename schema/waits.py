"""A coroutine begun at once: what waits for nothing ends at once, and needs no task.

The first step is made by whoever asks, and the rest by whoever awaits it. So a coroutine that is
begun here must not, before it first waits, look at which task it is in: `asyncio.timeout` does.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any


class Started:
    """The rest of a coroutine that has begun to wait, to be awaited once."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        """Go on where it waits."""
        coroutine, waits_for = self._coroutine, self._waits_for
        if waits_for is not None:
            waits_for._asyncio_future_blocking = True
        try:
            while True:
                try:
                    sent = yield waits_for
                except GeneratorExit:
                    coroutine.close()
                    raise
                except BaseException as error:
                    waits_for = coroutine.throw(error)
                else:
                    waits_for = coroutine.send(sent)
        except StopIteration as ended:
            return ended.value


def begun(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, bool]:
    """What a coroutine returns and True, or what is left of it and False. Raises what it does."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as ended:
        return ended.value, True
    if waits_for is not None:
        # The mark by which a task knows that it is awaited: others may begin to wait for it, too.
        waits_for._asyncio_future_blocking = False
    return Started(coroutine, waits_for), False
