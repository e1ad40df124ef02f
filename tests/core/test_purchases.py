"""A purchase as a till sends it: every refusal names its field; nothing absurd gets through."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.errors import BadInput, NotAllowed, Refusal
from core.purchases import LineInput, PurchaseInput, check_purchase, parse_quantity
from tests.support import NOW, card, small_rulebook

GROCER = small_rulebook().partners["grocer"]
GOOD = PurchaseInput("R1", card("1"), NOW, "USD", [LineInput("PRODUCE", "3.49", "1.250", "S")])


def test_a_purchase_becomes_whole_minor_units_and_thousandths_at_an_instant() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=3)))
    purchase = check_purchase(GROCER, replace(GOOD, occurred_at=local)).purchase
    assert (purchase.occurred_at, purchase.occurred_at.tzinfo) == (NOW, UTC)
    assert purchase.lines == (("PRODUCE", 349, 1250, "S"),)
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
    ],
)
def test_each_refusal_names_its_field(changes: dict[str, object], path: tuple[object, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        check_purchase(GROCER, replace(GOOD, **changes))  # type: ignore[arg-type]  # on purpose
    assert refused.value.path == path
    assert isinstance(refused.value, BadInput | NotAllowed)


@pytest.mark.parametrize(
    "text", ["1e999999", "-1e999999", "1e-999999", "Infinity", "sNaN", "", "one", "9" * 50]
)
def test_no_text_of_a_quantity_is_more_than_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_quantity(text)
