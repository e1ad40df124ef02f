"""Bulk exports: a connection of any length, read page by page by whoever holds a signed URL.

Nothing is stored but what to read and as whom; each page is an operation of its own, with the
permissions, the limits and the instant of the moment in which it is read. Knows nothing of URLs
but who makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.schema import BaseSchema
from strawberry.types.graphql import OperationType

from core.errors import BadInput, NotAllowed, Refusal, UnknownReference
from core.store import exports as store
from core.store.exports import MOST_VARIABLES, Export
from laurels.errors import storable
from schema.access import STAFF, allow_change
from schema.context import Context, Info, Viewer
from schema.errors import BadInputError, NotAllowedError, UnknownReferenceError
from schema.export_plans import AFTER, Plan, plan
from schema.fields import change

#: How long a URL opens anything; less where the credentials of who asked end before.
LASTS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order: each its cursor and its node; and whether more follow them."""

    rows: Sequence[tuple[str, Any]]
    more: bool


async def read_page(
    schema: BaseSchema,
    context: Context,
    wanted: Plan,
    variables: Mapping[str, Any],
    after: str | None,
) -> Page | GraphQLError:
    """A page after a cursor, as the context's viewer may see it now; or what GraphQL says."""
    result = await schema.execute(
        wanted.query,
        {**variables, AFTER: after},
        context_value=context,
        allowed_operation_types=[OperationType.QUERY],
    )
    if result.errors:
        return result.errors[0]
    found: Any = result.data
    for name in wanted.path:
        found = (found or {}).get(name)
    if found is None:
        return GraphQLError("there is nothing to export by this query")
    rows = [(edge["cursor"], edge["node"]) for edge in found["edges"]]
    return Page(rows, found["pageInfo"]["hasNextPage"])


def kept(viewer: Viewer) -> dict[str, Any]:
    """A viewer as it is stored."""
    return {
        "role": viewer.role,
        "holder": viewer.holder,
        "partner": viewer.partner,
        "subject": viewer.subject,
        "scopes": sorted(viewer.scopes),
        "staff": sorted(viewer.staff),
    }


def viewer_of(stored: Mapping[str, Any]) -> Viewer:
    """Whom a stored viewer stands for."""
    return Viewer(
        stored["role"], stored["holder"], stored["partner"], stored["subject"],
        frozenset(stored["scopes"]), frozenset(stored["staff"]),
    )  # fmt: skip


@strawberry.input(description="What to export.")
class BulkExportInput:
    """A document, and its variables."""

    query: str = strawberry.field(
        description="A query with one field that is, or leads to, one connection, asked for as "
        "`edges { node { … } }` and without `after`. It is read whole, in pages of `first` (100 "
        "where it isn't said); connections within its nodes come with their one page."
    )
    variables: JSON | None = strawberry.field(
        default=None, description="The query's variables, by their names."
    )


@strawberry.type(description="A download that is ready to be fetched; nothing is prepared for it.")
class ExportReady:
    """Where, and until when."""

    url: str = strawberry.field(
        description="The path on this server to GET, without any header: whoever has it reads what "
        "you may read. It answers JSON Lines: `{cursor, node}` for each node, and as the last line "
        "`{complete: true, count}`. Where that one is missing the download was cut off: go on with "
        "`&after=` and the last cursor that came."
    )
    expires_at: datetime = strawberry.field(description="Until when it opens anything.")


BulkExportResult = Annotated[
    ExportReady | BadInputError | UnknownReferenceError | NotAllowedError,
    strawberry.union("BulkExportResult", description="Where to download, or why not."),
]


@strawberry.type(description="Commands of exports.")
class ExportMutations:
    """Root fields."""

    @change(
        "Export a connection of any length as JSON Lines. Its first page is read at once, so that "
        "what can't be exported is refused here; the download sees what you may see while it runs, "
        "and ends with your credentials.",
        extensions=allow_change(member=True, partner="any", admin=STAFF),
    )
    async def bulk_export(
        self,
        info: Info,
        input: Annotated[BulkExportInput, strawberry.argument(description="What to export.")],
    ) -> BulkExportResult | None:
        context = info.context
        link = context.export_link
        if link is None:
            raise NotAllowed("this process serves no downloads")
        variables = _variables(input.variables)
        wanted = plan(info.schema._schema, input.query)
        page = await read_page(info.schema, replace(context), wanted, variables, None)
        if isinstance(page, GraphQLError):
            raise _refusal(page)
        until = context.viewer.until
        now = context.instant
        # The URL says a whole second.
        expires_at = min(now + LASTS, until or now + LASTS).replace(microsecond=0)
        if expires_at <= now:
            raise NotAllowed("your credentials have just ended")
        [number] = await context.engine.ids.take(1)
        await store.add(
            Export(number, kept(context.viewer), input.query, variables, now, expires_at)
        )
        return ExportReady(url=link(number, expires_at), expires_at=expires_at)


def _variables(given: object) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict) or AFTER in given:
        raise BadInput("variables are an object, by their names", "variables")
    try:
        text = orjson.dumps(given).decode()
    except (TypeError, ValueError):
        raise BadInput("variables are JSON", "variables") from None
    if len(text) > MOST_VARIABLES or not storable(text) or "\\u0000" in text:
        raise BadInput(f"variables have at most {MOST_VARIABLES} characters", "variables")
    return given


def _refusal(error: GraphQLError) -> Exception:
    """What to raise for a page that can't be read: a refusal where the caller can mend it."""
    cause = error
    while isinstance(cause.original_error, GraphQLError):
        cause = cause.original_error
    if isinstance(cause.original_error, Refusal):
        found = cause.original_error
        kind = type(found) if isinstance(found, UnknownReference | NotAllowed) else BadInput
        return kind(found.message, "query")
    if cause.original_error is not None:
        return cause.original_error  # a fault of ours, which is masked and logged once
    if (cause.extensions or {}).get("code") in ("FORBIDDEN", "UNAUTHENTICATED"):
        return NotAllowed(cause.message, "query")
    return BadInput(cause.message, "query")
