"""The one gate before an operation runs, over HTTP and sockets alike.

Finds the document, parses it, measures it against the limits, validates it, and charges its cost to
the caller: in that order, each step bounded. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from math import ceil
from typing import Any, TypeVar

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.validate import ValidationAbortedError
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

from schema.context import Context
from schema.documents import Documents
from schema.limits import Asked, Limits, Measuring, Usage, given_to, weight
from schema.rates import Buckets, Taken
from schema.refusals import coded, refusal

T = TypeVar("T")
#: Errors that one answer tells: whoever reads them mends one at a time.
MOST_ERRORS = 5
#: Characters of documents that are kept parsed and validated; each takes some hundred times more.
_MOST_KEPT = 500_000
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
# Python refuses to read a number of more digits than this in linear time, and nobody means one.
_LONG_NUMBER = re.compile(r"[0-9]{400}")
#: Costs of one document that are kept, by the variables that matter.
_MOST_COSTS = 32


@dataclass(slots=True)
class Prepared:
    """A document that parsed; `valid` once it was validated."""

    text: str
    document: DocumentNode
    valid: bool = False
    #: By operation's name: the variables that matter, then what it asks for by their weights.
    matter: dict[str | None, tuple[tuple[str, Usage], ...]] = field(default_factory=dict)
    asked: dict[tuple[Any, ...], Asked] = field(default_factory=dict)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The one that is meant. Raises GraphQLError where that isn't clear."""
        found = [d for d in self.document.definitions if isinstance(d, OperationDefinitionNode)]
        if name is not None:
            found = [d for d in found if d.name is not None and d.name.value == name]
            if not found:
                raise refusal(
                    "OPERATION_RESOLUTION_FAILURE", "no operation of this document has that name"
                )
        elif len(found) > 1:
            raise refusal(
                "OPERATION_RESOLUTION_FAILURE", "say by operationName which operation is meant"
            )
        if not found:
            raise refusal("OPERATION_RESOLUTION_FAILURE", "the document holds no operation")
        return found[0]


