"""Reads a file of codes, one a line, into a reward's pool: streamed, and safe to run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from core.posting import Engine
from core.vouchers import MOST_CODES, BadCode, find_pool, import_codes

#: As many bad lines are kept to be told; the rest are counted.
MOST_TOLD = 20
#: Told how many bytes have been read, and of how many.
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class CodesReport:
    """What became of the lines of a file; the first of the bad ones with their reasons."""

    added: int = 0
    known: int = 0
    refused: int = 0
    told: list[BadCode] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.added:,} codes added, {self.known:,} known before, {self.refused:,} refused"


def _lines(file: Path) -> Iterator[tuple[str, int]]:
    """Each line as text, with the bytes it took. What isn't UTF-8 is refused later, as a line."""
    with file.open("rb") as lines:
        for n, raw in enumerate(lines):
            text = raw.decode("utf-8", "surrogateescape")
            yield text.removeprefix("\ufeff") if n == 0 else text, len(raw)


def _size(file: Path) -> int:
    return file.stat().st_size


async def import_file(
    engine: Engine, file: Path, partner: str, reward: str, now: datetime, progress: Progress
) -> CodesReport:
    """Import a file, so many lines a transaction; empty lines don't count.

    Raises UnknownReference or BadInput where the partner or the reward takes no codes.
    """
    find_pool(engine, partner, reward)
    report, line, done, total = CodesReport(), 1, 0, _size(file)
    rest = _lines(file)
    while batch := list(islice(rest, MOST_CODES)):
        found = await import_codes(engine, partner, reward, [text for text, _ in batch], now, line)
        report.added += found.added
        report.known += found.known
        bad = [b for b in found.refused if batch[b.line - line][0].strip()]
        report.refused += len(bad)
        report.told += bad[: MOST_TOLD - len(report.told)]
        line += len(batch)
        done += sum(size for _, size in batch)
        progress(done, total)
    return report
