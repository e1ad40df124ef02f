"""What HTTP may bring: hostile bodies, media types, limits, health; and what never leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
import structlog

from app.bodies import MOST_BYTES
from core.gathering import Gathering
from core.store import lookups
from schema.limits import Limits
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
    assert good.json()["data"] == {"__typename": "Query"}


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
        "{ me { ...A } } fragment A on Member { ...B } fragment B on Member { ...A }",
        "{" + " a" * (Limits().tokens + 1) + " }",
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


def _code(response: httpx.Response) -> str:
    """The code of a refusal, which is JSON and has no data."""
    told = response.json()
    assert "data" not in told
    code: str = told["errors"][0]["extensions"]["code"]
    return code


async def test_media_types_and_methods(api: Client) -> None:
    """POST of JSON in UTF-8, and GET: no form of another site can call anything."""
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "xapplication/jsonx",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "",
    ):
        response = await api.http.post(
            "/graphql", content=GOOD, headers={"content-type": content_type}
        )
        assert (response.status_code, _code(response)) == (415, "BAD_REQUEST"), content_type
    for content_type in ("application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"'):
        headers = {"content-type": content_type}
        assert (await api.http.post("/graphql", content=GOOD, headers=headers)).status_code == 200
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        response = await api.http.request(method, "/graphql?query={__typename}")
        assert (response.status_code, _code(response)) == (405, "BAD_REQUEST")
        assert response.headers["allow"] == "GET, POST"
    head = await api.http.request("HEAD", "/graphql?query={__typename}")
    assert head.status_code == 405


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        (NEW_TYPE, NEW_TYPE),
        (f"{NEW_TYPE}, application/json", NEW_TYPE),
        (f"application/json, {NEW_TYPE}", NEW_TYPE),
        (f"{NEW_TYPE};q=0.5, application/json;q=0.9", "application/json"),
        (f"{NEW_TYPE};q=0.9, application/json;q=0.5", NEW_TYPE),
        (f"{NEW_TYPE}, */*;q=0.1", NEW_TYPE),
        ("application/json;q=0, */*", NEW_TYPE),
        (f"application/*;q=0.2, {NEW_TYPE};q=0", "application/json"),
    ],
)
async def test_what_is_accepted_is_answered(api: Client, accept: str | None, given: str) -> None:
    """By quality, then by how exactly a range names it."""
    request = api.http.build_request("POST", "/graphql", json={"query": "{ __typename }"})
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    response = await api.http.send(request)
    assert (response.status_code, response.headers["content-type"]) == (200, given)


@pytest.mark.parametrize(
    "accept",
    ["text/html", "text/*", "application/json;q=0", "*/*;q=0", "text/x;q=x", ";"],
)
async def test_what_nobody_can_give_is_not_acceptable(api: Client, accept: str) -> None:
    """406, in JSON all the same, before anything is read."""
    response = await api.http.post("/graphql", content=b"{", headers={"accept": accept})
    assert (response.status_code, _code(response)) == (406, "BAD_REQUEST")
    assert response.headers["content-type"] == "application/json"


async def test_a_query_by_get(api: Client) -> None:
    """With variables, name and extensions; a mutation is 405 and changes nothing."""
    operation = "query A($on: Boolean!) { __typename @include(if: $on) } query B { b: __typename }"
    given = {"query": operation, "variables": '{"on": true}', "operationName": "A"}
    response = await api.http.get("/graphql", params=given)
    assert response.json()["data"] == {"__typename": "Query"}
    response = await api.http.get("/graphql", params={**given, "operationName": "B"})
    assert response.json()["data"] == {"b": "Query"}
    enrol = 'mutation { enrolMember(input: {card: "1"}) { __typename } }'
    headers = {"authorization": f"Bearer {api.tokens['admin:root']}"}
    response = await api.http.get("/graphql", params={"query": enrol}, headers=headers)
    assert (response.status_code, _code(response)) == (405, "BAD_REQUEST")
    assert response.headers["allow"] == "POST"
    assert await api.ask("admin:root", "{ members { edges { cursor } } }") == {"edges": []}
    response = await api.http.post("/graphql", json={"query": enrol}, headers=headers)
    assert response.json()["data"] == {"enrolMember": {"__typename": "MemberEnrolled"}}


@pytest.mark.parametrize(
    "address",
    [
        "",
        "query=",
        "query=%7B__typename%7D&query=%7B__typename%7D",
        "query=%FF",
        "query=%7B__typename%7D&variables=%7B",
        "query=%7B__typename%7D&variables=[]",
        "query=%7B__typename%7D&variables=1",
        "query=%7B__typename%7D&extensions=x",
        "query=%7B__typename%7D&" + "&".join(f"a{n}=1" for n in range(30)),
        "query=subscription%7B__typename%7D",
    ],
)
async def test_a_get_that_asks_nothing(api: Client, address: str) -> None:
    """400 with a code, under both media types."""
    for accept in (NEW_TYPE, "application/json"):
        response = await api.http.get(f"/graphql?{address}", headers={"accept": accept})
        assert (response.status_code, _code(response)) == (400, "BAD_REQUEST")


async def test_every_answer_has_an_id_and_the_headers_of_safety(api: Client) -> None:
    """The caller's own id if it is a sane one, else a new one; unknown paths are JSON too."""
    for path, status in (
        ("/health/live", 200),
        ("/graphql", 400),
        ("/nothing", 404),
        ("/in/nobody/nothing", 404),
    ):
        response = await api.http.get(path, headers={"x-request-id": "till-7:0001"})
        assert response.status_code == status
        assert response.headers["x-request-id"] == "till-7:0001"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-type"] == "application/json"
    assert _code(await api.http.get("/nothing")) == "NOT_FOUND"
    response = await api.http.post("/health/live")
    assert (response.status_code, _code(response)) == (405, "BAD_REQUEST")
    made = set()
    for insane in (None, "", "a b", "x" * 129, "\u00e9".encode(), b"a\tb", "<script>"):
        text = insane.encode() if isinstance(insane, str) else insane
        given = [] if text is None else [(b"x-request-id", text)]
        response = await api.http.get("/health/live", headers=given)
        made.add(response.headers["x-request-id"])
    assert len(made) == 7
    assert all(len(name) == 32 and name.isalnum() for name in made)


