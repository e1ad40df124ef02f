"""Requests that come at the same time share a posting batch: one transaction, not one for each.

Whoever comes while a partner's batches are under way joins the next; who comes alone waits for
nobody. Books and answers are as if each had come by itself, one after the other, for that is what
a batch is (`core.posting`). Of one partner only: another's slow rules cost it nothing more. Knows
no rule and no statement.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from core.outcomes import Outcome
from core.purchases import Incoming

#: Purchases of a shared batch; who brings more posts by itself.
MOST = 128
#: Batches of a partner under way at once: one is folded while the other is written.
LANES = 2
#: Who share a batch are judged at one instant, the latest of theirs: it may be this much later.
APART = timedelta(seconds=5)

#: Books a batch, an outcome for each item in order.
Post: TypeAlias = Callable[[Sequence[Incoming], datetime], Awaitable[list[Outcome]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    items: Sequence[Incoming]
    now: datetime
    answer: asyncio.Future[list[Outcome]]


class Gathering:
    """Gathers the requests of one process for one `post`."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._waiting: dict[int, deque[_Request]] = {}
        self._lanes: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, items: Sequence[Incoming], now: datetime) -> list[Outcome]:
        """Book these, perhaps with others': what `post` would answer. Raises what that does.

        Who stops waiting costs nobody else anything: what is under way is booked all the same.
        """
        partners = {item.partner.id for item in items}
        if len(partners) != 1 or len(items) > MOST:
            return await self._post(items, now)
        (partner,) = partners
        request = _Request(items, now, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(partner, deque()).append(request)
        if self._lanes[partner] < LANES:
            self._lanes[partner] += 1
            # In no request's context: the batch is not one's own.
            task = asyncio.get_running_loop().create_task(self._work(partner), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await request.answer

    async def _work(self, partner: int) -> None:
        """Post batches until nobody waits."""
        batch: list[_Request] = []
        try:
            while batch := self._next(partner):
                await self._answer(batch)
        finally:
            self._lanes[partner] -= 1
            for request in batch:  # stopped in the midst of it
                request.answer.cancel()

    def _next(self, partner: int) -> list[_Request]:
        """The requests of the next batch: who came first, and whoever fits to them."""
        waiting = self._waiting.get(partner, deque())
        batch: list[_Request] = []
        size = 0
        while waiting:
            request = waiting[0]
            if request.answer.done():  # who asked has gone
                waiting.popleft()
                continue
            size += len(request.items)
            if batch and (size > MOST or abs(request.now - batch[0].now) > APART):
                break
            batch.append(waiting.popleft())
        if not waiting:
            self._waiting.pop(partner, None)
        return batch

    async def _answer(self, batch: Sequence[_Request]) -> None:
        items = [item for request in batch for item in request.items]
        try:
            outcomes = await self._post(items, max(request.now for request in batch))
        except Exception as error:
            if len(batch) == 1:
                _tell(batch[0], error)
                return
            await self._apart(batch)
            return
        begin = 0
        for request in batch:
            _tell(request, outcomes[begin : begin + len(request.items)])
            begin += len(request.items)

    async def _apart(self, batch: Sequence[_Request]) -> None:
        """What failed together is tried by each alone: one's fault is not the others'.

        One after the other, so that a fault of many takes no more connections than a batch.
        """
        for request in batch:
            try:
                _tell(request, await self._post(request.items, request.now))
            except Exception as error:
                _tell(request, error)


def _tell(request: _Request, outcome: list[Outcome] | BaseException) -> None:
    if request.answer.done():
        return
    if isinstance(outcome, BaseException):
        request.answer.set_exception(outcome)
    else:
        request.answer.set_result(outcome)
