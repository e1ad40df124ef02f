"""Purchases: a batch recorded with an answer for each item, and one quoted, nothing booked.

Idempotent by the natural key alone: a till may send a batch again. Knows nothing of how a rule
judges or a posting is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from core.errors import BadInput, Refusal, UnknownReference
from core.nudging import nudges_of
from core.outcomes import Outcome, Recorded
from core.purchases import Incoming, PurchaseInput, check_purchase
from core.rule_changes import checked, draft_of
from core.rulebook import PartnerTerms
from laurels.activities import Activity
from laurels.evaluation import Evaluation, Granted
from laurels.explain import tell_award
from laurels.purchase import Purchase
from schema.access import SERVICE, STAFF, allow, allow_change, partner_for
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    PartnerRuleFailedError,
    UnknownReferenceError,
    as_error,
)
from schema.explanations import ExplainedRule, Explanation, award_explained
from schema.fields import answer, change
from schema.inputs import MemberIdentifier, identifier
from schema.issued import IssuedReward
from schema.ladders import TierChange
from schema.nudges import Nudge
from schema.partners import Currency
from schema.postings import Posted, note_entries
from schema.receipt_lines import PurchaseLineInput, lines_of
from schema.rule_inputs import DataRuleInput, said_by
from schema.scalars import BigInt

MOST_PURCHASES = 1000


@strawberry.input(description="A purchase, as the till sends it.")
class PurchasesItemInput:
    """Its natural key is the partner with `externalId`."""

    external_id: str = strawberry.field(description="The partner's own number of the receipt.")
    member: MemberIdentifier = strawberry.field(description="By what the till knows the member.")
    occurred_at: datetime = strawberry.field(description="When it happened, with its zone.")
    currency: str = strawberry.field(description="The ISO 4217 code of the receipt's money.")
    lines: list[PurchaseLineInput] = strawberry.field(description="The lines, at least one.")
    store: str = strawberry.field(description="The shop; may be empty.", default="")
    tender: str = strawberry.field(
        description="How it was paid, in one word of the partner's: `card`, `cash`, `stored-value` "
        "for its preloaded card; may be empty.",
        default="",
    )
    points_paid: strawberry.Maybe[str] = strawberry.field(
        description="What of it all points paid, in money: it falls on the lines that don't say "
        "their own, by their amounts."
    )


@strawberry.input(description="A batch of purchases of one partner.")
class RecordPurchasesInput:
    """Each item stands for itself."""

    partner: str = strawberry.field(description="The code of the partner that sold.")
    purchases: list[PurchasesItemInput] = strawberry.field(
        description=f"The purchases, at most {MOST_PURCHASES}."
    )


@strawberry.input(description="A tier to suppose that the member holds.")
class SupposedTierInput:
    """For a quote."""

    ladder: str = strawberry.field(description="The ladder's code.")
    tier: str = strawberry.field(description="The tier's code.")


@strawberry.type(description="The purchase stands in the books.")
class PurchaseRecorded(Posted):
    """Now, or since before."""

    external_id: str = strawberry.field(description="The partner's own number of the receipt.")
    event: strawberry.Private[int]

    @answer("The rewards that rules issued for it, taken at once for the member's points.")
    async def issued(self, info: Info) -> list[IssuedReward]:
        return await IssuedReward.of_event(info, self.holder, self.event)


@strawberry.type(description="A reward that a rule would issue.")
class QuotedReward:
    """Where the points suffice then, and one is left."""

    reward: str = strawberry.field(description="The reward's code.")
    quantity: int = strawberry.field(description="How many pieces.")
    rule: str = strawberry.field(description="The rule's code.")


@strawberry.type(description="What a purchase would earn by one rule.")
class QuotedAward:
    """Nothing of it is booked."""

    amount: BigInt = strawberry.field(description="The points.")
    currency: Currency = strawberry.field(description="The unit.")
    explanation: Explanation = strawberry.field(description="Why.")


@strawberry.type(description="What a purchase would earn, were it recorded.")
class PurchaseQuoted:
    """Nothing of it is booked."""

    external_id: str = strawberry.field(description="The partner's own number of the receipt.")
    recorded: bool = strawberry.field(
        description="Whether it stands in the books already; then nothing more would come."
    )
    awards: list[QuotedAward] = strawberry.field(description="What it would earn.")
    rules: list[ExplainedRule] = strawberry.field(
        description="All rules that judged it, also those that would give nothing."
    )
    tier_changes: list[TierChange] = strawberry.field(description="The tiers it would change.")
    issued: list[QuotedReward] = strawberry.field(description="The rewards that it would issue.")
    item: strawberry.Private[Incoming]
    outcome: strawberry.Private[Recorded]

    @answer(
        "What a little more of the same would bring: each was judged on this cart with that much "
        "more. At most five: the best three, the next tier and a reward within reach."
    )
    async def nudges(self, info: Info) -> list[Nudge]:
        context = info.context
        found = await nudges_of(context.engine, self.item, self.outcome, context.instant)
        return [Nudge.of(nudge) for nudge in found]


PurchaseResult = Annotated[
    PurchaseRecorded
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | PartnerRuleFailedError,
    strawberry.union("PurchaseResult", description="What became of one purchase of a batch."),
]
QuoteResult = Annotated[
    PurchaseQuoted
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | PartnerRuleFailedError,
    strawberry.union("QuoteResult", description="What a purchase would earn, or why nothing."),
]
_Failed: TypeAlias = (
    BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | PartnerRuleFailedError
)


@strawberry.type(description="A batch of purchases was worked through.")
class RecordPurchasesPayload:
    """Items that failed may be sent again, with the rest or alone."""

    results: list[PurchaseResult] = strawberry.field(
        description="An answer for each purchase, in the order of the input."
    )


def _checked(context: Context, partner: str, item: PurchasesItemInput) -> Incoming | Refusal:
    """The purchase, checked field by field, or what is wrong with it."""
    try:
        terms = partner_for(context, partner)
        member = identifier(item.member, terms.id)
        given = PurchaseInput(
            item.external_id, member, item.occurred_at, item.currency, lines_of(item.lines),
            item.store, None if item.points_paid is None else item.points_paid.value,
            item.tender,
        )  # fmt: skip
        return check_purchase(terms, given)
    except Refusal as refusal:
        return refusal


def tried(item: Incoming | Refusal, draft: DataRuleInput | None) -> Incoming | Refusal:
    """To be judged by the rules of its time, and by the draft, if there is one."""
    if isinstance(item, Refusal):
        return item
    at, trigger = item.purchase.occurred_at, item.purchase.trigger
    if draft is None:
        return replace(item, partner=item.partner.at(at).on(trigger))
    try:
        definition = checked(item.partner, said_by(draft), at)
    except Refusal as refusal:
        return refusal.under("draft")
    return replace(item, partner=draft_of(item.partner, definition, at).on(trigger))


def _supposed(
    context: Context, item: Incoming | Refusal, tiers: Sequence[SupposedTierInput]
) -> Incoming | Refusal:
    """To be judged as if the member held these tiers."""
    if isinstance(item, Refusal) or not tiers:
        return item
    ladders = {
        x.ladder.code: {tier.code for tier in x.ladder.tiers}
        for x in context.engine.rulebook.ladders_of(item.partner)
    }
    for n, given in enumerate(tiers):
        if given.ladder not in ladders:
            return UnknownReference(
                f"'{item.partner.code}' sees no ladder '{given.ladder[:64]}'", "tiers", n, "ladder"
            )
        if given.tier not in ladders[given.ladder]:
            return UnknownReference(
                f"the ladder has no tier '{given.tier[:64]}'", "tiers", n, "tier"
            )
    return replace(item, supposed={x.ladder: x.tier for x in tiers})


def recording_failed(refusal: Refusal, *prefix: str | int) -> _Failed:
    """The union's member for a refusal."""
    error = as_error(refusal.under(*prefix))
    assert isinstance(error, _Failed)
    return error


