"""The two pages as the server sends them; tests/browser holds what a browser makes of them."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import Any

import graphql
import httpx
import pytest
from starlette.applications import Starlette

from app.pages import FOLDER, language_of, page_routes
from schema.build import build_schema

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
PAGES = ("member", "programme")


def get(path: str, root_path: str = "", sign_in: str | None = None, **sent: str) -> httpx.Response:
    """What the pages answer; `sent` are headers."""
    app = Starlette(routes=page_routes("/graphql", sign_in=sign_in))
    headers = {name.replace("_", "-"): value for name, value in sent.items()}

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://laurels.test") as client:
            return await client.get(root_path + path, headers=headers)

    return asyncio.run(request())


def config_in(html: str) -> dict[str, Any]:
    """What the page's script is told."""
    found = re.search(r'id="page-config">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    config: dict[str, Any] = json.loads(found[1])
    return config


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_sent_under_the_strict_policy_and_never_stored(page: str) -> None:
    """And its files for ever, under an address that changes with them."""
    response = get(f"/{page}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert {name: response.headers[name] for name in SECURITY} == SECURITY
    addresses = re.findall(r'(?:src|href)="([^"]+)"', response.text)
    files = {address for address in addresses if address != "#main"}
    assert f"{page}.js" in {Path(file).name for file in files}
    for address in files:
        sent = get(address)
        assert sent.content == (FOLDER / Path(address).name).read_bytes()
        assert sent.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert {name: sent.headers[name] for name in SECURITY} == SECURITY


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_neither_inline_script_nor_style_nor_another_host(page: str) -> None:
    html = get(f"/{page}", sign_in="/session/login").text
    assert "//" not in html
    assert "style=" not in html
    assert re.findall(r" on[a-z]+=", html) == []
    scripts = re.findall(r"<script[^>]*>", html)
    assert [tag for tag in scripts if "src=" not in tag] == [
        '<script type="application/json" id="page-config">'
    ]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fetches_all_that_its_script_imports_at_once(page: str) -> None:
    """No module waits for another to be read; and none is fetched that isn't used."""
    html = get(f"/{page}").text
    fetched = {Path(x).name for x in re.findall(r'rel="modulepreload" href="([^"]+)"', html)}
    needed, waiting = set[str](), [f"{page}.js"]
    while waiting:
        text = (FOLDER / waiting.pop()).read_text("utf-8")
        found = set(re.findall(r"from '\./([\w-]+\.js)'", text)) - needed
        needed |= found
        waiting += found
    assert fetched == {*needed, "texts-en.js", f"texts-{page}-en.js"}


def test_a_file_is_sent_small_to_who_can_unpack_it() -> None:
    path = re.findall(r'src="([^"]+\.js)"', get("/member").text)[0]
    packed = get(path, accept_encoding="gzip")
    plain = get(path, accept_encoding="identity")
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert {packed.headers["vary"], plain.headers["vary"]} == {"accept-encoding"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_small(page: str) -> None:
    """All of it, as it goes over the wire: what a picture of a reward would take."""
    html = get(f"/{page}").text
    files = {Path(x).name for x in re.findall(r'(?:src|href)="([^"#]+)"', html)}
    packed = [gzip.compress((FOLDER / name).read_bytes()) for name in files if name]
    assert sum(map(len, packed)) < 30_000


def test_nothing_else_is_served() -> None:
    path = re.findall(r'src="([^"]+\.js)"', get("/member").text)[0]
    version = path.split("/")[2]
    for wrong in (
        f"/pages/{version}/nothing.js", f"/pages/{version}/../pages.py", "/pages/0/member.js",
        f"/pages/{version}/%2e%2e%2fpages.py", "/pages/", "/member/x",
    ):  # fmt: skip
        assert get(wrong).status_code == 404, wrong


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "en"), ("tr", "tr"), ("tr-TR,tr;q=0.9,en;q=0.8", "tr"), ("de,en;q=0.5,tr;q=0.7", "tr"),
     ("en-GB,tr;q=0.9", "en"), ("de,fr", "en"), ("tr;q=0", "en"), ("tr;q=x,en;q=0.1", "en"),
     ("*", "en"), (";;,,", "en"), ("TR", "tr")],
)  # fmt: skip
def test_the_language_is_the_browsers_where_we_speak_it(accepted: str, language: str) -> None:
    assert language_of(accepted) == language
    html = get("/member", accept_language=accepted).text
    assert f'<html lang="{language}">' in html
    assert config_in(html)["language"] == language
    assert ("JavaScript gerekir" in html) is (language == "tr")


