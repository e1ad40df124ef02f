"""What an operation asks of each type, worked out once and kept: the plan that an executor follows.

Which fields are selected, merged, skipped and of what type is graphql-core's to say; a plan keeps
what it said, with how each field is got at. Knows no request and runs nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar, Final, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    is_union_type,
)
from graphql.execution.collect_fields import FieldDetails, GroupedFieldSet
from graphql.language import Node, Visitor, visit
from strawberry.schema.schema_converter import CustomGraphQLEnumType, GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

#: Operations whose plans are kept in this process, and plans of one: as conditions fall.
MOST_OPERATIONS, MOST_PLANS = 256, 16
#: Fields that may be planned before all plans are forgotten: each takes some 700 bytes.
MOST_FIELDS = 50_000
_NO_ARGUMENTS: Final[Mapping[str, Any]] = MappingProxyType({})
_PLAIN = (str, int, float, bool, type(None))
# How a field is got at: it is known, an attribute, a method, one that is told `info` or arguments,
# or otherwise.
CONSTANT, ATTRIBUTE, METHOD, TOLD, ARGUED, RESOLVED = range(6)
# What a value is: a leaf, a list, an object, or an interface's or a union's.
LEAF, LIST, OBJECT, ABSTRACT = range(4)


class Shape:
    """A type of output, taken apart."""

    __slots__ = ("coerce", "item", "kind", "non_null", "type")

    def __init__(self, given: GraphQLOutputType) -> None:
        self.non_null = is_non_null_type(given)
        #: Without its being non-null.
        self.type: Any = given.of_type if is_non_null_type(given) else given
        self.item: Shape | None = None
        self.coerce: Callable[[Any], Any] | None = None
        if is_leaf_type(self.type):
            self.kind = LEAF
            self.coerce = _coercion(self.type)
        elif is_list_type(self.type):
            self.kind = LIST
            self.item = Shape(self.type.of_type)
        elif is_object_type(self.type):
            self.kind = OBJECT
        else:
            self.kind = ABSTRACT


def _coercion(leaf: GraphQLLeafType) -> Callable[[Any], Any]:
    """How a value leaves; strawberry looks for an enum's member from the first to the last."""
    if not isinstance(leaf, CustomGraphQLEnumType):
        return leaf.coerce_output_value
    kind = cast("type[Enum]", leaf.wrapped_cls)
    slowly = leaf.coerce_output_value
    known = {member: slowly(member) for member in kind}

    def coerce(value: Any) -> Any:
        return known[value] if type(value) is kind else slowly(value)

    return coerce


class Below:
    """The fields of an object of one type. `origin`: instances of that class surely are of it."""

    __slots__ = ("fields", "origin")

    def __init__(self, type_: GraphQLObjectType, fields: list[Planned]) -> None:
        self.fields = fields
        made_of = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        plain = isinstance(made_of, StrawberryObjectDefinition) and made_of.is_type_of is None
        self.origin: type | None = made_of.origin if made_of and plain else None


