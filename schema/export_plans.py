"""From a document that asks for one connection to the document that asks for its next page.

On the way from the root to the connection stands one field after the other, and no list: so there
is one connection, and nothing beside it that would be read again with each page and thrown away.
Knows the schema's types, and nothing of who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    IntValueNode,
    NamedTypeNode,
    NameNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    parse,
    print_ast,
)

from core.errors import BadInput
from core.store.exports import MOST_QUERY
from schema.paging import MOST

#: The variable of the rewritten document that says after which row the page begins.
AFTER = "exportAfter"
#: Of the document; its copy has a few more.
_MOST_TOKENS = 1500


@dataclass(frozen=True, slots=True)
class Plan:
    """A document for one page, and under which names of an answer the connection lies."""

    query: str
    path: tuple[str, ...]


def plan(schema: GraphQLSchema, query: str) -> Plan:
    """How the connection that a document asks for is read page by page. Raises BadInput."""
    if not 1 <= len(query) <= MOST_QUERY:
        raise BadInput(f"a query has 1 to {MOST_QUERY} characters", "query")
    try:
        document = parse(query, no_location=True, max_tokens=_MOST_TOKENS)
    except GraphQLSyntaxError as error:
        raise BadInput(error.message, "query") from None
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
        raise BadInput("an export is of one query", "query")
    [operation] = operations
    _plain(operation.directives)
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }
    way = _Way(fragments)
    way.walk(schema, operation.selection_set)
    operation = replace(
        operation,
        selection_set=way.rebuilt(),
        variable_definitions=(*(operation.variable_definitions or ()), _AFTER_IS_A_TEXT),
    )
    kept = _reached(operation, way.fragments)
    return Plan(print_ast(DocumentNode(definitions=(operation, *kept))), tuple(way.names))


@dataclass
class _Way:
    """The fields and fragments from the root to the connection, which is the last."""

    fragments: Mapping[str, FragmentDefinitionNode]
    steps: list[FieldNode | InlineFragmentNode] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def walk(self, schema: GraphQLSchema, selected: SelectionSetNode | None) -> None:
        """Follow the only selection of each level down to a connection."""
        parent: GraphQLNamedType | None = schema.query_type
        entered: set[str] = set()
        while True:
            if selected is None or len(selected.selections) != 1:
                raise BadInput(
                    "an export asks for one connection, and for nothing beside it", "query"
                )
            [node] = selected.selections
            if isinstance(node, FragmentSpreadNode):
                node = self._inlined(node, entered)
            if isinstance(node, InlineFragmentNode):
                if node.type_condition is not None:
                    parent = schema.get_type(node.type_condition.name.value)
            else:
                assert isinstance(node, FieldNode)
                asked = _field(parent, node)
                self.names.append((node.alias or node.name).value)
                if _is_connection(asked):
                    self.steps.append(_paged(node))
                    return
                parent = get_named_type(asked.type)
            _plain(node.directives)
            self.steps.append(node)
            selected = node.selection_set

    def _inlined(self, spread: FragmentSpreadNode, entered: set[str]) -> InlineFragmentNode:
        name = spread.name.value
        found = self.fragments.get(name)
        if found is None or name in entered:
            raise BadInput(f"the fragment {name} leads nowhere", "query")
        entered.add(name)
        _plain((*(spread.directives or ()), *(found.directives or ())))
        return InlineFragmentNode(
            type_condition=found.type_condition, directives=(), selection_set=found.selection_set
        )

    def rebuilt(self) -> SelectionSetNode:
        """The same way, with the connection as a page of it is asked for."""
        inner: SelectionNode = self.steps[-1]
        for step in reversed(self.steps[:-1]):
            inner = replace(step, selection_set=SelectionSetNode(selections=(inner,)))
        return SelectionSetNode(selections=(inner,))


def _field(parent: GraphQLNamedType | None, node: FieldNode) -> GraphQLField:
    name = node.name.value
    found: GraphQLField | None = None
    if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
        found = parent.fields.get(name)
    if found is None:
        raise BadInput(f"there is no field {name} at this place", "query")
    if is_list_type(get_nullable_type(found.type)):
        raise BadInput(
            f"{name} is a list: export a connection of one of its items by node(id:)", "query"
        )
    return found


def _is_connection(asked: GraphQLField) -> bool:
    named = get_named_type(asked.type)
    return (
        isinstance(named, GraphQLObjectType)
        and {"edges", "pageInfo"} <= set(named.fields)
        and {"first", "after"} <= set(asked.args)
    )


def _paged(node: FieldNode) -> FieldNode:
    """The connection's field with a cursor, and with the place where the next page begins."""
    _plain(node.directives)
    given = {argument.name.value: argument for argument in node.arguments or ()}
    if "after" in given:
        raise BadInput("where to begin is said by the URL: leave `after` out", "query")
    given.setdefault("first", _argument("first", IntValueNode(value=str(MOST))))
    given["after"] = _argument("after", VariableNode(name=NameNode(value=AFTER)))
    edges = _only(node.selection_set, "edges", "pageInfo")
    found = _only(edges.selection_set, "node", "cursor")
    asked = _select(
        _named("edges", _named("cursor"), found),
        _named("pageInfo", _named("hasNextPage")),
    )
    return replace(node, arguments=tuple(given.values()), selection_set=asked)


def _only(selected: SelectionSetNode | None, wanted: str, *beside: str) -> FieldNode:
    """The one field of this name; beside it only what is asked for anyway."""
    found: list[FieldNode] = []
    for node in selected.selections if selected else ():
        if not isinstance(node, FieldNode) or node.alias is not None:
            found = []
            break
        if node.name.value == wanted:
            found.append(node)
        elif node.name.value not in (*beside, "__typename"):
            found = []
            break
    if len(found) != 1:
        raise BadInput("the connection to export is asked for as edges { node { … } }", "query")
    _plain(found[0].directives)
    return found[0]


def _plain(directives: Iterable[DirectiveNode] | None) -> None:
    if tuple(directives or ()):
        raise BadInput("no directive stands on the way to the connection", "query")


def _reached(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> list[FragmentDefinitionNode]:
    """The fragments that the operation still uses: others would be refused as unused."""
    reached: dict[str, FragmentDefinitionNode] = {}
    waiting: list[Node] = [operation]
    while waiting:
        selected: SelectionSetNode | None = getattr(waiting.pop(), "selection_set", None)
        for node in selected.selections if selected else ():
            if isinstance(node, FragmentSpreadNode):
                found = fragments.get(node.name.value)
                if found is not None and node.name.value not in reached:
                    reached[node.name.value] = found
                    waiting.append(found)
            else:
                waiting.append(node)
    return list(reached.values())


def _argument(name: str, value: IntValueNode | VariableNode) -> ArgumentNode:
    return ArgumentNode(name=NameNode(value=name), value=value)


def _named(name: str, *fields: FieldNode) -> FieldNode:
    selected = _select(*fields) if fields else None
    return FieldNode(name=NameNode(value=name), selection_set=selected)


def _select(*fields: FieldNode) -> SelectionSetNode:
    return SelectionSetNode(selections=fields)


_AFTER_IS_A_TEXT = VariableDefinitionNode(
    variable=VariableNode(name=NameNode(value=AFTER)),
    type=NamedTypeNode(name=NameNode(value="String")),
)
