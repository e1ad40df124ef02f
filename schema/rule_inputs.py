"""A data rule as it is sent, and as a definition is checked. Knows nothing of what it becomes."""

from __future__ import annotations

from typing import Any

import strawberry

from laurels.combining import Mode
from schema.enums import words
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
    streak: strawberry.Maybe[int] = strawberry.field(
        description="For so many periods `within` in a row, from 2 to 366."
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


words(
    Mode,
    "Which rule of a group gives.",
    name="RuleGroupMode",
    HIGHEST="The one that would give most.",
    LOWEST="The one that would give least.",
    FIRST="The first that would give at all.",
)


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


@strawberry.input(description="Something that a rule notes of the member.")
class RuleNoteInput:
    """What the partner's conditions find from the next event on."""

    name: str = strawberry.field(
        description="What it is, such as vip; `segment:CODE` puts the member into a segment, "
        "`offer:CODE` offers it a rule."
    )
    value: strawberry.Maybe[str | None] = strawberry.field(
        description="Its value, at most 100 characters; left out: yes; null: it stands no longer."
    )
    lasts: strawberry.Maybe[str] = strawberry.field(
        description="How long it stands, such as 7D; left out: until it is taken away."
    )


@strawberry.input(description="What a data rule says: a condition, and its effects.")
class DataRuleInput:
    """Checked when it is saved: types, names, the partner's contract."""

    code: str = strawberry.field(description="The code, unique within the partner.")
    title: str = strawberry.field(description="What it gives, in words for members.")
    on: str = strawberry.field(
        default="purchase",
        description="What it judges: purchase, enrolment, birthday, return, referral, a type of "
        "activity, segment:CODE, or schedule:daily, weekly monday, monthly 15, yearly 04-23.",
    )
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
    deny: str = strawberry.field(
        default="",
        description="Where its condition holds none of the partner's rules gives anything: why, "
        "in words for members.",
    )
    notes: list[RuleNoteInput] = strawberry.field(
        default_factory=list, description="What it notes of the member."
    )
    thanks: bool = strawberry.field(
        default=False,
        description="Whether who referred the member has the occasion referral, once.",
    )
    offered: bool = strawberry.field(
        default=False, description="Whether it is for those alone to whom it is offered."
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


def said_by(given: DataRuleInput) -> dict[str, Any]:
    """What was sent, as a definition is checked."""
    said: dict[str, Any] = {
        "code": given.code, "title": given.title, "when": given.when, "lines": given.lines,
        "otherwise": given.otherwise, "reevaluated": given.reevaluated, "on": given.on,
        "deny": given.deny, "thanks": given.thanks, "offered": given.offered,
        "notes": [
            {
                "name": x.name, "value": "yes" if x.value is None else x.value.value,
                "lasts": None if x.lasts is None else x.lasts.value,
            }
            for x in given.notes
        ],
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
            **({} if award.streak is None else {"streak": award.streak.value}),
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
