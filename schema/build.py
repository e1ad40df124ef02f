"""Joins the nouns to one schema, and refuses a root field that names nobody who may call it.

Knows nothing of HTTP.
"""

from __future__ import annotations

import copy
import time
from functools import cache, partial
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLSchema, lexicographic_sort_schema
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.printer import print_schema
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.base import get_object_definition
from strawberry.types.execution import PreExecutionError

from schema import input_plans
from schema.access import Allow
from schema.activities import ATTRIBUTE_VALUE, ActivityMutations, ActivityQueries, AttributeValue
from schema.adjustments import AdjustmentMutations, AdjustmentQueries
from schema.ahead import AheadMutations, AheadQueries
from schema.assignments import AssignmentMutations
from schema.audit import AuditQueries
from schema.books import BooksQueries
from schema.cards import CardMutations
from schema.colleagues import ColleagueQueries
from schema.data_rules import DataRuleMutations, DataRuleQueries
from schema.deadline import Deadline
from schema.edits import EditMutations
from schema.errors import HANDLERS
from schema.executor import FastExecutor
from schema.exports import ExportMutations
from schema.fairness import FairnessQueries
from schema.fulfilments import FulfilmentMutations, FulfilmentQueries
from schema.gate import MOST_ERRORS, Gate
from schema.giving import GivingMutations, GivingQueries
from schema.inbound import InboundMutations, InboundQueries
from schema.joining import JoiningMutations
from schema.keys import KeyMutations, KeyQueries
from schema.ladders import LadderQueries
from schema.leaving import LeavingMutations
from schema.ledgers import Lot
from schema.lot_moves import LotMoveMutations, LotMoveQueries
from schema.meetup_changes import MeetupMutations
from schema.meetups import MeetupQueries
from schema.members import MemberMutations, MemberQueries
from schema.membership_changes import MembershipMutations
from schema.membership_plans import MembershipPlanQueries
from schema.nodes import NodeQueries
from schema.noted import NoteMutations
from schema.occasions import OccasionMutations, OccasionQueries
from schema.partners import PartnerQueries
from schema.passcodes import PasscodeMutations
from schema.personal import PersonalQueries
from schema.purchases import PurchaseMutations, PurchaseQueries
from schema.rates import RATES, Buckets
from schema.receipts import ReceiptQueries
from schema.recognition_reports import RecognitionReportQueries
from schema.recognitions import RecognitionMutations, RecognitionQueries
from schema.redemptions import RedemptionMutations
from schema.returns import ReturnMutations
from schema.reversals import ReversalMutations
from schema.rewards import RewardQueries
from schema.scalars import SCALARS
from schema.shadows import ShadowMutations
from schema.simulations import SimulationMutations, SimulationQueries
from schema.statistics import StatisticsQueries
from schema.subscriptions import Subscription
from schema.survey_changes import SurveyMutations
from schema.survey_reports import SurveyReportQueries
from schema.surveys import SurveyQueries
from schema.vouchers import VoucherMutations, VoucherQueries
from schema.waiting import WaitingQueries
from schema.webhook_deliveries import WebhookDeliveryMutations, WebhookDeliveryQueries
from schema.webhooks import WebhookMutations, WebhookQueries

#: What the library prints without a description; older tools don't know it of themselves.
_ONE_OF = "directive @oneOf on INPUT_OBJECT"
_ONE_OF_DESCRIBED = f'"""Of the fields of such an input exactly one is given."""\n{_ONE_OF}'


