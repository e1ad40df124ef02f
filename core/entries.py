"""The records of a ledger: accounts, transfers, lots, and which debit took from which lot.

Plain data, as the store reads and writes it; what moves them is `core.ledger`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from core.rulebook import PolicyTerms

#: How far ahead of ours a till's clock may be: but for that, nothing happens after it is booked.
AHEAD = timedelta(minutes=5)


class Account(IntEnum):
    """Where points stand, within one holder's ledger (1-9) and outside it (10 and above)."""

    ACTIVE = 1
    PENDING = 2
    RESERVED = 3
    ARREARS = 4
    ISSUED = 10
    REDEEMED = 11
    EXPIRED = 12
    CLAWED_BACK = 13
    ADJUSTED = 14
    LAPSED = 15
    IN_TRANSIT = 16


class Kind(IntEnum):
    """What a transfer is for; the words are the field's (DESIGN, "Words")."""

    ACCRUAL = 1
    REDEMPTION = 2
    EXPIRY = 3
    RESERVATION = 4
    RELEASE = 5
    REPAYMENT = 6
    ACTIVATION = 7
    CLAWBACK = 8
    LAPSE = 9
    ADJUSTMENT = 10
    REVERSAL = 11
    GIFT = 12


class Transfer(NamedTuple):
    """Points from one account to another. Its key is (holder, currency, seq)."""

    holder: int
    currency: int
    seq: int
    booked_at: datetime
    occurred_at: datetime
    kind: int
    source: int
    target: int
    amount: int
    partner: int
    rule: int | None
    event: int


class Allocation(NamedTuple):
    """Which lot a debit took from; negative where points go back to it."""

    holder: int
    currency: int
    seq: int
    lot: int
    at: datetime
    amount: int


class LotChange(NamedTuple):
    """New instants of a lot; None: not known, or never."""

    holder: int
    currency: int
    lot: int
    booked_at: datetime
    event: int
    active_at: datetime | None
    expires_at: datetime | None
    policy: int


@dataclass(slots=True)
class Lot:
    """What remains of one credit. Spendable from `active_at` until before `expires_at`.

    `pending` until its activation (or lapse) is booked; `active_at` is None while an event is
    awaited, until `lapses_at`. `event` is known of lots that a purchase is asked about.
    """

    seq: int
    amount: int
    remaining: int
    occurred_at: datetime
    active_at: datetime | None
    expires_at: datetime | None
    lapses_at: datetime | None
    partner: int
    rule: int | None
    terms: PolicyTerms
    pending: bool = False
    event: int = 0
    gone: int = 0
    dirty: bool = True

    def live(self, at: datetime) -> bool:
        """Whether its points can be spent at this instant."""
        if self.active_at is None or at < self.active_at:
            return False
        return self.expires_at is None or at < self.expires_at

    def dead(self, at: datetime) -> bool:
        """Whether it has expired by this instant."""
        return self.expires_at is not None and self.expires_at <= at


class Cause(NamedTuple):
    """What a posting is booked for: every transfer of it carries these."""

    event: int
    partner: int
    booked_at: datetime
    occurred_at: datetime


class Taken(NamedTuple):
    """What a clawback came to: from lots, into arrears, and what the policy let go."""

    points: int
    arrears: int
    forgiven: int


def spread(points: int, lots: Sequence[Lot]) -> list[tuple[Lot, int]]:
    """Take points from lots in this order, as far as they go."""
    takes: list[tuple[Lot, int]] = []
    for lot in lots:
        n = min(points, lot.remaining)
        if n:
            takes.append((lot, n))
            points -= n
        if not points:
            break
    return takes


def spending_order(lot: Lot) -> tuple[bool, datetime, datetime, int]:
    """Sorts lots as they are spent: soonest to expire first, then oldest."""
    never = lot.expires_at is None
    return (never, lot.expires_at or lot.occurred_at, lot.occurred_at, lot.seq)
