"""What one ledger must do: DESIGN's rules on a plain list of lots, slow and obvious.

A part of `tests.oracle`; it shares nothing with the engine but calendar arithmetic. Callers catch
up first (`Ledger.catch_up`), so that whatever has happened is booked, each thing at its instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

from laurels.durations import Duration, at_local, zone

Key: TypeAlias = tuple[str, str]  # partner, external id
FAR = datetime(9999, 1, 1, tzinfo=UTC)
ACTIVE, PENDING, RESERVED, ARREARS = range(4)


class Refused(Exception):  # noqa: N818  # it is the answer, not a fault
    """What was asked for can't be: too few points, too much returned, too late."""


class Balance(NamedTuple):
    """A ledger's four figures."""

    active: int
    pending: int
    reserved: int
    arrears: int


class LotView(NamedTuple):
    """What is told of a lot. An event's lot has no `active_at` before the event."""

    amount: int
    remaining: int
    active_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Terms:
    """A currency's policy, in the words that declare it."""

    pending: str | None = None
    expires: str | None = None
    returns: str = "arrears"
    grace: str | None = None
    zone: str = "UTC"

    def activation(self, at: datetime) -> tuple[datetime | None, datetime | None]:
        """(active at, lapses at) of points earned at an instant."""
        words = (self.pending or "").split()
        if not words:
            return at, None
        if words[0] == "on":
            return self._next_midnight(words[1:], at, timedelta(0)), None
        if words[0] == "until":
            return None, Duration.parse(words[3]).after(at, self.zone)
        return Duration.parse(words[0]).after(at, self.zone), None

    def end(self, active_at: datetime) -> datetime | None:
        """When points that are active from an instant on expire."""
        words = (self.expires or "").split()
        if not words:
            return None
        if words[0] == "on":
            return self._next_midnight(words[1:], active_at, timedelta(days=1))
        return Duration.parse(words[words[0] == "sliding"]).after(active_at, self.zone)

    def slides(self, activity: str) -> bool:
        """Whether such an activity renews the points."""
        words = (self.expires or "").split()
        return words[:1] == ["sliding"] and activity in words[3:]

    def _next_midnight(self, dates: Iterable[str], after: datetime, plus: timedelta) -> datetime:
        year = after.astimezone(zone(self.zone)).year
        starts = [
            at_local(datetime.fromisoformat(f"{y}-{date}") + plus, self.zone)
            for y in (year - 1, year, year + 1)
            for date in dates
        ]
        return min(t for t in starts if t > after)


@dataclass(slots=True, eq=False)
class Lot:
    """What is left of one credit; `gone` is what expired or lapsed of it."""

    seq: int
    amount: int
    remaining: int
    at: datetime
    active_at: datetime | None
    expires_at: datetime | None
    lapses_at: datetime | None
    pending: bool
    terms: Terms
    rule: str | None
    purchase: Key | None
    gone: int = 0

    @property
    def order(self) -> tuple[datetime, datetime, int]:
        """Soonest to expire first, then oldest."""
        return (self.expires_at or FAR, self.at, self.seq)

    def steps(self) -> list[tuple[datetime, int]]:
        """What time has in store: 0 activation, 1 lapse, 2 expiry."""
        if not self.remaining:
            return []
        ahead = (self.active_at, self.lapses_at) if self.pending else (None, None, self.expires_at)
        return [(at, step) for step, at in enumerate(ahead) if at is not None]


def spread(points: int, lots: Iterable[Lot]) -> list[tuple[Lot, int]]:
    """Take from each lot in turn what it has, until there is enough."""
    taken = []
    for lot in lots:
        n = min(points, lot.remaining)
        if n:
            taken.append((lot, n))
            points -= n
    return taken


def total(taken: Iterable[tuple[Lot, int]]) -> int:
    """The points of an allocation."""
    return sum(n for _, n in taken)