def test_the_configuration_says_whose_session_and_whether_there_may_be_one() -> None:
    version = re.findall(r"/pages/(\w+)/", get("/member").text)[0]
    assert config_in(get("/member", sign_in="/session/login").text) == {
        "page": "member", "url": "/graphql", "session": "/session", "as": "member",
        "cookie": False, "signIn": None, "icon": f"/pages/{version}/laurel.svg", "language": "en",
    }  # fmt: skip
    told = config_in(get("/programme", "/loyalty", "/session/login").text)
    assert (told["as"], told["url"]) == ("1", "/loyalty/graphql")
    assert told["signIn"] == "/loyalty/session/login?to=programme"
    assert config_in(get("/programme").text)["signIn"] is None
    for page, own, other in (("member", "member", "session"), ("programme", "session", "member")):
        assert config_in(get(f"/{page}", cookie=f"laurels_{own}=x").text)["cookie"]
        assert not config_in(get(f"/{page}", cookie=f"laurels_{other}=x").text)["cookie"]


@pytest.mark.parametrize("language", ["en", "tr"])
@pytest.mark.parametrize(
    ("name", "begins"),
    [("RedemptionStatus", "status"), ("EntryKind", "kind"), ("MembershipState", "memberships")],
)
def test_each_word_of_the_api_has_a_text(language: str, name: str, begins: str) -> None:
    """Whoever adds one to the schema says it to members, too."""
    text = (FOLDER / f"texts-member-{language}.js").read_text("utf-8")
    enum = build_schema()._schema.type_map[name]
    assert isinstance(enum, graphql.GraphQLEnumType)
    missing = [value for value in enum.values if f"'{begins}.{value}': " not in text]
    assert set(missing) <= {"LAPSED"}  # a membership that is over isn't shown


def test_each_operation_of_the_pages_is_one_of_the_schema() -> None:
    """Also where no browser is at hand: put together as `member.js` does it."""
    texts = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.js")}
    entries = _between(texts["member-history.js"], "export const ENTRIES = `")
    shown = _between(texts["member-rewards.js"], "export const REDEMPTION = '", "'")
    fee = _between(texts["member-memberships.js"], "const FEE = '", "'")
    parts = re.findall(r"'\./(member-[\w-]+\.js)'", texts["member.js"])
    asks = [_between(texts[name], "asks: `") for name in parts if "asks: `" in texts[name]]
    asks.append(_between(texts["member-card.js"], "asks: '", "'"))
    asks = [x.replace("${REDEMPTION}", shown).replace("${FEE}", fee) for x in asks]
    assert len(asks) >= 5
    seat = _between(texts["member-meetups.js"], "const SEAT = '", "'")
    also = _between(texts["member-meetups.js"], "also: `").replace("${SEAT}", seat)
    wallet = f"query Wallet {{ me {{ id enrolledAt {' '.join(asks)} }} {also} }} {entries}"
    changes = texts["member-meetups.js"].split("const CHANGE = ")[1].split("`")[1:4:2]
    more = _between(texts["member-history.js"], "const MORE = `").replace("${ENTRIES}", entries)
    redeem = _between(texts["member-redeem.js"], "const REDEEM = `")
    statistics = _between(texts["programme.js"], "const STATISTICS = `")
    schema = build_schema()._schema
    code = _between(texts["member-meetups.js"], "const CODE = `")
    changes.append(_between(texts["member-card.js"], "const CREATE = '", "'"))
    changes += [_between(texts["signin.js"], f"const {x} = `") for x in ("REQUEST", "CONFIRM")]
    changes += [_between(texts["member-data.js"], f"const {x} = `") for x in ("DATA", "ERASE")]
    changes.append(_between(texts["member-surveys.js"], "const ANSWER = `"))
    for operation in (wallet, more, redeem, statistics, *changes, code):
        assert graphql.validate(schema, graphql.parse(operation)) == []
    control = wallet.replace("enrolledAt", "enroled")
    assert len(graphql.validate(schema, graphql.parse(control))) == 1


def _between(text: str, begin: str, end: str = "`") -> str:
    return text.split(begin, 1)[1].split(end, 1)[0]
