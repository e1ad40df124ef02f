"""Why an entry is in a ledger, in words a member understands, with the figures behind them.

Reads the stored decision, the stored version of the rule and the stored receipt, never a live rule:
so the words stay right after a rule has changed. Knows nothing of who may ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import strawberry

from core.entries import Kind, Transfer
from laurels.activities import ACTIVITY_LINES, NO_MONEY
from laurels.explain import Told, tell_award
from schema.context import Info
from schema.loaders import Receipt, RuleRecord
from schema.money import Money
from schema.movements import came_back, content_of, origins_of, told
from schema.partners import currency_of, partner_of
from schema.scalars import BigInt


@strawberry.type(description="A line of the receipt and what it earned by one rule.")
class ExplainedLine:
    """In the receipt's order."""

    number: int = strawberry.field(description="The line's place on the receipt, from 1.")
    product_type: str = strawberry.field(description="The type of product.")
    amount: Money = strawberry.field(description="What of the line counted.")
    rate: str | None = strawberry.field(description="The rate of its type; null without rates.")
    points: BigInt = strawberry.field(description="What the line earned.")


@strawberry.type(description="A rule that looked at the purchase, and what it gave.")
class ExplainedRule:
    """Rules that gave nothing too, with their first failing condition."""

    code: str = strawberry.field(description="The rule's code.")
    title: str = strawberry.field(description="What the rule gives, as it said then.")
    version: int = strawberry.field(description="The stored version that judged.")
    plugin_version: str = strawberry.field(description="The version of the partner's plugin.")
    points: BigInt = strawberry.field(description="What it gave; 0 for nothing.")
    because: str = strawberry.field(description="Why, in the rule's own words; may be empty.")


@strawberry.type(description="Why an entry is there.")
class Explanation:
    """`text` alone suffices a member; the rest is for whoever checks it."""

    text: str = strawberry.field(description="The whole, as a sentence.")
    rule: ExplainedRule | None = strawberry.field(
        default=None, description="The rule that gave these points; null where none did."
    )
    lines: list[ExplainedLine] = strawberry.field(
        default_factory=list, description="The receipt line by line; empty where none earned."
    )
    rate: str | None = strawberry.field(default=None, description="The rule's rate, in words.")
    rounding: str | None = strawberry.field(default=None, description="How it rounds, in words.")
    caps: list[str] = strawberry.field(
        default_factory=list, description="What a cap cut, in words."
    )
    rules: list[ExplainedRule] = strawberry.field(
        default_factory=list, description="All rules that judged the purchase."
    )


def award_explained(told: Told, rule: ExplainedRule, rules: Sequence[ExplainedRule]) -> Explanation:
    """An award, told by the SDK's own words."""
    return Explanation(
        text=told.text,
        rule=rule,
        lines=[
            ExplainedLine(
                number=line.number, product_type=line.product_type, amount=Money.of(line.amount),
                rate=line.rate, points=BigInt(line.points),
            )
            for line in told.lines
        ],
        rate=told.rate,
        rounding=told.rounding,
        caps=list(told.caps),
        rules=list(rules),
    )  # fmt: skip


async def explain(info: Info, entry: Transfer) -> Explanation:
    """The explanation of one entry."""
    if entry.kind == Kind.ACCRUAL and entry.rule is not None:
        return await _accrual(info, entry)
    return Explanation(text=await told(info, entry))


async def may_be_told(info: Info, entry: Transfer) -> bool:
    """Whether the viewer may know why: a partner of its own business only.

    What time did to points is the business of the partner that issued them, whoever's event it
    was booked with.
    """
    if info.context.viewer.role != "partner":
        return True
    own = info.context.partner
    if own is None:
        return False
    if entry.kind in _BY_TIME:
        return all(origin.partner == own.id for origin in await origins_of(info, entry))
    return entry.partner == own.id


_BY_TIME = (Kind.EXPIRY, Kind.ACTIVATION, Kind.LAPSE)


async def _accrual(info: Info, entry: Transfer) -> Explanation:
    content = await content_of(info, entry)
    given, refused = content["g"], content["n"]
    loaders = info.context.loaders
    records = {
        record.id: record
        for record in await loaders.rule.load_many([g[0] for g in (*given, *refused)])
        if record is not None
    }
    receipt = await loaders.receipt.load(entry.event)
    if "x" in content:
        receipt = Receipt(NO_MONEY, ACTIVITY_LINES)
    assert receipt is not None
    currency = await currency_of(info, entry.currency)
    grant = await _grant(info, entry, given)
    rules = [_rule(records[g[0]], sum(g[2]), g[5]) for g in given]
    rules += [_rule(records[rule], 0, because) for rule, because in refused]
    record = records[grant[0]]
    award = _told(record, currency.name, receipt, grant)
    if "rev" in content:
        award = await _revised(info, entry, content, award, f"{entry.amount} {currency.name}")
    if "x" in content:  # there are no lines to tell
        award = replace(award, lines=())
    return award_explained(
        award,
        _rule(record, sum(grant[2]), grant[5]),
        rules,
    )


async def _revised(
    info: Info, entry: Transfer, content: Mapping[str, Any], award: Told, amount: str
) -> Told:
    """An award that a later revision of a purchase brought: what it gave more than before."""
    story = await info.context.loaders.story.load(content["p"])
    assert story is not None
    time_zone = (await partner_of(info, story.bought.partner)).time_zone
    why = came_back(story, story.step(entry.event), time_zone)
    return replace(award, text=f"{amount} more, because {why}: {award.text}")


async def _grant(info: Info, entry: Transfer, given: Sequence[list[Any]]) -> list[Any]:
    """Which grant of the decision an accrual is: a rule may give twice in one currency."""
    alike = [g for g in given if g[0] == entry.rule and g[1] == entry.currency]
    if len(alike) == 1:
        return alike[0]
    posted = await info.context.loaders.posted.load((entry.holder, entry.booked_at))
    earlier = sum(
        1
        for t in posted
        if (t.kind, t.currency, t.rule) == (entry.kind, entry.currency, entry.rule)
        and t.seq < entry.seq
    )
    # A revision books what differs: of several alike, not each need have brought something.
    return alike[min(earlier, len(alike) - 1)]


def _rule(record: RuleRecord, points: int, because: str) -> ExplainedRule:
    return ExplainedRule(
        code=record.code, title=record.title, version=record.version,
        plugin_version=record.plugin_version, points=BigInt(points), because=because,
    )  # fmt: skip


def _told(record: RuleRecord, unit: str, receipt: Receipt, grant: Sequence[Any]) -> Told:
    _, _, points, base, wanted, because, *cut = grant
    return tell_award(
        record.title, record.terms, unit, receipt.money, receipt.lines, points,
        base=base, wanted=wanted, because=because, cut="".join(cut),
    )  # fmt: skip
