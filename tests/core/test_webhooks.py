"""What a webhook is made of: signatures, waits, addresses, payloads. All of it pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from core.errors import BadInput
from core.events import EventKind
from core.store.writes import ChangeRow
from core.webhooks import (
    ATTEMPTS,
    MOST_BYTES,
    MOST_PATIENCE,
    WAITS,
    Topic,
    body_of,
    check_url,
    headers,
    is_public,
    message_id,
    new_secret,
    next_wait,
    shown_secret,
    signature,
    topics_of,
)

AT = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)

# The example that the specification's own libraries are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SIGNED_AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


class VerificationError(Exception):
    """The message isn't genuine."""


def verify(secret: str, body: bytes, given: Mapping[str, str], now: datetime) -> None:
    """What a receiver does, written after the specification and not after the code under test."""
    at = int(given["webhook-timestamp"])
    if abs(now.timestamp() - at) > 300:
        raise VerificationError("too old or too new")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = ".".join([given["webhook-id"], str(at), body.decode()]).encode()
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    for one in given["webhook-signature"].split(" "):
        version, _, told = one.partition(",")
        if version == "v1" and hmac.compare_digest(told, wanted):
            return
    raise VerificationError("no signature fits")


# --- signatures -----------------------------------------------------------------------------------


def test_the_published_example_is_signed_alike() -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    assert shown_secret(key) == SECRET
    assert signature(key, MESSAGE, SIGNED_AT, BODY) == SIGNATURE


def test_a_receiver_takes_what_is_genuine_and_nothing_else() -> None:
    secret = new_secret()
    assert 24 <= len(secret) <= 64
    said = headers(message_id(7), AT, BODY, [secret])
    verify(shown_secret(secret), BODY, said, AT + timedelta(minutes=4))
    forged = [
        (shown_secret(new_secret()), BODY, said, AT),
        (shown_secret(secret), BODY + b" ", said, AT),
        (shown_secret(secret), BODY, {**said, "webhook-id": message_id(8)}, AT),
        (shown_secret(secret), BODY, {**said, "webhook-timestamp": "1614265330"}, SIGNED_AT),
        (shown_secret(secret), BODY, said, AT + timedelta(minutes=6)),
    ]
    for attempt in forged:
        with pytest.raises(VerificationError):
            verify(*attempt)


def test_while_secrets_rotate_either_fits() -> None:
    old, new = new_secret(), new_secret()
    said = headers(message_id(1), AT, BODY, [new, old])
    assert said["webhook-signature"].count("v1,") == 2
    for secret in (old, new):
        verify(shown_secret(secret), BODY, said, AT)
    alone = headers(message_id(1), AT, BODY, [new])
    with pytest.raises(VerificationError):
        verify(shown_secret(old), BODY, alone, AT)


# --- when it is tried again -----------------------------------------------------------------------


def test_ten_attempts_over_three_days() -> None:
    waits = [next_wait(n, 0.0) for n in range(1, ATTEMPTS)]
    assert waits == list(WAITS)
    assert ATTEMPTS == 10
    assert sum(WAITS, timedelta(0)) == timedelta(hours=75, minutes=35, seconds=5)
    assert next_wait(ATTEMPTS, 0.0) is None
    assert next_wait(ATTEMPTS + 1, 0.0, timedelta(hours=1)) is None


@pytest.mark.parametrize("attempts", range(1, ATTEMPTS))
def test_waits_are_spread_and_never_shorter(attempts: int) -> None:
    least = WAITS[attempts - 1]
    found = [next_wait(attempts, chance) for chance in (0.0, 0.25, 0.5, 0.999)]
    assert all(wait is not None and least <= wait <= least * 1.2 for wait in found)
    assert len(set(found)) == 4


def test_a_receiver_that_asks_for_patience_is_given_some() -> None:
    assert next_wait(1, 0.0, timedelta(minutes=7)) == timedelta(minutes=7)
    assert next_wait(4, 0.0, timedelta(minutes=7)) == WAITS[3]  # it is longer anyway
    assert next_wait(1, 0.0, timedelta(days=400)) == MOST_PATIENCE


# --- addresses ------------------------------------------------------------------------------------

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.255.255", "172.32.0.1", "100.63.255.255",
    "100.128.0.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]  # fmt: skip
NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255",
    "127.0.0.1", "127.255.255.254", "169.254.0.1", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.0.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::8.8.8.8", "2002:7f00:1::", "2002:a00:1::1",
    "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "ff0e::1",
    "2001:db8::1", "2001:0:53aa:64c:0:fbff:f5ff:fffe", "100::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    assert not is_public(address)


