"""The model itself, held to examples worked out by hand: lots, debits, returns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from tests.oracle import Oracle
from tests.oracle_ledger import Balance, Key, LotView, Refused, Terms
from tests.oracle_purchases import Award, Back, LineBought

T = datetime(2026, 1, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
A: Key = ("grocer", "A")
B: Key = ("grocer", "B")
ANN = 1


def on(day: float) -> datetime:
    """That many days after the tests begin."""
    return T + day * DAY


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def buy(
    model: Oracle,
    key: Key,
    *amounts: int,
    at: datetime = T,
    now: datetime | None = None,
    currency: str = "S",
    more: Sequence[Award] = (),
) -> None:
    """One piece of each for so many dollars; a point a dollar."""
    lines = [LineBought(Fraction(1), 100 * n) for n in amounts]
    model.purchase(
        ANN, key, at, lines, [Award(currency, "dollars", tuple(amounts)), *more], now or at
    )


def figures(model: Oracle, now: datetime, currency: str = "S") -> tuple[int, ...]:
    """Active, pending, reserved, arrears."""
    return model.balance(ANN, currency, now, now)


def left(model: Oracle, now: datetime, currency: str = "S") -> list[int]:
    """What is left of each lot."""
    return [lot.remaining for lot in model.lots(ANN, currency, now)]


# -- debits and the credits they came from (research, 5.8) -----------------------------------


def test_a_debit_takes_from_credits_and_its_cancelling_gives_back_to_the_same() -> None:
    model = Oracle({"S": Terms(expires="30D")})
    buy(model, A, 100)
    buy(model, B, 50, at=on(1))
    model.redeem("first", ANN, "S", 120, on(2))
    assert left(model, on(2)) == [0, 30]
    model.reverse("first", on(3))
    assert left(model, on(3)) == [100, 50]
    with pytest.raises(Refused):
        model.reverse("first", on(3))
    with pytest.raises(Refused):
        model.redeem("second", ANN, "S", 151, on(3))
    assert figures(model, on(3)) == (150, 0, 0, 0)


def test_a_debit_with_arrears_is_settled_by_later_credits() -> None:
    model = Oracle({"S": Terms()})
    buy(model, A, 100)
    model.redeem("all", ANN, "S", 100, on(1))
    model.give_back(A, [Back(0, amount=4000)], on(2), on(2))
    assert figures(model, on(2)) == (0, 0, 0, 40)
    buy(model, B, 30, at=on(3))
    assert (figures(model, on(3)), left(model, on(3))) == ((0, 0, 0, 10), [0, 0])
    model.adjust(ANN, "S", 15, on(4))
    assert (figures(model, on(4)), left(model, on(4))) == ((5, 0, 0, 0), [0, 0, 5])
    # A restored point pays too: the lot that it came from has what is left.
    model.cancel(A, on(5), on(5))
    assert figures(model, on(5)) == (0, 0, 0, 55)
    model.reverse("all", on(6))
    assert (figures(model, on(6)), left(model, on(6))) == ((45, 0, 0, 0), [45, 0, 0])


def test_soonest_to_expire_first_then_oldest() -> None:
    model = Oracle({"S": Terms(expires="on 01-31 06-30")})
    buy(model, A, 5, at=on(30))
    buy(model, B, 5, at=on(29))
    buy(model, ("grocer", "C"), 5, at=on(0), now=on(29))
    model.redeem("r", ANN, "S", 6, on(31))
    assert left(model, on(31)) == [4, 0, 0]  # the third was dead on arrival
    model.adjust(ANN, "S", -3, on(32))
    with pytest.raises(Refused):
        model.adjust(ANN, "S", -2, on(32))
    assert left(model, on(32)) == [1, 0, 0]


# -- the life of a lot ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "at", "until"),
    [
        (Terms(expires="1M"), utc(2026, 1, 31, 9), utc(2026, 2, 28, 9)),
        (Terms(expires="1M"), utc(2028, 1, 31, 9), utc(2028, 2, 29, 9)),
        (Terms(expires="12M"), utc(2028, 2, 29, 9), utc(2029, 2, 28, 9)),
        (Terms(expires="1M_U"), utc(2026, 1, 31, 9), utc(2026, 3, 1)),
        (Terms(expires="12M_UQ"), utc(2026, 11, 23), utc(2028, 1, 1)),
        (Terms(expires="12M_UY"), utc(2026, 1, 1), utc(2028, 1, 1)),
        (Terms(expires="1M", zone="Europe/Istanbul"), utc(2026, 1, 30, 22), utc(2026, 2, 27, 22)),
        (Terms(expires="on 12-31 06-30"), utc(2026, 6, 30, 23, 59), utc(2026, 7, 1)),
        (Terms(expires="on 12-31 06-30"), utc(2026, 7, 1), utc(2027, 1, 1)),
        (Terms(expires="on 12-31", zone="America/New_York"), utc(2027, 1, 1), utc(2027, 1, 1, 5)),
        (Terms(expires="14D", pending="14D"), utc(2026, 1, 1), utc(2026, 1, 29)),
        (Terms(expires="on 04-01", pending="on 04-01"), utc(2026, 1, 1), utc(2026, 4, 2)),
        (Terms(expires="sliding 1M on earning"), utc(2026, 1, 31), utc(2026, 2, 28)),
    ],
)
def test_a_lot_ends_on_the_day_that_its_policy_says(
    terms: Terms, at: datetime, until: datetime
) -> None:
    model = Oracle({"S": terms})
    buy(model, A, 5, at=at)
    assert model.lots(ANN, "S", at)[0].expires_at == until
    second = timedelta(seconds=1)
    assert model.balance(ANN, "S", until - second, at).active == 5
    assert model.balance(ANN, "S", until, at) == Balance(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("pending", "since"),
    [
        ("14D", utc(2026, 1, 29, 15, 30)),
        ("14D_U", utc(2026, 1, 30)),
        ("1M", utc(2026, 2, 15, 15, 30)),
        ("on 01-15 02-01", utc(2026, 2, 1)),
    ],
)
def test_points_are_pending_until_their_day(pending: str, since: datetime) -> None:
    model = Oracle({"S": Terms(pending=pending, expires="1D")})
    at = utc(2026, 1, 15, 15, 30)
    buy(model, A, 5, at=at)
    before = since - timedelta(seconds=1)
    assert model.balance(ANN, "S", before, at) == Balance(0, 5, 0, 0)
    with pytest.raises(Refused):
        model.redeem("r", ANN, "S", 1, before)
    assert model.balance(ANN, "S", since, at) == Balance(5, 0, 0, 0)
    model.redeem("r", ANN, "S", 1, since)
    assert model.lots(ANN, "S", since) == [LotView(5, 4, since, since + DAY)]


def test_an_event_activates_and_its_lack_lapses() -> None:
    model = Oracle({"S": Terms(pending="until shipped within 30D", expires="10D")})
    buy(model, A, 5)
    buy(model, B, 7)
    assert model.lots(ANN, "S", T) == [LotView(5, 5, None, None), LotView(7, 7, None, None)]
    model.shipped(A, on(3), on(5))
    assert model.lots(ANN, "S", on(5))[0] == LotView(5, 5, on(3), on(13))
    assert model.balance(ANN, "S", on(3), on(5)) == Balance(5, 7, 0, 0)
    assert model.balance(ANN, "S", on(2.9), on(5)) == Balance(0, 12, 0, 0)
    model.shipped(B, on(29), on(30))  # reported too late
    assert figures(model, on(30)) == (0, 0, 0, 0)
    model.give_back(B, [Back(0, Fraction(1))], on(31), on(31))
    assert figures(model, on(31)) == (0, 0, 0, 0)


def test_a_rules_own_pending_replaces_the_currencys() -> None:
    model = Oracle({"S": Terms(pending="until shipped within 30D")})
    buy(model, A, 5, more=[Award("S", "bonus", (3,), pending="2D")])
    assert figures(model, on(2)) == (3, 5, 0, 0)
    assert figures(model, on(30)) == (3, 0, 0, 0)


def test_dead_on_arrival_pays_what_is_owed_and_then_expires() -> None:
    model = Oracle({"S": Terms(expires="10D", pending="5D")})
    buy(model, A, 10)
    model.redeem("r", ANN, "S", 10, on(5))
    model.cancel(A, on(6), on(6))
    assert figures(model, on(6)) == (0, 0, 0, 10)
    buy(model, B, 8, at=on(1), now=on(30))
    assert figures(model, on(30)) == (0, 0, 0, 2)
    buy(model, ("grocer", "C"), 8, at=on(2), now=on(31))
    assert (figures(model, on(31)), left(model, on(31))) == ((0, 0, 0, 0), [0, 0, 0])


def test_what_was_due_pays_first_whenever_a_job_ran() -> None:
    """Arrears of 4; 5 points become active on day 9; a purchase is booked on day 10."""
    model = Oracle({"S": Terms()})
    buy(model, A, 4)
    model.redeem("r", ANN, "S", 4, T)
    late = [LineBought(Fraction(1), 500)]
    model.purchase(ANN, B, on(1), lines=late, awards=[Award("S", "x", (5,), None, "8D")], now=on(1))
    model.cancel(A, on(2), on(2))
    buy(model, ("grocer", "C"), 3, at=on(10))
    assert left(model, on(10)) == [0, 1, 3]
    assert model.balance(ANN, "S", on(9), on(10)) == Balance(1, 0, 0, 0)


def test_activities_renew_what_is_open_but_revive_nothing() -> None:
    model = Oracle({"S": Terms(expires="sliding 10D on earning")})
    buy(model, A, 5)
    model.redeem("r", ANN, "S", 2, on(8))  # spending isn't named
    buy(model, B, 5, at=on(7), now=on(9))  # it is by its own time, not by ours
    assert [x.expires_at for x in model.lots(ANN, "S", on(9))] == [on(17), on(17)]
    buy(model, ("grocer", "C"), 1, at=on(16), now=on(17))
    assert left(model, on(17)) == [0, 0, 1]
    model.reverse("r", on(17))
    assert left(model, on(17)) == [0, 0, 1]


def test_points_given_back_after_their_time_have_grace_or_die() -> None:
    model = Oracle({"S": Terms(expires="10D", grace="3D"), "Q": Terms(expires="10D")})
    for currency, key in (("S", A), ("Q", B)):
        buy(model, key, 5, currency=currency)
        model.redeem(currency, ANN, currency, 3, on(1), hold_until=on(2))
    assert figures(model, on(11)) == (0, 0, 3, 0)
    with pytest.raises(Refused):
        model.confirm("S", on(11))
    model.time_out(on(11))  # dated on day 2, when they lived still
    assert figures(model, on(11)) == (0, 0, 0, 0)
    assert model.balance(ANN, "S", on(9), on(11)).active == 5
    model = Oracle({"S": Terms(expires="10D", grace="3D"), "Q": Terms(expires="10D")})
    for currency, key in (("S", A), ("Q", B)):
        buy(model, key, 5, currency=currency)
        model.redeem(currency, ANN, currency, 3, on(1), hold_until=on(11))
    model.time_out(on(12))
    assert figures(model, on(12)) == (3, 0, 0, 0)
    assert figures(model, on(14)) == (0, 0, 0, 0)
    assert figures(model, on(12), "Q") == (0, 0, 0, 0)


# -- returns ---------------------------------------------------------------------------------------


def test_each_way_of_giving_back() -> None:
    """12.00 for four pieces (12 points) and 5.00 (5 points)."""
    model = Oracle({"S": Terms()})
    lines = [LineBought(Fraction(4), 1200), LineBought(Fraction("0.750"), 500)]
    model.purchase(ANN, A, T, lines, [Award("S", "dollars", (12, 5))], T)
    model.give_back(A, [Back(0, Fraction(1))], T, T)
    assert figures(model, T)[0] == 14  # 9 + 5
    model.give_back(A, [Back(1, amount=101)], T, T)
    assert figures(model, T)[0] == 12  # 9 + 5 * 399/500 = 12.99
    model.give_back(A, [Back(None, amount=299)], T, T)
    assert figures(model, T)[0] == 10  # 12.99 * (1299 - 299)/1299
    model.give_back(A, [Back(1, Fraction("0.150")), Back(0, amount=300)], T, T)
    assert figures(model, T)[0] == 6  # (6 + 5 * (0.798 - 0.2)) * (899 - 299)/899
    with pytest.raises(Refused):
        model.give_back(A, [Back(None, amount=601)], T, T)
    with pytest.raises(Refused):
        model.give_back(A, [Back(0, Fraction("2.001"))], T, T)
    model.cancel(A, T, T)
    assert figures(model, T) == (0, 0, 0, 0)
    with pytest.raises(Refused):
        model.cancel(A, T, T)


def test_a_multiplier_falls_with_its_base_and_a_bonus_with_its_reason() -> None:
    def bonus(remains: Sequence[Fraction]) -> int:
        return 50 if sum(remains) >= 1000 else 0

    model = Oracle({"S": Terms()})
    more = [
        Award("S", "gold", (33,), base=65),
        Award("S", "bonus", (25, 25), again=bonus),
    ]
    # 15 + 50 = 65; half as much again is 32.5: 33 says that the base was rounded up by a cap.
    buy(model, A, 10, 5, more=more)
    assert figures(model, T)[0] == 98
    model.give_back(A, [Back(1, amount=300)], T, T)
    # 12 and the bonus stays: floor(33 * 62 / 65) = 31.
    assert figures(model, T)[0] == 12 + 50 + 31
    model.give_back(A, [Back(1, amount=200), Back(0, amount=1)], T, T)
    # 9.99 is left: no bonus; floor(33 * 9 / 65) = 4.
    assert figures(model, T)[0] == 9 + 4


@pytest.mark.parametrize(
    ("reach", "expected"),
    [("pending", (6, 0, 0, 0)), ("within-balance", (0, 0, 0, 0)), ("arrears", (0, 0, 0, 4))],
)
def test_how_far_a_return_reaches(reach: str, expected: tuple[int, ...]) -> None:
    """10 at once, 4 of them spent; 5 pending; then 5 from elsewhere: all of the first comes back.

    Of the 15, 5 are taken from pending; 10 are left to take, 6 of the lots' own remain.
    """
    model = Oracle({"S": Terms(returns=reach)})
    buy(model, A, 10, more=[Award("S", "bonus", (5,), pending="30D")])
    model.redeem("r", ANN, "S", 4, on(1))
    model.give_back(A, [Back(0, Fraction(1))], on(2), on(2))
    assert figures(model, on(2)) == expected
    # What was forgiven stays forgiven.
    model.adjust(ANN, "S", 5, on(3))
    assert figures(model, on(3))[0] - figures(model, on(3))[3] == expected[0] - expected[3] + 5


def test_taken_from_its_own_lots_before_others() -> None:
    model = Oracle({"S": Terms(expires="30D")})
    buy(model, A, 5)
    buy(model, B, 5, at=on(1), more=[Award("S", "bonus", (3,), pending="20D")])
    buy(model, ("grocer", "C"), 5, at=on(2), more=[Award("S", "bonus", (9,), pending="20D")])
    model.give_back(B, [Back(0, amount=400)], on(3), on(3))  # 4 and 2.4
    assert left(model, on(3)) == [5, 1, 0, 5, 9]
    model.redeem("r", ANN, "S", 9, on(4))
    assert left(model, on(4)) == [0, 0, 0, 2, 9]
    model.cancel(B, on(5), on(5))
    assert left(model, on(5)) == [0, 0, 0, 1, 9]


def test_what_had_expired_is_not_charged() -> None:
    model = Oracle({"S": Terms(expires="10D")})
    buy(model, A, 10)
    model.redeem("r", ANN, "S", 3, on(1))
    buy(model, B, 20, at=on(9))
    model.cancel(A, on(10), on(10))  # 7 expired; the 3 that were spent are charged
    assert figures(model, on(10)) == (17, 0, 0, 0)
    model.reverse("r", on(11))
    assert figures(model, on(11)) == (17, 0, 0, 0)


def test_a_return_waits_for_its_purchase_and_a_cancel_reverses_what_the_order_took() -> None:
    model = Oracle({"S": Terms()})
    model.give_back(A, [Back(0, amount=300)], on(2), on(3))
    model.give_back(A, [Back(0, amount=9999)], on(2), on(3))
    model.adjust(ANN, "S", 5, T)
    model.redeem("r", ANN, "S", 5, on(1), order=A)
    buy(model, A, 10, at=T, now=on(4))
    assert figures(model, on(4)) == (7, 0, 0, 0)
    model.cancel(A, on(5), on(5))
    assert (figures(model, on(5)), left(model, on(5))) == ((5, 0, 0, 0), [5, 0])


def test_an_edit_books_the_difference_of_each_rule() -> None:
    model = Oracle({"S": Terms(), "Q": Terms()})
    buy(model, A, 10, more=[Award("Q", "fee", (2,))])
    model.redeem("r", ANN, "Q", 2, on(1))
    lines = [LineBought(Fraction(1), 1300)]
    model.edit(A, lines, [Award("S", "dollars", (13,))], on(1), on(1))
    assert left(model, on(1)) == [10, 3]
    assert figures(model, on(1), "Q") == (0, 0, 0, 2)
    model.give_back(A, [Back(0, amount=1299)], on(2), on(2))
    assert figures(model, on(2)) == (0, 0, 0, 0)
    with pytest.raises(Refused):
        model.edit(A, lines, [], on(3), on(3))


@pytest.mark.parametrize(
    ("reported", "added"),
    [(2, LotView(4, 4, on(2), on(32))), (20, LotView(4, 0, None, None))],
)
def test_what_an_edit_adds_shares_the_event_that_its_order_waited_for(
    reported: int, added: LotView
) -> None:
    model = Oracle({"S": Terms(pending="until shipped within 10D", expires="30D")})
    buy(model, A, 1)
    model.shipped(A, on(reported), on(reported))
    model.edit(A, [LineBought(Fraction(1), 500)], [Award("S", "dollars", (5,))], on(21), on(21))
    assert model.lots(ANN, "S", on(21))[1] == added


def test_as_of_an_instant_before() -> None:
    model = Oracle({"S": Terms(pending="2D", expires="10D")})
    buy(model, A, 10)
    model.redeem("r", ANN, "S", 4, on(3), hold_until=on(5))
    model.confirm("r", on(4))
    buy(model, B, 6, at=on(1), now=on(6))
    asked = {-1: (0, 0, 0), 0: (0, 10, 0), 1: (0, 16, 0), 2: (10, 6, 0), 3: (12, 0, 4)}
    asked |= {4: (12, 0, 0), 12: (6, 0, 0), 13: (0, 0, 0)}
    for day, expected in asked.items():
        assert model.balance(ANN, "S", on(day), on(6)) == (*expected, 0)
