"""Imports a file of receipts and returns: streamed, in large batches, restartable.

While PostgreSQL works on one batch, a thread reads and checks the next. What is refused goes to an
error file with its row, field and reason. Knows no table: natural keys make a second run safe.
"""

from __future__ import annotations

import asyncio
import csv
import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

from app.file_rows import Source
from app.readers import Found, Receipt, ReturnReceipt, RowError, located, receipts
from app.returns_import import GivenBack, Returns, steps
from core.errors import Refusal
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.posting import Engine
from core.purchases import (
    Incoming,
    PurchaseInput,
    check_purchase,
    check_text,
    find_partner,
    parse_parts,
    parse_quantity,
    parse_tender,
)
from core.rulebook import PartnerTerms
from core.store.ids import Ids
from laurels.money import MoneyError, to_minor
from laurels.purchase import Line, Purchase

#: Receipts in a batch: large enough to spread the round trips, small enough to keep memory flat.
BATCH = 4000
#: A batch ends early at so many lines: receipts may have ten thousand each.
_BATCH_LINES = 60_000
_KNOWN_MEMBERS = 200_000
#: How many batches pass between two searches for cycles of garbage.
_COLLECT_EVERY = 8
UnknownMembers: TypeAlias = Literal["reject", "open"]
Progress: TypeAlias = Callable[[int, int, "ImportReport"], None]


@dataclass(slots=True)
class ImportReport:
    """What an import did, in receipts; `replayed` ones stood in the books before.

    `booked` counts purchases, `returned` returns; `waiting` are returns whose purchase is unknown.
    """

    read: int = 0
    booked: int = 0
    returned: int = 0
    waiting: int = 0
    replayed: int = 0
    refused: int = 0
    rows: int = 0
    points: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        points = ", ".join(f"{n:,} {code}" for code, n in sorted(self.points.items()))
        parts = [
            f"{self.read:,} receipts read",
            f"{self.booked:,} booked ({points or 'no points'})",
        ]
        if self.returned:
            parts.append(f"{self.returned:,} returns booked")
        if self.waiting:
            parts.append(f"{self.waiting:,} returns wait for their purchase")
        if self.replayed:
            parts.append(f"{self.replayed:,} were in the books already")
        if self.refused:
            parts.append(f"{self.refused:,} refused")
        return "; ".join(parts)


@dataclass(slots=True)
class _Chunk:
    """What one reading brings: checked purchases with their rows, errors, how far the file is.

    `returns` stand with the number of purchases that were read before them.
    """

    items: list[Incoming] = field(default_factory=list)
    rows: list[Sequence[int]] = field(default_factory=list)
    returns: list[tuple[int, GivenBack]] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    lines: int = 0
    done: int = 0


async def run_import(
    engine: Engine,
    path: Path,
    partner: str,
    *,
    now: datetime,
    mapping: Mapping[str, str] | None = None,
    unknown_members: UnknownMembers = "reject",
    errors_path: Path | None = None,
    batch: int = BATCH,
    member_kind: IdentifierKind = IdentifierKind.REFERENCE,
    progress: Progress | None = None,
) -> ImportReport:
    """Book every receipt of a file as history of this partner. Safe to run again, or to resume.

    `member` is read as `member_kind`, by default the partner's own reference; with "open" members
    that nobody knows are enrolled unclaimed. Raises BadInput where the file itself is unreadable.
    """
    terms = find_partner(engine.rulebook, partner)
    source = Source(path, mapping or {})
    reading = _Reading(terms, source, batch, member_kind)
    report = ImportReport()
    opened = _Opened(engine.ids, now) if unknown_members == "open" else None
    returns = Returns(engine, terms, now)
    with _Errors(errors_path) as errors, _rare_collections() as batch_done:
        upcoming = asyncio.ensure_future(asyncio.to_thread(reading.next))
        try:
            while chunk := await asyncio.shield(upcoming):
                upcoming = asyncio.ensure_future(asyncio.to_thread(reading.next))
                if opened is not None:
                    await opened.enrol(chunk.items)
                await _book(engine, chunk, now, report, errors, returns)
                batch_done()
                if progress is not None:
                    progress(chunk.done, source.total, report)
            _refuse(report, errors, await returns.finish())
            _count(report, returns)
        finally:
            # The thread can't be stopped: wait for it, so that the file is not read after us.
            await asyncio.gather(upcoming, return_exceptions=True)
            reading.close()
    return report


@contextmanager
def _rare_collections() -> Iterator[Callable[[], None]]:
    """Search for cycles every few batches: a batch makes a million objects and none in a cycle.

    Left to itself Python would search them all again and again: two fifths of an import's time.
    """
    count = 0

    def batch_done() -> None:
        nonlocal count
        count += 1
        if count % _COLLECT_EVERY == 0:
            gc.collect()

    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield batch_done
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


