"""Rules as data: a condition in CEL and one effect, written by a partner's staff, without code.

What is stored is plain data; from it comes a rule of the same protocol as a plugin's, judged by the
same evaluator under the same deadline. Knows no table, and nothing of who may write one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from core.errors import BadInput
from core.expressions import Condition, Part, Seen, condition
from laurels.caps import Budget, Cap, Ceiling, period_of
from laurels.challenges import Counts
from laurels.combining import Group, Mode
from laurels.declarations import MAX_POINTS
from laurels.errors import LaurelsError, check_code, check_title
from laurels.money import Money
from laurels.policies import Pending
from laurels.purchase import Facts, Purchase
from laurels.rounding import spread
from laurels.rules import (
    Award,
    EarnRule,
    Effect,
    Multiply,
    Nothing,
    Terms,
    capped,
    check_factor,
    check_terms,
    grouped,
    pending,
    reevaluated,
)


def _held(check: Callable[[str], object]) -> AfterValidator:
    """The SDK's own check of a text, told as pydantic tells its own."""

    def validate(text: str) -> str:
        try:
            check(text)
        except LaurelsError as error:
            raise ValueError(str(error)) from None
        return text

    return AfterValidator(validate)


def _above_zero(per: str) -> None:
    if Money.parse(per).minor <= 0:
        raise ValueError("it is above zero")


_Points = Annotated[int, Field(ge=1, le=MAX_POINTS)]
_Code = Annotated[str, _held(lambda code: check_code("rule", code))]
_Title = Annotated[str, _held(lambda title: check_title("title", title))]
_Pending = Annotated[str, _held(Pending.parse)]
_Per = Annotated[str, _held(_above_zero)]
_Period = Annotated[str, _held(lambda per: period_of("within", per))]
_Factor = Annotated[str, _held(lambda factor: check_factor("factor", factor))]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class AwardTerms(_Data):
    """Points: at once, for every `per` of money (whole steps, or in proportion), or for each unit.

    Money and units are those of the lines that count. `at_most` caps what one receipt gets. What
    `carries` keeps the money beyond full steps for the member's next receipt; points for `every` so
    many purchases (or units) are a challenge, and carry what there is of them; `within` a period of
    the calendar, or for ever.
    """

    currency: str
    points: _Points
    per: _Per | None = None
    whole_steps: bool = True
    each_unit: bool = False
    at_most: _Points | None = None
    carries: bool = False
    every: Annotated[int, Field(ge=1, le=10**6)] | None = None
    within: _Period | None = None

    @property
    def keeps(self) -> bool:
        """Whether something is carried over."""
        return self.carries or self.every is not None

    @model_validator(mode="after")
    def _one_basis(self) -> Self:
        if self.every is not None and self.per is not None:
            raise ValueError("points are for every so much money, or so many purchases or units")
        if self.within is not None and not self.keeps:
            raise ValueError("within is of what is carried over: with carries, or every")
        if self.carries and self.every is None and (self.per is None or not self.whole_steps):
            raise ValueError("only what counts full steps of money leaves a rest to carry over")
        if self.per is not None and self.each_unit:
            raise ValueError("points are for money or for units, not for both")
        return self


class MultiplyTerms(_Data):
    """A factor, from 1 to 1000, for all that the other rules gave of a currency."""

    currency: str
    factor: _Factor


class GroupTerms(_Data):
    """The group of rules of which one gives, by `mode`; on each line, or on the receipt."""

    code: _Code
    mode: Mode = Mode.HIGHEST
    each_line: bool = False

    def declared(self) -> Group:
        """As plugins declare one."""
        return Group(self.code, self.mode, self.each_line)


class CapTerms(_Data):
    """The most that it gives one member; see `laurels.Cap`."""

    points: int | None = None
    times: int | None = None
    per: str | None = None
    shared: str = ""
    rejects: bool = False

    @model_validator(mode="after")
    def _declared(self) -> Self:
        _told(self.declared)
        return self

    def declared(self) -> Cap:
        """As plugins declare one."""
        return Cap(self.points, self.times, self.per, self.shared, self.rejects)


