"""Balances at any instant, whenever the jobs ran: against whole lives, and by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime, timedelta

import pytest

from core.db import transaction
from core.entries import Account, Cause, Kind
from core.folding import Batch
from core.ledger import Ledger
from core.posting import Engine, write
from core.store import reads, writes
from laurels.policies import Renewal, Returns
from tests.core.lots import (
    TICK,
    balances,
    catch_up,
    cause,
    credit,
    day,
    earn,
    release,
    reserve,
    spend,
    terms,
)
from tests.core.test_ledger_properties import LIVES, WHAT, Life
from tests.schema.client import statements
from tests.support import NOW, enrol_cards, figures, receipt, small_rulebook

HOUR = timedelta(hours=1)
FAR = day(2000)
#: (active, pending, reserved, arrears, earned, expired).
Figures = tuple[int, ...]


async def store(ledgers: Sequence[Ledger]) -> None:
    """Write ledgers as they stand, each posting with a decision of its own."""
    batch = Batch(small_rulebook(), NOW, historical=True)
    booked = {(t.holder, t.booked_at) for x in ledgers for t in x.transfers}
    postings = sorted(booked | {(c.holder, c.booked_at) for x in ledgers for c in x.changes})
    for n, (holder, at) in enumerate(postings):
        batch.writes.events.append(
            writes.EventRow(n, holder, at, at, None, 1, 6, None, bytes(16), f"{n}", "")
        )
        batch.writes.decisions.append(
            writes.DecisionRow(holder, at, n, at, 1, 1, 6, bytes(16), "{}")
        )
        batch.relations[holder, 1] = 0
    batch.ledgers = {(x.holder, x.currency): x for x in ledgers}
    async with transaction() as connection:
        await write(connection, batch)


async def read(holders: Sequence[int], at: datetime) -> dict[int, Figures]:
    """What is read of each holder's ledger as of an instant."""
    return {row[0]: row[2:] for row in await figures(holders, at)}


# -- whole lives ---------------------------------------------------------------------------------


def lived(holder: int) -> Ledger:
    """A random life, at whose end much has happened that no job has booked yet."""
    chance, life = random.Random(holder), Life(Ledger(holder, 1))
    for n in range(50):
        what = chance.choice(WHAT)
        step = (what, chance.randint(1, 60), chance.choice(LIVES), chance.randint(0, 15))
        life.step(n, (*step, chance.randint(0, 4)))
    ledger, now = life.ledger, life.now
    if chance.random() < 0.5:  # at last it owes, while points are held back
        done = Cause(99, 1, now + timedelta(seconds=1), now)
        ledger.catch_up(done, now)
        ledger.claw_back(done, [], ledger.active + 30, Returns.ARREARS)
        for life_of_points in LIVES[3:6]:
            ledger.credit(done, chance.randint(5, 20), 1, life_of_points, now)
    return ledger


def booked_to_the_end(ledger: Ledger) -> Ledger:
    """A copy that has caught up with everything that time alone will do."""
    copy = deepcopy(ledger)
    copy.catch_up(Cause(0, 0, FAR, FAR), FAR)
    return copy


def reckoned(ledger: Ledger, at: datetime) -> Figures:
    """What all transfers up to an instant come to, those of jobs that are yet to run too."""
    sums = dict.fromkeys(Account, 0)
    for t in ledger.transfers:
        if t.occurred_at <= at:
            sums[Account(t.source)] -= t.amount
            sums[Account(t.target)] += t.amount
    # Points told late repay what was owed meanwhile: until then the one is reckoned against the
    # other. What has paid what wasn't owed yet was there while its lot lived; then it had expired.
    owed = -sums[Account.ARREARS]
    early = min(max(0, -owed), _paid_by_the_living(ledger, at))
    net = sums[Account.ACTIVE] + early - max(0, owed)
    earned = sum(lot.amount for lot in ledger.lots if lot.occurred_at <= at)
    return (
        max(0, net), sums[Account.PENDING], sums[Account.RESERVED], max(0, -net), earned,
        sums[Account.EXPIRED] + max(0, -owed) - early,
    )  # fmt: skip


def _paid_by_the_living(ledger: Ledger, at: datetime) -> int:
    """The points of repayments up to an instant that came from lots that lived at it."""
    living = {lot.seq for lot in ledger.lots if lot.live(at)}
    paid = {t.seq for t in ledger.transfers if t.target is Account.ARREARS and t.occurred_at <= at}
    return sum(a.amount for a in ledger.allocations if a.seq in paid and a.lot in living)


