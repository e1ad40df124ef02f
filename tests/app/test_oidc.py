"""Tokens of identity providers: what is believed, what isn't, and where the keys come from."""

from __future__ import annotations

import asyncio
import gzip
import json
import warnings
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse, Response

from app.addresses import check_address
from app.jwks import FRESH, MOST_BYTES, RETRY, STALE, ProviderError, fetch_json
from app.oidc import ALGORITHMS, LONGEST, Issuer, issuer_of
from app.peeking import peeked
from app.tokens import BAD_TOKEN, TokenError, UncheckedError
from tests.app.provider import (
    HOUR,
    ISSUER,
    MAKERS,
    MEMBERS,
    START,
    Provider,
    encoded,
    forged,
    private_key,
    redirect,
    signed,
    taken_by_a_naive_checker,
)
from tests.schema.client import Clock

SECOND = timedelta(seconds=1)


class Ground:
    """An issuer with its provider."""

    def __init__(self, provider: Provider, issuer: Issuer, http: httpx.AsyncClient) -> None:
        self.provider = provider
        self.issuer = issuer
        self.http = http

    async def believes(self, token: str) -> bool:
        """Whether the token is taken; refused it is in the same words always."""
        try:
            await self.issuer.person(token, peeked(token))
        except TokenError as error:
            if str(error) != BAD_TOKEN:
                raise
            return False
        return True


@pytest_asyncio.fixture(loop_scope="session")
async def ground() -> AsyncIterator[Ground]:
    """Fresh, with one key."""
    clock = Clock(START)
    provider = Provider(clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(provider.app)) as http:
        yield Ground(provider, issuer_of(ISSUER, MEMBERS, None, http, clock), http)


@pytest.mark.parametrize("algorithm", list(MAKERS))
async def test_each_algorithm_is_believed(ground: Ground, algorithm: str) -> None:
    """With its own kind of key; and no other key's signature."""
    ground.provider.keys = {"a": private_key(algorithm), "b": private_key(algorithm, "second")}
    token = ground.provider.token("a", algorithm, sub="ada")
    person = await ground.issuer.person(token, peeked(token))
    assert (person.subject, person.until) == ("ada", START + HOUR)
    crossed = ground.provider.token("b", algorithm, key=private_key(algorithm))
    assert not await ground.believes(crossed)


NOW = int(START.timestamp())
WRONG_CLAIMS: list[dict[str, Any]] = [
    {"aud": "another"},
    {"aud": ["another", "third"]},
    {"aud": []},
    {"aud": {"front-end": 1}},
    {"iss": "https://login.test/"},
    {"iss": "https://evil.test"},
    {"iss": ["https://login.test"]},
    {"exp": NOW - 31, "iat": NOW - 3600},
    {"exp": "soon"},
    {"exp": True},
    {"iat": NOW + 31},
    {"iat": "now"},
    {"nbf": NOW + 31},
    {"exp": NOW + int(LONGEST.total_seconds()) + 1},
    {"exp": 10**300},
    {"sub": ""},
    {"sub": 7},
    {"sub": "x" * 256},
    {"sub": None},
]


@pytest.mark.parametrize("claims", WRONG_CLAIMS)
async def test_a_wrong_claim_is_refused(ground: Ground, claims: dict[str, Any]) -> None:
    """By that claim alone: the signature is good, and a check of nothing else would take it."""
    good = ground.provider.token()
    token = ground.provider.token(**claims)
    assert await ground.believes(good)
    assert not await ground.believes(token)
    assert jwt.decode(token, private_key(), ALGORITHMS).claims  # the control


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "exp", "iat"])
async def test_every_claim_is_essential(ground: Ground, missing: str) -> None:
    """A token for anybody, or for ever, is for nobody here."""
    assert not await ground.believes(ground.provider.token(without=missing))


