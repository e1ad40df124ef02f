"""Taking back what is no longer earned: from where, how far, dated when. No database."""

from __future__ import annotations

import pytest

from core.entries import Account, Allocation, Kind, Lot, Taken
from core.errors import BookBroken
from core.ledger import Ledger
from laurels.policies import Returns
from tests.core.lots import (
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

ARREARS, WITHIN, PENDING = Returns.ARREARS, Returns.WITHIN_BALANCE, Returns.PENDING
HELD = terms("14D", "30D")


def claw(
    ledger: Ledger, own: list[Lot], points: int, reach: Returns = ARREARS, at: float = 5
) -> Taken:
    """Take back points on a day."""
    return ledger.claw_back(cause(at), own, points, reach)


def taken(ledger: Ledger, since: int) -> dict[int, int]:
    """What was taken by lot, by transfers after this seq."""
    found: dict[int, int] = {}
    for a in ledger.allocations:
        if a.seq > since:
            found[a.lot] = found.get(a.lot, 0) + a.amount
    return found


def a_full_ledger() -> tuple[Ledger, dict[str, Lot]]:
    """Ten points of each kind, booked in an order that isn't the one in which they are taken."""
    ledger = Ledger(1, 1)
    lots = {
        "other, never": credit(ledger, 10, 0),
        "other, late": credit(ledger, 10, 0, 80),
        "other, held": earn(ledger, 10, HELD, at=1),
        "own, never": credit(ledger, 10, 1),
        "own, late": credit(ledger, 10, 1, 90),
        "own, held": earn(ledger, 10, HELD, at=1),
        "own, soon": credit(ledger, 10, 1, 70),
        "other, soon, young": credit(ledger, 10, 2, 20),
        "other, soon, old": credit(ledger, 10, 1, 20),
    }
    return ledger, lots


def own(lots: dict[str, Lot]) -> list[Lot]:
    """The purchase's own lots."""
    return [lot for name, lot in lots.items() if name.startswith("own")]


ORDER = [
    "own, held", "own, soon", "own, late", "own, never", "other, soon, old", "other, soon, young",
    "other, late", "other, never",
]  # fmt: skip


@pytest.mark.parametrize("points", [1, 10, 15, 30, 39, 40, 41, 55, 79, 80])
def test_it_takes_pending_then_own_then_others_soonest_to_expire_first(points: int) -> None:
    ledger, lots = a_full_ledger()
    before = ledger.seq
    assert claw(ledger, own(lots), points) == (points, 0, 0)
    full, part = divmod(points, 10)
    expected = {lots[name].seq: 10 for name in ORDER[:full]}
    if part:
        expected[lots[ORDER[full]].seq] = part
    assert taken(ledger, before) == expected
    assert balances(ledger) == (70 - max(0, points - 10), 20 - min(10, points), 0, 0)


def test_only_pending_points_of_the_purchase_itself_are_touched() -> None:
    ledger, lots = a_full_ledger()
    assert claw(ledger, own(lots), 100) == (80, 20, 0)
    assert balances(ledger) == (0, 10, 0, 20)
    assert lots["other, held"].remaining == 10


def test_how_far_a_return_reaches_is_the_policys_word() -> None:
    for reach, result, left in (
        (PENDING, (10, 0, 90), (70, 10, 0, 0)),
        (WITHIN, (80, 0, 20), (0, 10, 0, 0)),
        (ARREARS, (80, 20, 0), (0, 10, 0, 20)),
    ):
        ledger, lots = a_full_ledger()
        assert claw(ledger, own(lots), 100, reach) == result
        assert balances(ledger) == left
        sources = {PENDING: {2}, WITHIN: {1, 2}, ARREARS: {1, 2, 4}}[reach]
        assert {source for source, _, _ in accounts(ledger, Kind.CLAWBACK)} == sources


def test_where_pending_suffices_all_three_take_the_same() -> None:
    for reach in Returns:
        ledger, lots = a_full_ledger()
        assert claw(ledger, own(lots), 7, reach) == (7, 0, 0)
        assert balances(ledger) == (70, 13, 0, 0)


def test_a_policy_of_pending_only_forgives_what_became_active() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 30, HELD)
    catch_up(ledger, 14)
    assert claw(ledger, [lot], 30, PENDING, at=15) == (0, 0, 30)
    assert (balances(ledger), ledger.seq) == ((30, 0, 0, 0), 2)


def test_what_is_reserved_or_spent_is_owed() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 30)
    reserve(ledger, 10, 1)
    spend(ledger, 15, 1)
    assert claw(ledger, [lot], 30) == (5, 25, 0)
    assert balances(ledger) == (0, 0, 10, 25)
    assert moves(ledger)[-2:] == [(Kind.CLAWBACK, 5, 5), (Kind.CLAWBACK, 25, 5)]
    assert accounts(ledger, Kind.CLAWBACK) == [
        (Account.ACTIVE, Account.CLAWED_BACK, 5),
        (Account.ARREARS, Account.CLAWED_BACK, 25),
    ]


