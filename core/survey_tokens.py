"""The tokens by which a survey is answered without signing in: one for each invitation.

A token is the holder's and the invitation's number, sealed (AES-SIV, RFC 5297) under a key that is
derived from the deployment's secret: it says nothing to whoever carries it, nobody can make one up,
and nothing of it is stored, so that a stolen database answers no survey. That it is good once, and
for how long, is the invitation's affair (`core.surveys`). Knows no database.
"""

from __future__ import annotations

import base64
import binascii
import secrets as randomness
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from core.signing import Secrets

_USE = b"laurels survey tokens"
_NUMBER = 8
#: 32 bytes in base64, without its padding.
LENGTH = 43


class SurveyTokens:
    """Makes and reads tokens by the deployment's secrets: the one in force makes them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [AESSIV(key) for key in keys]

    @classmethod
    def of(cls, secrets: Secrets) -> SurveyTokens:
        """By the secrets of the deployment."""
        return cls([key.secret for key in secrets.keys(_USE)])

    @classmethod
    def fleeting(cls) -> SurveyTokens:
        """By a key that lasts as long as this object."""
        return cls([randomness.token_bytes(32)])

    def make(self, holder: int, invitation: int) -> str:
        """The token of an invitation: always the same one."""
        plain = holder.to_bytes(_NUMBER, "big") + invitation.to_bytes(_NUMBER, "big")
        sealed = self._ciphers[0].encrypt(plain, [_USE])
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def read(self, text: str) -> tuple[int, int] | None:
        """(holder, invitation) of a token that we made; None for any other text."""
        if len(text) != LENGTH:
            return None
        try:
            sealed = base64.b64decode(f"{text}=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(sealed, [_USE])
            except InvalidTag:
                continue
            return int.from_bytes(plain[:_NUMBER], "big"), int.from_bytes(plain[_NUMBER:], "big")
        return None
