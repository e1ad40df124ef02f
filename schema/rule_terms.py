"""What a data rule says, as it is sent and as it is read. Knows nothing of revisions."""

from __future__ import annotations

from typing import Any

import strawberry

from core.rule_definitions import (
    AwardTerms,
    BudgetTerms,
    CapTerms,
    GroupTerms,
    IssueTerms,
    MultiplyTerms,
)
from laurels.combining import Mode
from schema.rule_basis import RuleBasisInput, basis_said
from schema.scalars import BigInt


@strawberry.input(description="Points that a data rule gives.")
class RuleAwardInput:
    """Of the lines that count."""

    currency: str = strawberry.field(description="The currency's code.")
    points: BigInt = strawberry.field(description="How many, at least 1.")
    per: strawberry.Maybe[str] = strawberry.field(
        description='For every so much money, such as "10.00 USD"; left out: once.'
    )
    whole_steps: bool = strawberry.field(
        default=True, description="With `per`: full steps only; false: in proportion, down."
    )
    each_unit: bool = strawberry.field(default=False, description="For each unit bought.")
    at_most: strawberry.Maybe[BigInt] = strawberry.field(
        description="The most that one receipt gets; what is above is cut."
    )
    carries: bool = strawberry.field(
        default=False,
        description="Whether money beyond full steps is carried over to the next receipt.",
    )
    every: strawberry.Maybe[int] = strawberry.field(
        description="A challenge: for every so many purchases, or units with `eachUnit`; what "
        "there is of them is carried over."
    )
    within: strawberry.Maybe[str] = strawberry.field(
        description="Counted anew in each period of the calendar, such as calendar 1W; left out: "
        "never."
    )


@strawberry.input(description="A factor for what the other rules give of a currency.")
class RuleMultiplyInput:
    """On the whole receipt."""

    currency: str = strawberry.field(description="The currency's code.")
    factor: str = strawberry.field(description='From 1 to 1000, exactly: "1.5".')


strawberry.enum(Mode, name="RuleGroupMode", description="Which rule of a group gives.")


@strawberry.input(description="A group of a partner's rules, of which one gives.")
class RuleGroupInput:
    """A plugin's rules may be in it, too."""

    code: str = strawberry.field(description="The group's code.")
    mode: Mode = strawberry.field(
        default=Mode.HIGHEST,
        description="The rule with the most points gives, with the fewest, or the first.",
    )
    each_line: bool = strawberry.field(
        default=False, description="Whether each line of the receipt chooses for itself."
    )


@strawberry.input(description="A reward that a rule takes for the member, for points, at once.")
class RuleIssueInput:
    """Where the points suffice, and one is left."""

    reward: str = strawberry.field(description="The reward's code, of the same partner.")
    quantity: int = strawberry.field(default=1, description="How many pieces.")
    each_unit: bool = strawberry.field(
        default=False, description="So many for each whole unit of the lines that count."
    )
    currency: strawberry.Maybe[str] = strawberry.field(
        description="The currency's code, where the reward has several prices."
    )


@strawberry.input(description="The most that a rule gives one member: points, or so many times.")
class RuleCapInput:
    """Each currency by itself."""

    points: strawberry.Maybe[BigInt] = strawberry.field(description="So many points, or:")
    times: strawberry.Maybe[int] = strawberry.field(description="So many purchases.")
    per: strawberry.Maybe[str] = strawberry.field(
        description="In any such span (24h, 7D; with 1 time a cooldown), or calendar 1D, 1W, 1M, "
        "1Q, 1Y by the partner's clock; left out: ever."
    )
    shared: str = strawberry.field(
        default="", description="A code that rules share which are capped together."
    )
    rejects: bool = strawberry.field(
        default=False,
        description="Whether nothing is given where less is left; else what is left is given.",
    )


@strawberry.input(description="The most that rules give to all members together.")
class RuleBudgetInput:
    """Never overspent."""

    code: str = strawberry.field(description="Rules that name the same code draw on one budget.")
    points: BigInt = strawberry.field(description="So many points, of whichever currency.")
    per: strawberry.Maybe[str] = strawberry.field(
        description="In each period of the calendar, such as calendar 1M; left out: in all."
    )
    rejects: bool = strawberry.field(
        default=False,
        description="Whether nothing is given where less is left; else what is left is given.",
    )


