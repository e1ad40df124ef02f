"""Joins the nouns to one schema, and refuses a root field that names nobody who may call it.

Knows nothing of HTTP.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import strawberry
from graphql import GraphQLError, OperationDefinitionNode, lexicographic_sort_schema
from strawberry.extensions import (
    MaxTokensLimiter,
    ParserCache,
    SchemaExtension,
    ValidationCache,
)
from strawberry.printer import print_schema
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.base import get_object_definition

from schema.access import Allow
from schema.activities import ATTRIBUTE_VALUE, ActivityMutations, ActivityQueries, AttributeValue
from schema.adjustments import AdjustmentMutations, AdjustmentQueries
from schema.assignments import AssignmentMutations
from schema.audit import AuditQueries
from schema.books import BooksQueries
from schema.data_rules import DataRuleMutations, DataRuleQueries
from schema.edits import EditMutations
from schema.errors import HANDLERS
from schema.exports import ExportMutations
from schema.inbound import InboundMutations, InboundQueries
from schema.joining import JoiningMutations
from schema.keys import KeyMutations, KeyQueries
from schema.ladders import LadderQueries
from schema.ledgers import Lot
from schema.limits import Cost, LongNumbers
from schema.lot_moves import LotMoveMutations, LotMoveQueries
from schema.members import MemberMutations, MemberQueries
from schema.nodes import NodeQueries
from schema.noted import NoteMutations
from schema.occasions import OccasionMutations, OccasionQueries
from schema.partners import PartnerQueries
from schema.purchases import PurchaseMutations, PurchaseQueries
from schema.receipts import ReceiptQueries
from schema.redemptions import RedemptionMutations
from schema.returns import ReturnMutations
from schema.reversals import ReversalMutations
from schema.rewards import RewardQueries
from schema.scalars import SCALARS
from schema.shadows import ShadowMutations
from schema.simulations import SimulationMutations, SimulationQueries
from schema.subscriptions import Subscription
from schema.vouchers import VoucherMutations, VoucherQueries
from schema.waiting import WaitingQueries
from schema.webhook_deliveries import WebhookDeliveryMutations, WebhookDeliveryQueries
from schema.webhooks import WebhookMutations, WebhookQueries

#: What the library prints without a description; older tools don't know it of themselves.
_ONE_OF = "directive @oneOf on INPUT_OBJECT"
_ONE_OF_DESCRIBED = f'"""Of the fields of such an input exactly one is given."""\n{_ONE_OF}'

#: More than any page of ours needs; inputs come as variables, which count nothing.
MOST_TOKENS = 2000


@strawberry.type(description="What can be read.")
class Query(
    MemberQueries,
    PartnerQueries,
    LadderQueries,
    RewardQueries,
    PurchaseQueries,
    ActivityQueries,
    OccasionQueries,
    ReceiptQueries,
    WaitingQueries,
    VoucherQueries,
    AdjustmentQueries,
    BooksQueries,
    LotMoveQueries,
    DataRuleQueries,
    SimulationQueries,
    InboundQueries,
    AuditQueries,
    KeyQueries,
    WebhookQueries,
    WebhookDeliveryQueries,
    NodeQueries,
):
    """Every field names the roles that may ask it."""


@strawberry.type(description="What can be changed. Every field may be null: see its errors.")
class Mutation(
    MemberMutations,
    PurchaseMutations,
    ActivityMutations,
    NoteMutations,
    OccasionMutations,
    ReturnMutations,
    EditMutations,
    RedemptionMutations,
    ReversalMutations,
    VoucherMutations,
    AssignmentMutations,
    AdjustmentMutations,
    LotMoveMutations,
    DataRuleMutations,
    ShadowMutations,
    SimulationMutations,
    InboundMutations,
    ExportMutations,
    KeyMutations,
    JoiningMutations,
    WebhookMutations,
    WebhookDeliveryMutations,
):
    """Every field names the roles that may call it."""


class Schema(strawberry.Schema):
    """The schema. Errors are logged by whoever serves it, each once, not here."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Nothing: strawberry would log a traceback for every refusal."""
        del errors, execution_context

    def as_str(self) -> str:
        """The SDL in alphabetical order.

        Not `sort_schema`: it executes on a sorted copy, in which strawberry 0.341 finds no union's
        members ("not in the list of the types of the union").
        """
        twin = copy.copy(self)
        twin._schema = lexicographic_sort_schema(self._schema)
        return print_schema(twin).replace(_ONE_OF, _ONE_OF_DESCRIBED, 1)


class OneOperation(SchemaExtension):
    """Asks which operation is meant where a document holds several; strawberry runs the first."""

    def on_validate(self) -> Iterator[None]:
        """After the cache, which sets the errors anew."""
        context = self.execution_context
        document = context.graphql_document
        if document is not None and context._provided_operation_name is None:
            kinds = [type(definition) for definition in document.definitions]
            if kinds.count(OperationDefinitionNode) > 1:
                unclear = GraphQLError("say by operationName which operation is meant")
                context.pre_execution_errors = [*(context.pre_execution_errors or ()), unclear]
        yield


def _tokens() -> MaxTokensLimiter:
    return MaxTokensLimiter(MOST_TOKENS)


def build_schema() -> strawberry.Schema:
    """The schema of the application."""
    for root in (Query, Mutation, Subscription):
        check_access(root)
    return Schema(
        Query,
        Mutation,
        Subscription,
        types=[Lot],
        extensions=[LongNumbers, _tokens, ParserCache, ValidationCache, OneOperation, Cost],
        exception_handlers=HANDLERS,
        config=StrawberryConfig(
            scalar_map={**SCALARS, AttributeValue: ATTRIBUTE_VALUE},
            disable_field_suggestions=True,
        ),
    )


def check_access(root: type) -> None:
    """Raise TypeError for a root field without a rule of access: the default is to deny."""
    for field in get_object_definition(root, strict=True).fields:
        if not any(isinstance(extension, Allow) for extension in field.extensions):
            raise TypeError(f"{root.__name__}.{field.python_name} says nobody who may call it")