GOOD = [
    "https://example.com/hook", "https://example.com:8443/a?b=c", "https://1.1.1.1/",
    "https://[2606:4700:4700::1111]/", "http://tester:8080/x", "https://127.0.0.1:1/",
]  # fmt: skip
BAD = [
    "", "x" * 2000, "https://" + "x" * 1000 + ".com", "http://example.com/", "HTTPS://example.com/",
    "ftp://example.com/", "//example.com/", "example.com", "https://", "https:///path",
    "https://me:secret@example.com/", "https://example.com/#here", "https://example.com:0/",
    "https://example.com:99999/", "https://example.com:x/", "https://exa mple.com/",
    "https://example.com/\n", "https://example.com/\x00", "https://exämple.com/",
    "https://localhost/", "https://a.localhost/", "https://printer.local/", "https://a.internal/",
    "https://intranet/", "https://10.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
    "https://169.254.169.254/latest/meta-data", "https://[fd00:ec2::254]/", "https://2130706433/",
    "https://0x7f000001/", "https://[::1/", "javascript:alert(1)", "file:///etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_may_be_sent_to(url: str) -> None:
    assert check_url(url, {"tester", "127.0.0.1"}) == url


@pytest.mark.parametrize("url", BAD)
def test_may_not_be_sent_to(url: str) -> None:
    with pytest.raises(BadInput) as told:
        check_url(url, {"tester"})
    assert told.value.path == ("url",)


# --- what is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "topics"),
    [
        (ChangeRow(1, 2, 3, EventKind.PURCHASE), [Topic.PURCHASE_RECORDED]),
        (
            ChangeRow(1, 2, 3, EventKind.PURCHASE, (1,), (4,)),
            [Topic.PURCHASE_RECORDED, Topic.TIER_CHANGED, Topic.POINTS_CHANGED],
        ),
        (
            ChangeRow(1, 2, 3, EventKind.RETURN, (1,)),
            [Topic.PURCHASE_CHANGED, Topic.POINTS_CHANGED],
        ),
        (
            ChangeRow(1, 2, 3, EventKind.TIME_OUT, (1,), (), 9),
            [Topic.REDEMPTION_CHANGED, Topic.POINTS_CHANGED],
        ),
        (ChangeRow(1, 2, 0, EventKind.REVIEW, (), (4,)), [Topic.TIER_CHANGED]),
        (ChangeRow(1, 2, 0, EventKind.NIGHT, (1,)), [Topic.POINTS_CHANGED]),
        (ChangeRow(1, 2, 0, EventKind.NIGHT), []),
    ],
)
def test_a_change_is_of_these_kinds(change: ChangeRow, topics: list[Topic]) -> None:
    assert topics_of(change) == topics


def test_what_the_programme_does_is_told_by_what_it_moved_alone() -> None:
    bare = {kind for kind in EventKind if not topics_of(ChangeRow(1, 2, 3, kind))}
    assert bare == {
        EventKind.REVIEW,
        EventKind.ADJUSTMENT,
        EventKind.NIGHT,
        EventKind.ASSIGNMENT,
        EventKind.ASSIGNMENT_END,
        EventKind.LOT_MOVE,
        EventKind.PERK,
        EventKind.GIFT,
        EventKind.GIFT_RECEIVED,
    }


def test_a_payload_says_what_happened_and_when() -> None:
    types = [Topic.PURCHASE_RECORDED.type, Topic.TIER_CHANGED.type]
    body = body_of(types, AT, {"member": "x"}, {"data": {"member": {"name": "Ada"}}})
    assert orjson.loads(body) == {
        "type": "purchase.recorded",
        "also": ["tier.changed"],
        "timestamp": "2026-03-15T12:00:00+00:00",
        "data": {"member": {"name": "Ada"}},
    }


@pytest.mark.parametrize("length", [MOST_BYTES, 10 * MOST_BYTES])
def test_a_long_payload_becomes_a_thin_one(length: int) -> None:
    body = body_of(["tier.changed"], AT, {"member": "x"}, {"data": "y" * length})
    assert orjson.loads(body) == {
        "type": "tier.changed",
        "timestamp": "2026-03-15T12:00:00+00:00",
        "thin": True,
        "data": {"member": "x"},
    }


def test_one_that_just_fits_is_sent_whole() -> None:
    empty = len(body_of(["tier.changed"], AT, {}, {"data": ""}))
    body = body_of(["tier.changed"], AT, {}, {"data": "y" * (MOST_BYTES - 1 - empty)})
    assert len(body) == MOST_BYTES - 1
    assert "thin" not in orjson.loads(body)