async def _book(
    engine: Engine,
    chunk: _Chunk,
    now: datetime,
    report: ImportReport,
    errors: _Errors,
    returns: Returns,
) -> None:
    refused = list(chunk.errors)
    for places, back in steps(chunk.items, chunk.returns):
        items = [chunk.items[n] for n in places]
        outcomes = await engine.record_purchases(items, now, historical=True)
        for n, item, outcome in zip(places, items, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                refused.append(located(outcome, item.purchase.external_id, chunk.rows[n]))
            elif outcome.replayed:
                report.replayed += 1
            else:
                report.booked += 1
                if outcome.evaluation is not None:
                    for granted in outcome.evaluation.granted:
                        report.points[granted.currency] += granted.points
        kept = returns.due(item.purchase.external_id for item in items)
        if kept or back:
            refused += await returns.book([*kept, *back])
    _refuse(report, errors, refused)
    _count(report, returns)
    report.read += len(chunk.items) + len(chunk.returns) + len(chunk.errors)
    report.rows += chunk.lines


def _refuse(report: ImportReport, errors: _Errors, refused: Sequence[RowError]) -> None:
    errors.write(sorted(refused))
    report.refused += len(refused)


def _count(report: ImportReport, returns: Returns) -> None:
    report.returned, report.waiting = returns.booked, returns.waiting
    report.replayed += returns.replayed
    returns.replayed = 0


class _Reading:
    """Reads and checks one chunk after another; called from a thread, never from two at once."""

    def __init__(
        self, partner: PartnerTerms, source: Source, batch: int, member_kind: IdentifierKind
    ) -> None:
        self._partner = partner
        self._source = source
        self._batch = batch
        self._kind = member_kind
        self._receipts: Iterator[Found] = receipts(source)

    def next(self) -> _Chunk | None:
        """The next chunk, or None at the end of the file."""
        chunk = _Chunk()
        for found in islice(self._receipts, self._batch):
            if isinstance(found, RowError):
                chunk.errors.append(found)
                continue
            chunk.lines += len(found.rows)
            try:
                if isinstance(found, ReturnReceipt):
                    back = GivenBack(found, self._member(found.member))
                    chunk.returns.append((len(chunk.items), back))
                else:
                    chunk.items.append(self._check(found))
                    chunk.rows.append(found.rows)
            except Refusal as refusal:
                chunk.errors.append(located(refusal, found.external_id, found.rows))
            if chunk.lines >= _BATCH_LINES:
                break
        chunk.done = self._source.done
        return chunk if chunk.items or chunk.returns or chunk.errors else None

    def close(self) -> None:
        """Close the file."""
        close = getattr(self._receipts, "close", None)
        if close is not None:
            close()

    def _member(self, value: str) -> MemberRef:
        scope = self._partner.id if self._kind is IdentifierKind.REFERENCE else 0
        return MemberRef.make(self._kind, value, scope)

    def _check(self, found: Receipt) -> Incoming:
        member = self._member(found.member)
        quick = _quickly_checked(self._partner, member, found)
        if quick is not None:
            return quick
        return check_purchase(
            self._partner,
            PurchaseInput(
                found.external_id,
                member,
                found.occurred_at,
                found.currency,
                found.lines,
                found.store,
                tender=found.tender,
            ),
        )


# History repeats its amounts and products: the checks of `core.purchases`, each remembered.
_minor = lru_cache(1 << 13)(to_minor)
_quantity = lru_cache(1 << 12)(parse_quantity)
_kept_tender = lru_cache(1 << 8)(parse_tender)
_kept_text = lru_cache(1 << 14)(check_text)


def _quickly_checked(partner: PartnerTerms, member: MemberRef, found: Receipt) -> Incoming | None:
    """What `check_purchase` makes of a receipt without fault; None leaves the verdict to it."""
    currency, at = found.currency, found.occurred_at
    if currency not in partner.trades_in or not 1970 <= at.year <= 9000:
        return None
    lines: list[Line] = []
    try:
        for given in found.lines:
            amount = _minor(given.amount, currency)
            if amount < 0:
                return None
            lines.append(
                Line(
                    _kept_text(given.product_type, "productType", 200),
                    amount,
                    _quantity(given.quantity),
                    _kept_text(given.sku, "sku", 100),
                    *(() if given.plain else parse_parts(given, amount, currency)),
                )
            )
        external_id = check_text(found.external_id, "externalId", 200, least=1)
        store = _kept_text(found.store, "store", 100)
        tender = _kept_tender(found.tender)
    except (Refusal, MoneyError):
        return None
    at = at.astimezone(UTC)
    zone = partner.time_zone
    return Incoming(
        partner,
        member,
        Purchase(partner.code, external_id, at, currency, tuple(lines), store, zone, tender=tender),
    )


class _Opened:
    """Enrols members that a file names and nobody knows, each asked for once."""

    def __init__(self, ids: Ids, now: datetime) -> None:
        self._now = now
        self._ids = ids
        self._known: set[MemberRef] = set()

    async def enrol(self, items: Sequence[Incoming]) -> None:
        """Enrol whoever of these is unknown, unclaimed until they come themselves."""
        fresh = [m for m in dict.fromkeys(item.member for item in items) if m not in self._known]
        if not fresh:
            return
        await enrol(self._ids, [Enrolment([m], claimed=False) for m in fresh], self._now)
        if len(self._known) > _KNOWN_MEMBERS:
            self._known.clear()
        self._known.update(fresh)


class _Errors:
    """The error file: always written anew, so that an empty one says that nothing was wrong."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._writer: Any = None  # csv names no public type for its writers

    def __enter__(self) -> _Errors:
        if self._path is not None:
            self._file = self._path.open(
                "w", encoding="utf-8", errors="backslashreplace", newline=""
            )
            self._writer = csv.writer(self._file)
            self._writer.writerow(("row", "field", "external_id", "reason"))
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, errors: Sequence[RowError]) -> None:
        """Add what was refused."""
        if self._writer is not None:
            self._writer.writerows(
                (e.row, e.field, _shown(e.external_id), _shown(e.reason)) for e in errors
            )
            assert self._file is not None
            self._file.flush()


def _shown(text: str) -> str:
    """Short and printable: what a spreadsheet or a terminal shows, and no more."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:400])
