"""Activities and triggers: what a rule can name, which days a schedule falls on, what is plain."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels import Activity, DeclarationError, PurchaseError
from laurels.activities import check_attributes, check_trigger, falls_on, is_own
from laurels.purchase import check_receipt
from laurels.testing import NOW

GOOD = [
    "purchase", "enrolment", "birthday", "return", "referral", "review", "check-in", "segment:vip",
    "schedule:daily", "schedule:weekly monday", "schedule:weekly sunday", "schedule:monthly 1",
    "schedule:monthly 31", "schedule:yearly 04-23", "schedule:yearly 02-29",
]  # fmt: skip
BAD: list[Any] = [
    "", "two words", "segment:", "segment:a b", "schedule:", "schedule:hourly", "schedule:weekly",
    "schedule:weekly someday", "schedule:monthly 0", "schedule:monthly 32", "schedule:monthly 01",
    "schedule:yearly 02-30", "schedule:yearly 13-01", "schedule:yearly 4-23", "other:x", None, 1,
    "schedule:daily ", "schedule:monday",
]  # fmt: skip


@pytest.mark.parametrize("trigger", GOOD)
def test_a_rule_can_name_it(trigger: str) -> None:
    assert check_trigger(trigger) == trigger


@pytest.mark.parametrize("trigger", BAD)
def test_a_rule_cant_name_it(trigger: Any) -> None:
    with pytest.raises(DeclarationError):
        check_trigger(trigger)


def test_a_partner_tells_of_its_own_types_only() -> None:
    assert [t for t in GOOD if is_own(t)] == ["review", "check-in"]


#: Four years, a leap year among them.
DAYS = [date(2025, 1, 1) + timedelta(days=n) for n in range(4 * 365 + 1)]


@given(st.integers(1, 31))
def test_a_monthly_schedule_falls_on_one_day_of_each_month(day: int) -> None:
    found = [x for x in DAYS if falls_on(f"schedule:monthly {day}", x)]
    assert len(found) == 48
    assert all(x.day == min(day, monthrange(x.year, x.month)[1]) for x in found)


@pytest.mark.parametrize("trigger", ["schedule:yearly 02-29", "schedule:yearly 12-31"])
def test_a_yearly_schedule_falls_on_one_day_of_each_year(trigger: str) -> None:
    found = [x for x in DAYS if falls_on(trigger, x)]
    assert [x.year for x in found] == [2025, 2026, 2027, 2028]
    if trigger.endswith("02-29"):
        assert [x.day for x in found] == [28, 28, 28, 29]


def test_the_others_fall_on_their_days() -> None:
    assert all(falls_on("schedule:daily", x) for x in DAYS)
    mondays = [x for x in DAYS if falls_on("schedule:weekly monday", x)]
    assert {x.isoweekday() for x in mondays} == {1}
    assert len(mondays) in (208, 209)


def test_an_activity_is_told_by_its_type_and_keeps_its_attributes() -> None:
    told: dict[str, str | int | bool] = {"stars": 5, "words": True}
    activity = Activity.of("club", "A-1", NOW, "review", told)
    told["stars"] = 1
    assert (activity.trigger, activity.total_minor) == ("review", 0)
    assert activity.attributes == {"stars": 5, "words": True}
    with pytest.raises(TypeError):
        activity.attributes["stars"] = 1  # type: ignore[index]  # what must not go
    check_receipt(activity)
    assert activity != Activity.of("club", "A-1", NOW, "review", told)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"a b": 1}, "attributes: attribute 'a b'"),
        ({"a": 1.5}, "attribute a: a text of at most 200 characters, a whole number"),
        ({"a": None}, "attribute a"),
        ({"a": 2**63}, "attribute a"),
        ({"a": "x" * 201}, "attribute a"),
        ({f"a{n}": 1 for n in range(31)}, "at most 30, not 31"),
    ],
)
def test_attributes_are_plain(attributes: dict[str, object], words: str) -> None:
    with pytest.raises(PurchaseError, match=words):
        check_attributes(attributes)
    check_attributes({"a": 2**63 - 1, "b": -(2**63) + 1, "c": "", "d": False})
