"""Our own signed texts: access tokens for a member, a partner or an admin, and what cookies hold.

JWTs by HS256 with the deployment's secret; which secret, the header's `kid` says. Each use has an
audience of its own, so that a cookie is no token and a token no cookie. Knows nothing of what a
role may do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.jwk import OctKey

from app.peeking import peeked
from core.signing import DerivedKey, Secrets
from schema.roles import STAFF_ROLES, StaffRole

ROLES = ("member", "partner", "admin")
ALGORITHM = "HS256"
#: No token of ours is good for longer, whatever it says.
LONGEST = timedelta(hours=720)
#: A longer text isn't looked at.
MOST_CHARACTERS = 8192
_AUDIENCE = "laurels"
_USE = b"laurels tokens"


class TokenError(Exception):
    """The credentials open nothing. Safe to show: it tells no more than who sent them may know."""

    status = 401


class ForbiddenError(TokenError):
    """The credentials are good, and not for this."""

    status = 403


class UncheckedError(TokenError):
    """The credentials can't be checked at the moment, because their issuer doesn't answer."""

    status = 503


BAD_TOKEN = "the token is malformed, forged or expired"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: its role, whom it stands for, and an admin's roles."""

    role: str
    subject: str
    expires_at: int
    staff: frozenset[StaffRole] = frozenset()


def issue(
    secret: str,
    role: str,
    subject: str,
    ttl: timedelta,
    now: datetime,
    *,
    staff: Iterable[str] = ("owner",),
) -> str:
    """A token that stands for `subject` from now on for `ttl`; an admin's names roles of `staff`.

    Raises ValueError for no role, and for nobody or no time.
    """
    if role not in ROLES:
        raise ValueError(f"{role!r} is no role: {', '.join(ROLES)}")
    if not subject or not timedelta(0) < ttl <= LONGEST:
        raise ValueError(f"a token stands for somebody, and for some time up to {LONGEST}")
    claims: dict[str, object] = {"sub": subject, "role": role}
    if role == "admin":
        claims["roles"] = sorted(staff)
        if not claims["roles"] or not set(staff) <= set(STAFF_ROLES):
            raise ValueError(f"an admin's roles are among {', '.join(STAFF_ROLES)}")
    return sign(secret, _AUDIENCE, claims, now + ttl, now)


def verify(secrets: Secrets, token: str, now: datetime) -> Claims:
    """What the token says. Raises TokenError unless every essential claim holds at `now`."""
    claims = opened(secrets, _AUDIENCE, token, now, LONGEST)
    role, subject = claims.get("role"), claims.get("sub")
    if role not in ROLES or not isinstance(subject, str) or not subject:
        raise TokenError(BAD_TOKEN)
    staff = staff_of(claims) if role == "admin" else frozenset()
    return Claims(role, subject, int(claims["exp"]), staff)


def staff_of(claims: Mapping[str, object]) -> frozenset[StaffRole]:
    """The admin's roles that a signed text of ours names. Raises TokenError for none."""
    roles = claims.get("roles")
    if not isinstance(roles, list) or not roles or not all(r in STAFF_ROLES for r in roles):
        raise TokenError(BAD_TOKEN)
    return frozenset(roles)


def sign(
    secret: str, audience: str, claims: Mapping[str, object], until: datetime, now: datetime
) -> str:
    """Claims for an audience of ours, good until an instant."""
    times = {"iat": int(now.timestamp()), "exp": int(until.timestamp())}
    header = {"alg": ALGORITHM, "kid": key_id(secret)}
    return jwt.encode(header, {**claims, "aud": audience, **times}, OctKey.import_key(secret))


def opened(
    secrets: Secrets, audience: str, text: str, now: datetime, longest: timedelta
) -> dict[str, Any]:
    """The claims of a text that `sign` made. Raises TokenError, the same for whatever is wrong."""
    # `decode` alone checks the signature only: expiry and the rest are the registry's.
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        iat={"essential": True},
    )
    if len(text) > MOST_CHARACTERS:
        raise TokenError(BAD_TOKEN)
    try:
        found = {key_id(secret): secret for secret in secrets}[peeked(text).kid or ""]
        key = OctKey.import_key(found)
        claims: dict[str, Any] = jwt.decode(text, key, algorithms=[ALGORITHM]).claims
        registry.validate(claims)
        if claims["exp"] - claims["iat"] > longest.total_seconds():
            raise TokenError(BAD_TOKEN)
    except Exception:  # whatever a stranger can make a library stumble over
        raise TokenError(BAD_TOKEN) from None
    return claims


def key_id(secret: str) -> str:
    """By what the header of a token names the secret that signed it."""
    return DerivedKey.derived(secret, _USE).id
