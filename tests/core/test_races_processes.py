"""Eight processes at once, each with its own engine, ids and pool, as many servers would be.

Nothing is shared but the database: whatever one process could get right by its own memory or event
loop shows here.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from core.check import prove
from core.redeemed import Status
from tests.core.racing import POOL, Racers, Sold, Taken, sell, sell_at_once, settle, take
from tests.core.shop import active, balance, earn, open_shop, wish
from tests.support import NOW, enrol_cards, scalar

PROCESSES = 8


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    """The processes, which all tests of this file use one after another."""
    with Racers(PROCESSES) as started:
        yield started


async def test_one_event_from_thirty_two_connections_is_booked_once_and_answered_alike(
    racers: Racers, database: str
) -> None:
    await open_shop()
    await enrol_cards(["1"])
    answers: list[list[Sold]] = racers.run(database, sell_at_once, [("R1", POOL)] * PROCESSES)
    outcomes = [x for own in answers for x in own if not isinstance(x, str)]
    assert len(outcomes) == PROCESSES * POOL
    assert len({x[:3] for x in outcomes}) == 1
    assert sum(not replayed for *_, replayed in outcomes) == 1
    assert await scalar("SELECT count(*) FROM event") == 1
    assert await scalar("SELECT sum(amount)::int FROM transfer") == 35
    assert await prove() == []


async def test_overlapping_batches_in_different_orders_lose_no_update_and_do_not_deadlock(
    racers: Racers, database: str
) -> None:
    engine = await open_shop()
    cards = [str(n) for n in range(12)]
    holders = await enrol_cards(cards)
    bought: dict[str, tuple[str, int]] = {}  # a receipt's card and dollars
    work: list[tuple[list[list[tuple[str, str, str]]]]] = []
    for process in range(PROCESSES):
        chance = random.Random(process)
        batches = []
        for turn in range(5):
            # Half of the receipts are this process's own, half are sent by every process.
            own = [(f"P{process}-{turn}-{n}", chance.choice(cards)) for n in range(20)]
            shared = [(f"ALL-{turn}-{n}", cards[n % 12]) for n in range(20)]
            names = [*own, *shared]
            chance.shuffle(names)
            for name, card in names:
                bought.setdefault(name, (card, 1 + len(bought) % 90))
            batches.append([(name, card, f"{bought[name][1]}.00") for name, card in names])
        work.append((batches,))
    answers: list[list[Sold]] = racers.run(database, sell, work)
    outcomes = [x for own in answers for x in own if not isinstance(x, str)]
    assert len(outcomes) == PROCESSES * 5 * 40
    assert sum(not replayed for *_, replayed in outcomes) == len(bought) == PROCESSES * 100 + 100
    assert len({x[:3] for x in outcomes}) == len(bought)
    assert await scalar("SELECT count(*) FROM event") == len(bought)
    due = Counter[str]()
    for card, dollars in bought.values():
        due[card] += dollars
    stands = [await active(engine, holder, NOW) for holder in holders]
    assert stands == [due[card] for card in cards]
    assert await prove() == []


async def test_as_many_redemptions_succeed_as_one_balance_affords(
    racers: Racers, database: str
) -> None:
    engine = await open_shop()
    (holder,) = await enrol_cards(["1"])
    for n in range(5):  # several lots, none of them a round number of coffees
        await earn(engine, f"R{n}", "103.00")
    work = [
        ([wish(holder, "coffee", key=f"{p}-{n}", partner="cafe", hold=("1D" if n % 2 else None))
          for n in range(6)],)
        for p in range(PROCESSES)
    ]  # fmt: skip
    answers: list[list[Taken]] = racers.run(database, take, work)
    outcomes = [x for own in answers for x in own]
    done = [x for x in outcomes if not isinstance(x, str)]
    assert len(done) == 515 // 30 == 17
    assert Counter(x for x in outcomes if isinstance(x, str)) == {"NOT_ELIGIBLE": 48 - 17}
    assert len({x[0] for x in done}) == 17
    held = sum(status == Status.HELD for _, _, status, _ in done)
    found = await balance(engine, holder, NOW)
    assert (found["active"], found["reserved"]) == (515 - 17 * 30, 30 * held)
    assert await prove() == []


async def test_a_shelf_gives_no_more_than_it_holds(racers: Racers, database: str) -> None:
    engine = await open_shop()
    cards = [str(n) for n in range(PROCESSES)]
    holders = await enrol_cards(cards)
    for card in cards:
        await earn(engine, f"R{card}", "200.00", card)
    work = [([wish(h, "tasting", key=f"{h}-{n}") for n in range(3)],) for h in holders]
    answers: list[list[Taken]] = racers.run(database, take, work)
    outcomes = [x for own in answers for x in own]
    assert sum(not isinstance(x, str) for x in outcomes) == 5
    assert outcomes.count("NOT_ELIGIBLE") == 3 * PROCESSES - 5
    assert sum([await active(engine, h, NOW) for h in holders]) == 200 * PROCESSES - 5 * 10
    assert await prove() == []


@pytest.mark.parametrize("hold", [None, "1D"])
async def test_the_same_key_from_thirty_two_connections_has_one_outcome(
    racers: Racers, database: str, hold: str | None
) -> None:
    engine = await open_shop()
    (holder,) = await enrol_cards(["1"])
    await earn(engine, "R", "350.00")
    request = wish(holder, "mug", hold=hold)
    answers: list[list[Taken]] = racers.run(database, take, [([request] * POOL,)] * PROCESSES)
    outcomes = [x for own in answers for x in own]
    assert len({x[:3] for x in outcomes}) == 1
    assert sum(not isinstance(x, str) and not x[3] for x in outcomes) == 1
    assert await active(engine, holder, NOW) == 300
    assert await scalar("SELECT count(*) FROM redemption") == 1
    assert await prove() == []


async def test_holds_confirmed_and_cancelled_at_once_have_one_end_each(
    racers: Racers, database: str
) -> None:
    engine = await open_shop()
    cards = ["1", "2", "3"]
    holders = await enrol_cards(cards)
    for card in cards:
        await earn(engine, f"R{card}", "300.00", card)
    requests = [wish(h, "coffee", key=f"{h}-{n}", partner="cafe", hold="1D")
                for h in holders for n in range(8)]  # fmt: skip
    held: list[list[Taken]] = racers.run(
        database, take, [(requests[p::PROCESSES],) for p in range(PROCESSES)]
    )
    owners = [r.holder for p in range(PROCESSES) for r in requests[p::PROCESSES]]
    numbers = [int(x[0]) for own in held for x in own]
    holds = list(zip(owners, numbers, strict=True))
    work = [
        (random.Random(p).sample(holds, len(holds)), p % 2 == 0, f"k{p}") for p in range(PROCESSES)
    ]
    answers: list[list[Taken]] = racers.run(database, settle, work)
    outcomes = [x for own in answers for x in own]
    won = Counter(x[0] for x in outcomes if not isinstance(x, str))
    assert won == dict.fromkeys(numbers, 1)
    assert outcomes.count("WRONG_STATE") == len(outcomes) - len(holds)
    completed = await scalar("SELECT count(*) FROM redemption WHERE status = $1", Status.COMPLETED)
    cancelled = await scalar("SELECT count(*) FROM redemption WHERE status = $1", Status.CANCELLED)
    assert completed + cancelled == len(holds)
    assert sum([await active(engine, h, NOW) for h in holders]) == 900 - 30 * completed
    assert await prove() == []