@pytest.mark.parametrize(
    "claims",
    [{"aud": ["another", MEMBERS]}, {"exp": NOW - 29, "iat": NOW - 3600}, {"iat": NOW + 29},
     {"nbf": NOW + 29}, {"exp": NOW + int(LONGEST.total_seconds())}, {"sub": "x" * 255}],
)  # fmt: skip
async def test_what_is_just_good_enough(ground: Ground, claims: dict[str, Any]) -> None:
    """The other side of each border."""
    assert await ground.believes(ground.provider.token(**claims))


@pytest.mark.parametrize("type_", ["logout+jwt", "secevent+jwt", "", "dpop+jwt"])
async def test_another_kind_of_token_is_refused(ground: Ground, type_: str) -> None:
    """A logout token has the same issuer, audience and keys."""
    assert await ground.believes(ground.provider.token(header={"typ": "at+JWT"}))
    token = ground.provider.token(header={"typ": type_})
    assert await ground.believes(token) is (type_ == "")
    assert jwt.decode(token, private_key(), ALGORITHMS).claims  # the control


async def test_the_public_key_is_no_shared_secret(ground: Ground) -> None:
    """HS256 with the public key, in each of its forms: known to everybody."""
    key = private_key("RS256")
    assert isinstance(key, RSAKey)
    ground.provider.keys = {"k1": key}
    assert await ground.believes(ground.provider.token("k1", "RS256"))
    pem, der = key.as_pem(private=False), key.as_der(private=False)
    said = json.dumps(key.as_dict(private=False)).encode()
    for text in (pem, pem.strip(), der, said, b""):
        token = forged({"alg": "HS256", "kid": "k1"}, ground.provider.said_by(), text)
        assert not await ground.believes(token)
        assert taken_by_a_naive_checker(token, text)  # the control


async def test_no_algorithm_and_no_key_of_its_own(ground: Ground) -> None:
    """A token brings neither its own key nor none at all."""
    good = ground.provider.token()
    head, payload, signature = good.split(".")
    bare = encoded(b'{"alg":"none","typ":"JWT"}')
    mine = private_key("ES256", "mine")
    public = mine.as_dict(private=False)
    for token in (
        f"{bare}.{payload}.",
        f"{bare}.{payload}.{signature}",
        f"{head}.{payload}.",
        ground.provider.token(key=mine, header={"jwk": public}),
        ground.provider.token(key=mine, header={"jwk": public, "kid": "mine"}),
        ground.provider.token(key=mine, header={"jku": "https://evil.test/jwks"}),
        ground.provider.token(header={"crit": ["x"], "x": 1}),
        ground.provider.token(header={"b64": False, "crit": ["b64"]}),
        ground.provider.token("k1", "RS512", key=private_key("RS256")),
    ):
        assert not await ground.believes(token)
    assert await ground.believes(good)
    assert ground.provider.asked == ["/.well-known/openid-configuration", "/jwks"]


async def test_keys_rotate(ground: Ground) -> None:
    """The new one is fetched when its first token comes; the old one ends when it is withdrawn."""
    provider = ground.provider
    old = provider.token()
    assert await ground.believes(old)
    provider.keys["k2"] = private_key("ES256", "second")
    new = provider.token("k2")
    # Fetched a moment ago: nobody can make us fetch at will.
    assert not await ground.believes(new)
    assert len(provider.asked) == 2
    provider.clock.at += RETRY
    assert await ground.believes(new)
    assert await ground.believes(old)
    assert len(provider.asked) == 4
    del provider.keys["k1"]
    assert await ground.believes(old)  # until the keys are fetched anew
    provider.clock.at += FRESH
    assert not await ground.believes(old)
    assert await ground.believes(new)
    assert len(provider.asked) == 6


async def test_strangers_cannot_make_us_ask(ground: Ground) -> None:
    """Forged ids of keys lead to one request in a while, however many come, and at once."""
    provider = ground.provider
    stranger = private_key("ES256", "mine")
    forged = [provider.token(key=stranger, header={"kid": f"x{n}"}) for n in range(20)]
    good = provider.token()
    believed = await asyncio.gather(*(ground.believes(t) for t in [*forged, good] * 3))
    assert believed.count(True) == 3
    assert len(provider.asked) == 2
    for _ in range(3):
        provider.clock.at += RETRY
        assert not any(await asyncio.gather(*(ground.believes(token) for token in forged)))
    assert len(provider.asked) == 8


