"""Rules as data: written, tried, put in force and ended by a partner's staff, without a deployment.

Knows nothing of how a condition is judged; what is wrong with one is told by its field.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import strawberry

from core import rule_changes as engine
from core.errors import BadInput
from core.purchases import check_text
from core.rule_definitions import RuleDefinition
from core.rulebook import PartnerTerms
from core.seeing import FACTS
from core.store import data_rules as store
from schema.access import MANAGERS, STAFF, allow, allow_change, partner_for
from schema.acts import watch
from schema.context import Context, Info
from schema.errors import BadInputError, NotAllowedError, UnknownReferenceError, WrongStateError
from schema.fields import answer, change
from schema.rule_basis import RuleBasis
from schema.rule_inputs import DataRuleInput, said_by
from schema.rule_terms import (
    RuleAward,
    RuleBudget,
    RuleCap,
    RuleGroup,
    RuleIssue,
    RuleMultiply,
    RuleNote,
)

MOST_LISTED = 500
#: So many of a rule's revisions stand in the record of an act.
_MOST_WATCHED = 10


@strawberry.enum(description="Where a revision of a data rule stands.")
class DataRuleState(enum.Enum):
    """By the instant of the request."""

    DRAFT = strawberry.enum_value("draft", description="Saved, and never in force.")
    SHADOW = strawberry.enum_value(
        "shadow", description="A draft that judges in shadow: compared, and never booked."
    )
    SCHEDULED = strawberry.enum_value("scheduled", description="Will be in force.")
    ACTIVE = strawberry.enum_value("active", description="Judges what happens now.")
    ENDED = strawberry.enum_value("ended", description="Was in force.")


@strawberry.type(description="A revision of a data rule, as it was saved.")
class DataRule:
    """Never changed: what is saved anew is another revision."""

    code: str = strawberry.field(description="The code, unique within the partner.")
    revision: int = strawberry.field(description="Counted from 1.")
    state: DataRuleState = strawberry.field(description="Where it stands.")
    title: str = strawberry.field(description="What it gives, in words for members.")
    when: str = strawberry.field(description="The condition on the receipt; empty: always.")
    lines: str = strawberry.field(description="The condition on each line; empty: all count.")
    award: RuleAward | None = strawberry.field(
        description="What it gives; null: it multiplies, or only issues."
    )
    multiply: RuleMultiply | None = strawberry.field(description="By what; null: it gives points.")
    issue: RuleIssue | None = strawberry.field(description="The reward that it issues, if any.")
    basis: RuleBasis | None = strawberry.field(
        description="On what of a receipt its award counts; null: on what was paid."
    )
    on: str = strawberry.field(description="What it judges: purchase, or what it names instead.")
    deny: str = strawberry.field(
        description="Why nothing at all is given; empty: it denies nothing."
    )
    notes: list[RuleNote] = strawberry.field(description="What it notes of the member.")
    thanks: bool = strawberry.field(description="Whether it thanks who referred the member.")
    offered: bool = strawberry.field(
        description="Whether it is for those alone to whom it is offered."
    )
    group: RuleGroup | None = strawberry.field(
        description="The group of which one rule gives; null: it adds up with all others."
    )
    caps: list[RuleCap] = strawberry.field(description="The most that it gives one member.")
    budget: RuleBudget | None = strawberry.field(
        description="The most that it gives to all members together; null: without a limit."
    )
    otherwise: str = strawberry.field(description="What is told where it gives nothing.")
    pending: str | None = strawberry.field(description="How long its points are held back.")
    reevaluated: bool = strawberry.field(description="Whether returns judge it again.")
    saved_at: datetime = strawberry.field(description="When it was saved.")
    from_at: datetime | None = strawberry.field(
        name="from", description="Since when it judges; null: it was never put in force."
    )
    until_at: datetime | None = strawberry.field(
        name="until", description="Until when, exclusive; null: without an end."
    )

    @classmethod
    def of(cls, row: store.DataRuleRow, now: datetime) -> DataRule:
        """From the stored revision."""
        said = RuleDefinition.model_validate(row.definition)
        return cls(
            code=row.code, revision=row.revision, state=_state(row, now), title=said.title,
            when=said.when, lines=said.lines, award=RuleAward.of(said.award),
            multiply=RuleMultiply.of(said.multiply), issue=RuleIssue.of(said.issue),
            group=RuleGroup.of(said.group), basis=RuleBasis.of_terms(said.basis), on=said.on,
            deny=said.deny, thanks=said.thanks,
            notes=[RuleNote.of(note) for note in said.notes], offered=said.offered,
            otherwise=said.otherwise, caps=[RuleCap.of(cap) for cap in said.caps],
            budget=RuleBudget.of(said.budget),
            pending=said.pending, reevaluated=said.reevaluated, saved_at=row.saved_at,
            from_at=row.from_at, until_at=row.until_at,
        )  # fmt: skip


def _state(row: store.DataRuleRow, now: datetime) -> DataRuleState:
    if row.from_at is None:
        return DataRuleState.DRAFT if row.shadow_at is None else DataRuleState.SHADOW
    if row.until_at is not None and row.until_at <= max(now, row.from_at):
        return DataRuleState.ENDED
    return DataRuleState.SCHEDULED if now < row.from_at else DataRuleState.ACTIVE


@strawberry.type(description="A fact that a condition may name.")
class RuleFact:
    """Of the rule's own partner, at the purchase's own time."""

    name: str = strawberry.field(description="As a condition calls it.")
    description: str = strawberry.field(description="What it is.")


@strawberry.type(description="The rule stands so.")
class DataRuleChanged:
    """Done."""

    rule: DataRule = strawberry.field(description="The revision, as it stands now.")
    replayed: bool = strawberry.field(description="Whether it stood so before.")

    @classmethod
    def of(cls, info: Info, done: engine.Changed) -> DataRuleChanged:
        """From the engine."""
        return cls(rule=DataRule.of(done.row, info.context.instant), replayed=done.replayed)


SaveResult = Annotated[
    DataRuleChanged | BadInputError | UnknownReferenceError | NotAllowedError,
    strawberry.union("SaveRuleResult", description="The revision, or what is wrong with it."),
]
ForceResult = Annotated[
    DataRuleChanged | BadInputError | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("RuleInForceResult", description="The revision, or why it stays as it is."),
]


@strawberry.input(description="A data rule to save.")
class SaveRuleInput:
    """As a new revision, unless it says the same."""

    partner: str = strawberry.field(description="The code of the partner whose rule it is.")
    rule: DataRuleInput = strawberry.field(description="What it says.")


def _checked(partner: PartnerTerms, given: DataRuleInput, now: datetime) -> RuleDefinition:
    """What was sent; raises BadInput naming the field within `rule`."""
    try:
        return engine.checked(partner, said_by(given), now)
    except BadInput as refusal:
        raise refusal.under("rule") from None


@strawberry.input(description="A revision to put in force.")
class ActivateRuleInput:
    """Once."""

    partner: str = strawberry.field(description="The code of the partner whose rule it is.")
    code: str = strawberry.field(description="The rule's code.")
    revision: int = strawberry.field(description="Which revision.")
    from_at: strawberry.Maybe[datetime] = strawberry.field(
        name="from", description="From when on; left out: now. Never in the past."
    )
    until_at: strawberry.Maybe[datetime] = strawberry.field(
        name="until", description="Until when, exclusive; left out: without an end."
    )


@strawberry.input(description="A draft that is to judge in shadow, or no more.")
class ShadowRuleInput:
    """Safe to send again."""

    partner: str = strawberry.field(description="The code of the partner whose rule it is.")
    code: str = strawberry.field(description="The rule's code.")
    revision: int = strawberry.field(description="Which revision; it was never in force.")
    on: bool = strawberry.field(
        description="Whether it judges there, in place of the rule in force and of other drafts "
        "of it."
    )


@strawberry.input(description="A rule to end.")
class EndRuleInput:
    """Its revision in force, or the one that is to be."""

    partner: str = strawberry.field(description="The code of the partner whose rule it is.")
    code: str = strawberry.field(description="The rule's code.")
    at: strawberry.Maybe[datetime] = strawberry.field(
        description="When; left out: now. Never in the past."
    )


@strawberry.type(description="Queries on rules as data.")
class DataRuleQueries:
    """For whoever writes them."""

    @answer(
        "A partner's data rules with their revisions, by code, the latest first.",
        extensions=allow(partner="rules:read", admin=STAFF),
    )
    async def data_rules(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
        code: Annotated[
            str | None, strawberry.argument(description="Only the rule of this code.")
        ] = None,
    ) -> list[DataRule]:
        terms = partner_for(info.context, partner)
        if code is not None:
            check_text(code, "code", 64)
        rows = await store.of_partner(terms.id, code, MOST_LISTED)
        return [DataRule.of(row, info.context.instant) for row in rows]

    @answer(
        "What a rule's condition may name.", extensions=allow(partner="rules:read", admin=STAFF)
    )
    def rule_facts(self) -> list[RuleFact]:
        return [RuleFact(name=name, description=told) for name, told in FACTS.items()]


async def _watch(context: Context, partner: PartnerTerms, code: str) -> None:
    """Record a rule's newest revisions before and after an act. Raises BadInput for no code."""
    check_text(code, "code", 64)

    async def look() -> dict[str, Any]:
        rows = await store.of_partner(partner.id, code, _MOST_WATCHED)
        return {str(row.revision): row._asdict() for row in rows}

    await watch(context, f"rule {partner.code}/{code}"[:200], look)


