"""Queries on what went wrong with partners' rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.containment import Fault
from core.db import reading
from core.store.posting import columns

_ADD = """
INSERT INTO rule_fault AS f (partner_id, rule, what, faults, first_at, last_at)
SELECT a, b, c, d, $5, $5 FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[]) AS n (a, b, c, d)
ON CONFLICT (partner_id, rule, what) DO UPDATE SET faults = f.faults + excluded.faults,
    first_at = least(f.first_at, excluded.first_at), last_at = greatest(f.last_at, excluded.last_at)
"""


class RuleFault(NamedTuple):
    """A kind of fault of one rule: how often, when first and when last."""

    partner: int
    rule: str
    what: str
    faults: int
    first_at: datetime
    last_at: datetime


async def add(found: Sequence[tuple[Fault, int]], now: datetime) -> None:
    """Count these faults, in the order of their keys: two processes don't wait for each other."""
    async with reading() as connection:
        await connection.execute(_ADD, *columns([(*f, n) for f, n in found], 4), now)


async def of_partners(partners: Sequence[int]) -> list[RuleFault]:
    """All faults of these partners' rules, the latest first."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT partner_id, rule, what, faults, first_at, last_at FROM rule_fault "
            "WHERE partner_id = ANY($1) ORDER BY last_at DESC, partner_id, rule, what",
            list(partners),
        )
    return [RuleFault(*row) for row in rows]


async def all_by_code() -> list[tuple[str, RuleFault]]:
    """All faults with their partners' codes, the latest first."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT p.code, f.partner_id, f.rule, f.what, f.faults, f.first_at, f.last_at "
            "FROM rule_fault f JOIN partner p ON p.id = f.partner_id "
            "ORDER BY f.last_at DESC, p.code, f.rule, f.what",
        )
    return [(row[0], RuleFault(*row[1:])) for row in rows]
