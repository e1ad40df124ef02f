"""What a token says before anything of it is proven: enough to choose who is to prove it.

Nothing here may be believed.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

import orjson


class Peeked(NamedTuple):
    """The header's `alg`, `kid` and `typ`, and the payload's `iss` and `aud`."""

    algorithm: str
    kid: str | None
    type: str
    issuer: str
    audience: frozenset[str]


def peeked(token: str) -> Peeked:
    """What a token says. Raises ValueError where it is none."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise ValueError("a token has three parts")
    header, payload = _json(parts[0]), _json(parts[1])
    audience = payload.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return Peeked(
        _text(header.get("alg")) or "",
        _text(header.get("kid")),
        _text(header.get("typ")) or "JWT",
        _text(payload.get("iss")) or "",
        frozenset(x for x in audiences if isinstance(x, str)),
    )


def _json(part: str) -> dict[str, object]:
    found = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(found, dict):
        raise ValueError("a part of a token is a JSON object")
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
