"""Signing in at the identity provider of the staff: the code flow of OpenID Connect.

With PKCE, a state and a nonce, all kept in a signed cookie of this browser until it comes back:
whoever is sent here with somebody else's code has no such cookie. Ends in a session (see
`app.sessions`), made anew each time: a cookie that was there before counts for nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app.addresses import check_address
from app.answers import refusal
from app.authentication import Authenticator
from app.jwks import ProviderDownError, ProviderError, fetch_json
from app.oidc import AdminIssuer
from app.peeking import peeked
from app.sessions import is_secure, opened_for, set_cookie
from app.tokens import ForbiddenError, TokenError, UncheckedError, opened, sign
from schema.context import Viewer

COOKIE = "laurels_login"
AUDIENCE = "laurels-login"
#: So long may somebody take to sign in.
PATIENCE = timedelta(minutes=10)
_CALLBACK = "/session/callback"
#: The pages that somebody may come from, and is led back to; the first, if none is named.
_PAGES = ("graphiql", "programme")
_SILENT = "the identity provider doesn't answer"
_FAILED = "signing in failed: begin again"


@dataclass(frozen=True, slots=True)
class Login:
    """Signs admins in as a client of their provider; without a secret as a public client."""

    trust: Authenticator
    admins: AdminIssuer
    client_id: str
    client_secret: str | None = field(repr=False)
    public_url: str | None = None

    def routes(self) -> list[BaseRoute]:
        """`/session/login` and where the provider sends people back to."""
        return [
            Route("/session/login", self.begin, methods=["GET"]),
            Route(_CALLBACK, self.come_back, methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Off to the provider."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        try:
            there = await self._address("authorization_endpoint")
        except TokenError as error:
            return refusal(error)
        asked = {
            "response_type": "code",
            "scope": "openid",
            "client_id": self.client_id,
            "redirect_uri": self._back(request),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in there else "?"
        response = RedirectResponse(f"{there}{joint}{urlencode(asked)}", 303, _NO_STORE)
        now = self.trust.now()
        page = request.query_params.get("to", "")
        to = page if page in _PAGES else _PAGES[0]
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "to": to}
        signed = sign(self.trust.secrets.current, AUDIENCE, kept, now + PATIENCE, now)
        # Lax, because the way back leads from the provider's page.
        response.set_cookie(
            COOKIE, signed, max_age=int(PATIENCE.total_seconds()), path=_CALLBACK, httponly=True,
            samesite="lax", secure=is_secure(request),
        )  # fmt: skip
        return response

    async def come_back(self, request: Request) -> Response:
        """Back from the provider with a code, which gets a token, which gets a session."""
        try:
            kept = self._kept(request)
            viewer = await self._viewer(request, kept)
            cookie = opened_for(self.trust, viewer)
            session = self.trust.of_session(cookie)
        except TokenError as error:
            response = refusal(error)
        else:
            response = RedirectResponse(f"/{kept['to']}", 303, _NO_STORE)
            set_cookie(request, response, cookie, session, self.trust.now())
        response.delete_cookie(
            COOKIE, path=_CALLBACK, httponly=True, samesite="lax", secure=is_secure(request)
        )
        return response

    def _kept(self, request: Request) -> dict[str, Any]:
        """What this browser kept of the login that it began. Raises TokenError."""
        kept = request.cookies.get(COOKIE, "")
        return opened(self.trust.secrets, AUDIENCE, kept, self.trust.now(), PATIENCE)

    async def _viewer(self, request: Request, kept: Mapping[str, Any]) -> Viewer:
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        if not hmac.compare_digest(state.encode(), str(kept["state"]).encode()) or not code:
            raise ForbiddenError(_FAILED)
        token = await self._exchanged(request, code, str(kept["verifier"]))
        try:
            said = peeked(token)
        except ValueError:
            raise ForbiddenError(_FAILED) from None
        person, staff = await self.admins.admin(token, said, audience=self.client_id)
        nonce = str(person.claims.get("nonce", ""))
        if not hmac.compare_digest(nonce.encode(), str(kept["nonce"]).encode()):
            raise ForbiddenError(_FAILED)
        return Viewer("admin", subject=person.subject, staff=staff, until=person.until)

    async def _exchanged(self, request: Request, code: str, verifier: str) -> str:
        """The ID token for a code. Raises ForbiddenError for what is none, UncheckedError."""
        there = await self._address("token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back(request),
            "code_verifier": verifier,
            "client_id": self.client_id,
        }
        try:
            answer = await fetch_json(
                self.admins.issuer.keys.http, there, form=form, headers=self._credentials()
            )
        except ProviderDownError as error:
            raise UncheckedError(_SILENT) from error
        except ProviderError as error:
            raise ForbiddenError(_FAILED) from error
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ForbiddenError(_FAILED)
        return token

    def _credentials(self) -> Mapping[str, str]:
        """The client's own, as RFC 6749 has them: each encoded before they are joined."""
        if self.client_secret is None:
            return {}
        joined = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
        return {"authorization": "Basic " + base64.b64encode(joined.encode()).decode()}

    async def _address(self, name: str) -> str:
        """An address of the provider's, from its discovery document. Raises UncheckedError."""
        try:
            found = (await self.admins.issuer.keys.discovered()).get(name)
            return check_address(str(found))
        except (ProviderError, ValueError):
            raise UncheckedError(_SILENT) from None

    def _back(self, request: Request) -> str:
        base = self.public_url or f"{request.url.scheme}://{request.url.netloc}"
        return base.rstrip("/") + _CALLBACK


_NO_STORE = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


def challenge(verifier: str) -> str:
    """What the provider is told of the verifier at first: its hash (RFC 7636)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
