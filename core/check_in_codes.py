"""The codes by which members check in: short-lived, of one registration, good for once.

A code is bound to its meetup, its member (by the partner's own name for it) and a step of a minute,
and signed by a key that is derived from the deployment's secret. It lives until the end of the next
step, two minutes at the longest: a picture of it that is sent on is dead. Whoever shows a screen
live to somebody else can't be told from its owner. Knows no database; that a code is good for once
is its registration's (`core.attending`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import NamedTuple

from core.signing import Secrets

#: Seconds of a step; a code is good in the step that it is of, and in the next.
STEP, GOOD_FOR = 60, 2
_USE = b"laurels check-in codes"
_FORM = re.compile(r"([0-9]{1,18})\.([0-9]{1,10})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{22})\Z")
_BYTES = 16


class Shown(NamedTuple):
    """A code for its member to show, and until when (exclusive) it is good."""

    text: str
    until: datetime


class Scanned(NamedTuple):
    """What a code says that we made: its meetup, the partner's name for its member, its step."""

    meetup: int
    name: str
    step: int
    digest: bytes

    def fresh(self, at: datetime) -> bool:
        """Whether it is good at an instant."""
        return self.step <= _step(at) < self.step + GOOD_FOR


class CheckInCodes:
    """Makes and reads codes by the deployment's secrets: the one in force makes them."""

    def __init__(self, secrets: Secrets) -> None:
        self._keys = secrets.keys(_USE)

    def make(self, meetup: int, name: str, now: datetime) -> Shown:
        """The code of this moment."""
        step = _step(now)
        said = f"{meetup}.{step}.{name}"
        mac = self._macs(said)[0]
        until = datetime.fromtimestamp((step + GOOD_FOR) * STEP, UTC)
        return Shown(f"{said}.{mac}", until)

    def read(self, text: str) -> Scanned | None:
        """What a code says; None where none of our keys made it."""
        found = _FORM.match(text)
        if found is None:
            return None
        said, _, given = text.rpartition(".")
        # All keys are asked, so that none is told from another by the time it takes.
        if not sum(hmac.compare_digest(mac, given) for mac in self._macs(said)):
            return None
        digest = hashlib.sha256(text.encode()).digest()[:_BYTES]
        return Scanned(int(found[1]), found[3], int(found[2]), digest)

    def _macs(self, said: str) -> list[str]:
        macs = [key.mac(said.encode())[:_BYTES] for key in self._keys]
        return [base64.urlsafe_b64encode(mac).decode().rstrip("=") for mac in macs]


def _step(at: datetime) -> int:
    return int(at.timestamp()) // STEP
