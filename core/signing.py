"""The deployment's secrets, and the keys derived from them for one use each.

The secret in force signs; those before it are still accepted, so that what was signed outlives a
rotation. Knows nothing of what is signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class DerivedKey:
    """A key and the public id by which it is told from others."""

    secret: bytes = field(repr=False)
    id: str

    @classmethod
    def derived(cls, secret: str, use: bytes) -> Self:
        """From a secret of the deployment, for this use only."""
        key = hmac.digest(secret.encode(), use, "sha256")
        return cls(key, hashlib.sha256(b"id of " + key).hexdigest()[:16])

    def mac(self, message: bytes) -> bytes:
        """The HMAC-SHA256 of a message."""
        return hmac.digest(self.secret, message, "sha256")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret that signs, and those before it, the latest first, which only check."""

    current: str = field(repr=False)
    previous: tuple[str, ...] = field(default=(), repr=False)

    def __iter__(self) -> Iterator[str]:
        """All of them, the one in force first."""
        return iter((self.current, *self.previous))

    def keys(self, use: bytes) -> tuple[DerivedKey, ...]:
        """What is derived from each for one use, in the same order."""
        return tuple(DerivedKey.derived(secret, use) for secret in self)
