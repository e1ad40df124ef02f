"""Access tokens: signed, expiring, for a member, a partner or an admin.

HS256 with the deployment's secret. Knows nothing of what a role may do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

ROLES = ("member", "partner", "admin")
_ALGORITHM = "HS256"
_AUDIENCE = "laurels"


class TokenError(Exception):
    """The token opens nothing: malformed, forged, expired or of no role. Safe to show."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: its role, and whom it stands for."""

    role: str
    subject: str
    expires_at: int


def issue(secret: str, role: str, subject: str, ttl: timedelta, now: datetime) -> str:
    """A token that stands for `subject` from now on for `ttl`. Raises ValueError for no role."""
    if role not in ROLES:
        raise ValueError(f"{role!r} is no role: {', '.join(ROLES)}")
    if not subject or ttl <= timedelta(0):
        raise ValueError("a token stands for somebody, and for some time")
    claims = {
        "aud": _AUDIENCE,
        "sub": subject,
        "role": role,
        "iat": int(now.timestamp()),
        "exp": int((now + ttl).timestamp()),
    }
    return jwt.encode({"alg": _ALGORITHM}, claims, OctKey.import_key(secret))


def verify(secret: str, token: str, now: datetime) -> Claims:
    """What the token says. Raises TokenError unless every essential claim holds at `now`."""
    # `decode` alone checks the signature only: expiry and the rest are the registry's.
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        aud={"essential": True, "value": _AUDIENCE},
        exp={"essential": True},
        sub={"essential": True},
        role={"essential": True, "values": list(ROLES)},
    )
    try:
        claims = jwt.decode(token, OctKey.import_key(secret), algorithms=[_ALGORITHM]).claims
        registry.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise TokenError("the token is malformed, forged or expired") from error
    role, subject, expires_at = claims["role"], claims["sub"], claims["exp"]
    if not isinstance(role, str) or not isinstance(subject, str) or expires_at <= now.timestamp():
        raise TokenError("the token is malformed, forged or expired")
    return Claims(role, subject, int(expires_at))
