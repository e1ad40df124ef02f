"""Endpoints for tests, a receiver that answers as it is told to, and a clock. Holds no test."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from core import dispatching, endpoints
from core.db import Connection, reading
from core.endpoints import Request, Secret, Wanted
from core.posting import Engine
from core.sender import Payload, Reply, Sender
from core.store.webhook_deliveries import Claimed
from core.store.writes import ChangeRow
from core.telling import tell
from core.webhooks import Topic
from tests.schema.client import Clock

_keys = (f"key-{n}" for n in count())
EVERYTHING = tuple(Topic)


async def listen(
    partner: int, at: datetime, topics: Collection[Topic] = EVERYTHING, host: str = "a.example"
) -> Secret:
    """A new endpoint of a partner's."""
    wanted = Wanted(f"https://{host}/", topics, None, ())
    return await endpoints.create(partner, wanted, Request("test", next(_keys)), at)


async def dispatch(engine: Engine, at: datetime) -> int:
    """Send on what is in the outbox, to endpoints too."""

    async def also(connection: Connection, changes: Sequence[ChangeRow]) -> None:
        await tell(connection, engine.rulebook, changes, at)

    return await dispatching.dispatch(also)


async def sent(columns: str) -> list[tuple[Any, ...]]:
    """Columns of all deliveries, oldest first."""
    async with reading() as connection:
        rows = await connection.fetch(f"SELECT {columns} FROM webhook_delivery ORDER BY id")
    return [tuple(row) for row in rows]


@dataclass
class Receiver:
    """Answers each post by its host: a status, a reply, or, for a host in `held`, when let go."""

    clock: Clock
    answers: dict[str, int | Reply] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    got: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    begun: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    answered: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def sender(self) -> Sender:
        """A sender that posts here."""
        return Sender(self.find, self.post, self.clock, lambda: 0.0)

    async def find(self, claimed: Claimed) -> Payload:
        """The event's number stands for what is told."""
        return Payload({"event": claimed.event}, None)

    async def post(self, partner: int, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """One post."""
        del partner
        host = url.split("/")[2]
        self.got.append((host, headers, body))
        self.begun.put_nowait(host)
        if host in self.held:
            await self.held[host].wait()
        answer = self.answers.get(host, 204)
        self.answered.put_nowait(host)
        return answer if isinstance(answer, Reply) else Reply(answer, 12)

    def to(self, host: str) -> int:
        """How many posts came for a host."""
        return sum(got == host for got, _, _ in self.got)