class BudgetTerms(_Data):
    """The most that it gives to all members together; see `laurels.Budget`."""

    code: str
    points: int
    per: str | None = None
    rejects: bool = False

    @model_validator(mode="after")
    def _declared(self) -> Self:
        _told(self.declared)
        return self

    def declared(self) -> Budget:
        """As plugins declare one."""
        return Budget(self.code, self.points, self.per, self.rejects)


def _told(declared: Callable[[], object]) -> None:
    """The SDK's own check of a declaration, told as pydantic tells its own."""
    try:
        declared()
    except LaurelsError as error:
        raise ValueError(str(error)) from None


#: As many caps as one rule may have.
MOST_CAPS = 5


class RuleDefinition(_Data):
    """What a data rule says. `when` is of the receipt, `lines` of each line: those that count.

    `otherwise` is what a member is told where it gives nothing; empty: the part that failed.
    `pending` reads as a currency's; `reevaluated` rules are judged again when goods come back.
    """

    code: _Code
    title: _Title
    when: str = ""
    lines: str = ""
    award: AwardTerms | None = None
    multiply: MultiplyTerms | None = None
    group: GroupTerms | None = None
    caps: tuple[CapTerms, ...] = Field(default=(), max_length=MOST_CAPS)
    budget: BudgetTerms | None = None
    otherwise: str = Field(default="", max_length=300)
    pending: _Pending | None = None
    reevaluated: bool = False

    @field_validator("caps")
    @classmethod
    def _once(cls, caps: tuple[CapTerms, ...]) -> tuple[CapTerms, ...]:
        shared = [cap.shared for cap in caps if cap.shared]
        if len(set(shared)) < len(shared):
            raise ValueError("a rule is capped once together with others of a code")
        return caps

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.award is None) == (self.multiply is None):
            raise ValueError("a rule has one effect: award, or multiply")
        more = self.lines or self.pending or self.reevaluated or self.group
        if self.multiply is not None and more:
            raise ValueError("a factor is for the whole receipt, and lives as what it multiplies")
        return self

    @property
    def currency(self) -> str:
        """The code of the currency that it gives."""
        effect = self.award or self.multiply
        assert effect is not None
        return effect.currency

    def terms(self) -> dict[str, Any]:
        """What is stored of it with each version, beside its code and title."""
        said = self.model_dump(exclude=_LASTING)
        return {"kind": KIND, **{k: v for k, v in said.items() if v not in (None, "")}}


#: What isn't the rule's own terms, but of what becomes of its points.
_LASTING = {"code", "title", "pending", "reevaluated", "group", "caps", "budget"}
#: Tells a data rule's stored terms from a plugin's.
KIND = "DataRule"


def parse(given: Mapping[str, Any]) -> RuleDefinition:
    """The definition, checked field by field, conditions compiled. Raises BadInput."""
    try:
        found = RuleDefinition.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(first["msg"].removeprefix("Value error, "), *first["loc"]) from None
    rule_of(found)
    return found


def rule_of(definition: RuleDefinition) -> EarnRule:
    """The rule that it says. Raises BadInput where a condition isn't one."""
    rule: EarnRule = DataRule(definition)
    if definition.group is not None:
        (rule,) = grouped(definition.group.declared(), rule)
    ceilings: list[Ceiling] = [cap.declared() for cap in definition.caps]
    if definition.budget is not None:
        ceilings.append(definition.budget.declared())
    if ceilings:
        rule = capped(rule, *ceilings)
    if definition.reevaluated:
        rule = reevaluated(rule)
    return rule if definition.pending is None else pending(definition.pending, rule)


