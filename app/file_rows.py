"""Reads CSV, JSON Lines and Parquet row by row, whatever the columns are called there.

Bounded: an overlong line is passed over unread, Parquet comes in small batches. A row that can't
be read is handed on as `Broken`. It must not know what a receipt is (`app.readers` does).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # it brings no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it brings no types

from core.errors import BadInput

#: The columns by our names, in the order of a `Row`.
COLUMNS = (
    "external_id", "member", "occurred_at", "currency", "store", "kind", "returns", "tender",
    "product_type", "sku", "quantity", "amount", "line", "discount", "tax", "points_paid",
    "line_kind",
)  # fmt: skip
REQUIRED = ("external_id", "member", "occurred_at", "currency", "product_type", "amount")
#: Longer than any honest row; the rest of such a line is passed over unread.
_MAX_ROW = 1 << 18
_PARQUET_ROWS = 4096
_ID_IN_BROKEN_JSON = rb'"%b"\s*:\s*"?([^",}\\]{1,200})'

#: Texts as they stand in the file, None where there is none; an instant may come as microseconds.
Row: TypeAlias = Sequence[Any]


class Broken(NamedTuple):
    """A row that can't be read at all; the receipt it belongs to is named where it can be told."""

    field: str
    reason: str
    external_id: str | None


Rows: TypeAlias = Iterator[tuple[int, "Row | Broken"]]


@dataclass(slots=True)
class Source:
    """A file of receipts; iterate it once. `done` of `total` tells how far it is read."""

    path: Path
    mapping: Mapping[str, str] = field(default_factory=dict)
    done: int = 0
    total: int = 1

    def rows(self) -> Rows:
        """Each row with its number. Raises BadInput where the file as a whole can't be read."""
        read = _READERS.get(self.path.suffix.lower())
        if read is None:
            raise BadInput(
                f"{self.path.name}: the name ends in {', '.join(sorted(_READERS))}", "file"
            )
        unknown = [name for name in self.mapping if name not in COLUMNS]
        if unknown:
            raise BadInput(
                f"{unknown[0]!r:.60} is no column to map; there are {', '.join(sorted(COLUMNS))}",
                "map",
            )
        try:
            yield from read(self)
        except OSError as error:
            raise BadInput(f"{self.path.name}: {error.strerror or error}", "file") from error

    def places(self, names: Sequence[str]) -> list[int | None]:
        """Where each of COLUMNS stands among the file's own names. Raises BadInput."""
        found: list[int | None] = []
        for column in COLUMNS:
            name = self.mapping.get(column, column)
            if names.count(name) > 1:
                raise BadInput(f"the column {name!r:.60} stands there twice", "file", column)
            if name in names:
                found.append(names.index(name))
            elif column in REQUIRED or column in self.mapping:
                raise BadInput(f"there is no column {name!r:.60} for {column}", "file", column)
            else:
                found.append(None)
        return found


