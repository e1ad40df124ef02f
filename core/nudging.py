"""What a little more on a cart would bring: points, the next tier, a reward within reach.

Each nudge was judged on that cart with that much more, so that none promises what the purchase
wouldn't keep. Reads only. What thresholds are is `laurels.nudging`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.eligibility import eligibility
from core.errors import PartnerRuleFailed
from core.events import EventKind
from core.outcomes import Recorded
from core.posting import Engine
from core.purchases import Incoming
from core.rulebook import CurrencyTerms, PartnerTerms
from core.standings import standings
from laurels.declarations import MeasureKind
from laurels.evaluation import Evaluation
from laurels.lasting import held_back
from laurels.money import Money
from laurels.nudging import Judge, least_more, nudges
from laurels.purchase import Purchase

#: A cart is of now: of other times nobody's tier and balance are known.
_NOW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Nudge:
    """With `missing` more there are `points` more, and what these `reach`: a tier, a reward."""

    missing: Money
    currency: CurrencyTerms
    points: int
    reach: str = ""

    @property
    def text(self) -> str:
        """As a member reads it."""
        told = f"Spend {self.missing} more for {self.points} {self.currency.name}"
        return f"{told}, which {self.reach}." if self.reach else f"{told}."


@dataclass(frozen=True, slots=True)
class _Cart:
    engine: Engine
    partner: PartnerTerms
    purchase: Purchase
    holder: int
    now: Evaluation
    judge: Judge = field(compare=False)
    at: datetime = field(compare=False)


async def nudges_of(
    engine: Engine, item: Incoming, outcome: Recorded, now: datetime
) -> list[Nudge]:
    """Of a quoted purchase, at most five: three by thresholds, a tier, a reward."""
    if outcome.evaluation is None or outcome.facts is None or item.kind is not EventKind.PURCHASE:
        return []
    purchase = item.purchase
    partner = item.partner.at(purchase.occurred_at).on(purchase.trigger)
    cart = _Cart(
        engine, partner, purchase, outcome.holder, outcome.evaluation,
        _judge(engine, partner, outcome), now,
    )  # fmt: skip
    found = [
        Nudge(x.missing, partner.issues[x.currency], x.points)
        for x in nudges(partner.rules, purchase, cart.now, cart.judge)
    ]
    if abs(purchase.occurred_at - now) <= _NOW and not item.supposed:
        reached = {move.ladder for move in outcome.moves}
        found += await _tier(cart, reached)
        found += await _reward(cart)
    return found


def _judge(engine: Engine, partner: PartnerTerms, outcome: Recorded) -> Judge:
    """Judges a cart on what was known of the member; by rules that fail it gets nothing."""
    facts = outcome.facts
    assert facts is not None
    known: dict[int, Evaluation] = {}

    def judge(purchase: Purchase) -> Evaluation:
        total = purchase.total_minor
        if total not in known:
            try:
                known[total] = engine.containment.judge(partner, purchase, facts, tentative=True)
            except PartnerRuleFailed:
                known[total] = Evaluation((), ())
        return known[total]

    return judge


async def _tier(cart: _Cart, reached: set[int]) -> list[Nudge]:
    """The next tier of a ladder that points of the partner's count on, if it is that near."""
    found: list[Nudge] = []
    own = {ladder.id for ladder in cart.engine.rulebook.ladders_of(cart.partner)}
    for status in (await standings(cart.engine, [cart.holder], cart.at))[cart.holder]:
        ladder = status.ladder.ladder
        measure, missing = ladder.measure, status.missing_to_next
        if missing is None or status.next_rank is None or status.ladder.id not in own:
            continue
        if measure.kind is MeasureKind.EARNED and status.ladder.id not in reached:
            name = ladder.tiers[status.next_rank].name
            found += _least(cart, measure.unit, missing, f"reach {name}")
    return _nearest(found)


async def _reward(cart: _Cart) -> list[Nudge]:
    """The nearest reward that points alone keep the member from, if it is that near."""
    found: list[Nudge] = []
    chances = (await eligibility(cart.engine, [cart.holder], cart.at)).items()
    rewards = {reward.id: reward.reward for reward in cart.partner.rewards.values()}
    for (_, number), chance in chances:
        reward = rewards.get(number)
        if reward is None or chance.can or len(chance.reasons) != len(chance.missing):
            continue
        for code, missing in chance.missing.items():
            if _at_once(cart.partner, code):
                found += _least(cart, code, missing, f"suffice for '{reward.title}'")
    return _nearest(found)


def _least(cart: _Cart, code: str, missing: int, reach: str) -> list[Nudge]:
    missing -= cart.now.points(code)
    if missing <= 0 or code not in cart.partner.issues:
        return []
    found = least_more(cart.purchase, cart.now, cart.judge, code, missing)
    if found is None:
        return []
    return [Nudge(found.missing, cart.partner.issues[code], found.points, reach)]


def _nearest(found: list[Nudge]) -> list[Nudge]:
    return sorted(found, key=lambda nudge: nudge.missing.minor)[:1]


def _at_once(partner: PartnerTerms, code: str) -> bool:
    """Whether what is earned of a currency here can be spent at once."""
    terms = partner.issues.get(code)
    if terms is None or terms.policy.pending is not None:
        return False
    return all(held_back(rule) is None for rule in partner.rules)