async def test_the_log_has_the_id_of_the_request(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the id of the fault, which is what the caller was told."""

    async def broken(*_: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(lookups, "member_page", broken)
    headers = {"authorization": f"Bearer {api.tokens['admin:root']}", "x-request-id": "r-1"}
    asked = {"query": "{ members { edges { cursor } } }"}
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as log:
        response = await api.http.post("/graphql", json=asked, headers=headers)
    [error] = response.json()["errors"]
    assert [(line["request"], line["id"]) for line in log] == [("r-1", error["message"][-12:])]
    assert structlog.contextvars.get_contextvars() == {}


async def test_a_body_beyond_the_limit(api: Client) -> None:
    """With a length, and in pieces without one; a body of just the limit is read."""
    big = GOOD + b" " * (MOST_BYTES + 1 - len(GOOD))
    headers = {"content-type": "application/json"}
    assert (await api.http.post("/graphql", content=big[:-1], headers=headers)).status_code == 200
    assert (await api.http.post("/graphql", content=big, headers=headers)).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(2000):
            yield b" " * 1000

    for lying in ({}, {"content-length": "10"}):
        response = await api.http.post("/graphql", content=pieces(), headers={**headers, **lying})
        assert (response.status_code, _code(response)) == (413, "BAD_REQUEST")
    claimed = {**headers, "content-length": "9" * 30}
    response = await api.http.post("/graphql", content=GOOD, headers=claimed)
    assert response.status_code == 413


async def test_a_fault_of_ours_shows_an_id_and_no_more(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the same id, and the reason."""

    async def broken(*_: Any) -> Any:
        raise RuntimeError("postgresql://laurels:hunter2@db")

    monkeypatch.setattr(lookups, "member_page", broken)
    monkeypatch.setattr(Gathering, "record", broken)
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


async def test_health(api: Client, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live is the process; ready the database too, its schema, and that what it commits stays."""
    assert (await api.http.get("/health/live")).json() == {"status": "live"}
    # The server of these tests forgets what it commits, and says so. A durable one: test_postgres.
    unsafe = [
        f"{name} is off: what is booked may be lost"
        for name in ("fsync", "full_page_writes", "synchronous_commit")
    ]
    response = await api.http.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "problems": unsafe}
    connection = await asyncpg.connect(database)
    last = await connection.fetchval(
        "DELETE FROM tortoise_migrations WHERE id = (SELECT max(id) FROM tortoise_migrations) "
        "RETURNING name"
    )
    await connection.close()
    told = (await api.http.get("/health/ready")).json()
    assert told["problems"] == [f"migration {last} isn't applied", *unsafe]

    def unreachable() -> Any:
        raise OSError("postgresql://laurels:hunter2@db")

    monkeypatch.setattr("app.health.reading", unreachable)
    response = await api.http.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["problems"] == ["the database doesn't answer"]
    assert "hunter2" not in response.text
