"""Every text that a caller can put into an operation, as the schema has it, and what to send.

An operation gives all that the schema demands with values that the tests' coalition knows, so that
the text gets as far as it can; the text itself stands in its only variable. Holds no test.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    ast_from_value,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
    print_ast,
)

#: The scalars that take any text.
TEXTS = ("String", "ID", "AttributeValue", "JSON")
AT = "2026-11-22T09:00:00Z"
#: What the tests' coalition knows, by the name of the field that asks for it.
KNOWN: Mapping[str, Any] = {
    "partner": "grocer", "card": "1", "currency": "BASKET", "occurredAt": AT, "amount": "1.00",
    "total": "9.00", "reward": "five-off", "ladder": "grocer", "tier": "silver",
    "reason": "goodwill", "title": "Tea", "purchase": "R", "event": "shipped", "type": "review",
    "birthday": "04-23", "from": AT, "until": "2026-12-01T00:00:00Z", "revision": 2,
    "url": "https://shop.example/hook", "query": "{ partners { code } }",
    "pickupAt": "2026-11-22T13:00:00Z",
}  # fmt: skip
#: Where a purchase's money is asked for, and not a unit of points.
_MONEY = ("PurchasesItemInput", "EditsItemInput", "PayWithPointsInput", "OrderAheadInput")
#: Given although they are optional, for without them little is done.
_WANTED = ("member", "amount", "partner")
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for a text: the operation's kind, the fields that lead to it, and the argument."""

    operation: str
    route: tuple[str, ...]
    argument: tuple[str, ...]
    scalar: str

    def __str__(self) -> str:
        return f"{'.'.join(self.route)}({'.'.join(self.argument)})"


