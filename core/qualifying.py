"""What a purchase or a return counts for on each ladder, and where that leaves the member.

Folds into a batch in memory, as `core.folding` does: it knows no connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.ledger import Cause
from core.rulebook import LadderTerms, PartnerTerms
from core.store import posting as store
from core.tiers import Standing, TierMove, lapses
from laurels.declarations import MeasureKind
from laurels.evaluator import Evaluation
from laurels.purchase import Purchase

if TYPE_CHECKING:
    from core.folding import Batch


def qualify(
    batch: Batch,
    partner: PartnerTerms,
    purchase: Purchase,
    evaluation: Evaluation,
    cause: Cause,
    holder: int,
    ranks: Mapping[int, int],
) -> tuple[TierMove, ...]:
    """Count a purchase on every ladder that it qualifies for; returns the changes of rank.

    `ranks` are those that its rules were told, held at its instant before it counts.
    """
    moves: list[TierMove] = []
    for ladder in batch.rulebook.ladders.values():
        amount = _qualifying(ladder, partner, purchase, evaluation)
        if amount:
            batch.writes.qualified.append(
                (holder, ladder.id, cause.occurred_at, cause.event, amount)
            )
            standing = batch.standing(holder, ladder)
            moves.extend(_climb(batch, standing, cause, amount, ranks.get(ladder.id)))
    return tuple(moves)


def _qualifying(
    ladder: LadderTerms, partner: PartnerTerms, purchase: Purchase, evaluation: Evaluation
) -> int:
    measure = ladder.measure
    if measure.kind is MeasureKind.EARNED:
        return evaluation.points(measure.unit)
    if ladder.owner not in (None, partner.id):
        return 0
    if measure.kind is MeasureKind.VISITS:
        return 1
    return purchase.total_minor if measure.unit == purchase.currency else 0


def _climb(
    batch: Batch, standing: Standing, cause: Cause, amount: int, held: int | None
) -> list[TierMove]:
    """Count an amount; a lapsed rank is noted as reviewed, then the climb is announced.

    `held` is the rank at that instant before the amount counts, where it is known already.
    """
    at = cause.occurred_at
    moves: list[TierMove] = []
    if held is None:
        held = standing.rank_at(at)
    if held < standing.rank:
        moves = lapses(standing, at)
        if moves:
            standing.rank, standing.since = moves[-1].after, moves[-1].at
    standing.advance(at)
    standing.add(at, amount)
    latest = standing.measured_at or at
    if latest == at and amount > 0:
        # Nothing before `at` changed: the highest measure since the review was it, or is this one.
        rank = max(held, standing.ladder.rank(standing.value))
    else:
        rank = standing.rank_at(latest)
    if rank > standing.rank:
        moves.append(TierMove(standing.ladder.id, latest, standing.rank, rank))
        standing.rank, standing.since = rank, latest
    batch.writes.tier_changes.extend(
        store.TierChangeRow(
            standing.holder, m.ladder, cause.booked_at, m.at, m.before, m.after, cause.event
        )
        for m in moves
    )
    return moves
