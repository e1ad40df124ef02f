"""The ledger's arithmetic: lots, allocation, arrears, release. Exact cases; no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.errors import BookBroken
from core.ledger import Account, Cause, Kind, Ledger, Lot

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def day(n: float) -> datetime:
    return T0 + timedelta(days=n)


def cause(at: float = 0, event: int = 1) -> Cause:
    return Cause(event, 7, day(at), day(at))


def credit(ledger: Ledger, points: int, at: float = 0, dies: float | None = None) -> Lot:
    """Credit on the day it happens."""
    expires = None if dies is None else day(dies)
    return ledger.credit(cause(at), points, 1, expires, "", day(at))


def remaining(ledger: Ledger) -> dict[int, int]:
    return {lot.seq: lot.remaining for lot in ledger.lots}


def moves(ledger: Ledger) -> list[tuple[int, int, int, int]]:
    return [(t.kind, t.source, t.target, t.amount) for t in ledger.transfers]


def test_a_credit_opens_a_lot_with_its_provenance() -> None:
    ledger = Ledger(5, 2)
    lot = ledger.credit(cause(1, event=9), 40, 3, day(91), "90D", day(1))
    assert (ledger.active, ledger.seq) == (40, 1)
    assert lot == Lot(1, 40, 40, day(1), day(1), day(91), 7, 3, "90D")
    (transfer,) = ledger.transfers
    assert transfer == (
        5, 2, 1, day(1), day(1), Kind.ACCRUAL, Account.ISSUED, Account.ACTIVE, 40, 7, 3, 9,
    )  # fmt: skip


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
        seq = ledger.debit(cause(5), Kind.REDEMPTION, Account.REDEEMED, points)
        assert remaining(ledger) == {**before, **expected}
        assert sum(a.amount for a in ledger.allocations if a.seq == seq) == points
    assert ledger.active == 8


def test_lots_of_one_instant_go_in_the_order_they_were_booked() -> None:
    ledger = Ledger(1, 1)
    first, second = credit(ledger, 5, 0, 30), credit(ledger, 5, 0, 30)
    ledger.debit(cause(1), Kind.REDEMPTION, Account.REDEEMED, 6)
    assert remaining(ledger) == {first.seq: 0, second.seq: 4}


def test_a_lot_is_spendable_from_its_start_inclusive_to_its_end_exclusive() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 5, 10, 20)
    tick = timedelta(microseconds=1)
    assert [lot.live(t) for t in (day(10) - tick, day(10), day(20) - tick, day(20))] == [
        False, True, True, False,
    ]  # fmt: skip
    assert ledger.spendable(day(20)) == 0
    assert ledger.debit(cause(20), Kind.REDEMPTION, Account.REDEEMED, 1) is None
    assert ledger.debit(cause(9), Kind.REDEMPTION, Account.REDEEMED, 1) is None
    assert ledger.active == 5


def test_a_debit_that_does_not_suffice_changes_nothing() -> None:
    ledger = Ledger(1, 1)
    credit(ledger, 5)
    before = (ledger.seq, ledger.active, remaining(ledger), len(ledger.transfers))
    assert ledger.debit(cause(1), Kind.REDEMPTION, Account.REDEEMED, 6) is None
    assert (ledger.seq, ledger.active, remaining(ledger), len(ledger.transfers)) == before
    assert ledger.debit(cause(1), Kind.REDEMPTION, Account.REDEEMED, 5) == 2
    assert ledger.active == 0


def test_no_transfer_is_of_nothing() -> None:
    ledger = Ledger(1, 1)
    credit(ledger, 5)
    for points in (0, -1):
        with pytest.raises(BookBroken):
            ledger.debit(cause(1), Kind.REDEMPTION, Account.REDEEMED, points)
        with pytest.raises(BookBroken):
            credit(ledger, points)
    with pytest.raises(BookBroken):
        ledger.release(cause(1), [])


def test_arrears_are_repaid_from_a_credit_first() -> None:
    ledger = Ledger(1, 1, arrears=30)
    part = credit(ledger, 20)
    assert (ledger.active, ledger.arrears, part.remaining) == (0, 10, 0)
    rest = credit(ledger, 25)
    assert (ledger.active, ledger.arrears, rest.remaining) == (15, 0, 15)
    assert [m for m in moves(ledger) if m[0] == Kind.REPAYMENT] == [
        (Kind.REPAYMENT, Account.ACTIVE, Account.ARREARS, 20),
        (Kind.REPAYMENT, Account.ACTIVE, Account.ARREARS, 10),
    ]


def test_a_lot_that_is_dead_on_arrival_opens_and_expires_in_one_posting_at_its_own_time() -> None:
    ledger = Ledger(1, 1)
    lot = ledger.credit(cause(0), 20, 1, day(30), "30D", day(30))
    assert (ledger.active, lot.remaining) == (0, 0)
    assert moves(ledger) == [
        (Kind.ACCRUAL, Account.ISSUED, Account.ACTIVE, 20),
        (Kind.EXPIRY, Account.ACTIVE, Account.EXPIRED, 20),
    ]
    assert ledger.transfers[1].occurred_at == day(30)
    assert ledger.transfers[1].booked_at == ledger.transfers[0].booked_at


def test_a_dead_lot_repays_arrears_before_it_expires() -> None:
    ledger = Ledger(1, 1, arrears=5)
    ledger.credit(cause(0), 20, 1, day(30), "30D", day(40))
    assert (ledger.active, ledger.arrears) == (0, 0)
    assert [(k, n) for k, _, _, n in moves(ledger)] == [
        (Kind.ACCRUAL, 20), (Kind.REPAYMENT, 5), (Kind.EXPIRY, 15),
    ]  # fmt: skip


def test_a_lot_that_never_expires_can_not_be_expired() -> None:
    ledger = Ledger(1, 1)
    with pytest.raises(BookBroken):
        ledger.expire(cause(1), credit(ledger, 1))


def reserve(ledger: Ledger, points: int, at: float) -> list[tuple[int, int]]:
    seq = ledger.debit(cause(at), Kind.RESERVATION, Account.RESERVED, points)
    return [(a.lot, a.amount) for a in ledger.allocations if a.seq == seq]


def test_a_release_gives_back_to_the_lots_it_came_from() -> None:
    ledger = Ledger(1, 1)
    soon, late = credit(ledger, 10, 0, 30), credit(ledger, 10, 0, 60)
    taken = reserve(ledger, 13, 1)
    assert (ledger.active, ledger.reserved) == (7, 13)
    assert taken == [(soon.seq, 10), (late.seq, 3)]
    ledger.release(cause(2), taken)
    assert (ledger.active, ledger.reserved) == (20, 0)
    assert remaining(ledger) == {soon.seq: 10, late.seq: 10}


def test_a_release_to_a_dead_lot_expires_it_at_once() -> None:
    ledger = Ledger(1, 1)
    soon, late = credit(ledger, 10, 0, 30), credit(ledger, 10, 0, 60)
    ledger.release(cause(30), reserve(ledger, 13, 1))
    assert (ledger.active, ledger.reserved) == (10, 0)
    assert remaining(ledger) == {soon.seq: 0, late.seq: 10}
    assert moves(ledger)[-1] == (Kind.EXPIRY, Account.ACTIVE, Account.EXPIRED, 10)


def test_what_a_dead_lot_still_held_expires_at_its_own_time_what_came_back_at_the_release() -> None:
    ledger = Ledger(1, 1)
    credit(ledger, 10, 0, 30)
    ledger.release(cause(40), reserve(ledger, 4, 1))
    assert (ledger.active, ledger.reserved, ledger.spendable(day(40))) == (0, 0, 0)
    expired = [(t.occurred_at, t.amount) for t in ledger.transfers if t.kind == Kind.EXPIRY]
    assert sorted(expired) == [(day(30), 6), (day(40), 4)]


def test_a_release_repays_arrears_first() -> None:
    ledger = Ledger(1, 1)
    soon, late = credit(ledger, 10, 0, 30), credit(ledger, 10, 0, 60)
    taken = reserve(ledger, 20, 1)
    ledger.arrears = 12  # a return came meanwhile, and nothing else was left
    ledger.release(cause(2), taken)
    assert (ledger.active, ledger.reserved, ledger.arrears) == (8, 0, 0)
    assert remaining(ledger) == {soon.seq: 0, late.seq: 8}


def test_reserved_points_are_settled_without_touching_a_lot() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 10)
    reserve(ledger, 6, 1)
    ledger.settle_reserved(cause(2), 6)
    assert (ledger.active, ledger.reserved, lot.remaining) == (4, 0, 4)
    with pytest.raises(BookBroken):
        ledger.settle_reserved(cause(2), 1)


def test_a_lot_never_takes_back_more_than_it_gave() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 10)
    reserve(ledger, 6, 1)
    with pytest.raises(BookBroken):
        ledger.release(cause(2), [(lot.seq, 7)])


def test_the_check_catches_points_beside_arrears_and_what_is_negative() -> None:
    for broken in (Ledger(1, 1, active=1, arrears=1), Ledger(1, 1, pending=-1)):
        with pytest.raises(BookBroken):
            broken.check()
