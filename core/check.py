"""Proves the books: conservation, lots against transfers, decisions replayed, hashes, guards.

Reads one snapshot of the whole database and changes nothing. It trusts no total: each is worked
out anew from the rows below it, and each posting's hash from its content and the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from core.activities import activity_hash
from core.check_returns import returns
from core.checking import PREFETCH, Count, Found, Pass, Peek
from core.db import Connection, Row, transaction
from core.digests import DigestKey
from core.digests import proven as proven_digests
from core.entries import Allocation, Kind, LotChange, Transfer
from core.events import EARNING, EventKind
from core.ledger import Ledger
from core.lines import line_of
from core.measures import Qualified
from core.purchases import content_hash
from core.qualifying import floors_from
from core.reviews import review_hash
from core.rulebook import LadderTerms, stamp_of
from core.sealing import seal
from core.settling import digest
from core.store import proof
from core.store.digests import HeadDigest
from core.store.posting import beginning
from core.store.writes import DecisionRow
from core.tiers import proven
from laurels.declarations import Ladder, Measure, Tier
from laurels.errors import LaurelsError
from laurels.policies import Policy
from laurels.purchase import Purchase

#: Told the name of each check as it begins, and then how many rows it has read.
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found wrong: which check, where, and the two figures that differ."""

    check: str
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.check}: {self.where}: {self.problem}"


def _silent(name: str, rows: int) -> None:
    return None


async def prove(
    progress: Progress = _silent,
    keys: Sequence[DigestKey] = (),
    exported: Sequence[HeadDigest] = (),
) -> list[Finding]:
    """All that is wrong with the books, the first differences of each kind; empty: they hold.

    With keys the stored digests are proven too, each by the key that made it, and those that were
    `exported` and kept elsewhere.
    """
    findings: list[Finding] = []
    passes = dict(_PASSES)
    if keys or exported:
        passes["digests = heads"] = lambda connection, _: proven_digests(connection, keys, exported)
    async with transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Each question reads whole tables. On books without statistics (just imported) the planner
        # would take nested loops for few rows, and hours for many.
        await connection.execute("SET LOCAL enable_nestloop = off")
        for name, question in proof.QUESTIONS.items():
            progress(name, 0)
            rows = await connection.fetch(question)
            findings += [Finding(name, row[0], row[1]) for row in rows]
        for name, check in passes.items():
            progress(name, 0)
            found = 0
            async for where, problem in check(connection, partial(progress, name)):
                findings.append(Finding(name, where, problem))
                found += 1
                if found == 20:
                    break
    return findings


async def _receipts(connection: Connection, count: Count) -> Found:
    """Each stored receipt hashes to what was recorded, and its lines add up to its total."""
    lines = Peek(connection.cursor(proof.LINES, prefetch=PREFETCH))
    n = 0
    async for event in connection.cursor(proof.EVENTS, prefetch=PREFETCH):
        n += 1
        if n % PREFETCH == 0:
            count(n)
        own = tuple([line_of(tuple(r)[1:]) async for r in lines.until(event[0])])
        try:
            purchase = Purchase(
                "", event[7], event[2], event[3] or "", own, event[4], tender=event[8] or ""
            )
        except LaurelsError as error:
            yield f"event {event[0]}", f"the receipt is none: {error}"
            continue
        if content_hash(purchase, event[1]) != event[6]:
            yield f"event {event[0]}", "the receipt isn't the one that was recorded"
        elif purchase.total_minor != event[5]:
            yield f"event {event[0]}", f"total {event[5]}, lines add up to {purchase.total_minor}"


async def _activities(connection: Connection, count: Count) -> Found:
    """Each activity is what was told, by the hash of it."""
    n = 0
    async for event, holder, name, at, stored, content in connection.cursor(
        proof.ACTIVITIES, prefetch=PREFETCH
    ):
        n += 1
        if n % PREFETCH == 0:
            count(n)
        try:
            hashed = activity_hash(holder, name, at, *orjson.loads(content)["x"])
        except (ValueError, TypeError, LookupError):
            hashed = b""
        if hashed != stored:
            yield f"event {event}", "the activity isn't the one that was recorded"