@strawberry.type(description="What can be read.")
class Query(
    MemberQueries,
    PartnerQueries,
    LadderQueries,
    RewardQueries,
    PurchaseQueries,
    ActivityQueries,
    OccasionQueries,
    PersonalQueries,
    AheadQueries,
    ReceiptQueries,
    WaitingQueries,
    VoucherQueries,
    AdjustmentQueries,
    MembershipPlanQueries,
    BooksQueries,
    StatisticsQueries,
    LotMoveQueries,
    DataRuleQueries,
    SimulationQueries,
    FairnessQueries,
    InboundQueries,
    AuditQueries,
    KeyQueries,
    WebhookQueries,
    WebhookDeliveryQueries,
    MeetupQueries,
    SurveyQueries,
    SurveyReportQueries,
    ColleagueQueries,
    GivingQueries,
    RecognitionQueries,
    RecognitionReportQueries,
    FulfilmentQueries,
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
    AheadMutations,
    ReversalMutations,
    VoucherMutations,
    AssignmentMutations,
    AdjustmentMutations,
    MembershipMutations,
    LotMoveMutations,
    DataRuleMutations,
    ShadowMutations,
    SimulationMutations,
    InboundMutations,
    ExportMutations,
    KeyMutations,
    JoiningMutations,
    PasscodeMutations,
    CardMutations,
    LeavingMutations,
    WebhookMutations,
    WebhookDeliveryMutations,
    MeetupMutations,
    SurveyMutations,
    GivingMutations,
    RecognitionMutations,
    FulfilmentMutations,
):
    """Every field names the roles that may call it."""


class Schema(strawberry.Schema):
    """The schema behind its gate. Errors are logged by whoever serves it, each once, not here."""

    gate: Gate

    async def _prepare_operation_async(
        self, context: ExecutionContext, extensions_runner: SchemaExtensionsRunner
    ) -> PreExecutionError | None:
        """The gate in place of strawberry's own parsing and validation, however it is asked.

        Theirs raises past its own sockets where a hook refuses, and answers without a code.
        """
        del extensions_runner
        errors = self.gate.admit(context, self._schema)
        return PreExecutionError(data=None, errors=errors) if errors else None

    def _get_custom_context_kwargs(
        self, operation_extensions: dict[str, Any] | None = None, *, sync: bool = False
    ) -> dict[str, Any]:
        """Errors of variables suggest no names either, and are few: each prints the whole value."""
        given = super()._get_custom_context_kwargs(operation_extensions, sync=sync)
        return {**given, "hide_suggestions": True, "max_coercion_errors": MOST_ERRORS}

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


input_plans.install()


@cache
def _whole() -> Schema:
    """Made once in a process: it takes longer than most requests, and nothing in it changes."""
    for root in (Query, Mutation, Subscription):
        check_access(root)
    return Schema(
        Query,
        Mutation,
        Subscription,
        types=[Lot],
        exception_handlers=HANDLERS,
        execution_context_class=FastExecutor,
        config=StrawberryConfig(
            scalar_map={**SCALARS, AttributeValue: ATTRIBUTE_VALUE},
            disable_field_suggestions=True,
        ),
    )


def build_schema(gate: Gate | None = None, *, query_timeout: float = 10.0) -> Schema:
    """The schema of the application, behind a gate of its own unless one is handed in.

    A query is given up after `query_timeout` seconds.
    """
    schema = copy.copy(_whole())
    # What resolvers are told to be the schema is this one, with its gate; the types are shared.
    schema._schema = _twin(schema._schema)
    schema._schema._strawberry_schema = schema  # type: ignore[attr-defined]  # strawberry's own way
    schema.extensions = (partial(Deadline, query_timeout),)
    schema.gate = gate or Gate(Buckets(RATES, time.monotonic))
    return schema


def _twin(schema: GraphQLSchema) -> GraphQLSchema:
    """The same schema as another object; its own way of copying makes every type anew."""
    twin = object.__new__(type(schema))
    twin.__dict__.update(schema.__dict__)
    return twin


def check_access(root: type) -> None:
    """Raise TypeError for a root field without a rule of access: the default is to deny."""
    for field in get_object_definition(root, strict=True).fields:
        if not any(isinstance(extension, Allow) for extension in field.extensions):
            raise TypeError(f"{root.__name__}.{field.python_name} says nobody who may call it")
