"""The GraphiQL page as the server sends it; tests/browser holds what a browser makes of it."""

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import graphql
import httpx
import pytest
from starlette.applications import Starlette

from app.ide import Fresh, Tab, ide_routes
from app.ide_tabs import ADMIN_TABS

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
MANIFEST = {
    "script": "main-AAAAAAAA.js",
    "style": "main-BBBBBBBB.css",
    "icon": "laurel-CCCCCCCC.svg",
    "notices": "notices-DDDDDDDD.txt",
}


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A built page in miniature."""
    (tmp_path / "static").mkdir()
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    for name in MANIFEST.values():
        (tmp_path / "static" / name).write_text("built")
    return tmp_path


def get(
    path: str,
    dist: Path,
    tabs: Sequence[Tab] = (),
    root_path: str = "",
    sign_in: str | None = None,
) -> httpx.Response:
    app = Starlette(routes=ide_routes("/graphql", tabs, sign_in=sign_in, dist=dist))

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://laurels.test") as client:
            return await client.get(root_path + path)

    return asyncio.run(request())


def config_in(html: str) -> dict[str, object]:
    pattern = r'<script type="application/json" id="graphiql-config">(.*?)</script>'
    found = re.search(pattern, html, re.DOTALL)
    assert found is not None
    config: dict[str, object] = json.loads(found[1])
    return config


def test_the_page_is_sent_under_the_strict_policy_and_never_stored(dist: Path) -> None:
    response = get("/graphiql", dist)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert {name: response.headers[name] for name in SECURITY} == SECURITY


def test_the_page_names_the_files_of_the_manifest_and_each_is_served_for_ever(dist: Path) -> None:
    page = get("/graphiql", dist).text
    for name in MANIFEST.values():
        assert f'"/graphiql/static/{name}"' in page
        response = get(f"/graphiql/static/{name}", dist)
        assert response.text == "built"
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert {header: response.headers[header] for header in SECURITY} == SECURITY


def test_nothing_but_the_static_folder_is_served(dist: Path) -> None:
    for path in ("nothing-EEEEEEEE.js", "../manifest.json", "%2e%2e/manifest.json"):
        response = get(f"/graphiql/static/{path}", dist)
        assert response.status_code == 404
        assert "immutable" not in response.headers.get("cache-control", "")


def test_the_page_has_neither_inline_script_nor_another_host(dist: Path) -> None:
    page = get("/graphiql", dist, ADMIN_TABS).text
    assert re.findall(r'(?:src|href)="(?!/graphiql/static/)[^"]*"', page) == []
    assert "//" not in page
    scripts = re.findall(r"<script[^>]*>", page)
    assert [tag for tag in scripts if "src=" not in tag] == [
        '<script type="application/json" id="graphiql-config">'
    ]


def test_the_configuration_carries_endpoint_and_tabs(dist: Path) -> None:
    tab = Tab("A greeting", "query Hello($name: String) { hello(name: $name) }", {"name": "Ayşe"})
    assert config_in(get("/graphiql", dist, [tab]).text) == {
        "url": "/graphql",
        "subscriptionUrl": "/graphql",
        "session": "/session",
        "signIn": None,
        "tabs": [
            {
                "title": "A greeting",
                "query": "query Hello($name: String) { hello(name: $name) }",
                "variables": '{\n  "name": "Ayşe"\n}',
                "opened": True,
            }
        ],
    }


def test_each_page_has_instants_of_its_own_and_keys_that_nobody_used(dist: Path) -> None:
    tab = Tab("", "{ a }", {"input": [{"key": Fresh("key"), "at": timedelta(days=-1)}]})
    before = datetime.now(UTC).replace(microsecond=0)
    pages = [config_in(get("/graphiql", dist, [tab]).text)["tabs"] for _ in range(2)]
    keys = []
    for tabs in pages:
        assert isinstance(tabs, list)
        (variables,) = json.loads(tabs[0]["variables"])["input"]
        assert (
            before
            <= datetime.fromisoformat(variables["at"]) + timedelta(days=1)
            <= datetime.now(UTC)
        )
        assert re.fullmatch("key-[0-9a-f]{8}", variables["key"])
        keys.append(variables["key"])
    assert keys[0] != keys[1]


def test_a_tab_that_closes_the_script_element_stays_inert(dist: Path) -> None:
    hostile = "{ a } # </script><script>alert(1)</script><!--"
    page = get("/graphiql", dist, [Tab(hostile, hostile, {"a": hostile})]).text
    assert "alert(1)</script>" not in page
    assert page.count("<script") == 2
    tabs = config_in(page)["tabs"]
    assert isinstance(tabs, list)
    assert tabs[0]["query"] == hostile
    assert json.loads(tabs[0]["variables"]) == {"a": hostile}


def test_behind_a_prefix_every_address_carries_it(dist: Path) -> None:
    page = get("/graphiql", dist, root_path="/loyalty").text
    assert config_in(page)["url"] == "/loyalty/graphql"
    assert config_in(page)["session"] == "/loyalty/session"
    assert f'src="/loyalty/graphiql/static/{MANIFEST["script"]}"' in page


def test_the_way_to_the_identity_provider_is_told_where_there_is_one(dist: Path) -> None:
    page = get("/graphiql", dist, root_path="/loyalty", sign_in="/session/login").text
    assert config_in(page)["signIn"] == "/loyalty/session/login"
    assert config_in(get("/graphiql", dist).text)["signIn"] is None


def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    missing = tmp_path / "dist"
    response = get("/graphiql", missing)
    assert response.status_code == 200
    assert "make graphiql" in response.text
    assert "node 20" in response.text
    assert "//" not in response.text
    assert {name: response.headers[name] for name in SECURITY} == SECURITY
    assert get("/graphiql/static/main-AAAAAAAA.js", missing).status_code == 404


@pytest.mark.parametrize("tab", ADMIN_TABS, ids=lambda tab: tab.title)
def test_each_tab_of_the_admin_is_one_named_operation_with_its_variables(tab: Tab) -> None:
    (operation,) = graphql.parse(tab.query).definitions
    assert isinstance(operation, graphql.OperationDefinitionNode)
    assert operation.name is not None
    declared = {each.variable.name.value for each in operation.variable_definitions or ()}
    assert declared == set(tab.variables)
    assert "\n" not in tab.title
