"""Deliveries: claimed once, tried again, given up; and no endpoint keeps another waiting."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import orjson
import pytest

from core import endpoints
from core.db import transaction
from core.endpoints import Request
from core.posting import Engine
from core.sender import EACH, LEASE, Reply, Sender, judge
from core.store import webhook_deliveries as store
from core.webhooks import ATTEMPTS, WAITS, DeliveryState, EndpointState
from tests.core.listening import Receiver, listen, sent
from tests.core.test_webhooks import VerificationError, verify
from tests.schema.client import Clock, statements
from tests.support import NOW, scalar

GROCER = 1
STATE = "state, attempts, next_at, done_at"


async def queue(endpoint: int, count: int = 1) -> list[int]:
    """Deliveries that are due."""
    async with transaction() as connection:
        return [await store.add_test(connection, endpoint, NOW) for _ in range(count)]


async def turn(sender: Sender) -> int:
    """A turn, and whatever it began to its end."""
    began = await sender.turn()
    await sender.idle()
    return began


async def state_of(endpoint: int) -> EndpointState:
    return EndpointState(await scalar("SELECT state FROM webhook_endpoint WHERE id = $1", endpoint))


# --- sent -----------------------------------------------------------------------------------------


async def test_what_is_due_is_posted_signed_and_noted(engine: Engine) -> None:
    receiver = Receiver(Clock(NOW))
    made = await listen(GROCER, NOW)
    (number,) = await queue(made.endpoint.id)
    assert await turn(receiver.sender()) == 1
    [(host, said, body)] = receiver.got
    assert host == "a.example"
    assert said["webhook-id"] == f"msg_{number}"
    assert made.secret is not None
    verify(made.secret, body, said, NOW)
    with pytest.raises(VerificationError):
        verify(made.secret, body + b" ", said, NOW)
    assert orjson.loads(body)["type"] == "webhook.test"
    assert await sent(STATE) == [(DeliveryState.DELIVERED, 1, None, NOW)]
    (delivery,) = (await store.read([number])).values()
    assert delivery.attempts == (store.Attempt(1, NOW, 204, 12, ""),)
    assert await turn(receiver.sender()) == 0
    assert len(receiver.got) == 1


async def test_two_processes_send_each_once(engine: Engine) -> None:
    receiver = Receiver(Clock(NOW))
    for _ in range(5):
        await queue((await listen(GROCER, NOW)).endpoint.id, 4)
    one, two = receiver.sender(), receiver.sender()
    began = await asyncio.gather(one.turn(), two.turn())
    assert sum(began) == 20
    await one.idle()
    await two.idle()
    ids = [said["webhook-id"] for _, said, _ in receiver.got]
    assert len(ids) == len(set(ids)) == 20


async def test_while_secrets_rotate_both_sign(engine: Engine) -> None:
    receiver = Receiver(Clock(NOW))
    made = await listen(GROCER, NOW)
    number = made.endpoint.id
    turned = await endpoints.rotate(number, timedelta(hours=1), Request("me", "r"), NOW)
    for fitting in (2, 1):
        await queue(number)
        assert await turn(receiver.sender()) == 1
        _, said, body = receiver.got[-1]
        fits = 0
        for secret in (made.secret, turned.secret):
            assert secret is not None
            try:
                verify(secret, body, said, receiver.clock())
                fits += 1
            except VerificationError:
                assert secret == made.secret
        assert fits == fitting
        receiver.clock.tick(hours=1)


# --- tried again ----------------------------------------------------------------------------------


async def test_what_fails_is_tried_for_days_and_then_given_up(engine: Engine) -> None:
    receiver = Receiver(Clock(NOW), {"a.example": 500})
    endpoint = (await listen(GROCER, NOW)).endpoint.id
    (number,) = await queue(endpoint)
    sender = receiver.sender()
    for attempt, wait in enumerate(WAITS, 1):
        assert await turn(sender) == 1
        due = receiver.clock() + wait
        assert await sent(STATE) == [(DeliveryState.PENDING, attempt, due, None)]
        receiver.clock.at = due - timedelta(seconds=1)
        assert await turn(sender) == 0  # not before its time
        receiver.clock.at = due
    assert await state_of(endpoint) is EndpointState.ENABLED
    assert await turn(sender) == 1
    at = receiver.clock()
    assert await sent(STATE) == [(DeliveryState.FAILED, ATTEMPTS, None, at)]
    assert await state_of(endpoint) is EndpointState.FAILING
    assert len(receiver.got) == ATTEMPTS
    assert len({said["webhook-id"] for _, said, _ in receiver.got}) == 1
    (delivery,) = (await store.read([number])).values()
    assert [a.status for a in delivery.attempts] == [500] * ATTEMPTS
    assert [a.number for a in delivery.attempts] == list(range(1, ATTEMPTS + 1))
    await queue(endpoint)
    assert await turn(sender) == 0  # nothing is sent there any more


async def test_an_endpoint_that_took_something_since_is_not_given_up(engine: Engine) -> None:
    receiver = Receiver(Clock(NOW), {"a.example": 500})
    endpoint = (await listen(GROCER, NOW)).endpoint.id
    await queue(endpoint)
    sender = receiver.sender()
    for wait in WAITS:
        assert await turn(sender) == 1
        receiver.clock.at += wait
    async with transaction() as connection:
        await connection.execute("UPDATE webhook_endpoint SET took_at = $1", NOW)
    assert await turn(sender) == 1
    assert await sent("state") == [(DeliveryState.FAILED,)]
    assert await state_of(endpoint) is EndpointState.ENABLED


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 502, 503])
async def test_anything_but_success_is_a_failure(engine: Engine, status: int) -> None:
    receiver = Receiver(Clock(NOW), {"a.example": status})
    await queue((await listen(GROCER, NOW)).endpoint.id)
    await turn(receiver.sender())
    assert await sent(STATE) == [(DeliveryState.PENDING, 1, NOW + WAITS[0], None)]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_success_is_any_of_these(engine: Engine, status: int) -> None:
    receiver = Receiver(Clock(NOW), {"a.example": status})
    await queue((await listen(GROCER, NOW)).endpoint.id)
    await turn(receiver.sender())
    assert await sent("state") == [(DeliveryState.DELIVERED,)]
    assert await scalar("SELECT took_at FROM webhook_endpoint") == NOW


async def test_gone_is_gone(engine: Engine) -> None:
    receiver = Receiver(Clock(NOW), {"a.example": 410})
    gone = (await listen(GROCER, NOW)).endpoint.id
    other = (await listen(GROCER, NOW, host="b.example")).endpoint.id
    await queue(gone)
    await queue(other)
    sender = receiver.sender()
    assert await turn(sender) == 2
    assert await sent("endpoint_id, state") == [
        (gone, DeliveryState.FAILED),
        (other, DeliveryState.DELIVERED),
    ]
    assert await state_of(gone) is EndpointState.GONE
    assert await state_of(other) is EndpointState.ENABLED
    await endpoints.switch(gone, True, NOW)
    assert await state_of(gone) is EndpointState.ENABLED


async def test_whoever_asks_for_patience_is_given_it(engine: Engine) -> None:
    asked = Reply(429, 3, patience=timedelta(minutes=9))
    receiver = Receiver(Clock(NOW), {"a.example": asked})
    await queue((await listen(GROCER, NOW)).endpoint.id)
    await turn(receiver.sender())
    assert await sent("next_at") == [(NOW + timedelta(minutes=9),)]


async def test_a_payload_that_cannot_be_made_is_tried_again(engine: Engine) -> None:
    receiver = Receiver(Clock(NOW))

    async def broken(_: object) -> None:
        raise RuntimeError("postgres://app:secret@db")

    endpoint = (await listen(GROCER, NOW)).endpoint.id
    async with transaction() as connection:
        await connection.execute(
            "INSERT INTO webhook_delivery (endpoint_id, event_id, holder_id, topics, created_at, "
            "next_at) VALUES ($1, 1, 1, '{1}', $2, $2)",
            endpoint,
            NOW,
        )
    sender = Sender(broken, receiver.post, receiver.clock, lambda: 0.0)  # type: ignore[arg-type]  # it never answers
    await turn(sender)
    assert receiver.got == []
    (delivery,) = (await store.read([await scalar("SELECT id FROM webhook_delivery")])).values()
    assert (delivery.state, delivery.next_at) == (DeliveryState.PENDING, NOW + WAITS[0])
    [attempt] = delivery.attempts
    assert attempt.problem == "it couldn't be put together here; it is tried again"


# --- deaths ---------------------------------------------------------------------------------------


async def test_what_a_dead_process_had_claimed_is_sent_by_another(engine: Engine) -> None:
    clock = Clock(NOW)
    dead, other = Receiver(clock, held={"a.example": asyncio.Event()}), Receiver(clock)
    await queue((await listen(GROCER, NOW)).endpoint.id)
    lost = dead.sender()
    assert await lost.turn() == 1
    await lost.stop()  # it dies in the middle: nobody will say how it went
    assert await turn(other.sender()) == 0
    clock.at += LEASE - timedelta(seconds=1)
    assert await turn(other.sender()) == 0
    clock.tick(seconds=1)
    assert await turn(other.sender()) == 1
    assert await sent("state, attempts, claims") == [(DeliveryState.DELIVERED, 1, 2)]


async def test_who_is_stopped_notes_what_has_ended(engine: Engine) -> None:
    """And leaves the rest: the one endpoint has answered, the other hasn't."""
    receiver = Receiver(Clock(NOW), held={"b.example": asyncio.Event()})
    for host in ("a.example", "b.example"):
        await queue((await listen(GROCER, NOW, host=host)).endpoint.id)
    sender = receiver.sender()
    assert await sender.turn() == 2
    assert await receiver.answered.get() == "a.example"
    assert await sent("state") == [(DeliveryState.PENDING,)] * 2
    await sender.stop()
    assert await sent("state") == [(DeliveryState.DELIVERED,), (DeliveryState.PENDING,)]


