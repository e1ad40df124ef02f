"""What an adapter's webhooks do to the books: in order, once, early, late, and again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core import nightly
from core.check import prove
from core.containment import Breakers
from core.errors import BadInput
from core.inbound import PATIENCE, replay, work
from core.posting import Engine
from core.store import faults
from core.store.inbound import State
from laurels import Delivery, Message, Received, RecordPurchase
from tests.core.webshop import (
    ADAPTER,
    Webhook,
    arrive,
    cancelled,
    created,
    customer,
    edited,
    log,
    open_webshop,
    points,
    put,
    refunded,
    states,
    understand,
)
from tests.schema.client import statements
from tests.support import NOW, books, scalar

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def shop(database: str) -> Engine:
    """The web shop on a fresh database, with the customer 7."""
    engine = await open_webshop()
    await arrive(engine, customer(7))
    return engine


async def test_the_life_of_an_order_in_its_order(shop: Engine) -> None:
    hooks = [
        created(1, 1, ("10.00", 1), ("30.00", 3)), edited(1, 2, ("10.00", 1), ("60.00", 3)),
        refunded(1, 3, 100, (2, 1)),
    ]  # fmt: skip
    assert await arrive(shop, *hooks) == [True] * 3
    assert await states() == [
        ("customer-7", "done"), ("create-1-1", "done"), ("edit-1-2", "done"), ("refund-100", "done")
    ]  # fmt: skip
    assert await points() == 10 + 40
    told = [row.outcome for row in await log()]
    assert [x["what"] for some in told for x in some] == ["booked"] * 4
    assert told[2][0]["revision"] == 2
    await arrive(shop, cancelled(1, 4))
    assert await points() == 0
    assert await prove() == []


async def test_what_comes_twice_is_known_and_what_bears_its_name_is_not(shop: Engine) -> None:
    first = created(1, 1, ("10.00", 1))
    assert await arrive(shop, first, first) == [True, False]
    other = replace(first, said={**first.said, "currency": "EUR"})
    assert await arrive(shop, other) == [None]
    (_, row) = await log()
    assert (row.state, row.conflicts, row.body) == (State.DONE, 1, first.body)
    assert await points() == 10


async def test_what_comes_too_early_waits_and_follows_its_purchase(shop: Engine) -> None:
    await arrive(shop, refunded(1, 3, 100, (1, 1)), edited(1, 2, ("10.00", 2)))
    rows = (await log())[1:]
    assert [row.state for row in rows] == [State.WAITING] * 2
    assert {row.problem for row in rows} == {"no purchase '1' is recorded yet"}
    assert {row.next_at for row in rows} == {NOW + MINUTE}
    assert await scalar("SELECT count(*) FROM waiting") == 0
    await arrive(shop, created(1, 1, ("10.00", 1)))
    assert [row.state for row in (await log())[1:]] == [State.DONE] * 3
    assert await points() == 5
    assert await prove() == []


async def test_of_two_revisions_the_older_says_nothing_new(shop: Engine) -> None:
    await arrive(
        shop, created(1, 1, ("10.00", 1)), edited(1, 3, ("30.00", 1)), edited(1, 2, ("20.00", 1))
    )
    assert (await states())[2:] == [("edit-1-3", "done"), ("edit-1-2", "superseded")]
    assert await points() == 30
    assert await scalar("SELECT count(*) FROM event WHERE kind = 10") == 1


async def test_a_late_edit_of_a_cancelled_order_is_superseded(shop: Engine) -> None:
    await arrive(shop, created(1, 1, ("10.00", 1)), cancelled(1, 3), edited(1, 2, ("20.00", 1)))
    assert (await states())[3] == ("edit-1-2", "superseded")
    assert await points() == 0


async def test_an_edit_after_something_came_back_is_refused_and_said(shop: Engine) -> None:
    await arrive(
        shop, created(1, 1, ("10.00", 2)), refunded(1, 3, 100, (1, 1)), edited(1, 2, ("20.00", 2))
    )
    row = (await log())[3]
    assert row.state is State.REFUSED
    assert "came back" in row.problem
    assert await points() == 5


async def test_an_order_with_other_content_is_no_edit(shop: Engine) -> None:
    await arrive(shop, created(1, 1, ("10.00", 1)), created(1, 2, ("20.00", 1)))
    row = (await log())[2]
    assert (row.state, row.outcome) == (State.REFUSED, [])
    assert "was recorded before with other content" in row.problem
    assert await points() == 10
    # The other way round the older one is merely old.
    await arrive(shop, created(2, 2, ("20.00", 1)), created(2, 1, ("10.00", 1)))
    assert [state for _, state in (await states())[3:]] == ["done", "superseded"]
    assert await points() == 30


async def test_a_guests_order_waits_for_the_guest(shop: Engine) -> None:
    await arrive(shop, created(1, 1, ("10.00", 1), customer=8), cancelled(2, 1))
    assert [row.state for row in (await log())[1:]] == [State.WAITING] * 2
    await arrive(shop, customer(8))
    assert (await states())[1:] == [
        ("create-1-1", "done"), ("cancel-2", "waiting"), ("customer-8", "done")
    ]  # fmt: skip
    assert await scalar("SELECT count(*) FROM event WHERE kind = 1") == 1


async def test_a_guest_that_never_comes_is_given_up(shop: Engine) -> None:
    await arrive(shop, created(1, 1, ("10.00", 1), customer=8))
    for day in range(7):
        await work(shop, NOW + timedelta(days=day))
        assert (await log())[1].state is State.WAITING
    last = NOW + PATIENCE
    await work(shop, last)
    row = (await log())[1]
    assert (row.state, row.done_at, row.next_at) == (State.REFUSED, last, None)
    assert row.problem == ("given up after 7 days: nobody is known by its member's identifier yet")
    # Known at last, it is done when somebody asks.
    await arrive(shop, customer(8), now=last)
    assert await replay(shop, [row.id], last)
    assert (await log())[1].state is State.DONE


async def test_how_often_a_waiting_one_is_tried(shop: Engine) -> None:
    await arrive(shop, created(1, 1, ("10.00", 1), customer=8), cancelled(2, 1))
    now, waits = NOW, []
    for _ in range(9):
        rows = (await log())[1:]
        waits.append([(row.next_at - now) // MINUTE for row in rows if row.next_at])
        now = max(row.next_at for row in rows if row.next_at)
        await work(shop, now)
    assert waits == [[wait, wait] for wait in (1, 2, 4, 8, 16, 32, 60, 60, 60)]


async def test_what_is_sent_in_sequence_waits_for_what_comes_before(shop: Engine) -> None:
    hooks = [
        replace(hook, said={**hook.said, "sequence": n})
        for n, hook in enumerate(
            [created(1, 1, ("10.00", 2)), edited(1, 2, ("20.00", 2)), refunded(1, 3, 9, (1, 1))], 1
        )
    ]
    await arrive(shop, hooks[0], hooks[2])
    assert (await log())[2].problem == "what must come before it hasn't come yet"
    assert await points() == 10
    await arrive(shop, hooks[1])
    assert [state for _, state in await states()] == ["done"] * 4
    assert await points() == 10


async def test_ignored_ones_are_kept_and_said(shop: Engine) -> None:
    await arrive(shop, Webhook("shop/update", "s", {"id": 1}))
    await arrive(shop, replace(created(5, 1), topic="orders/paid"))
    rows = (await log())[1:]
    assert [row.state for row in rows] == [State.IGNORED] * 2
    assert [row.outcome[0]["told"] for row in rows] == [
        "the shop itself", "orders/paid doesn't matter"
    ]  # fmt: skip


async def test_a_malformed_message_is_refused_in_words_and_no_fault(shop: Engine) -> None:
    await arrive(shop, replace(created(1, 1), said={"id": 1, "updated_at": "yesterday"}))
    row = (await log())[1]
    assert (row.state, row.subject, row.outcome) == (State.REFUSED, "", [])
    assert row.problem == "'yesterday' is no instant such as 2026-11-22T09:30:00+03:00"
    assert await faults.of_partners([1]) == []


async def test_a_read_that_fails_is_the_partners_fault_and_can_be_mended(database: str) -> None:
    def broken(message: Message) -> Received:
        raise KeyError("ada@example.com")

    engine = await open_webshop(replace(ADAPTER, read=broken))
    clock = [0.0]
    engine.containment.reading = Breakers(lambda: clock[0])
    hooks = [customer(7), *(created(n, 1, ("10.00", 1)) for n in range(1, 6))]
    for hook in hooks:
        await put(engine, hook)
    await work(engine, NOW)
    rows = await log()
    assert [row.state for row in rows] == [State.REFUSED] * 5 + [State.WAITING]
    assert rows[0].problem == "adapter 'shopify': its read raised KeyError"
    assert "is suspended" in rows[5].problem
    (fault,) = await faults.of_partners([rows[0].partner])
    assert fault[1:4] == ("in/shopify", "raised KeyError", 5)
    # Its rules go on: they didn't fail.
    assert engine.containment.breakers.left(rows[0].partner) == 0
    mended = await open_webshop()
    await replay(mended, [row.id for row in rows], NOW)
    assert [row.state for row in await log()] == [State.DONE] * 6
    assert await points() == 50


async def test_a_replay_doubles_nothing(shop: Engine) -> None:
    await arrive(
        shop, created(1, 1, ("10.00", 2)), edited(1, 2, ("30.00", 2)), refunded(1, 3, 9, (1, 1))
    )
    before = await books()
    rows = await log()
    for order in (rows, rows[::-1]):
        for row in order:
            await replay(shop, [row.id], NOW)
    await replay(shop, [row.id for row in rows], NOW)
    assert await books() == before
    assert [row.state for row in await log()] == [State.DONE] * 4
    assert await points() == 15


async def test_a_replay_reports_no_later_than_the_contract_allows(shop: Engine) -> None:
    """What waited is late by no fault of its own; what is merely done again isn't."""
    late = NOW + timedelta(days=91)
    await arrive(shop, created(1, 1, ("10.00", 1)))
    await arrive(shop, refunded(1, 2, 9, (1, 1)), now=late)
    row = (await log())[2]
    assert row.state is State.REFUSED
    assert "may report up to 90 days late" in row.problem
    await replay(shop, [row.id], late)
    assert (await log())[2].state is State.REFUSED


