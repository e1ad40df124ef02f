"""Ranks given by hand, or for a status held elsewhere: a floor under what a member reaches itself.

Until it ends the member holds at least that rank. Every call takes an idempotency key: sent again
it answers with the first outcome. Knows nothing of how a rank is measured (`core.tiers` does).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, TypeVar

import orjson

from core.db import Connection, transaction
from core.decisions import FORMAT
from core.errors import BadInput, IdempotencyConflict, UnknownReference, WrongState
from core.events import EventKind
from core.folding import Batch, Posting
from core.judging import Floor
from core.posting import Engine, write
from core.purchases import check_text
from core.qualifying import END, MANUAL, STATUS_MATCH, note
from core.reviews import PROGRAMME, review_hash
from core.rulebook import LadderTerms
from core.store import assignments as store
from core.store import posting as rows
from core.store.assignments import AssignmentRow
from core.store.redemptions import claim_key
from core.tiers import Standing, TierMove
from laurels.errors import LaurelsError, check_code

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: (ladder, kind, rank, from, until, reason, the assignment that it ends).
Given: TypeAlias = tuple[int, int, int, datetime, datetime | None, str, int | None]


@dataclass(frozen=True, slots=True)
class AssignRequest:
    """A rank to give from now until `until` (None: for good). `reason` is a code, no sentence.

    `match` says that it is for a status that the member holds elsewhere.
    """

    caller: str
    key: str
    holder: int
    ladder: str
    tier: str
    until: datetime | None
    reason: str
    match: bool = False


@dataclass(frozen=True, slots=True)
class EndRequest:
    """An assignment, by the id of its event, to end now."""

    caller: str
    key: str
    holder: int
    assignment: int
    reason: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """An assignment as it stands, and the changes of rank that this call brought about."""

    holder: int
    ladder: LadderTerms
    floor: Floor
    moves: tuple[TierMove, ...]
    replayed: bool = False


async def assign_tier(engine: Engine, request: AssignRequest, now: datetime) -> Assigned:
    """Give a rank. Raises UnknownReference, BadInput or IdempotencyConflict."""
    _check(request.key, request.reason)
    # Of what was sent, before it is judged: a first outcome outlives the time that it was for.
    asked = _digest("assign", *_told(request))
    async with transaction() as connection:
        (event,) = await engine.ids.take(1)
        if before := await _claim(connection, request, asked, event, now):
            return await _first_outcome(connection, engine, request.holder, before)
        ladder, rank = _wanted(engine, request, now)
        batch, standing = await _open(connection, engine, request.holder, ladder, now)
        kind = STATUS_MATCH if request.match else MANUAL
        floor = Floor(event, rank, now, request.until, request.match, request.reason)
        row = (ladder.id, kind, rank, now, request.until, request.reason, None)
        moves = await _book(connection, batch, standing, [*standing.floors, floor], event, row)
        return Assigned(request.holder, ladder, floor, tuple(moves))


async def end_assignment(engine: Engine, request: EndRequest, now: datetime) -> Assigned:
    """End an assignment early. Raises UnknownReference, WrongState, IdempotencyConflict."""
    _check(request.key, request.reason)
    asked = _digest("end", request.holder, request.assignment, request.reason)
    async with transaction() as connection:
        (event,) = await engine.ids.take(1)
        if before := await _claim(connection, request, asked, event, now):
            return await _first_outcome(connection, engine, request.holder, before)
        # Locked before it is read: of two ends at once the second finds it ended.
        locked = await rows.lock_holders(connection, [request.holder], living=True)
        found = await store.get(connection, request.holder, request.assignment)
        ladder = None if found is None else engine.rulebook.ladders.get(found.ladder)
        if not locked or found is None or ladder is None:
            raise UnknownReference("no such assignment", "assignment")
        if found.until is not None and found.until <= now:
            raise WrongState("it has ended already", "assignment")
        batch, standing = await _open(connection, engine, request.holder, ladder, now)
        ended = _floor(found)._replace(until=now)
        floors = [ended if f.event == ended.event else f for f in standing.floors]
        row = (ladder.id, END, found.rank, now, None, request.reason, found.event)
        moves = await _book(connection, batch, standing, floors, event, row)
        return Assigned(request.holder, ladder, ended, tuple(moves))


def _wanted(engine: Engine, request: AssignRequest, now: datetime) -> tuple[LadderTerms, int]:
    for name in ("ladder", "tier"):
        check_text(getattr(request, name), name, 1000)
    for ladder in engine.rulebook.ladders.values():
        if ladder.ladder.code == request.ladder:
            break
    else:
        raise UnknownReference(f"there is no ladder '{request.ladder[:64]}'", "ladder")
    codes = [tier.code for tier in ladder.ladder.tiers]
    if request.tier not in codes:
        raise UnknownReference(f"{ladder.ladder.name} has no tier '{request.tier[:64]}'", "tier")
    rank = codes.index(request.tier)
    if rank == 0:
        raise BadInput("the first tier is everybody's: choose a higher one", "tier")
    if request.until is not None and request.until <= now:
        raise BadInput("it would have ended before it began", "until")
    return ladder, rank


def _check(key: str, reason: str) -> None:
    check_text(key, "key", 255, least=1)
    try:
        check_code("reason", reason)
    except LaurelsError as error:
        raise BadInput(str(error), "reason") from None


def _told(request: AssignRequest) -> tuple[object, ...]:
    return (
        request.holder, request.ladder, request.tier, request.until, request.reason, request.match,
    )  # fmt: skip


def _digest(*parts: object) -> bytes:
    return hashlib.blake2b(orjson.dumps([str(p) for p in parts]), digest_size=16).digest()


Asked = TypeVar("Asked", AssignRequest, EndRequest)


async def _claim(
    connection: Connection, request: Asked, asked: bytes, event: int, now: datetime
) -> int | None:
    """Take the key; the event of its first outcome where it was used before for the same."""
    before = await claim_key(
        connection, request.caller, request.key, asked, (request.holder, event), now
    )
    if before is None:
        return None
    if before[0] != asked:
        raise IdempotencyConflict("this key was used before for another request", "key")
    return before[1][1]


async def _first_outcome(
    connection: Connection, engine: Engine, holder: int, event: int
) -> Assigned:
    found = await store.get(connection, holder, await store.of_event(connection, holder, event))
    assert found is not None
    changes = await store.changes(connection, holder, event)
    moves = tuple(TierMove(row[0], row[1], row[2], row[3]) for row in changes)
    return Assigned(holder, engine.rulebook.ladders[found.ladder], _floor(found), moves, True)


def _floor(row: AssignmentRow) -> Floor:
    return Floor(
        row.event, row.rank, row.since, row.until, row.kind == STATUS_MATCH, row.reason
    )  # fmt: skip


async def _open(
    connection: Connection, engine: Engine, holder: int, ladder: LadderTerms, now: datetime
) -> tuple[Batch, Standing]:
    """Lock a holder and load its whole past on the ladder, on which it is judged from now on."""
    locked = await rows.lock_holders(connection, [holder])
    if not locked:
        raise UnknownReference("no such member", "member")
    batch = Batch(engine.rulebook, now, historical=False, tips=locked)
    reach = ladder.reach._replace(whole=True)
    batch.take(await rows.load(connection, {holder: (now, now)}, [], [reach], 0))
    standing = batch.standing(holder, ladder)
    standing.whole = True
    return batch, standing


async def _book(
    connection: Connection,
    batch: Batch,
    standing: Standing,
    floors: list[Floor],
    event: int,
    row: Given,
) -> list[TierMove]:
    moves, assigned = fold_floors(batch, standing, floors, event, row)
    await write(connection, batch)
    await store.add(connection, assigned)
    return moves


def fold_floors(
    batch: Batch, standing: Standing, floors: list[Floor], event: int, row: Given
) -> tuple[list[TierMove], AssignmentRow]:
    """Book in memory a rank that is given, or the end of one, with the floors that there are then.

    The standing is of a whole past. The row is to be added once the batch is written.
    """
    ladder, kind, rank, now, until, reason, ends = row
    what = EventKind.ASSIGNMENT_END if kind == END else EventKind.ASSIGNMENT
    posting = Posting(batch, what, event, standing.holder, PROGRAMME, now)
    moves = standing.rejudge(now, floors=floors)
    note(batch, standing, posting.cause, moves)
    micros = None if until is None else (until - _EPOCH) // timedelta(microseconds=1)
    content = orjson.dumps({"v": FORMAT, "t": [kind, ladder, rank, micros, reason, ends]})
    posting.seal(content, review_hash(content), str(event))
    booked_at = posting.cause.booked_at
    return moves, AssignmentRow(
        standing.holder, event, ladder, booked_at, kind, rank, now, until, reason, ends
    )