@strawberry.type(description="Commands on rules as data.")
class DataRuleMutations:
    """Safe to send again."""

    @change(
        "Save a data rule; it judges nothing before it is activated. See quotePurchase's draft.",
        extensions=allow_change(partner="rules:write", admin=MANAGERS),
    )
    async def save_rule(
        self,
        info: Info,
        input: Annotated[SaveRuleInput, strawberry.argument(description="What, whose.")],
    ) -> SaveResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        caller, now = context.viewer.caller, context.instant
        definition = _checked(partner, input.rule, now)
        await _watch(context, partner, definition.code)
        return DataRuleChanged.of(info, await engine.save(partner, definition, caller, now))

    @change(
        "Put a revision in force; the one before it ends there. Every server hears of it.",
        extensions=allow_change(partner="rules:write", admin=MANAGERS),
    )
    async def activate_rule(
        self,
        info: Info,
        input: Annotated[ActivateRuleInput, strawberry.argument(description="Which, when.")],
    ) -> ForceResult | None:
        context = info.context
        await _watch(context, partner_for(context, input.partner), input.code)
        done = await engine.activate(
            context.engine, input.partner, input.code, input.revision, context.instant,
            from_at=None if input.from_at is None else input.from_at.value,
            until_at=None if input.until_at is None else input.until_at.value,
        )  # fmt: skip
        return DataRuleChanged.of(info, done)

    @change(
        "Let a draft judge in shadow: every new purchase is judged by it too, and nothing of that "
        "is booked. See Partner.shadow.",
        extensions=allow_change(partner="rules:write", admin=MANAGERS),
    )
    async def shadow_rule(
        self,
        info: Info,
        input: Annotated[ShadowRuleInput, strawberry.argument(description="Which.")],
    ) -> ForceResult | None:
        context = info.context
        await _watch(context, partner_for(context, input.partner), input.code)
        done = await engine.shadow(
            context.engine, input.partner, input.code, input.revision, context.instant, on=input.on
        )
        return DataRuleChanged.of(info, done)

    @change(
        "End a data rule; what happened before keeps it.",
        extensions=allow_change(partner="rules:write", admin=MANAGERS),
    )
    async def end_rule(
        self,
        info: Info,
        input: Annotated[EndRuleInput, strawberry.argument(description="Which, when.")],
    ) -> ForceResult | None:
        context = info.context
        await _watch(context, partner_for(context, input.partner), input.code)
        done = await engine.end(
            context.engine, input.partner, input.code, context.instant,
            at=None if input.at is None else input.at.value,
        )  # fmt: skip
        return DataRuleChanged.of(info, done)
