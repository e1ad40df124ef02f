"""The outbox: a row for each booked event, sent on once, whatever commits late or dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
import pytest

from core import dispatching
from core.db import Connection, transaction
from core.events import EventKind
from core.nightly import run
from core.outbox import MOST_BYTES, notices
from core.outcomes import Recorded
from core.posting import Engine
from core.redemptions import redeem
from core.store import outbox as store
from core.store.writes import ChangeRow
from tests.core.shop import days, earn, open_shop, wish
from tests.schema.client import statements
from tests.support import NOW, enrol_cards, receipt, scalar

_ADD = (
    "INSERT INTO outbox (event_id, holder_id, partner_id, kind, currencies, ladders) "
    "VALUES ($1, 7, 1, 1, '{}', '{}')"
)
_UNSENT = (
    "SELECT event_id, holder_id, partner_id, kind, currencies, ladders, redemption_id FROM outbox "
    "ORDER BY event_id, kind"
)


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[list[list[Any]]]:
    """What is told on the channel meanwhile: changes, in the order in which they are heard."""
    heard: list[list[Any]] = []
    connection: Connection = await asyncpg.connect(url)
    await connection.add_listener(
        dispatching.CHANNEL, lambda *told: heard.extend(orjson.loads(told[3]))
    )
    try:
        yield heard
        # Whatever was told before comes before this statement's answer.
        await connection.fetchval("SELECT 1")
    finally:
        await connection.close()


async def unsent() -> list[tuple[Any, ...]]:
    """The rows of the outbox, by event."""
    async with transaction() as connection:
        rows = await connection.fetch(_UNSENT)
    return [tuple(row) for row in rows]


async def recorded(engine: Engine, *numbers: str) -> list[Recorded]:
    items = [receipt(engine, number, "1") for number in numbers]
    done = await engine.record_purchases(items, NOW)
    assert all(isinstance(one, Recorded) for one in done)
    return [one for one in done if isinstance(one, Recorded)]


# --- what is written ------------------------------------------------------------------------------


async def test_each_booked_event_leaves_a_row_and_one_sent_again_none(engine: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    one, two = await recorded(engine, "R1", "R2")
    assert (one.moves, [move.ladder for move in two.moves]) == ((), [1])  # silver from 60 stars on
    rows = await unsent()
    assert [row[:4] for row in rows] == [
        (one.event, holder, 1, EventKind.PURCHASE),
        (two.event, holder, 1, EventKind.PURCHASE),
    ]
    assert [row[4] for row in rows] == [[1], [1]]  # both earn stars
    assert [row[5] for row in rows] == [[], [1]]
    assert [row[6] for row in rows] == [None, None]
    await recorded(engine, "R1", "R2")
    assert await unsent() == rows


async def test_history_leaves_none(engine: Engine) -> None:
    await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "R1", "1")], NOW, historical=True)
    assert await scalar("SELECT count(*) FROM event") == 1
    assert await unsent() == []


async def test_what_is_rolled_back_leaves_none(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol_cards(["1"])

    async def broken(*_: object) -> None:
        raise RuntimeError("the process died here")

    monkeypatch.setattr("core.posting.attributes.write", broken)
    with pytest.raises(RuntimeError):
        await recorded(engine, "R1")
    assert await scalar("SELECT count(*) FROM event") == 0
    assert await unsent() == []


async def test_redemptions_and_the_night_are_told_too(database: str) -> None:
    engine = await open_shop()
    (holder,) = await enrol_cards(["1"])
    await earn(engine, "R1", "200.00")
    assert await unsent() == []  # this helper tells history
    done = await redeem(engine, wish(holder, "mug"), NOW)
    (row,) = await unsent()
    star = next(c.id for c in engine.rulebook.currencies.values() if c.code == "STAR")
    number = await scalar("SELECT id FROM redemption")
    assert done is not None
    assert row[1:] == (holder, 1, EventKind.REDEMPTION, [star], [], number)
    await run(engine, NOW + days(100))
    told = await unsent()
    kinds = [EventKind(other[3]) for other in told]
    assert kinds.count(EventKind.NIGHT) == 1
    (night,) = [other for other in told if other[3] == EventKind.NIGHT]
    assert night[1:] == (holder, 0, EventKind.NIGHT, [star], [], None)
    assert EventKind.REVIEW in kinds  # the ranks fell when what counted had left the window
    assert all(other[5] for other in told if other[3] == EventKind.REVIEW)


async def test_every_event_has_its_row_and_no_other(database: str) -> None:
    engine = await open_shop()
    (holder,) = await enrol_cards(["1"])
    item = receipt(engine, "R1", "1", NOW, ("SHOES", "300.00"))
    await engine.record_purchases([item], NOW)
    await redeem(engine, wish(holder, "mug", hold="1h"), NOW)
    await run(engine, NOW + days(100))
    events = await scalar("SELECT array_agg(id ORDER BY id) FROM event")
    assert [row[0] for row in await unsent()] == events
    assert len(events) >= 5


async def test_it_costs_no_statement(engine: Engine) -> None:
    await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "R", "1")], NOW, historical=True)
    counts = []  # from here on there are ids to take
    for historical in (True, False):
        items = [receipt(engine, f"{historical}{n}", "1") for n in range(5)]
        with statements() as sent:
            await engine.record_purchases(items, NOW, historical=historical)
        counts.append(len(sent))
    assert len(await unsent()) == 5
    assert counts == [6, 6]


# --- what is sent ---------------------------------------------------------------------------------


async def test_what_was_booked_is_heard_once(database: str, engine: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    one, two = await recorded(engine, "R1", "R2")
    rows = await unsent()
    async with hearing(database) as heard:
        assert await dispatching.dispatch() == 2
        assert await dispatching.dispatch() == 0
    assert heard == [list(row) for row in rows]
    assert [change[:2] for change in heard] == [[one.event, holder], [two.event, holder]]
    assert await unsent() == []


async def test_a_death_before_the_commit_loses_nothing(
    database: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol_cards(["1"])
    await recorded(engine, "R1")
    rows = await unsent()
    original = store.notify

    async def dies(*given: Any) -> None:
        await original(*given)
        raise RuntimeError("the process died here")

    monkeypatch.setattr(store, "notify", dies)
    async with hearing(database) as heard:
        with pytest.raises(RuntimeError):
            await dispatching.dispatch()
    assert heard == []
    assert await unsent() == rows
    monkeypatch.undo()
    async with hearing(database) as heard:
        assert await dispatching.dispatch() == 1
    assert heard == [list(row) for row in rows]


async def claim_by_number(after: int) -> list[int]:
    """The control: takes what has a greater number than the last one that it saw."""
    async with transaction() as connection:
        rows = await connection.fetch(
            "SELECT event_id FROM outbox WHERE event_id > $1 ORDER BY 1", after
        )
    return [row[0] for row in rows]


@pytest.mark.parametrize("by_number", [False, True], ids=["by state", "control: by number"])
async def test_what_commits_late_is_told_late(database: str, by_number: bool) -> None:
    """The first takes its number, the second commits before it."""
    heard: list[int] = []

    async def send() -> None:
        if by_number:
            heard.extend(await claim_by_number(max(heard, default=0)))
        else:
            async with hearing(database) as told:
                await dispatching.dispatch()
            heard.extend(change[0] for change in told)

    async with transaction() as early:
        await early.execute(_ADD, 1)
        async with transaction() as late:
            await late.execute(_ADD, 2)
        await send()
    await send()
    assert heard == ([2] if by_number else [2, 1])


async def test_two_at_once_take_what_the_other_has_not(database: str) -> None:
    async with transaction() as connection:
        await connection.executemany(_ADD, [(n,) for n in range(1, 7)])
    async with transaction() as one, transaction() as two:
        first = await store.claim(one, 4)
        second = await store.claim(two, 4)  # which waits for nobody
        assert {c.event for c in first} | {c.event for c in second} == set(range(1, 7))
        assert len(first) + len(second) == 6
    assert await unsent() == []


async def test_many_at_once_tell_each_change_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "BATCH", 7)
    async with transaction() as connection:
        await connection.executemany(_ADD, [(n,) for n in range(1, 101)])

    async def all_of_it() -> None:
        while await store.waits():
            await dispatching.dispatch()

    async with hearing(database) as heard:
        await asyncio.gather(*(all_of_it() for _ in range(3)))
    assert sorted(change[0] for change in heard) == list(range(1, 101))


@pytest.mark.parametrize("count", [1, 300])
async def test_a_batch_costs_a_fixed_number_of_statements(database: str, count: int) -> None:
    async with transaction() as connection:
        await connection.executemany(_ADD, [(n,) for n in range(count)])
    with statements() as sent:
        assert await dispatching.dispatch() == count
    assert len([one for one in sent if "outbox" in one or "pg_notify" in one]) == 3


# --- how it is put --------------------------------------------------------------------------------


def _told(found: Sequence[str]) -> list[list[Any]]:
    return [change for one in found for change in orjson.loads(one)]


def test_notices_are_short_and_complete() -> None:
    changes = [
        ChangeRow(2**60 + n, 2**60, 3, 1, (1, 2, 3), (4,), 2**61 if n % 2 else None)
        for n in range(500)
    ]
    found = notices(changes)
    assert len(found) > 1
    assert max(len(one.encode()) for one in found) <= MOST_BYTES
    assert _told(found) == [[*c[:4], list(c[4]), list(c[5]), c[6]] for c in changes]
    assert notices([]) == []


def test_a_change_too_long_for_a_notice_is_told_in_several() -> None:
    change = ChangeRow(1, 2, 3, 14, tuple(range(10**9, 10**9 + 2000)), (5,))
    found = notices([change])
    assert max(len(one.encode()) for one in found) <= MOST_BYTES
    told = _told(found)
    assert {tuple(one[:4]) for one in told} == {(1, 2, 3, 14)}
    assert tuple(c for one in told for c in one[4]) == change.currencies
    assert [ladder for one in told for ladder in one[5]] == [5]
