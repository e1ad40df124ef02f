"""Who is asking, by each kind of credentials, over HTTP; and what is refused, always alike."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from joserfc import jwt

from app.authentication import Authenticator
from app.tokens import BAD_TOKEN, LONGEST, MOST_CHARACTERS, TokenError, issue, key_id, sign
from core.keys import ApiKeys
from core.posting import Engine
from core.rulebook import Rulebook
from core.signing import Secrets
from schema.context import ANONYMOUS, Viewer
from schema.roles import SCOPES
from tests.app.provider import (
    ADMINS,
    HOUR,
    ISSUER,
    MEMBERS,
    START,
    Trusting,
    encoded,
    forged,
    private_key,
    taken_by_a_naive_checker,
    trusting,
)
from tests.schema.client import SECRET

WHO = "{ me { id } }"
OTHER = "another secret, as long as the first one"
NONE = b'{"alg": "none"}'
PEM = b"-----BEGIN PUBLIC KEY-----"
NOW = int(START.timestamp())


@pytest_asyncio.fixture(loop_scope="session")
async def ground(coalition: Rulebook) -> AsyncIterator[Trusting]:
    """The application that trusts the provider, on a fresh database."""
    async with trusting(Engine(coalition)) as made:
        yield made


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_whoever_sends_nothing_is_nobody(ground: Trusting) -> None:
    """And a scheme or a letter's size makes no difference where it may not."""
    assert await ground.trust.viewer({}) == ANONYMOUS
    token = issue(SECRET, "admin", "root", HOUR, START)
    for header in (f"Bearer {token}", f"bearer  {token} ", f"BEARER {token}"):
        assert (await ground.trust.viewer({"authorization": header})).role == "admin"


async def test_our_own_tokens(ground: Trusting) -> None:
    """Of each role, with what it opens and until when."""
    until = START + HOUR
    for role, subject, expected in (
        ("member", "7", Viewer("member", holder=7, until=until)),
        (
            "partner",
            "cafe",
            Viewer("partner", partner="cafe", scopes=frozenset(SCOPES), until=until),
        ),
        ("admin", "sam", Viewer("admin", subject="sam", staff=frozenset({"owner"}), until=until)),
    ):
        token = issue(SECRET, role, subject, HOUR, START)
        assert await ground.trust.of_bearer(token) == expected


async def test_an_admin_of_the_provider(ground: Trusting) -> None:
    """By the roles of its claim that are ours; recorded is the opaque subject, never a name."""
    token = ground.provider.admin(
        "laurels:support", "laurels:finance", "laurels:root", "owner", "crm:owner",
        name="Sam", email="sam@example.com",
    )  # fmt: skip
    viewer = await ground.trust.of_bearer(token)
    assert viewer == Viewer(
        "admin", subject="sam-7", staff=frozenset({"support", "finance"}), until=START + HOUR
    )
    answer = await ground.ask(token, "{ trialBalance { members } }")
    assert answer["data"]["trialBalance"] == {"members": 0}
    refused = await ground.ask(token, '{ apiKeys(partner: "cafe") { id } }')
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    "roles", [None, [], "", ["owner"], [7], {"laurels:owner": 1}, ["laurels:Owner"], "laurels:"]
)
async def test_an_admin_without_a_role_here(ground: Trusting, roles: Any) -> None:
    """Isn't one, and is told so."""
    token = ground.provider.token(aud=ADMINS, roles=roles)
    with pytest.raises(TokenError, match="names no role"):
        await ground.trust.of_bearer(token)


async def test_roles_further_in(coalition: Rulebook) -> None:
    """Where the provider keeps them in an object of its own, under its own prefix."""
    changed = {"admin_roles_claim": "realm_access.roles", "admin_roles_prefix": ""}
    async with trusting(Engine(coalition), **changed) as ground:
        good = ground.provider.token(aud=ADMINS, realm_access={"roles": ["auditor"]})
        assert (await ground.trust.of_bearer(good)).staff == {"auditor"}
        for claims in ({"realm_access": ["auditor"]}, {"realm_access": None}, {"roles": "owner"}):
            with pytest.raises(TokenError):
                await ground.trust.of_bearer(ground.provider.token(aud=ADMINS, **claims))


async def test_a_members_token_is_no_admins(ground: Trusting) -> None:
    """Whatever it claims: the audience decides, and of two the lesser."""
    for audience in (MEMBERS, [MEMBERS, ADMINS]):
        token = ground.provider.token(aud=audience, roles=["laurels:owner"])
        viewer = await ground.trust.of_bearer(token)
        assert (viewer.role, viewer.staff) == ("member", frozenset())


