"""What one delivery, subject or partner does wrong, and that it costs no other."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import asyncpg
import pytest

from core.containment import Breakers, Fault
from core.inbound import replay, work
from core.members import IdentifierKind, MemberRef
from core.posting import Engine
from core.purchases import LineInput, PurchaseInput, check_purchase
from core.store.inbound import State, take
from laurels import (
    Delivery,
    DeliveryError,
    Message,
    Received,
    RecordPurchase,
    RecordReturn,
    ReturnedLine,
)
from tests.core.webshop import (
    ADAPTER,
    arrive,
    cancelled,
    created,
    customer,
    edited,
    log,
    open_webshop,
    points,
    put,
    states,
    understand,
)
from tests.support import NOW, books, scalar

DAY = timedelta(days=1)


async def opened(change: Callable[[Message, Delivery], Received]) -> Engine:
    """The shop with the customer 7, and an adapter that says otherwise of orders."""

    def read(message: Message) -> Received:
        found = understand(message)
        if isinstance(found, Delivery) and not found.subject.startswith("customer"):
            return change(message, found)
        return found

    engine = await open_webshop(replace(ADAPTER, read=read))
    await arrive(engine, customer(7))
    return engine


@pytest.fixture
async def shop(database: str) -> Engine:
    """The web shop on a fresh database, with the customer 7."""
    engine = await open_webshop()
    await arrive(engine, customer(7))
    return engine


async def test_a_subject_with_much_that_waits_keeps_no_other_from_its_turn(shop: Engine) -> None:
    for n in range(1, 106):
        await put(shop, edited(1, n / 10, (f"{n}.00", 1)))
    await put(shop, customer(8))
    await put(shop, created(2, 1, ("10.00", 1), customer=8))
    first = await take(shop.rulebook.partners["webshop"].id, NOW)
    assert Counter(row.subject for row in first) == {"1": 20, "customer 8": 1, "2": 1}
    assert await work(shop, NOW) == 2
    assert (await states())[-2:] == [("customer-8", "done"), ("create-2-1", "done")]
    rows = (await log())[1:106]
    assert {(row.state, row.attempts) for row in rows} == {(State.WAITING, 1)}
    await arrive(shop, created(1, 0, ("10.00", 1)))
    assert {state for _, state in await states()} == {"done"}
    assert await points() == 105


async def test_an_older_edit_stays_older_than_one_that_was_partly_refused(database: str) -> None:
    def more(message: Message, found: Delivery) -> Received:
        if found.id != "edit-1-3":
            return found
        back = RecordReturn("r", "1", NOW, [ReturnedLine(9, "1")])
        return replace(found, commands=[*found.commands, back])

    shop = await opened(more)
    await arrive(
        shop, created(1, 1, ("10.00", 1)), edited(1, 3, ("30.00", 1)), edited(1, 2, ("20.00", 1))
    )
    assert (await states())[2:] == [("edit-1-3", "refused"), ("edit-1-2", "superseded")]
    assert [x["what"] for x in (await log())[2].outcome] == ["booked"]
    before, ids = await books(), [row.id for row in await log()]
    for again in (ids[2:], ids[2:3], ids[3:]):
        await replay(shop, again, NOW)
    assert await books() == before
    assert (await states())[2:] == [("edit-1-3", "refused"), ("edit-1-2", "superseded")]
    assert await points() == 30


async def test_an_older_edit_that_waited_in_the_batch_of_such_a_one_is_superseded(
    database: str,
) -> None:
    def more(message: Message, found: Delivery) -> Received:
        if found.id == "create-1-1":
            return replace(found, version=None)
        if found.id == "edit-1-2":
            return replace(found, version=2, after=1)
        back = RecordReturn("r", "1", NOW, [ReturnedLine(9, "1")])
        return replace(found, version=3, commands=[*found.commands, back])

    shop = await opened(more)
    for hook in (
        created(1, 1, ("10.00", 1)), edited(1, 2, ("20.00", 1)), edited(1, 3, ("30.00", 1))
    ):  # fmt: skip
        await put(shop, hook)
    await work(shop, NOW)
    assert (await states())[2:] == [("edit-1-2", "superseded"), ("edit-1-3", "refused")]
    assert await points() == 30


async def test_edits_that_are_replayed_together_change_nothing(shop: Engine) -> None:
    await arrive(
        shop, created(1, 1, ("10.00", 1)), edited(1, 2, ("20.00", 1)), edited(1, 3, ("30.00", 1))
    )
    before = await books()
    await replay(shop, [row.id for row in (await log())[2:]], NOW)
    assert await books() == before
    assert {state for _, state in await states()} == {"done"}


async def test_one_body_under_two_topics_is_two_messages(database: str) -> None:
    def blind(message: Message) -> Received:
        raise DeliveryError("no")

    hook = cancelled(1, 1)
    other = replace(hook, topic="orders/paid")
    engine = await open_webshop(replace(ADAPTER, read=blind))
    assert await arrive(engine, hook, other, hook) == [True, True, False]
    engine = await open_webshop()
    assert await arrive(engine, hook, other) == [True, None]
    assert [row.conflicts for row in await log()] == [0, 0, 1]


class Failing:
    """A verifier that raises what it is told."""

    error: BaseException = KeyError("hunter2")

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        raise self.error


@pytest.mark.parametrize("error", [KeyError("hunter2"), SystemExit(1), asyncio.CancelledError()])
async def test_strangers_suspend_no_adapter(database: str, error: BaseException) -> None:
    verifier = Failing()
    verifier.error = error
    engine = await open_webshop(replace(ADAPTER, verify=verifier))
    partner = engine.rulebook.partners["webshop"]
    clock = [0.0]
    engine.containment.breakers = Breakers(lambda: clock[0])
    fault = Fault(partner.id, "in/shopify", f"verify raised {type(error).__name__}")
    for minute in range(2):
        clock[0] = 60.0 * minute
        for _ in range(20):
            adapter = partner.adapters["shopify"]
            assert not engine.containment.verified(partner, adapter, {}, b"", NOW)
        assert engine.containment.take_faults() == [(fault, 1)]
    assert engine.containment.reading.left((partner.id, "shopify")) == 0


class MuteError(DeliveryError):
    """It can't be told."""

    def __str__(self) -> str:
        raise RuntimeError


