"""What a purchase or a return counts for on each ladder, and where that leaves the member.

Folds into a batch in memory, as `core.folding` does: it knows no connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from core.entries import Cause
from core.judging import Floor
from core.measures import Qualified
from core.rulebook import LadderTerms, PartnerTerms, Rulebook
from core.store import writes
from core.tiers import Standing, TierMove, lapses
from laurels.activities import PURCHASE
from laurels.declarations import MeasureKind
from laurels.durations import start_of
from laurels.evaluation import Evaluation
from laurels.purchase import Purchase

if TYPE_CHECKING:
    from core.folding import Batch

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Kinds of assignment, as stored.
MANUAL, STATUS_MATCH, END = 1, 2, 3


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
    at = cause.occurred_at
    moves: list[TierMove] = []
    for ladder in batch.rulebook.ladders.values():
        amount = _qualifying(ladder, partner, purchase, evaluation)
        if amount:
            standing = batch.standing(holder, ladder)
            row = Qualified(at, at, amount)
            moves.extend(_count(batch, standing, cause, row, ranks.get(ladder.id)))
    return tuple(moves)


def disqualify(
    batch: Batch,
    holder: int,
    cause: Cause,
    purchased_at: datetime,
    owner_partner_id: int,
    earned: Mapping[str, int],
    spent: tuple[str, int],
    visit_gone: bool,
) -> tuple[TierMove, ...]:
    """Take what came back off every ladder that it had counted on; returns the changes of rank.

    `earned` are points by their currency's code, `spent` money and its minor units. They are dated
    at the purchase and taken off judgments from the return on; below zero they are added instead,
    and count from the purchase on.
    """
    moves: list[TierMove] = []
    for ladder in batch.rulebook.ladders.values():
        measure = ladder.measure
        if measure.kind is MeasureKind.EARNED:
            gone = earned.get(measure.unit, 0)
        elif ladder.owner not in (None, owner_partner_id):
            continue
        elif measure.kind is MeasureKind.VISITS:
            gone = int(visit_gone)
        else:
            gone = spent[1] if measure.unit == spent[0] else 0
        if gone:
            since = purchased_at if gone < 0 else max(purchased_at, cause.occurred_at)
            row = Qualified(purchased_at, since, -gone)
            moves.extend(_count(batch, batch.standing(holder, ladder), cause, row, None))
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
        return int(purchase.trigger == PURCHASE)
    return purchase.total_minor if measure.unit == purchase.currency else 0


def _count(
    batch: Batch, standing: Standing, cause: Cause, row: Qualified, held: int | None
) -> list[TierMove]:
    """Count an amount on one ladder. `held` is the rank before it, where that is known already."""
    batch.writes.qualified.append(
        writes.QualifiedRow(standing.holder, standing.ladder.id, *row[:2], cause.event, row.amount)
    )
    if standing.whole:
        moves = standing.rejudge(row.counts_from, [row])
    else:
        moves = _climb(standing, row, held)
    note(batch, standing, cause, moves)
    return moves


def note(batch: Batch, standing: Standing, cause: Cause, moves: Iterable[TierMove]) -> None:
    """Write down changes of rank, with what brought them about."""
    batch.writes.tier_changes.extend(
        writes.TierChangeRow(
            standing.holder, m.ladder, cause.booked_at, m.at, m.before, m.after, cause.event
        )
        for m in moves
    )


def _climb(standing: Standing, row: Qualified, held: int | None) -> list[TierMove]:
    """Count on a plain ladder; a lapsed rank is noted as reviewed, then the climb is announced."""
    at = row.counts_from
    moves: list[TierMove] = []
    if held is None:
        held = standing.rank_at(at)
    if held < standing.rank:
        moves = lapses(standing, at)
        if moves:
            standing.rank, standing.since = moves[-1].after, moves[-1].at
    standing.advance(at)
    standing.add(row.at, row.amount, at)
    latest = standing.measured_at or at
    if latest == at and row.amount > 0:
        # Nothing before `at` changed: the highest measure since the review was it, or is this one.
        rank = max(held, standing.ladder.rank(standing.value))
    else:
        rank = standing.rank_at(latest)
    if rank > standing.rank:
        moves.append(TierMove(standing.ladder.id, latest, standing.rank, rank))
        standing.rank, standing.since = rank, latest
    elif rank < standing.rank and row.amount < 0:
        # It came back before the last review, or in the instant of the climb: judged as it was.
        when = start_of(latest, "D", standing.ladder.time_zone)
        when = max(when, standing.since or when)
        moves.append(TierMove(standing.ladder.id, when, standing.rank, rank))
        standing.rank, standing.since = rank, when
    if moves or row.amount < 0:
        standing.review_soon()
    standing.touched = True
    return moves


def standing_rows(batch: Batch) -> list[writes.StandingRow]:
    """The standings that changed, as they are written."""
    return [
        writes.StandingRow(
            s.holder, s.ladder.id, s.measured_at, s.value, s.rank, s.since, s.due, s.ladder.version
        )
        for s in batch.standings.values()
        if s.touched and s.measured_at is not None
    ]


def take_standings(batch: Batch, rows: Sequence[Any]) -> None:
    """Fill in the standings that `store.load` found, with what qualified and what was given."""
    batch.standings.update(standings_from(batch.rulebook, rows, batch.enrolled))


def standings_from(
    rulebook: Rulebook, rows: Sequence[Any], enrolled: dict[int, datetime]
) -> dict[tuple[int, int], Standing]:
    """The standings among what `store.load` found; see LOAD there for the columns."""
    found: dict[tuple[int, int], Standing] = {}
    for what, a, b, c, d, e, f, g, t, u, _, _ in rows:
        if what == 4:
            due = None if f is None else _EPOCH + timedelta(microseconds=f)
            ladder = rulebook.ladders[b]
            found[a, b] = Standing(
                a, ladder, t, c, d, u, due=due, whole=bool(e), stale=g != ladder.version
            )
        elif what == 7:
            enrolled[a] = t
    given: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        if row[0] == 5:
            standing, at, counts_from = found[row[1], row[2]], row[8], row[9]
            if at == counts_from:
                standing.rows.append((at, row[3]))
            else:
                standing.returns.append(Qualified(at, counts_from, row[3]))
        elif row[0] == 6 and (row[1], row[2]) in found:
            given.setdefault((row[1], row[2]), []).append(row)
    for key, own in given.items():
        found[key].floors = floors_from(own)
    if enrolled:
        for standing in found.values():
            standing.enrolled = enrolled.get(standing.holder)
    return found


def floors_from(rows: Sequence[Any]) -> list[Floor]:
    """The ranks given to one member on one ladder; an end before time is the end of its own."""
    ended = {row[6]: row[8] for row in rows if row[4] == END}
    floors = []
    for row in rows:
        if row[4] != END:
            ends = [t for t in (row[9], ended.get(row[5])) if t is not None]
            floors.append(
                Floor(
                    row[5], row[3], row[8], min(ends, default=None), row[4] == STATUS_MATCH, row[10]
                )
            )
    return floors
