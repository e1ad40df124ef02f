"""Partners' API keys: made, looked up, rotated and revoked. Shown once, kept as keyed digests.

A key is a text `laurels_<id>_<secret>`: a public id, and 256 random bits. Kept is the HMAC-SHA256
of the secret by a key that is derived from the deployment's secret, and which one that was; a
digest by an earlier one is made anew when its key is used, so a rotation of the deployment's secret
costs no partner its key as long as the earlier secret is given too.

Each process remembers a key for a few seconds (REMEMBERED): one that is revoked is refused in the
process that did it at once, and everywhere within that time. Knows nothing of what a scope opens.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets as randomness
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from core.db import transaction
from core.errors import BadInput, NotAllowed, UnknownReference, WrongState
from core.members import has_controls
from core.signing import DerivedKey, Secrets
from core.store import keys as store
from core.store.keys import KeyRow, SecretRow

__all__ = ["ApiKeys", "Found", "Issued", "KeyRow", "listed", "maker"]

PREFIX = "laurels_"
#: So long a process goes on with what it knows of a key.
REMEMBERED = timedelta(seconds=5)
#: So many keys a process remembers; and so many ids of none, which anybody can make up.
MOST_REMEMBERED, MOST_MISSED = 2048, 256
#: How exactly the last use of a key is known: it is written once in so long.
USE_EVERY = timedelta(minutes=1)
#: A partner's keys that aren't revoked, a key's secrets at a time, and keys in a list.
MOST_KEYS, MOST_SECRETS, MOST_LISTED = 100, 4, 500
#: An old secret goes on for no longer.
LONGEST_OVERLAP = timedelta(days=90)
_USE = b"laurels api keys"
_FORM = re.compile(r"laurels_([0-9a-f]{16})_([0-9a-f]{64})\Z")
_NONE = "the partner has no such key"
_ID = re.compile(r"[0-9a-f]{16}\Z")
_log = structlog.get_logger("laurels.keys")


class Issued(NamedTuple):
    """A key with a new secret: the only time that it can be told."""

    row: KeyRow
    text: str


class Found(NamedTuple):
    """A key that was presented with a secret of it, and when the two of them end."""

    row: KeyRow
    until: datetime | None


@dataclass(slots=True)
class _Known:
    at: datetime
    key: tuple[KeyRow, list[SecretRow]] | None
    used_at: datetime | None = None


class ApiKeys:
    """The keys of all partners, as one process looks them up."""

    def __init__(self, secrets: Secrets) -> None:
        self._keys = secrets.keys(_USE)
        self._by_id = {key.id: key for key in self._keys}
        self._known: dict[str, _Known] = {}
        self._missed: dict[str, _Known] = {}  # apart: what is made up drives no key out
        self._writing: set[asyncio.Task[None]] = set()
        self._changes = 0  # in this process: what was read before one isn't remembered after it

    async def find(self, text: str, now: datetime) -> Found | None:
        """The key that is presented, if it is good. Of an unknown id as of a wrong secret: None."""
        parts = _FORM.match(text)
        if parts is None:
            return None
        key_id, secret = parts[1], parts[2]
        known = await self._look_up(key_id, now)
        row, digests = known.key or (None, [])
        # Also for nobody's id: each of the derived keys, whatever is stored.
        macs = {key.id: key.mac(secret.encode()) for key in self._keys}
        match: SecretRow | None = None
        for stored in digests:
            mac = macs.get(stored.digest_key, b"")
            if hmac.compare_digest(mac, stored.digest) and _lives(stored.ends_at, now):
                match = stored
        if row is None or match is None or row.revoked_at or not _lives(row.expires_at, now):
            return None
        self._note_use(known, match, macs, now)
        ends = [end for end in (row.expires_at, match.ends_at) if end is not None]
        return Found(row, min(ends, default=None))

    async def _look_up(self, key_id: str, now: datetime) -> _Known:
        known = self._known.get(key_id) or self._missed.get(key_id)
        # A clock that was set back makes it stale, too.
        if known is None or not timedelta(0) <= now - known.at < REMEMBERED:
            changes = self._changes
            key = await store.read(key_id)
            known = _Known(now, key, key[0].used_at if key else None)
            self._known.pop(key_id, None)
            self._missed.pop(key_id, None)
            if changes == self._changes:
                if key:
                    _remember(self._known, MOST_REMEMBERED, key_id, known)
                else:
                    _remember(self._missed, MOST_MISSED, key_id, known)
        return known

    def _note_use(
        self, known: _Known, match: SecretRow, macs: dict[str, bytes], now: datetime
    ) -> None:
        """Beside the request: that the key is in use, and its digest by the key in force."""
        assert known.key is not None
        current = self._keys[0].id
        stale = match.digest_key != current
        if not stale and known.used_at is not None and now - known.used_at < USE_EVERY:
            return
        known.used_at = now
        if stale:
            fresh = match._replace(digest=macs[current], digest_key=current)
            row, digests = known.key
            known.key = row, [fresh if x == match else x for x in digests]
        anew = (match.digest, macs[current], current) if stale else None
        task = asyncio.create_task(_write_use(known.key[0].id, now, anew), name="key used")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def settled(self) -> None:
        """Wait until what is written beside the requests is written."""
        await asyncio.gather(*self._writing)

    async def create(
        self,
        partner: int,
        title: str,
        scopes: Sequence[str],
        created_by: str,
        now: datetime,
        *,
        expires_at: datetime | None = None,
    ) -> Issued:
        """A new key of a partner. Raises BadInput naming the field, WrongState beyond MOST_KEYS.

        And NotAllowed where a key makes it that is revoked: some process may still remember it.
        """
        if not 1 <= len(title.strip()) <= 100 or has_controls(title):
            raise BadInput("a title has 1 to 100 characters, no controls", "title")
        if not scopes:
            raise BadInput("a key opens something: name a scope", "scopes")
        if expires_at is not None and expires_at <= now:
            raise BadInput("a key expires later than now", "expiresAt")
        key_id = randomness.token_hex(8)
        row = KeyRow(
            key_id, partner, "", title.strip(), sorted(set(scopes)), created_by, now, expires_at,
            None, None,
        )  # fmt: skip
        async with transaction() as connection:
            if await store.living(connection, partner) >= MOST_KEYS:
                raise WrongState(f"a partner has at most {MOST_KEYS} keys: revoke one", "partner")
            if await store.is_revoked(connection, created_by.removeprefix(store.BY_KEY)):
                raise NotAllowed("the key that makes it is revoked")
            await store.add(connection, row)
            text, secret = self._new_secret(key_id, now)
            await store.add_secret(connection, key_id, secret)
            stored = await store.lock(connection, partner, key_id)
        assert stored is not None
        return Issued(stored, text)

    async def rotate(self, partner: int, key_id: str, until: datetime, now: datetime) -> Issued:
        """A new secret of a key; those before it go on until then, if they don't end sooner.

        So a rotation whose answer was lost may be done again: what tills use goes on meanwhile.
        Raises UnknownReference, WrongState for a key that opens nothing or has MOST_SECRETS.
        """
        if not timedelta(0) <= until - now <= LONGEST_OVERLAP:
            raise BadInput(f"an overlap is up to {LONGEST_OVERLAP.days} days", "overlap")
        async with transaction() as connection:
            row = _found(await store.lock(connection, partner, _checked(key_id)))
            if row.revoked_at is not None or not _lives(row.expires_at, now):
                raise WrongState("the key is revoked or has expired", "id")
            await store.end_secrets(connection, key_id, until, now)
            if await store.secrets(connection, key_id) >= MOST_SECRETS:
                raise WrongState("several of its secrets go on already: wait for one to end", "id")
            text, secret = self._new_secret(key_id, now)
            await store.add_secret(connection, key_id, secret)
        self._forget(key_id)
        return Issued(row, text)

    async def revoke(self, partner: int, key_id: str, now: datetime) -> tuple[KeyRow, bool]:
        """End a key at once, with all that it made, that they made, and so on.

        Told is the key, and whether it was revoked before. Raises UnknownReference.
        """
        async with transaction() as connection:
            await store.hold(connection, partner)  # or one would be made meanwhile, and stay
            row = _found(await store.lock(connection, partner, _checked(key_id)))
            ended = await store.revoke(connection, partner, key_id, now)
        self._forget(key_id, *ended)
        return row._replace(revoked_at=row.revoked_at or now), row.revoked_at is not None

    def _forget(self, *key_ids: str) -> None:
        self._changes += 1
        for key_id in key_ids:
            self._known.pop(key_id, None)

    async def read(self, partner: int, key_id: str) -> KeyRow:
        """A partner's key. Raises UnknownReference."""
        found = await store.read(_checked(key_id))
        return _found(found[0] if found and found[0].partner_id == partner else None)

    def _new_secret(self, key_id: str, now: datetime) -> tuple[str, SecretRow]:
        secret = randomness.token_hex(32)
        key: DerivedKey = self._keys[0]
        row = SecretRow(key.mac(secret.encode()), key.id, now, None)
        return f"{PREFIX}{key_id}_{secret}", row


