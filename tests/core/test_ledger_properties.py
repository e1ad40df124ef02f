"""Whatever happens to a ledger, it adds up, and time passes alike in one step or in many.

Random lives of a ledger, each judged by its own rows alone; broken ledgers show that it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.entries import Account, Allocation, Cause, Kind, Lot, LotChange
from core.errors import BookBroken
from core.ledger import Ledger
from laurels.policies import Renewal, Returns
from tests.core.lots import T0, balances, cause, day, earn, spend, terms

FAR = datetime(9999, 1, 1, tzinfo=UTC)
HELD = (Account.ACTIVE, Account.PENDING)
LIVES = [
    terms(),
    terms(expires="5D"),
    terms(expires="40D", grace="6D"),
    terms(pending="3D"),
    terms(pending="7D", expires="9D"),
    terms(pending="on 01-20 02-10", expires="on 02-01 03-01"),
    terms(pending="until shipped within 10D", expires="12D"),
    terms(expires="sliding 8D on earning spending"),
    terms(pending="2D", expires="sliding 6D_U on returning", grace="3D"),
]
LIFE = st.sampled_from(LIVES)
POINTS = st.integers(1, 60)
WHAT = [
    "earn", "earn", "late", "adjust", "redeem", "reserve", "release", "reverse", "settle",
    "night", "ship", "slide", "return", "return", "move",
]  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(WHAT), POINTS, LIFE, st.integers(0, 15), st.integers(0, 5)),
    min_size=20,
    max_size=40,
)
Step = tuple[str, int, Any, int, int]


def allocated(ledger: Ledger, seq: int) -> list[tuple[int, int]]:
    """What a transfer took, as (lot's seq, points)."""
    return [(a.lot, a.amount) for a in ledger.allocations if a.seq == seq]


def assert_adds_up(ledger: Ledger) -> None:
    """Stored balances = transfers = open lots; allocations cover every debit; never both."""
    balance: dict[int, int] = defaultdict(int)
    for t in ledger.transfers:
        assert t.amount > 0
        balance[t.source] -= t.amount
        balance[t.target] += t.amount
    assert ledger.active == balance[Account.ACTIVE]
    assert ledger.active == sum(x.remaining for x in ledger.lots if not x.pending)
    assert ledger.pending == balance[Account.PENDING]
    assert ledger.pending == sum(x.remaining for x in ledger.lots if x.pending)
    assert ledger.reserved == balance[Account.RESERVED]
    assert ledger.arrears == -balance[Account.ARREARS]
    assert min(balances(ledger)) >= 0
    assert not (ledger.active and ledger.arrears)
    assert sum(balance.values()) == 0
    assert [t.seq for t in ledger.transfers] == list(range(1, ledger.seq + 1))
    assert_allocations_cover(ledger)


def assert_allocations_cover(ledger: Ledger) -> None:
    """Every debit of a lot is allocated, at its own instant, and never before the lot was there."""
    used: dict[int, int] = defaultdict(int)
    by_debit: dict[int, int] = defaultdict(int)
    by_seq = {t.seq: t for t in ledger.transfers}
    lots = {lot.seq: lot for lot in ledger.lots}
    for a in ledger.allocations:
        assert a.amount != 0
        taken, lot = by_seq[a.seq], lots[a.lot]
        assert a.at == taken.occurred_at
        if Account.ACTIVE in (taken.source, taken.target):
            assert lot.active_at is not None
            assert a.at >= lot.active_at
        else:
            assert a.at >= lot.occurred_at
        used[a.lot] += a.amount
        by_debit[a.seq] += a.amount
    assert len({(a.seq, a.lot) for a in ledger.allocations}) == len(ledger.allocations)
    for lot in ledger.lots:
        assert lot.remaining == lot.amount - used[lot.seq]
        assert 0 <= lot.remaining <= lot.amount
        assert lot.expires_at is None or lot.active_at is None or lot.expires_at > lot.active_at
    for t in ledger.transfers:
        opens = t.source in (Account.ISSUED, Account.ADJUSTED)
        if opens or t.kind == Kind.ACTIVATION:
            assert by_debit[t.seq] == 0
        else:
            assert by_debit[t.seq] == t.amount * ((t.source in HELD) - (t.target in HELD))


def expected_taking(lots: list[Lot], at: datetime, points: int) -> list[tuple[int, int]]:
    """By DESIGN's words: soonest to expire first, then oldest. Written apart from the ledger's."""
    pool = [
        (lot.expires_at or FAR, lot.occurred_at, lot.seq, lot.remaining)
        for lot in lots
        if lot.remaining and (lot.active_at or FAR) <= at < (lot.expires_at or FAR)
    ]
    taken = []
    for _, _, seq, n in sorted(pool):
        if points:
            taken.append((seq, min(points, n)))
            points -= min(points, n)
    return taken


class Life:
    """A ledger that lives step by step; each step is a posting, which catches up first."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now = T0
        self.held: list[list[tuple[int, int]]] = []
        self.spent: list[list[tuple[int, int]]] = []

    def step(self, number: int, step: Step) -> None:
        """Do one thing, some days later."""
        what, points, life, choice, passes = step
        ledger, now = self.ledger, self.now + timedelta(days=passes)
        self.now = now
        done = Cause(number, 1, now + timedelta(microseconds=number), now)
        # Purchases don't load lots, except where points that are held back may have to repay.
        if what not in ("earn", "late") or (ledger.arrears and ledger.pending):
            ledger.catch_up(done, now)
            assert all(
                at is None or at > now
                for lot in ledger.lots if lot.remaining
                for at in ((lot.active_at, lot.lapses_at if lot.active_at is None else None)
                           if lot.pending else (lot.expires_at,))
            )  # fmt: skip
        match what:
            case "earn" | "late" | "adjust":
                at = now - timedelta(days=choice * (what == "late"))
                kind = Kind.ADJUSTMENT if what == "adjust" else Kind.ACCRUAL
                before = ledger.arrears
                lot = ledger.credit(done._replace(occurred_at=at), points, 1, life, now, kind)
                assert ledger.arrears == max(0, before - points * (not lot.pending))
            case "redeem" | "reserve":
                self._debit(done, what, points)
            case "release" if self.held:
                ledger.give_back(done, Kind.RELEASE, Account.RESERVED, self.held.pop(0))
            case "reverse" if self.spent:
                ledger.give_back(done, Kind.REVERSAL, Account.REDEEMED, self.spent.pop())
            case "settle" if self.held:
                ledger.settle_reserved(done, sum(n for _, n in self.held[0]))
                self.spent.append(self.held.pop(0))
            case "ship":
                for lot in ledger.lots:
                    if lot.pending and lot.remaining and lot.active_at is None:
                        at = max(lot.occurred_at, now - timedelta(days=choice))
                        ledger.fulfil(done._replace(occurred_at=at), lot, now)
            case "slide":
                ledger.slide(done, list(Renewal)[choice % 3], now)
            case "return" if ledger.lots:
                self._return(done, points, choice)
            case "move" if ledger.lots:
                lot = ledger.lots[choice % len(ledger.lots)]
                if lot.remaining and not lot.pending and lot.live(now):
                    ledger.move(done, lot, life, now + timedelta(days=1 + choice))

    def _debit(self, done: Cause, what: str, points: int) -> None:
        ledger = self.ledger
        kind, to = (
            (Kind.REDEMPTION, Account.REDEEMED)
            if what == "redeem"
            else (Kind.RESERVATION, Account.RESERVED)
        )
        expected = expected_taking(ledger.lots, done.occurred_at, points)
        seq = ledger.debit(done, kind, to, points)
        assert (seq is None) == (sum(n for _, n in expected) < points)
        if seq is not None:
            assert allocated(ledger, seq) == expected
            (self.spent if what == "redeem" else self.held).append(expected)

    def _return(self, done: Cause, points: int, choice: int) -> None:
        ledger = self.ledger
        own = [lot for lot in ledger.lots if lot.seq % 3 == choice % 3]
        at = done.occurred_at - timedelta(days=choice % 4)
        before = balances(ledger)
        reach = list(Returns)[choice % 3]
        taken = ledger.claw_back(done._replace(occurred_at=at), own, points, reach)
        assert sum(taken) == points
        assert ledger.active + ledger.pending == before[0] + before[1] - taken.points
        assert ledger.arrears == before[3] + taken.arrears
        assert taken.arrears == 0 or reach is Returns.ARREARS
        assert taken.forgiven == 0 or reach is not Returns.ARREARS


@settings(max_examples=50, deadline=None)
@given(STEPS)
def test_a_ledger_always_adds_up(steps: list[Step]) -> None:
    life = Life(Ledger(1, 1))
    for n, step in enumerate(steps):
        life.step(n, step)
        assert_adds_up(life.ledger)


class Unrepaid(Ledger):
    """Broken: a credit repays nothing, and nobody asks whether that may be."""

    def _repay(self, *_: object) -> None:
        pass

    def check(self) -> None:
        """Look away."""


class Unallocated(Ledger):
    """Broken: what is taken from a lot is told nowhere."""

    def _take(self, lot: Lot, seq: int, at: datetime, points: int) -> None:
        lot.remaining -= points


class Forgetful(Ledger):
    """Broken: what became active is still counted as pending."""

    def _activate(self, cause: Cause, lot: Lot, now: datetime) -> None:
        super()._activate(cause, lot, now)
        lot.pending = True


class Backdated(Ledger):
    """Broken: points are taken before they were there."""

    def _take(self, lot: Lot, seq: int, at: datetime, points: int) -> None:
        super()._take(lot, seq, at, points)
        last = self.allocations[-1]
        self.allocations[-1] = last._replace(at=last.at - timedelta(days=99))


def lived(ledger: Ledger) -> Ledger:
    """It spends all, owes, earns again and sees points become active."""
    life = Life(ledger)
    own = earn(ledger, 30, LIVES[0])
    spend(ledger, 30, 1)
    ledger.claw_back(cause(2), [own], 20, Returns.ARREARS)
    for n, step in enumerate(
        [("earn", 5, LIVES[3], 0, 3), ("earn", 40, LIVES[1], 0, 0), ("night", 1, None, 0, 4)]
    ):
        life.step(n, step)
    return ledger


def test_a_sound_ledger_passes_where_broken_ones_do_not() -> None:
    ledger = lived(Ledger(1, 1))
    assert_adds_up(ledger)
    assert balances(ledger) == (25, 0, 0, 0)


@pytest.mark.parametrize("broken", [Unrepaid, Unallocated, Forgetful, Backdated])
def test_the_property_catches_a_broken_ledger(broken: Callable[[int, int], Ledger]) -> None:
    with pytest.raises((AssertionError, BookBroken)):
        assert_adds_up(lived(broken(1, 1)))


# -- time in one step, or in many ----------------------------------------------------------------

SEEDS = st.lists(
    st.tuples(st.sampled_from(["earn", "earn", "late", "redeem", "return", "return"]), POINTS,
              LIFE, st.integers(0, 9), st.integers(0, 3)),
    min_size=8, max_size=16,
)  # fmt: skip
INSTANTS = st.lists(st.integers(0, 60 * 24), max_size=12)


def rows(ledger: Ledger) -> dict[str, Any]:
    """All of a ledger but when things were booked, and in which order."""
    return {
        "balances": balances(ledger),
        "lots": [(x.seq, x.remaining, x.pending, x.gone, x.active_at, x.expires_at)
                 for x in ledger.lots],
        "allocations": sorted(
            (a.lot, a.at, a.amount, kind)
            for a in ledger.allocations
            for kind in [ledger.transfers[a.seq - 1].kind]
        ),
        "transfers": sorted((t.occurred_at, t.kind, t.source, t.target, t.amount)
                            for t in ledger.transfers),
    }  # fmt: skip


def aged(ledger: Ledger, instants: list[datetime]) -> dict[str, Any]:
    """What a copy of it is after catching up at each of these."""
    mine = deepcopy(ledger)
    for n, at in enumerate(instants):
        mine.catch_up(Cause(1000 + n, 0, at, at), at)
        assert_adds_up(mine)
    return rows(mine)


@settings(max_examples=50, deadline=None)
@given(SEEDS, INSTANTS)
def test_time_passes_alike_in_one_step_or_in_many(seeds: list[Step], hours: list[int]) -> None:
    life = Life(Ledger(1, 1))
    for n, step in enumerate(seeds):
        life.step(n, step)
    end = life.now + timedelta(days=60)
    instants = sorted(life.now + timedelta(hours=h) for h in hours)
    at_once = aged(life.ledger, [end])
    assert aged(life.ledger, [*instants, end]) == at_once
    assert aged(life.ledger, [end, end]) == at_once
    # Nothing but activity can happen any more, except to what waits for it or lives longer.
    for _, left, pending, *_, expires in at_once["lots"]:
        assert not left or not pending
        assert not left or expires is None or expires > end


class Whenever(Ledger):
    """Broken: what is repaid by an activation is dated when that is booked."""

    def _activate(self, cause: Cause, lot: Lot, now: datetime) -> None:
        super()._activate(cause, lot, cause.booked_at)


def test_the_property_sees_a_date_that_depends_on_the_job() -> None:
    for kind, alike in ((Ledger, True), (Whenever, False)):
        ledger = kind(1, 1)
        own = earn(ledger, 10, LIVES[0])
        spend(ledger, 10, 0)
        ledger.claw_back(cause(0), [own], 10, Returns.ARREARS)
        earn(ledger, 30, LIVES[3])
        assert (aged(ledger, [day(4), day(9)]) == aged(ledger, [day(9)])) is alike


def test_the_rows_tell_apart_what_differs() -> None:
    ledger = Ledger(1, 1)
    earn(ledger, 10, LIVES[1])
    same = rows(ledger)
    changed = deepcopy(ledger)
    changed.allocations.append(Allocation(1, 1, 1, 1, day(1), 1))
    changed.changes.append(LotChange(1, 1, 1, day(1), 1, day(0), day(9), 1))
    assert rows(changed) != same
    assert rows(deepcopy(ledger)) == same
