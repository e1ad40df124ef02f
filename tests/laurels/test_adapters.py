"""Adapters: who is let in, and what a message may say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

import laurels
from laurels import (
    Adapter,
    CancelPurchase,
    DeclarationError,
    Delivery,
    DeliveryError,
    Enrol,
    Hmac,
    Ignore,
    MemberBy,
    Message,
    Partner,
    Received,
    RecordActivity,
    RecordPurchase,
    SoldLine,
    StandardWebhooks,
    Timestamp,
    WithdrawActivity,
    hookimpl,
    instant,
    testing,
)
from laurels.adapters import place

NOW = testing.NOW
BODY = b'{"id": 1}'


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "sha1"])
@pytest.mark.parametrize("encoding", ["base64", "hex"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_a_signature_is_taken_and_none_that_differs(
    algorithm: str, encoding: str, prefix: str
) -> None:
    verify = Hmac("secret", "X-Sign", algorithm, encoding, prefix)
    digest = hmac.new(b"secret", BODY, getattr(hashlib, algorithm)).digest()
    text = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    good = {"x-sign": prefix + text}
    assert verify.sign(BODY, NOW) == good
    assert verify.verify(good, BODY, NOW)
    assert not verify.verify(good, BODY + b" ", NOW)
    assert not verify.verify({}, BODY, NOW)
    assert not verify.verify({"x-sign": prefix}, BODY, NOW)
    assert not verify.verify({"x-sign": prefix + text[:-4]}, BODY, NOW)
    assert verify.verify({"x-sign": text}, BODY, NOW) is not bool(prefix)
    assert not Hmac("other", "X-Sign", algorithm, encoding, prefix).verify(good, BODY, NOW)


def test_several_secrets_are_good_at_once_while_one_takes_the_others_place() -> None:
    both = Hmac([SecretStr("new"), "old"], "x-sign")
    for secret in ("new", "old"):
        assert both.verify(Hmac(secret, "x-sign").sign(BODY, NOW), BODY, NOW)
    assert not both.verify(Hmac("older", "x-sign").sign(BODY, NOW), BODY, NOW)


def test_a_timestamp_is_signed_and_soon_over() -> None:
    verify = Hmac("secret", "x-sign", "sha256", "hex", "v0=", Timestamp("X-At", "v0:{timestamp}:"))
    headers = verify.sign(BODY, NOW)
    stamp = str(int(NOW.timestamp()))
    digest = hmac.new(b"secret", b"v0:" + stamp.encode() + b":" + BODY, "sha256").hexdigest()
    assert headers == {"x-at": stamp, "x-sign": f"v0={digest}"}
    for seconds, good in ((0, True), (300, True), (301, False), (-300, True), (-301, False)):
        assert verify.verify(headers, BODY, NOW + timedelta(seconds=seconds)) is good
    later = str(int(NOW.timestamp()) + 10)
    for wrong in (later, "", "soon", "9" * 30, "-1"):
        assert not verify.verify({**headers, "x-at": wrong}, BODY, NOW)


#: The example that the specification's own libraries are tested by.
KNOWN = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
KNOWN_BODY = b'{"test": 2432232314}'
KNOWN_AT = datetime.fromtimestamp(1614265330, UTC)


def test_standard_webhooks_by_a_known_example() -> None:
    verify = StandardWebhooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert verify.verify(KNOWN, KNOWN_BODY, KNOWN_AT)
    other = StandardWebhooks("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
    several = f"v1,{'A' * 43}= v1a,x {KNOWN['webhook-signature']}"
    assert verify.verify({**KNOWN, "webhook-signature": several}, KNOWN_BODY, KNOWN_AT)
    assert not other.verify(KNOWN, KNOWN_BODY, KNOWN_AT)
    for name in KNOWN:
        assert not verify.verify({**KNOWN, name: ""}, KNOWN_BODY, KNOWN_AT)
        assert not verify.verify({**KNOWN, name: KNOWN[name] + "1"}, KNOWN_BODY, KNOWN_AT)
    assert not verify.verify(KNOWN, KNOWN_BODY + b" ", KNOWN_AT)
    assert not verify.verify(KNOWN, KNOWN_BODY, KNOWN_AT + timedelta(seconds=301))
    assert not verify.verify(KNOWN, KNOWN_BODY, KNOWN_AT - timedelta(seconds=301))


HEADERS = st.dictionaries(st.sampled_from([*KNOWN, "x-sign", "x-at"]), st.text(), max_size=5)


@given(HEADERS, st.binary())
def test_whatever_comes_is_answered_and_let_in_by_nobody(
    headers: Mapping[str, str], body: bytes
) -> None:
    for verify in (
        Hmac("secret", "x-sign"), Hmac("secret", "x-sign", timestamp=Timestamp("x-at")),
        StandardWebhooks("whsec_c2VjcmV0"),
    ):  # fmt: skip
        assert verify.verify(headers, body, NOW) is False


def good(message: Message) -> Received:
    return Ignore("all of it")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Hmac("", "x"), "secret: a text is wanted"),
        (lambda: Hmac([], "x"), "secret: at least one"),
        (lambda: Hmac(SecretStr(""), "x"), "secret: a text is wanted, not SecretStr"),
        (lambda: Hmac(None, "x"), "secret"),  # type: ignore[arg-type]  # the fault
        (lambda: Hmac("s", "x y"), "no name of a header"),
        (lambda: Hmac("s", "x", "md5"), "algorithm"),
        (lambda: Hmac("s", "x", encoding="base32"), "encoding"),
        (lambda: Timestamp("x", "v0:"), "the signature covers"),
        (lambda: Timestamp("x", tolerance=0), "tolerance"),
        (lambda: StandardWebhooks("whsec_!"), "comes base64"),
        (lambda: StandardWebhooks("whsec_"), "it is empty"),
        (lambda: Adapter("no code!", Hmac("s", "x"), good), "a code has ASCII"),
        (lambda: Adapter("a", Hmac, good), "verify"),  # type: ignore[arg-type]  # the fault
        (lambda: Adapter("a", Hmac("s", "x"), 1), "read"),  # type: ignore[arg-type]  # the fault
        (lambda: Adapter("a", Hmac("s", "x"), good, "x"), "a list of names"),
        (lambda: Adapter("a", Hmac("s", "x"), good, ["X", "x"]), "stands there twice"),
    ],
)
def test_what_could_let_anybody_in_is_refused(make: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        make()


def test_secrets_are_in_no_repr() -> None:
    adapter = Adapter("a", Hmac("hunter2", "x"), good)
    assert "hunter2" not in repr([adapter, StandardWebhooks("hunter2"), Hmac(["hunter2"], "x")])


LINE = SoldLine("bread", "1.00")
WHO = MemberBy(card="1")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MemberBy(), "one of email"),
        (lambda: MemberBy(card="1", email="a@b.co"), "one of email"),
        (lambda: MemberBy(card=1), "card: a text is wanted, not 1"),  # type: ignore[arg-type]
        (lambda: Enrol("Ada"), "one of email"),
        (lambda: SoldLine("bread", 1.0), "amount: a text"),  # type: ignore[arg-type]
        (lambda: SoldLine("a\0", "1"), "product_type: a text"),
        (lambda: SoldLine("a", "1", tax=1), "tax: a text"),  # type: ignore[arg-type]
        (lambda: RecordActivity("1", WHO, NOW, "review", {"a b": 1}), "attribute 'a b'"),
        (lambda: RecordActivity("1", WHO, NOW, "review", {"a": 1.5}), "attribute a: a text"),  # type: ignore[dict-item]
        (lambda: RecordActivity("1", WHO, NOW, "review", [1]), "attributes: a mapping"),  # type: ignore[arg-type]
        (lambda: WithdrawActivity(1, NOW), "activity: a text"),  # type: ignore[arg-type]
        (lambda: RecordPurchase("1", "1", NOW, "USD", [LINE]), "member: MemberBy"),  # type: ignore[arg-type]
        (lambda: RecordPurchase("1", WHO, NOW, "USD", LINE), "lines: a list"),  # type: ignore[arg-type]
        (lambda: RecordPurchase("1", WHO, NOW, "USD", [1]), "lines: int at place 1"),  # type: ignore[list-item]
        (lambda: CancelPurchase("1", datetime(2026, 1, 1)), "a time with its zone"),  # noqa: DTZ001
        (lambda: Delivery("", "s", 1, [Ignore("x")]), "id: a text of 1 to 200"),
        (lambda: Delivery("d", "s" * 201, 1, [Ignore("x")]), "subject: a text of 1 to 200"),
        (lambda: Delivery("d", "s", 1, []), "1 to 100 are wanted"),
        (lambda: Delivery("d", "s", 1.5, [Ignore("x")]), "version: a whole number"),  # type: ignore[arg-type]
        (lambda: Delivery("d", "s", 2**63, [Ignore("x")]), "version: a whole number"),
        (lambda: Delivery("d", "s", 1, [LINE]), "commands: SoldLine at place 1"),  # type: ignore[list-item]
        (lambda: instant("2026-03-15T12:00:00"), "no instant"),
        (lambda: instant(5), "no instant"),
        (lambda: Message({}, b"{").json, "no JSON"),
        (lambda: Message({}, b"[" * 100_000).json, "no JSON"),
    ],
)
def test_what_is_malformed_is_told_by_its_field(make: Any, words: str) -> None:
    with pytest.raises(DeliveryError, match=words):
        make()


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2, max_size=2))
def test_times_are_ordered_as_numbers(times: list[datetime]) -> None:
    one, two = (place("version", at) for at in times)
    assert one is not None
    assert two is not None
    assert (one < two, one == two) == (times[0] < times[1], times[0] == times[1])


# -- a brand's own tests ---------------------------------------------------------------------------


def plugin(read: Any, verify: Any = None) -> SimpleNamespace:
    """A plugin with one adapter."""

    @hookimpl
    def laurels_partner() -> Partner:
        return Partner("shop", "The Shop")

    @hookimpl
    def laurels_adapters() -> list[Adapter]:
        return [Adapter("shop", verify or Hmac("secret", "X-Sign"), read, ["X-Topic"])]

    return SimpleNamespace(laurels_partner=laurels_partner, laurels_adapters=laurels_adapters)


def cancel(message: Message) -> Received:
    said = message.json
    assert isinstance(said, dict)
    return Delivery(message.headers["x-topic"], str(said["id"]), None, [CancelPurchase("1", NOW)])


def test_a_brand_signs_and_reads_in_its_tests() -> None:
    headers = testing.signed(plugin(cancel), "shop", BODY, {"X-Topic": "d-1", "X-Other": "no"})
    found = testing.received(plugin(cancel), "shop", BODY, headers)
    assert found == Delivery("d-1", "1", None, [CancelPurchase("1", NOW)])
    with pytest.raises(DeliveryError, match="signature"):
        testing.received(plugin(cancel), "shop", BODY + b" ", headers)
    assert testing.problems(plugin(cancel)) == []


class Raising:
    """Lets nobody in, and says so in its own way."""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        raise KeyError


class Yes:
    """Its answer is no True."""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Any:
        return "yes"


def nothing(message: Message) -> Any:
    return None


def test_nothing_but_true_lets_a_message_in() -> None:
    with pytest.raises(DeliveryError, match="signature"):
        testing.received(plugin(cancel, Yes()), "shop", BODY, {"x-topic": "d-1"})
    assert testing.problems(plugin(cancel, Yes())) == []


@pytest.mark.parametrize("blank", ["", " ", "\n", b" \t", ["good", " "], SecretStr("  ")])
def test_a_blank_secret_lets_nobody_be_refused(blank: Any) -> None:
    for make in (lambda: Hmac(blank, "x-sign"), lambda: StandardWebhooks(blank)):
        with pytest.raises(DeclarationError, match="secret: a text is wanted"):
            make()
    with pytest.raises(DeclarationError, match="it is empty"):
        StandardWebhooks("whsec_" + base64.b64encode(b"  ").decode())


def test_a_list_is_kept_as_it_was_when_it_was_looked_at() -> None:
    lines = deque([SoldLine("bread", "1.00")])
    made = RecordPurchase("1", MemberBy(card="1"), NOW, "USD", lines)
    lines.append("none")  # type: ignore[arg-type]  # what a brand's own code may do
    assert made.lines == (SoldLine("bread", "1.00"),)
    assert type(Delivery("d", "s", None, deque([made])).commands) is tuple


def test_why_something_is_ignored_is_told_briefly() -> None:
    assert Ignore("x" * 500).because == "x" * 500
    with pytest.raises(DeliveryError, match="because: a text of at most 500 characters"):
        Ignore("x" * 501)


class Open:
    """Lets everybody in."""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        return True


def slow(message: Message) -> Received:
    while True:
        pass


def logs(message: Message) -> Received:
    with open("/dev/null", "ab") as log:  # noqa: PTH123
        log.write(message.body)
    return Ignore("seen")


COUNT: list[int] = []


def counts(message: Message) -> Received:
    COUNT.append(1)
    return Ignore(f"the message {len(COUNT)}")


@pytest.mark.parametrize(
    ("read", "verify", "words"),
    [
        (cancel, Open(), "adapter 'shop': takes a message without a signature"),
        (cancel, Raising(), "adapter 'shop': its verify raised KeyError: it never raises"),
        (nothing, None, "adapter 'shop': its read answered what no adapter may: a Delivery or"),
        (slow, None, "adapter 'shop': its read took longer than it may"),
        (logs, None, "adapter 'shop': does input or output (open): it is pure"),
        (counts, None, "adapter 'shop': read the same message otherwise the second time"),
        (
            lambda: None,
            None,
            "hook laurels_adapters: adapter 'shop': read is called with (message)",
        ),
    ],
)
def test_a_fault_of_an_adapter_is_found_and_said(
    read: Any, verify: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laurels.deadline, "DEADLINE", 0.02)
    found = testing.problems(plugin(read, verify))
    assert len(found) == 1, found
    assert found[0].startswith(words)


def test_json_is_read_as_it_is() -> None:
    assert Message({}, json.dumps({"a": [1]}).encode()).json == {"a": [1]}
