"""Purchases of points with every kind of life: the size of a batch never shows in the books."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest

from core import nightly, posting
from core.check import prove
from core.db import connected
from core.events import EventKind
from core.purchases import Incoming
from core.redemptions import redeem
from tests.core.market import ALL, bring_back, buy, cancelled, line, open_market, shipped
from tests.core.shop import days, wish
from tests.support import BOOKS, NOW, Databases, books, enrol_cards, receipt, scalar

KINDS = [*(c.code for c in ALL), "SLIDE", "LATE", "PLAIN"]


async def posted(
    databases: Databases, seed: int, size: int, *, historical: bool, waiting: bool = False
) -> Any:
    """The books after the same forty purchases, so many at a time; one member owes before them.

    `waiting`: something came before for every fourth of them.
    """
    chance = random.Random(seed)
    async with databases.migrated() as url, connected(url):
        market = await open_market()
        ada, _ = await enrol_cards(["1", "2"])
        await buy(market, "A", ("PLAIN", "60.00"), ("SLIDE", "20.00"))
        for n in range(6):
            await redeem(market, wish(ada, "x-plain", key=f"{n}", partner="market"), NOW)
        await cancelled(market, "A", NOW + days(1))
        await buy(market, "B", ("LATE", "45.00"), at=NOW + days(1))
        await buy(market, "C", ("SLIDE", "30.00"), member="2")
        now = NOW + days(120)
        back = 115 if historical else 25
        instants = sorted(now - timedelta(hours=chance.randint(0, 24 * back)) for _ in range(40))
        if seed % 2:
            chance.shuffle(instants)
        items = [
            receipt(
                market, f"R{n}", chance.choice("12"), at,
                *[(chance.choice(KINDS), f"{chance.randint(1, 20)}.00") for _ in range(2)],
                partner="market",
            )
            for n, at in enumerate(instants)
        ]  # fmt: skip
        for n in range(0, 40, 4) if waiting else ():
            name, at = f"R{n}", min(now, instants[n] + timedelta(hours=chance.randint(0, 200)))
            match n % 3:
                case 0:
                    await shipped(market, name, at)
                case 1:
                    await cancelled(market, name, at)
            await bring_back(market, f"B{n}", name, line(1, amount="1.00"), at=at, now=now)
        for start in range(0, len(items), size):
            some = items[start : start + size]
            await market.record_purchases(some, now, historical=historical)
        found = await books((*BOOKS, "lot_change"))
        assert await prove() == []
        await nightly.run(market, now)
        assert await prove() == []
        return found, await scalar("SELECT sum(amount)::int FROM transfer WHERE kind = 6")


@pytest.mark.parametrize("historical", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
async def test_batches_of_1_7_and_40_give_identical_books(
    databases: Databases, seed: int, historical: bool
) -> None:
    one, repaid = await posted(databases, seed, 1, historical=historical)
    assert repaid == 60
    assert len(one["lot"]) > 40
    assert one["lot_change"]
    for size in (7, 40):
        found, _ = await posted(databases, seed, size, historical=historical)
        for table, rows in found.items():
            assert rows == one[table], (size, table)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
async def test_what_waited_is_booked_before_what_follows_however_large_the_batch(
    databases: Databases, seed: int
) -> None:
    historical = seed > 1
    one, _ = await posted(databases, seed, 1, historical=historical, waiting=True)
    kinds = Counter(row["kind"] for row in one["event"])
    assert kinds[EventKind.RETURN] > 5
    assert min(kinds[EventKind.CANCEL], kinds[EventKind.FULFILMENT]) > 2
    wanted = named(one)
    for size in (7, 40):
        found, _ = await posted(databases, seed, size, historical=historical, waiting=True)
        for table, rows in named(found).items():
            assert rows == wanted[table], (size, table)


def named(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The same books with events told by their names: of two members, either may come first.

    Heads are left out, for they are hashed from the numbers of the events.
    """
    names = {row["id"]: (row["kind"], row["external_id"]) for row in tables["event"]}
    found: dict[str, list[dict[str, Any]]] = {}
    for table, rows in tables.items():
        told = []
        for row in rows:
            known = {k: v for k, v in row.items() if k not in ("head", "heads")}
            for column in ("event_id", "purchase_id", *(("id",) if table == "event" else ())):
                if known.get(column) is not None:
                    known[column] = names[known[column]]
            if "content" in known:
                content = orjson.loads(known["content"])
                known["content"] = {**content, "p": names.get(content.get("p"))}
            told.append(known)
        found[table] = sorted(told, key=repr)
    return found


async def test_what_waits_for_many_members_is_booked_in_one_go(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is cut only where the same member follows: counted, with negative controls."""
    async with databases.migrated() as url, connected(url):
        market = await open_market()
        await enrol_cards([f"{n}" for n in range(12)])
        for n in range(12):
            await cancelled(market, f"W{n}", NOW)
        runs: list[int] = []
        run = market._run

        async def counted(part: Sequence[Incoming], *rest: Any, **how: Any) -> Any:
            runs.append(len(part))
            return await run(part, *rest, **how)

        monkeypatch.setattr(market, "_run", counted)

        def bought(name: str, member: int) -> Incoming:
            return receipt(market, name, f"{member}", NOW, ("PLAIN", "10.00"), partner="market")

        await market.record_purchases([bought(f"W{n}", n) for n in range(12)], NOW)
        assert runs == [12]
        assert await scalar("SELECT count(*) FROM waiting") == 0
        for n in range(12, 18):
            await cancelled(market, f"W{n}", NOW)
        runs.clear()
        # 0 and 1 each buy what is awaited and go on; 2 does once, and nothing follows.
        order = [(12, 0), (13, 1), (50, 2), (51, 0), (14, 0), (52, 1), (53, 0), (15, 2)]
        items = [bought(f"W{n}" if n < 50 else f"P{n}", member) for n, member in order]
        await market.record_purchases(items, NOW)
        assert runs == [8, 3, 2]
        assert await scalar("SELECT count(*) FROM waiting") == 2
        assert await prove() == []


async def test_slow_rules_end_their_transaction_and_change_nothing_in_the_books(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = await posted(databases, 0, 40, historical=False)
    monkeypatch.setattr(posting, "LONGEST_FOLD", -1.0)
    found, _ = await posted(databases, 0, 40, historical=False)
    last, first = (max(row["id"] for row in some["event"]) for some in (found, one))
    assert last > first, "numbers that a transaction didn't come to are left out"
    wanted = named(one)
    for table, rows in named(found).items():
        assert rows == wanted[table], table


async def test_slow_rules_make_no_other_quote(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that stands twice in it is the same twice, and nothing else is forgotten on the way."""
    monkeypatch.setattr(posting, "LONGEST_FOLD", -1.0)
    async with databases.migrated() as url, connected(url):
        market = await open_market()
        await enrol_cards(["1"])
        items = [
            receipt(market, f"Q{n}", "1", NOW, ("PLAIN", "10.00"), partner="market")
            for n in range(40)
        ]
        items += items[:2]
        quoted = await market.quote(items, NOW)
        booked = await market.record_purchases(items, NOW)

        def told(outcomes: Sequence[Any]) -> list[Any]:
            return [(x.replayed, x.moves, x.evaluation) for x in outcomes]

        assert told(quoted) == told(booked)
