"""How a request's arguments become what resolvers are handed: strawberry's own way, planned once.

Its `convert_arguments` asks each type of each field anew with each request what it is, which takes
a quarter of a till's request. Here that is asked once for each field, and a plan is kept: the
values are the same, and `tests/schema/test_input_plans.py` compares them. Whatever is unusual goes
the old way. Knows no noun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from typing import Any, TypeAlias

from strawberry.relay.types import GlobalID
from strawberry.scalars import is_scalar
from strawberry.schema import schema_converter
from strawberry.schema.config import StrawberryConfig
from strawberry.types import arguments as strawberrys
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryOptional,
    get_object_definition,
    has_object_definition,
)
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.lazy_type import LazyType
from strawberry.types.maybe import Some
from strawberry.types.unset import UNSET

#: What becomes of a value that isn't null; None: it stays as it is.
Convert: TypeAlias = Callable[[Any], Any] | None
Registry: TypeAlias = Mapping[object, Any]
#: The way of strawberry itself.
by_strawberry = strawberrys.convert_arguments


class Planner:
    """Plans for one schema's types."""

    def __init__(self, registry: Registry, config: StrawberryConfig) -> None:
        self.registry = registry
        self.config = config
        self._inputs: dict[type, Callable[[Any], Any]] = {}

    def plan(self, type_: Any) -> Convert:
        """What becomes of the values of a type."""
        if isinstance(type_, StrawberryMaybe):
            return self._maybe(type_)
        if isinstance(type_, StrawberryOptional):
            return self.plan(type_.of_type)
        if isinstance(type_, StrawberryList):
            return self._list(self.plan(type_.of_type))
        if isinstance(type_, LazyType):
            return self.plan(type_.resolve_type())
        if type_ is GlobalID:
            return self._old(type_)
        if is_scalar(type_, self.registry) or isinstance(type_, StrawberryEnumDefinition):
            return None
        if has_enum_definition(type_):
            return None
        if has_object_definition(type_):
            return self._input(type_)
        return self._old(type_)

    def _old(self, type_: Any) -> Convert:
        return lambda value: strawberrys.convert_argument(value, type_, self.registry, self.config)

    def _maybe(self, type_: StrawberryMaybe) -> Convert:
        inner = _null_apart(self.plan(type_.of_type))
        if isinstance(type_.of_type, StrawberryOptional):
            return lambda value: Some(value if inner is None else inner(value))
        refuse = self._old(type_)  # a null that may not stand

        def convert(value: Any) -> Any:
            if value is None:
                assert refuse is not None
                return refuse(value)
            return Some(value if inner is None else inner(value))

        return convert

    @staticmethod
    def _list(item: Convert) -> Convert:
        if item is None:
            return list  # a copy: graphql-core hands the same default to every request
        converted = _null_apart(item)
        assert converted is not None
        return lambda values: [converted(value) for value in values]

    def _input(self, type_: type) -> Convert:
        """Made when the first value comes: types may hold themselves."""

        def convert(value: Any) -> Any:
            build = self._inputs.get(type_)
            if build is None:
                build = self._inputs[type_] = self._builder(type_)
            return build(value)

        return convert

    def _builder(self, type_: type) -> Callable[[Any], Any]:
        definition = get_object_definition(type_, strict=True)
        if definition.from_input is not None:
            old = self._old(type_)
            assert old is not None
            return old
        missing = {
            field.python_name: None
            for field in definition.fields
            if field.default_value is MISSING and field.default_factory is MISSING
        }
        fields = [
            (
                self.config.name_converter.from_field(field),
                field.python_name,
                _null_apart(self.plan(found), maybe=isinstance(found, StrawberryMaybe)),
            )
            for field in definition.fields
            for found in (field.resolve_type(type_definition=definition),)
        ]

        def build(value: Any) -> Any:
            given = dict(missing)
            for name, own, convert in fields:
                if name in value:
                    found = value[name]
                    given[own] = found if convert is None else convert(found)
            return type_(**given)

        return build


def _null_apart(convert: Convert, *, maybe: bool = False) -> Convert:
    """The same for values that may be null, or unset; a Maybe says itself what null is."""
    if convert is None or maybe:
        return convert
    return lambda value: value if value is None or value is UNSET else convert(value)


class Plans:
    """The plans of all fields' arguments, by the lists in which strawberry keeps these."""

    def __init__(self) -> None:
        self._planners: dict[int, Planner] = {}
        self._kept: dict[int, tuple[Sequence[StrawberryArgument], list[tuple[str, str, Convert]]]]
        self._kept = {}

    def convert(
        self,
        value: dict[str, Any],
        arguments: list[StrawberryArgument],
        scalar_registry: Registry,
        config: StrawberryConfig,
        info: Any = None,
    ) -> dict[str, Any]:
        """The arguments of a resolver, by their names in Python."""
        del info  # for types that build themselves, of which there are none here
        if not arguments:
            return {}
        known = self._kept.get(id(arguments))
        if known is None or known[0] is not arguments:
            known = arguments, self._planned(arguments, scalar_registry, config)
            self._kept[id(arguments)] = known
        return {
            own: value[name] if convert is None else convert(value[name])
            for name, own, convert in known[1]
            if name in value
        }

    def _planned(
        self, arguments: list[StrawberryArgument], registry: Registry, config: StrawberryConfig
    ) -> list[tuple[str, str, Convert]]:
        planner = self._planners.get(id(config))
        if planner is None or planner.config is not config:
            planner = self._planners[id(config)] = Planner(registry, config)
        planned = []
        for argument in arguments:
            assert argument.python_name
            found = argument.type
            convert = _null_apart(planner.plan(found), maybe=isinstance(found, StrawberryMaybe))
            name = config.name_converter.from_argument(argument)
            planned.append((name, argument.python_name, convert))
        return planned


def install() -> None:
    """Let strawberry convert by plans from now on; done before the schema is made."""
    schema_converter.convert_arguments = Plans().convert  # type: ignore[attr-defined]  # not told of
