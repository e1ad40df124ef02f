"""The cost of a document: what is refused before anything is read, reckoned in one pass."""

from __future__ import annotations

import pytest
from graphql import parse

from schema.limits import MOST_NODES, cost_of
from tests.schema.client import Client


def _nested(depth: int) -> str:
    inner = "id"
    for _ in range(depth):
        inner = f"id redemptions(first: 100) {{ edges {{ node {{ member {{ {inner} }} }} }} }}"
    return f"{{ me {{ {inner} }} }}"


def test_a_page_multiplies_what_is_in_it() -> None:
    document = parse("query($n: Int!) { members(first: $n) { edges { node { id name } } } }")
    # members is one, and for each of n: edges, node, id, name.
    assert cost_of(document, {"n": 50}) == 1 + 50 * 4
    assert cost_of(document, {}) == 1 + 20 * 4


def test_a_bomb_of_fragments_is_reckoned_once_each() -> None:
    """Forty fragments, each spread twice in the next: 2^40 fields, eighty look-ups."""
    parts = ["fragment F0 on Member { id }"]
    parts += [f"fragment F{n} on Member {{ ...F{n - 1} ...F{n - 1} }}" for n in range(1, 40)]
    bomb = parse("{ me { ...F39 } } " + " ".join(parts))
    assert cost_of(bomb, {}) == MOST_NODES + 1


@pytest.mark.parametrize(("depth", "refused"), [(1, False), (2, False), (3, True), (6, True)])
def test_a_circle_of_members_and_redemptions_ends(depth: int, refused: bool) -> None:
    assert (cost_of(parse(_nested(depth)), {}) > MOST_NODES) is refused


async def test_what_is_too_dear_is_refused_and_not_run(api: Client) -> None:
    member = await api.enrol("9012")
    answer = await api.send(api.member(member), _nested(4))
    assert answer["errors"][0]["message"].startswith("this asks for more than 100000 nodes")
    assert "data" not in answer or answer["data"] is None


async def test_a_number_of_five_thousand_digits_is_a_fault_of_the_document(api: Client) -> None:
    answer = await api.send(
        "admin:root", "{ members(first: " + "9" * 5000 + ") { edges { cursor } } }"
    )
    assert answer["errors"][0]["message"].startswith("Syntax Error")