async def test_balances_at_any_instant_are_those_of_books_that_are_up_to_date(
    database: str,
) -> None:
    holders = await enrol_cards([str(n) for n in range(40)])
    ledgers = [lived(holder) for holder in holders]
    await store(ledgers)
    whole = [booked_to_the_end(ledger) for ledger in ledgers]
    edges = {t.occurred_at for x in whole for t in x.transfers} - {FAR}
    naive = dict.fromkeys(("active", "pending", "reserved", "arrears", "earned", "expired"), 0)
    for at in [t + d for t in sorted(edges)[::3] for d in (-TICK, timedelta(0))]:
        found = await read(holders, at)
        for ledger, complete in zip(ledgers, whole, strict=True):
            expected = reckoned(complete, at)
            assert found[ledger.holder] == expected, (ledger.holder, at)
            # What the naive answer would be, that knows only of what is booked.
            for name, a, b in zip(naive, reckoned(ledger, at), expected, strict=True):
                naive[name] += a != b
    # Were the lives too tame to tell instants from bookings, agreement would say nothing.
    assert naive.pop("earned") == naive.pop("reserved") == 0
    assert min(naive.values()) > 50, naive


# -- by hand -------------------------------------------------------------------------------------

HELD = terms("14D", "30D")
SENT = terms("until shipped within 30D", "60D")
KIND = terms(expires="30D", grace="10D")


class Story:
    """The same life told to the books at several stages, each by a member of its own."""

    def __init__(self, holders: list[int]) -> None:
        self.holders = iter(holders)
        self.told: list[Ledger] = []

    def open(self) -> Ledger:
        """Another member's ledger, to be lived up to some stage."""
        self.told.append(Ledger(next(self.holders), 1))
        return self.told[-1]

    async def reads(self, expected: dict[float, Figures]) -> None:
        """Each of them reads like this on these days, and all alike."""
        await store(self.told)
        for at, told in expected.items():
            found = await read([x.holder for x in self.told], day(at))
            assert found == {x.holder: told for x in self.told}, at


@pytest.fixture
async def story(database: str) -> Story:
    """A story, with members enough."""
    return Story(await enrol_cards([str(n) for n in range(12)]))


async def test_points_that_are_held_back(story: Story) -> None:
    for jobs in ((), (13,), (14,), (20,), (14, 44), (60,), (20, 30, 50)):
        ledger = story.open()
        earn(ledger, 30, HELD, at=1)
        for job in jobs:
            catch_up(ledger, job + 1)
    await story.reads(
        {
            0.9: (0, 0, 0, 0, 0, 0), 1: (0, 30, 0, 0, 30, 0), 14.9: (0, 30, 0, 0, 30, 0),
            15: (30, 0, 0, 0, 30, 0), 44.9: (30, 0, 0, 0, 30, 0), 45: (0, 0, 0, 0, 30, 30),
            999: (0, 0, 0, 0, 30, 30),
        }
    )  # fmt: skip


async def test_points_whose_event_never_comes(story: Story) -> None:
    for jobs in ((), (29,), (30,), (70,)):
        ledger = story.open()
        earn(ledger, 30, SENT)
        for job in jobs:
            catch_up(ledger, job)
    await story.reads(
        {
            0: (0, 30, 0, 0, 30, 0), 29.9: (0, 30, 0, 0, 30, 0), 30: (0, 0, 0, 0, 30, 0),
            70: (0, 0, 0, 0, 30, 0),
        }
    )  # fmt: skip


async def test_points_whose_event_comes(story: Story) -> None:
    for told, jobs in ((5, ()), (5, (40,)), (9, (70,)), (28, (31, 65)), (29, ())):
        ledger = story.open()
        lot = earn(ledger, 30, SENT)
        ledger.fulfil(cause(5, booked=told), lot, day(told))
        for job in jobs:
            catch_up(ledger, job)
    await story.reads(
        {
            4.9: (0, 30, 0, 0, 30, 0), 5: (30, 0, 0, 0, 30, 0), 30: (30, 0, 0, 0, 30, 0),
            64.9: (30, 0, 0, 0, 30, 0), 65: (0, 0, 0, 0, 30, 30),
        }
    )  # fmt: skip


