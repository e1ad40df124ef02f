"""The model's ladders, by examples worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from tests.oracle import Oracle
from tests.oracle_ladders import LadderModel, Row
from tests.oracle_ledger import Terms
from tests.oracle_purchases import Award, Back, LineBought


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def bought(at: datetime, amount: int) -> Row:
    """A purchase counts from when it happened."""
    return Row(at, at, amount)


ROLLING = LadderModel([0, 60, 200], "S", "30D")
ISTANBUL = LadderModel([0, 60, 200], "S", "30D", zone="Europe/Istanbul")


@pytest.mark.parametrize(
    ("ladder", "at", "rank"),
    [
        (ROLLING, utc(2026, 3, 1, 11, 59), 0),
        (ROLLING, utc(2026, 3, 1, 12), 1),
        (ROLLING, utc(2026, 3, 5, 12), 2),
        (ROLLING, utc(2026, 3, 31, 12), 2),
        (ROLLING, utc(2026, 3, 31, 23, 59), 2),
        (ROLLING, utc(2026, 4, 1), 1),
        (ROLLING, utc(2026, 4, 4, 23, 59), 1),
        (ROLLING, utc(2026, 4, 5), 0),
        (ISTANBUL, utc(2026, 3, 31, 20, 59), 2),
        (ISTANBUL, utc(2026, 3, 31, 21), 1),
    ],
)
def test_a_rolling_rank_is_taken_at_the_local_midnight(
    ladder: LadderModel, at: datetime, rank: int
) -> None:
    rows = [bought(utc(2026, 3, 1, 12), 150), bought(utc(2026, 3, 5, 12), 100)]
    assert ladder.rank(rows, at) == rank


def test_a_return_costs_a_rank_at_the_midnight_after_it() -> None:
    rows = [bought(utc(2026, 3, 1, 12), 250)]
    rows.append(Row(utc(2026, 3, 1, 12), utc(2026, 3, 3, 18), -200))
    life = LadderModel([0, 60, 200], "S")
    for ladder in (ROLLING, life):
        asked = [utc(2026, 3, 3, 17), utc(2026, 3, 3, 23), utc(2026, 3, 4)]
        assert [ladder.rank(rows, at) for at in asked] == [2, 2, 0]
    assert life.measure(rows, utc(2126, 1, 1)) == 50


@pytest.mark.parametrize(
    ("soft", "ranks"),
    [
        # Reached in 2025: 3, kept through it; 2025 carries 3 itself; 2026 carries 1, 2027 nothing.
        (False, [0, 3, 3, 3, 1, 1, 0]),
        (True, [0, 3, 3, 3, 2, 2, 1]),
    ],
)
def test_a_calendar_year_with_and_without_a_soft_landing(soft: bool, ranks: list[int]) -> None:
    ladder = LadderModel([0, 60, 200, 500], "S", "calendar 1Y", soft, "America/New_York")
    rows = [bought(utc(2025, 2, 1), 500), bought(utc(2026, 7, 1), 60)]
    asked = [
        utc(2025, 1, 31), utc(2025, 2, 1), utc(2026, 1, 1, 5), utc(2027, 1, 1, 4, 59),
        utc(2027, 1, 1, 5), utc(2028, 1, 1, 4, 59), utc(2028, 1, 1, 5),
    ]  # fmt: skip
    assert [ladder.rank(rows, at) for at in asked] == ranks
    assert ladder.measure(rows, utc(2027, 1, 1, 4, 59)) == 60
    assert ladder.measure(rows, utc(2027, 1, 1, 5)) == 0


def test_what_a_year_gave_is_judged_by_what_was_known_at_its_end() -> None:
    ladder = LadderModel([0, 60, 200], "S", "calendar 1Y", soft=True)
    rows = [bought(utc(2025, 12, 1), 250), Row(utc(2025, 12, 1), utc(2026, 1, 10), -250)]
    assert ladder.rank(rows, utc(2026, 12, 31)) == 2
    assert ladder.rank(rows, utc(2027, 1, 1)) == 1
    # Within the year the same return takes the rank at its end, by one level.
    soon = [rows[0], Row(utc(2025, 12, 1), utc(2025, 12, 10), -250)]
    assert ladder.rank(soon, utc(2025, 12, 31, 23, 59)) == 2
    assert ladder.rank(soon, utc(2026, 1, 1)) == 1
    # A purchase reported late counts as if it had come in time.
    late = [*soon, bought(utc(2025, 11, 1), 200)]
    assert ladder.rank(late, utc(2026, 1, 1)) == 2


def test_purchases_and_returns_qualify_and_nothing_else_does() -> None:
    at, later = utc(2026, 3, 1, 12), utc(2026, 3, 5)
    model = Oracle(
        {"S": Terms(pending="10D")},
        {"points": ROLLING, "visits": LadderModel([0, 1, 2], None), "life": LadderModel([0], "Q")},
    )
    for name, points in (("A", 90), ("B", 50)):
        model.purchase(
            1,
            ("grocer", name),
            at,
            [LineBought(Fraction(1), 100)],
            [Award("S", "x", (points,))],
            at,
        )
    model.adjust(1, "S", 500, at)
    model.redeem("r", 1, "S", 500, at)
    assert (model.rank(1, "points", at), model.rank(1, "visits", at)) == (1, 2)
    model.give_back(("grocer", "A"), [Back(0, amount=99)], at, at)
    assert (model.rank(1, "points", later), model.rank(1, "visits", later)) == (0, 2)
    model.give_back(("grocer", "A"), [Back(0, amount=1)], at, at)
    assert (model.rank(1, "points", later), model.rank(1, "visits", later)) == (0, 1)
