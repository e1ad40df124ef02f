"""Who is asking: a request's credentials, resolved to a viewer.

Each kind is tried only where it belongs, told by its form: `laurels_…` is an API key, a JWT by
HS256 is our own, any other JWT its issuer's, and a cookie counts only where no authorization header
is sent and the request carries the header that another site can't send, which says whose session is
meant: an admin's or a member's, one browser may have both. Whoever sends nothing is nobody; whoever
sends something that isn't good is refused, never served as nobody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

from app.oidc import AdminIssuer, MemberIssuer
from app.peeking import peeked
from app.tokens import (
    ALGORITHM,
    BAD_TOKEN,
    MOST_CHARACTERS,
    TokenError,
    opened,
    staff_of,
    verify,
)
from core.joining import holder_of
from core.keys import PREFIX, ApiKeys
from core.signing import Secrets
from schema.context import ANONYMOUS, Viewer
from schema.roles import SCOPES

COOKIE = "laurels_session"
CSRF_HEADER = "x-laurels-csrf"
#: A session lasts no longer, and never longer than the token that it was made of.
LONGEST_SESSION = timedelta(hours=12)
#: Tokens of ours that are remembered.
MOST_SEEN = 10_000


@dataclass(frozen=True, slots=True)
class SessionKind:
    """Whose session: by what the CSRF header names it, its cookie, and what its text is for."""

    role: Literal["admin", "member"]
    named: str
    cookie: str
    audience: str


ADMINS = SessionKind("admin", "1", COOKIE, "laurels-session")
MEMBERS = SessionKind("member", "member", "laurels_member", "laurels-member-session")
_KINDS = (ADMINS, MEMBERS)


def session_kind(headers: Mapping[str, str]) -> SessionKind | None:
    """The kind of session that a request means; None: it doesn't carry the header."""
    named = headers.get(CSRF_HEADER)
    return next((kind for kind in _KINDS if kind.named == named), None)


class Authenticator:
    """Resolves credentials. `members` and `admins` are the identity providers that are trusted."""

    def __init__(
        self,
        secrets: Secrets,
        now: Callable[[], datetime],
        *,
        members: MemberIssuer | None = None,
        admins: AdminIssuer | None = None,
    ) -> None:
        self.secrets = secrets
        self.now = now
        self.members = members
        self.admins = admins
        self.keys = ApiKeys(secrets)
        #: Tokens of ours that were good when first seen: checking one takes as long as a query.
        self._seen: OrderedDict[str, tuple[datetime, Viewer]] = OrderedDict()

    async def viewer(self, headers: Mapping[str, str]) -> Viewer:
        """Who sends these headers. Raises TokenError."""
        header = headers.get("authorization")
        if header is not None:
            return await self.of_header(header)
        kind = session_kind(headers)
        if kind is None:
            if any(session_cookie(headers, kind) is not None for kind in _KINDS):
                raise TokenError(f"a request by the cookie carries the header {CSRF_HEADER}: 1")
            return ANONYMOUS
        cookie = session_cookie(headers, kind)
        return ANONYMOUS if cookie is None else self.of_session(cookie, kind)

    async def of_header(self, header: str) -> Viewer:
        """Who an authorization header stands for. Raises TokenError."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise TokenError("the authorization header is 'Bearer' and a token")
        return await self.of_bearer(token.strip())

    async def of_bearer(self, token: str) -> Viewer:
        """Who a token or API key stands for. Raises TokenError."""
        if len(token) > MOST_CHARACTERS:
            raise TokenError(BAD_TOKEN)
        if token.startswith(PREFIX):
            return await self._of_key(token)
        if token in self._seen:
            return self._of_own(token)
        try:
            said = peeked(token)
        except ValueError:
            raise TokenError(BAD_TOKEN) from None
        if said.algorithm == ALGORITHM:
            return self._of_own(token)
        if self.members is not None and self.members.issuer.meant_by(said):
            login, until = await self.members.login(token, said)
            holder = await holder_of(login)
            if holder is not None:
                return Viewer("member", holder=holder, until=until)
            return Viewer("member", subject=login.ref.value, until=until, login=login)
        if self.admins is not None and self.admins.issuer.meant_by(said):
            person, staff = await self.admins.admin(token, said)
            return Viewer("admin", subject=person.subject, staff=staff, until=person.until)
        raise TokenError(BAD_TOKEN)

    async def of_handshake(self, headers: Mapping[str, str]) -> Viewer:
        """Who opens a socket, before it says more: by the cookie, or nobody. Raises TokenError.

        A browser sends cookies with a handshake from any page of the site's, and no header of
        ours: so the page must be of this very origin.
        """
        cookie = session_cookie(headers)
        if cookie is None:
            return ANONYMOUS
        origin = urlsplit(headers.get("origin", ""))
        if not origin.netloc or origin.netloc.lower() != headers.get("host", "").lower():
            raise TokenError("a socket by the cookie is opened by a page of this origin")
        return self.of_session(cookie)

    def of_session(self, cookie: str, kind: SessionKind = ADMINS) -> Viewer:
        """The admin, or the member, whose session a cookie is. Raises TokenError."""
        claims = opened(self.secrets, kind.audience, cookie, self.now(), LONGEST_SESSION)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise TokenError(BAD_TOKEN)
        until = datetime.fromtimestamp(int(claims["exp"]), UTC)
        if kind is MEMBERS:
            return Viewer("member", holder=_holder(subject), until=until)
        return Viewer("admin", subject=subject, staff=staff_of(claims), until=until)

    def _of_own(self, token: str) -> Viewer:
        now = self.now()
        since, viewer = self._seen.get(token, (now, ANONYMOUS))
        if viewer.until is not None and since <= now < viewer.until:
            return viewer
        viewer = self._checked(token, now)
        self._seen[token] = now, viewer
        while len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        return viewer

    def _checked(self, token: str, now: datetime) -> Viewer:
        claims = verify(self.secrets, token, now)
        until = datetime.fromtimestamp(claims.expires_at, UTC)
        match claims.role:
            case "admin":
                return Viewer("admin", subject=claims.subject, staff=claims.staff, until=until)
            case "partner":
                scopes = frozenset(SCOPES)
                return Viewer("partner", partner=claims.subject, scopes=scopes, until=until)
        return Viewer("member", holder=_holder(claims.subject), until=until)

    async def _of_key(self, text: str) -> Viewer:
        found = await self.keys.find(text, self.now())
        if found is None:
            raise TokenError(BAD_TOKEN)
        # A scope that this version doesn't know opens nothing.
        scopes = frozenset(scope for scope in SCOPES if scope in found.row.scopes)
        return Viewer(
            "partner", partner=found.row.partner, subject=found.row.id, scopes=scopes,
            until=found.until,
        )  # fmt: skip


def _holder(subject: str) -> int:
    if not subject.isascii() or not subject.isdigit() or len(subject) > 18:
        raise TokenError("a member's token names a member")
    return int(subject)


def session_cookie(headers: Mapping[str, str], kind: SessionKind = ADMINS) -> str | None:
    """The session's cookie. Raises TokenError where there are two: one may be another site's."""
    found = [
        value.strip()
        for part in headers.get("cookie", "").split(";")
        for name, _, value in [part.partition("=")]
        if name.strip() == kind.cookie
    ]
    if len(found) > 1:
        raise TokenError("the session's cookie is sent twice: sign out and in again")
    return found[0] if found else None
