"""The keyed digests of all heads: what they seal, what they see, and what only a kept copy sees."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from core import digests
from core.check import prove
from core.db import Connection
from core.digests import SETTLED_AFTER, DigestKey, exported, imported, take
from core.errors import BadInput
from core.posting import Engine
from core.redemptions import redeem
from core.signing import Secrets
from core.store import digests as digest_store
from core.store import posting as posting_store
from tests.core.shop import days, dump, earn, open_shop, wish
from tests.support import NOW, Databases, enrol_cards, receipt, scalar

KEY = DigestKey.of("a secret of the tests, which is long enough")
OTHER = DigestKey.of("another secret of the tests, long enough too")
NAME = "digests = heads"


async def three_days() -> Engine:
    """Two members, three days, a digest after each."""
    shop = await open_shop()
    ada, _ = await enrol_cards(["1", "2"])
    await earn(shop, "R1", "100.00")
    await earn(shop, "R2", "50.00", "2")
    await take(KEY, NOW + SETTLED_AFTER, 1)
    await earn(shop, "R3", "20.00", at=NOW + days(1))
    await earn(shop, "C1", "20.00", partner="cafe", at=NOW + days(1))
    await take(KEY, NOW + days(1) + SETTLED_AFTER, 1)
    await redeem(shop, wish(ada, "coffee", partner="cafe"), NOW + days(2))
    await take(KEY, NOW + days(2) + SETTLED_AFTER, 1)
    return shop


async def falsify(url: str, statements: str) -> None:
    """Do this to the books with everything off that would refuse it."""
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"SET session_replication_role = replica; {statements}")
    finally:
        await connection.close()


async def test_a_digest_is_of_the_heads_in_order(database: str) -> None:
    await three_days()
    last = (await digests.stored())[-1]
    micros = round(last.at.timestamp() * 1_000_000)
    mac = hmac.new(KEY.secret, b"laurels heads 2" + micros.to_bytes(8, "big"), "sha256")
    rows = await scalar(
        "SELECT array_agg(ARRAY[id::text, encode(head, 'hex')] ORDER BY id) FROM holder"
    )
    for holder, head in rows:
        mac.update(f"{holder} 16 ".encode() + bytes.fromhex(head))
    mac.update(str(len(rows)).encode())
    assert (last.at, last.holders, last.digest) == (NOW + days(2), 2, mac.digest())
    assert (last.key_id, last.rulebook) == (KEY.id, 1)


async def test_digests_hold_whatever_came_later(database: str) -> None:
    shop = await three_days()
    kept = await digests.stored()
    # Of two bookings in one instant the second is a tick later: it is in the next one.
    assert [x.holders for x in kept] == [2, 2, 2]
    assert len({x.digest for x in kept}) == 3
    await earn(shop, "R9", "1.00", "2", at=NOW + days(3))
    assert await prove(keys=[KEY], exported=kept) == []
    assert await prove() == []


async def test_what_comes_by_an_older_clock_is_booked_after_the_last_digest(database: str) -> None:
    """As an import with --now does; of a member that was booked on before, and of a new one."""
    shop = await three_days()
    kept = await digests.stored()
    await enrol_cards(["3"])
    for name, card in (("R8", "2"), ("R9", "3"), ("R10", "3")):
        await earn(shop, name, "1.00", card, at=NOW - days(2))
    tick = timedelta(microseconds=1)
    newest = "SELECT array_agg(booked_at ORDER BY event_id DESC) FROM decision WHERE kind = 1"
    last = kept[-1].at
    assert (await scalar(newest))[:3] == [last + 2 * tick, last + tick, last + tick]
    assert await prove(keys=[KEY], exported=kept) == []


async def test_one_taken_late_is_as_of_its_instant(database: str) -> None:
    """As it was then, from the decisions, also of a holder that was booked on since."""
    await three_days()
    first, second, _ = await digests.stored()
    await falsify(database, "DELETE FROM head_digest")
    assert await take(KEY, NOW + SETTLED_AFTER, 1) == first
    assert await take(KEY, NOW + days(1) + SETTLED_AFTER, 1) == second


async def test_the_first_one_stands(database: str) -> None:
    await three_days()
    before = await dump()
    first, *_ = await digests.stored()
    assert await take(OTHER, NOW + SETTLED_AFTER, 7) == first
    assert await dump() == before


async def test_of_empty_books(database: str) -> None:
    made = await take(KEY, NOW, 1)
    assert made.holders == 0
    assert await prove(keys=[KEY], exported=[made]) == []


async def test_what_is_still_under_way_isnt_sealed(database: str) -> None:
    """A posting may be written with an instant that lies a moment back."""
    shop = await open_shop()
    await enrol_cards(["1"])
    made = await take(KEY, NOW + timedelta(seconds=30), 1)
    await earn(shop, "R1", "100.00")
    assert made.holders == 0
    assert await prove(keys=[KEY], exported=[made]) == []


@pytest.mark.parametrize("waiting", [True, False])
async def test_what_is_booked_by_an_old_clock_while_a_digest_is_taken_is_in_it(
    database: str, monkeypatch: pytest.MonkeyPatch, waiting: bool
) -> None:
    """A transaction has locked its member before the seal, and books after it, a day back.

    The control doesn't wait for it: then the digest is of other books than stand.
    """
    shop = await open_shop()
    await enrol_cards(["1", "2"])
    await earn(shop, "R1", "10.00", "2", at=NOW - days(2))
    looked = asyncio.Event()
    look = digest_store.booking
    if waiting:

        async def seen() -> frozenset[str]:
            looked.set()
            return await look()

        monkeypatch.setattr(digest_store, "booking", seen)
    else:

        async def nobody() -> frozenset[str]:
            looked.set()
            return frozenset()

        monkeypatch.setattr(digest_store, "booking", nobody)
    locked, go = asyncio.Event(), asyncio.Event()
    load = posting_store.load

    async def slow(*args: Any, **how: Any) -> list[Any]:
        locked.set()
        await go.wait()
        return await load(*args, **how)

    monkeypatch.setattr(posting_store, "load", slow)
    at = NOW - days(1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(earn(shop, "R2", "20.00", at=at))
        await locked.wait()
        taken = tasks.create_task(take(KEY, NOW, 1))
        await looked.wait()
        if not waiting:
            await taken
        assert taken.done() is not waiting
        assert await scalar("SELECT count(*) FROM seal") == 1
        go.set()
    assert await scalar("SELECT array_agg(booked_at ORDER BY booked_at) FROM decision") == [
        NOW - days(2), at,
    ]  # fmt: skip
    found = await prove(keys=[KEY])
    assert [x.check for x in found] == ([] if waiting else [NAME])
    assert taken.result().holders == (2 if waiting else 1)


async def test_whoever_comes_after_the_seal_books_after_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop()
    await enrol_cards(["1"])
    look = digest_store.booking

    async def meanwhile() -> frozenset[str]:
        monkeypatch.setattr(digest_store, "booking", look)
        await earn(shop, "R1", "10.00", at=NOW - days(1))
        return await look()

    monkeypatch.setattr(digest_store, "booking", meanwhile)
    made = await take(KEY, NOW, 1)
    assert made.holders == 0
    assert await scalar("SELECT booked_at FROM decision") > made.at
    assert await prove(keys=[KEY]) == []


async def test_books_worked_out_anew_are_found(databases: Databases, database: str) -> None:
    """Every hash in order, and another past: only the digest tells."""
    await three_days()
    kept = await digests.stored()
    async with databases.migrated() as twin:
        from core.db import connected

        # The same days with 1 dollar more, booked by the very code.
        async with connected(twin):
            shop = await open_shop()
            await enrol_cards(["1", "2"])
            await earn(shop, "R1", "101.00")
            assert await prove() == []
            connection: Connection = await asyncpg.connect(twin)
            try:
                await connection.executemany(
                    "INSERT INTO seal SELECT $1 ON CONFLICT DO NOTHING", [(x.at,) for x in kept]
                )
                await connection.executemany(
                    "INSERT INTO head_digest VALUES ($1, $2, $3, $4, $5)", kept
                )
            finally:
                await connection.close()
            assert await prove() == []
            findings = await prove(keys=[KEY])
            assert [x.where for x in findings] == [f"digest as of {x.at.isoformat()}" for x in kept]
            assert {x.check for x in findings} == {NAME}
            assert findings[0].problem == "the heads of 1 holders don't give the digest of 2"


@pytest.mark.parametrize(
    "statements",
    [
        "UPDATE head_digest SET digest = decode(repeat('00', 32), 'hex')",
        "UPDATE head_digest SET holders = holders + 1",
        "UPDATE decision SET head = overlay(head PLACING '\\x00'::bytea FROM 10) WHERE kind = 2",
        "DELETE FROM decision WHERE kind = 2",
        "UPDATE decision SET booked_at = booked_at + interval '1 s' WHERE kind = 2",
        "UPDATE decision SET holder_id = holder_id + 1000 WHERE holder_id = "
        "(SELECT max(holder_id) FROM decision)",
    ],
)
async def test_a_falsification_is_found(database: str, statements: str) -> None:
    await three_days()
    await falsify(database, statements)
    assert NAME in {x.check for x in await prove(keys=[KEY])}


async def test_what_only_a_kept_copy_sees(database: str) -> None:
    await three_days()
    kept = await digests.stored()
    await falsify(database, "DELETE FROM head_digest WHERE at = (SELECT max(at) FROM head_digest)")
    assert await prove(keys=[KEY]) == []
    (finding,) = await prove(keys=[KEY], exported=kept)
    assert finding.where == f"digest as of {kept[-1].at.isoformat()}"
    assert "kept elsewhere" in finding.problem
    # One that says it was made with another key is passed over, unless a copy was kept.
    await falsify(database, f"UPDATE head_digest SET key_id = '{OTHER.id}', digest = digest")
    assert await prove(keys=[KEY]) == []
    assert len(await prove(keys=[KEY], exported=kept)) == 3


async def test_a_kept_copy_of_another_key_says_so(database: str) -> None:
    await three_days()
    findings = await prove(keys=[OTHER], exported=await digests.stored())
    assert len(findings) == 3
    assert all(KEY.id in x.problem for x in findings)


async def test_lines_go_out_and_come_back(database: str) -> None:
    await three_days()
    kept = await digests.stored()
    lines = [exported(x) for x in kept]
    assert imported([*lines, "", " "]) == kept
    assert lines[0].startswith('{"at":"2026-03-15T12:00:00+00:00","holders":2,"digest":"')
    assert await digests.stored(1) == kept[-1:]
    for bad in ("x", "{}", "[]", lines[0].replace("+00:00", ""), lines[0].replace(":2,", ':"2",')):
        with pytest.raises(BadInput, match="line 2"):
            imported([lines[0], bad])


async def test_many_ledgers_of_many_instants(database: str) -> None:
    """By the decisions and by the ledgers, the same heads as of every instant."""
    shop = await open_shop()
    await enrol_cards([str(n) for n in range(5)])
    times: list[datetime] = []
    for n in range(20):
        at = NOW + timedelta(minutes=7 * n)
        items = [receipt(shop, f"R{n}-{m}", str(m), at) for m in range(5) if (n + m) % 3]
        await shop.record_purchases(items, at)
        times.append(at)
    for at in times:
        await take(KEY, at + SETTLED_AFTER, 1)
    assert await scalar("SELECT count(*) FROM head_digest") == 20
    assert await prove(keys=[KEY]) == []


def test_the_keys_id_gives_nothing_away() -> None:
    assert KEY.id != OTHER.id
    assert len(KEY.id) == 16
    assert KEY.id not in KEY.secret.hex()
    assert KEY.secret.hex() not in repr(KEY)
    assert KEY.id != hashlib.sha256(KEY.secret).hexdigest()[:16]


async def test_digests_of_several_keys_are_each_proven_by_their_own(database: str) -> None:
    """The secret was rotated between two nights: both are proven, and a false one is found."""
    shop = await open_shop()
    await enrol_cards(["1"])
    await earn(shop, "R1", "100.00")
    await take(OTHER, NOW + SETTLED_AFTER, 1)
    await earn(shop, "R2", "100.00", at=NOW + days(1))
    await take(KEY, NOW + days(1) + SETTLED_AFTER, 1)
    kept = await digests.stored()
    assert [made.key_id for made in kept] == [OTHER.id, KEY.id]
    assert await prove(keys=[KEY, OTHER], exported=kept) == []
    assert await digests.unproven([KEY, OTHER]) == 0
    # Without the one before, its digest is passed over, and that is counted.
    assert await prove(keys=[KEY]) == []
    assert await digests.unproven([KEY]) == 1
    await falsify(
        database,
        "UPDATE head_digest SET digest = decode(repeat('00', length(digest)), 'hex') "
        f"WHERE key_id = '{OTHER.id}'",
    )
    assert await prove(keys=[KEY]) == []
    [finding] = await prove(keys=[KEY, OTHER])
    assert finding.check == NAME


def test_the_key_of_a_secret_is_what_it_was() -> None:
    """Stored digests name it: it may never change."""
    assert KEY.id == hashlib.sha256(b"id of " + KEY.secret).hexdigest()[:16]
    use = b"laurels digests of heads"
    secret = b"a secret of the tests, which is long enough"
    assert KEY.secret == hmac.digest(secret, use, "sha256")
    assert [key.id for key in DigestKey.all_of(Secrets(secret.decode(), ("x" * 32,)))] == [
        KEY.id,
        DigestKey.of("x" * 32).id,
    ]
    assert secret.decode() not in repr(Secrets(secret.decode()))
