"""What a document may ask for, in one linear pass before it is validated and run.

A page inside a page multiplies: the cost of a field is one and its children's, times the page it
asks for. Fragments are reckoned once each, so no nesting of them can cost more than their length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from strawberry.extensions import SchemaExtension

#: Nodes that one document may ask for: a hundred members with all they have, and then some.
MOST_NODES = 100_000
_DEFAULT_PAGE = 20
# Python refuses to read a number of more digits than this in linear time, and nobody means one.
_LONG_NUMBER = re.compile(r"[0-9]{400}")


class _Reckoner:
    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._fragments = {
            d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
        }
        self._known: dict[str, int] = {}

    def cost(self, selected: SelectionSetNode | None) -> int:
        """What a selection may bring, in nodes; never reckoned beyond the limit."""
        total = 0
        for node in selected.selections if selected else ():
            if isinstance(node, FieldNode):
                total += 1 + self._page(node) * self.cost(node.selection_set)
            elif isinstance(node, InlineFragmentNode):
                total += self.cost(node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                total += self._fragment(node.name.value)
            if total > MOST_NODES:
                return MOST_NODES + 1
        return total

    def _fragment(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = 0  # a fragment within itself: validation refuses it
            found = self._fragments.get(name)
            self._known[name] = self.cost(found.selection_set) if found else 0
        return self._known[name]

    def _page(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                if isinstance(value, IntValueNode):
                    return max(1, int(value.value[:9]))
                if isinstance(value, VariableNode):
                    given = self._variables.get(value.name.value)
                    return max(1, given) if isinstance(given, int) else _DEFAULT_PAGE
        children = node.selection_set.selections if node.selection_set else ()
        paged = any(isinstance(c, FieldNode) and c.name.value == "edges" for c in children)
        return _DEFAULT_PAGE if paged else 1


def cost_of(document: DocumentNode, variables: Mapping[str, Any]) -> int:
    """The nodes that the dearest operation of a document may ask for."""
    reckoner = _Reckoner(document, variables)
    return max(
        (
            reckoner.cost(d.selection_set)
            for d in document.definitions
            if isinstance(d, OperationDefinitionNode)
        ),
        default=0,
    )


class LongNumbers(SchemaExtension):
    """Stands before the parser's cache."""

    def on_parse(self) -> Iterator[None]:
        """A number that Python would stumble over is refused as the document's fault."""
        if _LONG_NUMBER.search(self.execution_context.query or ""):
            self.execution_context.query = "# a number of 400 digits or more is no number here"
        yield


class Cost(SchemaExtension):
    """Refuses what would take too long; stands after the validation's cache."""

    def on_validate(self) -> Iterator[None]:
        """Before anything is read."""
        context = self.execution_context
        document = context.graphql_document
        if document is not None and cost_of(document, context.variables or {}) > MOST_NODES:
            dear = GraphQLError(f"this asks for more than {MOST_NODES} nodes: take smaller pages")
            context.pre_execution_errors = [*(context.pre_execution_errors or ()), dear]
        yield
