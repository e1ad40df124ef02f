"""A redemption as it stands, and as it is stored. Knows nothing of how one comes about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from core.db import Row
from laurels.durations import Duration
from laurels.money import Money

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class Status(IntEnum):
    """Where a redemption stands; the numbers are stored."""

    HELD = 1
    COMPLETED = 2
    CANCELLED = 3
    TIMED_OUT = 4
    REVERSED = 5


@dataclass(frozen=True, slots=True)
class Redemption:
    """A redemption as it stands: rewards were taken, or part of a bill paid by a redeem rule.

    `points`, `worth` (money off) and `cash` (money that the till collects beside the points) are
    for the whole quantity. `stocked` and `pooled` say whether it took from a stock and from a pool
    of codes. `seq` is its debit's place in the ledger; `order` the external id of the purchase that
    it comes with. `codes` are what the member shows at the till: those of a pool once it is
    completed. `reversible` is how long after completion the partner may reverse it, as it was
    agreed then; `reason` says why it was.
    """

    id: int
    holder: int
    partner: int
    reward: int | None
    rule: str | None
    currency: int
    quantity: int
    points: int
    worth: Money | None
    cash: Money | None
    status: Status
    stocked: bool
    pooled: bool
    seq: int
    order: str | None
    reversible: str | None
    requested_at: datetime
    hold_until: datetime | None
    settled_at: datetime | None
    reversed_at: datetime | None = None
    reason: str | None = None
    written_off: bool = False
    codes: tuple[str, ...] = ()
    replayed: bool = False

    def reversible_until(self, time_zone: str) -> datetime | None:
        """Until when (exclusive) the partner may reverse it; None: not at all, or not yet."""
        if self.reversible is None or self.settled_at is None:
            return None
        if self.status not in (Status.COMPLETED, Status.REVERSED):
            return None
        return Duration.parse(self.reversible).after(self.settled_at, time_zone)

    @property
    def facts(self) -> list[int | str]:
        """What was decided when it was asked for, as its event and its decision keep it."""
        return [
            self.reward or 0, self.points, self.rule or "", *_minor(self.worth), self.quantity,
            *_minor(self.cash), int(self.stocked), int(self.pooled), self.order or "",
            self.reversible or "",
            0 if self.hold_until is None else (self.hold_until - _EPOCH) // _TICK,
        ]  # fmt: skip


class Settled(NamedTuple):
    """What became of a redemption, as `core.store.redemptions.settle` takes it."""

    holder: int
    redemption: int
    event: int
    status: int
    at: datetime
    reason: str | None
    written_off: bool
    restock: bool


def _minor(money: Money | None) -> tuple[int, str]:
    return (0, "") if money is None else (money.minor, money.currency)


def as_row(r: Redemption) -> tuple[object, ...]:
    """A new redemption as `core.store.redemptions.add` takes it."""
    worth, cash = ((None, None) if m is None else (m.minor, m.currency) for m in (r.worth, r.cash))
    return (
        r.holder, r.id, r.partner, r.reward, r.rule, r.currency, r.quantity, r.points, *worth,
        *cash, int(r.status), r.stocked, r.pooled, r.seq, r.order, r.reversible, r.requested_at,
        r.hold_until, r.settled_at,
    )  # fmt: skip


def from_row(row: Row, *, replayed: bool = False) -> Redemption:
    """A stored redemption; see `core.store.redemptions.COLUMNS`."""
    worth = None if row["worth"] is None else Money(row["worth"], row["money"])
    cash = None if row["cash"] is None else Money(row["cash"], row["cash_money"])
    return Redemption(
        row["id"], row["holder_id"], row["partner_id"], row["reward_id"], row["rule"],
        row["currency_id"], row["quantity"], row["points"], worth, cash, Status(row["status"]),
        row["stocked"], row["pooled"], row["seq"], row["order_id"], row["reversible"],
        row["requested_at"], row["hold_until"], row["settled_at"], row["reversed_at"],
        row["reason"], row["written_off"], tuple(row["codes"] or ()), replayed,
    )  # fmt: skip
