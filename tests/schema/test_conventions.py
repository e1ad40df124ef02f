"""One style throughout: everything named alike, described, paged alike, refused alike.

Each check is a function from a schema to complaints, and is shown a planted fault that it must see.
What tools from outside have to say of the same stands in `tests/conformance`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_specified_scalar_type,
)

SDL = (Path(__file__).parents[2] / "schema" / "schema.graphql").read_text()
Check = Callable[[GraphQLSchema], list[str]]


def _types(schema: GraphQLSchema) -> Iterator[tuple[str, GraphQLNamedType]]:
    for name, kind in schema.type_map.items():
        if not name.startswith("__") and not is_specified_scalar_type(kind):
            yield name, kind


def _parts(schema: GraphQLSchema) -> Iterator[tuple[str, str, str | None]]:
    """(coordinate, how it is written, description) of all that stands within types."""
    for name, kind in _types(schema):
        if isinstance(kind, GraphQLEnumType):
            for value, told in kind.values.items():
                yield f"{name}.{value}", "ENUM", told.description
        if isinstance(kind, GraphQLInputObjectType):
            for field, asked in kind.fields.items():
                yield f"{name}.{field}", "camel", asked.description
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field, answer in kind.fields.items():
                yield f"{name}.{field}", "camel", answer.description
                for argument, given in answer.args.items():
                    yield f"{name}.{field}.{argument}", "camel", given.description


def undescribed(schema: GraphQLSchema) -> list[str]:
    """Types, fields, arguments, values and directives that don't say what they are."""
    bare = [name for name, kind in _types(schema) if not kind.description]
    bare += [coordinate for coordinate, _, said in _parts(schema) if not said]
    return bare + [
        f"@{directive.name}"
        for directive in schema.directives
        if directive.ast_node is not None and not directive.description
    ]


_STYLES = {"camel": re.compile(r"[a-z][a-zA-Z0-9]*"), "ENUM": re.compile(r"[A-Z][A-Z0-9_]*")}


def misnamed(schema: GraphQLSchema) -> list[str]:
    """PascalCase types, camelCase fields and arguments, UPPER_CASE values; roles by the ending."""
    endings = {GraphQLInputObjectType: ("Input", "By", "Identifier"), GraphQLUnionType: ("Result",)}
    wrong = [name for name, _ in _types(schema) if not re.fullmatch(r"[A-Z][a-zA-Z0-9]*", name)]
    wrong += [n for n, k in _types(schema) if not n.endswith(endings.get(type(k), ""))]
    return wrong + [
        coordinate
        for coordinate, style, _ in _parts(schema)
        if not _STYLES[style].fullmatch(coordinate.rsplit(".", 1)[1])
    ]


def mutations_that_hide_others(schema: GraphQLSchema) -> list[str]:
    """One that fails must not take the answer of one that was booked before it with it."""
    mutation = schema.mutation_type
    assert mutation is not None
    return [name for name, field in mutation.fields.items() if str(field.type).endswith("!")]


def unlike_errors(schema: GraphQLSchema) -> list[str]:
    """What a result may be besides a success implements `Error`, and nothing else is called so."""
    error = schema.get_type("Error")
    assert isinstance(error, GraphQLInterfaceType)
    errors = {kind.name for kind in schema.get_implementations(error).objects}
    called = {name for name, _ in _types(schema) if name.endswith("Error") and name != "Error"}
    wrong = sorted(errors ^ called)
    for name, kind in _types(schema):
        if isinstance(kind, GraphQLUnionType):
            members = {member.name for member in kind.types}
            if not members & errors or not members - errors:
                wrong.append(name)
    return wrong


def mutations_without_refusals(schema: GraphQLSchema) -> list[str]:
    """Each answers a union of outcome and errors, itself or for each item of a batch."""
    mutation = schema.mutation_type
    assert mutation is not None
    wrong = []
    for name, field in mutation.fields.items():
        kind = get_named_type(field.type)
        if isinstance(kind, GraphQLObjectType) and "results" in kind.fields:
            kind = get_named_type(kind.fields["results"].type)
        if not isinstance(kind, GraphQLUnionType):
            wrong.append(name)
    return wrong


