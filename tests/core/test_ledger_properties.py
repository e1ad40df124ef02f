"""Whatever happens to a ledger, it adds up: a random life of one, judged by its own rows alone."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from core.ledger import Account, Cause, Kind, Ledger, Lot

T0 = datetime(2026, 1, 1, tzinfo=UTC)
POINTS = st.integers(1, 60)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["credit", "late", "redeem", "reserve", "release", "settle", "night", "owe"]
        ),
        POINTS,
        st.one_of(st.none(), st.integers(1, 40)),
        st.integers(0, 15),
    ),
    max_size=25,
)


def allocated(ledger: Ledger, seq: int) -> list[tuple[int, int]]:
    return [(a.lot, a.amount) for a in ledger.allocations if a.seq == seq]


def assert_adds_up(ledger: Ledger, owed: int) -> None:
    """Stored balances = transfers = open lots less arrears; allocations cover every debit."""
    balance: dict[int, int] = defaultdict(int)
    for t in ledger.transfers:
        assert t.amount > 0
        balance[t.source] -= t.amount
        balance[t.target] += t.amount
    assert ledger.active == balance[Account.ACTIVE] == sum(x.remaining for x in ledger.lots)
    assert ledger.reserved == balance[Account.RESERVED]
    assert ledger.arrears == owed - balance[Account.ARREARS]
    assert min(ledger.active, ledger.reserved, ledger.arrears) >= 0
    assert not (ledger.active and ledger.arrears)
    assert sum(balance.values()) == 0
    assert [t.seq for t in ledger.transfers] == list(range(1, ledger.seq + 1))
    used: dict[int, int] = defaultdict(int)
    by_debit: dict[int, int] = defaultdict(int)
    for a in ledger.allocations:
        assert a.amount != 0
        used[a.lot] += a.amount
        by_debit[a.seq] += a.amount
    assert len({(a.seq, a.lot) for a in ledger.allocations}) == len(ledger.allocations)
    for lot in ledger.lots:
        assert lot.remaining == lot.amount - used[lot.seq]
        assert 0 <= lot.remaining <= lot.amount
    for t in ledger.transfers:
        sign = (t.source == Account.ACTIVE) - (t.target == Account.ACTIVE)
        if t.kind != Kind.ACCRUAL and sign:
            assert by_debit[t.seq] == sign * t.amount


def expected_taking(lots: list[Lot], at: datetime, points: int) -> list[tuple[int, int]]:
    """By DESIGN's words: soonest to expire first, then oldest. Written apart from the ledger's."""
    far = datetime(9999, 1, 1, tzinfo=UTC)
    pool = [
        (lot.expires_at or far, lot.occurred_at, lot.seq, lot.remaining)
        for lot in lots
        if lot.remaining and lot.active_at <= at and at < (lot.expires_at or far)
    ]
    taken = []
    for _, _, seq, n in sorted(pool):
        if points:
            taken.append((seq, min(points, n)))
            points -= min(points, n)
    return taken


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_a_ledger_always_adds_up(steps: list[tuple[str, int, int | None, int]]) -> None:
    ledger, now, owed = Ledger(1, 1), T0, 0
    held: list[list[tuple[int, int]]] = []
    for n, (what, points, life, passes) in enumerate(steps):
        now += timedelta(days=passes)
        cause = Cause(n, 1, now, now)
        match what:
            case "credit" | "late":
                at = now - timedelta(days=20) if what == "late" else now
                dies = None if life is None else at + timedelta(days=life)
                before = ledger.arrears
                lot = ledger.credit(cause._replace(occurred_at=at), points, 1, dies, "", now)
                assert ledger.arrears == max(0, before - points)
                if dies is not None and dies <= now:
                    assert lot.remaining == 0
            case "redeem" | "reserve":
                kind, to = (
                    (Kind.REDEMPTION, Account.REDEEMED)
                    if what == "redeem"
                    else (Kind.RESERVATION, Account.RESERVED)
                )
                expected = expected_taking(ledger.lots, now, points)
                seq = ledger.debit(cause, kind, to, points)
                assert (seq is None) == (sum(x for _, x in expected) < points)
                if seq is not None:
                    assert allocated(ledger, seq) == expected
                    if what == "reserve":
                        held.append(expected)
            case "release" if held:
                ledger.release(cause, held.pop(0))
            case "settle" if held:
                ledger.settle_reserved(cause, sum(x for _, x in held.pop(0)))
            case "night":
                for lot in ledger.lots:
                    if lot.expires_at and lot.expires_at <= now and lot.remaining:
                        ledger.expire(cause, lot)
            case "owe" if not ledger.active:
                ledger.arrears += points
                owed += points
        assert_adds_up(ledger, owed)