class Operations:
    """All slots of a schema, and what to send to each."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self._made = 0
        self._routes = self._routes_of_types()

    def slots(self) -> Iterator[Slot]:
        """Each once: of the root fields, and of the fields of every type that can be reached."""
        roots = {"query": self.schema.query_type, "mutation": self.schema.mutation_type}
        for kind, root in roots.items():
            for name, field in root.fields.items() if root else ():
                yield from self._of_field(kind, (name,), field)
        for type_name, route in self._routes.items():
            found = self.schema.type_map[type_name]
            assert isinstance(found, GraphQLObjectType)
            for name, field in found.fields.items():
                yield from self._of_field("query", (*route, name), field)

    def _of_field(self, kind: str, route: tuple[str, ...], field: GraphQLField) -> Iterator[Slot]:
        for name, argument in field.args.items():
            for path, scalar in _texts(argument.type, (name,), frozenset()):
                yield Slot(kind, route, path, scalar)

    def _routes_of_types(self) -> dict[str, tuple[str, ...]]:
        """The shortest way from the query to each type of object, by fields that demand little."""
        routes: dict[str, tuple[str, ...]] = {}
        root = self.schema.query_type
        assert root is not None
        waiting: deque[tuple[GraphQLObjectType, tuple[str, ...]]] = deque([(root, ())])
        while waiting:
            parent, route = waiting.popleft()
            for name, field in parent.fields.items():
                found = get_named_type(field.type)
                if not isinstance(found, GraphQLObjectType) or found.name in routes:
                    continue
                if not route and name == "me":
                    continue  # is for members; the probe is an admin
                routes[found.name] = (*route, name)
                waiting.append((found, routes[found.name]))
        return routes

    def may_be_null(self, slot: Slot) -> bool:
        """Whether one of several answers side by side may fail without the others."""
        return not is_non_null_type(self._fields(slot)[0].type)

    def document(self, slot: Slot, count: int) -> tuple[str, str]:
        """An operation that asks `count` times for the slot's root field, and the variables' type.

        The n-th is called `a<n>` and takes its argument from `$v<n>`.
        """
        [argument] = [self._argument(slot)]
        asked = [self._asked(slot, n) for n in range(count)]
        variables = ", ".join(f"$v{n}: {argument.type}" for n in range(count))
        return f"{slot.operation}({variables}) {{ {' '.join(asked)} }}", str(argument.type)

    def _argument(self, slot: Slot) -> GraphQLArgument:
        return self._fields(slot)[-1].args[slot.argument[0]]

    def _fields(self, slot: Slot) -> list[GraphQLField]:
        parent = self.schema.query_type if slot.operation == "query" else self.schema.mutation_type
        fields: list[GraphQLField] = []
        for name in slot.route:
            assert isinstance(parent, GraphQLObjectType)
            fields.append(parent.fields[name])
            found = get_named_type(fields[-1].type)
            parent = found if isinstance(found, GraphQLObjectType) else None
        return fields

    def _asked(self, slot: Slot, number: int) -> str:
        fields = self._fields(slot)
        inner = self._selected(fields[-1].type, slot.operation == "query", 0)
        last = len(fields) - 1
        for place in range(last, -1, -1):
            given = self._given(fields[place], slot.argument[0] if place == last else None, number)
            alias = f"a{number}: " if place == 0 else ""
            inner = f"{alias}{slot.route[place]}{given} {inner}"
            if place:
                inner = f"{{ __typename {inner} }}"
        return inner

    def _given(self, field: GraphQLField, variable: str | None, number: int) -> str:
        texts = [] if variable is None else [f"{variable}: $v{number}"]
        for name, argument in field.args.items():
            if name != variable and (_demanded(argument) or name == "member"):
                literal = ast_from_value(self.usual(argument.type, name), argument.type)
                assert literal is not None
                texts.append(f"{name}: {print_ast(literal)}")
        return f"({', '.join(texts)})" if texts else ""

    def _selected(self, output: GraphQLOutputType, leaves: bool, depth: int) -> str:
        """A selection that shows of a query's answer what is in it, of a change's how it ended."""
        kind = get_named_type(output)
        if isinstance(kind, GraphQLUnionType):
            members = " ".join(
                f"... on {member.name} {self._selected(member, leaves, depth)}"
                for member in kind.types
            )
            return f"{{ __typename {members} }}"
        if isinstance(kind, GraphQLInterfaceType):
            return "{ __typename id }" if "id" in kind.fields else "{ __typename }"
        if not isinstance(kind, GraphQLObjectType):
            return ""
        named = ["__typename"]
        refusal = {"code", "message", "path"} <= set(kind.fields)
        for name, field in kind.fields.items():
            if any(_demanded(argument) for argument in field.args.values()):
                continue
            below = get_named_type(field.type)
            if isinstance(below, GraphQLScalarType | GraphQLEnumType):
                # What a refusal says may repeat the text in another form.
                if (leaves and not refusal) or name in ("code", "path"):
                    # In unions, two types may have one name for unlike things.
                    named.append(f"{kind.name}_{name}: {name}")
            elif depth < _DEEPEST and name in ("edges", "node", "results"):
                named.append(f"{name} {self._selected(field.type, leaves, depth + 1)}")
        return f"{{ {' '.join(named)} }}"

    def value(self, slot: Slot, text: object) -> object:
        """The slot's argument with a text in its place, and round it what is usual."""
        argument = self._argument(slot)
        return self._filled(argument.type, slot.argument[0], slot.argument[1:], text)

    def _filled(
        self, kind: GraphQLInputType, name: str, path: tuple[str, ...], text: object
    ) -> object:
        plain = get_nullable_type(kind)
        if is_list_type(plain):
            return [self._filled(plain.of_type, name, path, text)]
        if not path:
            return text
        assert isinstance(plain, GraphQLInputObjectType)
        inner = self._filled(plain.fields[path[0]].type, path[0], path[1:], text)
        return {**self._beside(plain, path[0]), path[0]: inner}

    def _beside(self, kind: GraphQLInputObjectType, taken: str | None) -> dict[str, object]:
        if kind.is_one_of:
            return {}
        return {
            name: self._known(kind.name, name, field)
            for name, field in kind.fields.items()
            if name != taken and (_demanded(field) or name in _WANTED)
        }

    def _known(self, kind: str, name: str, field: GraphQLInputField) -> object:
        if name == "currency" and kind in _MONEY:
            return "USD"
        return self.usual(field.type, name)

    def usual(self, kind: GraphQLInputType, name: str) -> object:
        """A value that the coalition knows, or that is new where it must be."""
        plain = get_nullable_type(kind)
        if is_list_type(plain):
            return [self.usual(plain.of_type, name)]
        if isinstance(plain, GraphQLInputObjectType):
            if plain.is_one_of:
                first = "card" if "card" in plain.fields else next(iter(plain.fields))
                return {first: self.usual(plain.fields[first].type, first)}
            return self._beside(plain, None)
        if isinstance(plain, GraphQLEnumType):
            return next(iter(plain.values))
        assert isinstance(plain, GraphQLScalarType)
        if name in KNOWN:
            return KNOWN[name]
        self._made += 1
        numbers = {"Int": 1, "BigInt": 1, "Float": 1.0, "Boolean": True, "DateTime": AT}
        return numbers.get(plain.name, f"u{self._made:06}")


def _demanded(given: GraphQLArgument | GraphQLInputField) -> bool:
    return is_non_null_type(given.type) and not _has_default(given)


def _has_default(given: GraphQLArgument | GraphQLInputField) -> bool:
    return given.ast_node is not None and given.ast_node.default_value is not None


def _texts(
    kind: GraphQLInputType, path: tuple[str, ...], within: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    plain = get_named_type(kind)
    if isinstance(plain, GraphQLScalarType):
        if plain.name in TEXTS:
            yield path, plain.name
    elif isinstance(plain, GraphQLInputObjectType) and plain.name not in within:
        for name, field in plain.fields.items():
            yield from _texts(field.type, (*path, name), within | {plain.name})
