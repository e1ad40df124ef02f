"""The ledger's arithmetic: lots, allocation, arrears, giving back. Exact cases; no database."""

from __future__ import annotations

import pytest

from core.entries import Account, Allocation, Kind, Lot, LotChange
from core.errors import BookBroken
from core.ledger import Ledger
from tests.core.lots import (
    TICK,
    accounts,
    balances,
    catch_up,
    cause,
    credit,
    day,
    earn,
    moves,
    release,
    remaining,
    reserve,
    spend,
    terms,
)


def test_a_credit_opens_a_lot_with_its_provenance() -> None:
    ledger = Ledger(5, 2)
    life = terms(expires="90D")
    lot = ledger.credit(cause(1, event=9), 40, 3, life, day(1))
    assert (balances(ledger), ledger.seq) == ((40, 0, 0, 0), 1)
    assert lot == Lot(
        1, 40, 40, day(1), day(1), day(91), None, 7, 3, life, pending=False, event=9, gone=0
    )
    (transfer,) = ledger.transfers
    assert transfer == (
        5, 2, 1, day(1), day(1), Kind.ACCRUAL, Account.ISSUED, Account.ACTIVE, 40, 7, 3, 9,
    )  # fmt: skip
    assert (ledger.allocations, ledger.changes) == ([], [])


def test_an_adjustment_opens_a_lot_that_is_never_pending() -> None:
    ledger = Ledger(1, 1, arrears=5)
    life = terms(pending="14D", expires="30D")
    lot = ledger.credit(cause(1), 40, None, life, day(1), Kind.ADJUSTMENT)
    assert (lot.pending, lot.active_at, lot.expires_at) == (False, day(1), day(31))
    assert accounts(ledger, Kind.ADJUSTMENT) == [(Account.ADJUSTED, Account.ACTIVE, 40)]
    assert balances(ledger) == (35, 0, 0, 0)


def test_a_debit_takes_the_soonest_to_expire_first_then_the_oldest_then_what_never_expires() -> (
    None
):
    ledger = Ledger(1, 1)
    never = credit(ledger, 10, 0)
    late = credit(ledger, 10, 1, 90)
    young = credit(ledger, 10, 3, 60)
    old = credit(ledger, 10, 2, 60)
    for points, expected in [
        (4, {old.seq: 6}),
        (11, {old.seq: 0, young.seq: 5}),
        (12, {young.seq: 0, late.seq: 3}),
        (5, {late.seq: 0, never.seq: 8}),
    ]:
        before = remaining(ledger)
        taken = spend(ledger, points, 5)
        assert remaining(ledger) == {**before, **expected}
        assert sum(n for _, n in taken) == points
    assert ledger.active == 8


def test_lots_of_one_instant_go_in_the_order_they_were_booked() -> None:
    ledger = Ledger(1, 1)
    first, second = credit(ledger, 5, 0, 30), credit(ledger, 5, 0, 30)
    assert spend(ledger, 6, 1) == [(first.seq, 5), (second.seq, 1)]


def test_a_lot_is_spendable_from_its_start_inclusive_to_its_end_exclusive() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 5, 10, 20)
    assert [lot.live(t) for t in (day(10) - TICK, day(10), day(20) - TICK, day(20))] == [
        False, True, True, False,
    ]  # fmt: skip
    assert ledger.spendable(day(20)) == 0
    assert spend(ledger, 1, 20) == spend(ledger, 1, 9) == []
    assert ledger.active == 5


def test_a_lot_that_is_held_back_is_spendable_from_its_activation_on() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 5, terms("14D", "30D"))
    assert [lot.live(t) for t in (day(0), day(14) - TICK, day(14), day(44) - TICK, day(44))] == [
        False, False, True, True, False,
    ]  # fmt: skip
    assert spend(ledger, 1, 13) == []
    catch_up(ledger, 14)
    assert spend(ledger, 1, 14) == [(lot.seq, 1)]


def test_a_debit_that_does_not_suffice_changes_nothing() -> None:
    ledger = Ledger(1, 1)
    credit(ledger, 5)
    before = (ledger.seq, ledger.active, remaining(ledger), len(ledger.transfers))
    assert spend(ledger, 6, 1) == []
    assert (ledger.seq, ledger.active, remaining(ledger), len(ledger.transfers)) == before
    assert spend(ledger, 5, 1) == [(1, 5)]
    assert ledger.active == 0


