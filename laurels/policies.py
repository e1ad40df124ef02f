"""When points become active and when they expire, as a currency's terms say it.

Each is made of a short text, which is what is stored and shown. Pure: an instant in, instants out.
The kinds are the field's (Voucherify's wallet policies, Talon.One's pending points); a date means
the end of that local day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from laurels.durations import Duration, at_local, zone
from laurels.errors import DeclarationError, check_code, shown, within

_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\Z")
_MOST_DATES = 20
#: How long each unit may be, at most: clocks change, months differ.
_HOURS = {"h": 1, "D": 25, "W": 169, "M": 745, "Q": 2209, "Y": 8785}
_DAYS = {"h": 1, "D": 1, "W": 7, "M": 31, "Q": 92, "Y": 366}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
#: And in days at least.
_FEWEST_DAYS = {"D": 1, "W": 7, "M": 28, "Y": 365}


class Renewal(StrEnum):
    """What may renew sliding points."""

    EARNING = "earning"
    SPENDING = "spending"
    RETURNING = "returning"


class Returns(StrEnum):
    """How far a return may reach for points that were earned by what came back."""

    PENDING = "pending"
    WITHIN_BALANCE = "within-balance"
    ARREARS = "arrears"


class Day(NamedTuple):
    """A day of each year; one that a month doesn't have is its last."""

    month: int
    day: int

    @classmethod
    def parse(cls, text: str) -> Day:
        """Read `12-31`. Raises DeclarationError."""
        match = _DAY.match(text)
        if match is None:
            raise DeclarationError(f"{shown(text)} is no day of the year, such as 12-31")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.month:02}-{self.day:02}"

    def of(self, year: int) -> datetime:
        """Its midnight in that year, as the clock on the wall has it."""
        for day in range(self.day, 27, -1):
            try:
                return datetime(year, self.month, day)  # noqa: DTZ001  # wall-clock time
            except ValueError:
                continue
        return datetime(year, self.month, self.day)  # noqa: DTZ001  # wall-clock time


def _lasting(text: str) -> Duration:
    """Read a duration that ends after it began, whenever that is. Raises DeclarationError."""
    duration = Duration.parse(text)
    count, unit, to = duration.count, duration.unit, duration.to or duration.unit
    if unit == "h":
        long = count >= _HOURS[to]
    elif unit in _MONTHS and to in _MONTHS:
        long = count * _MONTHS[unit] >= _MONTHS[to]
    else:
        long = count * _FEWEST_DAYS[unit] >= _DAYS[to]
    if duration.rounding == "D" and not long:
        raise DeclarationError(f"{shown(text)}: rounded down to its {to} it may end at once")
    return duration


def _words(text: object) -> list[str]:
    return text.split() if isinstance(text, str) else []


def _days(text: str) -> tuple[Day, ...]:
    days = tuple(sorted(Day.parse(word) for word in text.split()))
    if not 1 <= len(days) <= _MOST_DATES or len(set(days)) < len(days):
        raise DeclarationError(f"{shown(text)}: 1 to {_MOST_DATES} different days are wanted")
    return days


def _next(days: tuple[Day, ...], at: datetime, time_zone: str, *, end: bool) -> datetime:
    """The first start (or end) of one of these days strictly after an instant."""
    year = at.astimezone(zone(time_zone)).year
    for candidate in range(year, year + 3):
        for day in days:
            local = day.of(candidate) + timedelta(days=1 if end else 0)
            instant = at_local(local, time_zone)
            if instant > at:
                return instant
    raise AssertionError("a day of the year comes within two years")


@dataclass(frozen=True, slots=True)
class Pending:
    """How long points earned can't be spent yet. Make one with `Pending.parse`.

    Exactly one of: a duration from earning, the next of some days, or an event that the partner
    reports (`event`) within a duration; not reported by then, the points lapse.
    """

    after: Duration | None = None
    days: tuple[Day, ...] = ()
    event: str = ""
    within: Duration | None = None

    @classmethod
    def parse(cls, text: str) -> Pending:
        """Read `14D`, `on 04-01 10-01` or `until shipped within 30D`. Raises DeclarationError."""
        words = _words(text)
        match words:
            case ["on", *days] if days:
                return cls(days=_days(" ".join(days)))
            case ["until", event, "within", duration]:
                check_code("pending", event)
                return cls(event=event, within=_lasting(duration))
            case [duration]:
                return cls(after=_lasting(duration))
        raise DeclarationError(
            f"{shown(text)}: it reads 14D, on 04-01 10-01, or until EVENT within 30D"
        )

    def __str__(self) -> str:
        if self.days:
            return "on " + " ".join(map(str, self.days))
        return f"until {self.event} within {self.within}" if self.event else str(self.after)

    def active_at(self, at: datetime, time_zone: str) -> datetime | None:
        """When points earned at `at` become active; None while an event is awaited."""
        if self.days:
            return _next(self.days, at, time_zone, end=False)
        return None if self.after is None else self.after.after(at, time_zone)

    def lapses_at(self, at: datetime, time_zone: str) -> datetime | None:
        """When points earned at `at` lapse if the event hasn't come; None where none is awaited."""
        return None if self.within is None else self.within.after(at, time_zone)


