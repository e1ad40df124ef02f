"""Models with one rule wrong each, which must be told from the engine. Holds no test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from tests.oracle import Oracle
from tests.oracle_ledger import ACTIVE, ARREARS, PENDING, Key, Ledger, Lot, spread
from tests.oracle_purchases import Award, Bought


class _ExpiredCharged(Oracle):
    def chargeable(self, bought: Bought, currency: str, lost: int, gone: int) -> int:
        return super().chargeable(bought, currency, lost, 0)


class _NewestFirst(Oracle):
    class ledger_type(Ledger):  # noqa: N801
        def allocate(self, points: int, lots: Iterable[Lot]) -> list[tuple[Lot, int]]:
            return spread(points, [x for x in reversed(list(lots)) if not x.pending])


class _MultiplierKept(Oracle):
    class purchase_type(Bought):  # noqa: N801
        def multiplied(self, award: Award, base: int) -> int:
            return award.points


class _ArrearsForgiven(Oracle):
    class ledger_type(Ledger):  # noqa: N801
        def claw_back(self, own: Sequence[Lot], points: int, at: datetime) -> None:
            super().claw_back(own, points, at)
            self.moves.append((at, ARREARS, -self.arrears))
            self.arrears = 0


class _NothingRenewed(Oracle):
    class ledger_type(Ledger):  # noqa: N801
        def slide(self, activity: str, at: datetime) -> None:
            return


class _PaidLast(Oracle):
    """What becomes active is all the member's, whatever is owed."""

    class ledger_type(Ledger):  # noqa: N801
        def activate(self, lot: Lot, at: datetime, now: datetime) -> None:
            lot.pending = False
            self.moves += [(at, PENDING, -lot.remaining), (at, ACTIVE, lot.remaining)]


class _CancelUnseen(Oracle):
    """What was spent on an order is kept until its purchase comes."""

    def _reverse_on(self, order: Key, now: datetime) -> None:
        if order in self.purchases:
            super()._reverse_on(order, now)


class _EventUnheard(Oracle):
    """What was told before a purchase doesn't save its points."""

    def shipped(self, key: Key, at: datetime, now: datetime) -> None:
        if key in self.purchases:
            super().shipped(key, at, now)


class _HeldUntilSeen(Oracle):
    """A hold ends when somebody looks, whatever its time was."""

    def release(self, name: str, now: datetime, state: str = "cancelled") -> None:
        self.redemptions[name].hold_until = now
        super().release(name, now, state)


class _NothingLetGo(Oracle):
    """Points held beyond their time can't be spent before a job has run."""

    def time_out(self, now: datetime, holder: int | None = None) -> None:
        if holder is None:
            super().time_out(now)


class _FallsAtOnce(Oracle):
    def rank(self, holder: int, ladder: str, at: datetime) -> int:
        terms = self.ladders[ladder]
        return terms.level(terms.measure(self.rows[holder, ladder], at))


WRONG = [
    _ExpiredCharged,
    _NewestFirst,
    _MultiplierKept,
    _ArrearsForgiven,
    _NothingRenewed,
    _PaidLast,
    _CancelUnseen,
    _EventUnheard,
    _HeldUntilSeen,
    _NothingLetGo,
    _FallsAtOnce,
]