def test_no_transfer_is_of_nothing() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 5)
    for points in (0, -1):
        with pytest.raises(BookBroken, match=f"^a transfer of {points} points$"):
            spend(ledger, points, 1)
        with pytest.raises(BookBroken, match=f"^a transfer of {points} points$"):
            credit(ledger, points)
    for back in ([], [(lot.seq, 0)]):
        with pytest.raises(BookBroken, match=r"^a transfer of 0 points$"):
            release(ledger, back, 1)


# -- arrears -------------------------------------------------------------------------------------


def test_arrears_are_repaid_from_a_credit_first() -> None:
    ledger = Ledger(1, 1, arrears=30)
    part = credit(ledger, 20)
    assert (balances(ledger), part.remaining) == ((0, 0, 0, 10), 0)
    rest = credit(ledger, 25)
    assert (balances(ledger), rest.remaining) == ((15, 0, 0, 0), 15)
    assert accounts(ledger, Kind.REPAYMENT) == [
        (Account.ACTIVE, Account.ARREARS, 20),
        (Account.ACTIVE, Account.ARREARS, 10),
    ]


def test_points_that_come_late_repay_when_they_are_booked() -> None:
    """What is owed may be younger than they are."""
    ledger = Ledger(1, 1, arrears=5)
    lot = earn(ledger, 20, terms(expires="90D"), at=0, booked=40)
    assert moves(ledger) == [(Kind.ACCRUAL, 20, 0), (Kind.REPAYMENT, 5, 40)]
    assert ledger.allocations == [Allocation(1, 1, 2, lot.seq, day(40), 5)]


def test_points_that_are_held_back_repay_nothing_yet() -> None:
    ledger = Ledger(1, 1, arrears=5)
    lot = earn(ledger, 20, terms("14D"))
    assert (balances(ledger), lot.remaining) == ((0, 20, 0, 5), 20)
    assert moves(ledger) == [(Kind.ACCRUAL, 20, 0)]


def test_what_comes_back_repays_arrears_first() -> None:
    ledger = Ledger(1, 1)
    soon, late = credit(ledger, 10, 0, 30), credit(ledger, 10, 0, 60)
    taken = reserve(ledger, 20, 1)
    ledger.arrears = 12  # a return came meanwhile, and nothing else was left
    release(ledger, taken, 2)
    assert balances(ledger) == (8, 0, 0, 0)
    assert remaining(ledger) == {soon.seq: 0, late.seq: 8}
    assert moves(ledger)[-2:] == [(Kind.RELEASE, 20, 2), (Kind.REPAYMENT, 12, 2)]


# -- dead on arrival -----------------------------------------------------------------------------


def test_a_lot_that_is_dead_on_arrival_opens_and_expires_in_one_posting_at_its_own_time() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 20, terms(expires="30D"), at=0, booked=30)
    assert (ledger.active, lot.remaining, lot.gone) == (0, 0, 20)
    assert moves(ledger) == [(Kind.ACCRUAL, 20, 0), (Kind.EXPIRY, 20, 30)]
    assert accounts(ledger, Kind.EXPIRY) == [(Account.ACTIVE, Account.EXPIRED, 20)]
    assert {t.booked_at for t in ledger.transfers} == {day(30)}


def test_a_dead_lot_repays_arrears_before_it_expires() -> None:
    ledger = Ledger(1, 1, arrears=5)
    lot = earn(ledger, 20, terms(expires="30D"), at=0, booked=40)
    assert balances(ledger) == (0, 0, 0, 0)
    assert moves(ledger) == [
        (Kind.ACCRUAL, 20, 0), (Kind.REPAYMENT, 5, 0), (Kind.EXPIRY, 15, 30),
    ]  # fmt: skip
    assert lot.gone == 15


def test_a_dead_lot_that_arrears_swallow_whole_does_not_expire() -> None:
    ledger = Ledger(1, 1, arrears=25)
    earn(ledger, 20, terms(expires="30D"), at=0, booked=40)
    assert balances(ledger) == (0, 0, 0, 5)
    assert moves(ledger) == [(Kind.ACCRUAL, 20, 0), (Kind.REPAYMENT, 20, 0)]


