"""Arguments converted by plans are what strawberry's own conversion makes of them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
)
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.schema import schema_converter

from schema.build import build_schema
from schema.input_plans import Plans, by_strawberry

_SCHEMA = build_schema()
_CONFIG = _SCHEMA.config
_REGISTRY = _SCHEMA.schema_converter.scalar_registry


def _value(type_: Any, chance: random.Random, depth: int = 0) -> Any:
    """A value as graphql-core hands it on: of null, lists, objects with and without fields."""
    if isinstance(type_, GraphQLNonNull):
        return _of(type_.of_type, chance, depth)
    return None if chance.random() < 0.03 else _of(type_, chance, depth)


def _of(type_: Any, chance: random.Random, depth: int) -> Any:
    if isinstance(type_, GraphQLList):
        return [_value(type_.of_type, chance, depth + 1) for _ in range(chance.randrange(3))]
    if isinstance(type_, GraphQLEnumType):
        return chance.choice([value.value for value in type_.values.values()])
    if isinstance(type_, GraphQLInputObjectType):
        return {
            name: _value(field.type, chance, depth + 1)
            for name, field in type_.fields.items()
            if isinstance(field.type, GraphQLNonNull) or (depth < 5 and chance.random() < 0.6)
        }
    return f"{type_.name} {chance.randrange(9)}"


def _roots() -> list[tuple[str, Any, Any]]:
    whole, found = _SCHEMA._schema, []
    for kind in (whole.query_type, whole.mutation_type, whole.subscription_type):
        assert isinstance(kind, GraphQLObjectType)
        for name, field in kind.fields.items():
            if field.args:
                found.append((f"{kind.name}.{name}", field, field.extensions))
    return found


def _told(convert: Any, value: dict[str, Any], field: Any) -> Any:
    try:
        return convert(value, field.arguments, _REGISTRY, _CONFIG)
    except StrawberryInputCoercionError as error:
        return repr(error)


def _differences(convert: Any) -> int:
    """In how many of many random calls of every root field the two differ."""
    chance, differ, whole = random.Random(7), 0, 0
    for _, field, extensions in _roots():
        for _ in range(40):
            given = {arg: _value(a.type, chance) for arg, a in field.args.items()
                     if isinstance(a.type, GraphQLNonNull) or chance.random() < 0.7}  # fmt: skip
            own = extensions["strawberry-definition"]
            want, got = (_told(by, given, own) for by in (by_strawberry, convert))
            differ += want != got
            whole += isinstance(want, dict)
    assert whole > 1000  # and not only refused
    return differ


def test_plans_make_of_arguments_what_strawberry_does() -> None:
    """Of all root fields: nulls, lists, nested inputs, and a null that may not stand."""
    assert len(_roots()) > 60
    assert _differences(Plans().convert) == 0


@pytest.mark.parametrize("fault", ["a null becomes a value", "a field is forgotten"])
def test_a_wrong_plan_is_seen(fault: str) -> None:
    plans = Plans()

    def wrong(value: dict[str, Any], *rest: Any) -> dict[str, Any]:
        if fault == "a field is forgotten":
            return plans.convert(dict(list(value.items())[1:]), *rest)
        return {k: v if v is not None else "" for k, v in plans.convert(value, *rest).items()}

    assert _differences(wrong) > 0


def test_strawberry_converts_by_plans() -> None:
    convert = vars(schema_converter)["convert_arguments"]
    assert convert.__qualname__ == "Plans.convert"
