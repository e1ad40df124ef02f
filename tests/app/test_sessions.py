"""Sessions of admins and members: the cookie, what it can't be used for, signing in elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from app.authentication import COOKIE, LONGEST_SESSION
from app.jwks import FRESH, RETRY, STALE
from app.login import COOKIE as LOGIN_COOKIE
from app.login import PATIENCE, challenge
from app.tokens import TokenError, issue, sign
from core.posting import Engine
from core.rulebook import Rulebook
from tests.app.provider import CLIENT, HOUR, ISSUER, START, Trusting, trusting
from tests.schema.client import SECRET

TICK = timedelta(microseconds=1)
CSRF = {"x-laurels-csrf": "1"}
WHO = {"query": "{ trialBalance { members } }"}
CHANGE = """mutation { createApiKey(input: {partner: "cafe", title: "x", scopes: [MEMBERS_READ]}) {
  __typename } }"""


@pytest_asyncio.fixture(loop_scope="session")
async def ground(coalition: Rulebook) -> AsyncIterator[Trusting]:
    """The application that trusts the provider, on a fresh database."""
    async with trusting(Engine(coalition)) as made:
        yield made


def cookie_of(response: httpx.Response, name: str = COOKIE) -> Morsel[str]:
    """The cookie that an answer sets."""
    found: dict[str, Morsel[str]] = {}
    for header in response.headers.get_list("set-cookie"):
        found.update(SimpleCookie(header))
    return found[name]


async def sign_in(ground: Trusting, token: str, **headers: str) -> httpx.Response:
    """A session of a token."""
    sent = {**CSRF, **headers}
    return await ground.http.post("/session", json={"token": token}, headers=sent)


def with_cookie(value: str, **headers: str) -> dict[str, str]:
    """Headers with the session's cookie."""
    return {"cookie": f"{COOKIE}={value}", **headers}


async def test_a_session_from_beginning_to_end(ground: Trusting) -> None:
    """Signed in with a token, told of, used, and signed out."""
    assert (await ground.http.get("/session")).status_code == 401
    token = issue(SECRET, "admin", "sam", timedelta(hours=2), START, staff=["owner", "support"])
    opened = await sign_in(ground, token)
    expected = {
        "role": "admin",
        "subject": "sam",
        "roles": ["support", "owner"],
        "expiresAt": "2026-11-22T14:00:00Z",
    }
    assert (opened.status_code, opened.json()) == (200, expected)
    assert opened.headers["cache-control"] == "no-store"
    cookie = cookie_of(opened)
    assert cookie["httponly"]
    assert cookie["secure"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("strict", "/", "")
    assert cookie["max-age"] == "7200"
    read = await ground.http.get("/session", headers=with_cookie(cookie.value))
    assert (read.status_code, read.json()) == (200, expected)
    used = await ground.http.post("/graphql", json=WHO, headers=with_cookie(cookie.value, **CSRF))
    assert used.json()["data"] == {"trialBalance": {"members": 0}}
    ended = await ground.http.delete("/session", headers=with_cookie(cookie.value, **CSRF))
    assert ended.status_code == 204
    gone = cookie_of(ended)
    assert (gone.value, gone["max-age"], gone["path"]) == ("", "0", "/")
    assert gone["httponly"]
    assert gone["secure"]


async def test_a_session_ends_with_its_token_and_within_a_day(ground: Trusting) -> None:
    """Whichever comes first; from then on it opens nothing."""
    for ttl, lasts in ((HOUR, HOUR), (timedelta(hours=100), LONGEST_SESSION)):
        ground.clock.at = START
        opened = await sign_in(ground, issue(SECRET, "admin", "sam", ttl, START))
        cookie = cookie_of(opened).value
        ground.clock.at = START + lasts - timedelta(seconds=1)
        assert ground.trust.of_session(cookie).until == START + lasts
        ground.clock.at = START + lasts
        with pytest.raises(TokenError):
            ground.trust.of_session(cookie)
        response = await ground.http.get("/session", headers=with_cookie(cookie))
        assert response.status_code == 401
    # A token that is good only by the leeway of clocks makes none.
    ground.clock.at = START
    token = ground.provider.admin("laurels:owner")
    ground.clock.at = START + HOUR + timedelta(seconds=5)
    assert (await ground.trust.of_bearer(token)).role == "admin"
    assert (await sign_in(ground, token)).status_code == 401


async def test_a_session_of_an_admin_is_for_admins_alone(ground: Trusting) -> None:
    """A member's or a partner's token is good, and not for this."""
    key = await ground.trust.keys.create(1, "Till", ["keys:write"], "admin:x", START)
    for token in (
        issue(SECRET, "member", "7", HOUR, START),
        issue(SECRET, "partner", "cafe", HOUR, START),
        ground.provider.token(),
        key.text,
    ):
        assert (await ground.trust.of_bearer(token)).role in ("member", "partner")
        response = await sign_in(ground, token)
        assert response.status_code == 403
        assert response.json()["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
        assert "set-cookie" not in response.headers
    assert (await sign_in(ground, ground.provider.admin("laurels:owner"))).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"token": 1}', b'{"token": null}', b'{"token": ""}',
     b'{"token": "x"}', b"[" * 10_000, b'{"token": "' + b"x" * 100_000 + b'"}', b"\xff"],
)  # fmt: skip
async def test_a_hostile_body(ground: Trusting, body: bytes) -> None:
    """Is refused in JSON."""
    response = await ground.http.post("/session", content=body, headers=CSRF)
    assert response.status_code == 401, response.text
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "set-cookie" not in response.headers


