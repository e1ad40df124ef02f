"""Sending with queries that are slow and processes that die: nobody else pays for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from core import endpoints
from core.db import transaction
from core.endpoints import MOST_ENDPOINTS, Request, Wanted
from core.posting import Engine
from core.sender import EACH, LEASE, MOST_OF_PARTNER, Payload, Reply, Sender
from core.store import webhook_deliveries as store
from core.store.webhook_deliveries import Claimed
from core.webhooks import ATTEMPTS, WAITS, DeliveryState, EndpointState, Topic
from tests.core.listening import Receiver, sent
from tests.core.test_sender import queue, state_of, turn
from tests.schema.client import Clock
from tests.support import NOW, scalar

GROCER, CAFE = 1, 2
TICK = timedelta(seconds=1)


async def endpoint(partner: int, host: str, query: str | None = "{ x }") -> int:
    """A new endpoint; nobody asks whether its query is one."""
    wanted = Wanted(f"https://{host}/", [Topic.PURCHASE_RECORDED], query, ())
    made = await endpoints.create(partner, wanted, Request("test", host), NOW)
    return made.endpoint.id


async def tell(number: int, *events: int) -> None:
    """Deliveries that are about something."""
    async with transaction() as connection:
        await connection.executemany(
            "INSERT INTO webhook_delivery (endpoint_id, event_id, holder_id, topics, created_at, "
            "next_at) VALUES ($1, $2, 1, '{1}', $3, $3)",
            [(number, event, NOW) for event in events],
        )


@dataclass
class Finder:
    """Finds what is told at once, but for a partner in `held`: when that is let go."""

    held: dict[int, asyncio.Event]
    begun: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    async def __call__(self, claimed: Claimed) -> Payload:
        """As much as a partner's query would."""
        self.begun.put_nowait(claimed.partner)
        if claimed.query is not None and claimed.partner in self.held:
            await self.held[claimed.partner].wait()
        return Payload({}, {"data": {}})


def sender(finder: object, receiver: Receiver) -> Sender:
    return Sender(finder, receiver.post, receiver.clock, lambda: 0.0)  # type: ignore[arg-type]  # some never answer


async def test_a_partners_slow_queries_keep_nothing_else_waiting(engine: Engine) -> None:
    """Neither another partner's, nor what it is sent itself without a query."""
    release = asyncio.Event()
    receiver = Receiver(Clock(NOW))
    slow = await endpoint(GROCER, "slow.example")
    thin = await endpoint(GROCER, "thin.example", None)
    quick = await endpoint(CAFE, "quick.example")
    await tell(slow, 1, 2, 3, 4, 5, 6)
    await queue(slow)
    await tell(thin, 1)
    await tell(quick, 1, 2)
    sending = sender(Finder({GROCER: release}), receiver)
    assert await sending.turn() == 10
    hosts = sorted([await receiver.answered.get() for _ in range(4)])
    assert hosts == ["quick.example", "quick.example", "slow.example", "thin.example"]
    release.set()
    await sending.idle()
    assert receiver.to("slow.example") == 7
    assert set(await sent("state")) == {(DeliveryState.DELIVERED,)}


async def test_what_waited_too_long_here_is_posted_by_whoever_has_it(engine: Engine) -> None:
    """Once, although both processes believed at some time that it was theirs."""
    clock, release = Clock(NOW), asyncio.Event()
    slow, other = Receiver(clock), Receiver(clock)
    await tell(await endpoint(GROCER, "a.example"), 1)
    finder = Finder({GROCER: release})
    late = sender(finder, slow)
    assert await late.turn() == 1
    await finder.begun.get()
    clock.at += LEASE
    assert await turn(sender(Finder({}), other)) == 1
    release.set()
    await late.idle()
    assert (len(slow.got), len(other.got)) == (0, 1)
    assert await sent("state, attempts") == [(DeliveryState.DELIVERED, 1)]


async def test_what_waited_for_long_is_kept_for_the_post(engine: Engine) -> None:
    """The control: nobody else has it, and nobody else gets it while it is posted."""
    clock, release, answer = Clock(NOW), asyncio.Event(), asyncio.Event()
    slow, other = Receiver(clock, held={"a.example": answer}), Receiver(clock)
    await tell(await endpoint(GROCER, "a.example"), 1)
    finder = Finder({GROCER: release})
    late = sender(finder, slow)
    assert await late.turn() == 1
    await finder.begun.get()
    clock.at += LEASE - TICK
    release.set()
    await slow.begun.get()
    clock.at += LEASE - TICK
    assert await turn(sender(Finder({}), other)) == 0
    answer.set()
    await late.idle()
    assert (len(slow.got), len(other.got)) == (1, 0)
    assert await sent("state, attempts") == [(DeliveryState.DELIVERED, 1)]


async def test_processes_that_die_use_up_no_attempts(engine: Engine) -> None:
    clock = Clock(NOW)
    dead = Receiver(clock, held={"a.example": asyncio.Event()})
    await queue(await endpoint(GROCER, "a.example"))
    for _ in range(ATTEMPTS + 1):
        lost = dead.sender()
        assert await lost.turn() == 1
        await lost.stop()
        clock.at += LEASE
    assert await turn(Receiver(clock, {"a.example": 500}).sender()) == 1
    next_at = clock() + WAITS[0]
    assert await sent("state, attempts, next_at") == [(DeliveryState.PENDING, 1, next_at)]


