"""The arithmetic of a ledger: credits open lots, debits take from them, soonest to expire first.

Pure: no ORM, no clock. One `Ledger` folds one posting after another in memory; `rows` is what the
store then writes. Every fold asserts that the ledger still adds up; PostgreSQL checks it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from core.errors import BookBroken


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


class Kind(IntEnum):
    """What a transfer is for; the words are the field's (DESIGN, "Words")."""

    ACCRUAL = 1
    REDEMPTION = 2
    EXPIRY = 3
    RESERVATION = 4
    RELEASE = 5
    REPAYMENT = 6


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
    """Which lot a debit took from; negative where a release puts points back."""

    holder: int
    currency: int
    seq: int
    lot: int
    at: datetime
    amount: int


@dataclass(slots=True)
class Lot:
    """What remains of one credit. Spendable from `active_at` until before `expires_at`."""

    seq: int
    amount: int
    remaining: int
    occurred_at: datetime
    active_at: datetime
    expires_at: datetime | None
    partner: int = 0
    rule: int | None = None
    policy: str = ""
    dirty: bool = True

    def live(self, at: datetime) -> bool:
        """Whether its points can be spent at this instant."""
        return self.active_at <= at and (self.expires_at is None or at < self.expires_at)


class Cause(NamedTuple):
    """What a posting is booked for: every transfer of it carries these."""

    event: int
    partner: int
    booked_at: datetime
    occurred_at: datetime


@dataclass(slots=True)
class Ledger:
    """One holder's account in one currency, as it stands in a batch."""

    holder: int
    currency: int
    seq: int = 0
    active: int = 0
    reserved: int = 0
    pending: int = 0
    arrears: int = 0
    head: bytes = b""
    lots: list[Lot] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)

    def credit(
        self,
        cause: Cause,
        points: int,
        rule: int | None,
        expires_at: datetime | None,
        policy: str,
        now: datetime,
    ) -> Lot:
        """Open a lot of `points`; arrears are repaid from it first; one dead on arrival expires."""
        seq = self._move(cause, Kind.ACCRUAL, Account.ISSUED, Account.ACTIVE, points, rule)
        lot = Lot(
            seq,
            points,
            points,
            cause.occurred_at,
            cause.occurred_at,
            expires_at,
            cause.partner,
            rule,
            policy,
        )
        self.lots.append(lot)
        self._repay(cause, [(lot, points)])
        if expires_at is not None and expires_at <= now and lot.remaining:
            self.expire(cause, lot)
        self.check()
        return lot

    def expire(self, cause: Cause, lot: Lot) -> None:
        """Book what is left of a dead lot as expired, effective at the instant it died."""
        if lot.expires_at is None:
            raise BookBroken(f"lot {lot.seq} of {self.holder} never expires")
        dated = cause._replace(occurred_at=lot.expires_at)
        left = lot.remaining
        seq = self._move(dated, Kind.EXPIRY, Account.ACTIVE, Account.EXPIRED, left, lot.rule)
        self._take(lot, seq, lot.expires_at, left)

    def spendable(self, at: datetime) -> int:
        """The points of the open lots that are live at this instant."""
        return sum(lot.remaining for lot in self.lots if lot.live(at))

    def debit(self, cause: Cause, kind: Kind, target: Account, points: int) -> int | None:
        """Move points out, soonest to expire first, then oldest; None if too few are live."""
        at = cause.occurred_at
        if points > self.spendable(at):
            return None
        seq = self._move(cause, kind, Account.ACTIVE, target, points, None)
        left = points
        for lot in sorted(
            (x for x in self.lots if x.remaining and x.live(at)), key=_spending_order
        ):
            taken = min(left, lot.remaining)
            self._take(lot, seq, at, taken)
            left -= taken
            if not left:
                break
        self.check()
        return seq

    def settle_reserved(self, cause: Cause, points: int) -> int:
        """Take reserved points as redeemed: their lots were allocated at the reservation."""
        seq = self._move(cause, Kind.REDEMPTION, Account.RESERVED, Account.REDEEMED, points, None)
        self.check()
        return seq

    def release(self, cause: Cause, taken: Iterable[tuple[int, int]]) -> int:
        """Give reserved points back to the lots they came from: (lot's seq, points) each.

        Arrears are repaid first. A lot that died meanwhile takes its points back and expires them
        at once; what it held all the while expires as of its own time.
        """
        by_seq = {lot.seq: lot for lot in self.lots}
        back = [(by_seq[seq], n) for seq, n in taken if n]
        at = cause.occurred_at
        dead = [lot for lot, _ in back if lot.expires_at is not None and lot.expires_at <= at]
        for lot in dead:
            if lot.remaining:
                self.expire(cause, lot)
        points = sum(n for _, n in back)
        seq = self._move(cause, Kind.RELEASE, Account.RESERVED, Account.ACTIVE, points, None)
        for lot, n in back:
            self._take(lot, seq, at, -n)
        self._repay(cause, back)
        for lot in dead:
            if lot.remaining:
                gone = self._move(
                    cause, Kind.EXPIRY, Account.ACTIVE, Account.EXPIRED, lot.remaining, lot.rule
                )
                self._take(lot, gone, at, lot.remaining)
        self.check()
        return seq

    def _repay(self, cause: Cause, credited: list[tuple[Lot, int]]) -> None:
        """Repay arrears from points that just came into these lots, in their order."""
        left = min(self.arrears, sum(n for _, n in credited))
        if not left:
            return
        rule = credited[0][0].rule if len(credited) == 1 else None
        seq = self._move(cause, Kind.REPAYMENT, Account.ACTIVE, Account.ARREARS, left, rule)
        for lot, n in credited:
            repaid = min(left, n)
            if repaid:
                self._take(lot, seq, cause.occurred_at, repaid)
                left -= repaid

    def _take(self, lot: Lot, seq: int, at: datetime, points: int) -> None:
        lot.remaining -= points
        lot.dirty = True
        if not 0 <= lot.remaining <= lot.amount:
            raise BookBroken(f"lot {lot.seq} of {self.holder} would hold {lot.remaining}")
        self.allocations.append(Allocation(self.holder, self.currency, seq, lot.seq, at, points))

    def _move(
        self,
        cause: Cause,
        kind: Kind,
        source: Account,
        target: Account,
        points: int,
        rule: int | None,
    ) -> int:
        if points <= 0:
            raise BookBroken(f"a transfer of {points} points")
        self.seq += 1
        for account, change in ((source, -points), (target, points)):
            if account is Account.ACTIVE:
                self.active += change
            elif account is Account.RESERVED:
                self.reserved += change
            elif account is Account.PENDING:
                self.pending += change
            elif account is Account.ARREARS:
                self.arrears -= change  # arrears count what is owed: points paid in lower them
        self.transfers.append(
            Transfer(
                self.holder, self.currency, self.seq, cause.booked_at, cause.occurred_at,
                kind, source, target, points, cause.partner, rule, cause.event,
            )
        )  # fmt: skip
        return self.seq

    def check(self) -> None:
        """Assert what the ledger promises after each posting. Raises BookBroken."""
        if min(self.active, self.reserved, self.pending, self.arrears) < 0:
            raise BookBroken(f"ledger {self.holder}/{self.currency} has a negative balance")
        if self.active and self.arrears:
            raise BookBroken(f"ledger {self.holder}/{self.currency} has points beside arrears")


def _spending_order(lot: Lot) -> tuple[bool, datetime, datetime, int]:
    never = lot.expires_at is None
    return (never, lot.expires_at or lot.occurred_at, lot.occurred_at, lot.seq)