async def test_another_method(ground: Trusting) -> None:
    """Is told which there are."""
    response = await ground.http.put("/session", headers=CSRF)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST, DELETE")


async def _keys(ground: Trusting) -> int:
    token = issue(SECRET, "admin", "root", HOUR, ground.clock())
    answer = await ground.ask(token, '{ apiKeys(partner: "cafe") { id } }')
    return len(answer["data"]["apiKeys"])


@pytest.mark.parametrize("header", [{}, {"x-laurels-csrf": "0"}, {"x-laurels-csrf": ""}])
async def test_without_the_header_the_cookie_changes_nothing(
    ground: Trusting, header: dict[str, str]
) -> None:
    """What another site's page can make a browser send: the cookie, and no header of ours."""
    token = issue(SECRET, "admin", "sam", HOUR, START)
    cookie = cookie_of(await sign_in(ground, token)).value
    forged = with_cookie(cookie, origin="https://evil.test", **header)
    for query in (CHANGE, WHO["query"]):
        response = await ground.http.post("/graphql", json={"query": query}, headers=forged)
        assert response.status_code == 401
    assert await _keys(ground) == 0
    for method in ("POST", "DELETE"):
        response = await ground.http.request(
            method, "/session", json={"token": token}, headers=forged
        )
        assert response.status_code == 403
        assert "set-cookie" not in response.headers
    # The control: with the header the very request changes something.
    sent = with_cookie(cookie, **CSRF)
    done = await ground.http.post("/graphql", json={"query": CHANGE}, headers=sent)
    assert done.json()["data"]["createApiKey"] == {"__typename": "ApiKeyIssued"}
    assert await _keys(ground) == 1


async def test_a_session_is_not_fixed_by_somebody_else(ground: Trusting) -> None:
    """What a browser had before signing in counts for nothing afterwards, and two are none."""
    evil = cookie_of(await sign_in(ground, issue(SECRET, "admin", "eve", HOUR, START))).value
    token = issue(SECRET, "admin", "sam", HOUR, START)
    response = await sign_in(ground, token, cookie=f"{COOKIE}={evil}")
    mine = cookie_of(response).value
    assert mine != evil
    assert response.json()["subject"] == "sam"
    assert ground.trust.of_session(mine).subject == "sam"
    for both in (f"{COOKIE}={evil}; {COOKIE}={mine}", f"{COOKIE}={mine}; x=1;{COOKIE}={evil}"):
        for path, method in (("/session", "GET"), ("/graphql", "POST")):
            refused = await ground.http.request(
                method, path, json=WHO, headers={**CSRF, "cookie": both}
            )
            assert refused.status_code == 401
    chosen = with_cookie("chosen-by-eve", **CSRF)
    assert (await ground.http.post("/graphql", json=WHO, headers=chosen)).status_code == 401


async def test_a_cookie_is_no_token_and_a_token_no_cookie(ground: Trusting) -> None:
    """Each use has an audience of its own."""
    token = issue(SECRET, "admin", "sam", HOUR, START)
    cookie = cookie_of(await sign_in(ground, token)).value
    assert ground.trust.of_session(cookie).subject == "sam"
    with pytest.raises(TokenError):
        await ground.trust.of_bearer(cookie)
    with pytest.raises(TokenError):
        ground.trust.of_session(token)
    assert (await sign_in(ground, cookie)).status_code == 401
    for claims in ({"sub": "sam"}, {"sub": "", "roles": ["owner"]}, {"sub": "x", "roles": []}):
        with pytest.raises(TokenError):
            ground.trust.of_session(sign(SECRET, "laurels-session", claims, START + HOUR, START))


