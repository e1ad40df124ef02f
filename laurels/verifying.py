"""How a webhook proves that it comes from a brand's own shop: a signature over its very bytes.

Pure: headers, body and the time in, yes or no out. Knows nothing of what a message says.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias, runtime_checkable

from pydantic import SecretBytes, SecretStr

from laurels.errors import DeclarationError, shown

#: A secret, or several at once while one takes another's place; each of them is good.
Secrets: TypeAlias = str | bytes | SecretStr | SecretBytes | Sequence[str | bytes | SecretStr]

_ALGORITHMS = ("sha256", "sha384", "sha512", "sha1")
_ENCODINGS = ("base64", "hex")


@runtime_checkable
class Verifier(Protocol):
    """Says whether a message is what it claims to be."""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        """By headers (names in lower case) and the body as it came. Never raises."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """When a message was signed: Unix seconds in a header of their own.

    A message older or newer than `tolerance` seconds isn't taken, so that one that was overheard
    can't be sent again later. `before` is what the signature covers before the body, with the
    header's value in place of `{timestamp}`: without it a timestamp would prove nothing.
    """

    header: str
    before: str = "{timestamp}."
    tolerance: int = 300

    def __post_init__(self) -> None:
        check_header("timestamp", self.header)
        if "{timestamp}" not in self.before:
            raise DeclarationError("timestamp: before: the signature covers {timestamp}, too")
        _check_tolerance(self.tolerance)


@dataclass(frozen=True, slots=True)
class Hmac:
    """An HMAC over the body, in a header: what most shops send.

    `prefix` is what stands before the signature in the header, such as `sha256=`. Raises
    DeclarationError where it could let anybody in: no secret, or a blank one.
    """

    secret: Secrets = field(repr=False)
    header: str
    algorithm: str = "sha256"
    encoding: str = "base64"
    prefix: str = ""
    timestamp: Timestamp | None = None

    def __post_init__(self) -> None:
        keys_of(self.secret)
        check_header("hmac", self.header)
        if self.algorithm not in _ALGORITHMS:
            raise DeclarationError(f"hmac: algorithm: one of {', '.join(_ALGORITHMS)}")
        if self.encoding not in _ENCODINGS:
            raise DeclarationError(f"hmac: encoding: one of {', '.join(_ENCODINGS)}")

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        """Whether one of the secrets made the signature."""
        given = headers.get(self.header.lower(), "").strip()
        if not given.startswith(self.prefix):
            return False
        signed = body
        if self.timestamp is not None:
            at = headers.get(self.timestamp.header.lower(), "").strip()
            if not _in_time(at, now, self.timestamp.tolerance):
                return False
            signed = self.timestamp.before.replace("{timestamp}", at).encode() + body
        given = given.removeprefix(self.prefix)
        if self.encoding == "hex":
            given = given.lower()
        return _matches(given, [self.signature(key, signed) for key in keys_of(self.secret)])

    def signature(self, key: bytes, signed: bytes) -> str:
        """What stands in the header, without its prefix."""
        digest = hmac.new(key, signed, self.algorithm).digest()
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()

    def sign(self, body: bytes, at: datetime) -> dict[str, str]:
        """The headers that a shop would send with this body at this time: for tests."""
        headers: dict[str, str] = {}
        signed = body
        if self.timestamp is not None:
            stamp = str(int(at.timestamp()))
            headers[self.timestamp.header.lower()] = stamp
            signed = self.timestamp.before.replace("{timestamp}", stamp).encode() + body
        key = keys_of(self.secret)[0]
        headers[self.header.lower()] = self.prefix + self.signature(key, signed)
        return headers


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """After the Standard Webhooks specification, version 1: id, timestamp, one or more signatures.

    Secrets are `whsec_` and base64, or the bytes themselves. Raises DeclarationError as Hmac does.
    """

    secret: Secrets = field(repr=False)
    tolerance: int = 300

    def __post_init__(self) -> None:
        _check_tolerance(self.tolerance)
        self._keys()

    def _keys(self) -> list[bytes]:
        keys: list[bytes] = []
        for key in keys_of(self.secret):
            if not key.startswith(b"whsec_"):
                keys.append(key)
                continue
            try:
                keys.append(base64.b64decode(key.removeprefix(b"whsec_"), validate=True))
            except binascii.Error:
                raise DeclarationError("webhooks: secret: after whsec_ comes base64") from None
        if not all(key.strip() for key in keys):
            raise DeclarationError("webhooks: secret: it is empty")
        return keys

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        """Whether one of the signatures is by one of the secrets, and made just now."""
        name, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not name or not _in_time(at, now, self.tolerance):
            return False
        wanted = [self._signature(key, name, at, body) for key in self._keys()]
        given = headers.get("webhook-signature", "").split(" ")[:20]
        return sum(_matches(signature, wanted) for signature in given) > 0

    def _signature(self, key: bytes, name: str, at: str, body: bytes) -> str:
        signed = f"{name}.{at}.".encode() + body
        return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()

    def sign(self, body: bytes, at: datetime, name: str = "msg_1") -> dict[str, str]:
        """The headers that a shop would send with this body at this time: for tests."""
        stamp = str(int(at.timestamp()))
        return {
            "webhook-id": name,
            "webhook-timestamp": stamp,
            "webhook-signature": self._signature(self._keys()[0], name, stamp, body),
        }


def keys_of(secrets: Secrets) -> list[bytes]:
    """The secrets as bytes. Raises DeclarationError where there is none, or a blank one."""
    alone = isinstance(secrets, str | bytes | SecretStr | SecretBytes)
    several: object = [secrets] if alone else secrets
    if not isinstance(several, Sequence) or not several:
        raise DeclarationError("secret: at least one is wanted")
    keys: list[bytes] = []
    for secret in several:
        plain: object = secret
        if isinstance(plain, SecretStr | SecretBytes):
            plain = plain.get_secret_value()
        if not isinstance(plain, str | bytes) or not plain.strip():
            raise DeclarationError(f"secret: a text is wanted, not {type(secret).__name__}")
        keys.append(plain.encode() if isinstance(plain, str) else plain)
    return keys


def check_header(what: str, name: object) -> str:
    """Return the name of a header in lower case. Raises DeclarationError."""
    if not isinstance(name, str) or not 1 <= len(name) <= 100 or not name.isascii():
        raise DeclarationError(f"{what}: header: a name is wanted, not {shown(name)}")
    if any(c.isspace() or c in ":\0" for c in name):
        raise DeclarationError(f"{what}: header: {shown(name)} is no name of a header")
    return name.lower()


def _check_tolerance(seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= 86_400:
        raise DeclarationError("tolerance: seconds are wanted, from 1 to 86400")


def _in_time(text: str, now: datetime, tolerance: int) -> bool:
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        return False
    return abs(now.timestamp() - int(text)) <= tolerance


def _matches(given: str, wanted: Sequence[str]) -> bool:
    """Whether it is one of these; takes as long whichever it is."""
    plain = given.encode("utf-8", "replace")
    return sum(hmac.compare_digest(plain, one.encode()) for one in wanted) > 0
