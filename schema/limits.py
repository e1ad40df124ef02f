"""What a document may ask for, measured in one linear pass before it is validated and run.

The cost is the number of values that the answer may hold: a field is one, and what stands in a list
counts once for each item that the list may have. Fragments are measured once each, so no nesting of
them can cost more than their length. Knows nothing of callers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    value_from_ast_untyped,
)
from graphql.validation.rules import overlapping_fields_can_be_merged

from schema.refusals import refusal

#: Comparisons of fields that one validation may take; graphql-core's own half a million take two
#: seconds of everybody's time. Twenty fragments side by side with the same fields need 8,000.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 10_000

#: Items that a list has, if nobody says how many.
_LIST = 4
#: A mutation takes more of us than a value does, and so does each item of its batch.
_CHANGE = _ITEM = 10
#: Reading the schema takes as long as so many values, however much of it is asked for: how deep it
#: may go is limited by validation.
_INTROSPECTION = 10_000
#: Definitions within definitions: each takes a few of the interpreter's frames.
_DEEPEST = 100
#: Nobody needs to know more exactly by how much a bomb is too big.
_ENOUGH = 10**12

#: A number; the items of a list; the items of a batch, of which ten plain values count as one.
Usage = Literal["number", "length", "batch"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one operation may ask for."""

    characters: int = 50_000
    tokens: int = 2000
    depth: int = 20
    side_by_side: int = 150
    aliases: int = 60
    directives: int = 60
    root_fields: int = 20
    cost: int = 100_000