class DataRule:
    """A data rule as the evaluator meets it."""

    __slots__ = (
        "_award", "_factor", "_lines", "_when", "code", "counts", "definition", "per", "target",
        "title", "window",
    )  # fmt: skip

    def __init__(self, definition: RuleDefinition) -> None:
        self.definition = definition
        self.code, self.title = definition.code, definition.title
        self._when = condition(definition.when, "when") if definition.when else None
        self._lines: Condition | None = None
        if definition.lines:
            self._lines = condition(definition.lines, "lines", of_lines=True)
        self._award = definition.award
        self.per = None
        if definition.award is not None and definition.award.per is not None:
            self.per = Money.parse(definition.award.per)
        self.counts, self.target, self.window = Counts.PURCHASES, 1, None
        if self._award is not None:
            every = self._award.every or 1
            if self._award.each_unit:
                self.counts, every = Counts.UNITS, 1000 * every
            self.target = every if self.per is None else self.per.minor
            self.window = period_of("within", self._award.within)
        self._factor: Multiply | None = None
        if definition.multiply is not None:
            factor = check_factor("factor", definition.multiply.factor)
            self._factor = Multiply(definition.multiply.currency, factor)

    @property
    def carries(self) -> bool:
        """Whether it carries money over to the next receipt."""
        return self._award is not None and self._award.keeps

    @property
    def terms(self) -> Terms:
        """Stored with each version, shown to members."""
        return check_terms(f"rule {self.code}", self.definition.terms())

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """Its effect, where its condition holds."""
        seen = None
        if self._when is not None:
            seen = seen_of(purchase, facts)
            if not self._when.holds(seen):
                return Nothing(self.definition.otherwise or self._when.failed(seen))
        if self._factor is not None:
            return self._factor
        chosen = None
        if self._lines is not None:
            chosen = self._lines.chosen(seen or seen_of(purchase, facts))
            if True not in chosen:
                return Nothing(self.definition.otherwise or f"no line is one: {self._lines.text}")
        return self._awarded(purchase, chosen, facts)

    def _missing(self, carry: int | None) -> str:
        """Why no points, in words; what is missing where that is carried over."""
        if carry is None:
            return "nothing here earns a whole point"
        missing = self.target - carry
        if self.per is not None:
            return f"spend {Money(missing, self.per.currency)} more"
        if self.counts is Counts.PURCHASES:
            return f"{missing} more purchase{'' if missing == 1 else 's'} to go"
        return f"{-(-missing // 1000)} more to go"

    def judged(self, purchase: Purchase, facts: Facts) -> tuple[list[Part], list[bool]]:
        """Every part of its condition with its facts, and of each line whether it counts."""
        seen = seen_of(purchase, facts)
        parts = [] if self._when is None else self._when.parts(seen)
        return parts, [] if self._lines is None else self._lines.chosen(seen)

    def _awarded(self, purchase: Purchase, chosen: list[bool] | None, facts: Facts) -> Effect:
        award = self._award
        assert award is not None
        shares = _counting(purchase.amounts, chosen)
        if self.per is not None:
            if purchase.currency != self.per.currency:
                return Nothing(f"earns on {self.per.currency}, this is {purchase.currency}")
            total = sum(shares)
        elif award.each_unit:
            shares = _counting([line.quantity for line in purchase.lines], chosen)
            total = sum(shares)
        else:
            total = 1
        carry = None
        if award.keeps:
            total += facts.carried.get(self.code, 0)
            carry = total - max(0, total) // self.target * self.target
            total = max(0, total)
        if award.every is not None or (self.per is not None and award.whole_steps):
            points = total // self.target * award.points
        else:
            points = total * award.points // self.target
        if points == 0:
            return Nothing(self.definition.otherwise or self._missing(carry), carry)
        given = points if award.at_most is None else min(points, award.at_most)
        lines = None  # by the amounts of all: the evaluator's own way
        if shares is not purchase.amounts or not purchase.total_minor:
            if not any(shares):  # all that counts is free of charge: alike
                shares = _counting([1] * len(purchase.lines), chosen)
            lines = spread(given, shares)
        wanted = points if given < points else None
        return Award(award.currency, given, lines, wanted=wanted, carry=carry)


def _counting(figures: Sequence[int], chosen: Sequence[bool] | None) -> Sequence[int]:
    """The figures of the lines that count, 0 for the others."""
    if chosen is None:
        return figures
    return [n if counts else 0 for n, counts in zip(figures, chosen, strict=True)]


_last: Seen | None = None


def seen_of(purchase: Purchase, facts: Facts) -> Seen:
    """What expressions see of a purchase: gathered once, for the rules judge one after another."""
    global _last
    if _last is None or not _last.is_of(purchase, facts):
        _last = Seen(purchase, facts)
    return _last
