"""Challenges: what counts, when the target is reached, what is carried on, and how it reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from laurels import Cap, Challenge, DeclarationError, Facts, Line, Purchase, capped, evaluate
from laurels.challenges import Counts, Goal, goal_of
from laurels.earning import in_the_box
from laurels.lasting import carried_within, carries, reevaluates

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
TEA, BREAD = Line("TEA", 300, 2000), Line("BREAD", 700, 1000)
FREE = Line("TEA", 0, 1000)


def judged(rule: Any, before: int, *lines: Line, currency: str = "EUR") -> tuple[int, Any, str]:
    """(points, what is carried on, the reason where it gave nothing)."""
    purchase = Purchase("p", "1", AT, currency, lines or (TEA, BREAD))
    found = evaluate([rule], purchase, Facts(carried={rule.code: before}))
    because = found.refused[0].because if found.refused else ""
    return found.points("STAR"), found.carried.get(0), because


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (0, (0, 1, "2 purchases more to go")),
        (1, (0, 2, "1 purchase more to go")),
        (2, (50, 0, "")),
        (-1, (0, 0, "3 purchases more to go")),
    ],
)
def test_every_third_purchase(before: int, expected: Any) -> None:
    assert judged(Challenge("STAR", 50, purchases=3), before) == expected


def test_money_and_units_reach_a_target_several_times_at_once() -> None:
    spend = Challenge("STAR", 5, spend="4.00 EUR")
    assert judged(spend, 200) == (15, 0, "")  # 2.00 and 10.00
    assert judged(spend, 0, Line("TEA", 399)) == (0, 399, "0.01 EUR more to go")
    units = Challenge("STAR", 5, units=2)
    assert judged(units, 0) == (5, 1000, "")
    assert judged(units, 0, Line("TEA", 1, 1250)) == (0, 1250, "0.750 units more to go")
    assert judged(units, 0, Line("TEA", 1, 1000)) == (0, 1000, "1 unit more to go")


def test_only_what_is_named_counts_and_only_on_receipts_that_are_large_enough() -> None:
    tea = Challenge("STAR", 5, units=2, of=["TEA"])
    (granted,) = evaluate([tea], Purchase("p", "1", AT, "EUR", (BREAD, TEA)), Facts()).granted
    assert list(granted.lines) == [0, 5]
    assert judged(tea, 1000, BREAD) == (0, None, "nothing on this receipt counts")
    large = Challenge("STAR", 5, purchases=1, at_least="10.00 EUR")
    assert judged(large, 0) == (5, 0, "")
    assert judged(large, 0, TEA) == (
        0, None, "counts receipts of 10.00 EUR or more, this was 3.00 EUR",
    )  # fmt: skip
    assert judged(large, 0, currency="USD") == (0, None, "counts receipts in EUR")
    assert judged(Challenge("STAR", 5, spend="1.00 EUR"), 0, currency="USD")[1] is None
    free = Challenge("STAR", 6, purchases=1, of=["TEA"])
    (granted,) = evaluate([free], Purchase("p", "1", AT, "EUR", (BREAD, FREE)), Facts()).granted
    assert list(granted.lines) == [0, 6]


def test_it_says_what_it_is() -> None:
    week = Challenge("STAR", 50, purchases=3, per="calendar 1W", code="week", title="Thrice")
    assert dict(week.terms) == {
        "kind": "Challenge", "currency": "STAR", "points": 50, "purchases": 3, "of": (),
        "at_least": None, "per": "calendar 1W",
    }  # fmt: skip
    assert carries(week)
    assert reevaluates(week)
    assert in_the_box(week)
    assert str(carried_within(week)).startswith("Window(")
    assert carried_within(Challenge("STAR", 1, units=1)) is None
    once = capped(week, Cap(times=1, per="calendar 1W"))
    assert (goal_of(once), carries(once)) == (Goal(Counts.PURCHASES, 3, None), True)
    assert goal_of(Challenge("STAR", 1, units=2)) == Goal(Counts.UNITS, 2000, None)
    assert goal_of(Challenge("STAR", 1, spend="2.00 EUR")) == Goal(Counts.MONEY, 200, "EUR")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "purchases, units or spend, one of the three"),
        ({"purchases": 1, "units": 1}, "purchases, units or spend, one of the three"),
        ({"purchases": 0}, "purchases: a whole number from 1"),
        ({"units": 0}, "units: a whole number from 1"),
        ({"spend": "0.00 EUR"}, "spend: it is above zero"),
        ({"spend": "EUR"}, "spend: "),
        ({"purchases": 1, "at_least": "0.00 EUR"}, "at_least: it is above zero"),
        ({"purchases": 1, "per": "7D"}, "per: a period of the calendar: calendar 1M"),
        ({"purchases": 1, "of": "TEA"}, "of: a sequence of str is wanted"),
        ({"purchases": 1, "points": 0}, "points: a whole number from 1"),
    ],
)
def test_what_is_no_challenge_is_refused_in_words(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        Challenge("STAR", **{"points": 1, **given})
    assert message in str(refused.value)
    assert "challenge" in str(refused.value)
