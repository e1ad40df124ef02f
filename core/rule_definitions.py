"""What a data rule says, as plain data: checked field by field by the SDK's own words.

Knows nothing of how one is judged (`core.data_rules`), nor of conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from laurels.activities import PURCHASE, check_trigger
from laurels.basis import Basis, Of
from laurels.caps import Budget, Cap, period_of
from laurels.combining import Group, Mode
from laurels.declarations import MAX_POINTS
from laurels.effects import SetAttribute, checked_attribute
from laurels.errors import LaurelsError, check_code, check_title, storable
from laurels.money import Money
from laurels.policies import Pending
from laurels.rules import MOST_ISSUED, check_factor
from laurels.streaks import MOST_PERIODS


def _held(check: Callable[[str], object]) -> AfterValidator:
    """The SDK's own check of a text, told as pydantic tells its own."""

    def validate(text: str) -> str:
        try:
            check(text)
        except LaurelsError as error:
            raise ValueError(str(error)) from None
        return text

    return AfterValidator(validate)


def _text(text: str) -> str:
    if not storable(text):
        raise ValueError("it holds a character that is no text")
    return text


def _above_zero(per: str) -> None:
    if Money.parse(per).minor <= 0:
        raise ValueError("it is above zero")


_Points = Annotated[int, Field(ge=1, le=MAX_POINTS)]
_Code = Annotated[str, _held(lambda code: check_code("rule", code))]
#: What stands for something elsewhere, or is told to people, as it is.
_Text = Annotated[str, AfterValidator(_text)]
_Title = Annotated[str, _held(lambda title: check_title("title", title))]
_Pending = Annotated[str, _held(Pending.parse)]
_Per = Annotated[str, _held(_above_zero)]
_Period = Annotated[str, _held(lambda per: period_of("within", per))]
_Trigger = Annotated[str, _held(check_trigger)]
_Factor = Annotated[str, _held(lambda factor: check_factor("factor", factor))]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class AwardTerms(_Data):
    """Points: at once, for every `per` of money (whole steps, or in proportion), or for each unit.

    Money and units are those of the lines that count. `at_most` caps what one receipt gets. What
    `carries` keeps the money beyond full steps for the member's next receipt; points for `every` so
    many purchases (or units) are a challenge, and carry what there is of them; `within` a period of
    the calendar, or for ever. A `streak` is of so many such periods in a row.
    """

    currency: str
    points: _Points
    per: _Per | None = None
    whole_steps: bool = True
    each_unit: bool = False
    at_most: _Points | None = None
    carries: bool = False
    every: Annotated[int, Field(ge=1, le=10**6)] | None = None
    streak: Annotated[int, Field(ge=2, le=MOST_PERIODS)] | None = None
    within: _Period | None = None

    @property
    def keeps(self) -> bool:
        """Whether something is carried over."""
        return self.carries or self.every is not None

    @model_validator(mode="after")
    def _one_basis(self) -> Self:
        if self.every is not None and self.per is not None:
            raise ValueError("points are for every so much money, or so many purchases or units")
        if self.streak is not None:
            if self.within is None or self.per is not None or self.each_unit or self.keeps:
                raise ValueError("a streak is of periods: with within, and nothing else")
            return self
        if self.within is not None and not self.keeps:
            raise ValueError("within is of what is carried over: with carries, or every")
        if self.carries and self.every is None and (self.per is None or not self.whole_steps):
            raise ValueError("only what counts full steps of money leaves a rest to carry over")
        if self.per is not None and self.each_unit:
            raise ValueError("points are for money or for units, not for both")
        return self


class BasisTerms(_Data):
    """On what of a receipt it counts; see `laurels.Basis`."""

    of: Annotated[str, _held(Basis)] = Of.PAID
    without: tuple[Annotated[str, _held(lambda kind: Basis(without=[kind]))], ...] = ()
    except_types: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _declared(self) -> Self:
        _told(self.declared)
        return self

    def declared(self) -> Basis:
        """As plugins declare one."""
        return Basis(self.of, self.without, self.except_types)

    @classmethod
    def of_basis(cls, basis: Basis) -> BasisTerms:
        """What a plugin declared, as a data rule says it."""
        without, types = tuple(map(str, basis.without)), tuple(basis.except_types)
        return cls(of=str(basis.of), without=without, except_types=types)


class MultiplyTerms(_Data):
    """A factor, from 1 to 1000, for all that the other rules gave of a currency."""

    currency: str
    factor: _Factor


class IssueTerms(_Data):
    """A reward of the partner's, taken at once for the member's points, where they suffice.

    So many pieces, or so many for each whole unit of the lines that count.
    """

    reward: _Code
    quantity: Annotated[int, Field(ge=1, le=MOST_ISSUED)] = 1
    each_unit: bool = False
    currency: _Text | None = None


