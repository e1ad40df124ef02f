"""Memberships in SQL: terms, what was done about them, uses of perks. Rows are only ever added.

A term begins where the one before it ended, or later: a foreign key to that one's end holds it, so
that terms of one membership never overlap. Knows nothing of what follows from the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Connection, reading

MEMBERSHIP_TABLES = """
CREATE TABLE membership_term (
    holder_id bigint NOT NULL REFERENCES holder (id),
    event_id bigint NOT NULL,
    partner_id integer NOT NULL,
    plan text NOT NULL CHECK (length(plan) BETWEEN 1 AND 50),
    number integer NOT NULL CHECK (number >= 1),
    booked_at timestamptz NOT NULL,
    at timestamptz NOT NULL,
    -- 1 a trial, 2 paid.
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 2),
    fee text CHECK (length(fee) BETWEEN 1 AND 64),
    per text NOT NULL CHECK (length(per) BETWEEN 2 AND 8),
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > from_at),
    grace_until timestamptz NOT NULL CHECK (grace_until >= until_at),
    renews text CHECK (length(renews) BETWEEN 1 AND 64),
    amount bigint CHECK (amount > 0),
    money char(3),
    currency_id integer,
    points bigint CHECK (points > 0),
    redemption_id bigint,
    payment text CHECK (length(payment) BETWEEN 1 AND 200),
    -- The event of the tier that it gives.
    floor bigint,
    -- Until when the term before it lasted.
    after_number integer,
    after_until timestamptz,
    PRIMARY KEY (holder_id, event_id),
    CONSTRAINT membership_term_number UNIQUE (holder_id, partner_id, plan, number, until_at),
    CONSTRAINT membership_term_once UNIQUE (holder_id, partner_id, plan, number),
    CONSTRAINT membership_term_payment UNIQUE (holder_id, partner_id, payment),
    CONSTRAINT membership_term_follows FOREIGN KEY (holder_id, partner_id, plan, after_number,
        after_until) REFERENCES membership_term (holder_id, partner_id, plan, number, until_at),
    CONSTRAINT membership_term_chain CHECK (CASE WHEN number = 1
        THEN after_number IS NULL AND after_until IS NULL
        ELSE after_number IS NOT NULL AND after_number = number - 1
            AND after_until IS NOT NULL AND from_at >= after_until END),
    -- A trial is for whoever never had the plan: so there is one ever.
    CONSTRAINT membership_term_trial CHECK (kind = 2 OR number = 1),
    CONSTRAINT membership_term_paid CHECK ((kind = 2) = (fee IS NOT NULL)
        AND (kind = 2) = (amount IS NOT NULL OR points IS NOT NULL)
        AND (amount IS NULL) = (money IS NULL) AND (amount IS NULL) = (payment IS NULL)
        AND (points IS NULL) = (currency_id IS NULL) AND (points IS NULL) = (redemption_id IS NULL))
);
CREATE INDEX membership_term_ends ON membership_term (grace_until);
CREATE TABLE membership_act (
    holder_id bigint NOT NULL REFERENCES holder (id),
    event_id bigint NOT NULL,
    partner_id integer NOT NULL,
    plan text NOT NULL CHECK (length(plan) BETWEEN 1 AND 50),
    -- The last term that there was.
    number integer NOT NULL,
    booked_at timestamptz NOT NULL,
    at timestamptz NOT NULL,
    -- 1 it won't be renewed, 2 it will be, by this fee, 3 it was told that a fee is due.
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),
    renews text CHECK (length(renews) BETWEEN 1 AND 64),
    floor bigint,
    PRIMARY KEY (holder_id, event_id),
    FOREIGN KEY (holder_id, partner_id, plan, number)
        REFERENCES membership_term (holder_id, partner_id, plan, number),
    CONSTRAINT membership_act_renews CHECK ((kind = 1) = (renews IS NULL))
);
CREATE INDEX membership_act_of ON membership_act (holder_id, partner_id, plan, number);
CREATE UNIQUE INDEX membership_act_due_once ON membership_act (holder_id, partner_id, plan, number)
    WHERE kind = 3;
