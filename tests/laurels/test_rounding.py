"""Rounding against decimals, and spreading against the definition of largest remainder."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.rounding import Rounding, spread

relaxed = settings(deadline=None)


def is_largest_remainder(total: int, weights: Sequence[int], shares: Sequence[int]) -> bool:
    """Whether shares are the floors of the exact quotas, plus one for the largest remainders."""
    if len(shares) != len(weights) or sum(shares) != total:
        return False
    whole = sum(weights)
    if whole == 0:
        return list(shares) == [total] + [0] * (len(weights) - 1)
    quotas = [Fraction(total * weight, whole) for weight in weights]
    extra = [
        share - quota.numerator // quota.denominator
        for share, quota in zip(shares, quotas, strict=True)
    ]
    if any(e not in (0, 1) for e in extra):
        return False
    # Who got the extra point stands, by remainder and then by place, before who didn't.
    rank = [(-(quota % 1), place) for place, quota in enumerate(quotas)]
    got = [r for r, e in zip(rank, extra, strict=True) if e]
    rest = [r for r, e in zip(rank, extra, strict=True) if not e]
    return not got or not rest or max(got) < min(rest)


@relaxed
@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**13), min_size=1, max_size=30))
def test_shares_add_up_by_largest_remainder(total: int, weights: list[int]) -> None:
    assert is_largest_remainder(total, weights, spread(total, weights))


@relaxed
@given(st.integers(0, 50), st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_small_shares_with_many_ties(total: int, weights: list[int]) -> None:
    shares = spread(total, weights)
    assert is_largest_remainder(total, weights, shares)
    if any(weights):
        assert all(share == 0 for share, w in zip(shares, weights, strict=True) if w == 0)


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (2, [1, 1, 1], [1, 1, 0]),
        (5, [6, 3, 0], [3, 2, 0]),
        (100, [333, 333, 334], [33, 33, 34]),
        (7, [0, 0], [7, 0]),
        (0, [5, 5], [0, 0]),
        (3, [1], [3]),
        (3, [], []),
    ],
)
def test_shares_exactly(total: int, weights: list[int], shares: list[int]) -> None:
    assert spread(total, weights) == shares


@pytest.mark.parametrize(
    ("total", "weights", "wrong"),
    [
        (10, [1, 1, 1], [3, 3, 3]),  # floors that don't add up
        (10, [1, 1, 1], [3, 3, 4]),  # the tie goes to a later line
        (5, [6, 3, 0], [4, 1, 0]),  # the smaller remainder wins
        (10, [1, 1], [6, 4]),  # off by one from an exact quota
        (7, [0, 0], [4, 3]),  # no weight, yet shared
        (3, [1, 1], [3]),  # a line is missing
        (1, [1, 0, 0], [2, -1, 0]),  # a negative share
    ],
)
def test_the_oracle_refuses_other_shares(total: int, weights: list[int], wrong: list[int]) -> None:
    assert is_largest_remainder(total, weights, spread(total, weights))
    assert not is_largest_remainder(total, weights, wrong)


MODES = {
    "down": ROUND_FLOOR,
    "half-up": ROUND_HALF_UP,
    "up": ROUND_CEILING,
}


@relaxed
@given(st.sampled_from(Rounding), st.integers(0, 10**12), st.sampled_from([1, 2, 8, 100, 10**6]))
def test_divides_as_decimals_do(rounding: Rounding, numerator: int, denominator: int) -> None:
    mode = MODES[rounding.value.split("-", 1)[1]]
    exact = Decimal(numerator) / Decimal(denominator)
    assert rounding.divide(numerator, denominator) == int(exact.to_integral_value(mode))


@pytest.mark.parametrize(
    ("rounding", "halves"),
    [
        (Rounding.LINE_DOWN, [0, 0, 1, 1]),
        (Rounding.LINE_HALF_UP, [0, 1, 1, 2]),
        (Rounding.LINE_UP, [0, 1, 1, 2]),
        (Rounding.RECEIPT_DOWN, [0, 0, 1, 1]),
        (Rounding.RECEIPT_HALF_UP, [0, 1, 1, 2]),
        (Rounding.RECEIPT_UP, [0, 1, 1, 2]),
    ],
)
def test_halves(rounding: Rounding, halves: list[int]) -> None:
    assert [rounding.divide(n, 2) for n in range(4)] == halves


def test_a_third_tells_nearest_from_up() -> None:
    assert [Rounding.LINE_HALF_UP.divide(n, 3) for n in range(4)] == [0, 0, 1, 1]
    assert [Rounding.LINE_UP.divide(n, 3) for n in range(4)] == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("rounding", "words", "per_receipt"),
    [
        (Rounding.LINE_DOWN, "rounded down, line by line", False),
        (Rounding.LINE_HALF_UP, "rounded to the nearest, line by line", False),
        (Rounding.LINE_UP, "rounded up, line by line", False),
        (Rounding.RECEIPT_DOWN, "rounded down, once per receipt", True),
        (Rounding.RECEIPT_HALF_UP, "rounded to the nearest, once per receipt", True),
        (Rounding.RECEIPT_UP, "rounded up, once per receipt", True),
    ],
)
def test_words(rounding: Rounding, words: str, per_receipt: bool) -> None:
    assert rounding.words == words
    assert rounding.per_receipt is per_receipt