async def test_a_provider_that_is_down_is_told_apart(ground: Trusting) -> None:
    """With 503: to say that the token is bad would sign people out."""
    ground.provider.down = True
    response = await ground.http.post(
        "/graphql", json={"query": WHO}, headers=_bearer(ground.provider.token())
    )
    assert response.status_code == 503
    assert response.headers["retry-after"] == "30"
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    own = issue(SECRET, "member", "7", HOUR, START)
    assert (await ground.ask(own, WHO))["data"] == {"me": None}


def _hostile(ground: Trusting, key: str) -> dict[str, str]:
    """Credentials that open nothing, by what is wrong with them."""
    claims = {"aud": "laurels", "sub": "root", "role": "admin", "roles": ["owner"]}
    times = {"iat": NOW, "exp": NOW + 3600}
    own = {"alg": "HS256", "kid": key_id(SECRET)}
    good = issue(SECRET, "admin", "root", HOUR, START)
    head, payload, signature = good.split(".")
    deep = encoded(b'{"a":' * 900 + b"1" + b"}" * 900)
    return {
        "empty": "",
        "no token": "nonsense",
        "two parts": "a.b",
        "four parts": f"{good}.x",
        "not base64": f"!.{payload}.{signature}",
        "not ascii": f"{head}.é.{signature}",
        "not json": f"{encoded(b'x')}.{payload}.{signature}",
        "no object": f"{encoded(b'[]')}.{encoded(b'[]')}.{signature}",
        "bad utf-8": f"{encoded(bytes([0x22, 0xFF, 0x22]))}.{payload}.{signature}",
        "deep header": f"{deep}.{payload}.{signature}",
        "deep payload": f"{head}.{deep}.{signature}",
        "huge": good + "A" * MOST_CHARACTERS,
        "no signature": f"{head}.{payload}.",
        "a letter changed": f"{head}.{payload}.{signature[:-2]}AA",
        "alg none": f"{encoded(NONE)}.{payload}.",
        "no alg": f"{encoded(b'{}')}.{payload}.{signature}",
        "alg None": f"{encoded(json.dumps({**own, 'alg': 'None'}).encode())}.{payload}.{signature}",
        "another secret": forged(own, {**claims, **times}, OTHER.encode()),
        "no secret": forged(own, {**claims, **times}, b""),
        "the public key": forged({**own, "kid": "k1"}, {**claims, **times}, PEM),
        "unknown kid": forged({**own, "kid": "x"}, {**claims, **times}, SECRET.encode()),
        "no kid": forged({"alg": "HS256"}, {**claims, **times}, SECRET.encode()),
        "a kid that is a list": forged({**own, "kid": []}, {**claims, **times}, SECRET.encode()),
        "expired": issue(SECRET, "admin", "root", HOUR, START - HOUR),
        "from the future": issue(SECRET, "admin", "root", HOUR, START + HOUR),
        "for ever": sign(SECRET, "laurels", claims, START + LONGEST + HOUR, START),
        "a session": sign(SECRET, "laurels-session", claims, START + HOUR, START),
        "a login": sign(SECRET, "laurels-login", claims, START + HOUR, START),
        "for others": sign(SECRET, "others", claims, START + HOUR, START),
        "no role": sign(SECRET, "laurels", {"sub": "x"}, START + HOUR, START),
        "a huge number": forged(own, {**claims, **times, "exp": 10**4000}, SECRET.encode()),
        "infinite": forged(own, {**claims, **times, "exp": 1e999}, SECRET.encode()),
        **_hostile_of_providers(ground),
        "no key": "laurels_",
        "a key of letters": f"laurels_{'x' * 16}_{'y' * 64}",
        "an unknown key": f"laurels_{'0' * 16}_{'1' * 64}",
        "a wrong secret": f"{key[:-64]}{'1' * 64}",
        "half a key": key[:-1],
        "a key and more": key + "0",
        "a key in capitals": key.upper(),
    }


def _hostile_of_providers(ground: Trusting) -> dict[str, str]:
    """What claims to come from an issuer, and isn't to be believed."""
    provider = ground.provider
    mine = private_key("ES256", "mine")
    return {
        "another issuer": provider.token(iss="https://evil.test"),
        "no issuer": provider.token(without="iss"),
        "an issuer that is a list": provider.token(iss=[ISSUER]),
        "another audience": provider.token(aud="others"),
        "a stranger's key": provider.token(key=mine),
        "a stranger's admin": provider.token(key=mine, aud=ADMINS, roles=["laurels:owner"]),
        "a provider's by HS256": forged({"alg": "HS256", "kid": "k1"}, provider.said_by(), PEM),
        "another kid": provider.token(header={"kid": "k9"}),
        "its own key": provider.token(key=mine, header={"jwk": mine.as_dict(private=False)}),
        "yesterday's": provider.token(iat=NOW - 86400, exp=NOW - 82800),
        "good for a year": provider.token(exp=NOW + 365 * 86400),
    }