def _text_lines(source: Source, file: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Each line with its number, and whether it was too long (only its start is kept)."""
    number = 0
    while line := file.readline(_MAX_ROW):
        number += 1
        source.done += len(line)
        long = False
        while len(line) == _MAX_ROW and not line.endswith(b"\n"):
            rest = file.readline(_MAX_ROW)
            source.done += len(rest)
            long = long or bool(rest.strip())
            if len(rest) < _MAX_ROW or rest.endswith(b"\n"):
                break
        yield number, line, long


def _fields(text: str) -> list[str]:
    """The fields of one line of CSV. A quote left open costs that row alone."""
    return next(csv.reader((text,), strict=True), [])


def _csv(source: Source) -> Rows:
    source.total = max(1, source.path.stat().st_size)
    with source.path.open("rb") as file:
        lines = _text_lines(source, file)
        header: list[str] = []
        for _, raw, long in lines:
            header = _header(raw, long)
            if header:
                break
        places = source.places(header)
        for number, raw, long in lines:
            if not raw.strip():
                continue
            yield number, _csv_row(raw, long, header, places)


def _header(raw: bytes, long: bool) -> list[str]:
    try:
        return [] if long else [x.strip() for x in _fields(raw.decode("utf-8-sig").rstrip("\r\n"))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"row 1: the header is no CSV in UTF-8: {error}", "file") from error


def _csv_row(raw: bytes, long: bool, header: list[str], places: list[int | None]) -> Row | Broken:
    # What is no UTF-8 becomes a lone surrogate, which the check of that very field then refuses.
    text = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
    at = places[0] or 0
    try:
        fields = _fields(text[:2000] if long else text)
    except csv.Error as error:
        plain = text[:2000].split(",")
        known = plain[at].strip('"') if at < len(plain) else None
        return Broken("row", f"is no CSV: {error}", known or None)
    external_id = fields[at] if at < len(fields) else None
    if long:
        return Broken("row", f"is longer than {_MAX_ROW} bytes", external_id or None)
    if len(fields) != len(header):
        return Broken("row", f"has {len(fields)} fields, not {len(header)}", external_id or None)
    return [None if p is None else fields[p] for p in places]


def _json_lines(source: Source) -> Rows:
    source.total = max(1, source.path.stat().st_size)
    names = [source.mapping.get(column, column) for column in COLUMNS]
    pattern = re.compile(_ID_IN_BROKEN_JSON % re.escape(names[0].encode()))
    with source.path.open("rb") as file:
        for number, raw, long in _text_lines(source, file):
            if raw.strip():
                yield number, _json_row(raw, long, names, pattern)


def _json_row(raw: bytes, long: bool, names: list[str], pattern: re.Pattern[bytes]) -> Row | Broken:
    reason = f"is longer than {_MAX_ROW} bytes"
    if not long:
        try:
            found = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            reason = f"is no JSON: {error}"
        else:
            if isinstance(found, dict):
                return _json_texts(found, names)
            reason = "is no JSON object"
    known = pattern.search(raw)
    return Broken("row", reason, known[1].decode("utf-8", "surrogateescape") if known else None)


def _json_texts(found: dict[str, Any], names: list[str]) -> Row | Broken:
    values: list[Any] = []
    for column, name in zip(COLUMNS, names, strict=True):
        value = found.get(name)
        reason = None
        if isinstance(value, bool | list | dict):
            reason = f"a text or number is wanted, not {value!r:.40}"
        elif value is None and column in REQUIRED and name not in found:
            reason = f"this row has no {name!r:.60}"
        if reason is not None:
            known = found.get(names[0])
            external_id = str(known) if isinstance(known, str | int | float) else None
            return Broken(column, reason, external_id)
        # A number's shortest text is what stood in the file: amounts have 15 digits at most.
        values.append(value if value is None or isinstance(value, str) else repr(value))
    return values


def _parquet(source: Source) -> Rows:
    try:
        with pq.ParquetFile(source.path, pre_buffer=False, memory_map=True) as file:
            yield from _parquet_rows(source, file)
    except pa.ArrowException as error:
        raise BadInput(f"{source.path.name}: {str(error)[:300]}", "file") from error


def _parquet_rows(source: Source, file: pq.ParquetFile) -> Rows:
    source.total = max(1, file.metadata.num_rows)
    names = file.schema_arrow.names
    places = source.places(names)
    wanted = [names[p] for p in places if p is not None]
    for batch in file.iter_batches(_PARQUET_ROWS, columns=wanted):
        columns = [
            [None] * batch.num_rows if p is None else _texts(batch.column(names[p]), column)
            for column, p in zip(COLUMNS, places, strict=True)
        ]
        yield from enumerate(zip(*columns, strict=True), source.done + 1)
        source.done += batch.num_rows


def _texts(values: pa.Array, column: str) -> list[Any]:
    """A column as texts; timestamps with a zone as microseconds, without one as texts."""
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        micros = values.cast(pa.timestamp("us", values.type.tz), safe=False)
        return list(micros.cast(pa.int64()).to_pylist())
    try:
        texts = values.cast(pa.string())
    except pa.ArrowInvalid:  # bytes that are no UTF-8
        raw = values.cast(pa.binary()).to_pylist()
        return [None if x is None else x.decode("utf-8", "surrogateescape") for x in raw]
    except pa.ArrowNotImplementedError as error:
        raise BadInput(f"{column}: a column of {values.type} holds no texts", "file") from error
    return list(texts.to_pylist())


_READERS: Mapping[str, Callable[[Source], Rows]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
