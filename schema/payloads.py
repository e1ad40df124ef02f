"""What a partner is told by webhook: the answer of a query of its own, run as the partner itself.

The query is checked when it is saved and asked anew each time something is sent. Knows nothing of
when that is, nor of HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    parse,
    print_ast,
    visit,
)
from strawberry import relay
from strawberry.types.field import StrawberryField

from core.errors import BadInput
from core.events import EventKind
from core.posting import Engine
from core.sender import Payload
from core.store.webhook_deliveries import Claimed
from core.webhooks import OF_SURVEYS
from schema.access import Allow
from schema.context import Context, Viewer
from schema.gate import checked
from schema.ids import holder_id
from schema.limits import Limits, Measuring
from schema.masking import shown
from schema.roles import SCOPES

#: What a query may ask to be told of the change that it is run for.
VARIABLES = ("member", "purchase", "redemption", "invitation")
#: A query may ask for as much as it could over HTTP.
_LIMITS = Limits()
#: Seconds that a query may take.
_LONGEST = 10.0


def viewer_of(partner: str, scopes: frozenset[str], endpoint: int = 0) -> Viewer:
    """As whom a partner's query runs."""
    held = frozenset(scope for scope in SCOPES if scope in scopes)
    return Viewer("partner", partner=partner, subject=f"webhook {endpoint}", scopes=held)


def check_query(schema: strawberry.Schema, viewer: Viewer, text: str) -> None:
    """Raise BadInput unless this is one query that this viewer may ask, with variables of ours."""
    try:
        document = parse(text, no_location=True, max_tokens=_LIMITS.tokens)
    except GraphQLError as error:
        raise BadInput(f"query: {error.message}", "query") from None
    operation = _check_shape(document)
    graphql: GraphQLSchema = schema._schema
    try:
        Measuring(graphql, document, {}).operation(operation).check(_LIMITS, _LIMITS.cost)
    except GraphQLError as error:
        raise BadInput(f"query: {error.message}", "query") from None
    if errors := checked(graphql, document):
        raise BadInput(f"query: {errors[0].message}", "query")
    types = TypeInfo(graphql)
    visit(document, TypeInfoVisitor(types, _Rules(types, viewer)))


def _check_shape(document: DocumentNode) -> OperationDefinitionNode:
    kinds = (OperationDefinitionNode, FragmentDefinitionNode)
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if len(operations) != 1 or not all(isinstance(d, kinds) for d in document.definitions):
        raise BadInput("query: one query is wanted, with its fragments", "query")
    [operation] = operations
    if operation.operation is not OperationType.QUERY:
        raise BadInput("query: it only reads: a query is wanted", "query")
    for variable in operation.variable_definitions or ():
        name, kind = variable.variable.name.value, print_ast(variable.type)
        if name not in VARIABLES or kind not in ("ID", "ID!"):
            known = ", ".join(f"${known}: ID" for known in VARIABLES)
            raise BadInput(f"query: ${name}: {kind} isn't among its variables: {known}", "query")
    return operation


class _Rules(Visitor):
    """Asks every field that has a rule of access whether the viewer is let in."""

    def __init__(self, types: TypeInfo, viewer: Viewer) -> None:
        super().__init__()
        self._types, self._viewer = types, viewer

    def enter_field(self, node: FieldNode, *_: object) -> None:
        """Raise BadInput for one that isn't open."""
        found = self._types.get_field_def()
        field = (found.extensions if found else {}).get("strawberry-definition")
        if not isinstance(field, StrawberryField):
            return
        for extension in field.extensions:
            if isinstance(extension, Allow) and not extension.rule.admits(self._viewer):
                raise BadInput(
                    f"query: {node.name.value} isn't open to it. {extension.rule.words}", "query"
                )


@lru_cache(maxsize=1000)
def _needed(text: str) -> frozenset[str]:
    """The variables without which a query can't be asked."""
    document = parse(text, no_location=True)
    return frozenset(
        variable.variable.name.value
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode)
        for variable in definition.variable_definitions or ()
        if isinstance(variable.type, NonNullTypeNode) and variable.default_value is None
    )


async def find(
    schema: strawberry.Schema, engine: Engine, clock: Callable[[], datetime], claimed: Claimed
) -> Payload:
    """What a delivery tells: by its endpoint's query, run with the permissions it was saved with.

    Without a query, or where the change lacks what the query needs, the ids of what it is about.
    Raises LookupError where the partner's plugin isn't installed.
    """
    partner = engine.rulebook.partner_by_id(claimed.partner)
    if partner is None:
        raise LookupError(f"partner {claimed.partner} isn't installed")
    viewer = viewer_of(partner.code, frozenset(claimed.scopes), claimed.endpoint)
    context = Context(engine, viewer, clock, ours=True)
    ids = _ids(context, claimed)
    if claimed.query is None or any(ids[name] is None for name in _needed(claimed.query)):
        return Payload(ids, None)
    known = {name: value for name, value in ids.items() if value is not None}
    async with asyncio.timeout(_LONGEST):
        result = await schema.execute(claimed.query, variable_values=known, context_value=context)
    found: dict[str, Any] = {"data": getattr(result, "data", None)}
    if result.errors:
        found["errors"] = [shown(error) for error in result.errors]
    return Payload(ids, found)


def _ids(context: Context, claimed: Claimed) -> dict[str, Any]:
    """The ids of what a change is about, as the partner is told them."""
    member, redemption = None, None
    if claimed.holder is not None:
        member = holder_id(context, "Member", str(claimed.holder))
        if claimed.redemption is not None:
            key = f"{claimed.holder}.{claimed.redemption}"
            redemption = holder_id(context, "Redemption", key)
    bought = claimed.event if claimed.kind == EventKind.PURCHASE else claimed.purchase
    purchase = None if bought is None else str(relay.GlobalID("Purchase", str(bought)))
    invitation = None
    if claimed.event is not None and not OF_SURVEYS.isdisjoint(claimed.topics):
        key = f"{claimed.holder}.{abs(claimed.event)}"
        invitation = holder_id(context, "SurveyInvitation", key)
    return {
        "member": member, "purchase": purchase, "redemption": redemption, "invitation": invitation,
    }  # fmt: skip