async def test_a_provider_that_is_down(ground: Ground) -> None:
    """What was fetched goes on for a bounded time, and then nobody is told that a token is bad."""
    provider = ground.provider
    ends: dict[str, Any] = {"exp": NOW + int(LONGEST.total_seconds())}
    token = provider.token(**ends)
    provider.down = True
    with pytest.raises(UncheckedError):
        await ground.believes(token)
    provider.down = False
    with pytest.raises(UncheckedError):
        await ground.believes(token)  # asked a moment ago
    provider.clock.at += RETRY
    assert await ground.believes(token)
    provider.down = True
    provider.clock.at += STALE - SECOND
    assert await ground.believes(token)
    provider.clock.at += SECOND
    with pytest.raises(UncheckedError):
        await ground.believes(token)
    asked = len(provider.asked)
    for _ in range(5):
        with pytest.raises(UncheckedError):
            await ground.believes(token)
    assert len(provider.asked) == asked
    provider.down = False
    provider.clock.at += RETRY
    assert await ground.believes(token)


async def test_a_provider_that_is_slow_keeps_one_waiting(ground: Ground) -> None:
    """Whoever asks it anew: others go on with what is known, where they know enough."""
    provider = ground.provider
    token = provider.token()
    assert await ground.believes(token)
    provider.clock.at += FRESH
    provider.going.clear()
    provider.reached.clear()
    first = asyncio.create_task(ground.believes(token))
    await provider.reached.wait()
    assert await ground.believes(token)
    stranger = asyncio.create_task(ground.believes(provider.token(header={"kid": "k9"})))
    done, _ = await asyncio.wait({first, stranger}, timeout=0)
    assert not done
    provider.going.set()
    assert (await first, await stranger) == (True, False)
    assert len(provider.asked) == 4


async def test_a_compressed_answer_is_not_unpacked(ground: Ground) -> None:
    """It was asked for as it is: a small one could fill the memory."""
    bomb = gzip.compress(b" " * (4 * MOST_BYTES) + b'{"keys": []}')
    assert len(bomb) < MOST_BYTES
    answer = Response(bomb, headers={"content-encoding": "gzip"})
    ground.provider.answers = {"/jwks": answer}
    with pytest.raises(UncheckedError):
        await ground.believes(ground.provider.token())
    with pytest.raises(ProviderError, match="JSONDecodeError"):
        await fetch_json(ground.http, f"{ISSUER}/jwks")


async def test_a_clock_that_was_set_back(ground: Ground) -> None:
    """Keys from the future aren't fresh for ever."""
    provider = ground.provider
    provider.clock.at += timedelta(days=2)
    assert await ground.believes(provider.token())
    provider.clock.at -= timedelta(days=2)
    assert await ground.believes(provider.token())
    assert len(provider.asked) == 4


