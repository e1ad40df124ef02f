"""Which queries a partner may register: those that it could ask itself, with variables of ours."""

from __future__ import annotations

import pytest
from strawberry import Schema

from core.errors import BadInput
from schema.build import build_schema
from schema.payloads import check_query, viewer_of
from schema.roles import SCOPES

READS = frozenset(scope for scope in SCOPES if scope.endswith(":read"))
GOOD = [
    "{ partners { code } }",
    "query Q($member: ID!) { node(id: \"x\") { id } member(by: {id: $member}) { name } }",
    "query($member: ID!, $purchase: ID!, $redemption: ID!) { a: node(id: $member) { id } "
    "b: node(id: $purchase) { id } c: node(id: $redemption) { id } }",
    "query($member: ID!) { member(by: {id: $member}) { ...M } } fragment M on Member { name }",
    "query($purchase: ID = \"x\") { node(id: $purchase) { id } }",
]  # fmt: skip
BAD = {
    "query($member: ID) { member(by: {id: $member}) { id } }": "must be non-nullable",
    "": "Unexpected <EOF>",
    "{": "Expected Name",
    "query($member: ID) { node(id: $member) { id } }": "used in position expecting type 'ID!'",
    "{ nothing }": "Cannot query field 'nothing'",
    "{ members { edges { node { none } } } }": "Cannot query field 'none'",
    "mutation { setBirthday(birthday: \"04-23\") { __typename } }": "a query is wanted",
    "subscription { x }": "a query is wanted",
    "{ partners { code } } query B { partners { code } }": "one query is wanted",
    "fragment M on Member { name }": "one query is wanted",
    "type A { b: C }": "one query is wanted",
    "query($id: ID!) { node(id: $id) { id } }": "isn't among its variables",
    "query($member: String!) { partners(code: $member) { code } }": "isn't among its variables",
    "query($member: [ID!]!) { partners { code } }": "isn't among its variables",
    "{ trialBalance { members } }": "trialBalance isn't open to it",
    "{ me { id } }": "me isn't open to it",
    "{ ...F } fragment F on Query { trialBalance { members } }": "trialBalance isn't open to it",
    "{ ... on Query { ... { trialBalance { members } } } }": "trialBalance isn't open to it",
    "{ x: trialBalance @skip(if: true) { members } }": "trialBalance isn't open to it",
    "{" + " partners { code }" * 1000 + "}": "Document contains more than",
    "{ members(first: 100) { edges { node { redemptions(first: 100) { edges { node { member { "
    "redemptions(first: 100) { edges { node { id } } } } } } } } } } }": "this asks for",
    "{a" * 900: "nested too deeply",
}  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> Schema:
    return build_schema()


@pytest.mark.parametrize("query", GOOD)
def test_taken(schema: Schema, query: str) -> None:
    check_query(schema, viewer_of("grocer", READS), query)


@pytest.mark.parametrize("query", BAD, ids=lambda query: query[:40])
def test_refused(schema: Schema, query: str) -> None:
    with pytest.raises(BadInput) as told:
        check_query(schema, viewer_of("grocer", READS), query)
    assert told.value.path == ("query",)
    assert BAD[query] in told.value.message


@pytest.mark.parametrize(
    ("query", "scope"),
    [
        ("{ members { edges { node { name } } } }", "members:read"),
        ('{ purchase(partner: "grocer", externalId: "x") { id } }', "purchases:read"),
        ("{ webhookEndpoints { edges { node { id } } } }", "webhooks:read"),
    ],
)
def test_each_field_asks_for_its_scope(schema: Schema, query: str, scope: str) -> None:
    check_query(schema, viewer_of("grocer", frozenset([scope])), query)
    with pytest.raises(BadInput, match="isn't open to it"):
        check_query(schema, viewer_of("grocer", frozenset(SCOPES) - {scope}), query)


def test_scopes_that_are_none_are_dropped() -> None:
    viewer = viewer_of("grocer", frozenset(["members:read", "everything"]), 7)
    assert viewer.scopes == {"members:read"}
    assert (viewer.role, viewer.partner, viewer.subject) == ("partner", "grocer", "webhook 7")
