"""Keyed digests of the heads of all holders: a seal on the books that can be kept elsewhere.

Each head stands for its holder's whole past, so one digest stands for all of the books as of its
instant. Only who has the key can make one; whoever keeps a copy outside can tell that the books
were changed later, even with every hash in them worked out anew.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import orjson

from core.checking import Found
from core.db import Connection, reading, transaction
from core.errors import BadInput
from core.signing import DerivedKey, Secrets
from core.store import digests as store
from core.store.digests import HeadDigest

__all__ = [
    "DigestKey", "HeadDigest", "exported", "imported", "proven", "stored", "take", "unproven",
]  # fmt: skip

#: A digest is of the books as they stood so long ago: what is booked now keeps its own time.
SETTLED_AFTER = timedelta(minutes=5)
#: Seconds between two looks at who is still booking, and for which one looks.
_LOOK, _PATIENCE = 0.05, 600.0
#: As many of the stored digests are proven, the latest: the last one alone seals all before it.
MOST_PROVEN = 31
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_FORMAT = b"laurels heads 2"


class DigestKey(DerivedKey):
    """A key for digests of the books."""

    __slots__ = ()

    @classmethod
    def of(cls, secret: str) -> DigestKey:
        """Derived from a secret of the deployment, for this use only."""
        return cls.derived(secret, b"laurels digests of heads")

    @classmethod
    def all_of(cls, secrets: Secrets) -> tuple[DigestKey, ...]:
        """That of the secret in force, which makes digests, and those that only prove them."""
        return tuple(cls.of(secret) for secret in secrets)


class _Sum:
    """The digest of heads as of an instant, in the making: hand it them in order."""

    def __init__(self, key: DigestKey, at: datetime) -> None:
        micros = (at - _EPOCH) // _TICK
        self._mac = hmac.new(key.secret, _FORMAT + micros.to_bytes(8, "big"), "sha256")
        self.holders = 0

    def add(self, holder: int, head: bytes) -> None:
        """The head of the next holder."""
        self._mac.update(b"%d %d " % (holder, len(head)) + head)
        self.holders += 1

    def digest(self) -> bytes:
        """All of them, and how many."""
        self._mac.update(b"%d" % self.holders)
        return self._mac.digest()


async def take(key: DigestKey, now: datetime, rulebook: int) -> HeadDigest:
    """Store the digest of all heads as of a few minutes ago (SETTLED_AFTER), and return it.

    For the end of the nightly run. Taken twice for one instant, the first one stands. `rulebook` is
    the version in force. Raises TimeoutError where some transaction never ends.
    """
    at = now - SETTLED_AFTER
    async with transaction() as connection:
        await store.put_seal(connection, at)
    await _all_seen()
    async with transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        total = _Sum(key, at)
        async for holder, head in store.heads(connection, at):
            total.add(holder, head)
        made = HeadDigest(at, total.holders, total.digest(), key.id, rulebook)
    async with transaction() as connection:
        return await store.add(connection, made)


async def _all_seen() -> None:
    """Wait until whoever may not have seen the seal has booked, or hasn't.

    However long a transaction was open: what it books up to the seal is in the digest.
    """
    async with asyncio.timeout(_PATIENCE):
        left = await store.booking()
        while left:
            await asyncio.sleep(_LOOK)
            left &= await store.booking()


async def stored(limit: int | None = None) -> list[HeadDigest]:
    """The stored digests, oldest first; of them only the last `limit`."""
    async with reading() as connection:
        return await store.stored(connection, limit)


def exported(made: HeadDigest) -> str:
    """A digest as a line of JSON, to be kept elsewhere."""
    return orjson.dumps(
        {
            "at": made.at.astimezone(UTC),
            "holders": made.holders,
            "digest": made.digest.hex(),
            "key": made.key_id,
            "rulebook": made.rulebook,
        }
    ).decode()


def imported(lines: Iterable[str]) -> list[HeadDigest]:
    """The digests of lines that `exported` made. Raises BadInput naming the line."""
    found = []
    for n, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said = orjson.loads(line)
            at = datetime.fromisoformat(said["at"])
            digest = bytes.fromhex(said["digest"])
            made = HeadDigest(at, said["holders"], digest, said["key"], said["rulebook"])
            if at.tzinfo is None or (type(made.holders), type(made.key_id)) != (int, str):
                raise ValueError
        except (ValueError, TypeError, LookupError):
            raise BadInput(f"line {n} is no exported digest", "digests") from None
        found.append(made)
    return found


async def proven(
    connection: Connection, keys: Sequence[DigestKey], kept: Sequence[HeadDigest]
) -> Found:
    """What is wrong with the stored digests and with those `kept` elsewhere.

    A stored digest that none of the keys made is passed over; a kept one isn't.
    """
    by_id = {key.id: key for key in keys}
    stored = await store.stored(connection)
    by_instant = {made.at: made for made in stored}
    wanted: dict[tuple[datetime, str], HeadDigest] = {
        (made.at, made.key_id): made for made in stored[-MOST_PROVEN:] if made.key_id in by_id
    }
    for made in kept:
        where = f"digest as of {made.at.isoformat()}"
        if by_instant.get(made.at) != made:
            yield where, "the one that was kept elsewhere isn't stored any more as it was"
        if made.key_id in by_id:
            wanted[made.at, made.key_id] = made
        else:
            yield where, f"it was made with the key {made.key_id}, which wasn't given"
    sums = {key: _Sum(by_id[key[1]], key[0]) for key in sorted(wanted)}
    await _add_up(connection, sums)
    for key, made in sorted(wanted.items()):
        if sums[key].holders != made.holders or sums[key].digest() != made.digest:
            problem = (
                f"the heads of {sums[key].holders} holders don't give the digest of {made.holders}"
            )
            yield f"digest as of {key[0].isoformat()}", problem


async def unproven(keys: Sequence[DigestKey]) -> int:
    """How many of the digests that `proven` looks at were made with none of the keys."""
    known = {key.id for key in keys}
    return sum(made.key_id not in known for made in await stored(MOST_PROVEN))


async def _add_up(connection: Connection, sums: Mapping[tuple[datetime, str], _Sum]) -> None:
    """Hand every sum the heads as of its instant, from the decisions in their order."""
    if not sums:
        return
    current, last = -1, b""
    left: list[tuple[datetime, _Sum]] = []
    async for holder, booked_at, head in store.decided(connection):
        if holder != current:
            _close(current, last, left)
            current, last = holder, b""
            left = [(key[0], total) for key, total in sums.items()]
        while left and left[0][0] < booked_at:
            _close(holder, last, [left.pop(0)])
        last = head
    _close(current, last, left)


def _close(holder: int, last: bytes, left: Iterable[tuple[datetime, _Sum]]) -> None:
    """What is left stands at the head of a holder's last decision, if it had one by then."""
    for _, total in left if last else ():
        total.add(holder, last)
