"""The gate: what is kept of a document, who may read the schema, and what errors say and don't."""

from __future__ import annotations

import asyncio

import pytest
from graphql import get_introspection_query

from schema import gate as gates
from tests.schema.client import Client
from tests.schema.gated import NEW_TYPE, code, gated, open_gate, post

PAGE = "query A($n: Int, $q: String) { members(first: $n, partner: $q) { edges { cursor } } }"


async def test_a_document_is_parsed_measured_and_validated_once(api: Client) -> None:
    """Again only by those variables that the cost depends on."""
    gate = open_gate()
    async with gated(api, gate) as client:
        asked = ((1, None), (1, "cafe"), (1, "x"), (2, None), (1, None), (2, "cafe"))
        for n, partner in asked:
            variables = {"n": n, "q": partner}
            response = await post(client, "admin:root", {"query": PAGE, "variables": variables})
            assert response.json()["extensions"]["cost"]["requested"] == 2 + n
    assert (gate.parsed, gate.measured, gate.validated) == (1, 2, 1)


async def test_what_is_refused_is_not_kept(api: Client) -> None:
    """Or a stranger's nonsense would push out what others use."""
    gate = open_gate()
    async with gated(api, gate) as client:
        for _ in range(2):
            assert code(await post(client, None, {"query": "{"})) == "GRAPHQL_PARSE_FAILED"
            assert (
                code(await post(client, None, {"query": "{ no }"})) == "GRAPHQL_VALIDATION_FAILED"
            )
    assert (gate.parsed, gate.validated) == (4, 2)


async def test_documents_are_kept_up_to_a_size(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "_MOST_KEPT", 100)
    gate = open_gate()
    async with gated(api, gate) as client:
        texts = [f"{{ a{n}: __typename }} #{'x' * 20}" for n in range(3)]  # two of them fit
        for text in (*texts, texts[2], texts[1], texts[0]):
            assert (await post(client, None, {"query": text})).status_code == 200
    assert gate.parsed == 4


@pytest.mark.parametrize(
    "query",
    [
        get_introspection_query(),
        "{ __schema { types { name } } }",
        '{ __type(name: "Query") { name } }',
        "{ ...A } fragment A on Query { ... on Query { x: __schema { types { name } } } }",
    ],
    ids=["whole", "schema", "type", "hidden"],
)
async def test_strangers_do_not_read_the_schema(api: Client, query: str) -> None:
    """The negative control: everybody with a token may."""
    refused = await post(api, None, {"query": query})
    assert (refused.status_code, code(refused)) == (400, "UNAUTHENTICATED")
    member = api.member(await api.enrol("1"))
    for who in ("admin:root", "partner:cafe", member):
        assert (await post(api, who, {"query": query})).json()["data"]
    named = await post(api, None, {"query": "{ __typename }"})
    assert named.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ member { id } }", {}),
        ("{ membrs { id } }", {}),
        ("{ members(frst: 1) { edges { cursor } } }", {}),
        ("{ members { edgs { cursor } } }", {}),
        ("query($x: Strng) { members { edges { cursor } } }", {}),
        ("{ members { edges { cursor @inclde(if: true) } } }", {}),
        ("{ members { edges { ... on Membr { id } } } }", {}),
        ('{ member(by: {crd: "1"}) { id } }', {}),
        ("query($by: MemberInput!) { member(by: $by) { id } }", {"by": {"crd": "1"}}),
        (
            "query($s: InboundState) { inbound(state: $s) { edges { cursor } } }",
            {"s": "RECEIVD"},
        ),
        ("{ inbound(state: RECEIVD) { edges { cursor } } }", {}),
    ],
)
async def test_nothing_is_suggested(api: Client, query: str, variables: dict[str, object]) -> None:
    """Or the schema could be read name by name."""
    for who in ("admin:root", None):
        response = await post(api, who, {"query": query, "variables": variables})
        told = response.text.lower()
        assert response.json()["errors"]
        assert "did you mean" not in told
        assert "edges" not in told.replace("{ edges", "")
        assert '"received"' not in told


async def test_at_most_five_errors_are_told(api: Client) -> None:
    """Of a document, of its variables, and of what was run; nothing less is done for that."""
    unknown = {"query": "{ partners { " + " ".join(f"n{n}" for n in range(30)) + " } }"}
    refused = await post(api, "admin:root", unknown)
    assert [e["extensions"]["code"] for e in refused.json()["errors"]] == [
        "GRAPHQL_VALIDATION_FAILED"
    ] * 5
    used = " ".join(f"a{n}: members(first: $v{n}) {{ edges {{ cursor }} }}" for n in range(20))
    given = f"query({' '.join(f'$v{n}: Int!' for n in range(20))}) {{ {used} }}"
    wrong = await post(
        api, "admin:root", {"query": given, "variables": {f"v{n}": "x" for n in range(20)}}
    )
    assert [e["extensions"]["code"] for e in wrong.json()["errors"]] == ["BAD_USER_INPUT"] * 5
    failing = " ".join(f'a{n}: node(id: "{n}") {{ id }}' for n in range(20))
    ran = (await post(api, "admin:root", {"query": f"{{ {failing} }}"})).json()
    assert len(ran["errors"]) == 5
    assert ran["data"] == {f"a{n}": None for n in range(20)}


async def test_operations_side_by_side_do_not_share_what_they_cost(api: Client) -> None:
    """Each answer tells its own."""
    async with gated(api) as client:
        pages = range(1, 9)
        asked = [{"query": PAGE, "variables": {"n": n}} for n in pages]
        told = await asyncio.gather(*(post(client, "admin:root", one) for one in asked))
    found = [one.json()["extensions"]["cost"]["requested"] for one in told]
    assert found == [2 + n for n in pages]
    assert all(one.headers["content-type"] == NEW_TYPE for one in told)
