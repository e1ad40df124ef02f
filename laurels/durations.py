"""Durations of the programme's terms: `12h`, `30D`, `12M`, `1Y`, rounded `_D` down or `_U` up.

A rounding may name its unit: `12M_UY` ends with the year, `12M_UQ` with the quarter.

Knows nothing of policies: it moves an instant forth or back in a time zone, no more. Semantics
(DESIGN, "Time"; the grammar is Talon.One's): h is exact; D, W, M, Y keep the local time of day,
and M and Y clamp to the month's end. A local time that doesn't exist moves forward.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from laurels.errors import DeclarationError, shown

_FORM = re.compile(r"([0-9]{1,4})([hDWMY])(?:_([DU])([hDWMQY]?))?\Z")
_MOST = {"h": 9999, "D": 9999, "W": 1500, "M": 1200, "Y": 100}


def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name. Raises DeclarationError."""
    if not isinstance(name, str):
        raise DeclarationError(f"{shown(name)} is no IANA time zone")
    return _zone(name)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise DeclarationError(f"{shown(name)} is no IANA time zone") from None


def _match(text: object) -> re.Match[str] | None:
    return _FORM.match(text) if isinstance(text, str) else None


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time as a person means it. Make one with `Duration.parse`."""

    count: int
    unit: str
    rounding: str = ""
    to: str = ""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read `30D`, `12M_U` and the like. Raises DeclarationError."""
        match = _match(text)
        if match is None:
            raise DeclarationError(
                f"{shown(text)} is no duration: a whole number and h, D, W, M or Y, then "
                "perhaps _D (down to the unit's start) or _U (up to the next unit's start), then "
                "perhaps the unit to round to: 12M_UQ"
            )
        count, unit, rounding = int(match[1]), match[2], match[3] or ""
        to = match[4] or ""
        if not 1 <= count <= _MOST[unit]:
            raise DeclarationError(f"{text!r} is no duration: from 1{unit} to {_MOST[unit]}{unit}")
        return cls(count, unit, rounding, "" if to == unit else to)

    def __str__(self) -> str:
        return f"{self.count}{self.unit}" + (f"_{self.rounding}{self.to}" if self.rounding else "")

    def after(self, instant: datetime, time_zone: str) -> datetime:
        """The instant (in UTC) this long after `instant` in `time_zone`, rounded as it says."""
        return _moved(self, _utc(instant), time_zone, 1)

    def before(self, instant: datetime, time_zone: str) -> datetime:
        """The instant this long before `instant`: where a window that ends there begins."""
        return _moved(self, _utc(instant), time_zone, -1)


# The same instants come again and again: a request's for each ladder, a day's start for everybody.
# In UTC: of the two equal times of an hour that comes twice in a zone a cache would know but one,
# and Python adds to a time in a zone by the clock on the wall, not exactly.
@lru_cache(maxsize=4096)
def _moved(by: Duration, moved: datetime, time_zone: str, sign: int) -> datetime:
    days = sign * by.count * (7 if by.unit == "W" else 1)
    if by.unit == "h":
        moved += timedelta(hours=sign * by.count)
    elif time_zone == "UTC" and by.unit in "DW":
        moved += timedelta(days=days)
    else:
        local = moved.astimezone(zone(time_zone)).replace(tzinfo=None)
        if by.unit in "DW":
            local += timedelta(days=days)
        else:
            local = add_months(local, sign * by.count * (12 if by.unit == "Y" else 1))
        moved = at_local(local, time_zone)
    if by.rounding == "D":
        return start_of(moved, by.to or by.unit, time_zone)
    return next_start(moved, by.to or by.unit, time_zone) if by.rounding else moved


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"an instant has a time zone: {instant}")
    return instant.astimezone(UTC)


def add_months(local: datetime, months: int) -> datetime:
    """The wall-clock time so many months on, clamped to the month's end."""
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = local.day
    if day > 28:
        day = min(day, calendar.monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day)


def at_local(local: datetime, time_zone: str) -> datetime:
    """The UTC instant of a local wall-clock time; one that doesn't exist moves forward."""
    if time_zone == "UTC":
        return local.replace(tzinfo=UTC)
    # fold=0 reads a time in the gap with the offset before it: the same distance after the gap.
    return local.replace(tzinfo=zone(time_zone), fold=0).astimezone(UTC)


def next_start(instant: datetime, unit: str, time_zone: str) -> datetime:
    """The start of the unit after the one that `instant` is in; see `start_of`."""
    start = start_of(instant, unit, time_zone)
    if unit == "h":
        return start + timedelta(hours=1)
    length = Duration(3, "M") if unit == "Q" else Duration(1, unit)
    # Where clocks skip midnight a day starts at 1:00; the next one starts at midnight again.
    return start_of(length.after(start, time_zone), unit, time_zone)


def start_of(instant: datetime, unit: str, time_zone: str) -> datetime:
    """The start of the hour, day, (ISO) week, month, quarter (Q) or year of `instant`, in UTC."""
    return _start_of(_utc(instant), unit, time_zone)


@lru_cache(maxsize=4096)
def _start_of(instant: datetime, unit: str, time_zone: str) -> datetime:
    local = instant.astimezone(zone(time_zone))
    if unit == "h":
        # Keeps the fold: of the two hours from 2:00 to 3:00 in autumn, the one that it is in.
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    midnight = local.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    if unit == "W":
        midnight -= timedelta(days=midnight.weekday())
    elif unit == "M":
        midnight = midnight.replace(day=1)
    elif unit == "Q":
        midnight = midnight.replace(month=(midnight.month - 1) // 3 * 3 + 1, day=1)
    elif unit == "Y":
        midnight = midnight.replace(month=1, day=1)
    return at_local(midnight, time_zone)
