"""The hash that chains each decision of a holder to the one before, with all that it moved.

Pure: bytes of rows in, 16 bytes out. Whoever proves the books works out the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from core.ledger import Ledger
from core.store import writes as rows

_TICK = timedelta(microseconds=1)


def seal(
    decided: rows.DecisionRow,
    digest: bytes,
    external_id: str,
    moved: Iterable[tuple[Ledger, int, int]],
) -> bytes:
    """The hash of a decision, of its event's, of the one before (`decided.head`) and what it moved.

    Of each ledger by currency `moved` gives how many transfers and changes it had before. Hashed
    are the lots that each debit took from, too, and the policies that lots were put under, in
    full: who changes one changes their past.
    """
    d = decided
    h = hashlib.blake2b(d.head, digest_size=16, person=b"laurels3")
    h.update(
        b"%d|%d|%d|%d|%d|%d|%d|%b|%d|%b"
        % (d.holder, _micros(d.booked_at), d.event, _micros(d.occurred_at), d.partner, d.rulebook,
           d.kind, digest, len(external_id), external_id.encode())
    )  # fmt: skip
    h.update(d.content.encode())
    for ledger, transfers, changes in moved:
        _hash_moves(h, ledger, transfers, changes)
    return h.digest()


def _hash_moves(h: hashlib.blake2b, ledger: Ledger, transfers: int, changes: int) -> None:
    moved = ledger.transfers[transfers:]
    for t in moved:
        h.update(
            b"%d|%d|%d|%d|%d|%d|%d|%d|%d|%d|%d;"
            % (t.holder, t.currency, t.seq, _micros(t.booked_at), _micros(t.occurred_at), t.kind,
               t.source, t.target, t.amount, t.event, t.rule or 0)
        )  # fmt: skip
        if t.seq in ledger.opened:
            h.update(ledger.stamps.get(ledger.opened[t.seq], b""))
    taken = []
    for a in reversed(ledger.allocations):
        if not moved or a.seq < moved[0].seq:
            break
        taken.append((a.seq, a.lot, _micros(a.at), a.amount))
    for row in sorted(taken):
        h.update(b"%d<%d:%d:%d;" % row)
    for c in sorted(ledger.changes[changes:]):
        h.update(
            b"%d:%d:%d:%d:%d;"
            % (c.lot, _micros(c.active_at), _micros(c.expires_at), c.policy, c.event)
        )
        h.update(ledger.stamps.get(c.policy, b""))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _micros(at: datetime | None) -> int:
    return -1 if at is None else (at - _EPOCH) // _TICK
