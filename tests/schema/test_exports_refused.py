"""What can't be exported: each is refused with its reason, and nothing is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schema.client import Client
from tests.schema.exporting import ask, stored

MEMBERS = "{ members { edges { node { id } } } }"
REFUSED: dict[str, tuple[str, str]] = {
    "no document": ("{", "Syntax Error"),
    "nothing": ("", "characters"),
    "too long": ("{ members { edges { node { id } } } }" + " " * 10_000, "characters"),
    "too many words": ("{" + " a" * 1600 + "}", "tokens"),
    "too deep": ("{ a " * 400 + "}" * 400, ""),
    "a change": ('mutation { enrolMember(input: {card: "9"}) { __typename } }', "one query"),
    "two": ("query A { me { id } } query B { me { id } }", "one query"),
    "two roots": ("{ members { edges { node { id } } } partners { code } }", "beside it"),
    "something beside": (
        '{ member(by: {card: "1"}) { name redemptions { edges { node { id } } } } }',
        "beside it",
    ),
    "no connection": ('{ member(by: {card: "1"}) { name } }', "beside it"),
    "nothing in it": ("{ members }", "edges { node"),
    "a list": ("{ partners { code } }", "is a list"),
    "a list on the way": (
        '{ member(by: {card: "1"}) { ledgers { entries { edges { node { id } } } } } }',
        "is a list",
    ),
    "no such field": ("{ nothing { edges { node { id } } } }", "no field nothing"),
    "no such field in it": ("{ members { edges { node { nothing } } } }", "nothing"),
    "no nodes": ("{ members { edges { cursor } } }", "edges { node"),
    "under another name": ("{ members { edges { n: node { id } } } }", "edges { node"),
    "twice": ("{ members { edges { node { id } node { name } } } }", "edges { node"),
    "its own place": ('{ members(after: "x") { edges { node { id } } } }', "after"),
    "a directive": (
        "query($x: Boolean!) { members @skip(if: $x) { edges { node { id } } } }",
        "directive",
    ),
    "a fragment in itself": ("{ ...A } fragment A on Query { ...A }", "leads nowhere"),
    "no such fragment": ("{ ...A }", "leads nowhere"),
    "a page too long": ("{ members(first: 101) { edges { node { id } } } }", "first is from 1"),
    "too dear": (
        """{ members(first: 100) { edges { node { redemptions(first: 100) { edges { node { member {
        redemptions(first: 100) { edges { node { id } } } } } } } } } } }""",
        "",
    ),
    "a variable of ours": (
        "query($exportAfter: String) { members { edges { node { id } } } }",
        "exportAfter",
    ),
    "a variable that is missing": (
        "query($n: Int!) { members(first: $n) { edges { node { id } } } }",
        "Int!",
    ),
    "an id that is none": (
        '{ node(id: "x") { ... on Ledger { entries { edges { node { id } } } } } }',
        "no id",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_export(api: Client, name: str) -> None:
    """Refused with its reason before there is a URL, and nothing is kept."""
    query, reason = REFUSED[name]
    done = await ask(api, "admin:root", query)
    assert (done["__typename"], done["path"]) == ("BadInputError", ["query"]), done
    assert reason in done["message"], done
    assert await stored() == 0


@pytest.mark.parametrize(
    "given", [[], "x", 1, {"exportAfter": "x"}, {"a": "\0"}, {"a": "x" * 20_000}]
)
async def test_variables_that_are_none(api: Client, given: Any) -> None:
    """An object of a bounded length."""
    done = await ask(api, "admin:root", MEMBERS, given)
    assert (done["__typename"], done["path"]) == ("BadInputError", ["variables"]), done
    assert await stored() == 0


async def test_what_the_caller_may_not_ask_it_may_not_export(api: Client) -> None:
    """By role, told like a refusal of the field itself."""
    member = api.member(await api.enrol("1"))
    moves = "{ lotMoves { edges { node { id } } } }"
    for who, query in ((member, MEMBERS), (member, moves), ("partner:grocer", moves)):
        done = await ask(api, who, query)
        assert (done["__typename"], done["path"]) == ("NotAllowedError", ["query"]), done
    assert (await ask(api, "admin:root", moves))["__typename"] == "ExportReady"
    assert await stored() == 1
