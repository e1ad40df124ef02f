"""Executes operations as graphql-core does, by plans that are kept: the same answers, sooner.

What is plain is done at once: attributes and methods are asked directly, values that are there are
completed without a task, and a resolver that waits for nothing never makes one. Whatever is out of
the ordinary is graphql-core's own affair. Knows no noun.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from types import CoroutineType, GeneratorType
from typing import Any, TypeAlias, cast

from graphql import GraphQLObjectType, GraphQLOutputType, Undefined
from graphql.error import located_error
from graphql.execution.collect_fields import DeferUsage, GroupedFieldSet
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path, UndefinedType, gather_with_cancel
from graphql.type.definition import GraphQLResolveInfoHelpers
from strawberry.schema import schema_converter
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from schema.plans import (
    ABSTRACT,
    ARGUED,
    ATTRIBUTE,
    CONSTANT,
    LEAF,
    LIST,
    METHOD,
    OBJECT,
    TOLD,
    Below,
    Planned,
    Plans,
    Shape,
    planned,
)  # fmt: skip
from schema.waits import begun

#: (the way to the parent, response key or index, the parent type's name), until somebody asks.
Way: TypeAlias = "tuple[Way | None, str | int, str | None]"

_PLANS = Plans()
#: Classes whose instances nobody can await, as far as they were met.
_AT_ONCE: set[type] = {str, int, float, bool, type(None), list, tuple, dict}


def _path(way: Way | None) -> Path | None:
    return None if way is None else Path(_path(way[0]), way[1], way[2])


class Later:
    """A value that is to come. Unlike a coroutine it may be dropped, where null took its place."""

    __slots__ = ("_arguments", "_call")

    def __init__(self, call: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        self._call = call
        self._arguments = arguments

    def __await__(self) -> Generator[Any, Any, Any]:
        """Begin, and wait."""
        return self._call(*self._arguments).__await__()


class Asked:
    """What a resolver may ask about its field: graphql-core's info, made when it is looked at."""

    __slots__ = ("_executor", "_planned", "_way")

    def __init__(self, executor: FastExecutor, field: Planned, way: Way) -> None:
        self._executor = executor
        self._planned = field
        self._way = way

    @property
    def context(self) -> Any:
        """The request's, which nearly all ask for and nothing else."""
        return self._executor.context_value

    def __getattr__(self, name: str) -> Any:
        """Whatever else graphql-core tells."""
        return getattr(self._executor.info_of(self._planned, self._way), name)


