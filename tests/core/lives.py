"""Lives: a slow oracle of tiers that looks at every day, and pasts for it to live through.

Holds no test.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from core.judging import TierMove
from core.measures import Qualified
from core.rulebook import LadderTerms
from laurels import Ladder, Tier, visits

T0 = datetime(2023, 10, 20, 3, 30, tzinfo=UTC)
DAY = timedelta(days=1)
STEPS = (0, 100, 250, 600)
ZONES = ["UTC", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu"]
#: Without summer time: elsewhere an hour that comes twice tells the plain measure from a judgment.
STEADY = ["UTC", "Asia/Kathmandu"]


def terms(
    window: str | None,
    zone: str = "UTC",
    hold: str | None = None,
    grace: str | None = None,
    soft: bool = False,
    kept: int | None = None,
) -> LadderTerms:
    """A ladder of visits; tier `kept` is never taken."""
    tiers = [Tier(f"t{n}", at, never_down=n == kept) for n, at in enumerate(STEPS)]
    ladder = Ladder(
        "x", visits(), tiers, window, hold=hold, grace=grace, soft_landing=soft, time_zone=zone
    )
    return LadderTerms(1, ladder, zone, None)


def local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def instant(wall: datetime, zone: str) -> datetime:
    return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def months_on(wall: datetime, months: int) -> datetime:
    n = wall.year * 12 + wall.month - 1 + months
    year, month = n // 12, n % 12 + 1
    return wall.replace(year=year, month=month, day=min(wall.day, monthrange(year, month)[1]))


def moved(at: datetime, text: str, zone: str, sign: int = 1) -> datetime:
    """The instant so long after (or before): `30D`, `2M`, or `2M_U`, up to the next month."""
    text, _, rounding = text.partition("_")
    number, unit, wall = int(text[:-1]), text[-1], local(at, zone)
    if unit == "D":
        wall += sign * number * DAY
    else:
        wall = months_on(wall, sign * number * (12 if unit == "Y" else 1))
    if rounding:
        wall = months_on(wall.replace(day=1, hour=0, minute=0, second=0, microsecond=0), 1)
    return instant(wall, zone)


def period_start(window: str, at: datetime, zone: str, enrolled: datetime) -> datetime:
    kind, _, length = window.partition(" ")
    wall = local(at, zone)
    if kind == "calendar":
        months = {"1M": 1, "1Q": 3, "1Y": 12}[length]
        month = 1
        while month + months <= wall.month:
            month += months
        return instant(datetime(wall.year, month, 1), zone)  # noqa: DTZ001
    day = local(enrolled, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    months, n = int(length[:-1]), 0
    while instant(months_on(day, n * months), zone) > at:
        n -= 1
    while instant(months_on(day, (n + 1) * months), zone) <= at:
        n += 1
    return instant(months_on(day, n * months), zone)


def level(points: int) -> int:
    return sum(points >= at for at in STEPS) - 1


@dataclass
class Life:
    """One member's ranks on one ladder, lived through."""

    ladder: LadderTerms
    rows: Sequence[Qualified]
    enrolled: datetime
    rank: int = 0
    kept: int = 0
    held: datetime | None = None
    falls: datetime | None = None
    moves: list[TierMove] = field(default_factory=list)

    @property
    def zone(self) -> str:
        return self.ladder.time_zone

    def start(self, at: datetime) -> datetime:
        window = self.ladder.ladder.window
        assert window is not None
        return period_start(window, at, self.zone, self.enrolled)

    def sum(self, since: datetime, until: datetime, known: datetime) -> int:
        """Dated from `since` (with it) to before `until`, and counting at `known`."""
        return sum(r.amount for r in self.rows if since <= r.at < until and r.counts_from <= known)

    def measure(self, at: datetime) -> int:
        tick = timedelta(microseconds=1)
        window = self.ladder.ladder.window
        if window is None:
            return self.sum(T0 - 9999 * DAY, at + tick, at)
        if " " in window:
            return self.sum(self.start(at), at + tick, at)
        return self.sum(moved(at, window, self.zone, -1) + tick, at + tick, at)

    def carried(self, at: datetime) -> int:
        if self.ladder.period is None:
            return level(self.measure(at))
        if self.falls is None:
            begun = self.start(at - timedelta(microseconds=1))
            return level(self.sum(begun, at, at))
        begun = self.start(self.start(at) - timedelta(microseconds=1))
        return max(level(self.measure(at)), level(self.sum(begun, self.start(at), self.start(at))))

    def is_review(self, at: datetime) -> bool:
        if self.falls is not None:
            return at == self.falls
        wall = local(at, self.zone)
        midnight = at == instant(wall.replace(hour=0, minute=0, second=0, microsecond=0), self.zone)
        if self.ladder.period is not None:
            return at == self.start(at)
        hold = self.ladder.ladder.hold
        if hold is not None:
            return midnight and self.held is not None and at >= moved(self.held, hold, self.zone)
        return midnight

    def move(self, at: datetime, rank: int) -> None:
        self.moves.append(TierMove(1, at, self.rank, rank))
        self.rank, self.held, self.falls = rank, at, None
        for place, tier in enumerate(self.ladder.ladder.tiers):
            if tier.never_down and place <= rank:
                self.kept = max(self.kept, place)

    def review(self, at: datetime) -> None:
        carried, grace = self.carried(at), self.ladder.ladder.grace
        if carried >= self.rank:
            self.held, self.falls = at, None
        elif self.falls is None and grace is not None:
            self.falls = moved(at, grace, self.zone)
        else:
            least = self.rank - 1 if self.ladder.ladder.soft_landing else 0
            self.move(at, max(carried, self.kept, least))

    def live(self, until: datetime) -> Life:
        if not self.rows:
            return self
        rises = {r.at for r in self.rows if r.amount > 0}
        day = local(min(r.at for r in self.rows), self.zone)
        day = day.replace(hour=0, minute=0, second=0, microsecond=0)
        todo = set(rises)
        while (at := instant(day, self.zone)) <= until:
            todo.add(at)
            day += DAY
        done: set[datetime] = set()
        while todo - done:
            at = min(todo - done)
            done.add(at)
            if at > until:
                break
            if self.rank > self.kept and self.is_review(at):
                self.review(at)
                if self.falls is not None:
                    todo.add(self.falls)
            if at in rises:
                reached = level(self.measure(at))
                if reached > self.rank:
                    self.move(at, reached)
                elif reached == self.rank and self.falls is not None:
                    self.held, self.falls = at, None
        return self


