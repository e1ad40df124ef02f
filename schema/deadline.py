"""Gives up a query that takes too long, or that nobody waits for any more. Never a change.

A change has PostgreSQL's own limits, which end it with a rollback: cancelled between COMMIT and
answer it would be done and told as failed. Knows no transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from schema.context import Context
from schema.refusals import refusal


class Deadline(SchemaExtension):
    """The time that one query has."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def on_execute(self) -> AsyncIterator[None]:
        """Around the resolvers."""
        if self.execution_context.operation_type is not OperationType.QUERY:
            yield
            return
        context: Context = self.execution_context.context
        before = context.leave
        scope = asyncio.timeout(self.seconds)
        try:
            async with scope:
                context.leave = lambda: scope.reschedule(0)
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            said = f"this took longer than {self.seconds:g} s and was given up: ask for less"
            raise refusal("TIMEOUT", said) from None
        finally:
            context.leave = before