async def _replay(connection: Connection, count: Count) -> Found:
    """Decisions replayed in booking order give the transfers that stand, and their hashes."""
    transfers = Peek(connection.cursor(proof.TRANSFERS, prefetch=PREFETCH))
    changes = Peek(connection.cursor(proof.CHANGES, prefetch=PREFETCH))
    allocations = Peek(connection.cursor(proof.ALLOCATIONS, prefetch=PREFETCH))
    stamps = {r[0]: stamp_of(r[0], tuple(r)[1:]) for r in await connection.fetch(proof.POLICY_ROWS)}
    heads: dict[int, bytes] = {}
    n = 0
    async for row in connection.cursor(proof.DECISIONS, prefetch=PREFETCH):
        decided, created_at, digest, name = DecisionRow(*row[:9]), *row[9:]
        holder, booked_at = decided.holder, decided.booked_at
        n += 1
        if n % PREFETCH == 0:
            count(n)
        own = [r async for r in transfers.until((holder, booked_at))]
        moved = [r async for r in changes.until((holder, booked_at))]
        taken = [r async for r in allocations.until((holder, booked_at))]
        where = f"decision {holder} at {booked_at.isoformat()}"
        if decided.kind in EARNING and _given(decided.content) != _credited(own):
            yield where, "its awards aren't what was credited"
        if decided.kind in _MAKING and _made(decided.content) != _moved(own, decided.kind):
            yield where, "what it was made into isn't what was issued, or taken back"
        ledgers = [
            (_ledger(stamps, holder, currency, own, moved, taken), 0, 0)
            for currency in sorted({int(r[2]) for r in (*own, *moved)})
        ]
        before = heads.get(holder) or beginning(holder, created_at)
        worked_out = seal(decided._replace(head=before), digest or b"", name or "", ledgers)
        heads[holder] = decided.head  # go on from what is stored: name each break once
        strangers = [r for r in own if (r[9], r[11]) != (decided.partner, decided.event)]
        if worked_out != decided.head or strangers or any(r[4] != decided.event for r in moved):
            yield where, "its hash doesn't follow from its content and the posting before"
    async for holder, head in connection.cursor(proof.HEADS, prefetch=PREFETCH):
        if heads.get(holder) != head:
            yield f"holder {holder}", "its head isn't the hash of its last decision"


def _given(content: str) -> list[tuple[int, int, int]] | None:
    """(currency, points, rule) of each award in a stored decision, as its credits stand."""
    try:
        given = orjson.loads(content)["g"]
        return sorted(((c, sum(lines), rule) for rule, c, lines, *_ in given), key=lambda g: g[0])
    except (ValueError, TypeError, LookupError):
        return None


#: Redeemed at once, and reversed: a redemption may be made into other points, and back.
_MAKING = {EventKind.REDEMPTION: Kind.ACCRUAL, EventKind.REVERSAL: Kind.CLAWBACK}


def _made(content: str) -> list[tuple[int, int]] | None:
    """(currency, points) of what a redemption's decision says that it was made into."""
    try:
        return sorted((currency, points) for currency, points in orjson.loads(content).get("m", ()))
    except (ValueError, TypeError, AttributeError):
        return None


def _moved(rows: list[Row], kind: int) -> list[tuple[int, int]]:
    return sorted((r[2], r[8]) for r in rows if r[5] == _MAKING[EventKind(kind)])


def _credited(rows: list[Row]) -> list[tuple[int, int, int]]:
    return [(r[2], r[8], r[10]) for r in rows if r[5] == Kind.ACCRUAL]


def _ledger(
    stamps: dict[int, bytes],
    holder: int,
    currency: int,
    rows: Sequence[Row],
    changes: Sequence[Row],
    taken: Sequence[Row],
) -> Ledger:
    """What one decision moved in a currency, as the ledger that moved it has it."""
    ledger = Ledger(holder, currency, stamps=stamps)
    ledger.opened = {r[3]: r[12] for r in rows if r[2] == currency and r[12] is not None}
    ledger.transfers = [
        Transfer(r[0], r[2], r[3], r[1], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11])
        for r in rows
        if r[2] == currency
    ]
    ledger.changes = [
        LotChange(r[0], r[2], r[3], r[1], r[4], r[5], r[6], r[7])
        for r in changes
        if r[2] == currency
    ]
    ledger.allocations = [
        Allocation(r[0], r[2], r[3], r[4], r[5], r[6]) for r in taken if r[2] == currency
    ]
    return ledger


async def _commands(connection: Connection, count: Count) -> Found:
    """What was decided on no purchase is what its event says, and what became of it."""
    n = 0
    async for holder, booked_at, kind, content, stored, became in connection.cursor(
        proof.COMMANDS, prefetch=PREFETCH
    ):
        n += 1
        if n % PREFETCH == 0:
            count(n)
        where = f"decision {holder} at {booked_at.isoformat()}"
        try:
            said, hashed = _said(kind, content)
        except (ValueError, TypeError, LookupError):
            said, hashed = None, b""
        if hashed != stored:
            yield where, "its content isn't what its event was hashed from"
        elif (became is not None or kind in _WITH_OUTCOME) and orjson.loads(became or "0") != said:
            yield where, f"decided {said}, what became of it is {became}"