class FastExecutor(StrawberryGraphQLCoreExecutionContext):
    """Follows a plan; falls back to graphql-core wherever a request asks for more than that."""

    @property
    def async_helpers(self) -> GraphQLResolveInfoHelpers:
        """Made whenever one is asked for: kept, they and this would hold each other for ever."""
        return GraphQLResolveInfoHelpers(self.gather_async_work, self.track_async_work)

    @async_helpers.setter
    def async_helpers(self, made: GraphQLResolveInfoHelpers) -> None:
        """What graphql-core makes for every request."""

    def execute_collected_root_fields(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: GroupedFieldSet,
        serially: bool,
        new_defer_usages: Sequence[DeferUsage],
    ) -> Any:
        """The root fields, by the plan."""
        extended = self.middleware_manager is not None and self.middleware_manager.middlewares
        if extended or new_defer_usages or not self.error_propagation or self.abort_signal:
            return super().execute_collected_root_fields(
                root_type, root_value, grouped_field_set, serially, new_defer_usages
            )
        fields = _PLANS.root(
            self.schema, self.operation, self.fragment_definitions, self.variable_values.coerced,
            lambda: planned(self.schema, root_type, grouped_field_set, root=True),
        )  # fmt: skip
        if serially:
            return self._one_by_one(fields, root_value)
        return self._object(fields, root_value, None)

    def info_of(self, field: Planned, way: Way) -> Any:
        """Graphql-core's info."""
        path = cast("Path", _path(way))
        return self.build_resolve_info(field.definition, field.nodes, field.parent, path)

    async def _one_by_one(self, fields: list[Planned], source: Any) -> dict[str, Any]:
        results: dict[str, Any] = {}
        for field in fields:
            done = self._object([field], source, None)
            results |= await done if _waits(done) else done
        return results

    def _object(self, fields: list[Planned], source: Any, way: Way | None) -> Any:
        """All fields of an object, or a coroutine of them where some are waited for."""
        results: dict[str, Any] = {}
        waiting: list[str] = []
        try:
            for field in fields:
                name, kind = field.name, field.kind
                if kind == CONSTANT:
                    results[name] = field.constant
                    continue
                here: Way | None = None
                try:
                    if kind == ATTRIBUTE:
                        value = getattr(source, field.attribute)
                    elif kind == METHOD:
                        value = field.function(source)
                    else:
                        here = (way, name, field.parent.name)
                        value = self._resolved(field, source, here)
                    coerce = field.coerce
                    if coerce is not None and value is not None and type(value) in _AT_ONCE:
                        done = coerce(value)
                        if done is not None and done is not Undefined:
                            results[name] = done
                            continue
                    done = self._met(field, value, here or (way, name, field.parent.name))
                except Exception as error:
                    here = here or (way, name, field.parent.name)
                    self._failed(field, field.shape, error, here)
                    done = None
                if type(done) is Later:
                    waiting.append(name)
                results[name] = done
        except Exception:
            if waiting:
                self.settle_in_background([results[name] for name in waiting])
            raise
        return Later(self._awaited, results, waiting) if waiting else results

    def _resolved(self, field: Planned, source: Any, way: Way) -> Any:
        """What a resolver answers that is told about its field, or has arguments."""
        kind = field.kind
        if kind == TOLD:
            return field.function(source, **{field.told: self._info(field, way)})
        if kind == ARGUED:
            given = dict(field.arguments(lambda: self._converted(field)))
            if field.told:
                given[field.told] = self._info(field, way)
            return field.function(source, **given)
        arguments = field.arguments(lambda: self._arguments(field))
        return field.function(source, Asked(self, field, way), **arguments)

    def _met(self, field: Planned, value: Any, way: Way) -> Any:
        """What a resolver answered, completed, or a coroutine of that."""
        if type(value) is CoroutineType and not field.root:
            value, ended = begun(value)
            if not ended:
                return Later(self._later, field, field.shape, value, way, False)
        fields = field.sure.get(type(value))
        if fields is not None and not hasattr(value, TYPE_CAST_ATTRIBUTE):
            done = self._object(fields, value, way)
            if type(done) is Later:
                return Later(self._later, field, field.shape, done, way, True)
            return done
        if type(value) not in _AT_ONCE and self._awaitable(value):
            return Later(self._later, field, field.shape, value, way, False)
        return self._guarded(field, field.shape, value, way)

    def _info(self, field: Planned, way: Way) -> Any:
        converter = self.schema._strawberry_schema  # type: ignore[attr-defined]  # strawberry's own
        return converter.config.info_class(_raw_info=Asked(self, field, way), _field=field.field)

    def _arguments(self, field: Planned) -> dict[str, Any]:
        first = field.details[0]
        return get_argument_values(
            field.definition, first.node, self.variable_values, first.fragment_variable_values,
            self.hide_suggestions,
        )  # fmt: skip

    def _converted(self, field: Planned) -> dict[str, Any]:
        """The arguments by their names in Python, as strawberry makes them."""
        asked = self.schema._strawberry_schema  # type: ignore[attr-defined]  # strawberry's own
        assert field.field is not None
        found: dict[str, Any] = schema_converter.convert_arguments(  # type: ignore[attr-defined]  # by our plans
            self._arguments(field), field.field.arguments,
            asked.schema_converter.scalar_registry, asked.config,
        )  # fmt: skip
        return found

    def _awaitable(self, value: Any) -> bool:
        if self.is_awaitable(value):
            return True
        if not isinstance(value, (GeneratorType, Exception, UndefinedType)):
            _AT_ONCE.add(type(value))
        return False

    def _guarded(self, field: Planned, shape: Shape, value: Any, way: Way) -> Any:
        """Complete a value; a coroutine of its parts answers for their errors."""
        done = self._completed(field, shape, value, way)
        return Later(self._later, field, shape, done, way, True) if _waits(done) else done

    async def _later(self, field: Planned, shape: Shape, value: Any, way: Way, whole: bool) -> Any:
        """What comes of something awaited, which is completed then unless it comes `whole`."""
        try:
            done = await value
            if not whole:
                done = self._completed(field, shape, done, way)
                if _waits(done):
                    done = await done
        except Exception as error:
            self._failed(field, shape, error, way)
            return None
        return done

    def _failed(self, field: Planned, shape: Shape, error: Exception, way: Way) -> None:
        """Null, and the error noted; or raised where null may not stand."""
        path = cast("Path", _path(way))
        located = located_error(error, field.nodes, path.as_list())
        if shape.non_null:
            raise located
        self.collected_errors.add(located, path)

    def _completed(self, field: Planned, shape: Shape, value: Any, way: Way) -> Any:
        if value is None or value is Undefined:
            if shape.non_null:
                told = f"{field.parent}.{field.field_name}"
                raise TypeError(f"Cannot return null for non-nullable field {told}.")
            return None
        if isinstance(value, Exception):
            raise value
        kind = shape.kind
        if kind == LEAF:
            assert shape.coerce is not None
            done = shape.coerce(value)
            if done is None or done is Undefined:
                return self.complete_leaf_value(shape.type, value)  # which says what is wrong
            return done
        if kind == LIST:
            if type(value) is list or type(value) is tuple:
                return self._list(field, shape, value, way)
        elif kind == ABSTRACT:
            runtime = self._runtime(field, shape, value, way)
            if runtime is not None:
                return self._of_type(field, runtime, value, way)
        else:
            return self._of_type(field, shape.type, value, way)
        return self._by_the_book(field, shape.type, value, way)

    def _runtime(
        self, field: Planned, shape: Shape, value: Any, way: Way
    ) -> GraphQLObjectType | None:
        asked = cast("Any", Asked(self, field, way))
        name = (shape.type.resolve_type or self.type_resolver)(value, asked, shape.type)
        if not isinstance(name, str):
            return None
        return self.ensure_valid_runtime_type(name, shape.type, field.details, asked, value)

    def _of_type(self, field: Planned, type_: GraphQLObjectType, value: Any, way: Way) -> Any:
        below = field.below.get(type_)
        if below is None:
            grouped = self.collect_subfields(type_, field.details).grouped_field_set
            fields = planned(self.schema, type_, grouped, root=False)
            below = Below(type_, fields)
            field.below_of(type_, below)
        sure = type(value) is below.origin and not hasattr(value, TYPE_CAST_ATTRIBUTE)
        if type_.is_type_of is not None and not sure:
            fits = type_.is_type_of(value, cast("Any", Asked(self, field, way)))
            if fits is not True:
                return self._by_the_book(field, type_, value, way)
        return self._object(below.fields, value, way)

    def _list(self, field: Planned, shape: Shape, values: Sequence[Any], way: Way) -> Any:
        results: list[Any] = []
        waiting: list[int] = []
        item = shape.item
        assert item is not None
        known = field.items if item.kind == OBJECT else {}
        try:
            for place, value in enumerate(values):
                here: Way = (way, place, None)
                try:
                    fields = known.get(type(value))
                    if fields is not None and not hasattr(value, TYPE_CAST_ATTRIBUTE):
                        done: Any = self._object(fields, value, here)
                        if type(done) is Later:
                            done = Later(self._later, field, item, done, here, True)
                    elif type(value) not in _AT_ONCE and self._awaitable(value):
                        done = Later(self._later, field, item, value, here, False)
                    else:
                        done = self._guarded(field, item, value, here)
                except Exception as error:
                    self._failed(field, item, error, here)
                    done = None
                if type(done) is Later:
                    waiting.append(place)
                results.append(done)
        except Exception:
            left = [results[n] for n in waiting]
            left += [v for v in values[len(results) + 1 :] if self.is_awaitable(v)]
            if left:
                self.settle_in_background(left)
            raise
        return Later(self._awaited, results, waiting) if waiting else results

    async def _awaited(self, results: Any, waiting: Sequence[Any]) -> Any:
        if len(waiting) == 1:
            results[waiting[0]] = await results[waiting[0]]
        else:
            done = await gather_with_cancel(*(results[key] for key in waiting))
            for key, value in zip(waiting, done, strict=True):
                results[key] = value
        return results

    def _by_the_book(self, field: Planned, type_: GraphQLOutputType, value: Any, way: Way) -> Any:
        """By graphql-core itself."""
        info = self.info_of(field, way)
        return self.complete_value(type_, field.details, info, info.path, value, None)


def _waits(value: Any) -> bool:
    return type(value) is Later or type(value) is CoroutineType