async def test_who_comes_back_late_decides_nothing(engine: Engine) -> None:
    """The first attempt fails after the second has succeeded: it is noted, and changes nothing."""
    clock = Clock(NOW)
    release = asyncio.Event()
    slow = Receiver(clock, {"a.example": 500}, {"a.example": release})
    quick = Receiver(clock)
    (number,) = await queue((await listen(GROCER, NOW)).endpoint.id)
    late = slow.sender()
    await late.turn()
    await slow.begun.get()
    clock.at += LEASE
    assert await turn(quick.sender()) == 1
    release.set()
    await late.idle()
    assert await sent(STATE) == [(DeliveryState.DELIVERED, 1, None, clock())]
    (delivery,) = (await store.read([number])).values()
    assert [a.status for a in delivery.attempts] == [204, 500]


async def test_what_could_not_be_noted_is_noted_next_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver(Clock(NOW))
    await queue((await listen(GROCER, NOW)).endpoint.id)
    sender = receiver.sender()

    async def broken(_: object) -> None:
        raise OSError("the database is away")

    monkeypatch.setattr(store, "finish", broken)
    with pytest.raises(OSError, match="away"):
        await turn(sender)
    monkeypatch.undo()
    assert await sent("state") == [(DeliveryState.PENDING,)]
    await turn(sender)
    assert await sent("state") == [(DeliveryState.DELIVERED,)]
    assert len(receiver.got) == 1