def _said(kind: int, content: str) -> tuple[Any, bytes]:
    """What a decision says that must show elsewhere too, and the hash of its event."""
    decided = orjson.loads(content)
    if kind in _HASHED_WHOLE:
        return decided[_HASHED_WHOLE[EventKind(kind)]], review_hash(content.encode())
    return decided["r"], digest(kind, *decided["r"])


#: Events that are hashed from the whole content of their decision, and what of it must show.
_HASHED_WHOLE = {
    EventKind.REVIEW: "t",
    EventKind.ASSIGNMENT: "t",
    EventKind.ASSIGNMENT_END: "t",
    EventKind.NIGHT: "j",
    EventKind.LOT_MOVE: "m",
}
_WITH_OUTCOME = (
    EventKind.REDEMPTION, EventKind.RESERVATION, EventKind.REVIEW, EventKind.ADJUSTMENT,
    EventKind.GIFT, EventKind.GIFT_RECEIVED,
)  # fmt: skip


async def _policies(connection: Connection, count: Count) -> Found:
    """Each lot lives as its policy says, or as its last change does."""
    parsed: dict[tuple[Any, ...], Policy] = {}
    n = 0
    async for row in connection.cursor(proof.LOTS, prefetch=PREFETCH):
        n += 1
        if n % PREFETCH == 0:
            count(n)
        where = f"lot {row[0]}/{row[1]}/{row[2]}"
        texts = tuple(row[9:14])
        try:
            policy = parsed.get(texts) or parsed.setdefault(texts, Policy.parse(*texts))
        except LaurelsError as error:
            yield where, f"its policy {row[8]} is none: {error}"
            continue
        due = policy.life(row[3], held=row[7])
        if row[19]:  # moved from an earlier policy, under which it had begun
            due = due._replace(lapses_at=row[6])
        elif row[18] is not None and (due.expires_at is None or row[18] < due.expires_at):
            yield where, f"expired at {row[18]}, its policy said {due.expires_at}"
        if row[14]:
            due = due._replace(active_at=row[15], expires_at=row[16])
        if due != tuple(row[4:7]) or (row[14] and row[8] != row[17]):
            yield where, f"lives {_told(row[4:7])}, its policy or last change says {_told(due)}"


def _told(life: Sequence[datetime | None]) -> str:
    active, expires, lapses = ("never" if x is None else x.isoformat() for x in life)
    return f"from {active} to {expires}, lapsing {lapses}"


async def _measures(connection: Connection, count: Count) -> Found:
    """Each stored measure and rank is what all that qualified gives, and is reviewed in time."""
    ladders = {row[0]: _ladder(row) for row in await connection.fetch(proof.LADDERS)}
    given: dict[tuple[int, int], list[Row]] = {}
    for row in await connection.fetch(proof.ASSIGNMENTS):
        given.setdefault((row[1], row[2]), []).append(row)
    n = 0
    async for holder, number, at, value, rank, due, enrolled, *columns in connection.cursor(
        proof.QUALIFIED, prefetch=500
    ):
        n += 1
        if n % PREFETCH == 0:
            count(n)
        rows = [Qualified(*r) for r in zip(*columns, strict=True) if r[0] is not None]
        floors = floors_from(given.get((holder, number), []))
        found, held, changes = proven(ladders[number], rows, enrolled, floors, at)
        where = f"standing {holder}/{number}"
        if found != value:
            yield where, f"measures {value}, what qualified sums to {found}"
        if held != rank:
            yield where, f"has rank {rank}, what qualified gives {held}"
        if changes is not None and (due is None or due > changes):
            yield where, f"is reviewed at {due}, its rank changes at {changes}"


def _ladder(row: Row) -> LadderTerms:
    number, version, code, measure, window, zone, tiers, hold, grace, soft = row
    steps = [
        Tier(t["code"], t["at"], never_down=t.get("never_down", False)) for t in orjson.loads(tiers)
    ]
    ladder = Ladder(
        code, Measure.parse(measure), steps, window, hold=hold, grace=grace, soft_landing=soft
    )
    return LadderTerms(number, ladder, zone, None, version)


_PASSES: dict[str, Pass] = {
    "receipts = their hashes": _receipts,
    "activities = their hashes": _activities,
    "decisions replayed = transfers, hashes": _replay,
    "commands = their events": _commands,
    "lots = their policies": _policies,
    "measures = what qualified": _measures,
    "returns = what is still earned": returns,
}
