"""A small identity provider of the tests, and an application that trusts it. Holds no test."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.asgi import create_app
from app.authentication import Authenticator
from app.settings import Settings
from app.trust import authenticator, login
from core.posting import Engine
from tests.schema.client import SECRET, Clock

ISSUER = "https://login.test"
MEMBERS, ADMINS, CLIENT = "front-end", "laurels-admin", "graphiql"
START = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MAKERS: dict[str, Callable[[], Key]] = {
    "RS256": lambda: RSAKey.generate_key(2048, private=True),
    "PS256": lambda: RSAKey.generate_key(2048, private=True),
    "ES256": lambda: ECKey.generate_key("P-256", private=True),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519", private=True),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519", private=True),
}


@cache
def private_key(algorithm: str = "ES256", name: str = "first") -> Key:
    """A key pair, made once for each name."""
    del name
    return MAKERS[algorithm]()


@dataclass
class Provider:
    """Publishes `keys`, by their ids; counts what it is asked; may be down, or answer otherwise."""

    clock: Clock
    keys: dict[str, Key] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False
    #: While this isn't set, whoever asks waits; `reached` says that somebody does.
    going: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    answers: dict[str, Response] = field(default_factory=dict)
    extra: list[dict[str, Any]] = field(default_factory=list)
    #: Of the code flow: what was asked for by each code.
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys.setdefault("k1", private_key())
        self.going.set()

    @property
    def app(self) -> Starlette:
        """As an ASGI application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/jwks", self._jwks),
                Route("/token", self._token, methods=["POST"]),
                Route("/elsewhere", self._jwks),
            ]
        )

    def token(
        self,
        kid: str = "k1",
        algorithm: str = "ES256",
        *,
        key: Key | None = None,
        header: dict[str, Any] | None = None,
        without: str = "",
        **claims: Any,
    ) -> str:
        """A token for a member, good for an hour, unless it is said otherwise."""
        said = self.said_by(**claims)
        said.pop(without, None)
        head = {"alg": algorithm, "kid": kid, **(header or {})}
        return signed(head, said, key or self.keys[kid])

    def said_by(self, **claims: Any) -> dict[str, Any]:
        """The claims of a good token, and these."""
        now = int(self.clock().timestamp())
        usual = {"iss": ISSUER, "aud": MEMBERS, "sub": "ada", "iat": now, "exp": now + 3600}
        return {**usual, **claims}

    def admin(self, *roles: str, **claims: Any) -> str:
        """A token for an admin."""
        said = {"aud": ADMINS, "sub": "sam-7", "roles": list(roles), **claims}
        return self.token(**said)

    async def _asked(self, request: Request) -> Response | None:
        self.asked.append(request.url.path)
        self.reached.set()
        await self.going.wait()
        if self.down:
            return Response("down", 500)
        return self.answers.get(request.url.path)

    async def _discovery(self, request: Request) -> Response:
        return await self._asked(request) or JSONResponse(
            {
                "issuer": ISSUER,
                "jwks_uri": f"{ISSUER}/jwks",
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
            }
        )

    async def _jwks(self, request: Request) -> Response:
        shown = [{**key.as_dict(private=False), "kid": kid} for kid, key in self.keys.items()]
        return await self._asked(request) or JSONResponse({"keys": [*self.extra, *shown]})

    def authorise(self, url: str) -> str:
        """What a person does who is sent here and signs in: the address they are sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"

    async def _token(self, request: Request) -> Response:
        refused = await self._asked(request)
        if refused is not None:
            return refused
        form = parse_qs((await request.body()).decode())
        sent = {name: values[0] for name, values in form.items()}
        asked = self.codes.pop(sent.get("code", ""), None)
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        basic = base64.b64encode(f"{CLIENT}:client%20secret".encode()).decode()
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != sent["redirect_uri"]
            or request.headers.get("authorization") != f"Basic {basic}"
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        said = {"aud": CLIENT, "nonce": asked["nonce"], **self.said}
        return JSONResponse({"id_token": self.admin("laurels:support", **said)})


def signed(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """A token with just these, whatever they are."""
    text = _unsigned(header, claims)
    return _joined(text, jws.JWSRegistry.algorithms[header["alg"]].sign(text, key))


def forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """A token by HS256 with any text for its secret."""
    text = _unsigned(header, claims)
    return _joined(text, hmac.digest(secret, text, "sha256"))


def taken_by_a_naive_checker(token: str, secret: bytes) -> bool:
    """By one that goes by the token's own algorithm, and takes any text for a secret."""
    text, _, signature = token.rpartition(".")
    return hmac.compare_digest(encoded(hmac.digest(secret, text.encode(), "sha256")), signature)


def encoded(text: bytes) -> str:
    """As the parts of a token are."""
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _unsigned(header: dict[str, Any], claims: dict[str, Any]) -> bytes:
    head = encoded(json.dumps({"typ": "JWT", **header}).encode())
    return f"{head}.{encoded(json.dumps(claims).encode())}".encode()


def _joined(text: bytes, signature: bytes) -> str:
    return f"{text.decode()}.{encoded(signature)}"


@dataclass
class Trusting:
    """The application that trusts the provider, and the way there."""

    provider: Provider
    clock: Clock
    trust: Authenticator
    http: httpx.AsyncClient

    async def ask(self, token: str | None, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer to an operation, asked with a token."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        sent = {"query": query, "variables": variables}
        response = await self.http.post("/graphql", json=sent, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        answer.pop("extensions", None)  # what it cost
        return answer


def settings(**changed: Any) -> Settings:
    """Settings that trust the provider with members and admins."""
    given: dict[str, Any] = {
        "secret": SECRET,
        "member_issuer": ISSUER,
        "member_audience": MEMBERS,
        "admin_issuer": ISSUER,
        "admin_audience": ADMINS,
        "admin_client_id": CLIENT,
        "admin_client_secret": "client secret",
        "public_url": "https://points.test",
        **changed,
    }
    return Settings(**given)


@asynccontextmanager
async def trusting(engine: Engine, **changed: Any) -> AsyncIterator[Trusting]:
    """The application with these settings, and the provider, all in this process."""
    clock = Clock(START)
    provider = Provider(clock)
    given = settings(**changed)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(provider.app)) as outwards:
        trust = authenticator(given, outwards, clock)
        app = create_app(engine, SECRET, now=clock, authenticator=trust, login=login(given, trust))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # tests say what is sent
        async with httpx.AsyncClient(
            transport=transport, base_url="https://points.test", cookies=none
        ) as http:
            yield Trusting(provider, clock, trust, http)
            await trust.keys.settled()


def redirect(url: str) -> Response:
    """An answer that leads elsewhere."""
    return RedirectResponse(url)
