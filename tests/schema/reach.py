"""What each kind of caller can reach in the schema, field by field, reckoned from its rules alone.

A field further in is read by whoever may read the object that it belongs to: so a caller reaches
what its root fields lead to. Prints the table that `access_fields.txt` keeps. Holds no test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)
from strawberry.types.field import StrawberryField

from schema.access import SCOPES, STAFF_ROLES, Allow
from schema.build import build_schema
from schema.context import ANONYMOUS, Viewer
from schema.nodes import KINDS

CALLERS: Mapping[str, Viewer] = {
    "stranger": ANONYMOUS,
    "newcomer": Viewer("member", subject="x"),
    "member": Viewer("member", holder=1),
    "partner": Viewer("partner", partner="grocer", scopes=frozenset(SCOPES)),
    **{role: Viewer("admin", subject="x", staff=frozenset({role})) for role in STAFF_ROLES},
}


def schema() -> GraphQLSchema:
    """The schema as it is executed."""
    return build_schema()._schema


def rule_of(field: GraphQLField) -> Allow | None:
    """The rule that a field carries itself."""
    definition = (field.extensions or {}).get("strawberry-definition")
    assert isinstance(definition, StrawberryField)
    return next((e for e in definition.extensions if isinstance(e, Allow)), None)


def _roots(whole: GraphQLSchema) -> list[GraphQLObjectType]:
    found = (whole.query_type, whole.mutation_type, whole.subscription_type)
    return [root for root in found if root is not None]


def _leads_to(whole: GraphQLSchema, field: GraphQLField, viewer: Viewer) -> Iterator[str]:
    kind = get_named_type(field.type)
    if isinstance(kind, GraphQLUnionType):
        yield from (member.name for member in kind.types)
    elif isinstance(kind, GraphQLInterfaceType):
        for found in whole.get_possible_types(kind):
            if kind.name != "Node" or KINDS[found.name].rule.admits(viewer):
                yield found.name
    elif isinstance(kind, GraphQLObjectType):
        yield kind.name


def reached(whole: GraphQLSchema, viewer: Viewer) -> set[str]:
    """The fields that a caller can reach, as `Type.field`."""
    fields: set[str] = set()
    types = {root.name for root in _roots(whole)}
    coming = sorted(types)
    while coming:
        name = coming.pop()
        kind = whole.type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        for called, field in kind.fields.items():
            rule = rule_of(field) if name in {r.name for r in _roots(whole)} else _own(field)
            if rule is not None and not rule.rule.admits(viewer):
                continue
            fields.add(f"{name}.{called}")
            for next_ in _leads_to(whole, field, viewer):
                if next_ not in types:
                    types.add(next_)
                    coming.append(next_)
    return fields


def _own(field: GraphQLField) -> Allow | None:
    definition = (field.extensions or {}).get("strawberry-definition")
    return rule_of(field) if isinstance(definition, StrawberryField) else None


def every_field(whole: GraphQLSchema) -> set[str]:
    """All fields of all object types, introspection's own aside."""
    return {
        f"{kind.name}.{field}"
        for kind in whole.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__")
        for field in kind.fields
    }


def table() -> str:
    """A line for each field: who reaches it."""
    whole = schema()
    by_caller = {name: reached(whole, viewer) for name, viewer in CALLERS.items()}
    lines = []
    for field in sorted(every_field(whole)):
        who = " ".join(name for name, fields in by_caller.items() if field in fields)
        lines.append(f"{field}: {who}".rstrip())
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