@dataclass(slots=True)
class Ledger:
    """One holder's lots in one currency, and every movement: (when, account, how much)."""

    lots: list[Lot] = field(default_factory=list)
    moves: list[tuple[datetime, int, int]] = field(default_factory=list)
    arrears: int = 0

    def at(self, instant: datetime) -> Balance:
        """The balance as of an instant that has been booked."""
        sums = [0, 0, 0, 0]
        for at, account, amount in self.moves:
            if at <= instant:
                sums[account] += amount
        return Balance(*sums)

    def of(self, purchase: Key) -> list[Lot]:
        """The lots that a purchase opened."""
        return [lot for lot in self.lots if lot.purchase == purchase]

    # -- time ----------------------------------------------------------------------------------

    def catch_up(self, now: datetime) -> None:
        """Book all that has happened by `now`, in order of instant."""
        while due := [(*s, lot.seq) for lot in self.lots for s in lot.steps() if s[0] <= now]:
            at, step, seq = min(due)
            if step == 0:
                self.activate(self.lots[seq], at, now)
            else:
                self.perish(self.lots[seq], at)

    def activate(self, lot: Lot, at: datetime, now: datetime) -> None:
        """What was pending can be spent."""
        lot.pending = False
        self.moves += [(at, PENDING, -lot.remaining), (at, ACTIVE, lot.remaining)]
        self.repay([lot], at, now)

    def perish(self, lot: Lot, at: datetime) -> None:
        """What is left of a lot expires, or lapses."""
        self.moves.append((at, PENDING if lot.pending else ACTIVE, -lot.remaining))
        lot.gone += lot.remaining
        lot.remaining = 0

    def fulfil(self, lot: Lot, at: datetime, now: datetime) -> None:
        """The event that a lot waited for happened."""
        lot.active_at, lot.expires_at = at, lot.terms.end(at)
        self.activate(lot, at, now)
        self.catch_up(now)

    def slide(self, activity: str, at: datetime) -> None:
        """Renew what is open. Once caught up, what is dead has nothing left."""
        for lot in self.lots:
            until = lot.terms.end(at)
            if lot.remaining and not lot.pending and until and lot.terms.slides(activity):
                lot.expires_at = max(lot.expires_at or FAR, until)

    # -- movements -----------------------------------------------------------------------------

    def credit(
        self,
        points: int,
        terms: Terms,
        at: datetime,
        now: datetime,
        source: tuple[str | None, Key | None] = (None, None),
        came: datetime | None = None,
    ) -> None:
        """Open a lot; `source` is its rule and purchase, `came` when what it waits for happened."""
        active_at, lapses_at = terms.activation(at)
        pending = active_at is None or active_at > at
        end = None if active_at is None else terms.end(active_at)
        seq = len(self.lots)
        lot = Lot(seq, points, points, at, active_at, end, lapses_at, pending, terms, *source)
        self.lots.append(lot)
        self.moves.append((at, PENDING if pending else ACTIVE, points))
        if not pending:
            self.repay([lot], at, now)
        if came is not None and lapses_at is not None and came < lapses_at:
            self.fulfil(lot, came, now)
        self.catch_up(now)

    def repay(self, lots: Iterable[Lot], at: datetime, now: datetime) -> None:
        """What came into these lots pays arrears first; of several, as any debit takes.

        A lot that is dead by now pays, too; of what wasn't owed yet when it died, from then on.
        """
        for lot in sorted(lots, key=lambda x: x.order):
            n = min(self.arrears, lot.remaining)
            lot.remaining -= n
            self.arrears -= n
            end, younger = lot.expires_at, 0
            if end is not None and end <= now:
                owed = sum(k for when, what, k in self.moves if what == ARREARS and when <= end)
                younger = n - min(n, max(0, owed))
                self.moves += [(max(at, end), ACTIVE, -younger), (now, ARREARS, -younger)]
            self.moves += [(at, ACTIVE, younger - n), (at, ARREARS, younger - n)]

    def allocate(self, points: int, lots: Iterable[Lot]) -> list[tuple[Lot, int]]:
        """Take from active ones of these lots: soonest to expire first, then oldest."""
        return spread(points, sorted((x for x in lots if not x.pending), key=lambda x: x.order))

    def debit(self, points: int, now: datetime) -> list[tuple[Lot, int]]:
        """Take points, or refuse where there are too few."""
        taken = self.allocate(points, self.lots)
        if total(taken) < points:
            raise Refused(f"{points - total(taken)} points are missing")
        for lot, n in taken:
            lot.remaining -= n
        self.moves.append((now, ACTIVE, -points))
        return taken

    def claw_back(self, own: Sequence[Lot], points: int, at: datetime) -> None:
        """Take from `own` pending, own active and other active lots, as far as the policy goes."""
        reach = own[0].terms.returns
        taken = spread(points, [x for x in own if x.pending])
        if reach != "pending":
            taken += self.allocate(points - total(taken), own)
            taken += self.allocate(points - total(taken), [x for x in self.lots if x not in own])
        for lot, n in taken:
            lot.remaining -= n
            since = lot.at if lot.pending else lot.active_at or lot.at
            self.moves.append((max(at, since), PENDING if lot.pending else ACTIVE, -n))
        if reach == "arrears":
            left = points - total(taken)
            self.arrears += left
            self.moves.append((at, ARREARS, left))

    def give_back(self, taken: Iterable[tuple[Lot, int]], at: datetime) -> None:
        """Points return to the lots they came from; a dead one lives on by its grace, or not.

        What happens after that instant comes after it, be it in the past.
        """
        lots = []
        for lot, n in taken:
            lot.remaining += n
            self.moves.append((at, ACTIVE, n))
            lots.append(lot)
        for lot in lots:
            if lot.terms.grace is not None and lot.expires_at is not None and lot.expires_at <= at:
                lot.expires_at = Duration.parse(lot.terms.grace).after(at, lot.terms.zone)
        self.repay(lots, at, at)
        for lot in lots:
            if lot.remaining and lot.expires_at is not None and lot.expires_at <= at:
                self.perish(lot, at)
