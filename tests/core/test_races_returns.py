"""Returns at once: booked once each, never more than was bought, in whatever order they come."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
import pytest_asyncio

from core.bought import Returned
from core.check import prove
from core.db import reading
from core.errors import IdempotencyConflict, NotAllowed, NotEligible, WrongState
from core.events import EventKind
from core.posting import Engine
from core.purchases import LineInput, find_partner
from core.redemptions import redeem
from core.returning import Outcome, Waiting, match_waiting, record
from core.returns import ReturnedLine, ReturnInput, Unit, check_cancel, check_edit, check_return
from tests.core.market import balances, buy, line, open_market
from tests.core.racing import Racers, Step, trade
from tests.core.shop import wish
from tests.support import CONNECTIONS, NOW, blocked, enrol_cards, scalar

PROCESSES = 8


@pytest_asyncio.fixture(loop_scope="session")
async def market(wide: str) -> Engine:
    """The market of `tests.core.market`, with sixteen connections of this process."""
    return await open_market()


def comes_back(
    engine: Engine, name: str, purchase: str, *lines: ReturnedLine, amount: str | None = None
) -> Unit:
    """A return of part of a purchase."""
    market = find_partner(engine.rulebook, "market")
    return check_return(market, ReturnInput(name, purchase, NOW, lines, amount))


async def at_once(engine: Engine, batches: Sequence[Sequence[Unit]]) -> list[Outcome]:
    """Every batch by an engine of its own, as from as many servers; all outcomes in a row."""
    calls = (record(Engine(engine.rulebook), batch, NOW) for batch in batches)
    return [outcome for outcomes in await asyncio.gather(*calls) for outcome in outcomes]


async def test_the_same_return_from_sixteen_connections_is_booked_once_and_answered_alike(
    market: Engine,
) -> None:
    (holder,) = await enrol_cards(["1"])
    await buy(market, "P", ("PLAIN", "30.00"), ("PLAIN", "20.00"))
    unit = comes_back(market, "R", "P", line(2, "1"))
    outcomes = await at_once(market, [[unit]] * CONNECTIONS)
    done = [x for x in outcomes if isinstance(x, Returned)]
    assert len(done) == CONNECTIONS
    assert len({(x.event, x.holder, x.purchase, x.booked_at) for x in done}) == 1
    assert sum(not x.replayed for x in done) == 1
    assert await balances(market, holder, NOW) == {"PLAIN": (30, 0, 0, 0)}
    assert await prove() == []


@pytest.mark.parametrize(("quantity", "amount"), [("0.1", None), (None, "3.00")])
async def test_returns_of_one_line_never_exceed_what_was_bought(
    market: Engine, quantity: str | None, amount: str | None
) -> None:
    (holder,) = await enrol_cards(["1"])
    await buy(market, "P", ("PLAIN", "30.00"), ("PLAIN", "7.00"))
    part = line(1, quantity, amount)
    batches = [[comes_back(market, f"R{n}", "P", part)] for n in range(CONNECTIONS)]
    outcomes = await at_once(market, batches)
    assert sum(isinstance(x, Returned) for x in outcomes) == 10
    assert sum(isinstance(x, NotAllowed) for x in outcomes) == CONNECTIONS - 10
    assert await balances(market, holder, NOW) == {"PLAIN": (7, 0, 0, 0)}
    assert await prove() == []


async def test_a_return_a_cancel_and_an_edit_at_once_leave_what_their_order_says(
    market: Engine,
) -> None:
    cards = [str(n) for n in range(12)]
    holders = await enrol_cards(cards)
    partner = find_partner(market.rulebook, "market")
    for card in cards:
        await buy(market, f"P{card}", ("PLAIN", "30.00"), ("PLAIN", "20.00"), member=card)
    units = [
        unit
        for card in cards
        for unit in (
            comes_back(market, f"R{card}", f"P{card}", line(2, "1")),
            check_cancel(partner, f"P{card}", NOW),
            check_edit(
                partner,
                f"P{card}",
                2,
                NOW,
                [LineInput("PLAIN", "24.00"), LineInput("PLAIN", "20.00")],
                "USD",
            ),
        )
    ]
    outcomes = await at_once(market, [[unit] for unit in units])
    assert {type(x) for x in outcomes} <= {Returned, WrongState}
    for n, holder in enumerate(holders):
        assert isinstance(outcomes[3 * n + 1], Returned)  # a cancel is good at any time
        assert await balances(market, holder, NOW) == {}
    assert await prove() == []


@pytest.mark.parametrize("known", [True, False])
async def test_nothing_stays_spent_on_an_order_that_is_cancelled_at_once(
    market: Engine, known: bool
) -> None:
    """By others than the buyer; with and without a purchase of that name."""
    cards = [str(n) for n in range(8)]
    buyer, *others = await enrol_cards(cards)
    for n in range(len(cards)):
        await buy(market, f"A{n}", ("PLAIN", "60.00"), member=f"{n}")
    orders = [f"O{n}" for n in range(6)]
    for order in orders if known else ():
        await buy(market, order, ("PLAIN", "20.00"))
    partner = find_partner(market.rulebook, "market")

    async def spend(holder: int, order: str) -> None:
        request = wish(holder, "x-plain", key=f"{holder}{order}", partner="market")
        with suppress(NotEligible):
            await redeem(Engine(market.rulebook), replace(request, order=order), NOW)

    async def cancel(order: str) -> None:
        await at_once(market, [[check_cancel(partner, order, NOW)]])

    for order in orders:
        await spend(others[0], order)
    calls = [spend(holder, order) for order in orders for holder in others[1:]]
    calls += [cancel(order) for order in orders]
    random.Random(3).shuffle(calls)
    await asyncio.gather(*calls)
    stands = await scalar("SELECT count(*) FROM redemption WHERE status IN (1, 2)")
    assert stands == 0
    assert await scalar("SELECT count(*) FROM redemption WHERE status = 5") >= len(orders)
    for holder in others:
        assert (await balances(market, holder, NOW))["PLAIN"] == (60, 0, 0, 0)
    assert (await balances(market, buyer, NOW))["PLAIN"] == (60, 0, 0, 0)
    assert await prove() == []


async def test_a_return_racing_its_purchase_is_booked_once_in_the_end(market: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    names = [str(n) for n in range(24)]

    async def till(name: str) -> None:
        await buy(Engine(market.rulebook), f"P{name}", ("PLAIN", "10.00"))

    async def counter(name: str) -> Outcome:
        await asyncio.sleep(random.Random(name).uniform(0, 0.05))
        unit = comes_back(market, f"R{name}", f"P{name}", line(1, "0.5"))
        (outcome,) = await record(Engine(market.rulebook), [unit], NOW)
        return outcome

    outcomes = await asyncio.gather(*map(till, names), *(counter(n) for n in names * 2))
    assert all(isinstance(x, Returned | Waiting) for x in outcomes[len(names) :])
    await match_waiting(market, NOW)
    await booked_once(names)
    assert await balances(market, holder, NOW) == {"PLAIN": (24 * 5, 0, 0, 0)}
    assert await prove() == []


async def booked_once(names: Sequence[str]) -> None:
    """Every return R… stands once, and nothing waits any more."""
    found = await scalar(
        "SELECT array_agg(external_id) FROM event WHERE kind = $1", EventKind.RETURN
    )
    assert Counter(found) == Counter(f"R{name}" for name in names)
    assert await scalar("SELECT count(*) FROM waiting") == 0


async def test_batches_that_wait_in_any_order_neither_block_nor_double(market: Engine) -> None:
    await enrol_cards(["1", "2", "3"])
    names = [str(n) for n in range(40)]
    units = [comes_back(market, f"R{n}", f"P{n}", line(1, "0.5")) for n in names]
    shuffled = [random.Random(n).sample(units, len(units)) for n in range(8)]
    outcomes = await at_once(market, shuffled)
    assert {type(x) for x in outcomes} == {Waiting}
    assert await scalar("SELECT count(*) FROM waiting") == len(names)

    async def till(own: Sequence[str]) -> None:
        for name in own:
            card = str(1 + int(name) % 3)
            await buy(Engine(market.rulebook), f"P{name}", ("PLAIN", "10.00"), member=card)

    await asyncio.gather(*(till(names[n::4]) for n in range(4)), at_once(market, shuffled[:2]))
    await match_waiting(market, NOW)
    await booked_once(names)
    assert await prove() == []


@asynccontextmanager
async def taken_elsewhere(unit: Unit) -> AsyncIterator[None]:
    """Another connection holds the name of a waiting return, and lets it go on leaving."""
    async with reading() as connection:
        held = connection.transaction()
        await held.start()
        await connection.execute(
            "INSERT INTO waiting (partner_id, kind, external_id, purchase, occurred_at, "
            "content_hash, content, since) VALUES ($1, $2, $3, $4, $5, $6, '{}', $5)",
            *(unit.partner.id, unit.kind, unit.external_id, unit.purchase, NOW, unit.digest),
        )
        try:
            yield
        finally:
            await held.rollback()


async def test_one_name_for_two_returns_before_their_purchase_is_a_conflict(market: Engine) -> None:
    """A third connection holds the name until both have looked and found it free."""
    units = [comes_back(market, "R", "P", line(1, quantity)) for quantity in ("0.1", "0.2")]
    async with taken_elsewhere(units[0]):
        both = asyncio.create_task(at_once(market, [[unit] for unit in units]))
        await blocked(2, both)
    assert Counter(type(x) for x in await both) == {Waiting: 1, IdempotencyConflict: 1}


async def test_waiting_batches_that_meet_in_two_names_from_both_ends_do_not_deadlock(
    market: Engine,
) -> None:
    """A third holds the name in the middle until both have gone as far as they can."""
    units = [comes_back(market, f"R{n}", f"P{n}", line(1, "1")) for n in range(3)]
    async with taken_elsewhere(units[1]):
        both = asyncio.create_task(at_once(market, [units, units[::-1]]))
        await blocked(2, both)
    assert {type(x) for x in await both} == {Waiting}
    assert await scalar("SELECT count(*) FROM waiting") == 3


async def test_a_purchase_booked_while_its_return_is_put_to_wait_takes_it_at_once(
    market: Engine,
) -> None:
    """The return has looked for its purchase in vain, and hasn't committed that it waits."""
    (holder,) = await enrol_cards(["1"])
    unit = comes_back(market, "R", "P", line(1, "0.5"))
    async with taken_elsewhere(unit):
        counter = asyncio.create_task(at_once(market, [[unit]]))
        await blocked(1, counter)
        await buy(market, "P", ("PLAIN", "10.00"))
    assert {type(x) for x in await counter} == {Waiting}
    await booked_once([""])
    assert await balances(market, holder, NOW) == {"PLAIN": (5, 0, 0, 0)}
    assert await prove() == []


