"""The earn rules in the box. Each is an `EarnRule` like a partner's own.

They compute in exact integers: a rate such as "1.5" is a fraction, fixed when the rule is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import lcm
from types import MappingProxyType

from laurels.declarations import Currency, check_points, currency_code
from laurels.errors import DeclarationError, check_code, check_title
from laurels.money import Money
from laurels.purchase import Facts, Purchase
from laurels.rounding import Rounding, spread
from laurels.rules import Award, Effect, Multiply, Nothing, Terms, multiply

Rate = int | str


def _rate(what: str, value: Rate) -> Fraction:
    if isinstance(value, bool | float):
        raise DeclarationError(f"{what}: a rate is a whole number or a decimal text, not {value!r}")
    try:
        rate = Fraction(value)
    except (ValueError, TypeError, ZeroDivisionError):
        raise DeclarationError(f"{what}: {value!r:.40} is no rate") from None
    if not 0 <= rate <= 10**6 or rate.denominator > 10**6:
        raise DeclarationError(f"{what}: a rate lies between 0 and 1000000, six places, not {value!r}")
    return rate


class _BoxRule:
    """What the rules in the box share: a code, a title, a currency, terms; equal by their terms."""

    __slots__ = ("code", "currency", "terms", "title")

    def __init__(self, code: str, title: str, currency: Currency | str, terms: Terms) -> None:
        self.code = check_code("earn rule", code)
        self.title = check_title(f"earn rule {code}", title)
        self.currency = currency_code(currency)
        self.terms: Terms = MappingProxyType(
            {"kind": type(self).__name__, "currency": self.currency, **terms}
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.currency})"


class ProductTypeRewardCalculator(_BoxRule):
    """Points by the type of product: each line earns `rate` points for a major unit of its money.

    `rates` maps a product type, by its exact name, to a rate (`2`, `"1.5"`, `0` for what earns
    nothing); a type that isn't named earns `default`. `rounding` is named, line by line and down
    unless said otherwise; `at_most` caps the points of one receipt (the cap reduces).
    """

    __slots__ = ("_default", "_rates", "_scale", "at_most", "rounding")

    def __init__(
        self,
        currency: Currency | str,
        rates: Mapping[str, Rate],
        *,
        default: Rate = 0,
        rounding: Rounding = Rounding.LINE_DOWN,
        at_most: int | None = None,
        code: str = "product-type",
        title: str = "Points by the type of product",
    ) -> None:
        if not isinstance(rates, Mapping):
            raise DeclarationError(f"earn rule {code}: rates is a mapping of product type to rate")
        parsed = {check_title("product type", k, 200): _rate(f"{code}: {k}", v) for k, v in rates.items()}
        otherwise = _rate(f"{code}: default", default)
        self.at_most = None if at_most is None else check_points(f"{code}: at_most", at_most, 1)
        self.rounding = Rounding(rounding)
        # One common denominator: on the hot path a line costs one look-up and one division.
        self._scale = lcm(otherwise.denominator, *(r.denominator for r in parsed.values()))
        self._rates = {k: int(r * self._scale) for k, r in parsed.items()}
        self._default = int(otherwise * self._scale)
        super().__init__(
            code,
            title,
            currency,
            {
                "rates": {k: str(v) for k, v in parsed.items()},
                "default": str(otherwise),
                "rounding": str(self.rounding),
                "at_most": self.at_most,
            },
        )

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """Points for each line by its type."""
        rates, default = self._rates, self._default
        exact = [rates.get(line.product_type, default) * line.amount for line in purchase.lines]
        return _rounded(self.currency, exact, self._scale * purchase.minor_per_major, self.rounding, self.at_most)


def _rounded(
    currency: str, exact: list[int], denominator: int, rounding: Rounding, at_most: int | None
) -> Effect:
    """Whole points of exact shares, capped; the cut falls on the lines in proportion."""
    if rounding is Rounding.LINE_DOWN:
        lines = [n // denominator for n in exact]
    elif rounding.per_receipt:
        lines = spread(rounding.divide(sum(exact), denominator), exact)
    else:
        lines = [rounding.divide(n, denominator) for n in exact]
    points = sum(lines)
    if points == 0:
        return Nothing("nothing on this receipt earns a whole point")
    if at_most is not None and points > at_most:
        return Award(currency, at_most, spread(at_most, lines), wanted=points)
    return Award(currency, points, lines)


class PointsPerAmount(_BoxRule):
    """`points` for each full `per` of money spent on the receipt: 1 for every `"10.00 USD"`.

    `per_step` counts full steps only ($105 at 1 per $10 gives 10: Square's accrual); without it
    the points are proportional and rounded once per receipt, down.
    """

    __slots__ = ("at_most", "per", "per_step", "points")

    def __init__(
        self,
        currency: Currency | str,
        points: int,
        per: str,
        *,
        per_step: bool = True,
        at_most: int | None = None,
        code: str = "per-amount",
        title: str = "Points for what you spend",
    ) -> None:
        self.points = check_points(f"{code}: points", points, 1)
        self.per = Money.parse(per)
        if self.per.minor <= 0:
            raise DeclarationError(f"earn rule {code}: per is above zero")
        self.per_step = bool(per_step)
        self.at_most = None if at_most is None else check_points(f"{code}: at_most", at_most, 1)
        super().__init__(
            code,
            title,
            currency,
            {"points": points, "per": str(self.per), "per_step": self.per_step, "at_most": self.at_most},
        )

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """Points for the receipt's total."""
        if purchase.currency != self.per.currency:
            return Nothing(f"earns on {self.per.currency}, this receipt is in {purchase.currency}")
        total = purchase.total_minor
        steps, left = divmod(total, self.per.minor)
        points = steps * self.points if self.per_step else total * self.points // self.per.minor
        if points == 0:
            return Nothing(f"spend {Money(self.per.minor - left, purchase.currency)} more")
        wanted = points
        if self.at_most is not None:
            points = min(points, self.at_most)
        lines = spread(points, [line.amount for line in purchase.lines])
        return Award(self.currency, points, lines, wanted=wanted if wanted > points else None)


class PointsPerVisit(_BoxRule):
    """`points` (or stamps) for each purchase, of at least `minimum` (`"3.00 EUR"`) if one is named."""

    __slots__ = ("minimum", "points")

    def __init__(
        self,
        currency: Currency | str,
        points: int = 1,
        *,
        minimum: str | None = None,
        code: str = "visit",
        title: str = "Points for each visit",
    ) -> None:
        self.points = check_points(f"{code}: points", points, 1)
        self.minimum = None if minimum is None else Money.parse(minimum)
        super().__init__(
            code, title, currency, {"points": points, "minimum": self.minimum and str(self.minimum)}
        )

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """The stamp, if the receipt is large enough."""
        if self.minimum is not None:
            if purchase.currency != self.minimum.currency:
                return Nothing(f"counts receipts in {self.minimum.currency}")
            if purchase.total < self.minimum:
                return Nothing(f"needs at least {self.minimum}, this was {purchase.total}")
        return Award(self.currency, self.points)


class TierMultiplier(_BoxRule):
    """Multiplies what the other rules gave, by the tier held just before the purchase.

    The extra is an award of its own: floor(base x factor) - base (Square: 4 x 1.5 gives 6).
    """

    __slots__ = ("_effects", "ladder")

    def __init__(
        self,
        currency: Currency | str,
        ladder: str,
        factors: Mapping[str, Rate],
        *,
        code: str = "tier-multiplier",
        title: str = "More points for your tier",
    ) -> None:
        self.ladder = check_code("ladder", ladder)
        if not isinstance(factors, Mapping) or not factors:
            raise DeclarationError(f"earn rule {code}: factors is a mapping of tier to factor")
        self._effects: dict[str, Multiply] = {
            check_code("tier", tier): multiply(currency, factor) for tier, factor in factors.items()
        }
        super().__init__(
            code, title, currency, {"ladder": ladder, "factors": {k: str(v) for k, v in factors.items()}}
        )

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """The factor of the member's tier, if it has one."""
        tier = facts.tiers.get(self.ladder)
        return self._effects.get(tier or "") or Nothing(f"{tier or 'no tier'} has no multiplier")


class FirstPurchaseBonus(_BoxRule):
    """`points` once, on the member's first purchase at this partner."""

    __slots__ = ("points",)

    def __init__(
        self,
        currency: Currency | str,
        points: int,
        *,
        code: str = "first-purchase",
        title: str = "Welcome bonus on your first purchase",
    ) -> None:
        self.points = check_points(f"{code}: points", points, 1)
        super().__init__(code, title, currency, {"points": points})

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """The bonus, on the first purchase only."""
        if not facts.first_purchase:
            return Nothing("this wasn't the first purchase")
        return Award(self.currency, self.points)
