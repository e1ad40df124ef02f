"""Why a rule gave nothing for a purchase, condition by condition, or what it gave.

By the facts that were stored when the purchase was judged, never by what the member has done since.
Knows nothing of who may read the purchase.
"""

from __future__ import annotations

from collections.abc import Sequence

import strawberry

from core.data_rules import DataRule
from core.events import EventKind
from core.receipts import Story
from core.rulebook import PartnerTerms, RuleTerms
from laurels.based import basis_of_rule
from laurels.lasting import unwrapped
from schema.context import Info
from schema.scalars import BigInt


@strawberry.type(description="One of the parts that a rule's condition joins by `&&`.")
class RuleCondition:
    """All of them must hold."""

    text: str = strawberry.field(description="As the rule says it.")
    held: bool | None = strawberry.field(
        description="Whether it held; null: it couldn't be judged, `facts` says why."
    )
    facts: str = strawberry.field(description="What it was judged by, such as: local.hour is 9.")


@strawberry.type(description="What a rule made of a purchase, and by what.")
class WhyNot:
    """A data rule is told part by part; a plugin's only in its own words."""

    code: str = strawberry.field(description="The rule's code.")
    title: str = strawberry.field(description="What it gives, in words for members.")
    points: BigInt = strawberry.field(description="What it gave; 0 for nothing.")
    because: str = strawberry.field(
        description="Why no points, in a member's words; empty where it gave some."
    )
    conditions: list[RuleCondition] = strawberry.field(
        description="The parts of its condition; empty for members, and for a plugin's rule."
    )
    lines: list[int] = strawberry.field(
        description="The lines that count by its condition on lines; empty where it has none."
    )


async def why_not(info: Info, story: Story, code: str) -> WhyNot | None:
    """By the last revision of the purchase."""
    bought = story.bought
    partner = info.context.engine.rulebook.partner_by_id(bought.partner)
    terms = None if partner is None else _rule(partner, story, code)
    if partner is None or terms is None:
        return None
    in_force = terms.in_force(bought.occurred_at)
    points, because = await _said(info, story, code)
    if not points and not because:
        because = "it didn't judge this purchase" if in_force else "it wasn't in force then"
    told = WhyNot(
        code=code, title=terms.rule.title, points=BigInt(points), because=because, conditions=[],
        lines=[],
    )  # fmt: skip
    rule = unwrapped(terms.rule)
    if isinstance(rule, DataRule) and in_force and info.context.viewer.role != "member":
        receipt = bought.receipt(partner)
        if (basis := basis_of_rule(terms.rule)) is not None:
            receipt = basis.view(receipt)
        parts, chosen = rule.judged(receipt, bought.facts())
        told.conditions = [RuleCondition(text=p.text, held=p.held, facts=p.actual) for p in parts]
        told.lines = [n for n, counts in enumerate(chosen, 1) if counts]
    return told


def _rule(partner: PartnerTerms, story: Story, code: str) -> RuleTerms | None:
    """The rule that was in force at the purchase, else the latest one of this code."""
    alike = [r for r in partner.earn if r.rule.code == code]
    then = [r for r in alike if r.in_force(story.bought.occurred_at)]
    return next(reversed(then or alike), None)


async def _said(info: Info, story: Story, code: str) -> tuple[int, str]:
    """What the stored decision has of a rule: its points, or why it gave none."""
    given = [(g.rule, g.points) for g in story.bought.given]
    judged = story.of(EventKind.PURCHASE, EventKind.EDIT)[-1]
    refused: Sequence[tuple[int, str]] = judged.content.get("n", ())
    issued = [(row[0], row[1], row[2]) for row in judged.content.get("i", ())]
    numbers = [row[0] for row in (*given, *refused, *issued)]
    records = await info.context.loaders.rule.load_many(numbers)
    codes = {r.id: r.code for r in records if r is not None}
    points = sum(n for rule, n in given if codes.get(rule) == code)
    reasons = [why for rule, why in refused if codes.get(rule) == code]
    reasons += [f"it issued {n} of {what}" for rule, what, n in issued if codes.get(rule) == code]
    return points, "" if points else next(iter(reasons), "")