class Planned:
    """One field of one selection. `made` counts all that ever were, in this process."""

    made: ClassVar[int] = 0
    __slots__ = (
        "_arguments",
        "_fixed",
        "attribute",
        "below",
        "coerce",
        "constant",
        "definition",
        "details",
        "field",
        "function",
        "items",
        "kind",
        "name",
        "nodes",
        "parent",
        "root",
        "shape",
        "sure",
        "told",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        parent: GraphQLObjectType,
        definition: GraphQLField,
        details: list[FieldDetails],
        root: bool,
    ) -> None:
        self.name = name
        self.parent = parent
        self.definition = definition
        self.details = details
        self.nodes: list[FieldNode] = [d.node for d in details]
        self.root = root
        self.shape = Shape(definition.type)
        self.coerce = self.shape.coerce
        #: The fields of its object, or of its list's items, by classes that surely are of the type.
        self.sure: dict[type, list[Planned]] = {}
        self.items: dict[type, list[Planned]] = {}
        self.below: dict[GraphQLObjectType, Below] = {}
        self._arguments: Mapping[str, Any] | None = _NO_ARGUMENTS
        #: Whether its arguments are the same each time; None: nobody has looked yet.
        self._fixed: bool | None = None
        if definition.args or self.nodes[0].arguments:
            self._arguments = None
        self.constant: str | None = None
        self.attribute = self.told = ""
        self.function: Callable[..., Any] = definition.resolve or _nothing
        self.field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        self.kind = self._found()

    def below_of(self, type_: GraphQLObjectType, below: Below) -> None:
        """Keep what is selected of a type, for whoever finds it by a value's class too."""
        self.below[type_] = below
        if below.origin is None or get_named_type(self.definition.type) is not type_:
            return
        if not issubclass(below.origin, Exception):  # which is raised, where it is a value
            known = self.sure if self.shape.kind == OBJECT else self.items
            known[below.origin] = below.fields

    @property
    def field_name(self) -> str:
        """The field's name, where `name` may be an alias."""
        return self.nodes[0].name.value

    def _found(self) -> int:
        """The shortest way that comes to the same as the field's resolver."""
        if self.field_name == "__typename":
            self.constant = self.parent.name
            return CONSTANT
        if not isinstance(self.field, StrawberryField):
            return RESOLVED
        if getattr(self.definition.resolve, "_is_default", False):
            self.attribute = self.field.python_name
            return ATTRIBUTE if self.field.default_resolver is getattr else RESOLVED
        resolver = self.field.base_resolver
        # Errors become members of unions by handlers, which are the resolver's own affair.
        union = is_union_type(get_named_type(self.definition.type))
        if resolver is None or union or self.field.extensions:
            return RESOLVED
        named = {p.name for p in resolver.reserved_parameters.values() if p is not None}
        told = resolver.info_parameter
        if resolver.self_parameter is None or len(named) != 1 + (told is not None):
            return RESOLVED
        self.function = cast("Callable[..., Any]", resolver.wrapped_func)
        self.told = "" if told is None else told.name
        if resolver.arguments:
            return ARGUED
        return TOLD if self.told else METHOD

    def arguments(self, values: Callable[[], dict[str, Any]]) -> Mapping[str, Any]:
        """What it is called with; `values` reckons it, where it isn't the same each time."""
        if self._arguments is not None:
            return self._arguments
        found = values()
        if self._fixed is None:
            self._fixed = not any(_variable_in(a) for a in self.nodes[0].arguments or ())
        if self._fixed and all(isinstance(v, _PLAIN) for v in found.values()):
            self._arguments = found
        return found


def _nothing(source: object, info: object) -> None:
    raise AssertionError("strawberry gives every field a resolver")


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.names.add(node.name.value)


def _variable_in(node: Node) -> bool:
    seen = _Variables()
    visit(node, seen)
    return bool(seen.names)


def _conditions(selected: SelectionSetNode | None) -> Iterator[str]:
    """The variables on which it hangs whether something is selected."""
    for node in selected.selections if selected else ():
        for directive in node.directives or ():
            if directive.name.value in ("skip", "include"):
                seen = _Variables()
                visit(directive, seen)
                yield from seen.names
        yield from _conditions(getattr(node, "selection_set", None))


class _Operation:
    """The plans of one operation of one schema, which it keeps alive: so their ids stay theirs."""

    __slots__ = ("asked", "hangs_on", "plans", "schema")

    def __init__(
        self,
        schema: GraphQLSchema,
        asked: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> None:
        self.schema = schema
        self.asked = asked
        parts = (asked, *fragments.values())
        self.hangs_on = sorted({name for p in parts for name in _conditions(p.selection_set)})
        self.plans: dict[tuple[object, ...], list[Planned]] = {}


_MISSING = object()


class Plans:
    """The plans that this process keeps, the latest used."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], _Operation] = OrderedDict()
        self._since = Planned.made

    def root(
        self,
        schema: GraphQLSchema,
        asked: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
        made: Callable[[], list[Planned]],
    ) -> list[Planned]:
        """The plan of the root fields, kept or `made` now."""
        if Planned.made - self._since > MOST_FIELDS:
            # Plans grow as they are used, so they are bounded by what was made, not by number.
            self._kept.clear()
            self._since = Planned.made
        key = (id(schema), id(asked))
        operation = self._kept.get(key)
        if operation is None:
            operation = self._kept[key] = _Operation(schema, asked, fragments)
            while len(self._kept) > MOST_OPERATIONS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        conditions = tuple(variables.get(name, _MISSING) for name in operation.hangs_on)
        plan = operation.plans.get(conditions)
        if plan is None:
            if len(operation.plans) >= MOST_PLANS:
                operation.plans.clear()
            plan = operation.plans[conditions] = made()
        return plan


def planned(
    schema: GraphQLSchema, parent: GraphQLObjectType, grouped: GroupedFieldSet, *, root: bool
) -> list[Planned]:
    """The fields of a selection on a type, in their order; unknown ones are left out."""
    fields = [
        Planned(name, parent, definition, details, root)
        for name, details in grouped.items()
        if (definition := schema.get_field(parent, details[0].node.name.value)) is not None
    ]
    Planned.made += len(fields)
    return fields
