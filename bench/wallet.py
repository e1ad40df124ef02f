"""The page that `bench.graphql` asks for, in each side's words, and whether they say the same.

A member with three ledgers, the ten newest entries of each, and where it stands on every ladder.
PostGraphile and the bare SQL read views that give the very facts that the application tells:
balances as of now, whatever was booked when, and measures of ladders that roll.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.entries import Kind
from core.store.lots import DUE

SCHEMA = "wallet"
ENTRIES = 10

LAURELS = """query Wallet { me { name
  ledgers { currency { code } balance { active pending reserved arrears }
    entries(first: 10) { edges { node { at kind amount partner { name } } } } }
  tiers { ladder { name } current { name } toNext { tier { name } missing } } } }"""
POSTGRAPHILE = """query Wallet($id: BigInt!) { member: memberById(id: $id) { name
  ledgers { currency active pending reserved arrears
    entries(first: 10, orderBy: SEQ_DESC) { at kind amount partner { name } } }
  standings { ladder current next missing } } }"""
BARE = """
SELECT json_build_object('name', m.name, 'ledgers', (
    SELECT json_agg(json_build_object('currency', g.currency, 'active', g.active,
        'pending', g.pending, 'reserved', g.reserved, 'arrears', g.arrears, 'entries', (
            SELECT json_agg(json_build_object('at', e.at, 'kind', e.kind, 'amount', e.amount,
                'partner', json_build_object('name', e.name)))
            FROM (SELECT e.*, p.name FROM wallet.entry e JOIN wallet.partner p
                ON p.id = e.partner_id WHERE e.holder_id = g.holder_id
                AND e.currency_id = g.currency_id ORDER BY e.seq DESC LIMIT 10) e)))
    FROM wallet.ledger g WHERE g.holder_id = m.id), 'standings', (
    SELECT json_agg(json_build_object('ladder', s.ladder, 'current', s.current, 'next', s.next,
        'missing', s.missing)) FROM wallet.standing s WHERE s.holder_id = m.id))::text