class Odd(str):
    """A text that can't be measured."""

    __slots__ = ()

    def __len__(self) -> int:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "problem"),
    [(MuteError(), "raised RuntimeError"), (SystemExit(2), "raised SystemExit"),
     (asyncio.CancelledError(), "raised CancelledError"), (KeyError("x"), "raised KeyError")],
)  # fmt: skip
async def test_whatever_one_read_raises_the_others_are_done(
    database: str, error: BaseException, problem: str
) -> None:
    def change(message: Message, found: Delivery) -> Received:
        if found.subject == "1":
            raise error
        return found

    shop = await opened(change)
    await put(shop, created(1, 1, ("10.00", 1)))
    await put(shop, created(2, 1, ("10.00", 1)))
    await work(shop, NOW)
    row = (await log())[1]
    assert (row.state, row.attempts) == (State.REFUSED, 1)
    assert row.problem == f"adapter 'shopify': its read {problem}"
    assert await points() == 10


async def test_a_text_of_a_brands_own_making_costs_its_delivery_alone(database: str) -> None:
    def change(message: Message, found: Delivery) -> Received:
        (command,) = found.commands
        assert isinstance(command, RecordPurchase)
        if found.subject == "1":
            return replace(found, commands=[replace(command, external_id=Odd("1"))])
        return replace(found, commands=[replace(command, lines=deque(command.lines))])

    shop = await opened(change)
    await put(shop, created(1, 1, ("10.00", 1)))
    await put(shop, created(2, 1, ("10.00", 1)))
    await work(shop, NOW)
    row = (await log())[1]
    assert (row.state, row.attempts) == (State.REFUSED, 1)
    assert row.problem == "it couldn't be checked: RuntimeError, see the log"
    assert (await states())[2] == ("create-2-1", "done")
    assert await points() == 10


async def test_the_operators_own_interrupt_is_no_fault(database: str) -> None:
    def read(message: Message) -> Received:
        raise KeyboardInterrupt

    engine = await open_webshop(replace(ADAPTER, read=read))
    partner = engine.rulebook.partners["webshop"]
    with pytest.raises(KeyboardInterrupt):
        engine.containment.read(partner, partner.adapters["shopify"], Message({}, b""))
    assert engine.containment.take_faults() == []


