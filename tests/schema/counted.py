"""Which lists of the schema may cost a statement for each row, and which operations ask for.

By introspection, so that a list that is new is found. Holds no assertion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_list_type,
    is_object_type,
    parse,
    visit,
)


def _resolver(field: GraphQLField) -> str | None:
    """The function that waits for what a field answers, by its name; None: nothing waits."""
    made_of = field.extensions.get("strawberry-definition")
    if made_of is None or made_of.base_resolver is None or not made_of.is_async:
        return None
    function = made_of.base_resolver.wrapped_func
    return f"{function.__module__}.{function.__qualname__}"


def _objects(schema: GraphQLSchema, kind: GraphQLNamedType) -> list[GraphQLObjectType]:
    if is_abstract_type(kind):
        return list(schema.get_possible_types(kind))
    return [kind] if is_object_type(kind) else []


def _asks(schema: GraphQLSchema, kind: GraphQLNamedType, seen: set[str]) -> bool:
    """Whether an object, or one in it that is there with it, has a field that waits."""
    for object_ in _objects(schema, kind):
        if object_.name in seen:
            continue
        seen.add(object_.name)
        for field in object_.fields.values():
            if _resolver(field) or _asks(schema, get_named_type(field.type), seen):
                return True
    return False


def lists(schema: GraphQLSchema) -> dict[str, set[str]]:
    """The lists whose rows have fields that wait: by what resolves them, the fields' names."""
    found: dict[str, set[str]] = {}
    for kind in schema.type_map.values():
        if not is_object_type(kind) or kind.name.startswith("__"):
            continue
        for name, field in kind.fields.items():
            named = get_named_type(field.type)
            listed = is_list_type(get_nullable_type(field.type))
            if not listed and not named.name.endswith("Connection"):
                continue
            if kind.name.endswith("Connection") or not _asks(schema, named, set()):
                continue
            key = _resolver(field) or f"{kind.name}.{name}"
            found.setdefault(key, set()).add(f"{kind.name}.{name}")
    return found


class _Fields(Visitor):
    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.names: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent = self.info.get_parent_type()
        assert parent is not None
        self.names.add(f"{parent.name}.{node.name.value}")


def asked_for(schema: GraphQLSchema, operations: Iterable[str]) -> Iterator[str]:
    """The fields that operations ask for, as `Type.field`."""
    for operation in operations:
        info = TypeInfo(schema)
        seen = _Fields(info)
        visit(parse(operation), TypeInfoVisitor(info, seen))
        yield from seen.names
