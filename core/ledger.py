"""The arithmetic of a ledger: credits open lots, debits take from them, soonest to expire first.

Pure: no ORM, no clock. One `Ledger` folds one posting after another in memory; the store then
writes what it gathered. Every fold asserts that the ledger still adds up; PostgreSQL checks again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.entries import (
    AHEAD,
    Account,
    Allocation,
    Cause,
    Kind,
    Lot,
    LotChange,
    Taken,
    Transfer,
    spending_order,
    spread,
)
from core.errors import BookBroken
from core.rulebook import PolicyTerms
from laurels.policies import Renewal, Returns


@dataclass(slots=True)
class Ledger:
    """One holder's account in one currency, as it stands in a batch.

    `latest` is when the latest thing happened that moved it. Of the lots `opened` here, by their
    seq, it keeps the policy's id, and of each policy that a lot was put under its stamp.
    """

    holder: int
    currency: int
    seq: int = 0
    active: int = 0
    reserved: int = 0
    pending: int = 0
    arrears: int = 0
    latest: datetime | None = None
    lots: list[Lot] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)
    changes: list[LotChange] = field(default_factory=list)
    opened: dict[int, int] = field(default_factory=dict)
    stamps: dict[int, bytes] = field(default_factory=dict)

    # -- what time does --------------------------------------------------------------------

    def catch_up(
        self,
        cause: Cause,
        now: datetime,
        *,
        expiring: bool = True,
        spared: Collection[Lot] = (),
    ) -> None:
        """Book what has happened to its loaded lots by `now`, each thing dated at its instant.

        Of the lots `spared` it is known that what they wait for has happened in time.
        Whatever loads lots calls it first, so that the books don't depend on when a job ran.
        """
        kept = {id(lot) for lot in spared}
        lots = [lot for lot in self.lots if id(lot) not in kept] if kept else self.lots
        self._age(lots, cause, now, expiring=expiring, late=False)

    def _age(
        self, lots: Sequence[Lot], cause: Cause, now: datetime, *, expiring: bool, late: bool
    ) -> None:
        steps: list[tuple[datetime, int, Lot]] = []
        for lot in lots:
            if not lot.remaining:
                continue
            if lot.pending and lot.active_at is not None and lot.active_at <= now:
                steps.append((lot.active_at, 1, lot))
            elif lot.pending and lot.lapses_at is not None and lot.lapses_at <= now:
                steps.append((lot.lapses_at, 2, lot))
            if expiring and lot.dead(now) and lot.expires_at is not None:
                steps.append((lot.expires_at, 3, lot))
        if not steps:
            return
        for at, step, lot in sorted(steps, key=lambda s: (s[0], s[1], s[2].seq)):
            dated = cause._replace(occurred_at=at)
            if step == 1:
                # Whatever is owed was booked when this lot was known, and so before this instant;
                # but it may be younger than a lot that comes late.
                self._activate(dated, lot, now if late else at)
            elif step == 2:
                left = lot.remaining
                seq = self._move(dated, Kind.LAPSE, Account.PENDING, Account.LAPSED, left, lot.rule)
                self._take(lot, seq, at, left)
                lot.gone += left
            elif lot.remaining:
                self._expire(dated, lot)
        self.check()

    def fulfil(self, cause: Cause, lot: Lot, now: datetime) -> None:
        """The event that a pending lot waited for came, at the cause's instant."""
        at = cause.occurred_at
        self._change(cause, lot, at, lot.terms.policy.expiry(at))
        self._activate(cause, lot, now)
        if lot.dead(now) and lot.remaining and lot.expires_at is not None:
            self._expire(cause._replace(occurred_at=lot.expires_at), lot)
        self.check()

    def slide(self, cause: Cause, activity: Renewal, now: datetime) -> None:
        """An activity renews the open lots whose policy names it; it never revives a dead one."""
        at = cause.occurred_at
        for lot in self.lots:
            expires = lot.terms.policy.expires
            if expires is None or activity not in expires.slides_on or not lot.remaining:
                continue
            if lot.pending or lot.dead(now) or lot.expires_at is None:
                continue
            until = expires.expires_at(at, lot.terms.policy.time_zone)
            if until > lot.expires_at:
                self._change(cause, lot, lot.active_at, until)

    def move(self, cause: Cause, lot: Lot, terms: PolicyTerms, expires_at: datetime | None) -> None:
        """Put an open lot under another policy, which ends it at another instant."""
        lot.terms = terms
        self._change(cause, lot, lot.active_at, expires_at)

    # -- credits -----------------------------------------------------------------------------

    def credit(
        self,
        cause: Cause,
        points: int,
        rule: int | None,
        terms: PolicyTerms,
        now: datetime,
        kind: Kind = Kind.ACCRUAL,
        came: datetime | None = None,
        source: Account | None = None,
    ) -> Lot:
        """Open a lot of `points`; arrears are repaid from it first; one dead on arrival expires.

        An accrual may be pending, as its policy says; nothing else ever is. `came` is when the
        event that it would wait for happened, if it has. `source` is where a gift comes from.
        """
        at = cause.occurred_at
        active_at, expires_at, lapses_at = terms.policy.life(at, held=kind is Kind.ACCRUAL)
        pending = active_at is None or active_at > at
        if source is None:
            source = Account.ISSUED if kind is Kind.ACCRUAL else Account.ADJUSTED
        target = Account.PENDING if pending else Account.ACTIVE
        seq = self._move(cause, kind, source, target, points, rule)
        lot = Lot(
            seq, points, points, at, active_at, expires_at, lapses_at, cause.partner, rule, terms,
            pending, cause.event,
        )  # fmt: skip
        self.lots.append(lot)
        self.opened[seq], self.stamps[terms.id] = terms.id, terms.stamp
        if not pending:
            self._repay(cause, [(lot, points)], now)
            if lot.dead(now) and lot.remaining and lot.expires_at is not None:
                self._expire(cause._replace(occurred_at=lot.expires_at), lot)
        elif came is not None and lapses_at is not None and came < lapses_at:
            self.fulfil(cause._replace(occurred_at=came), lot, now)
        elif any(x is not None and x <= now for x in (active_at, lapses_at)):
            self._age([lot], cause, now, expiring=True, late=True)
        self.check()
        return lot

    def give_back(
        self,
        cause: Cause,
        kind: Kind,
        source: Account,
        taken: Iterable[tuple[int, int]],
    ) -> int:
        """Give points back to the lots they came from: (lot's seq, points) each.

        Arrears are repaid first. A lot that had died by the cause's instant gets the grace of its
        policy from then on, or its points expire at once.
        """
        by_seq = {lot.seq: lot for lot in self.lots}
        back = [(by_seq[seq], n) for seq, n in taken if n]
        seq = self._move(cause, kind, source, Account.ACTIVE, sum(n for _, n in back), None)
        at = cause.occurred_at
        for lot, n in back:
            self._take(lot, seq, at, -n)
            until = lot.terms.policy.graced(at) if lot.dead(at) else None
            if until is not None and until > at:
                self._change(cause, lot, lot.active_at, until)
        self._repay(cause, back, at)
        for lot, _ in back:
            if lot.remaining and lot.dead(at):
                self._expire(cause, lot)
        self.check()
        return seq

    # -- debits ------------------------------------------------------------------------------

    def free(self, now: datetime) -> int:
        """The active points once `catch_up` has booked what time did to the loaded lots."""
        found, owed = self.active, self.arrears
        matured: list[tuple[datetime, int, Lot]] = []
        for lot in self.lots:
            if not lot.remaining:
                continue
            if lot.pending:
                if lot.active_at is not None and lot.active_at <= now:
                    matured.append((lot.active_at, lot.seq, lot))
            elif lot.dead(now):
                found -= lot.remaining
        for _, _, lot in sorted(matured, key=lambda x: x[:2]):
            repaid = min(owed, lot.remaining)
            owed -= repaid
            if not lot.dead(now):
                found += lot.remaining - repaid
        return found

    def spendable(self, at: datetime) -> int:
        """The points of the open lots that are live at this instant."""
        return sum(lot.remaining for lot in self.lots if lot.live(at))

    def debit(self, cause: Cause, kind: Kind, target: Account, points: int) -> int | None:
        """Move points out, soonest to expire first, then oldest; None if too few are live."""
        at = cause.occurred_at
        if points > self.spendable(at):
            return None
        seq = self._move(cause, kind, Account.ACTIVE, target, points, None)
        for lot, n in spread(points, sorted(self._open(at), key=spending_order)):
            self._take(lot, seq, at, n)
        self.check()
        return seq

    def settle_reserved(self, cause: Cause, points: int) -> int:
        """Take reserved points as redeemed: their lots were allocated at the reservation."""
        seq = self._move(cause, Kind.REDEMPTION, Account.RESERVED, Account.REDEEMED, points, None)
        self.check()
        return seq

    def claw_back(self, cause: Cause, own: Sequence[Lot], points: int, reach: Returns) -> Taken:
        """Take back what a return no longer entitles to, as far as the policy reaches.

        From pending, then from the purchase's own lots, then from others, soonest to expire first;
        what is left becomes arrears or is let go (DESIGN, "Returns").
        """
        takes = spread(points, [lot for lot in own if lot.pending and lot.remaining])
        left = points - sum(n for _, n in takes)
        if left and reach is not Returns.PENDING:
            mine = {lot.seq for lot in own}
            rest = [lot for lot in self.lots if lot.remaining and not lot.pending]
            rest.sort(key=lambda lot: (lot.seq not in mine, *spending_order(lot)))
            takes += spread(left, rest)
            left = points - sum(n for _, n in takes)
        # A lot can't be taken from before it was there: one transfer for each account and instant.
        groups: dict[tuple[datetime, Account], list[tuple[Lot, int]]] = {}
        for lot, n in takes:
            since = lot.occurred_at if lot.active_at is None or lot.pending else lot.active_at
            at = max(cause.occurred_at, since)
            source = Account.PENDING if lot.pending else Account.ACTIVE
            groups.setdefault((at, source), []).append((lot, n))
        for (at, source), some in sorted(groups.items(), key=lambda g: g[0]):
            total = sum(n for _, n in some)
            dated = cause._replace(occurred_at=at)
            seq = self._move(dated, Kind.CLAWBACK, source, Account.CLAWED_BACK, total, None)
            for lot, n in some:
                self._take(lot, seq, at, n)
        owed = left if reach is Returns.ARREARS else 0
        if owed:
            self._move(cause, Kind.CLAWBACK, Account.ARREARS, Account.CLAWED_BACK, owed, None)
        self.check()
        return Taken(points - left, owed, left - owed)

    # -- the parts they are made of ------------------------------------------------------------

    def _open(self, at: datetime) -> list[Lot]:
        return [lot for lot in self.lots if lot.remaining and lot.live(at)]

    def _activate(self, cause: Cause, lot: Lot, now: datetime) -> None:
        n = lot.remaining
        self._move(cause, Kind.ACTIVATION, Account.PENDING, Account.ACTIVE, n, lot.rule)
        lot.pending = False
        lot.dirty = True
        self._repay(cause, [(lot, n)], now)

    def _expire(self, cause: Cause, lot: Lot) -> None:
        """Book what is left of a lot as expired, at the cause's instant."""
        left = lot.remaining
        seq = self._move(cause, Kind.EXPIRY, Account.ACTIVE, Account.EXPIRED, left, lot.rule)
        self._take(lot, seq, cause.occurred_at, left)
        lot.gone += left

    def _repay(self, cause: Cause, credited: list[tuple[Lot, int]], now: datetime) -> None:
        """Repay arrears from points that just came into these lots, as any debit takes from lots.

        Dated now, for arrears may be younger than points that come late: until then the one is
        reckoned against the other wherever a balance is read.
        """
        left = min(self.arrears, sum(n for _, n in credited))
        if not left:
            return
        rule = credited[0][0].rule if len(credited) == 1 else None
        at = cause.occurred_at if any(lot.dead(now) for lot, _ in credited) else now
        dated = cause._replace(occurred_at=max(at, cause.occurred_at))
        seq = self._move(dated, Kind.REPAYMENT, Account.ACTIVE, Account.ARREARS, left, rule)
        for lot, n in spread(left, sorted((lot for lot, _ in credited), key=spending_order)):
            self._take(lot, seq, dated.occurred_at, n)

    def _change(
        self, cause: Cause, lot: Lot, active_at: datetime | None, expires_at: datetime | None
    ) -> None:
        lot.active_at, lot.expires_at, lot.dirty = active_at, expires_at, True
        self.stamps[lot.terms.id] = lot.terms.stamp
        key = (lot.seq, cause.booked_at)
        self.changes = [c for c in self.changes if (c.lot, c.booked_at) != key]
        self.changes.append(
            LotChange(
                self.holder, self.currency, lot.seq, cause.booked_at, cause.event, active_at,
                expires_at, lot.terms.id,
            )
        )  # fmt: skip

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
        if cause.occurred_at - cause.booked_at > AHEAD:
            raise BookBroken(f"a transfer of {cause.occurred_at}, booked at {cause.booked_at}")
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
        if self.latest is None or self.latest < cause.occurred_at:
            self.latest = cause.occurred_at
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