def unlike_connections(schema: GraphQLSchema) -> list[str]:
    """Every list with `pageInfo` pages forward: `first` with a default, then `after`."""
    wrong = []
    for name, kind in _types(schema):
        for field, answer in getattr(kind, "fields", {}).items():
            named = get_named_type(answer.type)
            if isinstance(named, GraphQLObjectType) and "pageInfo" in named.fields:
                asked = {a: str(v.type) for a, v in answer.args.items() if a in ("first", "after")}
                if asked != {"first": "Int!", "after": "String"}:
                    wrong.append(f"{name}.{field}")
                if not named.name.endswith("Connection"):
                    wrong.append(named.name)
    return wrong


CHECKS: list[Check] = [
    undescribed,
    misnamed,
    mutations_that_hide_others,
    unlike_errors,
    mutations_without_refusals,
    unlike_connections,
]


SMALL = '''
  """A mark."""
  directive @marked on INPUT_OBJECT
  """What can be read."""
  type Query {
    """The shops."""
    shops(
      """How many."""
      first: Int! = 20
      """After which."""
      after: String
    ): ShopConnection!
  }
  """What can be changed."""
  type Mutation {
    """Open one."""
    openShop("Which." input: OpenShopInput!): OpenShopResult
  }
  """Which."""
  input OpenShopInput @marked { "Its name." name: String! "Its kind." kind: ShopKind }
  """A kind."""
  enum ShopKind { "With a roof." INDOORS }
  """What came of it."""
  union OpenShopResult = Shop | BadInputError
  """A shop."""
  type Shop { "Its name." name: String! }
  """A refusal."""
  interface Error { "What." code: String! }
  """It makes no sense."""
  type BadInputError implements Error { "What." code: String! }
  """A page of shops."""
  type ShopConnection { "The shops." nodes: [Shop!]! "Whether there is more." pageInfo: PageInfo! }
  """Of a page."""
  type PageInfo { "Whether there is more." hasNextPage: Boolean! }
'''


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_schema_keeps_to_it(check: Check, published: GraphQLSchema) -> None:
    assert check(published) == []
    assert check(build_schema(SMALL)) == []


@pytest.fixture(scope="module")
def published() -> GraphQLSchema:
    """The schema as it is committed."""
    return build_schema(SDL)


FAULTS: list[tuple[Check, str, str]] = [
    (undescribed, '"""A mark."""', ""),
    (undescribed, '"""A shop."""', ""),
    (undescribed, '"The shops." nodes', "nodes"),
    (undescribed, '"""How many."""', ""),
    (undescribed, '"Its kind."', ""),
    (undescribed, '"With a roof."', ""),
    (misnamed, "hasNextPage", "has_next_page"),
    (misnamed, "INDOORS", "Indoors"),
    (misnamed, "OpenShopResult", "OpenShopOutcome"),
    (misnamed, "OpenShopInput", "OpenShopArguments"),
    (misnamed, "ShopKind", "shopKind"),
    (mutations_that_hide_others, "): OpenShopResult", "): OpenShopResult!"),
    (unlike_errors, " implements Error", ""),
    (unlike_errors, "BadInputError", "BadInput"),
    (unlike_errors, "Shop | BadInputError", "Shop"),
    (unlike_errors, "Shop | BadInputError", "BadInputError"),
    (mutations_without_refusals, "): OpenShopResult", "): Shop"),
    (unlike_connections, "first: Int! = 20", "first: Int = 20"),
    (unlike_connections, "after: String", "before: String"),
    (unlike_connections, "ShopConnection", "ShopPage"),
]


@pytest.mark.parametrize(("check", "before", "after"), FAULTS)
def test_the_check_sees_a_fault(check: Check, before: str, after: str) -> None:
    assert before in SMALL
    assert check(build_schema(SMALL.replace(before, after)))
