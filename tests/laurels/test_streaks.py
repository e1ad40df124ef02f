"""Streaks: so many periods in a row, beside a naive count of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels import (
    Award,
    Cap,
    DeclarationError,
    Facts,
    Nothing,
    Streak,
    Use,
    capped,
    evaluate,
    reevaluated,
)
from laurels.testing import purchase

#: A Monday.
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
WEEKS = Streak("POINT", 50, times=3, per="calendar 1W", code="weeks", at_least="5.00 USD")


def judged(days: list[int], times: int, per: str) -> list[int]:
    """What each of these days gives, told one after another."""
    rule = Streak("POINT", 10, times=times, per=per)
    uses: list[Use] = []
    found = []
    for day in days:
        at = START + timedelta(days=day)
        answer = rule.evaluate(purchase(("a", "1.00"), at=at), Facts(uses={"run:streak": uses}))
        points = answer.points if isinstance(answer, Award) else 0
        if isinstance(answer, Award) or (isinstance(answer, Nothing) and answer.counts):
            uses.append(Use(at, "POINT", points, 1))
        found.append(points)
    return found


def naive(days: list[int], times: int, length: int) -> list[int]:
    """The same by counting: a run grows with each period, breaks by a gap, ends by its points."""
    found, run, last = [], 0, -2
    for day in days:
        period = day // length
        if period == last:
            found.append(0)
            continue
        run = run + 1 if period == last + 1 else 1
        last = period
        found.append(10 if run == times else 0)
        if run == times:
            run = 0
    return found


@given(st.lists(st.integers(0, 60), max_size=40).map(sorted), st.integers(2, 5), st.booleans())
def test_a_streak_is_what_counting_gives(days: list[int], times: int, weekly: bool) -> None:
    per, length = ("calendar 1W", 7) if weekly else ("calendar 1D", 1)
    assert judged(days, times, per) == naive(days, times, length)


def test_the_control_counts_otherwise() -> None:
    assert judged([0, 1, 2], 3, "calendar 1D") != naive([0, 1, 2], 2, 1)


def test_what_came_back_doesnt_count() -> None:
    uses = [Use(START, "POINT", 0, 1), Use(START + timedelta(days=7), "POINT", 0, 1)]
    third = purchase(("a", "5.00"), at=START + timedelta(days=14))
    assert WEEKS.evaluate(third, Facts(uses={"run:weeks": uses})) == Award("POINT", 50, counts=True)
    back = [*uses, Use(START, "POINT", 0, -1)]
    assert WEEKS.evaluate(third, Facts(uses={"run:weeks": back})) == Nothing(
        "2 in a row, 1 more week to go", counts=True
    )


def test_it_says_why_it_gives_nothing() -> None:
    def words(amount: str, currency: str = "USD", uses: tuple[Use, ...] = ()) -> str:
        bought = purchase(("a", amount), at=START, currency=currency)
        answer = WEEKS.evaluate(bought, Facts(uses={"run:weeks": uses}))
        assert isinstance(answer, Nothing)
        return answer.because

    assert words("4.99") == "counts receipts of 5.00 USD or more, this was 4.99 USD"
    assert words("5.00", "EUR") == "counts receipts in USD"
    assert words("5.00") == "1 in a row, 2 more weeks to go"
    assert words("5.00", uses=(Use(START, "POINT", 0, 1),)) == "this week has counted already"


def test_the_evaluator_tells_what_counts() -> None:
    found = evaluate([WEEKS], purchase(("a", "5.00"), at=START), Facts())
    assert (found.counted, found.granted) == ((0,), ())
    assert evaluate([WEEKS], purchase(("a", "4.00"), at=START), Facts()).counted == ()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"times": 1}, "times: from 2 to 366, not 1"),
        ({"times": True}, "times: from 2 to 366, not True"),
        ({"times": 367}, "times: from 2 to 366"),
        ({"per": "7D"}, "a period of the calendar"),
        ({"per": None}, "a period of the calendar: calendar 1W"),
        ({"at_least": "5"}, "at_least"),
        ({"points": 0}, "points: a whole number from 1"),
    ],
)
def test_what_is_no_streak_is_refused(more: dict[str, object], words: str) -> None:
    given: dict[str, object] = {"points": 1, "times": 3, "per": "calendar 1W", **more}
    with pytest.raises(DeclarationError, match=f"earn rule streak: .*{words}"):
        Streak("POINT", **given)  # type: ignore[arg-type]  # what a brand may write


def test_it_cant_be_judged_again_on_what_remains() -> None:
    with pytest.raises(DeclarationError, match="a streak is judged by when one came, once"):
        reevaluated(capped(WEEKS, Cap(times=1)))


def test_two_are_alike_by_their_terms() -> None:
    assert Streak("P", 1, times=3, per="calendar 1W") == Streak("P", 1, times=3, per="calendar 1W")
    assert Streak("P", 1, times=3, per="calendar 1W") != Streak("P", 1, times=4, per="calendar 1W")
