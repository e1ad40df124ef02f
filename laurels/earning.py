"""The earn rules in the box. Each is an `EarnRule` like a partner's own.

They compute in exact integers: a rate such as "1.5" is a fraction, fixed when the rule is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import lcm
from types import MappingProxyType

from laurels.declarations import Currency, check_mapping, check_points, currency_code
from laurels.errors import DeclarationError, check_code, check_title, shown, within
from laurels.lasting import unwrapped
from laurels.money import Money
from laurels.purchase import Facts, Purchase
from laurels.rates import Rate, rate, rate_text
from laurels.rounding import Rounding, spread
from laurels.rules import (
    Award,
    EarnRule,
    Effect,
    Multiply,
    Nothing,
    Terms,
    check_factor,
)


def named(code: object) -> str:
    """How refusals call a rule of this code. Raises DeclarationError where it is none."""
    return f"earn rule {check_code('earn rule', code)}"


class BoxRule:
    """What the rules in the box share: a code, a title, a currency, terms; equal by their terms."""

    __slots__ = ("code", "currency", "terms", "title")

    def __init__(self, code: str, title: str, currency: Currency | str, terms: Terms) -> None:
        what = named(code)
        self.code = code
        self.title = check_title(f"{what}: title", title)
        self.currency = within(what, currency_code, currency)
        self.terms: Terms = MappingProxyType(
            {"kind": type(self).__name__, "currency": self.currency, **terms}
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.currency})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoxRule) or type(other) is not type(self):
            return False
        return (self.code, self.title, self.terms) == (other.code, other.title, other.terms)

    def __hash__(self) -> int:
        return hash((type(self), self.code, self.title))


#: Modules whose rules are the kit's own.
_BOX = (__name__, "laurels.challenges", "laurels.collecting", "laurels.streaks")


def in_the_box(rule: EarnRule) -> bool:
    """Whether a rule is one of these, and not a partner's own, made of one of these perhaps."""
    return type(unwrapped(rule)).__module__ in _BOX


class ProductTypeRewardCalculator(BoxRule):
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
        what = named(code)
        check_mapping(f"{what}: rates", rates, "product type to rate")
        parsed = {
            check_title(f"{what}: rates: product type", k, 200): rate(f"{what}: rates: {k}", v)
            for k, v in rates.items()
        }
        otherwise = rate(f"{what}: default", default)
        self.at_most = None if at_most is None else check_points(f"{what}: at_most", at_most, 1)
        try:
            self.rounding = Rounding(rounding)
        except ValueError:
            raise DeclarationError(f"{what}: rounding: {shown(rounding)} is none") from None
        # One common denominator: on the hot path a line costs one look-up and one division.
        self._scale = lcm(otherwise.denominator, *(r.denominator for r in parsed.values()))
        self._rates = {k: int(r * self._scale) for k, r in parsed.items()}
        self._default = int(otherwise * self._scale)
        super().__init__(
            code,
            title,
            currency,
            {
                "rates": {k: rate_text(v) for k, v in parsed.items()},
                "default": rate_text(otherwise),
                "rounding": str(self.rounding),
                "at_most": self.at_most,
            },
        )

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """Points for each line by its type."""
        rates, default = self._rates, self._default
        exact = [rates.get(line.product_type, default) * line.amount for line in purchase.lines]
        denominator = self._scale * purchase.minor_per_major
        return _rounded(self.currency, exact, denominator, self.rounding, self.at_most)


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