@dataclass(slots=True)
class Asked:
    """What a selection asks for. `per_row`: what each item of a list directly in it adds."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    fields: int = 0
    side_by_side: int = 0
    cost: int = 0
    per_row: int = 0
    introspects: bool = False

    def add(self, other: Asked) -> None:
        """What another selection at the same place asks for, too."""
        self.depth = max(self.depth, other.depth)
        self.side_by_side = max(self.side_by_side, other.side_by_side)
        self.aliases = min(self.aliases + other.aliases, _ENOUGH)
        self.directives = min(self.directives + other.directives, _ENOUGH)
        self.fields = min(self.fields + other.fields, _ENOUGH)
        self.cost = min(self.cost + other.cost, _ENOUGH)
        self.per_row = min(self.per_row + other.per_row, _ENOUGH)
        self.introspects |= other.introspects

    def of_rows(self, rows: int) -> int:
        """The cost where a list directly in it has so many items."""
        return min(self.cost + rows * self.per_row, _ENOUGH)

    def check(self, limits: Limits, most_cost: int) -> None:
        """Raise what is refused with TOO_EXPENSIVE; each limit in its own words."""
        for asked, most, what in (
            (self.depth, limits.depth, "levels of fields"),
            (self.fields, limits.root_fields, "root fields"),
            (self.side_by_side, limits.side_by_side, "fields or fragments side by side"),
            (self.aliases, limits.aliases, "aliases"),
            (self.directives, limits.directives, "directives"),
            (self.cost, most_cost, "values, pages multiplied"),
        ):
            if asked > most:
                raise refusal(
                    "TOO_EXPENSIVE", f"this asks for {asked} {what}; at most {most} are answered"
                )


class Measuring:
    """One pass over an operation. `visited` counts its work, `variables` are those that mattered.

    The variables that matter are the same for all values of theirs.
    """

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, given: Mapping[str, Any]
    ) -> None:
        self.visited = 0
        self.variables: dict[tuple[str, Usage], None] = {}
        self._schema = schema
        self._given = given
        self._nested = 0
        self._known: dict[str, Asked] = {}
        self._open: set[str] = set()
        self._fragments = {
            d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
        }

    def operation(self, node: OperationDefinitionNode) -> Asked:
        """What an operation asks for. Raises GraphQLError if it is nested beyond all reason."""
        root = self._schema.get_root_type(node.operation)
        asked = self._selection(node.selection_set, root, root is self._schema.mutation_type)
        asked.directives += len(node.directives or ())
        asked.cost = asked.of_rows(_LIST)
        return asked

    def _selection(self, selected: SelectionSetNode, parent: Any, changes: bool = False) -> Asked:
        self._nested += 1
        if self._nested > _DEEPEST:
            raise refusal("TOO_EXPENSIVE", f"at most {_DEEPEST} levels and fragments are nested")
        asked = Asked(side_by_side=len(selected.selections))
        for node in selected.selections:
            self.visited += 1
            if isinstance(node, FieldNode):
                asked.add(self._field(node, parent, changes))
            elif isinstance(node, InlineFragmentNode):
                named = node.type_condition
                of = self._schema.get_type(named.name.value) if named else parent
                asked.add(self._selection(node.selection_set, of, changes))
            elif isinstance(node, FragmentSpreadNode):
                asked.add(self._fragment(node.name.value))
            asked.directives += len(node.directives or ())
        self._nested -= 1
        return asked

    def _fragment(self, name: str) -> Asked:
        if name in self._open:
            # Validation would say so too, but not before it had looked at all ways around.
            raise refusal(
                "GRAPHQL_VALIDATION_FAILED", f"Cannot spread fragment '{name}' within itself."
            )
        known = self._known.get(name)
        if known is None:
            found = self._fragments.get(name)
            if found is None:
                return Asked()  # validation refuses it
            self._open.add(name)
            of = self._schema.get_type(found.type_condition.name.value)
            known = self._selection(found.selection_set, of, of is self._schema.mutation_type)
            known.directives += len(found.directives or ())
            self._known[name] = known
            self._open.remove(name)
        return known

    def _field(self, node: FieldNode, parent: Any, changes: bool) -> Asked:
        name = node.name.value
        field: GraphQLField | None = getattr(parent, "fields", {}).get(name)
        of = get_named_type(field.type) if field else None
        inner = self._selection(node.selection_set, of) if node.selection_set else Asked()
        rows = self._rows(node, field, "batch" if changes else "length")
        asked = Asked(
            depth=inner.depth + 1,
            aliases=inner.aliases + (node.alias is not None),
            directives=inner.directives,
            side_by_side=inner.side_by_side,
            fields=1,
            cost=1,
            introspects=name in ("__schema", "__type"),
        )
        if asked.introspects:
            asked.cost = _INTROSPECTION
            return asked
        if changes:
            asked.cost += _CHANGE + _ITEM * (rows or 1)
        many = field is not None and is_list_type(get_nullable_type(field.type))
        if many and rows is None:
            asked.per_row = inner.of_rows(_LIST)
        elif many:
            asked.cost += (rows or 1) * inner.of_rows(_LIST)
        else:
            asked.cost += inner.of_rows(_LIST if rows is None else rows)
        return asked

    def _rows(self, node: FieldNode, field: GraphQLField | None, usage: Usage) -> int | None:
        """How many items its arguments ask for or hold; None: they say nothing of it."""
        paged = field is not None and "first" in field.args
        lengths = []
        for argument in node.arguments or ():
            if paged and argument.name.value == "first":
                return self._number(argument.value, field)
            if (length := self._length(argument.value, usage)) is not None:
                lengths.append(length)
        if paged:
            return self._number(None, field)
        return sum(lengths) if lengths else None

    def _number(self, value: ValueNode | None, field: GraphQLField | None) -> int:
        if isinstance(value, VariableNode):
            self.variables[value.name.value, "number"] = None
            given = weight(self._given.get(value.name.value), "number")
        else:
            given = int(value.value[:12]) if isinstance(value, IntValueNode) else None
        if given is None and field is not None:
            default = field.args["first"].default_value
            given = default if isinstance(default, int) else None
        return max(1, given if given is not None else _LIST)

    def _length(self, value: ValueNode, usage: Usage, within: bool = False) -> int | None:
        """The items of a list, or of the lists that an input directly holds."""
        if isinstance(value, VariableNode):
            self.variables[value.name.value, usage] = None
            return weight(self._given.get(value.name.value), usage)
        if isinstance(value, ListValueNode):
            plain = not any(isinstance(v, ObjectValueNode | VariableNode) for v in value.values)
            return _items(len(value.values), plain, usage)
        if isinstance(value, ObjectValueNode) and not within:
            found = [self._length(field.value, usage, within=True) for field in value.fields]
            lengths = [length for length in found if length is not None]
            return sum(lengths) if lengths else None
        return None


def given_to(operation: OperationDefinitionNode, sent: dict[str, Any]) -> dict[str, Any]:
    """The variables of an operation as it will find them: what was sent, and defaults."""
    defaults = {
        d.variable.name.value: value_from_ast_untyped(d.default_value)
        for d in operation.variable_definitions or ()
        if d.default_value is not None
    }
    return {**defaults, **sent} if defaults else sent


def weight(value: object, usage: Usage) -> int | None:
    """What of a variable's value the cost depends on."""
    if usage == "number":
        if isinstance(value, float) and value.is_integer():
            return int(value)  # which is an Int to GraphQL, too
        return value if isinstance(value, int) else None
    if isinstance(value, dict):
        lengths = [weight(item, usage) for item in value.values() if isinstance(item, list)]
        known = [length for length in lengths if length is not None]
        return sum(known) if known else None
    if isinstance(value, list):
        return _items(len(value), not any(isinstance(item, dict) for item in value[:1]), usage)
    return None


def _items(length: int, plain: bool, usage: Usage) -> int:
    return -(-length // 10) if plain and usage == "batch" else length