FROM wallet.member m WHERE m.id = $1
"""

_KINDS = " ".join(f"WHEN {kind.value} THEN '{kind.name}'" for kind in Kind)
# The smart comments are PostGraphile's: keys, which views don't have, and names.
VIEWS = (
    f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE",
    f"CREATE SCHEMA {SCHEMA}",
    f"CREATE VIEW {SCHEMA}.member AS SELECT holder_id AS id, name FROM public.member",
    f"CREATE VIEW {SCHEMA}.partner AS SELECT id, name FROM public.partner",
    f"""CREATE VIEW {SCHEMA}.ledger AS
    SELECT g.holder_id, g.currency_id, c.code AS currency,
        (g.active + coalesce(d.came - d.expired, 0))::bigint AS active,
        (g.pending - coalesce(d.held, 0))::bigint AS pending, g.reserved, g.arrears
    FROM ledger g JOIN currency c ON c.id = g.currency_id LEFT JOIN LATERAL (
        SELECT sum(l.remaining) FILTER (WHERE l.pending) AS held,
            coalesce(sum(l.remaining) FILTER (
                WHERE l.pending AND l.active_at <= now() AND now() < l.expires_at), 0) AS came,
            coalesce(sum(l.remaining) FILTER (WHERE NOT l.pending), 0) AS expired
        FROM lot l WHERE l.holder_id = g.holder_id AND l.currency_id = g.currency_id
            AND l.remaining > 0 AND {DUE} <= now()) d ON true""",
    f"""CREATE VIEW {SCHEMA}.entry AS
    SELECT holder_id, currency_id, seq, occurred_at AS at, CASE kind {_KINDS} END AS kind, amount,
        partner_id FROM transfer""",
    # The ladders of this coalition all roll: what qualified in the window, by the day's time there.
    f"""CREATE VIEW {SCHEMA}.standing AS
    SELECT m.holder_id, x.id AS ladder_id, x.name AS ladder, t.name AS current, u.name AS next,
        (u.at - q.value)::bigint AS missing
    FROM public.member m CROSS JOIN public.ladder x CROSS JOIN LATERAL (
        SELECT coalesce(sum(q.amount), 0) AS value FROM qualification q
        WHERE q.holder_id = m.holder_id AND q.ladder_id = x.id AND q.counts_from <= now()
            AND q.at <= now() AND q.at > (now() AT TIME ZONE x.time_zone - interval '12 months')
                AT TIME ZONE x.time_zone) q
    CROSS JOIN LATERAL (
        SELECT r.tier ->> 'name' AS name, r.place
        FROM jsonb_array_elements(x.tiers) WITH ORDINALITY AS r (tier, place)
        WHERE (r.tier ->> 'at')::bigint <= q.value ORDER BY r.place DESC LIMIT 1) t
    LEFT JOIN LATERAL (
        SELECT r.tier ->> 'name' AS name, (r.tier ->> 'at')::bigint AS at
        FROM jsonb_array_elements(x.tiers) WITH ORDINALITY AS r (tier, place)
        WHERE r.place = t.place + 1) u ON true""",
    f"COMMENT ON VIEW {SCHEMA}.member IS E'@primaryKey id'",
    f"COMMENT ON VIEW {SCHEMA}.partner IS E'@primaryKey id'",
    f"COMMENT ON VIEW {SCHEMA}.ledger IS E'@primaryKey holder_id,currency_id\\n"
    f"@foreignKey (holder_id) references {SCHEMA}.member (id)|@foreignSimpleFieldName ledgers'",
    f"COMMENT ON VIEW {SCHEMA}.entry IS E'@primaryKey holder_id,currency_id,seq\\n"
    f"@foreignKey (holder_id,currency_id) references {SCHEMA}.ledger (holder_id,currency_id)"
    f"|@foreignSimpleFieldName entries\\n"
    f"@foreignKey (partner_id) references {SCHEMA}.partner (id)|@fieldName partner'",
    f"COMMENT ON VIEW {SCHEMA}.standing IS E'@primaryKey holder_id,ladder_id\\n"
    f"@foreignKey (holder_id) references {SCHEMA}.member (id)|@foreignSimpleFieldName standings'",
)


def of_laurels(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of Laurels' answer."""
    me = answer["data"]["me"]
    ledgers = [
        {
            "currency": x["currency"]["code"],
            **{k: int(v) for k, v in x["balance"].items()},
            "entries": _entries([edge["node"] for edge in x["entries"]["edges"]]),
        }
        for x in me["ledgers"]
    ]
    standings = [
        {
            "ladder": x["ladder"]["name"],
            "current": x["current"]["name"],
            "next": x["toNext"] and x["toNext"]["tier"]["name"],
            "missing": x["toNext"] and int(x["toNext"]["missing"]),
        }
        for x in me["tiers"]
    ]
    return _ordered(me["name"], ledgers, standings)


def of_postgraphile(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of PostGraphile's answer."""
    return of_bare(answer["data"]["member"])


def of_bare(member: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of what the bare SQL made."""
    ledgers = [
        {
            "currency": x["currency"],
            **{k: int(x[k]) for k in ("active", "pending", "reserved", "arrears")},
            "entries": _entries(x["entries"]),
        }
        for x in member["ledgers"]
    ]
    standings = [
        {**x, "missing": None if x["missing"] is None else int(x["missing"])}
        for x in member["standings"]
    ]
    return _ordered(member["name"], ledgers, standings)


def _entries(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "at": datetime.fromisoformat(x["at"]).timestamp(),
            "kind": x["kind"],
            "amount": int(x["amount"]),
            "partner": x["partner"]["name"],
        }
        for x in entries
    ]


def _ordered(
    name: str, ledgers: list[dict[str, Any]], standings: list[dict[str, Any]]
) -> dict[str, Any]:
    """Entries keep their order; of ledgers and ladders nothing is promised."""
    return {
        "name": name,
        "ledgers": sorted(ledgers, key=lambda x: str(x["currency"])),
        "standings": sorted(standings, key=lambda x: str(x["ladder"])),
    }


def checked(facts: Mapping[str, Any]) -> None:
    """Stop where a member isn't what is asked about."""
    counts = [len(x["entries"]) for x in facts["ledgers"]]
    if counts != [ENTRIES] * 3 or not facts["standings"]:
        raise SystemExit(f"not three ledgers with {ENTRIES} entries each: {counts}")
