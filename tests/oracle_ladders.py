"""Where a member must stand on a ladder: DESIGN, "Tiers", by adding up everything each time.

A part of `tests.oracle`; knows nothing of the engine. Upgrades come at once; a rank is taken at the
local midnight (rolling and lifetime ladders) or at the end of the calendar's year or month.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from laurels.durations import Duration, next_start, start_of


class Row(NamedTuple):
    """What qualified: dated at the purchase, counting from `counts_from` on."""

    at: datetime
    counts_from: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class LadderModel:
    """Thresholds by rank; the first is 0. `earned` is a currency, or None: the ladder of visits.

    `window` is a duration (rolling), `calendar 1Y` or `calendar 1M`, or None (a lifetime). `soft`:
    at the end of a period a member falls by one level at most.
    """

    thresholds: Sequence[int]
    earned: str | None
    window: str | None = None
    soft: bool = False
    zone: str = "UTC"

    def rank(self, rows: Sequence[Row], at: datetime) -> int:
        """The rank at an instant, by all that is known now."""
        if self._unit:
            return self._in_periods(rows, at)
        since = start_of(at, "D", self.zone)
        return max(self._level(rows, t) for t in _instants(rows, since, at))

    def measure(self, rows: Sequence[Row], at: datetime) -> int:
        """What counts at an instant: in (at - window, at], or in its period so far."""
        known = [r for r in rows if r.at <= at and r.counts_from <= at]
        if self._unit:
            start = start_of(at, self._unit, self.zone)
            return sum(r.amount for r in known if r.at >= start)
        if self.window is None:
            return sum(r.amount for r in known)
        after = Duration.parse(self.window).before(at, self.zone)
        return sum(r.amount for r in known if r.at > after)

    def level(self, points: int) -> int:
        """The highest rank whose threshold that many points reach."""
        return max((n for n, least in enumerate(self.thresholds) if points >= least), default=0)

    def _level(self, rows: Sequence[Row], at: datetime) -> int:
        return self.level(self.measure(rows, at))

    @property
    def _unit(self) -> str:
        return self.window[-1] if self.window and self.window.startswith("calendar") else ""

    def _in_periods(self, rows: Sequence[Row], at: datetime) -> int:
        """What was held at a period's start or reached in it; judged by it when it ends."""
        rank = 0
        start = start_of(min([r.at for r in rows] + [at]), self._unit, self.zone)
        while (end := next_start(start, self._unit, self.zone)) <= at:
            held = max(
                rank, *(self._level(rows, t) for t in _instants(rows, start, end) if t < end)
            )
            closed = [r for r in rows if start <= r.at < end and r.counts_from <= end]
            rank = self.level(sum(r.amount for r in closed))
            if self.soft:
                rank = max(rank, held - 1)
            start = end
        return max(rank, *(self._level(rows, t) for t in _instants(rows, start, at)))


def _instants(rows: Sequence[Row], since: datetime, until: datetime) -> Iterator[datetime]:
    """Every instant from `since` to `until` at which something begins to count."""
    yield since
    yield until
    for row in rows:
        for at in (row.at, row.counts_from):
            if since < at < until:
                yield at
