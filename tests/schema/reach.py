"""What each kind of caller can reach in the schema, field by field, reckoned from its rules alone.

A field further in is read by whoever may read the object that it belongs to: so a caller reaches
what its root fields lead to. Of a partner the scopes are named, too, each of which alone leads
there: `partner[any]` is a key of whatever scope, `partner[together]` one that needs several.
Whether an object is handed out by a field's code is seen for those of HANDED_OUT alone; what else
a single scope is told is tried over HTTP in `test_scopes`. Prints the table that
`access_fields.txt` keeps. Holds no test.
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

from schema.access import Allow
from schema.build import build_schema
from schema.context import ANONYMOUS, Viewer
from schema.nodes import KINDS
from schema.roles import SCOPES, STAFF_ROLES

CALLERS: Mapping[str, Viewer] = {
    "stranger": ANONYMOUS,
    "newcomer": Viewer("member", subject="x"),
    "member": Viewer("member", holder=1),
    "partner": Viewer("partner", partner="grocer", scopes=frozenset(SCOPES)),
    **{role: Viewer("admin", subject="x", staff=frozenset({role})) for role in STAFF_ROLES},
}

#: A key of each scope alone.
SCOPED: Mapping[str, Viewer] = {
    scope: Viewer("partner", partner="grocer", scopes=frozenset({scope})) for scope in SCOPES
}
#: Wherever a field hands out one of these, its code asks what `node` asks: `visible_purchase` and
#: `may_see` do. Not where somebody has just been enrolled.
HANDED_OUT, UNASKED = frozenset({"Purchase", "Member"}), frozenset({"MemberEnrolled.member"})


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


def _leads_to(
    whole: GraphQLSchema, place: str, field: GraphQLField, viewer: Viewer
) -> Iterator[str]:
    kind = get_named_type(field.type)
    if isinstance(kind, GraphQLUnionType):
        yield from (member.name for member in kind.types)
    elif isinstance(kind, GraphQLInterfaceType):
        for found in whole.get_possible_types(kind):
            if kind.name != "Node" or _shown(found.name, viewer):
                yield found.name
    elif isinstance(kind, GraphQLObjectType) and (
        viewer.role != "partner"
        or kind.name not in HANDED_OUT
        or place in UNASKED
        or _shown(kind.name, viewer)
    ):
        yield kind.name


def _shown(kind: str, viewer: Viewer) -> bool:
    return KINDS[kind].rule.admits(viewer)


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
            for next_ in _leads_to(whole, f"{name}.{called}", field, viewer):
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
    by_scope = {name: reached(whole, viewer) for name, viewer in SCOPED.items()}
    lines = []
    for field in sorted(every_field(whole)):
        alone = [scope for scope, fields in by_scope.items() if field in fields]
        scopes = "any" if len(alone) == len(SCOPED) else " ".join(alone) or "together"
        who = (name for name, fields in by_caller.items() if field in fields)
        told = " ".join(f"partner[{scopes}]" if name == "partner" else name for name in who)
        lines.append(f"{field}: {told}".rstrip())
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