async def test_a_token_goes_before_the_cookie(ground: Trusting) -> None:
    """Whoever sends both means the token, good or not."""
    cookie = cookie_of(await sign_in(ground, issue(SECRET, "admin", "sam", HOUR, START))).value
    member = issue(SECRET, "member", "7", HOUR, START)
    viewer = await ground.trust.viewer(with_cookie(cookie, authorization=f"Bearer {member}"))
    assert viewer.role == "member"
    with pytest.raises(TokenError):
        await ground.trust.viewer(with_cookie(cookie, authorization="Bearer x", **CSRF))


async def test_a_socket_by_the_cookie_is_of_this_origin(ground: Trusting) -> None:
    """A browser sends the cookie with a handshake whatever page asks for it."""
    cookie = cookie_of(await sign_in(ground, issue(SECRET, "admin", "sam", HOUR, START))).value
    sent = with_cookie(cookie, host="points.test")
    for origin in ("https://points.test", "https://POINTS.test"):
        viewer = await ground.trust.of_handshake({**sent, "origin": origin})
        assert viewer.subject == "sam"
    for origin in ("https://evil.test", "https://points.test.evil.test", "null", "",
                   "https://points.test:8443"):  # fmt: skip
        with pytest.raises(TokenError):
            await ground.trust.of_handshake({**sent, "origin": origin})
    with pytest.raises(TokenError):
        await ground.trust.of_handshake(sent)
    assert (await ground.trust.of_handshake({"host": "points.test"})).role == "anonymous"


@pytest.mark.parametrize(
    ("base", "secure"),
    [("http://127.0.0.1:8000", False), ("http://localhost:8000", False), ("http://[::1]", False),
     ("http://points.test", True), ("https://127.0.0.1", True)],
)  # fmt: skip
async def test_where_the_cookie_needs_https(coalition: Rulebook, base: str, secure: bool) -> None:
    """Everywhere but on this machine without it."""
    async with trusting(Engine(coalition)) as ground:
        ground.http.base_url = httpx.URL(base)
        response = await sign_in(ground, issue(SECRET, "admin", "sam", HOUR, START))
        assert bool(cookie_of(response)["secure"]) is secure


async def begin(ground: Trusting) -> tuple[str, str]:
    """(where the provider is, the cookie of this login)."""
    response = await ground.http.get("/session/login")
    assert response.status_code == 303
    cookie = cookie_of(response, LOGIN_COOKIE)
    assert cookie["httponly"]
    assert cookie["secure"]
    assert (cookie["samesite"], cookie["path"]) == ("lax", "/session/callback")
    assert cookie["max-age"] == str(int(PATIENCE.total_seconds()))
    return response.headers["location"], cookie.value


async def come_back(ground: Trusting, address: str, cookie: str | None) -> httpx.Response:
    """The browser, sent back to an address."""
    headers = {} if cookie is None else {"cookie": f"{LOGIN_COOKIE}={cookie}"}
    return await ground.http.get(address, headers=headers)


async def test_signing_in_at_the_provider(ground: Trusting) -> None:
    """There and back, with a code; the session is as one of a token."""
    there, cookie = await begin(ground)
    assert there.startswith(f"{ISSUER}/authorize?")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(there).query).items()}
    assert asked["redirect_uri"] == "https://points.test/session/callback"
    assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
    assert asked["code_challenge_method"] == "S256"
    back = await come_back(ground, ground.provider.authorise(there), cookie)
    assert (back.status_code, back.headers["location"]) == (303, "/graphiql")
    session = cookie_of(back)
    assert session["samesite"] == "strict"
    viewer = ground.trust.of_session(session.value)
    assert (viewer.subject, *viewer.staff) == ("sam-7", "support")
    assert cookie_of(back, LOGIN_COOKIE)["max-age"] == "0"
    # A code is good once.
    again = await come_back(ground, str(back.request.url), cookie)
    assert again.status_code == 403


