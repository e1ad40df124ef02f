"""An identity provider's public keys: fetched, remembered, fetched anew when they rotate.

Nobody can make it fetch at will: a token of an unknown key leads to one request in RETRY, whoever
waits shares it, and what was fetched goes on for a bounded time while the provider doesn't answer.
Knows nothing of claims.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import orjson
import structlog
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from app.addresses import check_address
from app.tokens import BAD_TOKEN, TokenError, UncheckedError

#: Keys are fetched anew after FRESH; go on until STALE if the provider is down; and whatever
#: happens there are RETRY between two fetches.
FRESH, STALE, RETRY = timedelta(minutes=10), timedelta(hours=12), timedelta(seconds=30)
#: Seconds that a provider's answer may take, its bytes, and the keys in it.
PATIENCE, MOST_BYTES, MOST_KEYS = 5.0, 256 * 1024, 50
SMALLEST_RSA = 2048
_DISCOVERY = "/.well-known/openid-configuration"
_TYPES: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {
    "RSA": RSAKey,
    "EC": ECKey,
    "OKP": OKPKey,
}
# Not compressed: what is small on the way could be large in memory.
_PLAIN = {"accept": "application/json", "accept-encoding": "identity"}
_log = structlog.get_logger("laurels.oidc")


class ProviderError(Exception):
    """The provider doesn't answer, or with nonsense."""


class ProviderDownError(ProviderError):
    """It doesn't answer, or says that the fault is its own."""


@dataclass(slots=True)
class ProviderKeys:
    """The keys of one issuer, at `jwks_url` or where its discovery document says.

    The document, which whoever begins to sign in asks for, is kept as the keys are.
    """

    issuer: str
    http: httpx.AsyncClient
    now: Callable[[], datetime]
    jwks_url: str | None = None
    _keys: dict[str, Key] = field(default_factory=dict)
    _fetched_at: datetime | None = None
    _tried_at: datetime | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _document: Mapping[str, object] | None = None
    _discovered_at: datetime | None = None
    _looked_at: datetime | None = None
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def key(self, kid: str | None) -> Key:
        """The key of this id; without one the only key there is.

        Raises TokenError where there is none, UncheckedError where none can be had.
        """
        good = self._of(kid) is not None and self._age(self._fetched_at) < STALE
        # One asks whether they have changed; whoever needs no other key doesn't wait for it.
        if not good or (self._age(self._fetched_at) >= FRESH and not self._lock.locked()):
            await self._renew()
        if self._age(self._fetched_at) >= STALE:
            raise UncheckedError("the identity provider doesn't answer: try again in a moment")
        found = self._of(kid)
        if found is None:
            raise TokenError(BAD_TOKEN)
        return found

    def _of(self, kid: str | None) -> Key | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _age(self, at: datetime | None) -> timedelta:
        """Also of what lies in the future, because a clock was set back."""
        return timedelta.max if at is None else abs(self.now() - at)

    async def _renew(self) -> None:
        async with self._lock:
            # Whoever waited finds what the one before has fetched, or that it just tried.
            if self._age(self._tried_at) < RETRY:
                return
            self._tried_at = self.now()
            try:
                self._keys = await self._fetched()
            except (ProviderError, ValueError) as error:
                _log.warning("an issuer's keys can't be had", issuer=self.issuer, why=str(error))
            else:
                self._fetched_at = self.now()

    async def _fetched(self) -> dict[str, Key]:
        url = self.jwks_url or str((await self._discover())["jwks_uri"])
        answer = await fetch_json(self.http, check_address(url))
        given = answer.get("keys")
        if not isinstance(given, list):
            raise ProviderError("no list of keys")
        found: dict[str, Key] = {}
        for n, said in enumerate(given[:MOST_KEYS]):
            key = public_key(said)
            if key is not None:
                found[key.kid or f"#{n}"] = key
        if not found:
            raise ProviderError("none of its keys can check a signature")
        return found

    async def discovered(self) -> Mapping[str, object]:
        """The issuer's discovery document, no older than keys may be. Raises ProviderError."""
        if self._age(self._discovered_at) >= FRESH:
            async with self._looking:
                # Whoever waited finds what the one before has fetched, or that it just tried.
                if self._age(self._looked_at) >= RETRY:
                    await self._look()
        if self._document is None or self._age(self._discovered_at) >= STALE:
            raise ProviderError("its discovery document can't be had")
        return self._document

    async def _look(self) -> None:
        self._looked_at = self.now()
        try:
            await self._discover()
        except ProviderError as error:
            _log.warning("an issuer's document can't be had", issuer=self.issuer, why=str(error))

    async def _discover(self) -> Mapping[str, object]:
        """The document, fetched anew. Raises ProviderError, also where it is another issuer's."""
        document = await fetch_json(self.http, self.issuer.rstrip("/") + _DISCOVERY)
        if document.get("issuer") != self.issuer or not isinstance(document.get("jwks_uri"), str):
            raise ProviderError("its discovery document is of another issuer, or names no keys")
        self._document, self._discovered_at = document, self.now()
        return document


def public_key(said: object) -> Key | None:
    """A key that can check signatures, or None: shared secrets, keys for encryption, weak ones."""
    if not isinstance(said, dict) or said.get("use", "sig") != "sig":
        return None
    made = _TYPES.get(str(said.get("kty")))
    if made is None:
        return None
    public = {k: v for k, v in said.items() if k in ("kty", "kid", "n", "e", "crv", "x", "y")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of weak keys, which are left out below
            key = made.import_key(public)
        if isinstance(key, RSAKey) and key.raw_value.key_size < SMALLEST_RSA:
            return None
    except Exception as error:  # one bad key costs nobody the others
        _log.warning("a key of an issuer is left out", why=repr(error))
        return None
    return key


async def fetch_json(
    http: httpx.AsyncClient,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """The JSON object at an address; sent there is a form, if any. Raises ProviderError."""
    body = b""
    try:
        async with (
            asyncio.timeout(PATIENCE),
            http.stream(
                "GET" if form is None else "POST", check_address(url), data=form,
                headers={**_PLAIN, **(headers or {})}, follow_redirects=False,
            ) as response,
        ):  # fmt: skip
            async for part in response.aiter_raw():
                body += part
                if len(body) > MOST_BYTES:
                    raise ProviderError(f"more than {MOST_BYTES} bytes")
        if response.status_code >= 500:
            raise ProviderDownError(f"it answers {response.status_code}")
        if response.status_code != 200:
            raise ProviderError(f"it answers {response.status_code}")
        found = orjson.loads(body)
    except (httpx.HTTPError, TimeoutError) as error:
        raise ProviderDownError(repr(error)) from error
    except ValueError as error:
        raise ProviderError(repr(error)) from error
    if not isinstance(found, dict):
        raise ProviderError("no JSON object")
    return found
