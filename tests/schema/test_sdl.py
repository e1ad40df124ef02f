"""The committed SDL is the schema's own, and everything in it says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import strawberry
from graphql import GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, build_schema
from strawberry.schema.config import StrawberryConfig

from schema.build import Mutation, Query, check_access
from schema.build import build_schema as ours
from schema.scalars import SCALARS

SDL = Path(__file__).parents[2] / "schema" / "schema.graphql"


def test_the_committed_sdl_is_the_schema() -> None:
    """Whoever changes the schema shows it: `laurels schema > schema/schema.graphql`."""
    assert SDL.read_text() == ours().as_str() + "\n"


def test_everything_is_described() -> None:
    """Types, fields, arguments and input fields."""
    bare = []
    for name, kind in build_schema(SDL.read_text()).type_map.items():
        if name.startswith("__") or name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        if not kind.description:
            bare.append(name)
        if isinstance(kind, GraphQLInputObjectType):
            bare += [f"{name}.{f}" for f, v in kind.fields.items() if not v.description]
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for f, v in kind.fields.items():
                if not v.description:
                    bare.append(f"{name}.{f}")
                bare += [f"{name}.{f}({a})" for a, w in v.args.items() if not w.description]
    assert bare == []


def test_root_mutation_fields_are_nullable() -> None:
    """One that fails must not take the answer of one that was booked before it with it."""
    mutation = build_schema(SDL.read_text()).mutation_type
    assert mutation is not None
    assert [n for n, f in mutation.fields.items() if str(f.type).endswith("!")] == []


def test_a_root_field_without_a_rule_of_access_is_refused() -> None:
    """Default deny: forgetting is an error at start, not a hole."""
    for root in (Query, Mutation):
        check_access(root)

    @strawberry.type
    class Open:
        @strawberry.field
        def door(self) -> int:
            return 1

    strawberry.Schema(Open, config=StrawberryConfig(scalar_map=SCALARS))
    with pytest.raises(TypeError, match=r"Open\.door says nobody"):
        check_access(Open)