NONSENSE = [
    Response("nothing", 404),
    Response("{"),
    JSONResponse([]),
    JSONResponse({"keys": 1}),
    JSONResponse({"keys": []}),
    JSONResponse({"keys": [1, None, {}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256", "x": "é"}]}),
    Response(b'{"keys": [' + b"[" * 5000 + b"]" * 5000 + b"]}"),
    Response(b" " * (MOST_BYTES + 1)),
    redirect("https://login.test/elsewhere"),
]


@pytest.mark.parametrize("place", ["/.well-known/openid-configuration", "/jwks"])
@pytest.mark.parametrize("answer", NONSENSE)
async def test_a_provider_that_answers_nonsense(
    ground: Ground, place: str, answer: Response
) -> None:
    """Is as one that is down."""
    ground.provider.answers = {place: answer}
    with pytest.raises(UncheckedError):
        await ground.believes(ground.provider.token())
    ground.provider.answers = {}
    ground.provider.clock.at += RETRY
    assert await ground.believes(ground.provider.token())


@pytest.mark.parametrize(
    "changed",
    [{"issuer": "https://evil.test"}, {"issuer": f"{ISSUER}/"}, {"jwks_uri": 7},
     {"jwks_uri": "http://login.test/jwks"}, {"jwks_uri": "file:///etc/passwd"},
     {"jwks_uri": "https://user:pass@login.test/jwks"}],
)  # fmt: skip
async def test_another_issuers_discovery(ground: Ground, changed: dict[str, Any]) -> None:
    """Isn't believed, nor one that leads over an open line; nothing is fetched from there."""
    document = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", **changed}
    place = "/.well-known/openid-configuration"
    ground.provider.answers = {place: JSONResponse(document)}
    with pytest.raises(UncheckedError):
        await ground.believes(ground.provider.token())
    assert ground.provider.asked == [place]


async def test_keys_that_can_not_check_a_signature_are_left_out(ground: Ground) -> None:
    """Shared secrets, weak keys, keys for encryption; the others go on."""
    shared = b"a secret that everybody can read here"
    weak = _weak()
    ground.provider.extra = [
        {"kty": "oct", "k": encoded(shared), "kid": "secret"},
        {**weak.as_dict(private=False), "kid": "weak"},
        {**private_key("RS256").as_dict(private=False), "kid": "enc", "use": "enc"},
        {"kty": "RSA", "kid": "broken", "n": "AQ", "e": "AQAB"},
    ]
    provider = ground.provider
    assert await ground.believes(provider.token())
    header = {"alg": "HS256", "kid": "secret"}
    assert not await ground.believes(forged(header, provider.said_by(), shared))
    for kid, key in (("weak", weak), ("enc", private_key("RS256"))):
        assert not await ground.believes(provider.token(kid, "RS256", key=key))
    # The control: the very key is taken where it may check.
    provider.keys["enc"] = private_key("RS256")
    provider.extra = []
    provider.clock.at += RETRY
    assert await ground.believes(provider.token("enc", "RS256"))
    assert jwt.decode(provider.token("weak", "RS256", key=weak), weak).claims


def _weak() -> RSAKey:
    made = rsa.generate_private_key(65537, 1024)
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RSAKey.import_key(pem)


async def test_a_key_without_a_name_is_the_only_one(ground: Ground) -> None:
    """A token that names none is taken where there is no choice."""
    now: dict[str, Any] = {"iss": ISSUER, "aud": MEMBERS, "sub": "ada", "iat": NOW, "exp": NOW + 60}
    token = signed({"alg": "ES256"}, now, private_key())
    assert await ground.believes(token)
    ground.provider.keys["k2"] = private_key("ES256", "second")
    ground.provider.clock.at += FRESH
    fresh = {**now, "iat": NOW + 600, "exp": NOW + 900}
    assert not await ground.believes(signed({"alg": "ES256"}, fresh, private_key()))


async def test_a_set_address_is_asked_alone(ground: Ground) -> None:
    """Where the settings say where the keys are, no discovery is needed."""
    provider = ground.provider
    issuer = issuer_of(ISSUER, MEMBERS, f"{ISSUER}/elsewhere", ground.http, provider.clock)
    token = provider.token()
    assert (await issuer.person(token, peeked(token))).subject == "ada"
    assert provider.asked == ["/elsewhere"]


@pytest.mark.parametrize(
    ("url", "good"),
    [("https://a.test/x", True), ("http://localhost:8080/x", True), ("http://127.0.0.1/x", True),
     ("http://[::1]/x", True), ("http://a.test/x", False), ("ftp://a.test", False),
     ("https://", False), ("https://u@a.test", False), ("https://a.test/#x", False),
     ("http://127.0.0.1.evil.test/", False), ("", False)],
)  # fmt: skip
async def test_which_addresses_are_asked(ground: Ground, url: str, good: bool) -> None:
    """Secure ones, and this machine's."""
    if good:
        assert check_address(url) == url
    else:
        with pytest.raises(ValueError, match="https"):
            check_address(url)
        with pytest.raises(ProviderError):
            await fetch_json(ground.http, url)
