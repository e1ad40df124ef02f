"""Many at once: the same event is booked once, batches that overlap neither block nor miscount."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

import core.db
import core.posting
import core.store.posting
from core.check import prove
from core.errors import IdempotencyConflict, NotEligible, WrongState
from core.outcomes import Recorded
from core.posting import Engine
from core.redeemed import Redemption, Status
from core.redemptions import cancel, confirm, redeem, time_out
from core.rulebook import Rulebook
from tests.core.shop import balance, earn, open_shop, wish
from tests.support import CONNECTIONS, DAY, NOW, blocked, books, enrol_cards, receipt, scalar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.db import Connection


async def test_one_event_from_sixteen_connections_is_booked_once_and_answered_sixteen_times(
    wide: str, rulebook: Rulebook
) -> None:
    engines = [Engine(rulebook) for _ in range(CONNECTIONS)]  # as many processes would
    await enrol_cards(["1"])
    outcomes = await asyncio.gather(
        *(engine.record_purchases([receipt(engine, "R1")], NOW) for engine in engines)
    )
    done = [o for (o,) in outcomes if isinstance(o, Recorded)]
    assert len(done) == 16
    assert len({(d.event, d.holder, d.booked_at) for d in done}) == 1
    assert sum(not d.replayed for d in done) == 1
    assert await scalar("SELECT count(*) FROM event") == 1
    assert await scalar("SELECT sum(amount)::int FROM transfer") == 35


async def test_one_external_id_for_many_members_goes_to_one_of_them(
    database: str, rulebook: Rulebook
) -> None:
    members = [str(n) for n in range(8)]
    engine = Engine(rulebook)
    await enrol_cards(members)
    outcomes = await asyncio.gather(
        *(engine.record_purchases([receipt(engine, "R1", m)], NOW) for m in members)
    )
    kinds = Counter(type(o) for (o,) in outcomes)
    assert kinds == {Recorded: 1, IdempotencyConflict: 7}
    assert await scalar("SELECT count(*) FROM event") == 1


async def test_overlapping_batches_from_eight_tasks_add_up_without_a_deadlock(
    database: str, rulebook: Rulebook
) -> None:
    members = [str(n) for n in range(12)]
    await enrol_cards(members)
    chance = random.Random(7)

    async def till(task: int) -> list[Any]:
        engine, outcomes = Engine(rulebook), []
        for turn in range(6):
            # Half of the receipts are this task's own, half are sent by every task.
            items = [
                receipt(engine, f"T{task}-{turn}-{n}", chance.choice(members), NOW - DAY)
                for n in range(10)
            ] + [receipt(engine, f"ALL-{turn}-{n}", members[n], NOW - DAY) for n in range(10)]
            chance.shuffle(items)
            outcomes += await engine.record_purchases(items, NOW)
        return outcomes

    outcomes = [o for done in await asyncio.gather(*map(till, range(8))) for o in done]
    assert len(outcomes) == 8 * 6 * 20
    assert all(isinstance(o, Recorded) for o in outcomes)
    fresh = [o for o in outcomes if not o.replayed]
    assert len(fresh) == len({o.event for o in outcomes}) == 8 * 60 + 60
    await assert_books_add_up(len(fresh))


async def assert_books_add_up(events: int) -> None:
    assert await scalar("SELECT count(*) FROM event") == events
    assert await scalar("SELECT count(*) FROM decision") == events
    assert await scalar("SELECT sum(purchases)::int FROM relation") == events
    wrong = await scalar(
        """
        SELECT count(*) FROM ledger l LEFT JOIN LATERAL (
            SELECT sum(amount) FILTER (WHERE target = 1) AS came,
                sum(amount) FILTER (WHERE source = 1) AS went, max(seq) AS seq, count(*) AS rows
            FROM transfer t WHERE (t.holder_id, t.currency_id) = (l.holder_id, l.currency_id)
        ) t ON true LEFT JOIN LATERAL (
            SELECT sum(remaining) AS open FROM lot o
            WHERE (o.holder_id, o.currency_id) = (l.holder_id, l.currency_id)
        ) o ON true
        WHERE l.active <> came - coalesce(went, 0) OR l.active <> o.open OR l.seq <> t.seq
            OR t.rows <> l.seq
        """
    )
    assert wrong == 0


async def test_batches_that_claim_the_same_ids_for_other_members_do_not_deadlock(
    database: str, rulebook: Rulebook
) -> None:
    """No holder's lock is shared here: two batches meet in the natural keys alone."""
    engines = [Engine(rulebook) for _ in range(8)]
    members = [str(n) for n in range(8)]
    await enrol_cards(members)
    chance = random.Random(3)
    for turn in range(10):
        batches = []
        for engine, member in zip(engines, members, strict=True):
            items = [receipt(engine, f"R{turn}-{n}", member) for n in range(40)]
            chance.shuffle(items)
            batches.append(engine.record_purchases(items, NOW))
        outcomes = [o for batch in await asyncio.gather(*batches) for o in batch]
        kinds = Counter(type(o) for o in outcomes)
        assert kinds == {Recorded: 40, IdempotencyConflict: 280}
    await assert_books_add_up(400)


