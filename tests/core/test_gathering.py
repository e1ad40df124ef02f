"""Requests that share a batch: books and answers as one after the other, and nobody else's harm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from core import gathering
from core.check import prove
from core.db import connected
from core.errors import IdempotencyConflict, Refusal, UnknownReference
from core.gathering import APART, LANES, MOST, Gathering, Post
from core.outcomes import Outcome, Recorded
from core.posting import Engine
from core.purchases import Incoming
from tests.support import NOW, Databases, books, enrol_cards, receipt, scalar, small_rulebook

Requests = list[list[Incoming]]


def random_requests(engine: Engine, seed: int) -> Requests:
    """Of one to three purchases: some again, some of other content, some of nobody."""
    chance = random.Random(seed)
    requests: Requests = []
    for _ in range(25):
        requests.append(
            [
                receipt(
                    engine, f"R{chance.randint(0, 30)}", chance.choice("12345x"),
                    NOW - timedelta(days=chance.randint(0, 3)),
                    ("PRODUCE", f"{chance.choice((10, 10, 10, 12))}.00"),
                    partner=chance.choice(("grocer", "grocer", "cafe")) ,
                )
            ]
            * chance.choice((1, 1, 2))
        )  # fmt: skip
    return requests


def told(outcome: Outcome | BaseException) -> object:
    """What an answer says."""
    if isinstance(outcome, Recorded):
        return outcome.event, outcome.holder, outcome.booked_at, outcome.replayed
    assert isinstance(outcome, Refusal)
    return type(outcome), str(outcome), outcome.path


async def posted(
    databases: Databases, seed: int, through: Callable[[Engine, Requests], Any]
) -> tuple[Any, Any]:
    """The books and the answers after the same requests."""
    async with databases.migrated() as url, connected(url):
        engine = Engine(small_rulebook())
        await enrol_cards("12345")
        answers = await through(engine, random_requests(engine, seed))
        assert await prove() == []
        return await books(), [[told(o) for o in answer] for answer in answers]


async def _one_by_one(engine: Engine, requests: Requests) -> list[list[Outcome]]:
    by_partner = sorted(requests, key=lambda r: r[0].partner.id)
    done = {id(r): await engine.record_purchases(r, NOW) for r in by_partner}
    return [done[id(r)] for r in requests]


def _gathered(post: Callable[[Engine], Post]) -> Callable[[Engine, Requests], Any]:
    async def run(engine: Engine, requests: Requests) -> list[list[Outcome]]:
        """All at once, but for the order of the partners, in which ids are taken."""
        gathered = Gathering(post(engine))
        by_partner = sorted({r[0].partner.id for r in requests})
        done: dict[int, list[Outcome]] = {}
        for partner in by_partner:
            own = [r for r in requests if r[0].partner.id == partner]
            found = await asyncio.gather(*(gathered.record(r, NOW) for r in own))
            done |= {id(r): answer for r, answer in zip(own, found, strict=True)}
        return [done[id(r)] for r in requests]

    return run


@pytest.mark.parametrize("seed", range(4))
async def test_books_and_answers_are_as_one_after_the_other(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """To the last id; in one lane, for two leave open who comes first."""
    monkeypatch.setattr(gathering, "LANES", 1)
    sizes: list[int] = []

    def counted(engine: Engine) -> Post:
        async def post(items: Sequence[Incoming], now: datetime) -> list[Outcome]:
            sizes.append(len(items))
            return await engine.record_purchases(items, now)

        return post

    alone = await posted(databases, seed, _one_by_one)
    assert await posted(databases, seed, _gathered(counted)) == alone
    assert len(sizes) == 2  # for each partner all that came at once
    assert any(told[0] is IdempotencyConflict for answer in alone[1] for told in answer)
    assert any(told[0] is UnknownReference for answer in alone[1] for told in answer)


async def test_the_comparison_sees_answers_that_are_mixed_up(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: items of a batch out of their order."""
    monkeypatch.setattr(gathering, "LANES", 1)

    def turned(engine: Engine) -> Post:
        async def post(items: Sequence[Incoming], now: datetime) -> list[Outcome]:
            return list(reversed(await engine.record_purchases(items, now)))

        return post

    alone = await posted(databases, 1, _one_by_one)
    mixed = await posted(databases, 1, _gathered(turned))
    assert mixed[0] == alone[0]
    assert mixed[1] != alone[1]


async def test_two_lanes_book_each_purchase_once(engine: Engine) -> None:
    """Members and numbers shared between batches that are under way together."""
    await enrol_cards("12")
    items = [receipt(engine, f"R{n % 20}", str(1 + n % 2)) for n in range(60)]
    found = [o for [o] in await asyncio.gather(*(engine.tills.record([i], NOW) for i in items))]
    assert all(isinstance(o, Recorded) for o in found)
    assert sum(not o.replayed for o in found if isinstance(o, Recorded)) == 20
    assert await scalar("SELECT count(*) FROM event") == 20
    assert await prove() == []


