"""Whether a member can have a reward now: what is missing, exactly, and why not, in words.

Reads only, a fixed number of statements for any number of members. The redemption itself checks
again, under the holder's lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.errors import BadInput
from core.posting import Engine
from core.rulebook import PartnerTerms, RewardTerms, Rulebook
from core.standings import standings
from core.store import reads
from core.store import redemptions as store
from laurels.durations import Duration


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether a member can have a reward now, and what exactly is missing."""

    can: bool
    missing: Mapping[str, int]
    reasons: tuple[str, ...]


async def eligibility(
    engine: Engine, holders: Sequence[int], now: datetime
) -> dict[tuple[int, int], Eligibility]:
    """For each holder and reward on offer: can it be had, what is missing, why not."""
    codes = {c.id: c.code for c in engine.rulebook.currencies.values()}
    spendable: dict[int, dict[str, int]] = {h: {} for h in holders}
    rows = await reads.balances(holders, now)
    # What is held beyond its time can be spent, and less what is owed.
    held = [row[0] for row in rows if row[4]]
    free = {(h, c): n for h, c, n in await store.free_by_now(held, now)} if held else {}
    for holder, currency, active, _, _, arrears in rows:
        if currency in codes:
            more = max(0, free.get((holder, currency), 0) - arrears)
            spendable[holder][codes[currency]] = active + more
    status = await standings(engine, holders, now)
    offered = [(p, r) for p in engine.rulebook.partners.values() for r in p.rewards.values()]
    stock = await store.stock_left([r.id for _, r in offered if r.reward.limited])
    told: dict[tuple[int, int], Eligibility] = {}
    for holder in holders:
        ranks = {s.ladder.id: s.rank for s in status[holder]}
        for partner, reward in offered:
            told[holder, reward.id] = _judge(
                engine, partner, reward, spendable[holder], ranks, stock
            )
    return told


def _judge(
    engine: Engine,
    partner: PartnerTerms,
    reward: RewardTerms,
    spendable: Mapping[str, int],
    ranks: Mapping[int, int],
    stock: Mapping[int, int],
) -> Eligibility:
    reasons: list[str] = []
    prices = {c: p for c, p in reward.reward.prices.items() if c in partner.accepts}
    short = {c: max(0, p - spendable.get(c, 0)) for c, p in prices.items()}
    if not prices:
        reasons.append(f"{partner.name} accepts none of the currencies that it costs")
    elif all(short.values()):
        reasons += [f"{n} more {partner.accepts[c].name} needed" for c, n in short.items()]
    needed = needed_rank(engine.rulebook, reward)
    if needed is not None and ranks.get(needed[0], 0) < needed[1]:
        reasons.append(f"for tier {needed[2]} and above")
    if reward.reward.limited and not stock.get(reward.id, 0):
        reasons.append("out of stock")
    return Eligibility(not reasons, {c: n for c, n in short.items() if n}, tuple(reasons))


def needed_rank(rulebook: Rulebook, reward: RewardTerms) -> tuple[int, int, str] | None:
    """(ladder, place, tier's name) that a tier-restricted reward asks for."""
    if reward.reward.tier is None:
        return None
    return rank_needed(rulebook, *reward.reward.tier)


def rank_needed(rulebook: Rulebook, code: str, wanted: str) -> tuple[int, int, str]:
    """(ladder, place, tier's name) of a tier by its codes."""
    for terms in rulebook.ladders.values():
        for place, tier in enumerate(terms.ladder.tiers):
            if (terms.ladder.code, tier.code) == (code, wanted):
                return terms.id, place, tier.name
    # A ladder that is gone restricts to nobody: nothing is given away by mistake.
    return 0, 10**6, wanted


def hold_of(reward: RewardTerms, wanted: Duration | None) -> Duration | None:
    """How long a reward's points are held; of what a person hands out, as long as it says.

    Raises BadInput where another time is wanted.
    """
    if reward.reward.fulfilled is None:
        return wanted
    if wanted is not None:
        raise BadInput("it is handed out by a person, and held until then", "hold")
    return Duration.parse(reward.reward.fulfilled)
