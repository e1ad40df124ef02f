"""Builders for tests of one ledger: days, causes, terms, credits, and what was moved, in short.

Days are counted from T0, in UTC. Holds no assertion and no fixture.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count

from core.entries import Account, Cause, Kind, Lot
from core.ledger import Ledger
from core.rulebook import PolicyTerms
from laurels.policies import Policy

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
_numbers = count(1)


def day(n: float) -> datetime:
    """The instant so many times 24 hours after T0."""
    return T0 + timedelta(days=n)


def days(at: datetime) -> float:
    """How many times 24 hours after T0 an instant is."""
    return (at - T0) / timedelta(days=1)


def cause(at: float = 0, event: int = 1, booked: float | None = None) -> Cause:
    """Something that happened on a day, booked then unless it says when."""
    return Cause(event, 7, day(at if booked is None else booked), day(at))


@lru_cache(maxsize=1024)
def terms(
    pending: str | None = None,
    expires: str | None = None,
    returns: str = "arrears",
    grace: str | None = None,
) -> PolicyTerms:
    """A policy with a number of its own; the same texts make the same."""
    return PolicyTerms(next(_numbers), Policy.parse(pending, expires, returns, grace))


def credit(
    ledger: Ledger, points: int, at: float = 0, dies: float | None = None, event: int = 1
) -> Lot:
    """Credit points on the day they are earned, at once active, to die on another day."""
    life = terms(expires=None if dies is None else f"{round((dies - at) * 24)}h")
    return ledger.credit(cause(at, event), points, 1, life, day(at))


def earn(
    ledger: Ledger,
    points: int,
    life: PolicyTerms,
    at: float = 0,
    booked: float | None = None,
    event: int = 1,
) -> Lot:
    """Credit points under a policy, perhaps booked later than they were earned."""
    now = at if booked is None else booked
    return ledger.credit(cause(at, event, now), points, 1, life, day(now))


def reserve(ledger: Ledger, points: int, at: float) -> list[tuple[int, int]]:
    """Hold points; what was taken, as (lot's seq, points)."""
    seq = ledger.debit(cause(at), Kind.RESERVATION, Account.RESERVED, points)
    return [(a.lot, a.amount) for a in ledger.allocations if a.seq == seq]


def spend(ledger: Ledger, points: int, at: float) -> list[tuple[int, int]]:
    """Redeem points; what was taken, as (lot's seq, points)."""
    seq = ledger.debit(cause(at), Kind.REDEMPTION, Account.REDEEMED, points)
    return [(a.lot, a.amount) for a in ledger.allocations if a.seq == seq]


def release(ledger: Ledger, taken: list[tuple[int, int]], at: float) -> int:
    """Let go of what was held, on a day."""
    return ledger.give_back(cause(at), Kind.RELEASE, Account.RESERVED, taken)


def catch_up(ledger: Ledger, at: float, event: int = 1) -> None:
    """Book what has happened by a day."""
    ledger.catch_up(cause(at, event), day(at))


def balances(ledger: Ledger) -> tuple[int, int, int, int]:
    """(active, pending, reserved, arrears)."""
    return (ledger.active, ledger.pending, ledger.reserved, ledger.arrears)


def remaining(ledger: Ledger) -> dict[int, int]:
    """What is left, by lot."""
    return {lot.seq: lot.remaining for lot in ledger.lots}


Move = tuple[Kind, int, float]


def moves(ledger: Ledger, since: int = 0) -> list[Move]:
    """(kind, points, day of its own) of the transfers with a higher seq."""
    return [
        (Kind(t.kind), t.amount, days(t.occurred_at)) for t in ledger.transfers if t.seq > since
    ]


def accounts(ledger: Ledger, kind: Kind) -> list[tuple[int, int, int]]:
    """(from, to, points) of the transfers of a kind."""
    return [(t.source, t.target, t.amount) for t in ledger.transfers if t.kind == kind]
