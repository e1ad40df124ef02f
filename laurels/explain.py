"""The words a person reads: an award told from a rule's stored terms and points line by line.

It reads what was stored when the award was booked, never a live rule: so the words stay right
after the rule has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from laurels.basis import basis_of
from laurels.money import Money
from laurels.purchase import Line
from laurels.rounding import Rounding

_BY_TYPE = "ProductTypeRewardCalculator"


@dataclass(frozen=True, slots=True)
class LineTold:
    """One line of a receipt and what it earned by one rule; `rate` is None where there is none.

    `amount` is what of the line counted, on the rule's basis.
    """

    number: int
    product_type: str
    amount: Money
    rate: str | None
    points: int


@dataclass(frozen=True, slots=True)
class Told:
    """An award in words, with the figures behind them."""

    text: str
    lines: tuple[LineTold, ...]
    rate: str | None
    rounding: str | None
    caps: tuple[str, ...]


def tell_award(
    title: str,
    terms: Mapping[str, object],
    unit: str,
    money: str,
    lines: Sequence[Line],
    points: Sequence[int],
    *,
    base: int | None = None,
    wanted: int | None = None,
    because: str = "",
    cut: str = "",
) -> Told:
    """Tell an award of `points` line by line in `unit` (the currency's name) for `lines`."""
    total = sum(points)
    by_type = terms.get("kind") == _BY_TYPE
    stored = terms.get("rates") if by_type else None
    rates: Mapping[str, object] = stored if isinstance(stored, Mapping) else {}
    default = terms.get("default", "0") if by_type else None
    basis = None if base is not None else basis_of(terms)
    told = []
    for number, (line, share) in enumerate(zip(lines, points, strict=True), 1):
        at = rates.get(line.product_type, default)
        amount = Money((line if basis is None else basis.line(line)).amount, money)
        text = None if at is None else str(at)
        told.append(LineTold(number, line.product_type, amount, text, share))
    rate = _rate(terms, money)
    rounding = _rounding(terms)
    caps: tuple[str, ...] = ()
    if wanted is not None and wanted > total:
        capped = cut or f"capped at {total} for one receipt"
        caps = (f"{capped}; without the cap {wanted}",)
    parts = [f"{title}: {total} {unit}"]
    detail = because.rstrip(" .") or _detail(terms, told, base, total, rate)
    if detail:
        parts.append(detail)
    parts += [] if basis is None else [f"on {basis}"]
    parts += [rounding] if rounding else []
    parts += caps
    return Told("; ".join(parts) + ".", tuple(told), rate, rounding, caps)


def _rounding(terms: Mapping[str, object]) -> str | None:
    # A partner's own rule may call anything its rounding; what isn't one of ours isn't told.
    how = terms.get("rounding")
    return Rounding(how).words if isinstance(how, str) and how in set(Rounding) else None


def _rate(terms: Mapping[str, object], money: str) -> str | None:
    kind, points, per = terms.get("kind"), terms.get("points"), terms.get("per")
    if kind == _BY_TYPE:
        return f"by product type, {terms.get('default', '0')} for a full {money} otherwise"
    if kind == "PointsPerAmount" and points and per:
        return f"{points} for {'every full' if terms.get('per_step') else 'each'} {per}"
    if kind == "PointsPerVisit" and points:
        return f"{points} a visit"
    return None


def _detail(
    terms: Mapping[str, object],
    lines: Sequence[LineTold],
    base: int | None,
    total: int,
    rate: str | None,
) -> str:
    if base is not None:
        return f"{base + total} in place of {base}"
    if terms.get("kind") == _BY_TYPE:
        return _by_type(lines)
    return rate or ""


def _by_type(lines: Sequence[LineTold]) -> str:
    """Group a receipt's lines by type, as a person would: three kinds, then the rest."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for line in lines:
        if line.points:
            key = (line.product_type or "other", line.rate or "0")
            points, minor = sums.get(key, (0, 0))
            sums[key] = (points + line.points, minor + line.amount.minor)
    ranked = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    money = lines[0].amount.currency if lines else ""
    told = [
        f"{points} for {name} ({Money(minor, money)} at {rate})"
        for (name, rate), (points, minor) in ranked[:3]
    ]
    if len(ranked) > 3:
        told.append(f"{sum(v[0] for _, v in ranked[3:])} for the rest")
    return ", ".join(told)
