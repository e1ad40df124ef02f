"""What each table is to a member who leaves: personal, and erased; of the books; or of nobody.

The one list of it. Whoever adds a table gives it a verdict here, or `tests/core/test_erasure.py`
fails: personal ones in PERSONAL, with how a member's rows are found and what of them is told to the
member who asks; others in OPAQUE (they know a member by its number alone, and stand), REFERENCE (of
no member) or PASSING (gone by themselves within days).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.db import Connection, reading


class Personal(NamedTuple):
    """A table's rows `t` of a member, `{holder}`: how they are found, and what of them is told.

    `forget` is what is set where the rows themselves stay, `first` what is done before they go.
    """

    told: tuple[str, ...] = ()
    where: str = "t.holder_id = {holder}"
    forget: str = ""
    first: str = ""


#: Whether what came of a webhook `t` is a holder's; and what is set where its body is dropped.
_SAID = (
    "EXISTS (SELECT FROM jsonb_array_elements(t.outcome) x "
    "LEFT JOIN event e ON e.id = (x ->> 'event')::bigint "
    "WHERE {holder} IN (e.holder_id, (x ->> 'holder')::bigint))"
)
_DROPPED = (
    "body = NULL, headers = '{}', outcome = '[]', problem = CASE problem WHEN '' THEN '' "
    "ELSE 'dropped with the body' END"
)
#: In the order in which they are erased, and told.
PERSONAL: Mapping[str, Personal] = {
    "member": Personal(("name", "birthday", "claimed", "enrolled_at")),
    "identifier": Personal(("kind", "scope", "value")),
    "parted_login": Personal(),  # a digest, which says nothing
    "attribute": Personal(("partner_id", "name", "value", "at", "until_at")),
    # With their places, which others may have; of who was there the books tell by a number.
    "registration": Personal(
        ("partner_id", "meetup_id", "at", "cancelled_at", "attended_at"),
        # In one order for all: others who go at this moment may have been at the same ones.
        first="WITH m AS MATERIALIZED (SELECT id FROM meetup WHERE id IN (SELECT r.meetup_id "
        "FROM registration r WHERE r.holder_id = {holder} AND r.cancelled_at IS NULL) "
        "ORDER BY id FOR NO KEY UPDATE) "
        "UPDATE meetup x SET taken = x.taken - 1 FROM m WHERE x.id = m.id",
    ),
    "occasion": Personal(("partner_id", "type", "at")),
    "referral_code": Personal(("code", "at")),
    "referral": Personal(("partner_id", "at"), "{holder} IN (t.holder_id, t.referrer_id)"),
    "adjustment_note": Personal(("note",)),
    "personal_offer": Personal(("partner_id", "rule", "from_at", "until_at", "because", "control")),
    "survey_due": Personal(("partner_id", "survey", "at")),
    "survey_comment": Personal(("comment",)),
    "ahead_order": Personal(("partner_id", "store", "placed_at", "pickup_at", "content")),
    # What was written to the member, too.
    "gift_message": Personal(
        ("message",),
        "EXISTS (SELECT FROM gift g WHERE g.giver_id = t.giver_id AND g.id = t.gift_id "
        "AND {holder} IN (g.giver_id, g.receiver_id))",
    ),
    "fulfilment": Personal(
        ("requested_at", "decided_at", "approved", "reason"),
        "t.holder_id = {holder} AND t.reason IS NOT NULL",
        "reason = NULL",
    ),
    "export": Personal(
        ("at", "expires_at"),
        "t.viewer ->> 'role' = 'member' AND t.viewer ->> 'holder' = {holder}::text",
    ),
    # Bodies of webhooks, which are dropped a month later anyhow; of an open one, when it is done.
    # First those of the same subjects of which nothing was booked: they say the same of the member.
    "inbound": Personal(
        ("partner_id", "adapter", "received_at"),
        f"t.body IS NOT NULL AND t.done_at IS NOT NULL AND {_SAID}",
        _DROPPED,
        first=f"UPDATE inbound s SET {_DROPPED} WHERE s.done_at IS NOT NULL AND s.subject <> '' "
        f"AND NOT {_SAID.replace('t.outcome', 's.outcome')} AND EXISTS (SELECT FROM inbound t "
        "WHERE t.partner_id = s.partner_id AND t.adapter = s.adapter AND t.subject = s.subject "
        f"AND {_SAID})",
    ),
}
#: They know a member by an opaque number, and stand: the books, and what hangs on them.
OPAQUE = frozenset(
    [
        "adjustment",
        "allocation",
        "assignment",
        "audit",
        "audit_outcome",
        "cap_use",
        "carry",
        "decision",
        "event",
        "event_line",
        "gift",
        "holder",
        "issue",
        "ledger",
        "lot",
        "lot_change",
        "membership_act",
        "membership_term",
        "notice",
        "outbox",
        "perk_use",
        "qualification",
        "redemption",
        "relation",
        "request_key",
        "shadow_difference",
        "simulation",
        "standing",
        "stock_move",
        "survey_answer",
        "survey_invitation",
        "tier_change",
        "transfer",
        "voucher",
        "waiting",
        "webhook_delivery",
    ]
)
#: Of no member.
REFERENCE = frozenset(
    [
        "api_key",
        "api_key_secret",
        "budget",
        "currency",
        "data_rule",
        "head_digest",
        "ladder",
        "lot_move",
        "meetup",
        "partner",
        "policy",
        "programme",
        "pseudonym_key",
        "reward",
        "reward_stock",
        "rule",
        "rule_fault",
        "rulebook",
        "schedule_day",
        "seal",
        "shadow_count",
        "shadow_run",
        "webhook_attempt",
        "webhook_endpoint",
        "webhook_secret",
    ]
)
#: Keyed digests that are kept for a day.
PASSING = frozenset({"passcode"})

_LEFT = " UNION ALL ".join(
    f"SELECT 'holder ' || h.id, 'it was erased, and {table} still tells of it' FROM holder h "
    f"WHERE h.erased_at IS NOT NULL AND EXISTS (SELECT FROM {table} t "
    f"WHERE {each.where.replace('{holder}', 'h.id')})"
    for table, each in PERSONAL.items()
)
#: For `laurels check`: of who was erased nothing personal is left.
LEFT_QUESTION = f"SELECT * FROM ({_LEFT}) x ORDER BY 1 LIMIT 20"
_ENDED = "SELECT erased_at FROM holder WHERE id = $1"
#: Of whom points are left: they came free, or became active, after the erasure.
_LEFT_POINTS = """
SELECT DISTINCT l.holder_id FROM holder h JOIN ledger l ON l.holder_id = h.id
WHERE h.erased_at IS NOT NULL AND l.active > 0 ORDER BY 1
"""


async def erased_at(connection: Connection, holder: int) -> datetime | None:
    """When a holder was erased; None: never."""
    at: datetime | None = await connection.fetchval(_ENDED, holder)
    return at


async def erase(connection: Connection, holder: int, now: datetime) -> None:
    """Erase what is personal of a holder, whom nothing is added to from now on."""
    await connection.execute("UPDATE holder SET erased_at = $2 WHERE id = $1", holder, now)
    for table, each in PERSONAL.items():
        where = each.where.replace("{holder}", "$1::bigint")
        if each.first:
            await connection.execute(each.first.replace("{holder}", "$1::bigint"), holder)
        if each.forget:
            await connection.execute(f"UPDATE {table} t SET {each.forget} WHERE {where}", holder)
        else:
            await connection.execute(f"DELETE FROM {table} t WHERE {where}", holder)


async def kept_of(holder: int) -> list[tuple[str, dict[str, Any]]]:
    """All that is personal of a holder, a table's rows after the other's; digests aren't told."""
    found: list[tuple[str, dict[str, Any]]] = []
    async with reading() as connection:
        for table, each in PERSONAL.items():
            if each.told:
                columns = ", ".join(f"t.{name}" for name in each.told)
                rows = await connection.fetch(
                    f"SELECT {columns} FROM {table} t "
                    f"WHERE {each.where.replace('{holder}', '$1::bigint')} ORDER BY {columns}",
                    holder,
                )
                found += [(table, dict(row)) for row in rows]
    return found


async def counted(holder: int) -> dict[str, int]:
    """How many rows of the books stand for a holder, by table."""
    tables = ("event", "decision", "ledger", "transfer", "redemption", "relation", "notice")
    asked = ", ".join(
        f"'{t}', (SELECT count(*) FROM {t} WHERE holder_id = $1::bigint)" for t in tables
    )
    async with reading() as connection:
        counts: dict[str, int] = orjson.loads(
            await connection.fetchval(f"SELECT jsonb_build_object({asked})::text", holder)
        )
    return counts


async def with_points() -> list[int]:
    """Who was erased and has points all the same."""
    async with reading() as connection:
        return [row[0] for row in await connection.fetch(_LEFT_POINTS)]