# -- what comes back -----------------------------------------------------------------------------


def test_a_release_gives_back_to_the_lots_it_came_from() -> None:
    ledger = Ledger(1, 1)
    soon, late = credit(ledger, 10, 0, 30), credit(ledger, 10, 0, 60)
    taken = reserve(ledger, 13, 1)
    assert balances(ledger) == (7, 0, 13, 0)
    assert taken == [(soon.seq, 10), (late.seq, 3)]
    seq = release(ledger, taken, 2)
    assert balances(ledger) == (20, 0, 0, 0)
    assert remaining(ledger) == {soon.seq: 10, late.seq: 10}
    assert [a for a in ledger.allocations if a.seq == seq] == [
        Allocation(1, 1, seq, soon.seq, day(2), -10),
        Allocation(1, 1, seq, late.seq, day(2), -3),
    ]


def test_a_reversal_gives_back_what_was_redeemed() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 10, 0, 30)
    ledger.give_back(cause(2), Kind.REVERSAL, Account.REDEEMED, spend(ledger, 6, 1))
    assert (ledger.active, lot.remaining) == (10, 10)
    assert accounts(ledger, Kind.REVERSAL) == [(Account.REDEEMED, Account.ACTIVE, 6)]


def test_what_comes_back_to_a_dead_lot_expires_at_once() -> None:
    ledger = Ledger(1, 1)
    soon, late = credit(ledger, 10, 0, 30), credit(ledger, 10, 0, 60)
    release(ledger, reserve(ledger, 13, 1), 30)
    assert balances(ledger) == (10, 0, 0, 0)
    assert remaining(ledger) == {soon.seq: 0, late.seq: 10}
    assert moves(ledger)[-2:] == [(Kind.RELEASE, 13, 30), (Kind.EXPIRY, 10, 30)]
    assert (soon.gone, ledger.changes) == (10, [])


def test_a_moment_before_its_end_a_lot_takes_its_points_back() -> None:
    ledger = Ledger(1, 1)
    soon = credit(ledger, 10, 0, 30)
    taken = reserve(ledger, 10, 1)
    last = cause()._replace(booked_at=day(30) - TICK, occurred_at=day(30) - TICK)
    ledger.give_back(last, Kind.RELEASE, Account.RESERVED, taken)
    assert (ledger.active, soon.remaining) == (10, 10)


def test_what_comes_back_and_is_told_late_expires_with_its_lot() -> None:
    """Let go on day 20, told on day 40, of a lot that died on day 30: it could be spent between."""
    ledger = Ledger(1, 1)
    credit(ledger, 10, 0, 30)
    taken = reserve(ledger, 10, 1)
    ledger.give_back(cause(20, booked=40), Kind.RELEASE, Account.RESERVED, taken)
    catch_up(ledger, 40)
    assert moves(ledger)[-2:] == [(Kind.RELEASE, 10, 20), (Kind.EXPIRY, 10, 30)]


def test_what_a_dead_lot_still_held_expires_at_its_own_time_what_came_back_at_the_release() -> None:
    ledger = Ledger(1, 1)
    credit(ledger, 10, 0, 30)
    taken = reserve(ledger, 4, 1)
    catch_up(ledger, 40)
    release(ledger, taken, 40)
    assert balances(ledger) == (0, 0, 0, 0)
    assert moves(ledger, since=2) == [
        (Kind.EXPIRY, 6, 30), (Kind.RELEASE, 4, 40), (Kind.EXPIRY, 4, 40),
    ]  # fmt: skip


def test_grace_lets_what_comes_back_late_live_on() -> None:
    ledger = Ledger(1, 1)
    life = terms(expires="30D", grace="10D")
    lot = earn(ledger, 10, life)
    taken = reserve(ledger, 4, 1)
    catch_up(ledger, 40)
    assert lot.gone == 6
    release(ledger, taken, 40)
    assert (balances(ledger), lot.expires_at) == ((4, 0, 0, 0), day(50))
    assert ledger.changes == [LotChange(1, 1, lot.seq, day(40), 1, day(0), day(50), life.id)]
    assert (ledger.spendable(day(50) - TICK), ledger.spendable(day(50))) == (4, 0)
    catch_up(ledger, 60)
    assert moves(ledger)[-2:] == [(Kind.RELEASE, 4, 40), (Kind.EXPIRY, 4, 50)]
    assert lot.gone == 10


