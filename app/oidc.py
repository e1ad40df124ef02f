"""Tokens of identity providers: which issuer, for whom, and what their claims make of a person.

Two issuers may be trusted, one for members and one for admins. A token is believed only if its
issuer, audience, signature, times and type are right, by algorithms with public keys alone: the
public key can't be taken for a shared secret. Knows nothing of HTTP requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from joserfc import jwt
from joserfc._rfc7515.model import JWSAlgModel
from joserfc.jws import JWSRegistry

from app.jwks import ProviderKeys
from app.peeking import Peeked
from app.tokens import BAD_TOKEN, TokenError
from core.errors import BadInput
from core.joining import Login
from core.members import IdentifierKind, MemberRef
from schema.roles import STAFF_ROLES, StaffRole

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
#: A token that is good for longer is refused: nobody could take it back.
LONGEST = timedelta(hours=24)
#: So far apart may our clock and the provider's be.
LEEWAY = timedelta(seconds=30)
#: What a token may call itself. Others, such as a logout token, are signed with the same keys.
_TYPES = ("jwt", "at+jwt", "application/at+jwt")


class _Registry(JWSRegistry):
    """The library's, without its warning at each token that EdDSA has another name by now."""

    def get_alg(self, name: str) -> JWSAlgModel:
        """One of ALGORITHMS. Raises ValueError."""
        if name not in ALGORITHMS:
            raise ValueError(f"{name} isn't taken")
        return self.algorithms[name]


_REGISTRY = _Registry(algorithms=ALGORITHMS)


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a token of an issuer stands for, and until when."""

    subject: str
    claims: Mapping[str, Any]
    until: datetime


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer that is trusted with tokens for one audience."""

    issuer: str
    audience: str
    keys: ProviderKeys
    now: Callable[[], datetime]

    def meant_by(self, said: Peeked) -> bool:
        """Whether a token says that it is for us, from this issuer."""
        return said.issuer == self.issuer and self.audience in said.audience

    async def person(self, token: str, said: Peeked, audience: str | None = None) -> Person:
        """Whom the token stands for. Raises TokenError, the same for whatever is wrong.

        `audience` is another than the issuer's own: an ID token is for the client.
        """
        if said.algorithm not in ALGORITHMS or said.type.lower() not in _TYPES:
            raise TokenError(BAD_TOKEN)
        key = await self.keys.key(said.kid)
        now = self.now()
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=int(LEEWAY.total_seconds()),
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": audience or self.audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            claims = jwt.decode(token, key, ALGORITHMS, _REGISTRY).claims
            registry.validate(claims)
            subject, issued, ends = claims["sub"], claims["iat"], claims["exp"]
            if ends - issued > LONGEST.total_seconds() or not 1 <= len(subject) <= 255:
                raise TokenError(BAD_TOKEN)
            return Person(subject, claims, datetime.fromtimestamp(int(ends), UTC))
        except Exception:  # whatever a stranger can make a library stumble over
            raise TokenError(BAD_TOKEN) from None


@dataclass(frozen=True, slots=True)
class MemberIssuer:
    """The identity provider of a front end: its tokens stand for members."""

    issuer: Issuer

    async def login(self, token: str, said: Peeked) -> tuple[Login, datetime]:
        """Who logged in, and until when. Raises TokenError.

        Only what the provider says it has verified counts: `email_verified` must be true itself.
        """
        person = await self.issuer.person(token, said)
        claims = person.claims
        verified = []
        for kind, claim, proof in (
            (IdentifierKind.EMAIL, "email", "email_verified"),
            (IdentifierKind.PHONE, "phone_number", "phone_number_verified"),
        ):
            value = claims.get(claim)
            if claims.get(proof) is True and isinstance(value, str):
                try:
                    verified.append(MemberRef.make(kind, value))
                except BadInput:
                    continue  # an address of a kind that no member can have here
        login = Login.of(self.issuer.issuer, person.subject, verified)
        return login, person.until


@dataclass(frozen=True, slots=True)
class AdminIssuer:
    """The identity provider of the programme's staff; a claim of its tokens holds their roles."""

    issuer: Issuer
    roles_claim: str = "roles"
    roles_prefix: str = "laurels:"

    async def admin(
        self, token: str, said: Peeked, audience: str | None = None
    ) -> tuple[Person, frozenset[StaffRole]]:
        """Who it is, in which roles. Raises TokenError, also for somebody without a role here.

        Recorded is the opaque `sub` alone: names change, and some may be chosen at will.
        """
        person = await self.issuer.person(token, said, audience)
        roles = self.roles(person.claims)
        if not roles:
            raise TokenError("the token names no role in this programme")
        return person, roles

    def roles(self, claims: Mapping[str, Any]) -> frozenset[StaffRole]:
        """The roles that the claim names; a dot in its name leads into an object."""
        found: object = claims
        for part in self.roles_claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        said = found if isinstance(found, list) else [found]
        return frozenset(role for role in STAFF_ROLES if self.roles_prefix + role in said)


def issuer_of(
    issuer: str,
    audience: str,
    jwks_url: str | None,
    http: httpx.AsyncClient,
    now: Callable[[], datetime],
) -> Issuer:
    """An issuer whose keys are fetched when the first of its tokens comes."""
    return Issuer(issuer, audience, ProviderKeys(issuer, http, now, jwks_url), now)
