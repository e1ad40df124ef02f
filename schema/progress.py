"""How far members have come towards points of a rule that counts from receipt to receipt.

Reads what the engine carries over; knows nothing of how it came about.
"""

from __future__ import annotations

from datetime import datetime

import strawberry

from core.noted import noted_at
from core.rulebook import PartnerTerms
from core.store.caps import CarriedRow
from laurels import money
from laurels.challenges import Counts, Goal, goal_of
from laurels.collecting import collection_of
from laurels.lasting import carried_within
from laurels.purchase import Use
from laurels.rules import EarnRule
from laurels.streaks import Run
from schema.context import Info
from schema.enums import words
from schema.partners import Partner

words(
    Counts,
    "What a rule counts.",
    name="ProgressMeasure",
    PURCHASES="Purchases, or activities.",
    PERIODS="Periods of the calendar in a row.",
    UNITS="Units bought.",
    MONEY="Money spent.",
    THINGS="Distinct things of a collection.",
)


@strawberry.type(description="How far a member has come towards the next points of a rule.")
class Progress:
    """Of a challenge, or of a rule such as a star for every full 50.00. Decimals as texts."""

    partner: Partner = strawberry.field(description="Whose rule it is.")
    rule: str = strawberry.field(description="The rule's code.")
    title: str = strawberry.field(description="What it gives, in words for members.")
    counts: Counts = strawberry.field(description="What it counts.")
    current: str = strawberry.field(
        description="How much there is; below zero where something came back after points were "
        "given for it."
    )
    target: str = strawberry.field(description="How much it takes.")
    missing: str = strawberry.field(description="How much is missing.")
    missing_things: list[str] = strawberry.field(
        default_factory=list,
        description="Of a collection what isn't collected yet, by code or tag.",
    )
    currency: str | None = strawberry.field(
        description="The ISO 4217 code of the money that is counted; null: it isn't money."
    )
    until_at: datetime | None = strawberry.field(
        name="until", description="When counting begins anew; null: never."
    )


def progress(partner: PartnerTerms, row: CarriedRow, now: datetime) -> Progress | None:
    """As it stands; None where the rule is gone, or its period is over."""
    code, _, begins = row.rule.partition("@")
    rule = next((r for r in reversed(partner.rules) if r.code == code), None)
    goal = None if rule is None else goal_of(rule)
    if rule is None or goal is None:
        return None
    window, until = carried_within(rule), None
    if window is not None:
        start, until = window.period(now, partner.time_zone, now)
        if begins != start.isoformat():
            return None
    elif begins:
        return None
    return Progress(
        partner=Partner.of(partner), rule=code, title=rule.title, counts=goal.counts,
        current=_told(goal, row.carried), target=_told(goal, goal.target),
        missing=_told(goal, goal.target - row.carried), currency=goal.money, until_at=until,
    )  # fmt: skip


def _told(goal: Goal, amount: int) -> str:
    if goal.money is not None:
        return money.to_major(amount, goal.money)
    if goal.counts is Counts.PURCHASES:
        return str(amount)
    sign, (whole, rest) = "-" if amount < 0 else "", divmod(abs(amount), 1000)
    return f"{sign}{whole}.{rest:03}" if rest else f"{sign}{whole}"


async def _streaks(info: Info, holder: int) -> list[Progress]:
    """Of each streak that is alive: how many periods in a row there are."""
    own, now = info.context.partner, info.context.instant
    runs: dict[tuple[int, str], list[Use]] = {}
    for row in await info.context.loaders.runs.load(holder):
        use = Use(row.at, "", row.points, row.times)
        runs.setdefault((row.partner, row.key), []).append(use)
    found = []
    for (number, key), uses in runs.items():
        partner = info.context.engine.rulebook.partner_by_id(number)
        if partner is None or own not in (None, partner):
            continue
        for terms in partner.at(now).earn:
            if terms.run is not None and terms.run.key(terms.rule.code) == key:
                told = _streak(partner, terms.rule, terms.run, uses, now)
                found += [] if told is None else [told]
    return found


def _streak(
    partner: PartnerTerms, rule: EarnRule, run: Run, uses: list[Use], now: datetime
) -> Progress | None:
    counted, length = run.length(uses, now, partner.time_zone)
    begins, ends = run.window.period(now, partner.time_zone, now)
    if counted:
        # Rewarded in this very period, it begins anew with the next.
        rewarded = sum(use.points for use in uses if begins <= use.at < ends) > 0
        length = 0 if rewarded else length + 1
        ends = run.window.period(ends, partner.time_zone, ends)[1]
    if not length:
        return None
    return Progress(
        partner=Partner.of(partner), rule=rule.code, title=rule.title, counts=Counts.PERIODS,
        current=str(length), target=str(run.times), missing=str(run.times - length), currency=None,
        until_at=ends,
    )  # fmt: skip


async def _collections(info: Info, holder: int) -> list[Progress]:
    """Of each collection that is begun and not complete: how many things of it there are."""
    context, found = info.context, []
    for partner in context.engine.rulebook.partners.values():
        rules = [collection_of(terms.rule) for terms in partner.at(context.instant).earn]
        own = [rule for rule in rules if rule is not None]
        if not own or context.partner not in (None, partner):
            continue
        rows = [x for x in await context.loaders.noted.load(holder) if x.partner == partner.id]
        noted = noted_at(rows, context.instant)
        for rule in own:
            missing = rule.missing(noted)
            if len(missing) < len(rule.of) and not rule.complete(noted):
                had = len(rule.of) - len(missing)
                found.append(
                    Progress(
                        partner=Partner.of(partner), rule=rule.code, title=rule.title,
                        counts=Counts.THINGS, current=str(had), target=str(len(rule.of)),
                        missing=str(len(missing)), missing_things=missing, currency=None,
                        until_at=None,
                    )
                )  # fmt: skip
    return found


async def progress_of(info: Info, holder: int) -> list[Progress]:
    """A member's; a partner is told its own."""
    own, now = info.context.partner, info.context.instant
    found = await _streaks(info, holder) + await _collections(info, holder)
    for row in await info.context.loaders.carried.load(holder):
        partner = info.context.engine.rulebook.partner_by_id(row.partner)
        if partner is not None and own in (None, partner):
            told = progress(partner.at(now), row, now)
            found += [] if told is None else [told]
    return found