def _rules(partner: PartnerTerms, evaluation: Evaluation) -> list[ExplainedRule]:
    """All rules that judged. A quote is made by the rules in force, which have no past to tell."""
    given = [_rule(partner, g.rule, g.points, g.because) for g in evaluation.granted]
    return given + [_rule(partner, r.rule, 0, r.because) for r in evaluation.refused]


def _rule(partner: PartnerTerms, place: int, points: int, because: str) -> ExplainedRule:
    terms = partner.earn[place]
    return ExplainedRule(
        code=terms.rule.code, title=terms.rule.title, version=0, plugin_version="",
        points=BigInt(points), because=because,
    )  # fmt: skip


def _award(partner: PartnerTerms, purchase: Purchase, granted: Granted) -> QuotedAward:
    rule = partner.rules[granted.rule]
    currency = partner.issues[granted.currency]
    told = tell_award(
        rule.title, rule.terms, currency.name, purchase.currency, purchase.lines, granted.lines,
        base=granted.base, wanted=granted.wanted, because=granted.because, cut=granted.cut,
    )  # fmt: skip
    if isinstance(purchase, Activity):  # there are no lines to tell
        told = replace(told, lines=())
    explained = _rule(partner, granted.rule, granted.points, granted.because)
    return QuotedAward(
        amount=BigInt(granted.points),
        currency=Currency.of(currency),
        explanation=award_explained(told, explained, []),
    )


