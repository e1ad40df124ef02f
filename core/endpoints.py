"""Commands on webhook endpoints: made, changed, given a new secret, tried, sent things again.

Knows no GraphQL: whoever calls has checked the query, and that the caller may act for the partner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson

from core.db import Connection, transaction
from core.errors import BadInput, IdempotencyConflict, NotAllowed, UnknownReference
from core.purchases import check_text
from core.store import webhook_deliveries as deliveries
from core.store import webhooks as store
from core.store.redemptions import claim_key
from core.store.webhooks import Endpoint
from core.webhooks import EndpointState, Topic, check_url, new_secret, shown_secret

#: Endpoints of one partner.
MOST_ENDPOINTS = 20
MOST_QUERY = 10_000
#: A secret is good for so long at most after the next one came.
LONGEST_OVERLAP = timedelta(days=7)
#: What was sent is kept for so long, and what wasn't, too.
KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a partner wants of an endpoint; `scopes`: with which permissions its query runs.

    `saved_by` is the partner's key that wants it: the query is asked until that key ends.
    """

    url: str
    topics: Collection[Topic]
    query: str | None
    scopes: Collection[str]
    saved_by: str | None = None


class Request(NamedTuple):
    """Who asks, and by which idempotency key."""

    caller: str
    key: str


class Secret(NamedTuple):
    """An endpoint and its newest secret; None where this key was used before: it is shown once."""

    endpoint: Endpoint
    secret: str | None


def check(wanted: Wanted, private: Collection[str]) -> Wanted:
    """Return it if it can be stored. Raises BadInput naming the field."""
    check_url(wanted.url, private)
    if not wanted.topics:
        raise BadInput("changes names at least one kind of change", "changes")
    if wanted.query is not None:
        check_text(wanted.query, "query", MOST_QUERY, least=1)
    return wanted


async def create(partner: int, wanted: Wanted, request: Request, now: datetime) -> Secret:
    """Make an endpoint of a partner's; the same again for the same key.

    Raises IdempotencyConflict, and NotAllowed where the partner has too many.
    """
    secret = new_secret()
    asked = _digest("create", partner, wanted.url, sorted(wanted.topics), wanted.query)
    async with transaction() as connection:
        number = await store.next_id(connection)
        if (before := await _before(connection, request, asked, number, now)) is not None:
            return Secret(await _locked(connection, before), None)
        if await store.lock_partner(connection, partner) >= MOST_ENDPOINTS:
            raise NotAllowed(f"a partner has at most {MOST_ENDPOINTS} endpoints")
        made = Endpoint(
            number, partner, wanted.url, tuple(sorted(wanted.topics)), wanted.query,
            tuple(sorted(wanted.scopes)), wanted.saved_by, now, EndpointState.ENABLED, None, None,
            None, None,
        )  # fmt: skip
        await store.add(connection, made, secret)
        return Secret(await _locked(connection, number), shown_secret(secret))


async def update(endpoint: int, merge: Callable[[Endpoint], Wanted]) -> Endpoint:
    """Change what an endpoint is sent, and where: `merge` is handed it as it stands, locked.

    Raises UnknownReference, and what `merge` raises.
    """
    async with transaction() as connection:
        known = await _locked(connection, endpoint)
        wanted = merge(known)
        changed = known._replace(
            url=wanted.url, topics=tuple(sorted(wanted.topics)), query=wanted.query,
            scopes=tuple(sorted(wanted.scopes)), saved_by=wanted.saved_by,
        )  # fmt: skip
        await store.save(connection, changed)
        return await _locked(connection, endpoint)


async def switch(endpoint: int, on: bool, now: datetime) -> Endpoint:
    """Enable or disable an endpoint; what is pending waits until it is enabled, or is forgotten.

    Raises UnknownReference.
    """
    async with transaction() as connection:
        known = await _locked(connection, endpoint)
        if on is (known.state == EndpointState.ENABLED):
            return known
        state = EndpointState.ENABLED if on else EndpointState.DISABLED
        changed = known._replace(state=state, disabled_at=None if on else now)
        await store.save(connection, changed)
    return changed


async def rotate(endpoint: int, overlap: timedelta, request: Request, now: datetime) -> Secret:
    """Give an endpoint a new secret; for the time of the overlap the old one signs too.

    Raises UnknownReference, BadInput, IdempotencyConflict.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadInput(f"an overlap is at most {LONGEST_OVERLAP.days} days", "overlapHours")
    secret = new_secret()
    asked = _digest("rotate", endpoint, overlap.total_seconds())
    async with transaction() as connection:
        if await _before(connection, request, asked, endpoint, now) is not None:
            return Secret(await _locked(connection, endpoint), None)
        await _locked(connection, endpoint)
        await store.rotate(connection, endpoint, secret, now, now + overlap)
        return Secret(await _locked(connection, endpoint), shown_secret(secret))


async def delete(endpoint: int) -> Endpoint:
    """Delete an endpoint with all that was sent there. Raises UnknownReference."""
    async with transaction() as connection:
        known = await _locked(connection, endpoint)
        await store.delete(connection, endpoint)
    return known


async def send_test(endpoint: int, request: Request, now: datetime) -> int:
    """Have something sent that is about nothing; the delivery's number.

    Raises UnknownReference, IdempotencyConflict.
    """
    async with transaction() as connection:
        await _locked(connection, endpoint)
        number = await deliveries.add_test(connection, endpoint, now)
        asked = _digest("test", endpoint)
        before = await _before(connection, request, asked, number, now)
        if before is not None:
            await deliveries.drop(connection, number)
            return before
    return number


async def replay(numbers: Sequence[int], now: datetime) -> None:
    """Have deliveries sent once more, under the id that they had."""
    await deliveries.replay(numbers, now)


async def forget(now: datetime) -> int:
    """Drop what happened long ago from the log, though it was never sent; how many."""
    return await deliveries.forget(now - KEPT)


async def _locked(connection: Connection, endpoint: int) -> Endpoint:
    known = await store.lock(connection, endpoint)
    if known is None:
        raise UnknownReference("no such endpoint", "id")
    return known


async def _before(
    connection: Connection, request: Request, asked: bytes, outcome: int, now: datetime
) -> int | None:
    """What this key led to before, if anything."""
    check_text(request.key, "key", 255, least=1)
    known = await claim_key(connection, request.caller, request.key, asked, [outcome], now)
    if known is None:
        return None
    if known[0] != asked:
        raise IdempotencyConflict("this key was used before for another request", "key")
    return known[1][0]


def _digest(*said: object) -> bytes:
    return hashlib.blake2b(orjson.dumps(["webhook", *said]), digest_size=16).digest()
