"""The window over which a ladder counts, as its short text says it.

`12M` rolls: it ends now. `calendar 1Y` starts anew with the local year, `anniversary 12M` with the
day on which the member enrolled. Pure: instants in, instants out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import count

from laurels.durations import Duration, add_months, at_local, next_start, start_of, zone
from laurels.errors import DeclarationError, shown

_CALENDAR = re.compile(r"(?:([12346]|12)M|([124])Q|(1)Y|1([DW]))\Z")


class WindowKind(StrEnum):
    """Where a window begins."""

    ROLLING = "rolling"
    CALENDAR = "calendar"
    ANNIVERSARY = "anniversary"


@dataclass(frozen=True, slots=True)
class Window:
    """A length of time, and where it begins. Make one with `Window.parse`."""

    kind: WindowKind
    length: Duration

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read `12M`, `calendar 1Y` (or 1D, 1W, 1M, 1Q …) or `anniversary 12M`.

        Raises DeclarationError.
        """
        if not isinstance(text, str):
            raise DeclarationError(f"a text is wanted, not {shown(text)}")
        kind, _, rest = text.rpartition(" ")
        if kind == WindowKind.CALENDAR:
            return cls(WindowKind.CALENDAR, _calendar(rest))
        length = Duration.parse(rest)
        if length.rounding:
            raise DeclarationError(f"{shown(text)}: a window isn't rounded")
        if not kind:
            return cls(WindowKind.ROLLING, length)
        if kind != WindowKind.ANNIVERSARY:
            raise DeclarationError(
                f"{shown(text)} is no window: it reads 12M, calendar 1Y or anniversary 12M"
            )
        if length.unit == "h":
            raise DeclarationError(f"{shown(text)}: an anniversary is counted in days or longer")
        return cls(WindowKind.ANNIVERSARY, length)

    def begins(self, at: datetime, time_zone: str) -> datetime:
        """Where a rolling window that ends at an instant begins, or the calendar's period of it."""
        if self.kind is WindowKind.ROLLING:
            return self.length.before(at, time_zone)
        return self.period(at, time_zone, at)[0]

    def period(self, at: datetime, time_zone: str, anchor: datetime) -> tuple[datetime, datetime]:
        """The period that `at` lies in: from its start, up to the start of the next.

        Of a calendar or an anniversary window; `anchor` is when the member enrolled, whose local
        day begins a period. Periods before it are counted back from there.
        """
        local = at.astimezone(zone(time_zone)).replace(tzinfo=None)
        if self.kind is WindowKind.CALENDAR:
            unit, months = self.length.unit, self.length.count
            if unit in "DW":
                return start_of(at, unit, time_zone), next_start(at, unit, time_zone)
            first = datetime(local.year, (local.month - 1) // months * months + 1, 1)  # noqa: DTZ001
            return at_local(first, time_zone), at_local(add_months(first, months), time_zone)
        day = anchor.astimezone(zone(time_zone)).replace(
            tzinfo=None, hour=0, minute=0, second=0, microsecond=0
        )
        guess = self._periods(day, local) - 1
        for n in count(guess):
            end = at_local(self._start(day, n + 1), time_zone)
            if at < end:
                return at_local(self._start(day, n), time_zone), end
        raise AssertionError("time goes on")

    def _periods(self, day: datetime, local: datetime) -> int:
        """How many periods lie between, at most one too many."""
        if self.length.unit in "DW":
            return (local - day).days // self._days
        months = (local.year - day.year) * 12 + local.month - day.month
        return months // self._months

    def _start(self, day: datetime, n: int) -> datetime:
        # Each counted from the anchor, not from the one before: 29 February comes back.
        if self.length.unit in "DW":
            return day + timedelta(days=n * self._days)
        return add_months(day, n * self._months)

    @property
    def _days(self) -> int:
        return self.length.count * (7 if self.length.unit == "W" else 1)

    @property
    def _months(self) -> int:
        return self.length.count * (12 if self.length.unit == "Y" else 1)


@lru_cache(maxsize=256)
def _calendar(text: str) -> Duration:
    match = _CALENDAR.match(text)
    if match is None:
        raise DeclarationError(
            f"{shown(text)}: a calendar window divides the year: 1M, 2M, 3M, 4M, 6M, 12M, 1Q, 2Q, "
            "4Q or 1Y; or it is each day or week: 1D, 1W"
        )
    months, quarters, _, days = match.groups()
    if days:
        return Duration(1, days)
    return Duration(int(months) if months else 3 * int(quarters) if quarters else 12, "M")