def _quoted(context: Context, item: Incoming, outcome: Recorded) -> PurchaseQuoted:
    ladders = context.engine.rulebook.ladders
    evaluation = outcome.evaluation
    purchase, partner = item.purchase, item.partner
    awards = () if evaluation is None else evaluation.granted
    return PurchaseQuoted(
        external_id=purchase.external_id,
        recorded=outcome.replayed,
        awards=[_award(partner, purchase, g) for g in awards],
        rules=[] if evaluation is None else _rules(partner, evaluation),
        tier_changes=[
            TierChange.of(ladders[m.ladder], m.at, m.before, m.after) for m in outcome.moves
        ],
        issued=[
            QuotedReward(reward=x.reward, quantity=x.quantity, rule=partner.rules[x.rule].code)
            for x in (() if evaluation is None else evaluation.issued)
        ],
        item=item,
        outcome=outcome,
    )


def _results(
    context: Context, items: Sequence[Incoming | Refusal], outcomes: Sequence[Outcome]
) -> list[PurchaseResult]:
    """Answers in the order of the input: what the engine never saw, what it made of the rest."""
    rest = iter(outcomes)
    results: list[PurchaseResult] = []
    for n, item in enumerate(items):
        outcome = item if isinstance(item, Refusal) else next(rest)
        if isinstance(outcome, Refusal):
            results.append(recording_failed(outcome, "purchases", n))
        elif isinstance(item, Incoming):
            note_entries(context, outcome)
            results.append(
                PurchaseRecorded(
                    external_id=item.purchase.external_id, replayed=outcome.replayed,
                    booked_at=outcome.booked_at, holder=outcome.holder, event=outcome.event,
                )
            )  # fmt: skip
    return results


async def quoted(context: Context, item: Incoming | Refusal) -> QuoteResult:
    """What it would earn, or why it can't."""
    if isinstance(item, Refusal):
        return recording_failed(item)
    [outcome] = await context.engine.quote([item], context.instant)
    if isinstance(outcome, Refusal):
        return recording_failed(outcome)
    return _quoted(context, item, outcome)


@strawberry.type(description="Queries on purchases.")
class PurchaseQueries:
    """Root fields."""

    @answer(
        "What a purchase would earn: the same code as recording it, and nothing is booked. One "
        "that lies ahead is judged by what will be in force then.",
        extensions=allow(partner="purchases:read", admin=STAFF),
    )
    async def quote_purchase(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The code of the partner.")],
        purchase: Annotated[
            PurchasesItemInput, strawberry.argument(description="The purchase to quote.")
        ],
        draft: Annotated[
            DataRuleInput | None,
            strawberry.argument(
                description="A data rule to try, saved or not, in place of one of its code."
            ),
        ] = None,
        tiers: Annotated[
            list[SupposedTierInput] | None,
            strawberry.argument(description="Tiers to suppose instead of those that are held."),
        ] = None,
    ) -> QuoteResult:
        context = info.context
        item = tried(_checked(context, partner, purchase), draft)
        item = _supposed(context, item, tiers or ())
        return await quoted(context, item)


@strawberry.type(description="Commands on purchases.")
class PurchaseMutations:
    """Root fields."""

    @change(
        "Record purchases, with an answer for each. Safe to send again.",
        extensions=allow_change(partner="purchases:write", admin=SERVICE),
    )
    async def record_purchases(
        self,
        info: Info,
        input: Annotated[RecordPurchasesInput, strawberry.argument(description="The batch.")],
    ) -> RecordPurchasesPayload | None:
        context = info.context
        if len(input.purchases) > MOST_PURCHASES:
            raise BadInput(f"a batch has at most {MOST_PURCHASES} purchases", "purchases")
        items = [_checked(context, input.partner, given) for given in input.purchases]
        good = [item for item in items if isinstance(item, Incoming)]
        outcomes = await context.engine.tills.record(good, context.instant)
        return RecordPurchasesPayload(results=_results(context, items, outcomes))