def test_what_is_owed_adds_up_and_the_next_credit_repays_it() -> None:
    ledger = Ledger(1, 1)
    first, second = credit(ledger, 30), credit(ledger, 20)
    spend(ledger, 50, 1)
    assert claw(ledger, [first], 30) == (0, 30, 0)
    assert claw(ledger, [second], 20, at=6) == (0, 20, 0)
    assert balances(ledger) == (0, 0, 0, 50)
    credit(ledger, 60, 7)
    assert balances(ledger) == (10, 0, 0, 0)


def test_each_account_and_instant_has_a_transfer_of_its_own() -> None:
    ledger, lots = a_full_ledger()
    before = ledger.seq
    claw(ledger, own(lots), 35)
    assert [(t.seq - before, t.source, t.amount) for t in ledger.transfers[before:]] == [
        (1, Account.ACTIVE, 25), (2, Account.PENDING, 10),
    ]  # fmt: skip
    assert {(t.occurred_at, t.target) for t in ledger.transfers[before:]} == {
        (day(5), Account.CLAWED_BACK)
    }


def test_nothing_is_taken_before_it_was_there() -> None:
    """A return of day 3 is told on day 60: it takes each lot's points once they are there."""
    ledger = Ledger(1, 1)
    old, activated = credit(ledger, 10), earn(ledger, 10, terms("14D"))
    held, later = earn(ledger, 10, terms("90D"), at=8), credit(ledger, 10, 20)
    catch_up(ledger, 60)
    before = ledger.seq
    result = ledger.claw_back(cause(3, booked=60), [old, activated, held], 50, ARREARS)
    assert result == (40, 10, 0)
    assert moves(ledger, since=before) == [
        (Kind.CLAWBACK, 10, 3), (Kind.CLAWBACK, 10, 8), (Kind.CLAWBACK, 10, 14),
        (Kind.CLAWBACK, 10, 20), (Kind.CLAWBACK, 10, 3),
    ]  # fmt: skip
    assert ledger.allocations == [
        Allocation(1, 1, before + 1, old.seq, day(3), 10),
        Allocation(1, 1, before + 2, held.seq, day(8), 10),
        Allocation(1, 1, before + 3, activated.seq, day(14), 10),
        Allocation(1, 1, before + 4, later.seq, day(20), 10),
    ]
    assert {t.booked_at for t in ledger.transfers[before:]} == {day(60)}


def test_what_waits_for_an_event_is_taken_while_it_waits() -> None:
    ledger = Ledger(1, 1)
    lot = earn(ledger, 10, terms("until shipped within 30D"), at=2)
    assert ledger.claw_back(cause(1, booked=2), [lot], 4, ARREARS) == (4, 0, 0)
    assert moves(ledger)[-1] == (Kind.CLAWBACK, 4, 2)
    ledger.fulfil(cause(9), lot, day(9))
    assert balances(ledger) == (6, 0, 0, 0)


def test_what_had_expired_is_not_there_to_take() -> None:
    ledger = Ledger(1, 1)
    dead, other = credit(ledger, 10, 0, 3), credit(ledger, 10)
    catch_up(ledger, 5)
    claw(ledger, [dead], 4)
    assert remaining(ledger) == {dead.seq: 0, other.seq: 6}


def test_taking_nothing_books_nothing() -> None:
    ledger, lots = a_full_ledger()
    before = ledger.seq
    assert claw(ledger, own(lots), 0) == (0, 0, 0)
    assert ledger.seq == before


def test_a_lot_that_holds_less_than_it_says_is_caught() -> None:
    ledger = Ledger(1, 1)
    lot = credit(ledger, 10)
    lot.remaining = 20
    with pytest.raises(BookBroken, match=r"^ledger 1/1 has a negative balance$"):
        claw(ledger, [lot], 15)


def test_points_that_come_back_to_several_lots_repay_soonest_to_expire_first() -> None:
    """Once in the order in which the lots had been opened, which is no order of debits."""
    ledger = Ledger(1, 1)
    late, soon = credit(ledger, 10, 0, 30), credit(ledger, 10, 0, 20)
    taken = reserve(ledger, 15, 1)
    assert taken == [(soon.seq, 10), (late.seq, 5)]
    ledger.claw_back(cause(2), [], 12, ARREARS)  # five are there, seven owed
    release(ledger, list(reversed(taken)), 3)
    assert balances(ledger) == (8, 0, 0, 0)
    assert remaining(ledger) == {late.seq: 5, soon.seq: 3}


@pytest.mark.parametrize("owed", [0, 5, 15, 25, 40])
@pytest.mark.parametrize("at", [4, 15, 21, 46, 70])
def test_what_is_free_is_what_stands_once_time_is_booked(owed: int, at: float) -> None:
    """Points that mature repay what is owed first, those too that have expired since."""
    ledger = Ledger(1, 1)
    own = credit(ledger, 10, 0)
    spend(ledger, 10, at=1)
    claw(ledger, [own], owed, at=2)
    earn(ledger, 10, HELD, at=0)
    earn(ledger, 10, HELD, at=7)
    if not owed:
        credit(ledger, 4, 3, 20)
    free = ledger.free(day(at))
    catch_up(ledger, at)
    assert free == ledger.active