class Stub:
    """A post that waits until it is let go, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[list[str], datetime]] = []
        self.go = asyncio.Event()

    async def __call__(self, items: Sequence[Incoming], now: datetime) -> list[Outcome]:
        """Answer each by its own number, as a refusal; one that is called 'bad' fails all."""
        names = [item.purchase.external_id for item in items]
        self.given.append((names, now))
        await self.go.wait()
        if "bad" in names:
            raise RuntimeError("bad")
        return [UnknownReference(name) for name in names]


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def _asked(stub: Gathering, engine: Engine, *names: str, now: datetime = NOW) -> asyncio.Task[Any]:
    return asyncio.ensure_future(stub.record([receipt(engine, name) for name in names], now))


async def _lanes(engine: Engine) -> tuple[Stub, Gathering, list[asyncio.Task[Any]]]:
    """Two requests under way by themselves, so that others must wait."""
    stub = Stub()
    gathered = Gathering(stub)
    first = [_asked(gathered, engine, "a")]
    await _turns()
    first.append(_asked(gathered, engine, "b"))
    await _turns()
    assert [names for names, _ in stub.given] == [["a"], ["b"]]  # nobody waited for others
    return stub, gathered, first


async def test_who_comes_meanwhile_joins_the_next_batch(engine: Engine) -> None:
    stub, gathered, first = await _lanes(engine)
    later = [
        _asked(gathered, engine, name, now=NOW + timedelta(seconds=n))
        for n, name in enumerate("cde")
    ]
    await _turns()
    assert len(stub.given) == 2
    stub.go.set()
    answers = [str(o) for task in (*first, *later) for o in await task]
    assert answers == list("abcde")
    assert stub.given[2:] == [(["c", "d", "e"], NOW + timedelta(seconds=2))]
    assert not gathered._waiting


async def test_another_partner_waits_for_nobody(engine: Engine) -> None:
    stub, gathered, first = await _lanes(engine)
    other = asyncio.ensure_future(gathered.record([receipt(engine, "o", partner="cafe")], NOW))
    await _turns()
    assert stub.given[2:] == [(["o"], NOW)]
    stub.go.set()
    await asyncio.gather(*first, other)


async def test_a_batch_is_bounded_in_size_and_time(engine: Engine) -> None:
    stub, gathered, first = await _lanes(engine)
    half = MOST // 2
    tasks = [
        _asked(gathered, engine, *["x"] * half),
        _asked(gathered, engine, *["y"] * half),
        _asked(gathered, engine, "z"),
        _asked(gathered, engine, "late", now=NOW + APART + timedelta(seconds=1)),
    ]
    large = _asked(gathered, engine, *["l"] * (MOST + 1))
    await _turns()
    assert [len(names) for names, _ in stub.given[2:]] == [MOST + 1]  # by itself, at once
    stub.go.set()
    await asyncio.gather(*first, *tasks, large)
    assert sorted(len(names) for names, _ in stub.given[3:]) == [1, 1, MOST]


async def test_what_fails_together_is_tried_apart(engine: Engine) -> None:
    stub, gathered, first = await _lanes(engine)
    tasks = [_asked(gathered, engine, name) for name in ("c", "bad", "d")]
    await _turns()
    stub.go.set()
    await asyncio.gather(*first)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(a[0]) if isinstance(a, list) else repr(a) for a in answers] == [
        "c", "RuntimeError('bad')", "d",
    ]  # fmt: skip
    assert [names for names, _ in stub.given[2:]] == [["c", "bad", "d"], ["c"], ["bad"], ["d"]]
    alone = await asyncio.gather(_asked(gathered, engine, "bad"), return_exceptions=True)
    assert isinstance(alone[0], RuntimeError)
    assert len(stub.given) == 7  # tried once


async def test_what_fails_together_takes_no_more_connections_apart(engine: Engine) -> None:
    """One after the other: a fault of a hundred isn't a hundred at once."""
    at_once = most = 0
    gate = asyncio.Event()

    async def post(items: Sequence[Incoming], now: datetime) -> list[Outcome]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await gate.wait()
        at_once -= 1
        raise ValueError(len(items))

    gathering = Gathering(post)
    items = [receipt(engine, f"R{n}", "1", NOW, ("PRODUCE", "1.00")) for n in range(40)]
    told = [asyncio.create_task(gathering.record([item], NOW)) for item in items]
    for _ in range(3):
        await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*told, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError] * 40
    assert most <= LANES


async def test_who_stops_waiting_costs_nobody_anything(engine: Engine) -> None:
    stub, gathered, first = await _lanes(engine)
    gone, stays = _asked(gathered, engine, "gone"), _asked(gathered, engine, "stays")
    await _turns()
    first[0].cancel()  # under way: it is booked all the same
    gone.cancel()  # not begun: as if it never came
    await _turns()
    stub.go.set()
    assert [str(o) for o in await stays] == ["stays"]
    assert [str(o) for o in await first[1]] == ["b"]
    assert [names for names, _ in stub.given] == [["a"], ["b"], ["stays"]]
    for task in (first[0], gone):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_whoever_stops_the_work_tells_all_who_wait_for_it(engine: Engine) -> None:
    stub, gathered, first = await _lanes(engine)
    for task in list(gathered._tasks):
        task.cancel()
    done = await asyncio.gather(*first, return_exceptions=True)
    assert [type(x) for x in done] == [asyncio.CancelledError] * 2
    stub.go.set()
    assert [str(o) for o in await _asked(gathered, engine, "next")] == ["next"]
