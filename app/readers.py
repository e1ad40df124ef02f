"""Streams receipts and returns out of a file's rows: one row is one line of a receipt.

What is wrong with a row is said with its number and field; its receipt is rejected whole and the
others go on. Memory stays flat: a file is never held, only 8 bytes or so for each receipt seen.
It must not know members, rules or the books: amounts and texts are judged by `core.purchases`.

A row's number is the line of the file in CSV (the header is line 1) and JSON Lines, and the row
counted from 1 in Parquet.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from app.file_rows import COLUMNS, Broken, Row, Rows, Source
from core.errors import Refusal
from core.purchases import MAX_LINES, LineInput

#: The first columns are the receipt's own and the same in all its rows; one of them is its kind.
_SHARED = 8
_KIND = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RowError(NamedTuple):
    """What is wrong, where: the row's number, the field by our name, and the receipt if known."""

    row: int
    field: str
    external_id: str
    reason: str


@dataclass(slots=True)
class Receipt:
    """A receipt whose rows agree with each other; `rows` holds the row number of each line."""

    external_id: str
    member: str
    occurred_at: datetime
    currency: str
    store: str
    lines: list[LineInput]
    rows: list[int]
    tender: str = ""


class ReturnedPart(NamedTuple):
    """A row of a return: which line, by its number or by what was sold; how much of it came back.

    With nothing to tell the line by, an amount of the whole receipt is meant.
    """

    line: int | None
    sku: str
    product_type: str
    quantity: str | None
    amount: str | None

    @property
    def whole(self) -> bool:
        """Whether an amount of the whole receipt is meant."""
        return not (self.line or self.sku or self.product_type)


@dataclass(slots=True)
class ReturnReceipt:
    """A return whose rows agree with each other; `purchase` is the external id of what was sold."""

    external_id: str
    member: str
    occurred_at: datetime
    currency: str
    purchase: str
    parts: list[ReturnedPart]
    rows: list[int]