# --- no endpoint keeps another waiting ------------------------------------------------------------


async def test_a_slow_endpoint_keeps_no_other_waiting(engine: Engine) -> None:
    release = asyncio.Event()
    receiver = Receiver(Clock(NOW), held={"slow.example": release})
    slow = (await listen(GROCER, NOW, host="slow.example")).endpoint.id
    quick = (await listen(GROCER, NOW, host="quick.example")).endpoint.id
    await queue(slow, 5 * EACH)
    await queue(quick, 3 * EACH)
    sender = receiver.sender()
    for _ in range(3):
        await sender.turn()
        for _ in range(EACH):
            assert await receiver.answered.get() == "quick.example"
    assert receiver.to("slow.example") == EACH
    assert receiver.to("quick.example") == 3 * EACH
    release.set()
    await sender.idle()
    while await turn(sender):
        pass
    assert receiver.to("slow.example") == 5 * EACH
    assert set(await sent("state")) == {(DeliveryState.DELIVERED,)}


@pytest.mark.parametrize("count", [1, EACH])
async def test_a_turn_costs_a_fixed_number_of_statements(engine: Engine, count: int) -> None:
    receiver = Receiver(Clock(NOW))
    for _ in range(4):
        await queue((await listen(GROCER, NOW)).endpoint.id, count)
    sender = receiver.sender()
    with statements() as told:
        assert await turn(sender) == 4 * count
    assert len(told) == 2  # one that claims and one that notes


# --- sent once more -------------------------------------------------------------------------------


async def test_sent_once_more_it_has_its_attempts_anew(engine: Engine) -> None:
    receiver = Receiver(Clock(NOW), {"a.example": 500})
    (number,) = await queue((await listen(GROCER, NOW)).endpoint.id)
    await turn(receiver.sender())
    receiver.answers["a.example"] = 200
    receiver.clock.tick(seconds=1)
    await endpoints.replay([number], receiver.clock())
    assert await turn(receiver.sender()) == 1
    assert await sent("state, attempts") == [(DeliveryState.DELIVERED, 1)]
    (delivery,) = (await store.read([number])).values()
    assert [(a.number, a.status) for a in delivery.attempts] == [(1, 500), (2, 200)]
    assert len({said["webhook-id"] for _, said, _ in receiver.got}) == 1


def test_judged_by_the_reply_alone() -> None:
    claimed = store.Claimed(
        1, 2, None, None, None, (), NOW, 7, 2, 0, 1, "https://a.example/", None, (), None, None,
        None, (),
    )  # fmt: skip
    good = judge(claimed, Reply(200, 5), NOW, 0.0)
    assert good == (1, 7, DeliveryState.DELIVERED, None, NOW, 200, 5, "", None, False, claimed.url)
    none = judge(claimed, Reply(None, 5, "x" * 500), NOW, 0.0)
    assert none[2:4] == (DeliveryState.PENDING, NOW + WAITS[2])
    assert none.problem == "x" * 200
    last = judge(claimed._replace(attempts=ATTEMPTS - 1), Reply(302, 5), NOW, 0.0)
    assert last == (
        1, 7, DeliveryState.FAILED, None, NOW, 302, 5, "it was answered 302",
        EndpointState.FAILING, False, claimed.url,
    )  # fmt: skip
    ours = judge(claimed._replace(faults=ATTEMPTS - 1), Reply(None, 0, "x", ours=True), NOW, 0.0)
    assert (ours.state, ours.ends, ours.ours) == (DeliveryState.FAILED, None, True)
