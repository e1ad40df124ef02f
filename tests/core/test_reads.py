"""Balances at any instant, against a reckoning by hand over a ledger's whole life."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from core.db import transaction
from core.folding import Batch
from core.ledger import Account, Cause, Kind, Ledger
from core.posting import Engine, write
from core.store import posting as rows
from core.store import reads
from tests.support import NOW, enrol_cards, receipt, small_rulebook

HOUR = timedelta(hours=1)
STEPS = ["credit", "credit", "late", "redeem", "hold", "free", "done", "night"]
Figures = tuple[int, int, int, int, int]


def live(ledger: Ledger, chance: random.Random) -> list[Cause]:
    """Live a random life: credits (some late), redemptions, holds, and a nightly run that lags."""
    causes: list[Cause] = []
    held: list[list[tuple[int, int]]] = []
    now = NOW - 60 * 24 * HOUR
    for step in range(40):
        now += HOUR * chance.randint(1, 48)
        cause = Cause(10**6 * ledger.holder + step, 1, now, now)
        before = ledger.seq
        match chance.choice(
            ["credit", "credit", "late", "redeem", "hold", "free", "done", "night"]
        ):
            case "credit":
                dies = chance.choice([None, now + HOUR * chance.randint(1, 400)])
                ledger.credit(cause, chance.randint(1, 50), 10, dies, "", now)
            case "late":
                at = now - HOUR * chance.randint(1, 200)
                dies = chance.choice([None, at + HOUR * chance.randint(1, 400)])
                late = cause._replace(occurred_at=at)
                ledger.credit(late, chance.randint(1, 50), 10, dies, "", now)
            case "redeem":
                ledger.debit(cause, Kind.REDEMPTION, Account.REDEEMED, chance.randint(1, 60))
            case "hold":
                seq = ledger.debit(cause, Kind.RESERVATION, Account.RESERVED, chance.randint(1, 40))
                if seq is not None:
                    held.append([(a.lot, a.amount) for a in ledger.allocations if a.seq == seq])
            case "free" if held:
                ledger.release(cause, held.pop())
            case "done" if held:
                ledger.settle_reserved(cause, sum(n for _, n in held.pop()))
            case "night":
                for lot in ledger.lots:
                    if lot.expires_at and lot.expires_at <= now and lot.remaining:
                        ledger.expire(cause, lot)
        if ledger.seq > before:
            causes.append(cause)
    return causes


def reckoned(ledger: Ledger, at: datetime) -> Figures:
    """(active, reserved, redeemed, expired, earned) at `at`, lot by lot."""
    active = expired = earned = 0
    kinds = {t.seq: t.kind for t in ledger.transfers}
    for lot in ledger.lots:
        if lot.occurred_at > at:
            continue
        earned += lot.amount
        # What expiry took isn't asked: a lot that is dead by then lost all that nobody else had.
        left = lot.amount - sum(
            a.amount
            for a in ledger.allocations
            if a.lot == lot.seq and a.at <= at and kinds[a.seq] != Kind.EXPIRY
        )
        if lot.expires_at is None or at < lot.expires_at:
            active += left
        else:
            expired += left
    moved = [t for t in ledger.transfers if t.occurred_at <= at]
    reserved = sum(t.amount for t in moved if t.target == Account.RESERVED) - sum(
        t.amount for t in moved if t.source == Account.RESERVED
    )
    redeemed = sum(t.amount for t in moved if t.target == Account.REDEEMED)
    return active, reserved, redeemed, expired, earned


async def store(ledgers: list[Ledger], causes: list[Cause], holders: list[int]) -> None:
    batch = Batch(small_rulebook(), NOW, historical=True)
    for holder, cause in zip(holders, causes, strict=True):
        batch.writes.events.append(
            rows.EventRow(
                cause.event, holder, cause.occurred_at, cause.booked_at, None, 1, 6, None,
                bytes(16), str(cause.event), "",
            )
        )  # fmt: skip
        batch.writes.decisions.append(
            rows.DecisionRow(
                holder, cause.booked_at, cause.event, cause.occurred_at, 1, 1, 6, b"", "{}"
            )
        )
        batch.relations[holder, 1] = (0, NOW)
    batch.ledgers = {(x.holder, x.currency): x for x in ledgers}
    async with transaction() as connection:
        await write(connection, batch)


async def test_balances_at_any_instant_agree_with_a_reckoning_by_hand(database: str) -> None:
    count = 25
    holders = await enrol_cards([str(n) for n in range(count)])
    ledgers = [Ledger(holder, 1) for holder in holders]
    lives = [live(ledger, random.Random(n)) for n, ledger in enumerate(ledgers)]
    await store(
        ledgers,
        [cause for causes in lives for cause in causes],
        [holder for holder, causes in zip(holders, lives, strict=True) for _ in causes],
    )
    edges = {t.occurred_at for x in ledgers for t in x.transfers}
    edges |= {lot.expires_at for x in ledgers for lot in x.lots if lot.expires_at}
    chosen = random.Random(0).sample(sorted(edges), 120)
    tick = timedelta(microseconds=1)
    expired_before_it_was_booked = 0
    for at in [t + d for t in chosen for d in (-tick, timedelta(0))]:
        found = {r[0]: r for r in await reads.balances(holders, at)}
        for ledger in ledgers:
            active, reserved, redeemed, expired, earned = reckoned(ledger, at)
            row = found[ledger.holder]
            assert tuple(row)[2:] == (active, 0, reserved, 0, earned, expired), (ledger.holder, at)
            assert active + reserved + redeemed + expired == earned
            assert min(active, reserved, expired) >= 0
            booked = sum(
                t.amount
                for t in ledger.transfers
                if t.kind == Kind.EXPIRY and t.booked_at <= at and t.occurred_at <= at
            )
            expired_before_it_was_booked += expired > booked
    assert expired_before_it_was_booked, "the lives are too tame to tell instants from bookings"


async def test_what_was_booked_later_but_happened_before_counts(engine: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "R1", "1", NOW - 48 * HOUR)], NOW)

    async def active(at: datetime) -> Any:
        ((_, _, points, *_),) = await reads.balances([holder], at)
        return points

    assert [await active(NOW - n * HOUR) for n in (49, 48, 0)] == [0, 35, 35]
    dies = NOW - 48 * HOUR + timedelta(days=90)
    assert [await active(dies - timedelta(microseconds=1)), await active(dies)] == [35, 0]
    expiring = await reads.expiring([(holder, 1)], NOW, dies)
    assert [tuple(r) for r in expiring] == [(holder, 1, dies, 35)]
    assert await reads.expiring([(holder, 1)], dies, dies + HOUR) == []


async def test_entries_and_lots_are_paged_newest_first(engine: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    for n in range(5):
        await engine.record_purchases([receipt(engine, f"R{n}")], NOW)
    key = [(holder, 1)]
    for read in (reads.entries, reads.lots):
        everything = [r[2] for r in await read(key, reads.NEWEST, 100)]
        assert everything == sorted(everything, reverse=True)
        paged: list[int] = []
        while page := await read(key, paged[-1] if paged else reads.NEWEST, 2):
            assert len(page) <= 2
            paged += [r[2] for r in page]
        assert paged == everything
