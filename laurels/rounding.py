"""Whole points from exact fractions, and whole shares of a whole.

Pure integer arithmetic; knows nothing of rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class Rounding(StrEnum):
    """How a fraction of a point is dropped, and whether per line or once per receipt.

    Down is the default everywhere: what the programme promises is whole points.
    """

    LINE_DOWN = "line-down"
    LINE_HALF_UP = "line-half-up"
    LINE_UP = "line-up"
    RECEIPT_DOWN = "receipt-down"
    RECEIPT_HALF_UP = "receipt-half-up"
    RECEIPT_UP = "receipt-up"

    @property
    def per_receipt(self) -> bool:
        """Whether the fractions of all lines are added before the one rounding."""
        return self.value.startswith("receipt")

    @property
    def words(self) -> str:
        """The rounding as a member reads it."""
        how = {"down": "down", "half-up": "to the nearest", "up": "up"}[self.value.split("-", 1)[1]]
        return f"rounded {how}, {'once per receipt' if self.per_receipt else 'line by line'}"

    def divide(self, numerator: int, denominator: int) -> int:
        """`numerator / denominator` in whole points; both are at least zero."""
        if self.value.endswith("half-up"):
            return (2 * numerator + denominator) // (2 * denominator)
        if self.value.endswith("down"):
            return numerator // denominator
        return -(-numerator // denominator)


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """Share `total` over `weights` in whole points by largest remainder; the shares add up.

    Ties go to the earlier line. Where all weights are zero the first line takes all: so that each
    point belongs to a line, and a return of all lines takes back all points. Nothing is negative.
    """
    if not weights:
        return []
    whole = sum(weights)
    if whole == 0:
        return [total] + [0] * (len(weights) - 1)
    remainders = [total * weight % whole for weight in weights]
    short = sum(remainders) // whole
    if not short:
        return [total * weight // whole for weight in weights]
    ordered = sorted(remainders)
    least = ordered[-short]
    if ordered[-short - 1] != least:
        # A division that goes up from the least remainder on that is still rounded up.
        up = whole - least
        return [(total * weight + up) // whole for weight in weights]
    shares = [total * weight // whole for weight in weights]
    # Reversed, a sort keeps equals in their order: the earlier line comes first.
    largest = sorted(range(len(shares)), key=remainders.__getitem__, reverse=True)
    for i in largest[:short]:
        shares[i] += 1
    return shares