def owing(ledger: Ledger, points: int) -> None:
    """Spend what was earned on day 0, and return it on day 1."""
    lot = earn(ledger, points, terms())
    spend(ledger, points, 0)
    ledger.claw_back(cause(1), [lot], points, Returns.ARREARS)


async def test_points_that_come_late_repay_what_was_owed_meanwhile(story: Story) -> None:
    for booked, jobs in ((2, ()), (10, ()), (10, (40,)), (20, (30,))):
        ledger = story.open()
        owing(ledger, 20)
        ledger.credit(cause(2, booked=booked), 50, 1, terms(expires="30D"), day(booked))
        for job in jobs:
            catch_up(ledger, job)
    await story.reads(
        {
            1: (0, 0, 0, 20, 20, 0), 1.9: (0, 0, 0, 20, 20, 0), 2: (30, 0, 0, 0, 70, 0),
            9: (30, 0, 0, 0, 70, 0), 31.9: (30, 0, 0, 0, 70, 0), 32: (0, 0, 0, 0, 70, 30),
        }
    )  # fmt: skip


async def test_what_is_owed_is_repaid_when_points_become_active_and_only_the_rest_expires(
    story: Story,
) -> None:
    """Also where no job ran while they were alive."""
    for jobs in ((), (15,), (16,), (30,), (46,), (20, 60), (99,)):
        ledger = story.open()
        owing(ledger, 20)
        earn(ledger, 30, HELD, at=2)
        for job in jobs:
            catch_up(ledger, job)
    await story.reads(
        {
            2: (0, 30, 0, 20, 50, 0), 15.9: (0, 30, 0, 20, 50, 0), 16: (10, 0, 0, 0, 50, 0),
            45.9: (10, 0, 0, 0, 50, 0), 46: (0, 0, 0, 0, 50, 10),
        }
    )  # fmt: skip


async def test_what_is_owed_is_repaid_by_what_becomes_active_first(story: Story) -> None:
    """Not by what dies first: 20 of the long-lived ones, 5 of the others."""
    for jobs in ((), (4,), (5,), (7,), (30,), (4, 6), (7, 30)):
        ledger = story.open()
        owing(ledger, 25)
        earn(ledger, 40, terms("3D", "1D"), at=2)
        earn(ledger, 20, terms("1D", "90D"), at=2)
        earn(ledger, 30, terms("2D", "1D"), at=2)
        for job in jobs:
            catch_up(ledger, job)
    await story.reads(
        {
            2: (0, 90, 0, 25, 115, 0), 3: (0, 70, 0, 5, 115, 0), 4: (25, 40, 0, 0, 115, 0),
            5: (40, 0, 0, 0, 115, 25), 6: (0, 0, 0, 0, 115, 65), 92: (0, 0, 0, 0, 115, 65),
        }
    )  # fmt: skip


async def test_more_may_be_owed_than_ever_becomes_active(story: Story) -> None:
    for jobs in ((), (5,), (30,)):
        ledger = story.open()
        owing(ledger, 100)
        earn(ledger, 30, terms("2D", "1D"), at=2)
        for job in jobs:
            catch_up(ledger, job)
    await story.reads(
        {2: (0, 30, 0, 100, 130, 0), 4: (0, 0, 0, 70, 130, 0), 5: (0, 0, 0, 70, 130, 0)}
    )


async def test_points_that_come_back_within_a_grace(story: Story) -> None:
    for early, late in (((), ()), ((30,), ()), ((), (50,)), ((35, 40), (49, 51))):
        ledger = story.open()
        earn(ledger, 10, KIND)
        taken = reserve(ledger, 4, 1)
        for job in early:
            catch_up(ledger, job)
        catch_up(ledger, 40)  # whatever gives points back does so first
        release(ledger, taken, 40)
        for job in late:
            catch_up(ledger, job)
    await story.reads(
        {
            1: (6, 0, 4, 0, 10, 0), 29.9: (6, 0, 4, 0, 10, 0), 30: (0, 0, 4, 0, 10, 6),
            39.9: (0, 0, 4, 0, 10, 6), 40: (4, 0, 0, 0, 10, 6), 49.9: (4, 0, 0, 0, 10, 6),
            50: (0, 0, 0, 0, 10, 10),
        }
    )  # fmt: skip