class Gate:
    """The limits of one application, and what it remembers of documents and callers."""

    def __init__(
        self, buckets: Buckets, *, limits: Limits | None = None, documents: Documents | None = None
    ) -> None:
        self.buckets = buckets
        self.limits = limits or Limits()
        self.documents = Documents() if documents is None else documents
        #: How often something was parsed, measured or validated, for tests: caches save these.
        self.parsed = self.measured = self.validated = 0
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._characters = 0

    def admit(self, asked: ExecutionContext, schema: GraphQLSchema) -> list[GraphQLError]:
        """Let an operation through, its document and state of cost noted; or say why not."""
        context: Context = asked.context
        query, name = asked.query, asked._provided_operation_name
        # Whoever has nothing left is refused before anything is read.
        begun = self._take(asked, 1)
        if begun.wait:
            self._note(asked, begun, 1)
            return [_come_again(begun)]
        try:
            free = context.ours or context.viewer.role == "admin"
            text = self.documents.text(query, asked.operation_extensions, free=free)
            prepared = self._prepared(text)
            operation = prepared.operation(name)
            _check_kind(operation, asked.allowed_operations)
            given = given_to(operation, asked.variables or {})
            wanted = self._measured(prepared, operation, given, schema)
            if wanted.introspects and context.viewer.role == "anonymous":
                raise refusal("UNAUTHENTICATED", "the schema is shown to those with a token")
            wanted.check(self.limits, min(self.limits.cost, begun.rate.size))
            if errors := self._validate(prepared, schema):
                return self._refused(asked, errors)
        except GraphQLError as error:
            return self._refused(asked, [error])
        self.documents.register(query, asked.operation_extensions)
        asked.graphql_document = prepared.document
        return self._charge(asked, wanted.cost)

    async def paid(
        self, context: Context, results: AsyncGenerator[T, None]
    ) -> AsyncGenerator[T, None]:
        """The results of an operation that was admitted, each after the first paid for too.

        Whoever has nothing left is told the next one later: of what is followed, the newest then.
        """
        first = True
        async with aclosing(results):
            async for result in results:
                yield result
                cost = 0 if first else _cost_of(result)
                first = False
                taken = self.buckets.take(context.viewer, context.address, cost)
                if taken.wait:
                    await asyncio.sleep(taken.wait)
                    self.buckets.take(context.viewer, context.address, cost, whole=False)

    def _refused(self, asked: ExecutionContext, errors: list[GraphQLError]) -> list[GraphQLError]:
        """What was refused was read, which costs by its length; there is no answer to pay for."""
        length = len(asked.query or "")
        self._note(asked, self._take(asked, length // 20, whole=False), 1 + length // 20)
        return errors[:MOST_ERRORS]

    def _charge(self, asked: ExecutionContext, cost: int) -> list[GraphQLError]:
        taken = self._take(asked, cost - 1)
        self._note(asked, taken, cost)
        return [_come_again(taken)] if taken.wait else []

    def _take(self, asked: ExecutionContext, cost: int, *, whole: bool = True) -> Taken:
        context: Context = asked.context
        cost = 0 if context.ours else cost
        return self.buckets.take(context.viewer, context.address, cost, whole=whole)

    def _note(self, asked: ExecutionContext, taken: Taken, cost: int) -> None:
        asked.extensions_results["cost"] = {
            "requested": cost,
            "limit": taken.rate.size,
            "remaining": taken.remaining,
            "restoredPerSecond": taken.rate.per_second,
        }

    def _prepared(self, text: str | None) -> Prepared:
        """The parsed document. Raises GraphQLError."""
        if not text:
            raise refusal("BAD_REQUEST", "there is no query")
        kept = self._kept.get(text)
        if kept is not None:
            self._kept.move_to_end(text)
            return kept
        if len(text) > self.limits.characters:
            most = self.limits.characters
            raise refusal("TOO_EXPENSIVE", f"a document has at most {most} characters")
        if _LONG_NUMBER.search(text):
            raise refusal("GRAPHQL_PARSE_FAILED", "Syntax Error: a number of 400 digits or more")
        self.parsed += 1
        try:
            return Prepared(text, parse(text, max_tokens=self.limits.tokens))
        except GraphQLError as error:
            if f"more than {self.limits.tokens} tokens" in error.message:
                most = self.limits.tokens
                raise refusal("TOO_EXPENSIVE", f"a document has at most {most} tokens") from None
            raise coded("GRAPHQL_PARSE_FAILED", error) from None

    def _measured(
        self,
        prepared: Prepared,
        operation: OperationDefinitionNode,
        given: dict[str, Any],
        schema: GraphQLSchema,
    ) -> Asked:
        name = operation.name.value if operation.name else None
        matter = prepared.matter.get(name)
        if matter is not None:
            weights = (name, *[weight(given.get(variable), usage) for variable, usage in matter])
            if (known := prepared.asked.get(weights)) is not None:
                return known
        self.measured += 1
        measuring = Measuring(schema, prepared.document, given)
        asked = measuring.operation(operation)
        matter = prepared.matter[name] = tuple(measuring.variables)
        weights = (name, *[weight(given.get(variable), usage) for variable, usage in matter])
        if len(prepared.asked) >= _MOST_COSTS:
            prepared.asked.clear()
        prepared.asked[weights] = asked
        return asked

    def _validate(self, prepared: Prepared, schema: GraphQLSchema) -> list[GraphQLError]:
        """Nothing for a valid document, which is kept."""
        if prepared.valid:
            return []
        self.validated += 1
        if errors := checked(schema, prepared.document):
            return errors
        prepared.valid = True
        self._kept[prepared.text] = prepared
        self._characters += len(prepared.text)
        while self._characters > _MOST_KEPT:
            gone, _ = self._kept.popitem(last=False)
            self._characters -= len(gone)
        return []


def checked(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    """What keeps a document from being valid here: the first few errors, with codes."""
    errors = validate(schema, document, _RULES, max_errors=MOST_ERRORS, hide_suggestions=True)
    return [_explained(error) for error in errors[:MOST_ERRORS]]


def _check_kind(operation: OperationDefinitionNode, allowed: Iterable[OperationType]) -> None:
    if OperationType(operation.operation.value) not in allowed:
        kind = operation.operation.value
        raise refusal("BAD_REQUEST", f"a {kind} can't be had this way", operation=kind)


def _cost_of(result: object) -> int:
    told = getattr(result, "extensions", None) or {}
    return int(told.get("cost", {}).get("requested", 1))


def _come_again(taken: Taken) -> GraphQLError:
    seconds = max(1, ceil(taken.wait))
    return refusal(
        "RATE_LIMITED",
        f"there is {taken.remaining} left to spend: come again in {seconds} s",
        retryAfter=seconds,
    )


def _explained(error: GraphQLError) -> GraphQLError:
    if isinstance(error, ValidationAbortedError) and "errors" not in error.message:
        return refusal(
            "TOO_EXPENSIVE", "fields are repeated too often: each is asked for once where it stands"
        )
    return coded("GRAPHQL_VALIDATION_FAILED", error)