async def test_what_fails_here_ends_no_endpoint(engine: Engine) -> None:
    """Nor does it use up its receiver's attempts."""

    async def broken(_: Claimed) -> Payload:
        raise RuntimeError("odd")

    receiver = Receiver(Clock(NOW), {"a.example": 500})
    number = await endpoint(GROCER, "a.example")
    await tell(number, 1)
    assert await turn(sender(Finder({}), receiver)) == 1  # the receiver fails once
    receiver.clock.at += WAITS[0]
    for wait in WAITS:
        assert await turn(sender(broken, receiver)) == 1
        receiver.clock.at += wait
    assert await sent("state, attempts, faults") == [(DeliveryState.PENDING, 1, len(WAITS))]
    assert await turn(sender(broken, receiver)) == 1
    assert await sent("state, attempts, faults") == [(DeliveryState.FAILED, 1, ATTEMPTS)]
    assert len(receiver.got) == 1
    assert await state_of(number) is EndpointState.ENABLED


# --- whose turn it is -----------------------------------------------------------------------------


async def test_a_partner_has_its_share_and_no_more(engine: Engine) -> None:
    """However many endpoints it has, and although they took what they were sent before."""
    release = asyncio.Event()
    receiver = Receiver(Clock(NOW))
    slow = [await endpoint(GROCER, f"slow{n}.example", None) for n in range(MOST_ENDPOINTS)]
    for number in slow:
        await queue(number, 2 * EACH)
        receiver.held[f"slow{number - slow[0]}.example"] = release
    async with transaction() as connection:
        await connection.execute("UPDATE webhook_endpoint SET took_at = $1", NOW)
    new = await endpoint(CAFE, "new.example", None)
    await queue(new)
    sending = sender(Finder({}), receiver)
    assert await sending.turn() == MOST_OF_PARTNER + 1
    assert await receiver.answered.get() == "new.example"
    await queue(new)
    assert await sending.turn() == 1  # and so it stays while these are under way
    assert await receiver.answered.get() == "new.example"
    assert len(receiver.got) == MOST_OF_PARTNER + 2
    release.set()
    await sending.idle()
    assert await sending.turn() == MOST_OF_PARTNER
    await sending.idle()


async def test_what_is_due_longest_comes_first_and_what_fails_last(engine: Engine) -> None:
    numbers = [await endpoint(CAFE, f"{n}.example", None) for n in range(4)]
    failed, new, old, back = numbers
    for number in numbers:
        await queue(number)
    async with transaction() as connection:
        for number, took, last, due in (
            (failed, 1, 2, 9), (new, None, None, 3), (old, 1, None, 4), (back, 2, 1, 2),
        ):  # fmt: skip
            await connection.execute(
                "UPDATE webhook_endpoint SET took_at = $2, failed_at = $3 WHERE id = $1", number,
                took and NOW + took * TICK, last and NOW + last * TICK,
            )  # fmt: skip
            await connection.execute(
                "UPDATE webhook_delivery SET next_at = $2 WHERE endpoint_id = $1", number,
                NOW - due * TICK,
            )  # fmt: skip
    found = []
    for _ in numbers:
        (one,) = await store.claim(NOW, LEASE, store.Room(1, 1, 1), [], {})
        found.append(one.endpoint)
    assert found == [old, new, back, failed]


async def test_an_endpoint_that_fails_is_known_to(engine: Engine) -> None:
    receiver = Receiver(Clock(NOW), {"a.example": 500})
    await queue(await endpoint(CAFE, "a.example", None))
    await turn(receiver.sender())
    assert await scalar("SELECT failed_at FROM webhook_endpoint") == NOW
    assert await scalar("SELECT took_at FROM webhook_endpoint") is None


# --- how an endpoint ends -------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [False, True])
async def test_an_address_that_was_left_ends_nothing(engine: Engine, moved: bool) -> None:
    """Its late answer is of no matter; the control is that of the address that stands."""
    release = asyncio.Event()
    receiver = Receiver(Clock(NOW), {"a.example": 410}, {"a.example": release})
    number = await endpoint(CAFE, "a.example", None)
    await queue(number)
    sending = receiver.sender()
    await sending.turn()
    await receiver.begun.get()
    if moved:
        to = Wanted("https://b.example/", [Topic.PURCHASE_RECORDED], None, ())
        await endpoints.update(number, lambda _: to)
    release.set()
    with capture_logs() as told:
        await sending.idle()
    wanted = EndpointState.ENABLED if moved else EndpointState.GONE
    assert await state_of(number) is wanted
    assert await scalar("SELECT disabled_at FROM webhook_endpoint") == (None if moved else NOW)
    said = {
        "event": "a webhook endpoint is sent nothing more", "log_level": "warning",
        "endpoint": number, "partner": CAFE, "why": "gone",
    }  # fmt: skip
    assert told == ([] if moved else [said])


async def test_whatever_went_wrong_can_be_noted(engine: Engine) -> None:
    """Else nothing would be noted any more, nor sent."""
    problem = "bad\0cert\n\ud800\x1b[2J é"
    receiver = Receiver(Clock(NOW), {"a.example": Reply(None, 3, problem)})
    await queue(await endpoint(CAFE, "a.example", None))
    await turn(receiver.sender())
    assert await scalar("SELECT problem FROM webhook_attempt") == "bad cert   [2J é"