@strawberry.input(description="What a data rule says: a condition, and one effect.")
class DataRuleInput:
    """Checked when it is saved: types, names, the partner's contract."""

    code: str = strawberry.field(description="The code, unique within the partner.")
    title: str = strawberry.field(description="What it gives, in words for members.")
    when: str = strawberry.field(
        default="",
        description="The condition on the receipt, in CEL, such as `purchase.total >= 50.0 && "
        "local.weekday == 'monday'`; empty: always. `ruleFacts` lists what it may name.",
    )
    lines: str = strawberry.field(
        default="",
        description="The condition on each line, such as `line.type == 'TEA'`: the lines that "
        "hold count; empty: all.",
    )
    award: strawberry.Maybe[RuleAwardInput] = strawberry.field(description="Points, or:")
    multiply: strawberry.Maybe[RuleMultiplyInput] = strawberry.field(description="A factor, or:")
    issue: strawberry.Maybe[RuleIssueInput] = strawberry.field(
        description="A reward, taken at once for the member's points; alone, or beside an award: "
        "then only where that is given."
    )
    basis: strawberry.Maybe[RuleBasisInput] = strawberry.field(
        description="On what of the receipt an award counts; left out: as its partner's rules "
        "usually do."
    )
    group: strawberry.Maybe[RuleGroupInput] = strawberry.field(
        description="The group of which one rule gives; left out: it adds up with all others."
    )
    caps: list[RuleCapInput] = strawberry.field(
        default_factory=list, description="The most that it gives one member."
    )
    budget: strawberry.Maybe[RuleBudgetInput] = strawberry.field(
        description="The most that it gives to all members together; left out: without a limit."
    )
    otherwise: str = strawberry.field(
        default="",
        description="What a member is told where it gives nothing; empty: what didn't hold.",
    )
    pending: strawberry.Maybe[str] = strawberry.field(
        description="How long its points are held back, such as 14D; left out: as the currency."
    )
    reevaluated: bool = strawberry.field(
        default=False, description="Whether it is judged again when goods come back."
    )


@strawberry.type(description="Points that a data rule gives.")
class RuleAward:
    """As it was saved."""

    currency: str = strawberry.field(description="The currency's code.")
    points: BigInt = strawberry.field(description="How many.")
    per: str | None = strawberry.field(description="For every so much money; null: once.")
    whole_steps: bool = strawberry.field(description="Whether full steps only count.")
    each_unit: bool = strawberry.field(description="Whether for each unit bought.")
    at_most: BigInt | None = strawberry.field(description="The most that one receipt gets.")
    carries: bool = strawberry.field(
        description="Whether money beyond full steps is carried over to the next receipt."
    )
    every: int | None = strawberry.field(
        description="For every so many purchases, or units; null: no challenge."
    )
    within: str | None = strawberry.field(
        description="Counted anew in each such period; null: never."
    )

    @classmethod
    def of(cls, said: AwardTerms | None) -> RuleAward | None:
        """From the definition."""
        if said is None:
            return None
        most = None if said.at_most is None else BigInt(said.at_most)
        return cls(
            currency=said.currency, points=BigInt(said.points), per=said.per,
            whole_steps=said.whole_steps, each_unit=said.each_unit, at_most=most,
            carries=said.carries, every=said.every, within=said.within,
        )  # fmt: skip


@strawberry.type(description="A factor for what the other rules give of a currency.")
class RuleMultiply:
    """As it was saved."""

    currency: str = strawberry.field(description="The currency's code.")
    factor: str = strawberry.field(description="The factor, exactly.")

    @classmethod
    def of(cls, said: MultiplyTerms | None) -> RuleMultiply | None:
        """From the definition."""
        return None if said is None else cls(currency=said.currency, factor=said.factor)


@strawberry.type(description="A group of a partner's rules, of which one gives.")
class RuleGroup:
    """As it was saved."""

    code: str = strawberry.field(description="The group's code.")
    mode: Mode = strawberry.field(description="Which rule gives.")
    each_line: bool = strawberry.field(description="Whether each line chooses for itself.")

    @classmethod
    def of(cls, said: GroupTerms | None) -> RuleGroup | None:
        """From the definition."""
        if said is None:
            return None
        return cls(code=said.code, mode=said.mode, each_line=said.each_line)