WINDOWS = ["3D", "30D", "1M", "12M", "calendar 1M", "calendar 1Q", "calendar 1Y",
           "anniversary 1M", "anniversary 12M", None]  # fmt: skip


@st.composite
def ladders(draw: st.DrawFn, zones: Sequence[str] = tuple(ZONES)) -> LadderTerms:
    window = draw(st.sampled_from(WINDOWS))
    rolls = window is not None and " " not in window
    return terms(
        window,
        draw(st.sampled_from(zones)),
        draw(st.sampled_from([None, None, "5D", "2M", "2M_U"])) if rolls else None,
        draw(st.sampled_from([None, None, "2D", "1M", "1M_U", "40D"])),
        draw(st.booleans()),
        draw(st.sampled_from([None, None, 1, 2])),
    )


# Whole half hours make ties and edges likely.
GAPS = st.one_of(
    st.integers(0, 60), st.integers(0, 48 * 40), st.sampled_from([48 * 28, 48 * 31, 48 * 365])
)
BOUGHT = st.tuples(GAPS, st.sampled_from([1, 60, 100, 150, 250]), st.booleans(), GAPS)


@st.composite
def pasts(draw: st.DrawFn, most: int = 10) -> list[Qualified]:
    """Purchases, some of which come back in whole or in part, later or at once."""
    at, rows = T0, []
    for gap, amount, returned, later in draw(st.lists(BOUGHT, max_size=most)):
        at += timedelta(minutes=30 * gap)
        rows.append(Qualified(at, at, amount))
        if returned:
            back = at + timedelta(minutes=30 * later)
            rows.append(Qualified(at, back, -max(1, amount * draw(st.sampled_from([1, 2])) // 2)))
    return [r for n, r in enumerate(rows) if not (r.at == r.counts_from and r.amount < 0)]


LATER = st.integers(0, 48 * 500).map(lambda n: timedelta(minutes=30 * n))
ENROLLED = st.sampled_from(
    [
        T0,
        T0 + 200 * DAY,
        datetime(2024, 2, 29, 14, tzinfo=UTC),
        datetime(2020, 8, 31, 22, tzinfo=UTC),
    ]
)


def last(rows: Sequence[Qualified]) -> datetime:
    return max([T0, *(r.at for r in rows)])
