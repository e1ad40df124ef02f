"""By what names partners know members: each its own for each, so that two can't join their data.

A pseudonym is the holder's number enciphered under a key of the partner alone: nothing is stored
for it, and nothing but the key turns it back. Knows no database.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

KEY_BYTES = 16
# One block of the cipher: the number, and zeros by which a made-up name is told from a real one.
_NUMBER, _ZEROS = 8, bytes(8)


class Pseudonyms:
    """The names of members at one partner, under its key of 16 bytes."""

    def __init__(self, key: bytes) -> None:
        # One block alone is what this mode is sound for: equal numbers must give equal names.
        cipher = Cipher(AES(key), ECB())
        self._seal = cipher.encryptor()
        self._open = cipher.decryptor()
        self._lots = hashlib.blake2b(b"lots", key=key, digest_size=16).digest()

    def of(self, holder: int) -> str:
        """The partner's name for a holder: 22 letters, digits, `-` and `_`."""
        block = self._seal.update(holder.to_bytes(_NUMBER, "big") + _ZEROS)
        return base64.urlsafe_b64encode(block).decode().rstrip("=")

    def lot(self, holder: int, *what: str) -> int:
        """A number from 0 to 999 that is the holder's in this drawing: always the same, and nobody
        without the key can tell it.
        """
        drawn = hashlib.blake2b(key=self._lots, digest_size=8)
        for part in (str(holder), *what):
            drawn.update(b"%d:%b" % (len(part.encode()), part.encode()))
        return int.from_bytes(drawn.digest(), "big") % 1000

    def holder(self, name: str) -> int | None:
        """Whose name it is; None where it is nobody's here: made up, or another partner's."""
        try:
            block = base64.b64decode(f"{name}==", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if len(block) != KEY_BYTES:
            return None
        plain = self._open.update(block)
        holder = int.from_bytes(plain[:_NUMBER], "big")
        # The last letter carries four bits that mean nothing: only one way of writing is a name.
        return holder if plain[_NUMBER:] == _ZEROS and self.of(holder) == name else None