async def test_a_name_that_is_learnt_later_may_be_known(database: str) -> None:
    def blind(message: Message) -> Received:
        raise RuntimeError

    engine = await open_webshop(replace(ADAPTER, read=blind))
    hook = customer(7)
    await arrive(engine, hook)
    engine = await open_webshop()
    await arrive(engine, hook)
    first, second = await log()
    assert (first.state, second.state) == (State.REFUSED, State.DONE)
    await replay(engine, [first.id], NOW)
    first, second = await log()
    assert (first.state, second.state) == (State.SUPERSEDED, State.DONE)
    assert await scalar("SELECT count(*) FROM member") == 1


async def test_bodies_are_dropped_a_month_after_they_are_done(shop: Engine) -> None:
    await arrive(shop, created(1, 1, ("10.00", 1)), created(1, 2, ("20.00", 1)), cancelled(2, 1))
    await nightly.run(shop, NOW + timedelta(days=30))
    assert [row.body is None for row in await log()] == [False] * 4
    done = await nightly.run(shop, NOW + timedelta(days=30, seconds=1))
    assert done.forgotten == 3
    rows = await log()
    assert [(r.body, r.headers, r.outcome) for r in rows[:3]] == [(None, {}, [])] * 3
    assert rows[2].problem == "dropped with the body"
    # What waits is kept, and what was dropped can't be done again.
    assert rows[3].body is not None
    with pytest.raises(BadInput, match="was dropped 30 days after"):
        await replay(shop, [rows[1].id], NOW)
    assert (await log())[1].state is State.DONE


