"""Queries on what caps and budgets have counted, and on what rules carry over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Connection, reading
from core.rulebook import PartnerTerms
from core.store.posting import columns
from core.tally import BudgetKey, CarryKey, Tally, UseRow, budget_keys, carry_key
from laurels.purchase import Purchase

_USES = """u.holder_id, u.partner_id, u.key, u.event_id, u.rule_id, u.currency_id, u.at, u.points,
    u.times, nullif(u.period, '-infinity')"""
# In the period of a cap, by whom; and whatever these events counted. `since` null: all.
_LOAD = f"""
SELECT 1, {_USES}
FROM unnest($1::bigint[], $2::int[], $3::text[], $4::timestamptz[]) AS w (holder_id, partner_id, key, since)
JOIN cap_use u USING (holder_id, partner_id, key) WHERE w.since IS NULL OR u.at >= w.since
UNION ALL
SELECT 1, {_USES} FROM unnest($5::bigint[], $6::bigint[]) AS e (holder_id, event_id)
JOIN cap_use u USING (holder_id, event_id)
UNION ALL
SELECT 2, c.holder_id, c.partner_id, c.rule, NULL, NULL, NULL, NULL, c.carried, NULL, NULL
FROM unnest($7::bigint[], $8::int[], $9::text[]) AS w (holder_id, partner_id, rule)
JOIN carry c USING (holder_id, partner_id, rule)
"""
_BUDGETS = """
SELECT b.partner_id, b.code, nullif(b.period, '-infinity'), b.taken
FROM unnest($1::int[], $2::text[], $3::timestamptz[]) AS k (partner_id, code, period)
JOIN budget b ON b.partner_id = k.partner_id AND b.code = k.code
    AND b.period = coalesce(k.period, '-infinity')
"""
_WRITE = """
WITH u AS (
    INSERT INTO cap_use (holder_id, partner_id, key, event_id, rule_id, currency_id, at, points,
        times, period)
    SELECT a, b, c, d, e, f, g, h, i, coalesce(j, '-infinity')
    FROM unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::int[], $6::int[],
        $7::timestamptz[], $8::bigint[], $9::smallint[], $10::timestamptz[])
        AS n (a, b, c, d, e, f, g, h, i, j)
)
INSERT INTO carry AS c (holder_id, partner_id, rule, carried)
SELECT * FROM unnest($11::bigint[], $12::int[], $13::text[], $14::bigint[])
ON CONFLICT (holder_id, partner_id, rule) DO UPDATE SET carried = c.carried + excluded.carried
"""
# As large as the rule says now, be it more or less than before; never overdrawn.
_TAKE = """
INSERT INTO budget AS b (partner_id, code, period, size, taken)
VALUES ($1, $2, coalesce($3::timestamptz, '-infinity'), $5, $4)
ON CONFLICT (partner_id, code, period) DO UPDATE
    SET taken = b.taken + excluded.taken, size = excluded.size
    WHERE b.taken + excluded.taken <= excluded.size
RETURNING true
"""
_GIVE_BACK = """
UPDATE budget SET taken = taken - $4::bigint
WHERE partner_id = $1 AND code = $2 AND period = coalesce($3::timestamptz, '-infinity')
"""


class CarriedRow(NamedTuple):
    """Money, in minor units, that a partner's rule carries over for a member."""

    partner: int
    rule: str
    carried: int


async def load(
    connection: Connection,
    tally: Tally,
    purchases: Iterable[tuple[int, PartnerTerms, Purchase]],
    events: Sequence[tuple[int, int]] = (),
    *,
    sure: bool = False,
) -> None:
    """Fill a tally with what bears on these holders' purchases, and what (holder, event) counted.

    Two statements, and none where no rule asks. To be `sure` of what is left of budgets, they are
    nobody else's until the end.
    """
    since: dict[tuple[int, int, str], datetime | None] = {}
    carrying: set[tuple[int, int, str]] = set()
    budgets: set[BudgetKey] = set()
    for holder, whole, purchase in purchases:
        if not whole.tallied:
            continue
        partner = whole.at(purchase.occurred_at)
        for name, begins in partner.uses_since(purchase.occurred_at).items():
            key = (holder, partner.id, name)
            before = since.get(key, begins)
            since[key] = None if begins is None or before is None else min(begins, before)
        carrying.update(
            (holder, partner.id, carry_key(code, window, purchase))
            for code, window in partner.carrying.items()
        )
        budgets.update(budget_keys(partner, purchase))
    if since or carrying or events:
        wanted = [(*key, begins) for key, begins in since.items()]
        rows = await connection.fetch(
            _LOAD, *columns(wanted, 4), *columns(events, 2), *columns(sorted(carrying), 3)
        )
        tally.take(UseRow(*row[1:]) for row in rows if row[0] == 1)
        for row in rows:
            if row[0] == 2:
                tally.carried.setdefault((row[1], row[2], row[3]), row[8])
    if budgets:
        tail = " ORDER BY 1, 2, 3 FOR UPDATE OF b" if sure else ""
        keys = sorted(budgets, key=repr)
        for partner_id, code, period, taken in await connection.fetch(
            _BUDGETS + tail, *columns(keys, 3)
        ):
            tally.taken[partner_id, code, period] = taken


async def write(connection: Connection, tally: Tally) -> bool:
    """Add what was counted; False where a budget has less left than was reckoned with.

    Late in the transaction: whoever draws on the same budget waits for that long.
    """
    if tally.added or tally.moved:
        carried: list[tuple[*CarryKey, int]] = [
            (*key, change) for key, change in sorted(tally.moved.items())
        ]
        await connection.execute(_WRITE, *columns(tally.added, 10), *columns(carried, 4))
    for key, (points, size) in sorted(tally.spent.items(), key=lambda item: repr(item[0])):
        if points > 0:
            if not await connection.fetchval(_TAKE, *key, points, size):
                return False
        elif points < 0:
            await connection.execute(_GIVE_BACK, *key, -points)
    return True


async def carried(holders: Sequence[int]) -> dict[int, list[CarriedRow]]:
    """What rules carry over for each of these members."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT holder_id, partner_id, rule, carried FROM carry WHERE holder_id = ANY($1) "
            "AND carried <> 0 ORDER BY holder_id, partner_id, rule",
            list(holders),
        )
    found: dict[int, list[CarriedRow]] = {}
    for holder, *rest in rows:
        found.setdefault(holder, []).append(CarriedRow(*rest))
    return found


async def runs(holders: Sequence[int]) -> dict[int, list[UseRow]]:
    """What counts in these members' runs."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_USES} FROM cap_use u WHERE u.holder_id = ANY($1) AND u.key LIKE 'run:%' "
            "ORDER BY u.holder_id, u.partner_id, u.key, u.at",
            list(holders),
        )
    found: dict[int, list[UseRow]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(UseRow(*row))
    return found