CREATE TABLE perk_use (
    holder_id bigint NOT NULL REFERENCES holder (id),
    event_id bigint NOT NULL,
    partner_id integer NOT NULL,
    plan text NOT NULL,
    number integer NOT NULL,
    booked_at timestamptz NOT NULL,
    at timestamptz NOT NULL,
    perk text NOT NULL CHECK (length(perk) BETWEEN 1 AND 64),
    -- The partner's external id of what it was used for.
    external_id text NOT NULL CHECK (length(external_id) BETWEEN 1 AND 200),
    amount bigint CHECK (amount > 0),
    money char(3),
    PRIMARY KEY (holder_id, event_id),
    FOREIGN KEY (holder_id, partner_id, plan, number)
        REFERENCES membership_term (holder_id, partner_id, plan, number),
    CONSTRAINT perk_use_once UNIQUE (holder_id, partner_id, perk, external_id),
    CONSTRAINT perk_use_worth CHECK ((amount IS NULL) = (money IS NULL))
);
CREATE INDEX perk_use_at ON perk_use (holder_id, partner_id, plan, at);
""" + "".join(
    f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
    f"FOR EACH STATEMENT EXECUTE FUNCTION laurels_refuse();\n"
    f"GRANT SELECT, INSERT ON {table} TO laurels_app;\n"
    for table in ("membership_term", "membership_act", "perk_use")
)
#: What must stand, for `laurels check`.
MEMBERSHIP_CONSTRAINTS = {
    "membership_term": "pkey holder_id_fkey plan_check number_check kind_check fee_check per_check "
    "check check1 renews_check amount_check points_check payment_check number once payment follows "
    "chain trial paid",
    "membership_act": "pkey holder_id_fkey plan_check kind_check renews_check "
    "holder_id_partner_id_plan_number_fkey renews",
    "perk_use": "pkey holder_id_fkey perk_check external_id_check amount_check "
    "holder_id_partner_id_plan_number_fkey once worth",
}
#: Of them nothing is ever changed: see `core.store.books`.
MEMBERSHIP_APPEND_ONLY = ("membership_term", "membership_act", "perk_use")


class TermRow(NamedTuple):
    """A row of `membership_term`, without what of it follows from the term before.

    `renews` is the fee by which it is to be renewed, as it was agreed then; None: not at all.
    """

    holder: int
    event: int
    partner: int
    plan: str
    number: int
    booked_at: datetime
    at: datetime
    kind: int
    fee: str | None
    per: str
    since: datetime
    until: datetime
    grace_until: datetime
    renews: str | None
    amount: int | None = None
    money: str | None = None
    currency: int | None = None
    points: int | None = None
    redemption: int | None = None
    payment: str | None = None
    floor: int | None = None


class ActRow(NamedTuple):
    """A row of `membership_act`."""

    holder: int
    event: int
    partner: int
    plan: str
    number: int
    booked_at: datetime
    at: datetime
    kind: int
    renews: str | None
    floor: int | None = None


class UseRow(NamedTuple):
    """A row of `perk_use`."""

    holder: int
    event: int
    partner: int
    plan: str
    number: int
    booked_at: datetime
    at: datetime
    perk: str
    external_id: str
    amount: int | None
    money: str | None


#: (partner, plan) of one holder's membership, with its terms and acts in the order of booking.
Found = dict[tuple[int, str], tuple[list[TermRow], list[ActRow]]]
_TERM = (
    "holder_id, event_id, partner_id, plan, number, booked_at, at, kind, fee, per, from_at, "
    "until_at, grace_until, renews, amount, money, currency_id, points, redemption_id, payment, "
    "floor"
)
_ACT = "holder_id, event_id, partner_id, plan, number, booked_at, at, kind, renews, floor"
_USE = (
    "holder_id, event_id, partner_id, plan, number, booked_at, at, perk, external_id, amount, money"
)
# A term that ends soon, or ended within its grace, and that none follows.
_DUE = """
SELECT t.holder_id, t.partner_id, t.plan FROM membership_term t
JOIN holder h ON h.id = t.holder_id AND h.erased_at IS NULL
WHERE t.grace_until > $1 AND t.until_at <= $2 AND NOT EXISTS (
    SELECT FROM membership_term n WHERE n.holder_id = t.holder_id AND n.partner_id = t.partner_id
        AND n.plan = t.plan AND n.number = t.number + 1)