@strawberry.type(description="A reward that a rule takes for the member, for points, at once.")
class RuleIssue:
    """As it was saved."""

    reward: str = strawberry.field(description="The reward's code.")
    quantity: int = strawberry.field(description="How many pieces.")
    each_unit: bool = strawberry.field(description="Whether so many for each whole unit.")
    currency: str | None = strawberry.field(description="The currency's code; null: the only one.")

    @classmethod
    def of(cls, said: IssueTerms | None) -> RuleIssue | None:
        """From the definition."""
        if said is None:
            return None
        return cls(
            reward=said.reward, quantity=said.quantity, each_unit=said.each_unit,
            currency=said.currency,
        )  # fmt: skip


@strawberry.type(description="The most that a rule gives one member.")
class RuleCap:
    """As it was saved."""

    points: BigInt | None = strawberry.field(description="So many points; null: so many times.")
    times: int | None = strawberry.field(description="So many purchases; null: so many points.")
    per: str | None = strawberry.field(description="In such a span or period; null: ever.")
    shared: str = strawberry.field(description="The code that rules share; may be empty.")
    rejects: bool = strawberry.field(description="Whether nothing is given where less is left.")

    @classmethod
    def of(cls, said: CapTerms) -> RuleCap:
        """From the definition."""
        points = None if said.points is None else BigInt(said.points)
        return cls(
            points=points, times=said.times, per=said.per, shared=said.shared, rejects=said.rejects
        )


@strawberry.type(description="The most that rules give to all members together.")
class RuleBudget:
    """As it was saved."""

    code: str = strawberry.field(description="Rules that name the same code draw on one budget.")
    points: BigInt = strawberry.field(description="So many points, of whichever currency.")
    per: str | None = strawberry.field(description="In each such period; null: in all.")
    rejects: bool = strawberry.field(description="Whether nothing is given where less is left.")

    @classmethod
    def of(cls, said: BudgetTerms | None) -> RuleBudget | None:
        """From the definition."""
        if said is None:
            return None
        return cls(code=said.code, points=BigInt(said.points), per=said.per, rejects=said.rejects)


def said_by(given: DataRuleInput) -> dict[str, Any]:
    """What was sent, as a definition is checked."""
    said: dict[str, Any] = {
        "code": given.code, "title": given.title, "when": given.when, "lines": given.lines,
        "otherwise": given.otherwise, "reevaluated": given.reevaluated,
    }  # fmt: skip
    if given.pending is not None:
        said["pending"] = given.pending.value
    if given.award is not None:
        award = given.award.value
        said["award"] = {
            "currency": award.currency, "points": award.points, "each_unit": award.each_unit,
            "whole_steps": award.whole_steps, "carries": award.carries,
            **({} if award.per is None else {"per": award.per.value}),
            **({} if award.every is None else {"every": award.every.value}),
            **({} if award.within is None else {"within": award.within.value}),
            **({} if award.at_most is None else {"at_most": award.at_most.value}),
        }  # fmt: skip
    if given.multiply is not None:
        multiply = given.multiply.value
        said["multiply"] = {"currency": multiply.currency, "factor": multiply.factor}
    if given.issue is not None:
        issue = given.issue.value
        said["issue"] = {
            "reward": issue.reward, "quantity": issue.quantity, "each_unit": issue.each_unit,
            **({} if issue.currency is None else {"currency": issue.currency.value}),
        }  # fmt: skip
    if given.basis is not None:
        said["basis"] = basis_said(given.basis.value)
    if given.group is not None:
        group = given.group.value
        said["group"] = {"code": group.code, "mode": group.mode, "each_line": group.each_line}
    said["caps"] = [
        {
            "shared": cap.shared, "rejects": cap.rejects,
            **({} if cap.points is None else {"points": cap.points.value}),
            **({} if cap.times is None else {"times": cap.times.value}),
            **({} if cap.per is None else {"per": cap.per.value}),
        }
        for cap in given.caps
    ]  # fmt: skip
    if given.budget is not None:
        budget = given.budget.value
        said["budget"] = {
            "code": budget.code, "points": budget.points, "rejects": budget.rejects,
            **({} if budget.per is None else {"per": budget.per.value}),
        }  # fmt: skip
    return said