async def test_a_batch_costs_a_fixed_number_of_statements(shop: Engine) -> None:
    counts = []
    for size in (1, 40):
        for n in range(size):
            number = 100 * size + n
            await put(shop, created(number, 1, ("10.00", 1)))
            await put(shop, refunded(number, 2, number, (1, 1)))
        with statements() as sent:
            assert await work(shop, NOW) == 2 * size
        counts.append(len(sent))
    assert counts[0] == counts[1], counts


async def test_a_command_that_fails_costs_its_delivery_alone(shop: Engine) -> None:
    euros = created(4, 1, ("1.00", 1))
    bad = [
        created(1, 1, ("-1.00", 1)), created(2, 1, ("1.005", 1)), created(3, 1),
        replace(euros, said={**euros.said, "currency": "EUR"}),
        refunded(6, 5, 60, (9, 1)), created(6, 1, ("6.00", 1)), created(7, 90, ("1.00", 1)),
    ]  # fmt: skip
    for hook in bad:
        await put(shop, hook)
    await put(shop, created(5, 1, ("10.00", 1)))
    await work(shop, NOW)
    found = {row.delivery: (row.state.name, row.problem) for row in await log()}
    assert found["create-5-1"] == ("DONE", "")
    assert found["create-6-1"] == ("DONE", "")
    assert found["create-1-1"][1].startswith("lines.0.amount: ")
    assert found["create-2-1"][1].startswith("lines.0.amount: ")
    assert found["create-3-1"] == ("REFUSED", "lines: a receipt has 1 to 10000 lines, not 0")
    assert found["create-4-1"][1].startswith("currency: partner 'webshop' trades in USD")
    assert found["refund-60"] == ("REFUSED", "lines.0.line: the receipt has 1 lines")
    assert found["create-7-90"][1].startswith("occurredAt: ")
    assert await points() == 16


async def test_several_commands_are_done_in_their_order(database: str) -> None:
    def both(message: Message) -> Received:
        found = understand(message)
        assert isinstance(found, Delivery)
        if isinstance(found.commands[0], RecordPurchase):
            who = understand(Message(customer(7).headers, customer(7).body))
            assert isinstance(who, Delivery)
            return replace(found, commands=[*who.commands, *found.commands])
        return found

    engine = await open_webshop(replace(ADAPTER, read=both))
    await arrive(engine, created(1, 1, ("10.00", 1)))
    (row,) = await log()
    assert [(x["command"], x["what"]) for x in row.outcome] == [
        ("Enrol", "booked"), ("RecordPurchase", "booked")
    ]  # fmt: skip
    assert await points() == 10