ORDER BY t.holder_id, t.partner_id, t.plan
"""
# What was used for an order that was cancelled since saved nothing.
_SAVED = """
SELECT k.n, u.perk, u.money, count(*), sum(u.amount)::bigint
FROM unnest($1::int[], $2::bigint[], $3::int[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS k (n, holder_id, partner_id, plan, since, until)
JOIN perk_use u ON u.holder_id = k.holder_id AND u.partner_id = k.partner_id AND u.plan = k.plan
    AND u.at >= k.since AND u.at < k.until
WHERE NOT EXISTS (SELECT FROM event p JOIN event c ON c.purchase_id = p.id AND c.kind = 9
    WHERE p.partner_id = u.partner_id AND p.kind = 1 AND p.external_id = u.external_id)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
# What rules gave on what happened while the membership lasted, less what was lost again when something
# came back: the decision on a return says of each rule how much was still earned before and after it.
_EARNED = """
WITH k AS (
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::int[], $4::text[], $5::timestamptz[], $6::timestamptz[],
        $7::text[]) AS k (n, holder_id, partner_id, plan, since, until, codes)
), r AS (
    SELECT k.*, r.id AS rule_id, r.code FROM k
    JOIN rule r ON r.partner_id = k.partner_id AND r.code = ANY (string_to_array(k.codes, ','))
), given AS (
    SELECT r.*, t.currency_id, t.amount, coalesce(p.occurred_at, e.occurred_at) AS at
    FROM r JOIN transfer t ON t.holder_id = r.holder_id AND t.rule_id = r.rule_id AND t.kind = 1
    JOIN event e ON e.id = t.event_id LEFT JOIN event p ON p.id = e.purchase_id
    UNION ALL
    SELECT r.*, (x ->> 1)::int, (x ->> 3)::bigint - (x ->> 2)::bigint, p.occurred_at
    FROM k JOIN decision d ON d.holder_id = k.holder_id AND d.partner_id = k.partner_id AND d.kind IN (8, 9)
        AND d.occurred_at >= k.since
    CROSS JOIN jsonb_array_elements(d.content::jsonb -> 'e') x
    JOIN r ON r.n = k.n AND r.rule_id = (x ->> 0)::int
    JOIN event e ON e.id = d.event_id JOIN event p ON p.id = e.purchase_id
)
SELECT g.n, g.code, g.currency_id, sum(g.amount)::bigint FROM given g
WHERE g.at >= g.since AND g.at < g.until AND EXISTS (
    SELECT FROM membership_term m WHERE m.holder_id = g.holder_id AND m.partner_id = g.partner_id
        AND m.plan = g.plan AND g.at >= m.from_at AND g.at < m.grace_until)
GROUP BY 1, 2, 3 HAVING sum(g.amount) <> 0 ORDER BY 1, 2, 3
"""


async def _add(connection: Connection, table: str, columns: str, values: Sequence[object]) -> None:
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    await connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", *values)


async def add_term(connection: Connection, row: TermRow, before: TermRow | None) -> None:
    """Add a term after the one before it."""
    after = (None, None) if before is None else (before.number, before.until)
    await _add(connection, "membership_term", f"{_TERM}, after_number, after_until", (*row, *after))


async def add_act(connection: Connection, row: ActRow) -> None:
    """Add what was done about a membership."""
    await _add(connection, "membership_act", _ACT, row)


async def add_use(connection: Connection, row: UseRow) -> None:
    """Add a use of a perk."""
    await _add(connection, "perk_use", _USE, row)


async def load(connection: Connection, holders: Sequence[int]) -> dict[int, Found]:
    """All memberships that these holders ever had."""
    found: dict[int, Found] = {}
    for row in await connection.fetch(
        f"SELECT {_TERM} FROM membership_term WHERE holder_id = ANY($1) "
        "ORDER BY holder_id, booked_at, event_id",
        list(holders),
    ):
        term = TermRow(*row)
        of = found.setdefault(term.holder, {})
        of.setdefault((term.partner, term.plan), ([], []))[0].append(term)
    if found:
        for row in await connection.fetch(
            f"SELECT {_ACT} FROM membership_act WHERE holder_id = ANY($1) "
            "ORDER BY holder_id, booked_at, event_id",
            list(found),
        ):
            act = ActRow(*row)
            found[act.holder][act.partner, act.plan][1].append(act)
    return found


async def of_holders(holders: Sequence[int]) -> dict[int, Found]:
    """Like `load`, on a connection of its own."""
    async with reading() as connection:
        return await load(connection, holders)


async def plan_of(connection: Connection, holder: int, event: int) -> tuple[int, str] | None:
    """(partner, plan) of the membership that an event was about."""
    row = await connection.fetchrow(
        "SELECT partner_id, plan FROM membership_term WHERE holder_id = $1 AND event_id = $2 "
        "UNION ALL "
        "SELECT partner_id, plan FROM membership_act WHERE holder_id = $1 AND event_id = $2",
        holder,
        event,
    )
    return None if row is None else (row[0], row[1])


async def due(now: datetime, soon: datetime) -> list[tuple[int, int, str]]:
    """(holder, partner, plan) of memberships whose last term ends by `soon`, in grace too."""
    async with reading() as connection:
        return [(r[0], r[1], r[2]) for r in await connection.fetch(_DUE, now, soon)]


async def paid_by(connection: Connection, partner: int, external_id: str) -> bool:
    """Whether a payment is known: an event of a membership is named by it."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM event WHERE partner_id = $1 AND kind = 21 AND external_id = $2)",
        partner,
        external_id,
    )
    return found


async def use_of(connection: Connection, partner: int, external_id: str) -> UseRow | None:
    """The use of a perk by its event's external id."""
    row = await connection.fetchrow(
        f"SELECT {', '.join('u.' + c for c in _USE.split(', '))} FROM event e "
        "JOIN perk_use u ON u.holder_id = e.holder_id AND u.event_id = e.id "
        "WHERE e.partner_id = $1 AND e.kind = 23 AND e.external_id = $2",
        partner,
        external_id,
    )
    return None if row is None else UseRow(*row)


class SpanOf(NamedTuple):
    """One membership in [since, until), and the codes of the rules that multiply by its tier."""

    holder: int
    partner: int
    plan: str
    since: datetime
    until: datetime
    rules: tuple[str, ...]


class Saved(NamedTuple):
    """What a membership saved: (perk, money, times, amount), and (rule, currency, points)."""

    perks: tuple[tuple[str, str | None, int, int | None], ...]
    rules: tuple[tuple[str, int, int], ...]


async def saved(spans: Sequence[SpanOf]) -> Mapping[SpanOf, Saved]:
    """What each of these memberships saved its member in its span."""
    numbered = list(range(len(spans)))
    parts = [[s[place] for s in spans] for place in range(5)]
    codes = [",".join(s.rules) for s in spans]
    async with reading() as connection:
        used = await connection.fetch(_SAVED, numbered, *parts)
        earned = await connection.fetch(_EARNED, numbered, *parts, codes)
    return {
        span: Saved(
            tuple((r[1], r[2], r[3], r[4]) for r in used if r[0] == n),
            tuple((r[1], r[2], r[3]) for r in earned if r[0] == n),
        )
        for n, span in enumerate(spans)
    }
