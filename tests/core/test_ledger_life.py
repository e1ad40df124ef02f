"""What time does to a lot: activation, lapse, expiry, renewal. Exact cases; no database."""

from __future__ import annotations

from datetime import timedelta

from core.entries import Account, Allocation, Kind, LotChange
from core.ledger import Ledger
from core.rulebook import PolicyTerms
from laurels.policies import Renewal
from tests.core.lots import (
    T0,
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
    reserve,
    spend,
    terms,
)

HELD = terms("14D", "30D")
SENT = terms("until shipped within 30D", "60D")


def fulfil(ledger: Ledger, lot_seq: int, at: float, booked: float | None = None) -> None:
    """The event came on a day, and was told then or later."""
    now = at if booked is None else booked
    (lot,) = [lot for lot in ledger.lots if lot.seq == lot_seq]
    ledger.fulfil(cause(at, 5, now), lot, day(now))


# -- activation, expiry, lapse -------------------------------------------------------------------


def test_points_are_held_back_then_active_then_gone() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 30, HELD)
    assert (lot.pending, lot.active_at, lot.expires_at) == (True, day(14), day(44))
    assert balances(ledger) == (0, 30, 0, 0)
    catch_up(ledger, 13.999)
    assert (balances(ledger), lot.pending, ledger.seq) == ((0, 30, 0, 0), True, 1)
    catch_up(ledger, 14)
    assert (balances(ledger), lot.pending) == ((30, 0, 0, 0), False)
    catch_up(ledger, 43.999)
    assert balances(ledger) == (30, 0, 0, 0)
    catch_up(ledger, 44)
    assert (balances(ledger), lot.remaining, lot.gone) == ((0, 0, 0, 0), 0, 30)
    assert moves(ledger) == [
        (Kind.ACCRUAL, 30, 0), (Kind.ACTIVATION, 30, 14), (Kind.EXPIRY, 30, 44),
    ]  # fmt: skip
    assert accounts(ledger, Kind.ACCRUAL) == [(Account.ISSUED, Account.PENDING, 30)]
    assert accounts(ledger, Kind.ACTIVATION) == [(Account.PENDING, Account.ACTIVE, 30)]
    assert accounts(ledger, Kind.EXPIRY) == [(Account.ACTIVE, Account.EXPIRED, 30)]
    # An activation takes nothing from its lot; the terms stay as they were on the day.
    assert ledger.allocations == [Allocation(1, 1, 3, lot.seq, day(44), 30)]
    assert ledger.changes == []


def test_one_late_catch_up_dates_everything_at_its_own_instant() -> None:
    ledger = Ledger(1, 1)
    first, second = earn(ledger, 30, HELD), earn(ledger, 5, SENT, at=1)
    credit(ledger, 7, 2, 31)
    catch_up(ledger, 100, event=9)
    assert moves(ledger, since=3) == [
        (Kind.ACTIVATION, 30, 14), (Kind.LAPSE, 5, 31), (Kind.EXPIRY, 7, 31), (Kind.EXPIRY, 30, 44),
    ]  # fmt: skip
    assert {(t.event, t.booked_at) for t in ledger.transfers[3:]} == {(9, day(100))}
    assert (first.gone, second.gone, balances(ledger)) == (30, 5, (0, 0, 0, 0))


def test_at_one_instant_activation_comes_first_then_lapse_then_expiry() -> None:
    ledger = Ledger(1, 1)
    credit(ledger, 1, 0, 14)
    earn(ledger, 2, terms("until shipped within 14D"))
    earn(ledger, 3, HELD)
    catch_up(ledger, 14)
    assert moves(ledger, since=3) == [
        (Kind.ACTIVATION, 3, 14), (Kind.LAPSE, 2, 14), (Kind.EXPIRY, 1, 14),
    ]  # fmt: skip


def test_two_of_one_kind_at_one_instant_go_in_the_order_of_their_lots() -> None:
    ledger = Ledger(1, 1)
    for points in (3, 1, 2):
        earn(ledger, points, HELD)
    ledger.lots.reverse()
    catch_up(ledger, 14)
    assert [t.amount for t in ledger.transfers[3:]] == [3, 1, 2]


def test_catching_up_twice_books_nothing_more() -> None:
    ledger = Ledger(1, 1)
    earn(ledger, 30, HELD)
    earn(ledger, 5, SENT)
    catch_up(ledger, 50)
    before = (ledger.seq, len(ledger.allocations))
    catch_up(ledger, 50)
    assert (ledger.seq, len(ledger.allocations)) == before


