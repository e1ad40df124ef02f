"""Webhooks out, as Standard Webhooks 1.0 has them: what is told, signed how, tried how often.

Pure: no clock, no connection, no HTTP. Who is sent what is `core.telling`'s, when `core.sender`'s.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any
from urllib.parse import urlsplit

import orjson

from core.errors import BadInput
from core.events import EventKind
from core.outbox import OF_REDEMPTIONS, Told
from core.store.writes import ChangeRow

MOST_URL = 1000
#: A payload beyond this is sent without what its query found: receivers may refuse longer ones.
MOST_BYTES = 20_000
#: Waits before the second attempt and the later ones: 75 hours and 35 minutes, all in all.
WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
ATTEMPTS = len(WAITS) + 1
#: A wait is longer by up to this share, so that what failed together isn't tried together.
_JITTER = 0.2
#: A receiver may ask for patience, but for no more than this.
MOST_PATIENCE = timedelta(days=1)
_PREFIX = "whsec_"
_SECRET_BYTES = 32


class Topic(IntEnum):
    """What kinds of changes are told, the most telling first; the numbers are stored."""

    PURCHASE_RECORDED = 1
    PURCHASE_CHANGED = 2
    ACTIVITY_RECORDED = 3
    REDEMPTION_CHANGED = 4
    TIER_CHANGED = 5
    POINTS_CHANGED = 6
    MEMBERSHIP_CHANGED = 7
    MEMBERSHIP_DUE = 8
    SURVEY_INVITED = 21
    SURVEY_ANSWERED = 22
    SURVEY_DETRACTOR = 23

    @property
    def type(self) -> str:
        """Its name in a payload, such as `tier.changed`."""
        return self.name.lower().replace("_", ".")


#: The type of what `sendTestWebhook` sends.
TEST_TYPE = "webhook.test"


class EndpointState(IntEnum):
    """Whether an endpoint is sent anything, and else why not; the numbers are stored."""

    ENABLED = 1
    DISABLED = 2
    GONE = 3
    FAILING = 4


class DeliveryState(IntEnum):
    """Where a delivery stands; the numbers are stored."""

    PENDING = 1
    DELIVERED = 2
    FAILED = 3


_OF_KINDS: Mapping[int, Topic] = {
    EventKind.PURCHASE: Topic.PURCHASE_RECORDED,
    EventKind.RETURN: Topic.PURCHASE_CHANGED,
    EventKind.CANCEL: Topic.PURCHASE_CHANGED,
    EventKind.EDIT: Topic.PURCHASE_CHANGED,
    EventKind.FULFILMENT: Topic.PURCHASE_CHANGED,
    EventKind.ACTIVITY: Topic.ACTIVITY_RECORDED,
    EventKind.OCCASION: Topic.ACTIVITY_RECORDED,
    EventKind.WITHDRAWAL: Topic.ACTIVITY_RECORDED,
    EventKind.MEMBERSHIP: Topic.MEMBERSHIP_CHANGED,
    EventKind.MEMBERSHIP_DUE: Topic.MEMBERSHIP_DUE,
    **dict.fromkeys(OF_REDEMPTIONS, Topic.REDEMPTION_CHANGED),
}

_OF_SURVEYS: Mapping[int, Sequence[Topic]] = {
    Told.SURVEY_INVITED: [Topic.SURVEY_INVITED],
    Told.SURVEY_ANSWERED: [Topic.SURVEY_ANSWERED],
    Told.SURVEY_DETRACTOR: [Topic.SURVEY_DETRACTOR, Topic.SURVEY_ANSWERED],
}
#: By these a change is known to be about an invitation.
OF_SURVEYS = frozenset({Topic.SURVEY_INVITED, Topic.SURVEY_ANSWERED, Topic.SURVEY_DETRACTOR})


def topics_of(change: ChangeRow) -> list[Topic]:
    """What a change is, the most telling first."""
    found = list(_OF_SURVEYS.get(change.kind, ()))
    if change.kind in _OF_KINDS:
        found.append(_OF_KINDS[change.kind])
    if change.ladders:
        found.append(Topic.TIER_CHANGED)
    if change.currencies:
        found.append(Topic.POINTS_CHANGED)
    return found


# -- secrets and signatures ------------------------------------------------------------------------


def new_secret() -> bytes:
    """A new secret."""
    return secrets.token_bytes(_SECRET_BYTES)


def shown_secret(secret: bytes) -> str:
    """A secret as its receiver is given it."""
    return _PREFIX + base64.b64encode(secret).decode()


def signature(secret: bytes, message: str, at: datetime, body: bytes) -> str:
    """The signature of one message under one secret."""
    signed = b"%b.%d.%b" % (message.encode(), int(at.timestamp()), body)
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def headers(message: str, at: datetime, body: bytes, known: Sequence[bytes]) -> dict[str, str]:
    """The headers of a message: while secrets rotate it is signed under each that still holds."""
    return {
        "content-type": "application/json",
        "user-agent": "Laurels",
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signature(secret, message, at, body) for secret in known),
    }


def message_id(delivery: int) -> str:
    """By what a receiver knows a message again: the same at every attempt, and when replayed."""
    return f"msg_{delivery}"


def body_of(types: Sequence[str], at: datetime, ids: Any, found: Mapping[str, Any] | None) -> bytes:
    """The payload: `found` is the answer of the endpoint's query, `ids` stand in where it is long.

    `types` is what happened, the most telling first.
    """
    head: dict[str, Any] = {"type": types[0], "timestamp": at.astimezone(UTC).isoformat()}
    if len(types) > 1:
        head["also"] = list(types[1:])
    if found is not None:
        whole = orjson.dumps({**head, **found})
        if len(whole) < MOST_BYTES:
            return whole
    return orjson.dumps({**head, "thin": True, "data": ids})


# -- when it is tried again ------------------------------------------------------------------------


def next_wait(attempts: int, chance: float, patience: timedelta | None = None) -> timedelta | None:
    """How long after so many failed attempts the next one is; None: there is none.

    `chance` in [0, 1) spreads it; `patience` is what the receiver asked for.
    """
    if attempts >= ATTEMPTS:
        return None
    wait = WAITS[attempts - 1] * (1 + _JITTER * chance)
    return wait if patience is None else max(wait, min(patience, MOST_PATIENCE))


# -- where to --------------------------------------------------------------------------------------


def check_url(url: str, private: Collection[str]) -> str:
    """Return `url` if webhooks may be sent there; `private` are the hosts that needn't be public.

    Only what the text itself says is checked here: names are resolved when it is sent to. Raises
    BadInput.
    """
    if not 1 <= len(url) <= MOST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise BadInput(f"url has 1 to {MOST_URL} plain characters", "url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadInput("url is no address", "url") from None
    if not url.startswith("https://") and not (url.startswith("http://") and host in private):
        raise BadInput("url begins with https://", "url")
    if not host or port == 0 or "@" in parts.netloc or "#" in url:
        raise BadInput("url is a host and a path, without a user's name and without #", "url")
    if host not in private and not _may_be_public(host):
        raise BadInput("url is an address that isn't public", "url")
    return url


def _may_be_public(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:  # a name: where it leads is asked when it is sent to
        return not host.endswith(("localhost", ".local", ".internal")) and "." in host


_NEVER = [
    ipaddress.ip_network(network)
    for network in (
        "::/96",  # IPv4-compatible, long gone
        "64:ff9b:1::/48",  # translation within a network
        "fec0::/10",  # site-local
    )
]
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet. Raises ValueError for anything else.

    An IPv6 address that stands for an IPv4 one is judged by that one too.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return (ip.ipv4_mapped is not None or ip.is_global) and is_public(str(inner))
    if (
        ip.is_multicast
        or ip.is_unspecified
        or ip.is_reserved
        or any(ip.version == network.version and ip in network for network in _NEVER)
    ):
        return False
    return ip.is_global
