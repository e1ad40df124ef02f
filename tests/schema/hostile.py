"""The table of hostile requests, and what each is answered. Holds no assertion: tests and bench do.

Many hold a change that is good by itself, so that "nothing changed" says something.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

NEW_TYPE = "application/graphql-response+json"
ENROL = 'enrolMember(input: {card: "%s"}) { __typename }'
GOOD = f"mutation {{ {ENROL % 'good'} }}"
#: Statuses of what an operation is refused with: under the new media type, under the old.
DOCUMENT = (400, 200)
REQUEST = (400, 400)
RAN = (200, 200)


@dataclass(frozen=True, slots=True)
class Hostile:
    """A request, and what is to come of it: statuses under both media types, and the code."""

    name: str
    body: bytes
    statuses: tuple[int, int]
    code: str
    method: str = "POST"
    path: str = "/graphql"
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


def _asked(query: str, **more: object) -> bytes:
    return json.dumps({"query": query, **more}).encode()


def _bomb(size: int) -> str:
    """Each fragment spreads the one before twice: 2^size fields."""
    parts = [f"fragment F{n} on Member {{ ...F{n - 1} ...F{n - 1} }}" for n in range(1, size)]
    return f"{{ me {{ ...F{size - 1} }} }} fragment F0 on Member {{ id }} {' '.join(parts)}"


def _spread_all(size: int) -> str:
    """Each fragment spreads all before."""
    parts = [
        f"fragment F{n} on Member {{ {' '.join(f'...F{m}' for m in range(n))} id }}"
        for n in range(size)
    ]
    return f"{{ me {{ ...F{size - 1} }} }} {' '.join(parts)}"


def _side_by_side(size: int) -> str:
    """Each pair of fragments is to be compared."""
    spreads = " ".join(f"...F{n}" for n in range(size))
    parts = [f"fragment F{n} on Member {{ id name }}" for n in range(size)]
    return f"{{ me {{ {spreads} }} }} {' '.join(parts)}"


def _circle(size: int) -> str:
    parts = [
        f"fragment F{n} on Member {{ ...F{(n + 1) % size} ...F{(n + 2) % size} }}"
        for n in range(size)
    ]
    return f"{{ me {{ ...F0 }} }} {' '.join(parts)}"


def bodies() -> Iterator[Hostile]:
    """What is no request at all."""
    valid = json.dumps(GOOD).encode()
    for name, body in {
        "nothing": b"",
        "half of an object": b'{"query": ' + valid,
        "more than an object": b'{"query": ' + valid + b"} {}",
        "a comment": b'{"query": ' + valid + b"} // x",
        "a trailing comma": b'{"query": ' + valid + b",}",
        "NaN": b'{"query": ' + valid + b', "variables": {"x": NaN}}',
        "null": b"null",
        "a number": b"1",
        "a text": valid,
        "a batch": b'[{"query": ' + valid + b"}]",
        "an empty batch": b"[]",
        "bad UTF-8": b'{"query": ' + valid + b', "operationName": "\xff"}',
        "bad UTF-8, overlong": b'{"query": ' + valid + b', "operationName": "\xc0\x80"}',
        "UTF-16": b'{"query": '.decode().encode("utf-16") + valid,
        "a byte order mark": b"\xef\xbb\xbf" + b'{"query": ' + valid + b"}",
        "lone surrogates": b'{"query": ' + valid + b', "variables": {"x": "\\ud800"}}',
        "lone surrogates in a name": b'{"query": ' + valid + b', "variables": {"\\udc00": 1}}',
        "arrays in arrays": b'{"query": ' + valid + b', "variables": {"x": ' + b"[" * 50_000,
        "closed arrays": b'{"query": %s, "variables": {"x": %s%s}}'
        % (valid, b"[" * 50_000, b"]" * 50_000),
        "objects in objects": b'{"query": %s, "variables": %s1%s}'
        % (valid, b'{"a":' * 20_000, b"}" * 20_000),
        "a number of 5,000 digits": b'{"query": %s, "variables": {"x": %s}}' % (valid, b"9" * 5000),
        "a number beyond all floats": b'{"query": %s, "variables": {"x": 1e999}}' % valid,
        "query twice": b'{"query": "{ __typename }", "query": %s}' % valid,
        "variables twice": b'{"query": %s, "variables": {}, "variables": {}}' % valid,
        "no query": b'{"variables": {}}',
        "an empty query": b'{"query": ""}',
        "query: null": b'{"query": null}',
        "query: a number": b'{"query": 1}',
        "query: an object": b'{"query": {"query": %s}}' % valid,
        "variables: a list": b'{"query": %s, "variables": []}' % valid,
        "variables: a text": b'{"query": %s, "variables": "{}"}' % valid,
        "operationName: a number": b'{"query": %s, "operationName": 1}' % valid,
        "operationName: an object": b'{"query": %s, "operationName": {}}' % valid,
        "extensions: a list": b'{"query": %s, "extensions": []}' % valid,
        "documentId: a number": b'{"query": %s, "documentId": 1}' % valid,
        "a hash of another": b'{"query": %s, "documentId": "%s"}' % (valid, b"0" * 64),
    }.items():
        yield Hostile(name, body, REQUEST, "BAD_REQUEST")
    yield Hostile("more than a megabyte", b" " * (1024 * 1024 + 1), (413, 413), "BAD_REQUEST")


def requests() -> Iterator[Hostile]:
    """What no request of GraphQL looks like, from the outside."""
    body = _asked(GOOD)
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "xapplication/jsonx",
        "application/json; charset=utf-16",
        "application/graphql",
        "",
    ):
        headers = {"content-type": kind}
        yield Hostile(f"content type {kind!r}", body, (415, 415), "BAD_REQUEST", headers=headers)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        yield Hostile(method, body, (405, 405), "BAD_REQUEST", method=method)
    by_get = f"/graphql?query={GOOD.replace(' ', '+').replace(chr(34), '%22')}"
    yield Hostile("a mutation by GET", b"", (405, 405), "BAD_REQUEST", method="GET", path=by_get)
    yield Hostile("an empty GET", b"", REQUEST, "BAD_REQUEST", method="GET")
    lying = {"content-type": "application/json", "content-length": "999999999999"}
    yield Hostile("a length that lies", body, (413, 413), "BAD_REQUEST", headers=lying)
    forged = {"content-type": "application/json", "authorization": "Bearer x.y.z"}
    yield Hostile("a forged token", body, (401, 401), "UNAUTHENTICATED", headers=forged)
    deep = "[" * 1000 + "]" * 1000
    twice = f'{{"query": "{{ __typename }}", "variables": {{"query": {deep}}}}}'.encode()
    yield Hostile("a name twice, deep", twice, REQUEST, "BAD_REQUEST")
    yield Hostile("another path", body, (404, 404), "NOT_FOUND", path="/graphql/admin")


def documents() -> Iterator[Hostile]:
    """What is a request, and asks for what nobody may have."""
    for some in (_unreadable, _dear, _dear_by_variables, _invalid, _unclear):
        yield from some()


def _unreadable() -> Iterator[Hostile]:
    for name, query in {
        "braces": "{" * 1000,
        "lists in lists": "{ members(first: " + "[" * 900 + "]" * 900 + ") { edges { cursor } } }",
        "objects in objects": "{ member(by: " + "{a:" * 400 + "1" + "}" * 400 + ") { id } }",
        "fields in fields": "{ a " * 400 + "}" * 400,
        "a null byte": GOOD + "\0",
        "an escaped surrogate": '{ node(id: "\\uD800") { id } }',
        "a text that doesn't end": '{ node(id: "' + "x" * 10_000,
        "a number of 5,000 digits": "{ members(first: " + "9" * 5000 + ") { edges { cursor } } }",
        "a template": "${7*7}",
        "a change and more": GOOD + " }",
    }.items():
        yield Hostile(name, _asked(query), DOCUMENT, "GRAPHQL_PARSE_FAILED")


def _dear() -> Iterator[Hostile]:
    for name, query in {
        "2,001 tokens": "{" + " a" * 2000 + " }",
        "a huge comment": "#" + "x" * 900_000 + "\n" + GOOD,
        "a huge text": '{ node(id: "' + "x" * 900_000 + '") { id } }',
        "only commas": "," * 900_000 + GOOD,
        "21 root fields": "mutation {" + " ".join(f"a{n}: {ENROL % n}" for n in range(21)) + "}",
        "root fields in fragments": "mutation { ...A ...A ...A } fragment A on Mutation { "
        + " ".join(f"a{n}: {ENROL % n}" for n in range(8))
        + " }",
        "aliases": "{ partners {" + " ".join(f"a{n}: name" for n in range(400)) + "} }",
        "directives": "{ partners { name " + "@include(if: true) " * 270 + "} }",
        "directives in fragments": "{ partners { ...A ...A ...A } } fragment A on Partner { name "
        + "@include(if: true) " * 30
        + "}",
        "deep": "{ me { " + "household { members { " * 60 + "id" + " } }" * 60 + " } }",
        "deep in fragments": "{ me { ...F0 } } "
        + " ".join(f"fragment F{n} on Member {{ a {{ ...F{n + 1} }} }}" for n in range(150)),
        "a chain of fragments": "{ me { ...F0 } } "
        + " ".join(f"fragment F{n} on Member {{ ...F{n + 1} }}" for n in range(200)),
        "a bomb of 40 fragments": _bomb(40),
        "a bomb of 180 fragments": _bomb(180),
        "fragments that spread all": _spread_all(28),
        "first: a billion": "{ members(first: 1000000000) { edges { cursor } } }",
        "first: 20 digits": "{ members(first: 99999999999999999999) { edges { cursor } } }",
        "pages in pages": "{ members(first: 100) { edges { node { redemptions(first: 100) { edges {"
        " node { member { redemptions(first: 100) { edges { cursor } } } } } } } } } }",
        "a great circle of fragments": _circle(150),
        "one field with arguments over and over": "{ partners { " + "x(a: 1, b: 2) " * 150 + "} }",
        "unknown fields, many": "{ partners { " + " ".join(f"x{n}" for n in range(900)) + " } }",
        "one field over and over": "{ me { " + "id " * 1900 + "} }",
        "one object over and over": "{ me { " + "ledgers { currency { code } } " * 280 + "} }",
        "fragments side by side": _side_by_side(130),
        "ids": "{ nodes(ids: [" + '"x" ' * 1900 + "]) { ... on Member { ledgers { lots {"
        " edges { node { id } } } } } } }",
    }.items():
        yield Hostile(name, _asked(query), DOCUMENT, "TOO_EXPENSIVE")


def _dear_by_variables() -> Iterator[Hostile]:
    page = "query($n: Int) { members(first: $n) { edges { cursor } } }"
    billion = _asked(page, variables={"n": 10**9})
    yield Hostile("first in a variable", billion, DOCUMENT, "TOO_EXPENSIVE")
    batch = {"input": {"partner": "grocer", "purchases": [{}] * 20_000}}
    tills = "mutation($input: RecordPurchasesInput!) { recordPurchases(input: $input) {" + (
        " results { __typename } } }"
    )
    yield Hostile("a batch of 20,000", _asked(tills, variables=batch), DOCUMENT, "TOO_EXPENSIVE")
    many = {"input": {"card": [1] * 200_000}}
    enrol = "mutation($input: EnrolMemberInput!) { enrolMember(input: $input) { __typename } }"
    yield Hostile("200,000 numbers", _asked(enrol, variables=many), DOCUMENT, "TOO_EXPENSIVE")


def _invalid() -> Iterator[Hostile]:
    for name, query in {
        "unknown fields": "{ partners { " + " ".join(f"x{n}" for n in range(140)) + " } }",
        "a circle of fragments that nobody spreads": _circle(60).replace("...F0", "id", 1),
        "unknown arguments": "{ partners { "
        + " ".join(f"x{n}(a: 1, b: 2)" for n in range(140))
        + " } }",
        "unknown directives": "{ partners { name " + "@a " * 50 + "} }",
        "a circle of fragments": _circle(60),
        "a fragment of itself": "{ me { ...A } } fragment A on Member { ...A }",
        "a fragment that isn't there": "{ me { ...Nope } }",
        "the same fragment": "{ me { ...A } } " + "fragment A on Member { id } " * 200,
        "variables": "query(" + " ".join(f"$a{n}: Int" for n in range(450)) + ") { me { id } }",
        "the same variable": "query(" + "$a: Int " * 450 + ") { me { id } }",
        "another type": '{ members(first: "1") { edges { cursor } } }',
        "a number of 64 bits": '{ receipt(id: "1", x: 9223372036854775808) { id } }',
        "the same argument": "{ members(first: 1, first: 2) { edges { cursor } } }",
        "the same input field": GOOD.replace('card: "good"', 'card: "1", card: "2"'),
        "one of two": '{ member(by: {card: "1", email: "a@b.cd"}) { id } }',
        "an unknown type": "query($x: Strng) { me { id } }",
        "a mutation as a query": "query { " + ENROL % "good" + " }",
        "deferred": "{ me { ... @defer { id } } }",
        "an introspection in circles": "{ __schema { types { fields { type { fields { type {"
        " fields { type { name } } } } } } } } }",
    }.items():
        yield Hostile(name, _asked(query), DOCUMENT, "GRAPHQL_VALIDATION_FAILED")


def _unclear() -> Iterator[Hostile]:
    for name, query, more in (
        ("an unknown operation", f"mutation A {{ {ENROL % 'good'} }}", {"operationName": "B"}),
        ("an empty name", GOOD, {"operationName": ""}),
        ("two operations", f"mutation A {{ {ENROL % 1} }} mutation B {{ {ENROL % 2} }}", {}),
        ("200 operations", " ".join(f"query A{n} {{ me {{ id }} }}" for n in range(200)), {}),
        ("only fragments", "fragment A on Member { id }", {}),
        ("types", "type Query { a: Int }", {}),
    ):
        yield Hostile(name, _asked(query, **more), DOCUMENT, "OPERATION_RESOLUTION_FAILURE")
    subscription = _asked("subscription { me { id } }")
    yield Hostile("a subscription by POST", subscription, REQUEST, "BAD_REQUEST")
    unknown = _asked("", documentId="0" * 64)
    yield Hostile("an unknown hash", unknown, DOCUMENT, "PERSISTED_QUERY_NOT_FOUND")


def values() -> Iterator[Hostile]:
    """Valid documents with values that nobody can mean."""
    enrol = "mutation($input: EnrolMemberInput!) { enrolMember(input: $input) { __typename"
    enrol += " ... on Error { code path } } }"
    inputs: dict[str, object] = {
        "no variables": None,
        "another field": {"card": "1", "x": 1},
        "a number for a text": {"card": 1},
        "an object for a text": {"card": {}},
        "a list for a text": {"card": ["1"]},
        "deep": {"card": json.loads("[" * 300 + "]" * 300)},
        "a huge text for an input": "x" * 900_000,
        "many fields": {f"f{n}": 1 for n in range(50_000)},
        "many numbers": {"card": [1] * 2000},
    }
    for name, given in inputs.items():
        variables = {} if given is None else {"input": given}
        yield Hostile(
            f"input: {name}", _asked(enrol, variables=variables), DOCUMENT, "BAD_USER_INPUT"
        )
    for name, card in {
        "a null byte": {"card": "a\0b"},
        "a huge card": {"card": "x" * 900_000},
        "an empty card": {"card": ""},
        "nothing": {},
    }.items():
        sent = _asked(enrol, variables={"input": card})
        yield Hostile(f"input: {name}", sent, RAN, "BAD_INPUT")
    page = "query($n: Int) { members(first: $n) { edges { cursor } } }"
    for number in (2**31, 2**70, -(2**31) - 1, 1.5, "1", True):
        sent = _asked(page, variables={"n": number})
        code = "TOO_EXPENSIVE" if number in (2**31, 2**70) else "BAD_USER_INPUT"
        yield Hostile(f"first: {number!r} in a variable", sent, DOCUMENT, code)
    for number in (-1, 0, 101, -(2**31)):
        sent = _asked(page, variables={"n": number})
        yield Hostile(f"first: {number} in a variable", sent, RAN, "BAD_USER_INPUT")
    ids = _asked(
        "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", variables={"ids": ["x"] * 20_000}
    )
    yield Hostile("20,000 ids", ids, RAN, "BAD_USER_INPUT")


def everything() -> list[Hostile]:
    """The whole table."""
    return [*bodies(), *requests(), *documents(), *values()]
