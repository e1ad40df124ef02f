"""What a document may ask for: measured in one pass whose work is counted, before it runs."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import (
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    get_introspection_query,
    parse,
)

from schema.build import build_schema
from schema.limits import Asked, Limits, Measuring, given_to
from tests.schema.client import Client

SCHEMA: GraphQLSchema = build_schema()._schema
NEW_TYPE = "application/graphql-response+json"


def _measured(text: str, **given: Any) -> tuple[Asked, int]:
    """What the first operation asks for, and how many nodes were visited to know."""
    document = parse(text)
    measuring = Measuring(SCHEMA, document, given)
    [operation, *_] = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    return measuring.operation(operation), measuring.visited


def _cost(text: str, **given: Any) -> int:
    return _measured(text, **given)[0].cost


def _nested(depth: int) -> str:
    inner = "id"
    for _ in range(depth):
        inner = f"id redemptions(first: 100) {{ edges {{ node {{ member {{ {inner} }} }} }} }}"
    return f"{{ me {{ {inner} }} }}"


def test_a_page_multiplies_what_is_in_it() -> None:
    asked = (
        "query($n: Int!) { members(first: $n) { pageInfo { endCursor } edges { node { id } } } }"
    )
    # members, pageInfo, endCursor and edges are there once; node and id for each of n.
    assert _cost(asked, n=50) == 4 + 50 * 2
    assert _cost(asked) == 4 + 20 * 2  # as the schema says where nobody else does
    assert _cost("{ members(first: 3) { edges { node { id name } } } }") == 2 + 3 * 3
    assert _cost("{ members { edges { cursor } } }") == 2 + 20
    for absurd in ("0", "-5"):
        assert _cost(f"{{ members(first: {absurd}) {{ edges {{ cursor }} }} }}") == 3


def test_no_page_hides_in_a_default_or_behind_a_point() -> None:
    """What the operation will find counts: what was sent, and else the default."""
    asked = "query($n: Int! = 100) { members(first: $n) { edges { node { id } } } }"
    operation = parse(asked).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert given_to(operation, {}) == {"n": 100}
    assert given_to(operation, {"n": 3}) == {"n": 3}
    assert given_to(operation, {"n": None}) == {"n": None}
    dear = _cost(asked, n=100)
    assert _cost(asked, **given_to(operation, {})) == dear
    assert _cost(asked, n=100.0) == dear
    assert _cost(asked, n=100.5) < dear  # which is refused as a value


async def test_a_default_is_charged_like_what_is_sent(api: Client) -> None:
    """Over HTTP: pages in pages are refused, whichever way their length is said."""
    inner = "edges { node { redemptions(first: $n) { edges { node { id status } } } } }"
    asked = f"query($n: Int!) {{ members(first: $n) {{ {inner} }} }}"
    costs = []
    for query, variables in (
        (asked, {"n": 50}),
        (asked, {"n": 50.0}),
        (asked.replace("Int!", "Int! = 50"), {}),
    ):
        answer = await api.send("admin:root", query, **variables)
        costs.append(answer["extensions"]["cost"]["requested"])
    assert costs[0] > 50 * 50
    assert len(set(costs)) == 1


def test_a_list_without_a_page_counts_for_four() -> None:
    assert _cost("{ me { ledgers { id currency { code } } } }") == 2 + 4 * 3


def test_a_change_costs_more_than_a_value_and_by_its_batch() -> None:
    asked = """mutation($input: RecordPurchasesInput!) {
      recordPurchases(input: $input) { results { __typename } } }"""
    one = _cost(asked, input={"partner": "grocer", "purchases": [{}]})
    assert one == 10 + 10 + 2 + 1
    assert _cost(asked, input={"partner": "grocer", "purchases": [{}] * 30}) == one + 29 * 11
    literal = """mutation { recordPurchases(input: {partner: "grocer", purchases: [{}, {}]}) {
      results { __typename } } }"""
    assert _cost(literal) == one + 11
    codes = """mutation($codes: [String!]!) { importRewardCodes(input: {codes: $codes}) {
      ... on RewardCodesImported { refused { line } } } }"""
    # Ten plain values count as one item; a value of the answer for each such item.
    assert _cost(codes, codes=["x"] * 10_000) == 10 + 10 * 1000 + 2 + 1000
    mixed = """mutation($p: [PurchasesItemInput!]!) { recordPurchases(input: {purchases: $p}) {
      results { __typename } } }"""
    assert _cost(mixed, p=[{}, {}, {}]) == one + 22


def test_fragments_count_where_they_are_spread() -> None:
    spread = """{ members(first: 5) { ...Page } } fragment Page on MemberConnection {
      edges { node { ...Who ... on Member { created: id @skip(if: false) } } } }
      fragment Who on Member { id n: name }"""
    asked, visited = _measured(spread)
    assert asked == Asked(4, 2, 1, fields=1, side_by_side=2, cost=2 + 5 * 4)
    assert visited == 9


@pytest.mark.parametrize(
    "bomb",
    [
        # Each fragment spreads the one before twice: 2^n fields.
        lambda n: " ".join(
            f"fragment F{k} on Member {{ ...F{k - 1} ...F{k - 1} }}" for k in range(1, n)
        ),
        # The same within fields, so that each level is deeper too.
        lambda n: " ".join(
            f"fragment F{k} on Member {{ a: household {{ ...F{k - 1} ...F{k - 1} }} }}"
            for k in range(1, n)
        ),
        # Each spreads all before.
        lambda n: " ".join(
            f"fragment F{k} on Member {{ {' '.join(f'...F{j}' for j in range(k))} }}"
            for k in range(1, n)
        ),
    ],
    ids=["doubled", "nested", "all"],
)
@pytest.mark.parametrize("size", [10, 20, 40])
def test_a_bomb_of_fragments_takes_work_by_its_length(bomb: Any, size: int) -> None:
    """Each selection is visited once; the oracle is the length of the document."""
    text = f"{{ me {{ ...F{size - 1} }} }} fragment F0 on Member {{ id }} {bomb(size)}"
    selections = text.count("...") + text.count("household") + 2
    _, visited = _measured(text)
    assert visited <= selections


def test_a_circle_is_refused_where_it_closes() -> None:
    """After a visit to each of its fragments at most."""
    circle = [f"fragment F{n} on Member {{ ...F{(n + 1) % 40} ...F0 }}" for n in range(40)]
    document = parse("{ me { ...F0 } } " + " ".join(circle))
    measuring = Measuring(SCHEMA, document, {})
    [operation, *_] = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    with pytest.raises(GraphQLError, match="Cannot spread fragment 'F0' within itself"):
        measuring.operation(operation)
    assert measuring.visited == 2 + 40


def test_the_bomb_is_as_big_as_it_is() -> None:
    """The negative control of the former: the linear pass sees the exponential answer."""
    parts = ["fragment F0 on Member { x: id @skip(if: true) }"]
    parts += [f"fragment F{n} on Member {{ ...F{n - 1} ...F{n - 1} }}" for n in range(1, 21)]
    asked, visited = _measured("{ me { ...F20 } } " + " ".join(parts))
    assert (asked.cost, asked.aliases, asked.directives) == (1 + 2**20, 2**20, 2**20)
    assert visited == 2 + 20 * 2 + 1


def test_what_is_nested_beyond_all_reason_is_refused_unmeasured() -> None:
    """Before the interpreter's own limit: a chain of fragments is deep without a level."""
    chain = [f"fragment F{n} on Member {{ ...F{n + 1} }}" for n in range(300)]
    with pytest.raises(GraphQLError, match="at most 100 levels and fragments are nested"):
        _measured("{ me { ...F0 } } " + " ".join(chain) + " fragment F300 on Member { id }")