def maker(key_id: str) -> str:
    """As who a key makes others: revoked, it takes them with it."""
    return f"{store.BY_KEY}{key_id}"


async def listed(partner: int) -> list[KeyRow]:
    """A partner's keys, those in use first, then the latest first; of them MOST_LISTED."""
    return await store.of_partner(partner, MOST_LISTED)


def _remember(kept: dict[str, _Known], most: int, key_id: str, known: _Known) -> None:
    while len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key_id] = known


def _checked(key_id: str) -> str:
    """An id that a key can have: any other text may be one that the database can't even read."""
    if not _ID.match(key_id):
        raise UnknownReference(_NONE, "id")
    return key_id


def _found(row: KeyRow | None) -> KeyRow:
    if row is None:
        raise UnknownReference(_NONE, "id")
    return row


def _lives(end: datetime | None, now: datetime) -> bool:
    return end is None or now < end


async def _write_use(key_id: str, now: datetime, anew: tuple[bytes, bytes, str] | None) -> None:
    try:
        async with transaction() as connection:
            await store.used(connection, key_id, now, now - USE_EVERY)
            if anew is not None:
                await store.digest_anew(connection, *anew)
    except Exception:  # the request is answered already; the next use writes it
        _log.warning("the use of a key wasn't written", key=key_id, exc_info=True)