class SeenIds:
    """The receipts met so far as 64-bit digests in one flat table: some 20 bytes for each.

    Two ids share a digest once in 10**12 even among millions; the second would be refused.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 << 12))
        self._count = 0

    def add(self, external_id: str) -> bool:
        """Remember an id; False if it was there already."""
        digest = blake2b(external_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if self._count * 5 >= len(self._slots) * 3:
            self._grow()
        return self._put(self._slots, int.from_bytes(digest, "little") or 1)

    def _put(self, slots: array[int], value: int) -> bool:
        mask = len(slots) - 1
        place = value & mask
        while (found := slots[place]) != 0:
            if found == value:
                return False
            place = (place + 1) & mask
        slots[place] = value
        self._count += 1
        return True

    def _grow(self) -> None:
        old, self._count = self._slots, 0
        self._slots = array("Q", bytes(16 * len(old)))
        for value in old:
            if value:
                self._put(self._slots, value)


Found: TypeAlias = Receipt | ReturnReceipt | RowError


#: Where an error's path speaks as the API does, and the file doesn't.
_NAMES = {
    "externalId": "external_id",
    "occurredAt": "occurred_at",
    "productType": "product_type",
    "lines": "line",
    "pointsPaid": "points_paid",
    "kind": "line_kind",
    "purchase": "returns",
}


def located(refusal: Refusal, external_id: str, rows: Sequence[int]) -> RowError:
    """A refusal with the row and column that it means."""
    names = [str(part) for part in refusal.path if isinstance(part, str)]
    # A member's path goes on with the kind of identifier, which the file doesn't name.
    name = "member" if "member" in names else names[-1] if names else "row"
    line = next((part for part in refusal.path if isinstance(part, int)), 0)
    row = rows[min(line, len(rows) - 1)]
    return RowError(row, _NAMES.get(name, name), external_id, refusal.message)


def receipts(source: Source) -> Iterator[Found]:
    """Each receipt or return of a file when its last row is read, or what is wrong with a row."""
    return _Grouping().receipts(source.rows())


class _Grouping:
    """Puts the rows of a receipt together; holds one receipt at a time."""

    def __init__(self) -> None:
        self._seen = SeenIds()
        self._shared: Row = ()
        self._lines: list[LineInput] = []
        self._parts: list[ReturnedPart] = []
        self._places: list[int] = []
        self._rows: list[int] = []
        self._returning = False
        self._error: RowError | None = None
        self._unplaced: RowError | None = None

    def receipts(self, rows: Rows) -> Iterator[Found]:
        """Each receipt when its last row is read, or what is wrong with it."""
        current: str | None = None
        started = False
        for number, row in rows:
            if isinstance(row, Broken):
                external_id = row.external_id
                error = RowError(number, row.field, external_id or "", row.reason)
                if external_id is None:
                    yield error
                    self._unplaced = error
                    continue
                shared: Row = (external_id,)
                returning = self._returning and external_id == current
            else:
                error, external_id, shared = None, row[0], row[:_SHARED]
                returning = row[_KIND] == "return"
            # A return may bear the very number of its purchase.
            if external_id != current or returning is not self._returning or not external_id:
                if started:
                    yield self._finish()
                current, started = external_id, True
                self._start(number, shared, returning)
            elif self._unplaced is not None:
                self._fail(number, "external_id", "an unreadable row stands within this receipt")
            if isinstance(row, Broken):
                self._error = self._error or error
            elif self._error is None:
                self._add(number, row, shared)
        if started:
            yield self._finish()

    def _start(self, number: int, shared: Row, returning: bool) -> None:
        self._shared, self._lines, self._rows, self._places = shared, [], [], []
        self._parts, self._returning = [], returning
        self._error = self._unplaced = None
        external_id = shared[0]
        if not external_id:
            self._fail(number, "external_id", "there is none")
        elif not self._seen.add(f"{external_id}\0return" if returning else external_id):
            self._fail(
                number, "external_id",
                "this receipt stood further up already; the rows of one stand together",
            )  # fmt: skip
        elif len(shared) == _SHARED:
            self._check_kind(number, shared[_KIND], shared[6])

    def _check_kind(self, number: int, kind: str | None, returns: str | None) -> None:
        if kind == "return":
            if not returns:
                self._fail(number, "returns", "a return names the purchase that it belongs to")
        elif kind not in (None, "", "purchase"):
            self._fail(number, "kind", f"{kind!r:.40} is neither purchase nor return")
        elif returns:
            self._fail(number, "returns", "a purchase returns nothing; its kind would be return")

    def _fail(self, number: int, field_: str, reason: str) -> None:
        if self._error is None:
            self._error = RowError(number, field_, str(self._shared[0] or "")[:200], reason)
            self._lines, self._rows = [], []

    def _add(self, number: int, row: Row, shared: Row) -> None:
        if shared != self._shared:
            pairs = zip(COLUMNS, shared, self._shared, strict=False)
            name = next((n for n, a, b in pairs if a != b), "external_id")
            self._fail(number, name, "differs from the first row of this receipt")
            return
        if self._returning:
            self._add_part(number, row)
            return
        product_type, sku, quantity, amount, line, discount, tax, paid, kind = row[_SHARED:]
        if amount is None or amount == "":
            self._fail(number, "amount", "there is none")
            return
        if line:
            place = self._place(number, line)
            if place is None:
                return
            self._places.append(place)
        if len(self._lines) == MAX_LINES:
            self._fail(number, "line", f"this receipt has more than {MAX_LINES} lines")
            return
        self._rows.append(number)
        self._lines.append(
            LineInput(
                product_type or "", amount, quantity or "1", sku or "", discount or "0", tax or "0",
                paid or None, kind or "goods",
            )
        )  # fmt: skip

    def _add_part(self, number: int, row: Row) -> None:
        product_type, sku, quantity, amount, line = row[_SHARED:][:5]
        if quantity and not quantity.strip("0."):
            quantity = None
        if not quantity and not amount:
            self._fail(number, "quantity", "neither a quantity nor an amount came back")
            return
        if len(self._parts) == MAX_LINES:
            self._fail(number, "line", f"this return has more than {MAX_LINES} rows")
            return
        place = self._place(number, line) if line else None
        named = bool(line or sku or product_type)
        if not named and (self._parts or not amount):
            self._fail(
                number, "line",
                "what came back isn't named: by line, sku or product_type; an amount of the whole "
                "receipt stands alone",
            )  # fmt: skip
        if self._parts and self._parts[0].whole:
            self._fail(number, "line", "an amount of the whole receipt stands alone")
        if self._error is None:
            self._rows.append(number)
            # A till prints both: the goods tell what came back, and their price says no more.
            by_goods = named and bool(quantity)
            self._parts.append(
                ReturnedPart(
                    place, sku or "", product_type or "", quantity if by_goods else None,
                    None if by_goods else amount,
                )
            )  # fmt: skip

    def _place(self, number: int, line: str) -> int | None:
        if not (line.isascii() and line.isdigit() and len(line) < 10) or int(line) < 1:
            self._fail(number, "line", f"{line!r:.40} is no line number from 1")
            return None
        return int(line)

    def _finish(self) -> Found:
        if self._error is not None:
            return self._error
        if self._places:
            order = sorted(range(len(self._places)), key=self._places.__getitem__)
            if len(set(self._places)) < len(order) or len(order) < len(self._rows):
                self._fail(self._rows[0], "line", "two of its lines have one number, or none")
                return self._finish()
            self._lines = [self._lines[i] for i in order]
            self._rows = [self._rows[i] for i in order]
        external_id, member, at, currency, store, _, purchase, tender = self._shared
        instant = _instant(at)
        if isinstance(instant, str):
            return RowError(self._rows[0], "occurred_at", external_id, instant)
        if not member:
            return RowError(self._rows[0], "member", external_id, "there is none")
        if self._returning:
            return ReturnReceipt(
                external_id, member, instant, currency or "", purchase, self._parts, self._rows
            )
        return Receipt(
            external_id,
            member,
            instant,
            currency or "",
            store or "",
            self._lines,
            self._rows,
            tender or "",
        )


def _instant(value: object) -> datetime | str:
    """An instant with its zone, or what is wrong with it."""
    if isinstance(value, int):  # microseconds of a Parquet timestamp that has a zone
        try:
            return _EPOCH + timedelta(microseconds=value)
        except OverflowError:
            return "is no year of trade"
    if not isinstance(value, str) or not value:
        return "there is none"
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError:
        return f"{value!r:.60} is no date and time such as 2026-11-22T09:30:00+03:00"
    if instant.tzinfo is None:
        return f"{value!r:.60} has no time zone, such as +03:00 or Z"
    return instant
