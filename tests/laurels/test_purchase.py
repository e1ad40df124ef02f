"""Purchases and facts: what a rule is shown, and what it never is."""

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from laurels.money import Money
from laurels.purchase import Facts, Line, LineKind, Purchase, PurchaseError, check_receipt

WHEN = datetime(2025, 7, 1, 9, 30, tzinfo=UTC)


def bought(**fields: Any) -> Purchase:
    """A purchase of one coffee, but for the fields given."""
    plain: dict[str, Any] = {
        "partner": "cafe",
        "external_id": "r1",
        "occurred_at": WHEN,
        "currency": "EUR",
        "lines": (Line("coffee", 350),),
    }
    return Purchase(**{**plain, **fields})


def test_a_line_counts_thousandths() -> None:
    assert Line("cheese", 500, 1250).units == Decimal("1.250")
    assert Line("coffee", 350).units == 1
    assert Line("coffee", 350) == ("coffee", 350, 1000, "", 0, 0, 0, LineKind.GOODS)
    assert Line("coffee", 350, discount=50).gross == 400
    assert Line("coffee", 350).plain
    for more in ({"discount": 1}, {"tax": 1}, {"points_paid": 1}, {"kind": LineKind.FEE}):
        assert not Line("coffee", 350, **more).plain


def test_totals() -> None:
    purchase = bought(lines=(Line("coffee", 350), Line("cake", 420), Line("gift", 0)))
    assert purchase.total_minor == 770
    assert purchase.total == Money(770, "EUR")
    assert purchase.total >= "7.70"
    assert not purchase.total >= "7.71"


@pytest.mark.parametrize(("currency", "minor"), [("EUR", 100), ("JPY", 1), ("KWD", 1000)])
def test_minor_units_in_a_major_one(currency: str, minor: int) -> None:
    assert bought(currency=currency).minor_per_major == minor


def test_local_time_is_the_partners() -> None:
    local = bought(time_zone="Europe/Istanbul").local_time
    assert local == WHEN
    assert (local.hour, local.minute) == (12, 30)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"occurred_at": datetime.fromisoformat("2025-01-01")},
            "occurred_at: a time with its zone is wanted, not datetime.datetime(2025, 1, 1, 0, 0)",
        ),
        (
            {"occurred_at": "2025-01-01"},
            "occurred_at: a time with its zone is wanted, not '2025-01-01'",
        ),
        (
            {"currency": "eur"},
            "purchase 'r1': a money currency is an ISO 4217 code such as EUR, not 'eur'",
        ),
        ({"time_zone": "Mars"}, "purchase 'r1': 'Mars' is no IANA time zone"),
        ({"lines": ()}, "lines: a tuple of at least one Line, not ()"),
        ({"lines": []}, "lines: a tuple of at least one Line, not []"),
        ({"lines": (("coffee", 350),)}, "line 1: ('coffee', 350) is no Line"),
        (
            {"lines": (Line("coffee", 1), Line("cake", -1))},
            "line 2: amount: whole minor units from 0, not -1",
        ),
        ({"lines": (Line("c", 1.5),)}, "line 1: amount: whole minor units from 0, not 1.5"),  # type: ignore[arg-type]  # the refusal under test
        ({"lines": (Line("c", True),)}, "line 1: amount: whole minor units from 0, not True"),
        ({"lines": (Line("c", 1, -1),)}, "line 1: quantity: whole thousandths from 0, not -1"),
    ],
)
def test_refuses_what_no_receipt_is(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(PurchaseError) as caught:
        check_receipt(bought(**fields))
    assert str(caught.value) == problem


def test_a_receipt_as_tills_send_it_is_taken() -> None:
    check_receipt(bought())
    check_receipt(bought(lines=(Line("", 0, 0),), currency="JPY", time_zone="Asia/Tokyo"))


def test_a_damaged_one_can_be_rebuilt_to_be_named() -> None:
    assert bought(currency="", lines=()).total_minor == 0
    assert bought(currency="", lines=(Line("coffee", -5),)).total_minor == -5


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        bought().currency = "USD"  # type: ignore[misc]  # the refusal under test


def test_facts_of_a_newcomer() -> None:
    assert Facts() == Facts(0, {})
    assert Facts().first_purchase
    assert not Facts(visits=1).first_purchase
    assert hash(Facts(1)) == hash(Facts(1))


def test_a_rule_cannot_promote_the_member() -> None:
    mine = {"club": "gold"}
    facts = Facts(tiers=mine)
    with pytest.raises(TypeError):
        facts.tiers["club"] = "platinum"  # type: ignore[index]  # the refusal under test
    mine["club"] = "platinum"
    assert facts.tiers == {"club": "gold"}


@pytest.mark.parametrize("visits", [-1, True, 1.0, None])
def test_refuses_visits(visits: Any) -> None:
    with pytest.raises(PurchaseError) as caught:
        Facts(visits)
    assert str(caught.value) == f"visits: a whole number from 0, not {visits!r}"
