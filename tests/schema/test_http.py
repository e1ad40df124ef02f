"""What HTTP may bring: hostile bodies, media types, limits, health; and what never leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from app.asgi import MOST_BYTES
from core.posting import Engine
from core.store import lookups
from schema.build import MOST_TOKENS
from tests.schema.client import Client, receipt

NEW_TYPE = "application/graphql-response+json"
GOOD = b'{"query": "{ __typename }"}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"1",
        b"true",
        b'"text"',
        b"[]",
        b'[{"query": "{ __typename }"}]',
        b"\xff\xfe",
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"query": "{ __typename }", "variables": {"n": ' + b"9" * 5000 + b"}}",
        b'{"query": 1}',
        b'{"query": {}}',
        b'{"query": null}',
        b"{}",
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "variables": "x"}',
        b'{"query": "{ __typename }", "operationName": 1}',
        b'{"query": "{ __typename }", "operationName": {}}',
        b'{"query": "{ __typename }", "extensions": 1}',
        b'{"query": "query A { __typename }", "operationName": "B"}',
        b'{"query": "query A { __typename } query B { __typename }"}',
        b'{"query": ""}',
    ],
)
async def test_a_hostile_body_is_answered_in_json(api: Client, body: bytes) -> None:
    """With 4xx, or with GraphQL's own errors; never with 500, and the next request is served."""
    headers = {"content-type": "application/json", "accept": NEW_TYPE}
    response = await api.http.post("/graphql", content=body, headers=headers)
    assert response.status_code == 400, response.text
    assert response.json()["errors"][0]["message"]
    assert "data" not in response.json()
    assert "Traceback" not in response.text
    good = await api.http.post("/graphql", content=GOOD, headers=headers)
    assert good.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "query",
    [
        "{",
        "{ nothing }",
        "{ me { nothing } }",
        "{ members(first: 99999999999999999999) { edges { cursor } } }",
        '{ members(first: "x") { edges { cursor } } }',
        '{ node(id: "\x00") { id } } x',
        "{ member(by: {}) { id } }",
        '{ member(by: {card: "1", email: "a@b.cd"}) { id } }',
        "{ member(by: {card: null}) { id } }",
        "subscription { me { id } }",
        "{ me { ...A } } fragment A on Member { ...B } fragment B on Member { ...A }",
        "{" + " a" * (MOST_TOKENS + 1) + " }",
        "{ a " * 500 + "}" * 500,
        '{ me { ledgers { balance(asOf: "2026-01-01") { active } } } }',
        '{ me { ledgers { balance(asOf: "2026-01-01T00:00:00") { active } } } }',
        '{ me { ledgers { balance(asOf: "0001-01-01T00:00:00+14:00") { active } } } }',
        '{ me { ledgers { balance(asOf: "9999-12-31T23:59:59-14:00") { active } } } }',
        "{ me { ledgers { balance(asOf: 7) { active } } } }",
    ],
)
async def test_a_document_that_cannot_run(api: Client, query: str) -> None:
    """400 under the new media type, 200 under the old; no `data`, and no fault of ours."""
    for accept, status in ((NEW_TYPE, 400), ("application/json", 200)):
        response = await api.http.post(
            "/graphql", json={"query": query}, headers={"accept": accept}
        )
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == accept
        assert "data" not in response.json()
        assert "internal error" not in response.text
        assert "Did you mean" not in response.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("occurredAt", "2026-11-22T09:00:00"),
        ("occurredAt", "yesterday"),
        ("occurredAt", 5),
        ("occurredAt", None),
        ("externalId", None),
        ("externalId", {}),
        ("lines", [{"amount": 3.5}]),
        ("member", {}),
        ("member", {"card": "1", "phone": "2"}),
        ("unknown", 1),
    ],
)
async def test_a_variable_that_cannot_be_coerced(api: Client, field: str, value: Any) -> None:
    """GraphQL's own words say which; nothing runs."""
    query = """mutation($p: PurchasesItemInput!) { recordPurchases(input: {partner: "grocer",
      purchases: [$p]}) { results { __typename } } }"""
    bought = {**receipt("R", "1", "2026-11-22T09:00:00Z", ("X", "1.00")), field: value}
    answer = await api.send("admin:root", query, p=bought)
    assert "data" not in answer
    assert "internal error" not in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("amount", "1.001", ["lines", "0", "amount"]),
        ("amount", "1e3", ["lines", "0", "amount"]),
        ("amount", "NaN", ["lines", "0", "amount"]),
        ("amount", "9" * 4000, ["lines", "0", "amount"]),
        ("quantity", "-1", ["lines", "0", "quantity"]),
        ("quantity", "Infinity", ["lines", "0", "quantity"]),
        ("quantity", "1e999999", ["lines", "0", "quantity"]),
        ("productType", "x\0", ["lines", "0", "productType"]),
    ],
)
async def test_a_line_that_no_till_means(
    api: Client, field: str, value: str, path: list[str]
) -> None:
    """Its item is refused, the field named."""
    await api.enrol("1")
    bought = receipt("R", "1", "2026-11-22T09:00:00Z", ("X", "1.00"))
    bought["lines"][0][field] = value
    [result] = await api.buy("admin:root", "grocer", bought)
    assert (result["code"], result["path"]) == ("BAD_INPUT", ["purchases", "0", *path])