async def test_points_that_come_back_too_late_expire_when_they_do(story: Story) -> None:
    for jobs in ((), (90,)):
        ledger = story.open()
        credit(ledger, 10, 0, 30)
        taken = reserve(ledger, 4, 1)
        catch_up(ledger, 40)
        release(ledger, taken, 40)
        for job in jobs:
            catch_up(ledger, job)
    await story.reads(
        {30: (0, 0, 4, 0, 10, 6), 39.9: (0, 0, 4, 0, 10, 6), 40: (0, 0, 0, 0, 10, 10)}
    )


async def test_points_that_are_renewed_were_never_dead_between(story: Story) -> None:
    for jobs in ((), (35,), (51,), (60,)):
        ledger = story.open()
        earn(ledger, 10, terms(expires="sliding 30D on spending"))
        ledger.slide(cause(20), Renewal.SPENDING, day(20))
        for job in jobs:
            catch_up(ledger, job)
    await story.reads(
        {29.9: (10, 0, 0, 0, 10, 0), 30: (10, 0, 0, 0, 10, 0), 49.9: (10, 0, 0, 0, 10, 0),
         50: (0, 0, 0, 0, 10, 10)}
    )  # fmt: skip


async def test_a_return_that_is_told_late_takes_no_points_before_they_were_there(
    story: Story,
) -> None:
    ledger = story.open()
    lot, other = earn(ledger, 30, HELD), credit(ledger, 10, 18, 90)
    catch_up(ledger, 20)
    ledger.claw_back(cause(2, booked=20), [lot], 50, Returns.ARREARS)
    assert (balances(ledger), lot.remaining, other.remaining) == ((0, 0, 0, 10), 0, 0)
    await story.reads(
        {
            1.9: (0, 30, 0, 0, 30, 0), 2: (0, 30, 0, 10, 30, 0), 14: (0, 0, 0, 10, 30, 0),
            18: (0, 0, 0, 10, 40, 0), 90: (0, 0, 0, 10, 40, 0),
        }
    )  # fmt: skip


async def test_what_lapsed_is_lost_but_neither_expired_nor_pending(story: Story) -> None:
    earn(ledger := story.open(), 30, SENT, at=0, booked=40)
    assert [t.kind for t in ledger.transfers] == [Kind.ACCRUAL, Kind.LAPSE]
    await story.reads({29.9: (0, 30, 0, 0, 30, 0), 30: (0, 0, 0, 0, 30, 0)})


async def test_the_present_is_read_in_one_statement_and_the_past_in_two(engine: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "R", "1", NOW)], NOW)
    ahead = NOW + timedelta(minutes=4)
    await engine.record_purchases([receipt(engine, "ahead", "1", ahead)], NOW)
    counts = {}
    for minutes, at in ((n, NOW + timedelta(minutes=n)) for n in (-1, 3, 4, 6)):
        with statements() as sent:
            rows = await reads.balances([holder], at)
        counts[minutes] = len(sent)
        assert rows == [tuple(row)[:6] for row in await reads.figures([holder], at)]
    assert counts == {-1: 2, 3: 2, 4: 1, 6: 1}


# -- other reads ---------------------------------------------------------------------------------


async def test_what_was_booked_later_but_happened_before_counts(engine: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "R1", "1", NOW - 48 * HOUR)], NOW)

    async def active(at: datetime) -> int:
        return (await reads.balances([holder], at))[0][2]

    assert [await active(NOW - n * HOUR) for n in (49, 48, 0)] == [0, 35, 35]
    dies = NOW - 48 * HOUR + timedelta(days=90)
    assert [await active(dies - TICK), await active(dies)] == [35, 0]
    expiring = await reads.expiring([(holder, 1)], NOW, dies)
    assert [tuple(r) for r in expiring] == [(holder, 1, dies, 35)]
    assert await reads.expiring([(holder, 1)], dies, dies + HOUR) == []


async def test_entries_and_lots_are_paged_newest_first(engine: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    for n in range(5):
        await engine.record_purchases([receipt(engine, f"R{n}")], NOW)
    key = [(holder, 1)]
    for read_page in (reads.entries, reads.lots):
        everything = [r[2] for r in await read_page(key, reads.NEWEST, 100)]
        assert everything == sorted(everything, reverse=True)
        paged: list[int] = []
        while page := await read_page(key, paged[-1] if paged else reads.NEWEST, 2):
            assert len(page) <= 2
            paged += [r[2] for r in page]
        assert paged == everything