def test_a_run_that_only_activates_leaves_what_is_dead_to_the_next() -> None:
    ledger = Ledger(1, 1)
    earn(ledger, 30, HELD)
    earn(ledger, 5, SENT)
    ledger.catch_up(cause(50), day(50), expiring=False)
    assert moves(ledger, since=2) == [(Kind.ACTIVATION, 30, 14), (Kind.LAPSE, 5, 30)]
    assert (ledger.active, ledger.spendable(day(50))) == (30, 0)
    catch_up(ledger, 51)
    assert moves(ledger)[-1] == (Kind.EXPIRY, 30, 44)


def test_what_a_return_took_is_neither_activated_nor_expired() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 30, HELD)
    ledger.claw_back(cause(1), [lot], 30, lot.terms.policy.returns)
    catch_up(ledger, 50)
    assert moves(ledger) == [(Kind.ACCRUAL, 30, 0), (Kind.CLAWBACK, 30, 1)]


def test_points_whose_event_never_comes_lapse() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 8, SENT)
    assert (lot.active_at, lot.expires_at, lot.lapses_at) == (None, None, day(30))
    catch_up(ledger, 29.999)
    assert balances(ledger) == (0, 8, 0, 0)
    catch_up(ledger, 30)
    assert (balances(ledger), lot.remaining, lot.gone) == ((0, 0, 0, 0), 0, 8)
    assert accounts(ledger, Kind.LAPSE) == [(Account.PENDING, Account.LAPSED, 8)]
    assert ledger.allocations == [Allocation(1, 1, 2, lot.seq, day(30), 8)]
    assert not lot.live(day(31))


# -- the event -----------------------------------------------------------------------------------


def test_the_event_activates_and_expiry_counts_from_it() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 8, SENT)
    fulfil(ledger, lot.seq, 3)
    assert (balances(ledger), lot.pending) == ((8, 0, 0, 0), False)
    assert (lot.active_at, lot.expires_at) == (day(3), day(63))
    assert ledger.changes == [LotChange(1, 1, 1, day(3), 5, day(3), day(63), SENT.id)]
    assert moves(ledger) == [(Kind.ACCRUAL, 8, 0), (Kind.ACTIVATION, 8, 3)]
    catch_up(ledger, 31)  # its deadline has no meaning any more
    assert ledger.seq == 2
    catch_up(ledger, 63)
    assert moves(ledger)[-1] == (Kind.EXPIRY, 8, 63)


def test_an_event_that_is_told_late_counts_from_when_it_came() -> None:
    ledger = Ledger(1, 1, arrears=3)
    lot = earn(ledger, 8, SENT)
    fulfil(ledger, lot.seq, 3, booked=10)
    assert (lot.active_at, lot.expires_at) == (day(3), day(63))
    # What is owed may be younger than the event: it is repaid when the event is told.
    assert moves(ledger, since=1) == [(Kind.ACTIVATION, 8, 3), (Kind.REPAYMENT, 3, 10)]
    assert balances(ledger) == (5, 0, 0, 0)


def test_an_event_that_is_told_after_the_points_would_have_died_activates_and_expires_them() -> (
    None
):
    for owed in (0, 3):
        ledger = Ledger(1, 1, arrears=owed)
        lot = earn(ledger, 8, terms("until shipped within 30D", "5D"))
        fulfil(ledger, lot.seq, 3, booked=10)
        assert moves(ledger, since=1) == [
            (Kind.ACTIVATION, 8, 3),
            *([(Kind.REPAYMENT, 3, 3)] if owed else []),
            (Kind.EXPIRY, 8 - owed, 8),
        ]
        assert (balances(ledger), lot.gone) == ((0, 0, 0, 0), 8 - owed)


def test_an_event_activates_what_never_expires() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 8, terms("until shipped within 30D"))
    fulfil(ledger, lot.seq, 3)
    assert (lot.active_at, lot.expires_at, lot.live(day(9999))) == (day(3), None, True)


# -- late, dead on arrival -----------------------------------------------------------------------


def test_points_that_come_late_are_active_from_their_own_instant() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 30, HELD, at=0, booked=20)
    assert (balances(ledger), lot.pending) == ((30, 0, 0, 0), False)
    assert moves(ledger) == [(Kind.ACCRUAL, 30, 0), (Kind.ACTIVATION, 30, 14)]
    assert {t.booked_at for t in ledger.transfers} == {day(20)}