async def test_everything_hostile_is_answered_alike(ground: Trusting) -> None:
    """401, in JSON, with a code and a challenge, and in one and the same words."""
    issued = await ground.trust.keys.create(1, "Till", ["members:read"], "admin:root", START)
    good = [
        issue(SECRET, "admin", "root", HOUR, START),
        ground.provider.token(),
        ground.provider.admin("laurels:owner"),
        issued.text,
    ]
    for token in good:  # the control: only what is wrong with them is wrong with the others
        assert "errors" not in await ground.ask(token, "{ __typename }")
    answers = set()
    for name, token in _hostile(ground, issued.text).items():
        response = await ground.http.post(
            "/graphql",
            json={"query": "{ __typename }"},
            headers=[(b"authorization", b"Bearer " + token.encode())],
        )
        assert response.status_code == 401, (name, response.text)
        assert response.headers["content-type"] == "application/json"
        challenge = response.headers["www-authenticate"]
        assert challenge == 'Bearer realm="laurels", error="invalid_token"'
        answers.add(response.text)
    expected = {"message": BAD_TOKEN, "extensions": {"code": "UNAUTHENTICATED"}}
    assert [json.loads(answer) for answer in answers] == [{"errors": [expected]}]


async def test_the_hostile_are_refused_for_one_thing_alone(ground: Trusting) -> None:
    """The controls: checkers that leave one thing out take them."""
    hostile = _hostile(ground, f"laurels_{'0' * 16}_{'1' * 64}")
    for name, secret in (
        ("another secret", OTHER.encode()),
        ("no secret", b""),
        ("the public key", PEM),
        ("a provider's by HS256", PEM),
        ("unknown kid", SECRET.encode()),
        ("no kid", SECRET.encode()),
        ("a session", SECRET.encode()),
        ("for others", SECRET.encode()),
        ("for ever", SECRET.encode()),
        ("expired", SECRET.encode()),
    ):
        assert taken_by_a_naive_checker(hostile[name], secret), name
    mine = private_key("ES256", "mine")
    for name in ("a stranger's key", "a stranger's admin", "its own key"):
        assert jwt.decode(hostile[name], mine, ["ES256"]).claims, name
    for name in ("another issuer", "another audience", "yesterday's", "good for a year"):
        assert jwt.decode(hostile[name], private_key(), ["ES256"]).claims, name


@pytest.mark.parametrize("header", ["Basic YTpi", "Token x", "x", "Bearer", "", "laurels_x"])
async def test_another_scheme(ground: Trusting, header: str) -> None:
    """Is refused and never taken for nobody."""
    response = await ground.http.post(
        "/graphql", json={"query": WHO}, headers={"authorization": header}
    )
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


@pytest.mark.parametrize("subject", ["Ada", "-1", "٣", "9" * 19, "1.0", " 7"])
async def test_a_members_token_of_ours_names_a_number(ground: Trusting, subject: str) -> None:
    """One that the books can hold."""
    token = issue(SECRET, "member", subject, HOUR, START)
    with pytest.raises(TokenError, match="names a member"):
        await ground.trust.of_bearer(token)


async def test_without_providers_their_tokens_open_nothing(ground: Trusting, database: str) -> None:
    """And nobody is asked about them."""
    bare = Authenticator(Secrets(SECRET), ground.clock)
    with pytest.raises(TokenError, match="malformed"):
        await bare.of_bearer(ground.provider.token())
    assert ground.provider.asked == []


async def test_secrets_rotate(coalition: Rulebook) -> None:
    """What the secret before made goes on as long as it is given, and no longer."""
    old = {
        "token": issue(SECRET, "admin", "root", timedelta(hours=12), START),
        "key": (
            await ApiKeys(Secrets(SECRET)).create(1, "Till", ["keys:write"], "admin:x", START)
        ).text,
    }
    admin = {"sub": "root", "roles": ["owner"]}
    session = sign(SECRET, "laurels-session", admin, START + HOUR, START)
    both = {"secret": OTHER, "previous_secrets": (SECRET,)}
    async with trusting(Engine(coalition), **both) as ground:
        for token in old.values():
            assert (await ground.trust.of_bearer(token)).role in ("admin", "partner")
        assert ground.trust.secrets == Secrets(OTHER, (SECRET,))
        assert ground.trust.of_session(session).subject == "root"
    # The token was signed with the old secret alone; the key has been digested anew on use.
    async with trusting(Engine(coalition), secret=OTHER) as ground:
        with pytest.raises(TokenError):
            await ground.trust.of_bearer(old["token"])
        with pytest.raises(TokenError):
            ground.trust.of_session(session)
        assert (await ground.trust.of_bearer(old["key"])).partner is not None
    async with trusting(Engine(coalition)) as ground:
        with pytest.raises(TokenError):
            await ground.trust.of_bearer(old["key"])
