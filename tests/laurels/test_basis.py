"""On what rules count: what a basis makes of a receipt, and where the points of one may fall."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given

from laurels import (
    Basis,
    DeclarationError,
    Line,
    LineKind,
    ProductTypeRewardCalculator,
    based,
)
from laurels.basis import Of, Without, basis_of
from laurels.explain import tell_award
from laurels.purchase import check_receipt
from tests.laurels.baskets import (
    CARD,
    DELIVERY,
    FEE,
    SHIRT,
    STEP,
    any_basis,
    any_lines,
    bought,
    by_line,
)

BASES: dict[str, tuple[Basis, tuple[int, ...]]] = {
    "paid": (Basis(), (1000, 490, 5000, 25)),
    "gross": (Basis("gross"), (1200, 490, 5000, 25)),
    "money": (Basis("net-of-points"), (600, 490, 5000, 25)),
    "without tax": (Basis(without=["tax"]), (833, 490, 5000, 25)),
    "gross without tax": (Basis("gross", ["tax"]), (1033, 490, 5000, 25)),
    # Of 6.00 in money 1.002 is tax: whole cents of it, so 1.00.
    "money without tax": (Basis("net-of-points", ["tax"]), (500, 490, 5000, 25)),
    "without delivery": (Basis(without=["delivery"]), (1000, 0, 5000, 25)),
    "without cards": (Basis(without=["gift-cards"]), (1000, 490, 0, 25)),
    "without fees": (Basis(without=["fees"]), (1000, 490, 5000, 0)),
    "but shirts": (Basis(except_types=["shirt", "hat"]), (0, 490, 5000, 25)),
    "goods": (Basis("paid", ["tax", "delivery", "gift-cards", "fees"]), (833, 0, 0, 0)),
}


@pytest.mark.parametrize("name", BASES)
def test_a_view_has_the_same_lines_in_the_same_places_with_their_amounts_on_the_basis(
    name: str,
) -> None:
    basis, amounts = BASES[name]
    purchase = bought(SHIRT, DELIVERY, CARD, FEE)
    view = basis.view(purchase)
    assert view.amounts == amounts
    assert view.total_minor == sum(amounts)
    assert [x.product_type for x in view.lines] == ["shirt", "", "gift card", "bag"]
    assert [x.kind for x in view.lines] == [x.kind for x in purchase.lines]
    gone = [n == 0 for n in amounts]
    assert [x.quantity for x in view.lines] == [
        0 if out else x.quantity for x, out in zip(purchase.lines, gone, strict=True)
    ]
    assert view.counts == (tuple(not out for out in gone) if any(gone) else None)
    assert (view is purchase) is (basis == Basis())
    assert view.whole is purchase
    assert (purchase.whole, purchase.counts) == (purchase, None)
    check_receipt(view)  # its parts fit its amounts still
    assert purchase.amounts == (1000, 490, 5000, 25)


def test_of_what_counts_as_it_is_no_view_is_made() -> None:
    plain = bought(Line("tea", 500), Line("ale", 300))
    goods = Basis("net-of-points", ["tax", "delivery", "gift-cards", "fees"], ["wine"])
    assert goods.view(plain) is plain
    assert goods.view(bought(SHIRT)).lines != (SHIRT,)
    # A line that doesn't count doesn't where it cost nothing, either.
    nothing = Line("", 0, 0, kind=LineKind.DELIVERY)
    assert goods.view(bought(Line("tea", 500), nothing)).counts == (True, False)


def test_the_parts_of_a_view_fit_its_amounts() -> None:
    assert Basis("gross").line(SHIRT)[4:7] == (0, 167, 400)
    assert Basis("net-of-points").line(SHIRT)[4:7] == (200, 100, 0)
    assert Basis(without=["tax"]).line(SHIRT)[4:7] == (200, 0, 333)
    assert Basis(except_types=["shirt"]).line(SHIRT) == Line("shirt", 0, 0, "S1")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"of": "net"}, "basis: of: 'net' is none of gross, paid, net-of-points"),
        ({"of": None}, "basis: of: None is none of gross, paid, net-of-points"),
        (
            {"without": ["vat"]},
            "basis: without: 'vat' is none of tax, delivery, gift-cards, fees",
        ),
        ({"without": "tax"}, "basis: without: a list of texts is wanted, not 'tax'"),
        ({"without": [1]}, "basis: without: 1 is no text"),
        ({"except_types": "tea"}, "basis: except_types: a list of texts is wanted, not 'tea'"),
        (
            {"except_types": [""]},
            "basis: except_types: a text of 1 to 200 characters is wanted, not ''",
        ),
        (
            {"except_types": [str(n) for n in range(201)]},
            "basis: except_types: at most 200, not 201",
        ),
    ],
)
def test_what_is_no_basis_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        Basis(**given)
    assert str(refused.value) == problem
    with pytest.raises(DeclarationError) as refused:
        based(STEP, **{"of": "paid", **given})
    assert str(refused.value) == f"earn rule per-amount: {problem}"


def test_one_basis_is_another_however_it_was_said() -> None:
    basis = Basis(Of.GROSS, [Without.FEES, "tax", "tax"], ["tea", "ale", "tea"])
    assert basis == Basis("gross", ("tax", "fees"), ("ale", "tea"))
    assert hash(basis) == hash(Basis("gross", ("tax", "fees"), ("ale", "tea")))
    assert basis != Basis("gross", ("tax",), ("ale", "tea"))
    assert Basis("paid", []) == Basis()


def test_a_rule_tells_its_basis_by_its_terms() -> None:
    rule = based(STEP, "net-of-points", without=["gift-cards", "tax"], except_types=["tobacco"])
    added = {k: v for k, v in rule.terms.items() if k not in STEP.terms}
    assert added == {
        "basis": "net-of-points",
        "basis_without": ("tax", "gift-cards"),
        "basis_except_types": ("tobacco",),
    }
    assert type(added["basis"]) is str
    assert basis_of(rule.terms) == rule.basis
    assert basis_of(based(STEP).terms) == Basis()
    assert basis_of(STEP.terms) is None
    # A partner's own rule may call anything its basis.
    for terms in ({"basis": "noble"}, {"basis": 7}, {"basis": "paid", "basis_without": 3}):
        assert basis_of(terms) is None


WORDS = {
    "what was paid": Basis(),
    "the price before discounts, without delivery": Basis("gross", ["delivery"]),
    "what was paid with money, without tax and gift cards": Basis(
        "net-of-points", ["gift-cards", "tax"]
    ),
    "what was paid, without tax, delivery and fees, except ale and tea": Basis(
        "paid", ["fees", "tax", "delivery"], ["tea", "ale"]
    ),
}


@pytest.mark.parametrize("text", WORDS)
def test_a_basis_is_told_in_words(text: str) -> None:
    assert str(WORDS[text]) == text


def test_an_award_is_told_with_the_basis_that_it_was_counted_on() -> None:
    rule = based(
        ProductTypeRewardCalculator("P", {"shirt": 2}), "net-of-points", without=["tax", "fees"]
    )
    lines = (SHIRT, FEE)
    told = tell_award("Twos", rule.terms, "points", "USD", lines, by_line(rule, *lines))
    assert told.text == (
        "Twos: 10 points; 10 for shirt (5.00 USD at 2); on what was paid with money, without tax "
        "and fees; rounded down, line by line."
    )
    assert [str(x.amount) for x in told.lines] == ["5.00 USD", "0.00 USD"]
    plain = tell_award("Twos", rule.rule.terms, "points", "USD", lines, [20, 0])
    assert plain.text == (
        "Twos: 20 points; 20 for shirt (10.00 USD at 2); rounded down, line by line."
    )
    assert [str(x.amount) for x in plain.lines] == ["10.00 USD", "0.25 USD"]


# -- of any receipt --------------------------------------------------------------------------------


def expected(line: Line, basis: Basis) -> int:
    """What of a line is on a basis, in exact fractions and by another road."""
    out = {"delivery": "delivery", "gift-cards": "gift-card", "fees": "fee"}
    if line.product_type in basis.except_types:
        return 0
    if line.kind in [out[x] for x in basis.without if x in out]:
        return 0
    whole = line.amount + line.discount if basis.of == "gross" else line.amount
    if basis.of == "net-of-points":
        whole -= line.points_paid
    tax = Fraction(line.tax)
    if basis.of == "net-of-points" and line.amount:
        tax = tax * whole / line.amount
    return whole - (floor(tax) if "tax" in basis.without else 0)


@given(any_lines(), any_basis)
def test_a_view_comes_to_the_total_less_what_is_left_out(lines: list[Line], basis: Basis) -> None:
    view = basis.view(bought(*lines))
    assert list(view.amounts) == [expected(line, basis) for line in lines]
    check_receipt(view)
    again = basis.view(view)
    assert [x.amount for x in again.lines] == [x.amount for x in view.lines]