class NoteTerms(_Data):
    """Something noted of the member; see `laurels.SetAttribute`. No value: it stands no longer."""

    name: str
    value: str | None = None
    lasts: str | None = None

    @model_validator(mode="after")
    def _declared(self) -> Self:
        _told(self.declared)
        return self

    def declared(self) -> SetAttribute:
        """As plugins declare one."""
        return checked_attribute(SetAttribute(self.name, self.value, self.lasts))


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
    shared: _Text = ""
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


#: As many caps as one rule may have, and as many things as it notes of a member.
MOST_CAPS = 5
MOST_NOTES = 10


class RuleDefinition(_Data):
    """What a data rule says. `on` is what it judges: purchases, or an activity's type.

    `when` is of the receipt, `lines` of each line: those that count. What is `offered` is for those
    alone to whom it was. `deny` is why nothing at all is given where its condition holds.

    `otherwise` is what a member is told where it gives nothing; empty: the part that failed.
    `pending` reads as a currency's; `reevaluated` rules are judged again when goods come back. The
    conditions see the receipt as it is, whatever of it is on the award's `basis`.
    """

    code: _Code
    title: _Title
    on: _Trigger = PURCHASE
    when: _Text = ""
    lines: _Text = ""
    award: AwardTerms | None = None
    multiply: MultiplyTerms | None = None
    issue: IssueTerms | None = None
    deny: _Text = Field(default="", max_length=300)
    notes: tuple[NoteTerms, ...] = Field(default=(), max_length=MOST_NOTES)
    thanks: bool = False
    offered: bool = False
    basis: BasisTerms | None = None
    group: GroupTerms | None = None
    caps: tuple[CapTerms, ...] = Field(default=(), max_length=MOST_CAPS)
    budget: BudgetTerms | None = None
    otherwise: _Text = Field(default="", max_length=300)
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
        gives = bool(self.award or self.multiply or self.issue or self.thanks)
        if not (gives or self.deny or self.notes) or (self.award and self.multiply):
            raise ValueError(
                "a rule has an effect: award or multiply, issue, deny, notes, or thanks"
            )
        if self.reevaluated and self.award is not None and self.award.streak is not None:
            raise ValueError("a streak is judged by when one came, once")
        if self.deny and gives:
            raise ValueError("what denies gives nothing: write a rule of its own for that")
        self._fits()
        if self.issue is not None and self.multiply is not None:
            raise ValueError("a factor issues nothing: write a rule of its own for that")
        if (
            self.award is None
            and self.multiply is None
            and (
                self.caps
                or self.budget
                or self.group
                or self.pending
                or self.reevaluated
                or self.basis
            )
        ):
            raise ValueError("caps, groups and the like are of points: beside an award")
        more = self.lines or self.pending or self.reevaluated or self.group or self.basis
        if self.multiply is not None and more:
            raise ValueError("a factor is for the whole receipt, and lives as what it multiplies")
        return self

    def _fits(self) -> None:
        """What isn't a purchase has no lines, and no money."""
        if self.on == PURCHASE:
            return
        award = self.award
        of_money = award is not None and (award.per is not None or award.each_unit)
        if (
            self.lines
            or self.basis
            or of_money
            or (self.issue is not None and self.issue.each_unit)
        ):
            raise ValueError(f"on {self.on} there are neither lines nor money")

    def with_basis(self, usual: Basis | None) -> RuleDefinition:
        """The same on its partner's usual basis, where it names none and awards something.

        One that it names is said in one way, so that the same is the same.
        """
        basis = usual if self.basis is None else self.basis.declared()
        if basis is None or self.award is None or self.on != PURCHASE:
            return self
        return self.model_copy(update={"basis": BasisTerms.of_basis(basis)})

    @property
    def currency(self) -> str | None:
        """The code of the currency that it gives; None: it gives no points."""
        effect = self.award or self.multiply
        return None if effect is None else effect.currency

    def terms(self) -> dict[str, Any]:
        """What is stored of it with each version, beside its code and title."""
        said = self.model_dump(exclude=_LASTING)
        if self.on == PURCHASE:
            del said["on"]
        if self.notes:
            said["notes"] = tuple(f"{n.name}={n.value or ''} {n.lasts or ''}" for n in self.notes)
        return {"kind": KIND, **{k: v for k, v in said.items() if v not in (None, "", (), False)}}


#: What isn't the rule's own terms, but of what becomes of its points.
_LASTING = {
    "code", "title", "pending", "reevaluated", "offered", "group", "caps", "budget", "basis",
}  # fmt: skip
#: Tells a data rule's stored terms from a plugin's.
KIND = "DataRule"