class PointsPerAmount(BoxRule):
    """`points` for each full `per` of money spent on the receipt: 1 for every `"10.00 USD"`.

    `per_step` counts full steps only ($105 at 1 per $10 gives 10: Square's accrual); without it
    the points are proportional and rounded once per receipt, down. One that `carries` keeps what is
    left of a receipt beyond full steps for the member's next one, and judges again what comes back.
    """

    __slots__ = ("at_most", "carries", "per", "per_step", "points")

    def __init__(
        self,
        currency: Currency | str,
        points: int,
        per: str,
        *,
        per_step: bool = True,
        at_most: int | None = None,
        carries: bool = False,
        code: str = "per-amount",
        title: str = "Points for what you spend",
    ) -> None:
        what = named(code)
        self.points = check_points(f"{what}: points", points, 1)
        self.per = within(f"{what}: per", Money.parse, per)
        if self.per.minor <= 0:
            raise DeclarationError(f"{what}: per: it is above zero")
        self.per_step = bool(per_step)
        self.carries = bool(carries)
        if self.carries and not self.per_step:
            raise DeclarationError(f"{what}: carries: only what counts full steps leaves a rest")
        self.at_most = None if at_most is None else check_points(f"{what}: at_most", at_most, 1)
        super().__init__(
            code,
            title,
            currency,
            {
                "points": points,
                "per": str(self.per),
                "per_step": self.per_step,
                "at_most": self.at_most,
                **({"carries": True} if self.carries else {}),
            },
        )

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """Points for the receipt's total, and for what was carried over to it."""
        if purchase.currency != self.per.currency:
            return Nothing(f"earns on {self.per.currency}, this receipt is in {purchase.currency}")
        total = purchase.total_minor
        carry = None
        if self.carries:
            total += facts.carried.get(self.code, 0)
            carry = total - max(0, total) // self.per.minor * self.per.minor
            total = max(0, total)
        if self.per_step:
            points, least = total // self.per.minor * self.points, self.per.minor
        else:
            points = total * self.points // self.per.minor
            least = -(-self.per.minor // self.points)
        if points == 0:
            missing = least - (total if carry is None else carry)
            return Nothing(f"spend {Money(missing, purchase.currency)} more", carry)
        wanted = points
        if self.at_most is not None:
            points = min(points, self.at_most)
        lines = spread(points, purchase.amounts)
        return Award(
            self.currency, points, lines, wanted=wanted if wanted > points else None, carry=carry
        )


class PointsPerVisit(BoxRule):
    """`points` (or stamps) for each purchase, of at least `minimum` (`"3.00 EUR"`) if named."""

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
        what = named(code)
        self.points = check_points(f"{what}: points", points, 1)
        self.minimum: Money | None = None
        if minimum is not None:
            self.minimum = within(f"{what}: minimum", Money.parse, minimum)
            if self.minimum.minor <= 0:
                raise DeclarationError(f"{what}: minimum: it is above zero")
        told = None if self.minimum is None else str(self.minimum)
        super().__init__(code, title, currency, {"points": points, "minimum": told})

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """The stamp, if the receipt is large enough."""
        if self.minimum is not None:
            if purchase.currency != self.minimum.currency:
                return Nothing(f"counts receipts in {self.minimum.currency}")
            if purchase.total < self.minimum:
                return Nothing(f"needs at least {self.minimum}, this was {purchase.total}")
        return Award(self.currency, self.points)


class TierMultiplier(BoxRule):
    """Multiplies what the other rules gave, by the tier held just before the purchase.

    The extra is an award of its own: floor(base x factor) - base (Square: 4 x 1.5 gives 6).
    """

    __slots__ = ("_effects", "ladder")
    multiplies = True

    def __init__(
        self,
        currency: Currency | str,
        ladder: str,
        factors: Mapping[str, Rate],
        *,
        code: str = "tier-multiplier",
        title: str = "More points for your tier",
    ) -> None:
        what = named(code)
        self.ladder = check_code(f"{what}: ladder", ladder)
        unit = within(what, currency_code, currency)
        if not check_mapping(f"{what}: factors", factors, "tier to factor"):
            raise DeclarationError(f"{what}: factors: at least one tier is wanted")
        self._effects = {
            check_code(f"{what}: factors", tier): Multiply(
                unit, check_factor(f"{what}: factors: {tier}", factor)
            )
            for tier, factor in factors.items()
        }
        told = {tier: rate_text(effect.factor) for tier, effect in self._effects.items()}
        super().__init__(code, title, unit, {"ladder": ladder, "factors": told})

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """The factor of the member's tier, if it has one."""
        tier = facts.tiers.get(self.ladder)
        return self._effects.get(tier or "") or Nothing(f"{tier or 'no tier'} has no multiplier")


class FirstPurchaseBonus(BoxRule):
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
        self.points = check_points(f"{named(code)}: points", points, 1)
        super().__init__(code, title, currency, {"points": points})

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """The bonus, on the first purchase only."""
        if not facts.first_purchase:
            return Nothing("this wasn't the first purchase")
        return Award(self.currency, self.points)
