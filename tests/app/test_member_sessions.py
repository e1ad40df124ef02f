"""Sessions of members: a cookie of their own, which opens nothing that is an admin's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from app.authentication import COOKIE, LONGEST_SESSION, MEMBERS
from app.login import COOKIE as LOGIN_COOKIE
from app.tokens import TokenError, issue, sign
from core.posting import Engine
from core.rulebook import Rulebook
from tests.app.provider import HOUR, START, Trusting, trusting
from tests.app.test_sessions import begin, come_back, cookie_of
from tests.schema.client import SECRET
from tests.support import enrol_cards

OWN = {"x-laurels-csrf": "member"}
ADMIN = {"x-laurels-csrf": "1"}
ME = {"query": "{ me { id } }"}
BOOKS = {"query": "{ trialBalance { members } }"}


@pytest_asyncio.fixture(loop_scope="session")
async def ground(coalition: Rulebook) -> AsyncIterator[Trusting]:
    """The application that trusts the provider, on a fresh database."""
    async with trusting(Engine(coalition)) as made:
        yield made


async def member(ground: Trusting, card: str = "1") -> tuple[int, str]:
    """(a member, the value of its session's cookie)."""
    [holder] = await enrol_cards([card])
    token = issue(SECRET, "member", str(holder), timedelta(hours=2), ground.clock())
    opened = await ground.http.post("/session", json={"token": token}, headers=OWN)
    assert opened.status_code == 200, opened.text
    return holder, cookie_of(opened, MEMBERS.cookie).value


def sent(value: str, **headers: str) -> dict[str, str]:
    """Headers with a member's cookie."""
    return {"cookie": f"{MEMBERS.cookie}={value}", **headers}


async def test_a_members_session_from_beginning_to_end(ground: Trusting) -> None:
    """Opened with a token, told of, used, and ended; the cookie is as safe as an admin's."""
    [holder] = await enrol_cards(["1"])
    assert (await ground.http.get("/session", headers=OWN)).status_code == 401
    token = issue(SECRET, "member", str(holder), timedelta(hours=2), START)
    opened = await ground.http.post("/session", json={"token": token}, headers=OWN)
    expected = {
        "role": "member",
        "subject": str(holder),
        "roles": [],
        "expiresAt": "2026-11-22T14:00:00Z",
    }
    assert (opened.status_code, opened.json()) == (200, expected)
    cookie = cookie_of(opened, MEMBERS.cookie)
    assert cookie["httponly"]
    assert cookie["secure"]
    assert (cookie["samesite"], cookie["path"], cookie["max-age"]) == ("strict", "/", "7200")
    assert COOKIE not in str(opened.headers.get_list("set-cookie"))
    headers = sent(cookie.value, **OWN)
    read = await ground.http.get("/session", headers=headers)
    assert (read.status_code, read.json()) == (200, expected)
    me = (await ground.http.post("/graphql", json=ME, headers=headers)).json()["data"]["me"]
    assert me is not None
    assert me == (await ground.ask(token, ME["query"]))["data"]["me"]
    ended = await ground.http.delete("/session", headers=headers)
    assert ended.status_code == 204
    gone = cookie_of(ended, MEMBERS.cookie)
    assert (gone.value, gone["max-age"], gone["path"]) == ("", "0", "/")


async def test_it_opens_what_a_member_may_and_no_more(ground: Trusting) -> None:
    """Nothing of an admin's, whatever the header says; and an admin's opens nothing of it."""
    _, cookie = await member(ground)
    books = await ground.http.post("/graphql", json=BOOKS, headers=sent(cookie, **OWN))
    assert books.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    # Under an admin's header the member's cookie isn't looked at: it is nobody who asks.
    asked = await ground.http.post("/graphql", json=ME, headers=sent(cookie, **ADMIN))
    assert asked.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    moved = {"cookie": f"{COOKIE}={cookie}", **ADMIN}
    assert (await ground.http.post("/graphql", json=ME, headers=moved)).status_code == 401
    admin = issue(SECRET, "admin", "sam", HOUR, START)
    opened = await ground.http.post("/session", json={"token": admin}, headers=ADMIN)
    theirs = cookie_of(opened).value
    moved = sent(theirs, **OWN)
    assert (await ground.http.post("/graphql", json=BOOKS, headers=moved)).status_code == 401


async def test_one_browser_has_both(ground: Trusting) -> None:
    """The header says whose request it is, and ending one leaves the other."""
    _, own = await member(ground)
    admin = issue(SECRET, "admin", "sam", HOUR, START)
    opened = await ground.http.post("/session", json={"token": admin}, headers=ADMIN)
    both = {"cookie": f"{COOKIE}={cookie_of(opened).value}; {MEMBERS.cookie}={own}"}
    for header, role in ((OWN, "member"), (ADMIN, "admin"), ({}, "admin")):
        read = await ground.http.get("/session", headers={**both, **header})
        assert read.json()["role"] == role
    ended = await ground.http.delete("/session", headers={**both, **OWN})
    assert [name.split("=")[0] for name in ended.headers.get_list("set-cookie")] == [MEMBERS.cookie]


@pytest.mark.parametrize("header", [{}, {"x-laurels-csrf": "Member"}, {"x-laurels-csrf": ""}])
async def test_without_the_header_it_is_refused(ground: Trusting, header: dict[str, str]) -> None:
    """What another site's page can make a browser send."""
    holder, cookie = await member(ground)
    forged = sent(cookie, origin="https://evil.test", **header)
    assert (await ground.http.post("/graphql", json=ME, headers=forged)).status_code == 401
    token = issue(SECRET, "member", str(holder), HOUR, START)
    for method in ("POST", "DELETE"):
        answer = await ground.http.request(
            method, "/session", json={"token": token}, headers=forged
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


async def test_it_is_for_members_alone(ground: Trusting) -> None:
    """Neither for admins, nor partners, nor for who isn't enrolled yet."""
    for token in (
        issue(SECRET, "admin", "sam", HOUR, START),
        issue(SECRET, "partner", "cafe", HOUR, START),
        ground.provider.token(),
    ):
        answer = await ground.http.post("/session", json={"token": token}, headers=OWN)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


async def test_it_ends_with_its_token_and_within_a_day(ground: Trusting) -> None:
    """Whichever comes first."""
    [holder] = await enrol_cards(["1"])
    for ttl, lasts in ((HOUR, HOUR), (timedelta(hours=100), LONGEST_SESSION)):
        ground.clock.at = START
        token = issue(SECRET, "member", str(holder), ttl, START)
        opened = await ground.http.post("/session", json={"token": token}, headers=OWN)
        cookie = cookie_of(opened, MEMBERS.cookie).value
        ground.clock.at = START + lasts - timedelta(seconds=1)
        assert ground.trust.of_session(cookie, MEMBERS).holder == holder
        ground.clock.at = START + lasts
        with pytest.raises(TokenError):
            ground.trust.of_session(cookie, MEMBERS)


async def test_a_forged_session_names_nobody(ground: Trusting) -> None:
    """Its text is for members' sessions, and names a member."""
    audience = MEMBERS.audience
    good = sign(SECRET, audience, {"sub": "7"}, START + HOUR, START)
    assert ground.trust.of_session(good, MEMBERS).holder == 7
    for claims in ({"sub": "x"}, {"sub": ""}, {"sub": 7}, {"sub": "9" * 19}, {}):
        with pytest.raises(TokenError):
            ground.trust.of_session(sign(SECRET, audience, claims, START + HOUR, START), MEMBERS)
    other = sign(SECRET, "laurels-session", {"sub": "7"}, START + HOUR, START)
    with pytest.raises(TokenError):
        ground.trust.of_session(other, MEMBERS)


@pytest.mark.parametrize(
    ("named", "led"),
    [("?to=programme", "/programme"), ("", "/graphiql"), ("?to=graphiql", "/graphiql"),
     ("?to=https://evil.test", "/graphiql"), ("?to=/evil.test", "/graphiql")],
)  # fmt: skip
async def test_a_login_leads_back_to_the_page_it_began_at(
    ground: Trusting, named: str, led: str
) -> None:
    """To one of ours, whatever the address says."""
    assert (await begin(ground))[1]
    response: httpx.Response = await ground.http.get(f"/session/login{named}")
    cookie = cookie_of(response, LOGIN_COOKIE).value
    there = response.headers["location"]
    back = await come_back(ground, ground.provider.authorise(there), cookie)
    assert (back.status_code, back.headers["location"]) == (303, led)
