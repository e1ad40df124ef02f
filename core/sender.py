"""Sends webhooks: what is due is claimed, put together, sent, and noted.

An endpoint is sent a few at a time, and its next ones once these have ended; a partner has its
share of all that is under way: a slow one keeps no other waiting. In which order a receiver hears
of a member's changes isn't promised. Knows neither GraphQL nor HTTP: how a payload is found and how
it is posted are handed in.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

import structlog

from core.db import PASSING
from core.store import webhook_deliveries as store
from core.store.webhook_deliveries import Claimed, Finished, Room
from core.webhooks import (
    TEST_TYPE,
    DeliveryState,
    EndpointState,
    Topic,
    body_of,
    headers,
    message_id,
    next_wait,
)

#: Deliveries of one endpoint that are under way in this process, of a partner, and of all.
EACH, MOST_OF_PARTNER, MOST = 10, 50, 200
#: Who claimed a delivery and says nothing for so long has died.
LEASE = timedelta(minutes=2)
#: Payloads that are put together by a query at a time, for they read the database that others wait
#: for, and of a partner: its slow queries keep no other partner's waiting.
_AT_ONCE, _EACH_AT_ONCE = 4, 1
_GONE = 410
_log = structlog.get_logger("laurels.webhooks")


class Payload(NamedTuple):
    """What is told: ids that stand in where it would be too long, and what the query answered."""

    ids: Mapping[str, Any]
    found: Mapping[str, Any] | None


class Reply(NamedTuple):
    """How a receiver replied: None and the problem where it didn't.

    `patience`: it asked for. `ours`: it was never asked, for something went wrong here.
    """

    status: int | None
    milliseconds: int
    problem: str = ""
    patience: timedelta | None = None
    ours: bool = False


Find: TypeAlias = Callable[[Claimed], Awaitable[Payload]]
#: Posts for a partner: to where, with which headers, what.
Post: TypeAlias = Callable[[int, str, Mapping[str, str], bytes], Awaitable[Reply]]


class Sender:
    """Sends for one process, until its tasks are cancelled."""

    def __init__(
        self,
        find: Find,
        post: Post,
        clock: Callable[[], datetime],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._find, self._post, self._clock, self._chance = find, post, clock, chance
        self._finding = asyncio.Semaphore(_AT_ONCE)
        self._own = defaultdict[int, asyncio.Semaphore](lambda: asyncio.Semaphore(_EACH_AT_ONCE))
        self._busy: Counter[int] = Counter()
        self._of_partner: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: list[Finished] = []

    async def turn(self) -> int:
        """Note what has ended and begin what is due, in a statement each; how many began."""
        await self._note()
        room = MOST - len(self._tasks)
        if room <= 0:
            return 0
        now, most = self._clock(), Room(EACH, MOST_OF_PARTNER, room)
        claimed = await store.claim(now, LEASE, most, list(self._busy), self._of_partner)
        for one in claimed:
            self._busy[one.endpoint] += 1
            self._of_partner[one.partner] += 1
            task = asyncio.create_task(self._send(one, now), name=f"webhook {one.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(claimed)

    async def idle(self) -> None:
        """Wait for all that is under way, and note how it went."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._note()

    async def stop(self) -> None:
        """Leave what is under way to whoever claims it next; what has ended is noted if it can be.

        Else it is sent once more: a receiver knows it by its id.
        """
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(*PASSING):
            await self._note()

    async def _note(self) -> None:
        done, self._done = self._done, []
        if done:
            try:
                ended = await store.finish(done)
            except BaseException:
                self._done = done + self._done  # it is noted next time
                raise
            for one in ended:
                _log.warning(
                    "a webhook endpoint is sent nothing more", endpoint=one.endpoint,
                    partner=one.partner, why=EndpointState(one.state).name.lower(),
                )  # fmt: skip

    async def _send(self, claimed: Claimed, since: datetime) -> None:
        try:
            reply = await self._attempt(claimed, since)
            if reply is not None:
                self._done.append(judge(claimed, reply, self._clock(), self._chance()))
        except PASSING as error:
            _log.warning("a webhook waits for its next turn", delivery=claimed.id, why=repr(error))
        finally:
            for counted, key in (
                (self._busy, claimed.endpoint),
                (self._of_partner, claimed.partner),
            ):
                counted[key] -= 1
                if not counted[key]:
                    del counted[key]

    async def _attempt(self, claimed: Claimed, since: datetime) -> Reply | None:
        """How it went; None: it isn't ours any more, for it waited too long."""
        try:
            body = await self._body(claimed)
        except Exception:
            _log.exception("a webhook couldn't be put together", delivery=claimed.id)
            return Reply(None, 0, "it couldn't be put together here; it is tried again", ours=True)
        now = self._clock()
        if now - since > LEASE / 2 and not await store.extend(
            claimed.id, claimed.claim, now + LEASE
        ):
            return None
        said = headers(message_id(claimed.id), now, body, claimed.secrets)
        return await self._post(claimed.partner, claimed.url, said, body)

    async def _body(self, claimed: Claimed) -> bytes:
        if claimed.event is None:
            return body_of([TEST_TYPE], claimed.created_at, {}, None)
        if claimed.query is None:
            payload = await self._find(claimed)
        else:
            # A partner's own next waits before it waits with others: so these take turns.
            async with self._own[claimed.partner], self._finding:
                payload = await self._find(claimed)
        types = [Topic(number).type for number in claimed.topics]
        at = claimed.booked_at or claimed.created_at
        return body_of(types, at, payload.ids, payload.found)


def judge(claimed: Claimed, reply: Reply, now: datetime, chance: float) -> Finished:
    """What becomes of a delivery after an attempt."""
    state, next_at, ends = DeliveryState.DELIVERED, None, None
    problem = reply.problem
    if reply.status is None or not 200 <= reply.status < 300:
        problem = problem or f"it was answered {reply.status}"
        failed = 1 + (claimed.faults if reply.ours else claimed.attempts)
        wait = next_wait(failed, chance, reply.patience)
        if reply.status == _GONE:
            state, ends = DeliveryState.FAILED, EndpointState.GONE
        elif wait is None:
            state, ends = DeliveryState.FAILED, None if reply.ours else EndpointState.FAILING
        else:
            state, next_at = DeliveryState.PENDING, now + wait
    return Finished(
        claimed.id, claimed.claim, state, next_at, now, reply.status, reply.milliseconds,
        _plain(problem)[:200], ends, reply.ours, claimed.url,
    )  # fmt: skip


def _plain(text: str) -> str:
    """What a receiver may have had a hand in, such as a certificate's names: for the log."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