async def test_media_types_and_methods(api: Client) -> None:
    """POST of JSON and nothing else: no form of another site can call anything."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "xapplication/jsonx"):
        response = await api.http.post(
            "/graphql", content=GOOD, headers={"content-type": content_type}
        )
        assert response.status_code == 415
    headers = {"content-type": "application/json; charset=utf-8"}
    assert (await api.http.post("/graphql", content=GOOD, headers=headers)).status_code == 200
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        response = await api.http.request(method, "/graphql?query={__typename}")
        assert response.status_code == 405
        assert response.headers["allow"] == "POST"


async def test_a_body_beyond_the_limit(api: Client) -> None:
    """With a length, and in pieces without one; a body of just the limit is read."""
    big = GOOD + b" " * (MOST_BYTES + 1 - len(GOOD))
    headers = {"content-type": "application/json"}
    assert (await api.http.post("/graphql", content=big[:-1], headers=headers)).status_code == 200
    assert (await api.http.post("/graphql", content=big, headers=headers)).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(2000):
            yield b" " * 1000

    response = await api.http.post("/graphql", content=pieces(), headers=headers)
    assert response.status_code == 413
    assert response.json()["errors"]


async def test_a_fault_of_ours_shows_an_id_and_no_more(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the same id, and the reason."""

    async def broken(*_: Any) -> Any:
        raise RuntimeError("postgresql://laurels:hunter2@db")

    monkeypatch.setattr(lookups, "member_page", broken)
    monkeypatch.setattr(Engine, "record_purchases", broken)
    bought = receipt("R", "1", "2026-11-22T09:00:00Z", ("X", "1.00"))
    query = """mutation($p: PurchasesItemInput!) { recordPurchases(input: {partner: "grocer",
      purchases: [$p]}) { results { __typename } } }"""
    for sent, variables in (("{ members { edges { cursor } } }", {}), (query, {"p": bought})):
        with structlog.testing.capture_logs() as log:
            answer = await api.send("admin:root", sent, **variables)
        [error] = answer["errors"]
        assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}
        assert error["message"].startswith("internal error ")
        assert "hunter2" not in str(answer)
        assert log[0]["id"] == error["message"].rsplit(" ", 1)[1]
        assert "hunter2" in str(log[0]["exc_info"])


async def test_one_failing_mutation_leaves_the_others_answer(api: Client) -> None:
    """Root mutation fields are nullable, and each has an instant of its own."""
    query = """mutation { a: enrolMember(input: {card: "1"}) { __typename }
      b: recordPurchases(input: {partner: "nobody", purchases: []}) { results { __typename } }
      c: enrolMember(input: {}) { __typename } }"""
    answer = await api.send("admin:root", query)
    assert answer["data"]["a"] == {"__typename": "MemberEnrolled"}
    assert answer["data"]["c"] == {"__typename": "BadInputError"}


async def test_health(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live is the process, ready the database too."""
    assert (await api.http.get("/health/live")).json() == {"status": "live"}
    assert (await api.http.get("/health/ready")).status_code == 200

    def unreachable() -> Any:
        raise OSError("postgresql://laurels:hunter2@db")

    monkeypatch.setattr("app.asgi.reading", unreachable)
    response = await api.http.get("/health/ready")
    assert response.status_code == 503
    assert "hunter2" not in response.text
