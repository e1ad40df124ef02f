"""Asking for exports, as several tests do. Holds no test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.store import exports as store
from tests.schema.client import Client

EXPORT = """mutation($input: BulkExportInput!) { bulkExport(input: $input) { __typename
  ... on ExportReady { url expiresAt } ... on Error { code message path } } }"""


async def ask(
    api: Client, who: str, query: str, variables: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The answer of `bulkExport`."""
    given = {"query": query, "variables": variables}
    answer: dict[str, Any] = await api.ask(who, EXPORT, input=given)
    return answer


async def url_of(api: Client, who: str, query: str, variables: dict[str, Any] | None = None) -> str:
    """The URL of an export that is granted."""
    done = await ask(api, who, query, variables)
    assert done["__typename"] == "ExportReady", done
    return str(done["url"])


async def stored() -> int:
    """How many exports were kept; none is, after this."""
    return await store.forget(datetime(2100, 1, 1, tzinfo=UTC))