def test_dead_on_arrival_goes_through_all_three_in_one_posting() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 30, HELD, at=0, booked=50)
    assert moves(ledger) == [
        (Kind.ACCRUAL, 30, 0), (Kind.ACTIVATION, 30, 14), (Kind.EXPIRY, 30, 44),
    ]  # fmt: skip
    assert {(t.booked_at, t.event) for t in ledger.transfers} == {(day(50), 1)}
    assert (balances(ledger), lot.remaining, lot.gone) == ((0, 0, 0, 0), 0, 30)


def test_dead_on_arrival_repays_before_it_expires() -> None:
    ledger = Ledger(1, 1, arrears=12)
    lot = earn(ledger, 30, HELD, at=0, booked=50)
    assert moves(ledger) == [
        (Kind.ACCRUAL, 30, 0), (Kind.ACTIVATION, 30, 14), (Kind.REPAYMENT, 12, 14),
        (Kind.EXPIRY, 18, 44),
    ]  # fmt: skip
    assert (balances(ledger), lot.gone) == ((0, 0, 0, 0), 18)


def test_late_and_alive_repays_when_it_is_booked() -> None:
    ledger = Ledger(1, 1, arrears=12)
    earn(ledger, 30, HELD, at=0, booked=20)
    assert moves(ledger, since=2) == [(Kind.REPAYMENT, 12, 20)]


def test_points_that_come_after_their_event_should_have_lapse() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 8, SENT, at=0, booked=40)
    assert moves(ledger) == [(Kind.ACCRUAL, 8, 0), (Kind.LAPSE, 8, 30)]
    assert (balances(ledger), lot.pending, lot.gone) == ((0, 0, 0, 0), True, 8)


def test_a_late_lot_ages_alone() -> None:
    """The others were brought up to date before, or weren't loaded at all."""
    ledger = Ledger(1, 1)
    other = credit(ledger, 5, 0, 10)
    earn(ledger, 30, HELD, at=0, booked=50)
    assert other.remaining == 5
    assert [lot.amount for lot in ledger.lots] == [5, 30]


# -- arrears -------------------------------------------------------------------------------------


def test_arrears_are_repaid_at_the_instant_of_activation_whenever_it_is_booked() -> None:
    for booked in (14, 20, 43, 50):
        ledger = Ledger(1, 1, arrears=12)
        lot = earn(ledger, 30, HELD)
        assert balances(ledger) == (0, 30, 0, 12)
        catch_up(ledger, booked)
        assert moves(ledger)[1:3] == [(Kind.ACTIVATION, 30, 14), (Kind.REPAYMENT, 12, 14)]
        assert ledger.allocations[0] == Allocation(1, 1, 3, lot.seq, day(14), 12)
        assert lot.gone == (18 if booked == 50 else 0)


def test_arrears_are_repaid_by_one_activation_after_the_other() -> None:
    ledger = Ledger(1, 1, arrears=50)
    lots = [earn(ledger, n, terms(f"{d}D", "5D")) for n, d in ((10, 30), (20, 10), (25, 20))]
    catch_up(ledger, 100)
    assert moves(ledger, since=3) == [
        (Kind.ACTIVATION, 20, 10), (Kind.REPAYMENT, 20, 10),
        (Kind.ACTIVATION, 25, 20), (Kind.REPAYMENT, 25, 20),
        (Kind.ACTIVATION, 10, 30), (Kind.REPAYMENT, 5, 30),
        (Kind.EXPIRY, 5, 35),
    ]  # fmt: skip
    assert [lot.gone for lot in lots] == [5, 0, 0]
    assert balances(ledger) == (0, 0, 0, 0)


# -- renewal -------------------------------------------------------------------------------------

SLIDING = terms(expires="sliding 30D on earning spending")


def slide(ledger: Ledger, activity: Renewal, at: float, now: float | None = None) -> None:
    """Something of a kind was done on a day, told then or later."""
    booked = at if now is None else now
    ledger.slide(cause(at, 4, booked), activity, day(booked))


def expiry_after(life: PolicyTerms, activity: Renewal, at: float, now: float) -> float:
    """The day on which ten points earned on day 0 die, after something was done."""
    ledger = Ledger(1, 1)
    lot = earn(ledger, 10, life)
    slide(ledger, activity, at, now)
    assert lot.expires_at is not None
    return (lot.expires_at - T0) / timedelta(days=1)


def test_a_named_activity_renews() -> None:
    for activity, dies in (
        (Renewal.EARNING, 50), (Renewal.SPENDING, 50), (Renewal.RETURNING, 30),
    ):  # fmt: skip
        assert expiry_after(SLIDING, activity, 20, 20) == dies


