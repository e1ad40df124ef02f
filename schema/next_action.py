"""The one thing to do next for a member at a partner: what is known of it, gathered and told.

What follows from it is `core.next_action`'s.
"""

from __future__ import annotations

import strawberry

from core.next_action import (
    SOON,
    Action,
    ActionKind,
    Affordable,
    Ahead,
    Dying,
    Open,
    Past,
    Said,
    next_action,
)
from core.noted import noted_at
from core.rulebook import PartnerTerms
from core.standings import TierStatus
from core.store.surveys import Asked
from laurels.declarations import Measure, MeasureKind
from laurels.effects import OFFER
from laurels.surveys import SurveyKind
from schema.context import Info
from schema.enums import words
from schema.fields import answer
from schema.loading import PurchasePage, SpanKey, SurveyPage
from schema.paging import NEWEST
from schema.scalars import BigInt

#: So many of the last purchases, and answers, are looked at.
_LAST = 20
words(
    ActionKind,
    "What to do next, the most pressing first.",
    ASK_WHY="Ask why: the member was unhappy, and nobody spoke with it since.",
    WIN_BACK="Win back: it has been away for more than twice as long as usual.",
    EXPIRING="Remind of points that expire within 30 days.",
    OFFER="Remind of an offer that is open and unused.",
    TIER="Tell that a tier is near: less than a fifth of it is missing.",
    REWARD="Tell of a reward that it can have now.",
    THANK="Thank: it was glad in the last 30 days.",
    NOTHING="Nothing presses.",
)


@strawberry.type(description="A figure that an action rests on.")
class ActionFigure:
    """As it is now."""

    name: str = strawberry.field(description="What it counts, such as `days away`.")
    value: BigInt = strawberry.field(description="The figure.")


@strawberry.type(description="The one thing to do next for a member, and why.")
class NextBestAction:
    """Of several the most pressing; worked out anew each time."""

    action: strawberry.Private[Action]

    @answer("What to do.")
    def kind(self) -> ActionKind:
        return self.action.kind

    @answer("Why, in words for staff.")
    def because(self) -> str:
        return self.action.because

    @answer("The figures that it rests on.")
    def figures(self) -> list[ActionFigure]:
        return [ActionFigure(name=name, value=BigInt(value)) for name, value in self.action.figures]


async def next_best_action(info: Info, holder: int, partner: str) -> NextBestAction | None:
    """For a member at the partner of this code, if that is the viewer's affair."""
    terms = info.context.engine.rulebook.partners.get(partner)
    if terms is None or info.context.partner not in (None, terms):
        return None
    return NextBestAction(action=next_action(await _past(info, holder, terms)))


async def _past(info: Info, holder: int, terms: PartnerTerms) -> Past:
    context, now = info.context, info.context.instant
    bought = await context.loaders.purchases.load(PurchasePage(holder, None, _LAST, terms.id))
    key = SurveyPage(holder, NEWEST, _LAST, terms.id, True)
    unhappy, glad = _said(terms, await context.loaders.surveyed.load(key))
    status = await context.loaders.tiers(now).load(holder)
    own = (None, terms.id)
    return Past(
        now, unhappy, glad, [row.occurred_at for row in bought],
        await _dying(info, holder, terms), await _offers(info, holder, terms),
        [ahead for s in status if s.ladder.owner in own and (ahead := _ahead(terms, s))],
        await _affordable(info, holder, terms),
    )  # fmt: skip


def _said(terms: PartnerTerms, asked: list[Asked]) -> tuple[Said | None, Said | None]:
    """The newest detractor's answer that nobody followed up; the newest one, of a promoter."""
    scored = sorted(
        (
            (x.answer.at, x.invitation.id, x)
            for x in asked
            if x.answer is not None and x.answer.score is not None
        ),
        reverse=True,
    )
    unhappy: Said | None = None
    glad: Said | None = None
    for place, (at, _, found) in enumerate(scored):
        given = found.answer
        assert given is not None
        assert given.score is not None
        kind, code = SurveyKind(given.kind), found.invitation.survey
        title = terms.surveys[code].title if code in terms.surveys else code
        said = Said(title, given.score, at)
        if kind.is_detractor(given.score) and given.followed_at is None and unhappy is None:
            unhappy = said
        if place == 0 and kind.is_promoter(given.score):
            glad = said
    return unhappy, glad


async def _dying(info: Info, holder: int, terms: PartnerTerms) -> list[Dying]:
    now = info.context.instant
    held = await info.context.loaders.held(now).load(holder) or {}
    known = {c.id: c for c in (*terms.issues.values(), *terms.accepts.values())}
    keys = [SpanKey(holder, c, now, now + SOON) for c in sorted(held) if c in known]
    spans = await info.context.loaders.expiring.load_many(keys)
    return [
        Dying(points, known[key.currency].name, at)
        for key, some in zip(keys, spans, strict=True)
        for at, points in some
    ]


async def _offers(info: Info, holder: int, terms: PartnerTerms) -> list[Open]:
    now = info.context.instant
    known = await info.context.loaders.noted.load(holder)
    titles = {f"{OFFER}{rule.code}": rule.title for rule in terms.at(now).rules}
    standing = noted_at([row for row in known if row.partner == terms.id], now)
    rows = [row for name, row in standing.items() if name in titles]
    keys = [(holder, terms.id, row.name.removeprefix(OFFER)) for row in rows]
    used = await info.context.loaders.last_given.load_many(keys)
    return [
        Open(titles[row.name], row.until)
        for row, last in zip(rows, used, strict=True)
        if last is None or last < row.at
    ]


def _ahead(terms: PartnerTerms, status: TierStatus) -> Ahead | None:
    place, missing = status.next_rank, status.missing_to_next
    if place is None or missing is None:
        return None
    tier = status.ladder.ladder.tiers[place]
    return Ahead(tier.name, missing, tier.at, _unit(terms, status.ladder.measure))


def _unit(terms: PartnerTerms, measure: Measure) -> str:
    match measure.kind:
        case MeasureKind.EARNED:
            known = terms.issues.get(measure.unit)
            return measure.unit if known is None else known.name
        case MeasureKind.SPEND:
            return f"minor units of {measure.unit}"
    return "visits"


async def _affordable(info: Info, holder: int, terms: PartnerTerms) -> list[Affordable]:
    loader = info.context.loaders.chances(info.context.instant)
    rewards = list(terms.rewards.values())
    chances = await loader.load_many([(holder, reward.id) for reward in rewards])
    found = []
    for reward, chance in zip(rewards, chances, strict=True):
        if chance is None or not chance.can:
            continue
        for code, points in reward.reward.prices.items():
            if code in terms.accepts and code not in chance.missing:
                found.append(Affordable(reward.reward.title, points, terms.accepts[code].name))
                break
    return found