async def test_batches_that_meet_in_two_ids_from_both_ends_do_not_deadlock(
    database: str, rulebook: Rulebook
) -> None:
    """A third holds the id in the middle until both have gone as far as they can."""
    engines = [Engine(rulebook) for _ in range(2)]
    await enrol_cards(["1", "2"])
    ids = ["A", "M", "Z"]
    async with core.db.reading() as connection:
        held = connection.transaction()
        await held.start()
        await connection.execute(
            "INSERT INTO event VALUES (1, 1, now(), now(), 0, 1, 1, 'USD', $1, 'M', '')", bytes(16)
        )
        tasks = [
            asyncio.create_task(
                engine.record_purchases([receipt(engine, i, member) for i in order], NOW)
            )
            for engine, member, order in zip(engines, ["1", "2"], [ids, ids[::-1]], strict=True)
        ]
        await blocked(2, *tasks)
        await held.rollback()
    outcomes = [o for batch in await asyncio.gather(*tasks) for o in batch]
    assert Counter(type(o) for o in outcomes) == {Recorded: 3, IdempotencyConflict: 3}


async def test_a_batch_that_is_cancelled_leaves_nothing_and_no_lock(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol_cards(["1"])
    reached = asyncio.Event()
    original = core.store.posting.write_holders

    async def hang(*arguments: Any) -> None:
        await original(*arguments)
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(core.store.posting, "write_holders", hang)
        task = asyncio.create_task(engine.record_purchases([receipt(engine, "R1")], NOW))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    found = await books()
    assert not any(rows for table, rows in found.items() if table != "holder")
    (done,) = await engine.record_purchases([receipt(engine, "R1")], NOW)
    assert isinstance(done, Recorded)
    assert not done.replayed


# --- redemptions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [29, 30, 299, 480])
async def test_of_many_redemptions_at_once_the_affordable_number_succeeds(
    wide: str, points: int
) -> None:
    shop = await open_shop()
    (holder,) = await enrol_cards(["1"])
    for n, part in enumerate((7, 11, points - 18)):  # lots that no coffee's price divides
        await earn(shop, f"R{n}", f"{part}.00")
    requests = [
        wish(holder, "coffee", key=f"k{n}", partner="cafe", hold="1D" if n % 2 else None)
        for n in range(3 * CONNECTIONS)
    ]
    outcomes = await asyncio.gather(
        *(redeem(shop, request, NOW) for request in requests), return_exceptions=True
    )
    done = [x for x in outcomes if isinstance(x, Redemption)]
    assert Counter(map(type, outcomes)) == Counter(
        {Redemption: points // 30, NotEligible: len(requests) - points // 30}
    )
    held = sum(x.status is Status.HELD for x in done)
    found = await balance(shop, holder, NOW)
    assert (found["active"], found["reserved"]) == (points % 30, 30 * held)
    assert await prove() == []


async def test_everything_at_once_on_three_members_adds_up(wide: str) -> None:
    """Purchases, redemptions, holds that end in three ways: no order of them is ruled out."""
    shop = await open_shop()
    cards = ["1", "2", "3"]
    holders = await enrol_cards(cards)
    for card in cards:
        await earn(shop, f"R{card}", "100.00", card)
    spent: Counter[int] = Counter()

    async def visit(number: int) -> None:
        chance = random.Random(number)
        place = chance.randrange(3)
        holder, engine = holders[place], Engine(shop.rulebook)
        await earn(engine, f"V{number}", "10.00", cards[place], partner="grocer")
        request = wish(holder, "coffee", key=f"k{number}", partner="cafe", hold="1D")
        try:
            held = await redeem(engine, request, NOW)
        except NotEligible:
            return
        ends = [
            confirm(engine, holder, held.id, "till", f"y{number}", NOW),
            cancel(engine, holder, held.id, "till", f"n{number}", NOW),
        ]
        chance.shuffle(ends)
        results = await asyncio.gather(*ends, return_exceptions=True)
        (won,) = [x for x in results if isinstance(x, Redemption)]
        assert sum(isinstance(x, WrongState) for x in results) == 1
        spent[holder] += 30 * (won.status is Status.COMPLETED)

    await asyncio.gather(*map(visit, range(60)), *(time_out(shop, NOW) for _ in range(4)))
    came = Counter(holders[random.Random(n).randrange(3)] for n in range(60))
    for holder in holders:
        found = await balance(shop, holder, NOW)
        assert found["active"] == 100 + 10 * came[holder] - spent[holder]
        assert found["reserved"] == 0
    assert await prove() == []


# --- the number of statements ---------------------------------------------------------------------


async def statements(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, first: int, count: int
) -> list[str]:
    """What goes to the server while a batch of this many purchases is posted."""
    seen: list[str] = []
    original = core.db.transaction

    @asynccontextmanager
    async def logged() -> AsyncIterator[Connection]:
        async with original() as connection:
            connection.add_query_logger(note)
            try:
                yield connection
            finally:
                connection.remove_query_logger(note)

    def note(record: Any) -> None:
        seen.append(record.query)

    items = [receipt(engine, f"R{first + n}", str(n % 20), NOW - DAY) for n in range(count)]
    with monkeypatch.context() as patched:
        patched.setattr(core.posting, "transaction", logged)
        outcomes = await engine.record_purchases(items, NOW)
    assert all(isinstance(o, Recorded) and not o.replayed for o in outcomes)
    return seen


async def test_one_purchase_and_two_hundred_take_the_same_statements(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol_cards([str(n) for n in range(20)])
    await statements(engine, monkeypatch, 0, 1)  # takes a block of ids, and the types of arrays
    one = await statements(engine, monkeypatch, 1, 1)
    many = await statements(engine, monkeypatch, 2, 200)
    again = await statements(engine, monkeypatch, 202, 200)
    assert len(one) == 4
    assert one == many == again