@pytest.mark.parametrize(("depth", "refused"), [(1, False), (2, False), (3, True), (6, True)])
def test_a_circle_of_members_and_redemptions_ends(depth: int, refused: bool) -> None:
    assert (_cost(_nested(depth)) > Limits().cost) is refused


@pytest.mark.parametrize(
    ("query", "asked", "most"),
    [
        (_nested(3), 1 + 3 + 100 * (2 + 3 + 100 * (2 + 3 + 100 * (2 + 1))), 100000),
        ("{" + " ".join(f"a{n}: me {{ id }}" for n in range(21)) + "}", 21, 20),
        ("{ me {" + " ".join(f"a{n}: id" for n in range(61)) + "} }", 61, 60),
        ("{ me {" + " id" * 151 + "} }", 151, 150),
        ("{ me { id " + "@include(if: true) " * 61 + "} }", 61, 60),
        ("{ me { " + "household { members { " * 10 + "id" + " } }" * 10 + " } }", 22, 20),
        ("{ members(first: 1000000000) { edges { cursor } } }", 1000000002, 100000),
    ],
    ids=["cost", "root fields", "aliases", "side by side", "directives", "depth", "first"],
)
async def test_each_limit_says_what_was_asked(
    api: Client, query: str, asked: int, most: int
) -> None:
    """And what is answered; under both media types, before it is validated or run."""
    for accept, status in ((NEW_TYPE, 400), ("application/json", 200)):
        headers = {"authorization": f"Bearer {api.tokens['admin:root']}", "accept": accept}
        response = await api.http.post("/graphql", json={"query": query}, headers=headers)
        told = response.json()
        [error] = told["errors"]
        assert response.status_code == status
        assert "data" not in told
        assert error["extensions"]["code"] == "TOO_EXPENSIVE"
        assert error["message"].startswith(f"this asks for {asked} ")
        assert error["message"].endswith(f"; at most {most} are answered")


async def test_just_the_limit_is_answered(api: Client) -> None:
    """The negative control: one less of each isn't refused."""
    for query in (
        "{" + " ".join(f"a{n}: partners {{ id }}" for n in range(20)) + "}",
        "{ partners {" + " ".join(f"a{n}: name" for n in range(60)) + "} }",
        "{ partners {" + " ".join("name @skip(if: false)" for n in range(60)) + "} }",
        get_introspection_query(descriptions=True, specified_by_url=True),
    ):
        assert (await api.send("admin:root", query))["data"]


async def test_a_number_of_five_thousand_digits_is_a_fault_of_the_document(api: Client) -> None:
    answer = await api.send(
        "admin:root", "{ members(first: " + "9" * 5000 + ") { edges { cursor } } }"
    )
    assert answer["errors"][0]["message"].startswith("Syntax Error")
    assert answer["errors"][0]["extensions"] == {"code": "GRAPHQL_PARSE_FAILED"}