@dataclass(frozen=True, slots=True)
class Expiry:
    """How long active points last. Make one with `Expiry.parse`.

    A duration from activation, or the end of the next of some days; `slides_on` names the
    activities that make it begin anew.
    """

    after: Duration | None = None
    days: tuple[Day, ...] = ()
    slides_on: frozenset[Renewal] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Expiry:
        """Read `12M_U`, `on 12-31` or `sliding 6M on earning spending`. Raises DeclarationError."""
        words = _words(text)
        match words:
            case ["on", *days] if days:
                return cls(days=_days(" ".join(days)))
            case ["sliding", duration, "on", *kinds] if kinds:
                return cls(_lasting(duration), (), frozenset(map(_activity, kinds)))
            case [duration]:
                return cls(_lasting(duration))
        raise DeclarationError(
            f"{shown(text)}: it reads 12M_U, on 12-31, or sliding 6M on earning spending"
        )

    def __str__(self) -> str:
        if self.days:
            return "on " + " ".join(map(str, self.days))
        if self.slides_on:
            return f"sliding {self.after} on {' '.join(sorted(self.slides_on))}"
        return str(self.after)

    def expires_at(self, active_at: datetime, time_zone: str) -> datetime:
        """The first instant at which points active since then, or renewed then, are gone."""
        if self.after is None:
            return _next(self.days, active_at, time_zone, end=True)
        return self.after.after(active_at, time_zone)


def _activity(word: str) -> Renewal:
    try:
        return Renewal(word)
    except ValueError:
        raise DeclarationError(
            f"{shown(word)}: what renews points is {', '.join(Renewal)}"
        ) from None


class Life(NamedTuple):
    """A lot's instants as they are when it opens; None: not (yet) known, or never."""

    active_at: datetime | None
    expires_at: datetime | None
    lapses_at: datetime | None


@dataclass(frozen=True, slots=True)
class Policy:
    """All that a currency says of the life of its points, in its time zone.

    `grace` is how long points last that come back (a hold released, a redemption reversed) after
    their lot has expired; None: not at all.
    """

    pending: Pending | None = None
    expires: Expiry | None = None
    returns: Returns = Returns.ARREARS
    grace: Duration | None = None
    time_zone: str = "UTC"

    @classmethod
    def parse(
        cls,
        pending: str | None,
        expires: str | None,
        returns: str = Returns.ARREARS,
        grace: str | None = None,
        time_zone: str = "UTC",
    ) -> Policy:
        """Make one of its texts. Raises DeclarationError."""
        try:
            how = Returns(returns)
        except ValueError:
            raise DeclarationError(
                f"returns: {shown(returns)}: it is {', '.join(Returns)}"
            ) from None
        zone(time_zone)
        return cls(
            None if pending is None else within("pending", Pending.parse, pending),
            None if expires is None else within("expires", Expiry.parse, expires),
            how,
            None if grace is None else within("grace", _lasting, grace),
            time_zone,
        )

    def texts(self) -> tuple[str | None, str | None, str, str | None, str]:
        """What `parse` takes, in its order."""
        pending, expires, grace = (
            None if x is None else str(x) for x in (self.pending, self.expires, self.grace)
        )
        return pending, expires, str(self.returns), grace, self.time_zone

    def life(self, at: datetime, *, held: bool = True) -> Life:
        """The instants of points credited at `at`; `held` False passes over pending."""
        if self.pending is None or not held:
            return Life(at, self.expiry(at), None)
        active_at = self.pending.active_at(at, self.time_zone)
        return Life(
            active_at,
            None if active_at is None else self.expiry(active_at),
            self.pending.lapses_at(at, self.time_zone),
        )

    def expiry(self, active_at: datetime) -> datetime | None:
        """When points active since then expire; None: never."""
        return None if self.expires is None else self.expires.expires_at(active_at, self.time_zone)

    def graced(self, at: datetime) -> datetime | None:
        """When points expire that come back at `at` to a lot that had expired; None: at once."""
        return None if self.grace is None else self.grace.after(at, self.time_zone)
