"""What a data rule says, as it was saved. Knows nothing of how it is judged."""

from __future__ import annotations

import strawberry

from core.rule_definitions import (
    AwardTerms,
    BudgetTerms,
    CapTerms,
    GroupTerms,
    IssueTerms,
    MultiplyTerms,
    NoteTerms,
)
from laurels.combining import Mode
from schema.scalars import BigInt


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
    streak: int | None = strawberry.field(
        description="For so many periods in a row; null: it isn't for a streak."
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
            carries=said.carries, every=said.every, streak=said.streak, within=said.within,
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


@strawberry.type(description="Something that a rule notes of the member.")
class RuleNote:
    """As it was saved."""

    name: str = strawberry.field(description="What it is.")
    value: str | None = strawberry.field(description="Its value; null: it stands no longer.")
    lasts: str | None = strawberry.field(description="How long it stands; null: without an end.")

    @classmethod
    def of(cls, said: NoteTerms) -> RuleNote:
        """From the definition."""
        return cls(name=said.name, value=said.value, lasts=said.lasts)


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
