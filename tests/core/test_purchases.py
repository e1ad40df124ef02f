"""A purchase as a till sends it: every refusal names its field; nothing absurd gets through."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given as each
from hypothesis import strategies as st

from core.errors import BadInput, NotAllowed, Refusal
from core.lines import heard, line_of, more_of, said_of
from core.purchases import (
    LineInput,
    PurchaseInput,
    check_purchase,
    content_hash,
    parse_quantity,
)
from laurels.purchase import Line, LineKind
from tests.support import NOW, card, small_rulebook

GROCER = small_rulebook().partners["grocer"]
GOOD = PurchaseInput("R1", card("1"), NOW, "USD", [LineInput("PRODUCE", "3.49", "1.250", "S")])


def test_a_purchase_becomes_whole_minor_units_and_thousandths_at_an_instant() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=3)))
    purchase = check_purchase(GROCER, replace(GOOD, occurred_at=local)).purchase
    assert (purchase.occurred_at, purchase.occurred_at.tzinfo) == (NOW, UTC)
    assert purchase.lines == (Line("PRODUCE", 349, 1250, "S"),)
    assert purchase.time_zone == GROCER.time_zone


def line(**changes: str) -> list[LineInput]:
    return [LineInput("X", "1.00"), replace(LineInput("X", "1.00"), **changes)]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"external_id": ""}, ("externalId",)),
        ({"external_id": "x" * 201}, ("externalId",)),
        ({"external_id": "a\0"}, ("externalId",)),
        ({"external_id": "\ud800"}, ("externalId",)),
        ({"occurred_at": datetime(2026, 1, 1)}, ("occurredAt",)),  # noqa: DTZ001
        ({"occurred_at": datetime(9999, 12, 31, 23, tzinfo=UTC)}, ("occurredAt",)),
        ({"occurred_at": datetime(1, 1, 1, tzinfo=UTC)}, ("occurredAt",)),
        ({"currency": "EUR"}, ("currency",)),
        ({"lines": []}, ("lines",)),
        ({"lines": [LineInput("X", "1")] * 10_001}, ("lines",)),
        ({"lines": line(amount="-0.01")}, ("lines", 1, "amount")),
        ({"lines": line(amount="0.001")}, ("lines", 1, "amount")),
        ({"lines": line(amount="1e3")}, ("lines", 1, "amount")),
        ({"lines": line(quantity="-1")}, ("lines", 1, "quantity")),
        ({"lines": line(quantity="0.0001")}, ("lines", 1, "quantity")),
        ({"lines": line(quantity="NaN")}, ("lines", 1, "quantity")),
        ({"lines": line(sku="x" * 101)}, ("lines", 1, "sku")),
        ({"lines": line(product_type="x" * 201)}, ("lines", 1, "productType")),
        ({"store": "x" * 101}, ("store",)),
        ({"lines": line(discount="-0.01")}, ("lines", 1, "discount")),
        ({"lines": line(discount="some")}, ("lines", 1, "discount")),
        ({"lines": line(tax="1.01")}, ("lines", 1, "tax")),
        ({"lines": line(tax="-1")}, ("lines", 1, "tax")),
        ({"lines": line(points_paid="1.01")}, ("lines", 1, "pointsPaid")),
        ({"lines": line(points_paid="0.001")}, ("lines", 1, "pointsPaid")),
        ({"lines": line(kind="present")}, ("lines", 1, "kind")),
        ({"points_paid": "2.01", "lines": line()}, ("pointsPaid",)),
        ({"points_paid": "-1", "lines": line()}, ("pointsPaid",)),
        ({"points_paid": "much", "lines": line()}, ("pointsPaid",)),
        ({"points_paid": "0.49", "lines": line(points_paid="0.50")}, ("pointsPaid",)),
        ({"points_paid": "1.51", "lines": line(points_paid="0.50")}, ("pointsPaid",)),
    ],
)
def test_each_refusal_names_its_field(changes: dict[str, object], path: tuple[object, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        check_purchase(GROCER, replace(GOOD, **changes))  # type: ignore[arg-type]  # on purpose
    assert refused.value.path == path
    assert isinstance(refused.value, BadInput | NotAllowed)


def test_a_line_says_what_was_taken_off_what_is_tax_and_what_points_paid() -> None:
    given = [
        LineInput("X", "10.00", discount="2.50", tax="1.67", points_paid="4.00"),
        LineInput("", "4.90", kind="delivery"),
        LineInput("CARD", "50", "1", "C1", "0.00", "0", "0", "gift-card"),
    ]
    purchase = check_purchase(GROCER, replace(GOOD, lines=given)).purchase
    assert purchase.lines == (
        Line("X", 1000, 1000, "", 250, 167, 400),
        Line("", 490, kind=LineKind.DELIVERY),
        Line("CARD", 5000, 1000, "C1", kind=LineKind.GIFT_CARD),
    )
    assert purchase.total_minor == 6490


def test_what_points_paid_of_a_receipt_falls_on_the_lines_that_do_not_say_their_own() -> None:
    """By their amounts, by largest remainder; the cent that is left over goes to the larger."""
    given = [
        LineInput("A", "1.00"),
        LineInput("B", "2.00"),
        LineInput("C", "9.00", points_paid="5.00"),
        LineInput("D", "0"),
        LineInput("E", "7.00", points_paid="0"),
    ]
    for paid, shares in (("6.00", [33, 67, 500, 0, 0]), ("8", [100, 200, 500, 0, 0])):
        lines = check_purchase(GROCER, replace(GOOD, lines=given, points_paid=paid)).purchase.lines
        assert [x.points_paid for x in lines] == shares


@each(st.lists(st.integers(0, 500), min_size=1, max_size=6), st.data())
def test_however_it_falls_no_line_bears_more_than_it_is_due(
    amounts: list[int], data: st.DataObject
) -> None:
    paid = data.draw(st.integers(0, sum(amounts)))
    given = [LineInput("X", f"{n / 100:.2f}") for n in amounts]
    lines = check_purchase(
        GROCER, replace(GOOD, lines=given, points_paid=f"{paid / 100:.2f}")
    ).purchase.lines
    assert sum(x.points_paid for x in lines) == paid
    assert all(0 <= x.points_paid <= x.amount for x in lines)


#: Worked out when no line could say more than what, how many and how much.
HASHES = {
    "PLAIN": "972e77a21bef860b9fc65d41346f9390",
    "TWO": "107202336186ad485e2dd08fc80b2a11",
}


def test_a_purchase_that_says_no_more_than_ever_hashes_as_ever() -> None:
    two = replace(GOOD, lines=[*GOOD.lines, LineInput("", "0", discount="0.00", tax="0")])
    for given, name in ((GOOD, "PLAIN"), (two, "TWO")):
        purchase = check_purchase(GROCER, given).purchase
        assert content_hash(purchase, 7).hex() == HASHES[name]


def test_a_purchase_that_says_more_hashes_by_all_that_it_says() -> None:
    plain = LineInput("X", "1.00")
    said = [
        plain,
        replace(plain, discount="0.01"),
        replace(plain, tax="0.01"),
        replace(plain, points_paid="0.01"),
        replace(plain, kind="delivery"),
        replace(plain, kind="fee"),
        replace(plain, kind="fee", tax="0.01"),
    ]
    hashes = {
        content_hash(check_purchase(GROCER, replace(GOOD, lines=[x])).purchase, 7) for x in said
    }
    assert len(hashes) == len(said)


@each(
    st.builds(
        Line,
        st.text(max_size=3),
        st.integers(100, 900),
        st.integers(0, 9000),
        st.text(max_size=2),
        discount=st.integers(0, 3),
        tax=st.integers(0, 3),
        points_paid=st.integers(0, 3),
        kind=st.sampled_from(LineKind),
    )
)
def test_a_line_is_heard_as_it_was_said_and_read_as_it_was_stored(line: Line) -> None:
    assert heard(orjson.loads(orjson.dumps(said_of(line)))) == line
    stored = more_of(line)
    assert line_of((*line[:4], *stored)) == line
    assert 0 not in stored


@pytest.mark.parametrize(
    "text", ["1e999999", "-1e999999", "1e-999999", "Infinity", "sNaN", "", "one", "9" * 50]
)
def test_no_text_of_a_quantity_is_more_than_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_quantity(text)