async def test_somebody_elses_code_signs_nobody_in(ground: Trusting) -> None:
    """Who is sent here with it has another state, or none; nothing is asked of the provider."""
    there, cookie = await begin(ground)
    evil = ground.provider.authorise((await begin(ground))[0])
    mine = ground.provider.authorise(there)
    asked = len(ground.provider.asked)
    for address, sent, status in (
        (evil, cookie, 403),
        (mine, None, 401),
        (mine, "nonsense", 401),
        (mine.split("&state=")[0], cookie, 403),
        (mine.replace("code=", "error=access_denied&was="), cookie, 403),
        ("https://points.test/session/callback", cookie, 403),
        ("https://points.test/session/callback?state=%C3%A9&code=x", cookie, 403),
    ):
        response = await come_back(ground, address, sent)
        assert response.status_code == status, address
        assert COOKIE not in response.headers.get("set-cookie", "")
    assert len(ground.provider.asked) == asked
    assert (await come_back(ground, mine, cookie)).status_code == 303  # the control


@pytest.mark.parametrize(
    ("said", "status"),
    [({"nonce": "another"}, 403), ({"nonce": None}, 403), ({"aud": "others"}, 401),
     ({"aud": "laurels-admin"}, 401), ({"iss": "https://evil.test"}, 401), ({"roles": []}, 401),
     ({"exp": int(START.timestamp()) - 60}, 401), ({}, 303)],
)  # fmt: skip
async def test_the_token_is_for_this_login(
    ground: Trusting, said: dict[str, Any], status: int
) -> None:
    """Of this client, this nonce, and with a role here."""
    there, cookie = await begin(ground)
    ground.provider.said = said
    response = await come_back(ground, ground.provider.authorise(there), cookie)
    assert response.status_code == status
    assert (f"{COOKIE}=" in str(response.headers.get_list("set-cookie"))) is (status == 303)


async def test_a_login_that_took_too_long(ground: Trusting) -> None:
    """Begins again."""
    there, cookie = await begin(ground)
    back = ground.provider.authorise(there)
    ground.clock.at += PATIENCE
    assert (await come_back(ground, back, cookie)).status_code == 401


async def test_a_login_while_the_provider_is_down(ground: Trusting) -> None:
    """Is told so, on the way there where nothing is known of it, and on the way back."""
    ground.provider.down = True
    assert (await ground.http.get("/session/login")).status_code == 503
    ground.provider.down = False
    ground.clock.at += RETRY
    there, cookie = await begin(ground)
    back = ground.provider.authorise(there)
    ground.provider.down = True
    assert (await come_back(ground, back, cookie)).status_code == 503


async def test_whoever_begins_to_sign_in_asks_nothing_of_the_provider(ground: Trusting) -> None:
    """What it says of itself is kept, and asked for once in a while, also where it is down."""
    asked, place = ground.provider.asked, "/.well-known/openid-configuration"

    async def begun(status: int, times: int) -> None:
        before = len(asked)
        for _ in range(3):
            assert (await ground.http.get("/session/login")).status_code == status
        assert asked[before:] == [place] * times

    ground.provider.down = True
    await begun(503, 1)
    ground.clock.at += RETRY
    ground.provider.down = False
    await begun(303, 1)
    ground.clock.at += FRESH - TICK
    await begun(303, 0)
    ground.clock.at += TICK
    await begun(303, 1)
    ground.provider.down = True
    ground.clock.at += FRESH
    await begun(303, 1)
    ground.clock.at += RETRY
    await begun(303, 1)
    ground.clock.at += STALE - FRESH - RETRY - TICK
    await begun(303, 1)
    ground.clock.at += TICK
    await begun(503, 0)  # just tried


async def test_many_who_begin_at_once_share_one_request(ground: Trusting) -> None:
    """Whoever waits gets what the first one fetched."""
    ground.provider.going.clear()
    waiting = [asyncio.create_task(ground.http.get("/session/login")) for _ in range(5)]
    await ground.provider.reached.wait()
    ground.provider.going.set()
    assert [(await one).status_code for one in waiting] == [303] * 5
    assert len(ground.provider.asked) == 1


async def test_without_a_client_there_is_no_login(coalition: Rulebook) -> None:
    """404, and tokens go on."""
    changed = {"admin_client_id": None, "admin_client_secret": None}
    async with trusting(Engine(coalition), **changed) as ground:
        for path in ("/session/login", "/session/callback"):
            assert (await ground.http.get(path)).status_code == 404
        assert (await sign_in(ground, ground.provider.admin("laurels:owner"))).status_code == 200


def test_the_challenge_is_that_of_the_standard() -> None:
    """The example of RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
