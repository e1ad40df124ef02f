"""The stored versions of rules, a plugin's and data rules, and of the policies under which they credit.

A version is never changed: decisions name it, and explanations read its words for ever. All are
read at once, and only what is new is written, so that a start costs a few statements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import orjson
import structlog

from core.data_rules import rule_of
from core.db import Connection
from core.errors import BadInput
from core.rule_definitions import RuleDefinition
from core.rulebook import CurrencyTerms, PolicyTerms, RuleTerms
from core.store.posting import columns
from laurels.lasting import held_back
from laurels.policies import Policy
from laurels.rules import EarnRule

_log = structlog.get_logger("laurels.rules")


@dataclass(slots=True)
class Policies:
    """All stored policies, of each currency the latest first."""

    connection: Connection
    now: datetime
    _stored: dict[int, list[tuple[int, int, tuple[str | None, ...]]]] = field(default_factory=dict)

    @classmethod
    async def read(cls, connection: Connection, now: datetime) -> Policies:
        """As they stand."""
        policies = cls(connection, now)
        for number, currency, version, *texts in await connection.fetch(
            "SELECT id, currency_id, version, pending, expires, returns, grace, time_zone "
            "FROM policy ORDER BY currency_id, version DESC"
        ):
            policies._stored.setdefault(currency, []).append((number, version, tuple(texts)))
        return policies

    async def version(self, currency: int, policy: Policy) -> PolicyTerms:
        """The stored version of a policy: lots keep the one that they were opened under."""
        texts = tuple(policy.texts())
        stored = self._stored.setdefault(currency, [])
        for number, version, said in stored:
            if said == texts:
                return PolicyTerms(number, policy, version)
        version = stored[0][1] + 1 if stored else 1
        number = await self.connection.fetchval(
            "INSERT INTO policy (currency_id, version, pending, expires, returns, grace, time_zone, "
            "since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
            currency,
            version,
            *texts,
            self.now,
        )
        stored.insert(0, (number, version, texts))
        return PolicyTerms(number, policy, version)

    def slid(self, currency: int) -> bool:
        """Whether any version was ever renewed by an activity."""
        texts = (said[1] for _, _, said in self._stored.get(currency, ()))
        return any(expires is not None and expires.startswith("sliding ") for expires in texts)


class Wanted(NamedTuple):
    """A rule whose stored version is asked for."""

    partner: int
    plugin_version: str
    rule: EarnRule


class _Latest(NamedTuple):
    id: int
    version: int
    digest: str


async def versions(
    connection: Connection, wanted: Sequence[Wanted], now: datetime, *, anew: bool = False
) -> list[int]:
    """The ids of rules' stored versions; a change of words, figures or plugin makes a new one.

    `anew`: whatever there is. Two statements, however many.
    """
    latest = {
        (partner, code): _Latest(*rest)
        for partner, code, *rest in await connection.fetch(
            "SELECT DISTINCT ON (partner_id, code) partner_id, code, id, version, digest FROM rule "
            "WHERE partner_id = ANY($1) ORDER BY partner_id, code, version DESC",
            sorted({w.partner for w in wanted}),
        )
    }
    rows = []
    chosen: list[tuple[int, str, int]] = []
    for w in wanted:
        key = (w.partner, w.rule.code)
        known = latest.get(key)
        terms = dict(w.rule.terms)
        content = [w.rule.title, terms, w.plugin_version]
        told = orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=dict)
        digest = hashlib.blake2b(told, digest_size=20).hexdigest()
        if anew or known is None or known.digest != digest:
            # Its number is known when it is written.
            known = latest[key] = _Latest(0, 1 if known is None else known.version + 1, digest)
            text = orjson.dumps(terms, default=dict).decode()
            rows.append((*key, known.version, w.plugin_version, w.rule.title, text, digest))
        chosen.append((*key, known.version))
    numbers = {(*key, known.version): known.id for key, known in latest.items()}
    if rows:
        for *place, number in await connection.fetch(_ADD, *columns(rows, 7), now):
            numbers[place[0], place[1], place[2]] = number
    return [numbers[place] for place in chosen]


_ADD = """
INSERT INTO rule (partner_id, code, version, plugin_version, title, terms, digest, since)
SELECT n.a, n.b, n.c, n.d, n.e, n.f::jsonb, n.g, $8
FROM unnest($1::int[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[])
    AS n (a, b, c, d, e, f, g)
RETURNING partner_id, code, version, id
"""


async def terms_of(
    policies: Policies,
    rule: EarnRule,
    number: int,
    issues: Mapping[str, CurrencyTerms],
    in_force: tuple[datetime | None, datetime | None] = (None, None),
) -> RuleTerms:
    """A rule with its stored version, and the policies where it holds its points back."""
    pending = held_back(rule)
    own = {
        c.code: await policies.version(c.id, replace(c.policy, pending=pending))
        for c in (issues.values() if pending is not None else ())
    }
    return RuleTerms(number, rule, own, *in_force)


class Activated(NamedTuple):
    """A revision of a data rule that is, was or will be in force, by its stored version."""

    number: int
    definition: str
    from_at: datetime
    until_at: datetime | None
    code: str


async def activated(connection: Connection) -> dict[int, list[Activated]]:
    """The data rules of all times, by partner and code."""
    found: dict[int, list[Activated]] = {}
    for partner, *row in await connection.fetch(
        "SELECT partner_id, rule_id, definition, from_at, until_at, code FROM data_rule "
        "WHERE from_at IS NOT NULL ORDER BY partner_id, code, revision"
    ):
        found.setdefault(partner, []).append(Activated(*row))
    return found


async def judging(
    policies: Policies,
    partner: str,
    rows: Sequence[Activated],
    issues: Mapping[str, CurrencyTerms],
    offered: Collection[str],
) -> tuple[RuleTerms, ...]:
    """A partner's data rules. One that can't judge is left out, or issues what isn't `offered`."""
    found = []
    for row in rows:
        rule = readable(partner, row.code, row.definition, issues, offered)
        if rule is None:
            continue
        in_force = (row.from_at, row.until_at)
        found.append(await terms_of(policies, rule, row.number, issues, in_force))
    return tuple(found)


def readable(
    partner: str, code: str, said: str, issues: Collection[str], offered: Collection[str]
) -> EarnRule | None:
    """A stored data rule; None where it can't judge, which is logged."""
    try:
        definition = RuleDefinition.model_validate_json(said)
        if definition.currency is not None and definition.currency not in issues:
            raise BadInput(f"its contract no longer lets it issue {definition.currency}")
        if definition.issue is not None and definition.issue.reward not in offered:
            raise BadInput(f"{definition.issue.reward} is no longer offered")
        return rule_of(definition)
    except (BadInput, ValueError) as error:
        _log.warning("a data rule is left out", partner=partner, rule=code, why=str(error))
        return None
