"""Every household's figures at an instant: by the engine's own reads, and as GraphQL answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench.setting import PARTNER
from core.db import reading
from core.posting import Engine
from core.standings import standings
from core.store import reads
from schema.access import STAFF
from schema.build import build_schema
from schema.context import Context, Viewer

_CODE = "BASKET"
_MEMBERS = """
query Households($at: DateTime!, $after: String, $currency: String!) {
  members(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    edges { node {
      identifiers { value }
      ledgers(currency: $currency) {
        balance(asOf: $at) { active }
        earned(asOf: $at)
        expired(asOf: $at)
      }
      tiers(asOf: $at) { current { code } value ladder { code } }
    } }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Household:
    """One household's figures at an instant; `window` is what its tier is measured by."""

    earned: int
    expired: int
    balance: int
    window: int
    tier: str


async def by_reads(engine: Engine, at: datetime) -> dict[str, Household]:
    """Every household by its reference, in three statements."""
    currency = engine.rulebook.partners[PARTNER].issues[_CODE].id
    async with reading() as connection:
        known = await connection.fetch("SELECT holder_id, value FROM identifier WHERE kind = 4")
    names = {r[0]: r[1] for r in known}
    figures = {
        row[0]: (row[6], row[7], row[2])
        for row in await reads.figures(list(names), at)
        if row[1] == currency
    }
    found = {}
    for holder, [status] in (await standings(engine, list(names), at)).items():
        tier = status.ladder.ladder.tiers[status.rank].code
        found[names[holder]] = Household(*figures.get(holder, (0, 0, 0)), status.value, tier)
    return found


async def by_graphql(engine: Engine, at: datetime) -> dict[str, Household]:
    """Every household as an admin is told, page by page."""
    schema = build_schema()
    found: dict[str, Household] = {}
    after: str | None = None
    more = True
    while more:
        answer = await schema.execute(
            _MEMBERS,
            variable_values={"at": at.isoformat(), "after": after, "currency": _CODE},
            context_value=Context(engine, Viewer("admin", staff=STAFF), lambda: at),
        )
        if answer.errors or answer.data is None:
            raise SystemExit(f"GraphQL answered {answer.errors}")
        page = answer.data["members"]
        for edge in page["edges"]:
            name, household = _household(edge["node"])
            found[name] = household
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    return found


def _household(node: dict[str, Any]) -> tuple[str, Household]:
    [tier] = [t for t in node["tiers"] if t["ladder"]["code"] == "grocer"]
    [ledger] = node["ledgers"] or [{"earned": 0, "expired": 0, "balance": {"active": 0}}]
    earned, expired = int(ledger["earned"]), int(ledger["expired"])
    active, value = int(ledger["balance"]["active"]), int(tier["value"])
    return node["identifiers"][0]["value"], Household(
        earned, expired, active, value, tier["current"]["code"]
    )