async def test_points_spent_while_their_purchase_comes_back_are_owed(market: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    for n in range(4):
        await buy(market, f"P{n}", ("PLAIN", "50.00"))

    async def spend(n: int) -> int:
        request = wish(holder, "x-plain", key=f"k{n}", partner="market")
        try:
            return (await redeem(Engine(market.rulebook), request, NOW)).points
        except NotEligible:
            return 0

    partner = find_partner(market.rulebook, "market")
    cancels = at_once(market, [[check_cancel(partner, f"P{n}", NOW)] for n in range(4)])
    spent, outcomes = await asyncio.gather(asyncio.gather(*map(spend, range(12))), cancels)
    assert all(isinstance(x, Returned) for x in outcomes)
    active, _, _, arrears = (await balances(market, holder, NOW)).get("PLAIN", (0, 0, 0, 0))
    assert (active, arrears) == (0, sum(spent))
    assert await prove() == []


# --- processes ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    """Processes with an engine and a pool of their own."""
    with Racers(PROCESSES) as started:
        yield started


async def test_eight_processes_buy_and_bring_back_the_same_in_any_order(
    racers: Racers, database: str
) -> None:
    engine = await open_market()
    cards = ["1", "2", "3"]
    holders = await enrol_cards(cards)
    names = [str(n) for n in range(30)]
    steps: list[Step] = [("buy", f"P{n}", cards[int(n) % 3], "10.00") for n in names]
    steps += [("return", f"R{n}", f"P{n}", "0.5") for n in names]
    work = [(random.Random(p).sample(steps, len(steps)),) for p in range(PROCESSES)]
    answers: list[list[str]] = racers.run(database, trade, work, opening=open_market)
    told = Counter(x for own in answers for x in own)
    assert set(told) <= {"booked", "replayed", "waiting"}
    assert told["booked"] >= len(names)
    await match_waiting(engine, NOW)
    await booked_once(names)
    for holder in holders:
        assert await balances(engine, holder, NOW) == {"PLAIN": (10 * 5, 0, 0, 0)}
    assert await prove() == []