@pytest.mark.parametrize(("back", "ends", "left"), [(29, 30, 0), (32, 42, 0), (38, 48, 10)])
def test_grace_counts_from_when_it_came_back_whenever_that_is_told(
    back: int, ends: int, left: int
) -> None:
    """The lot dies on day 30; it is told on day 45."""
    ledger = Ledger(1, 1)
    lot = earn(ledger, 10, terms(expires="30D", grace="10D"))
    taken = reserve(ledger, 10, 1)
    ledger.give_back(cause(back, booked=45), Kind.RELEASE, Account.RESERVED, taken)
    catch_up(ledger, 45)
    assert (ledger.active, lot.expires_at) == (left, day(ends))
    expired = [] if left else [(Kind.EXPIRY, 10, ends)]
    assert moves(ledger)[2:] == [(Kind.RELEASE, 10, back), *expired]


def test_what_comes_back_in_time_has_no_grace() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 10, terms(expires="30D", grace="10D"))
    release(ledger, reserve(ledger, 4, 1), 29)
    assert (lot.expires_at, ledger.changes) == (day(30), [])


def test_a_second_return_within_the_grace_does_not_prolong_it_and_one_after_it_does() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 10, terms(expires="30D", grace="10D"))
    first, second, third = (reserve(ledger, n, 1) for n in (2, 3, 5))
    release(ledger, first, 40)
    release(ledger, second, 45)
    assert (ledger.active, lot.expires_at) == (5, day(50))
    catch_up(ledger, 55)
    release(ledger, third, 55)
    assert (ledger.active, lot.expires_at) == (5, day(65))
    assert [m for m in moves(ledger) if m[0] is Kind.EXPIRY] == [(Kind.EXPIRY, 5, 50)]


def test_what_comes_back_late_repays_arrears_and_only_the_rest_has_grace_or_expires() -> None:
    for grace, active in (("10D", 6), (None, 0)):
        ledger = Ledger(1, 1)
        lot = earn(ledger, 10, terms(expires="30D", grace=grace))
        taken = reserve(ledger, 10, 1)
        ledger.arrears = 4
        release(ledger, taken, 40)
        assert (balances(ledger), lot.remaining) == ((active, 0, 0, 0), active)
        assert lot.gone == 6 - active
        assert moves(ledger)[2:4] == [(Kind.RELEASE, 10, 40), (Kind.REPAYMENT, 4, 40)]
        assert moves(ledger)[4:] == ([] if grace else [(Kind.EXPIRY, 6, 40)])


def test_reserved_points_are_settled_without_touching_a_lot() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 10)
    reserve(ledger, 6, 1)
    ledger.settle_reserved(cause(2), 6)
    assert (balances(ledger), lot.remaining) == ((4, 0, 0, 0), 4)
    with pytest.raises(BookBroken, match=r"^ledger 1/1 has a negative balance$"):
        ledger.settle_reserved(cause(2), 1)


def test_a_lot_never_takes_back_more_than_it_gave() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 10)
    reserve(ledger, 6, 1)
    with pytest.raises(BookBroken, match=r"^lot 1 of 1 would hold 11$"):
        release(ledger, [(lot.seq, 7)], 2)


def test_the_check_catches_points_beside_arrears_and_what_is_negative() -> None:
    for broken, problem in (
        (Ledger(1, 2, active=1, arrears=1), "ledger 1/2 has points beside arrears"),
        (Ledger(1, 2, active=-1), "ledger 1/2 has a negative balance"),
        (Ledger(1, 2, pending=-1), "ledger 1/2 has a negative balance"),
        (Ledger(1, 2, reserved=-1), "ledger 1/2 has a negative balance"),
        (Ledger(1, 2, arrears=-1), "ledger 1/2 has a negative balance"),
    ):
        with pytest.raises(BookBroken, match=f"^{problem}$"):
            broken.check()
    Ledger(1, 2, active=1, pending=1, reserved=1).check()
    Ledger(1, 2, pending=1, reserved=1, arrears=1).check()