async def test_who_finds_another_at_it_waits_for_nobody(
    shop: Engine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.inbound._PAUSES", (0.0, 0.0))
    await put(shop, created(1, 1, ("10.00", 1)))
    partner = shop.rulebook.partners["webshop"].id
    other: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(database)
    try:
        await other.execute("SELECT pg_advisory_lock(52873572, $1)", partner)
        assert await work(shop, NOW) == 0
        assert await work(shop, NOW, [partner]) == 0
        assert (await states())[1] == ("create-1-1", "received")
    finally:
        await other.close()
    while not await work(shop, NOW):  # until the server has seen that it is gone
        pass
    assert (await states())[1] == ("create-1-1", "done")


async def test_a_request_does_so_much_and_the_job_the_rest(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.inbound._BATCHES", 1)
    for n in range(210):
        await put(shop, cancelled(n, 1))
    partner = shop.rulebook.partners["webshop"].id
    await work(shop, NOW, [partner])
    assert await scalar("SELECT count(*) FROM inbound WHERE state = 1") == 110
    await work(shop, NOW)
    assert await scalar("SELECT count(*) FROM inbound WHERE state = 1") == 0
    assert await scalar("SELECT max(attempts) FROM inbound") == 1


async def test_what_waits_is_tried_when_it_is_due_and_not_for_a_sibling(shop: Engine) -> None:
    await arrive(shop, edited(1, 2, ("20.00", 1)), edited(1, 3, ("30.00", 1)))
    assert [row.attempts for row in (await log())[1:]] == [1, 1]
    await arrive(shop, created(1, 1, ("10.00", 1)))
    assert [row.attempts for row in (await log())[1:]] == [2, 2, 1]
    assert await points() == 30


async def test_two_edits_of_one_purchase_at_once_are_both_done(database: str) -> None:
    def apart(message: Message, found: Delivery) -> Received:
        return replace(found, subject=found.id)

    shop = await opened(apart)
    await arrive(shop, created(1, 1, ("10.00", 1)))
    await put(shop, edited(1, 2, ("20.00", 1)))
    await put(shop, edited(1, 3, ("30.00", 1)))
    await put(shop, cancelled(1, 4))
    await work(shop, NOW)
    assert {state for _, state in await states()} == {"done"}
    told = [x["revision"] for row in (await log())[2:4] for x in row.outcome]
    assert told == [2, 3]
    assert await points() == 0


async def test_what_came_in_time_is_not_late_for_having_waited(shop: Engine) -> None:
    before = -1440 * 89
    await arrive(shop, created(1, before, ("10.00", 1), customer=8))
    await arrive(shop, created(2, before - 2880, ("10.00", 1), customer=8))
    assert {state for _, state in (await states())[1:]} == {"waiting"}
    await arrive(shop, customer(8), now=NOW + 6 * DAY)
    await work(shop, NOW + 6 * DAY)
    rows = await log()
    assert (rows[1].state, rows[2].state) == (State.DONE, State.REFUSED)
    assert "may report purchases up to 90 days late" in rows[2].problem


async def test_what_came_too_late_is_late_though_it_waited(shop: Engine) -> None:
    late = NOW - 92 * DAY
    await arrive(shop, cancelled(1, -1440 * 91), cancelled(2, -1440 * 89))
    assert {state for _, state in (await states())[1:]} == {"waiting"}
    partner = shop.rulebook.partners["webshop"]
    member = MemberRef.make(IdentifierKind.REFERENCE, "7", partner.id)
    items = [
        check_purchase(
            partner, PurchaseInput(number, member, late, "USD", [LineInput("book", "10.00")])
        )
        for number in "12"
    ]
    await shop.record_purchases(items, NOW, historical=True)
    await work(shop, NOW + DAY)
    rows = (await log())[1:]
    assert [row.state for row in rows] == [State.REFUSED, State.DONE]
    assert "may report up to 90 days late" in rows[0].problem


async def test_where_one_has_no_version_the_last_to_come_counts(database: str) -> None:
    def some(message: Message, found: Delivery) -> Received:
        return replace(found, version=None) if found.id == "edit-1-9" else found

    shop = await opened(some)
    await arrive(
        shop, created(1, 1, ("10.00", 1)), edited(1, 9, ("90.00", 1)), edited(1, 2, ("20.00", 1))
    )
    assert await points() == 20
    await replay(shop, [(await log())[2].id], NOW)
    assert await points() == 20
    # Those that have one are in its order.
    await arrive(shop, edited(1, 4, ("40.00", 1)), edited(1, 3, ("30.00", 1)))
    assert await points() == 40