def test_only_sliding_points_are_renewed() -> None:
    assert expiry_after(terms(expires="30D"), Renewal.EARNING, 20, 20) == 30


def test_renewal_counts_from_the_activity_and_never_shortens() -> None:
    assert expiry_after(SLIDING, Renewal.EARNING, 5, 25) == 35
    assert expiry_after(SLIDING, Renewal.EARNING, 0, 25) == 30
    assert expiry_after(SLIDING, Renewal.EARNING, -10, 25) == 30


def test_renewal_never_revives() -> None:
    """Not even by an activity that came in time and is told too late."""
    assert expiry_after(SLIDING, Renewal.EARNING, 30, 30) == 30
    assert expiry_after(SLIDING, Renewal.EARNING, 29, 30) == 30
    ledger = Ledger(1, 1)
    lot = earn(ledger, 10, SLIDING)
    almost = cause()._replace(occurred_at=day(30) - TICK)
    ledger.slide(almost, Renewal.EARNING, day(30) - TICK)
    assert lot.expires_at == day(60) - TICK


def test_each_renewal_is_told_once_a_posting() -> None:
    ledger = Ledger(1, 1)
    lots = [earn(ledger, 10, SLIDING), earn(ledger, 10, SLIDING, at=1)]
    slide(ledger, Renewal.EARNING, 10)
    expected = [LotChange(1, 1, lot.seq, day(10), 4, lot.active_at, day(40), SLIDING.id)
                for lot in lots]  # fmt: skip
    assert ledger.changes == expected
    slide(ledger, Renewal.SPENDING, 10)  # the same posting: nothing new to tell
    assert ledger.changes == expected
    slide(ledger, Renewal.SPENDING, 12, now=10)  # once more in it, and further
    assert ledger.changes == [c._replace(expires_at=day(42)) for c in expected]
    slide(ledger, Renewal.SPENDING, 13)
    assert [(c.lot, c.booked_at, c.expires_at) for c in ledger.changes] == [
        (1, day(10), day(42)), (2, day(10), day(42)), (1, day(13), day(43)), (2, day(13), day(43)),
    ]  # fmt: skip


def test_what_is_spent_or_held_back_is_not_renewed() -> None:
    ledger = Ledger(1, 1)
    spent = earn(ledger, 10, SLIDING)
    held = earn(ledger, 10, terms("14D", "sliding 30D on earning"))
    spend(ledger, 10, 1)
    slide(ledger, Renewal.EARNING, 10)
    assert (spent.expires_at, held.expires_at, ledger.changes) == (day(30), day(44), [])
    catch_up(ledger, 14)
    slide(ledger, Renewal.EARNING, 20)
    assert (held.active_at, held.expires_at) == (day(14), day(50))


def test_renewed_points_are_spent_in_their_new_order() -> None:
    ledger = Ledger(1, 1)
    sliding, fixed = earn(ledger, 10, SLIDING), credit(ledger, 10, 0, 40)
    assert spend(ledger, 1, 1) == [(sliding.seq, 1)]
    slide(ledger, Renewal.SPENDING, 20)
    assert spend(ledger, 1, 20) == [(fixed.seq, 1)]


def test_renewal_rounds_as_the_first_expiry_did() -> None:
    life = terms(expires="sliding 1M_U on earning")
    assert expiry_after(life, Renewal.EARNING, 3, 3) == 59  # 1 March, as from 1 January on
    assert expiry_after(life, Renewal.EARNING, 31, 31) == 90  # 1 February: 1 April


# -- another policy ------------------------------------------------------------------------------


def test_a_lot_moves_to_another_policy() -> None:
    ledger = Ledger(1, 1)
    lot, longer = credit(ledger, 10, 0, 30), terms(expires="60D")
    ledger.move(cause(10), lot, longer, day(60))
    assert (lot.terms, lot.active_at, lot.expires_at) == (longer, day(0), day(60))
    assert ledger.changes == [LotChange(1, 1, lot.seq, day(10), 1, day(0), day(60), longer.id)]
    catch_up(ledger, 59)
    assert ledger.active == 10


def test_grace_goes_by_the_policy_that_a_lot_moved_to() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 10, 0, 30)
    taken = reserve(ledger, 10, 1)
    ledger.move(cause(10), lot, terms(expires="30D", grace="5D"), day(30))
    release(ledger, taken, 40)
    assert (ledger.active, lot.expires_at) == (10, day(45))
