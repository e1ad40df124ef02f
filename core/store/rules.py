"""The stored versions of rules, a plugin's and data rules, and of the policies under which they credit.

A version is never changed: decisions name it, and explanations read its words for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import structlog

from core.data_rules import RuleDefinition, rule_of
from core.db import reading
from core.errors import BadInput
from core.models import PolicyRow, RuleRow
from core.rulebook import CurrencyTerms, PolicyTerms, RuleTerms
from laurels.declarations import Partner
from laurels.policies import Policy
from laurels.rules import EarnRule, held_back

_log = structlog.get_logger("laurels.rules")


async def stored_policy(currency: int, policy: Policy, now: datetime) -> PolicyTerms:
    """The stored version of a policy: lots keep the one that they were opened under."""
    pending, expires, returns, grace, time_zone = policy.texts()
    same: dict[str, Any] = {
        "pending": pending,
        "expires": expires,
        "returns": returns,
        "grace": grace,
        "time_zone": time_zone,
    }
    rows = await PolicyRow.filter(currency_id=currency).order_by("-version")
    for row in rows:
        if all(getattr(row, name) == value for name, value in same.items()):
            return PolicyTerms(row.id, policy, row.version)
    row = await PolicyRow.create(
        currency_id=currency, version=rows[0].version + 1 if rows else 1, since=now, **same
    )
    return PolicyTerms(row.id, policy, row.version)


async def version_of(
    partner_id: int, plugin_version: str, rule: EarnRule, now: datetime, *, anew: bool = False
) -> int:
    """The id of the stored version of a rule; a change of words, figures or plugin makes a new one.

    `anew`: whatever there is.
    """
    terms: dict[str, Any] = orjson.loads(orjson.dumps(dict(rule.terms)))
    content = orjson.dumps([rule.title, terms, plugin_version], option=orjson.OPT_SORT_KEYS)
    digest = hashlib.blake2b(content, digest_size=20).hexdigest()
    latest = (
        await RuleRow.filter(partner_id=partner_id, code=rule.code).order_by("-version").first()
    )
    if anew or latest is None or latest.digest != digest:
        latest = await RuleRow.create(
            partner_id=partner_id,
            code=rule.code,
            version=1 if latest is None else latest.version + 1,
            plugin_version=plugin_version,
            title=rule.title,
            terms=terms,
            digest=digest,
            since=now,
        )
    return latest.id


async def of_plugin(
    partner_id: int,
    plugin_version: str,
    rule: EarnRule,
    issues: Mapping[str, CurrencyTerms],
    now: datetime,
) -> RuleTerms:
    """A plugin's rule with its stored version."""
    number = await version_of(partner_id, plugin_version, rule, now)
    return RuleTerms(number, rule, await _policies(rule, issues, now))


async def _policies(
    rule: EarnRule, issues: Mapping[str, CurrencyTerms], now: datetime
) -> dict[str, PolicyTerms]:
    """The policies of a rule that holds its points back."""
    pending = held_back(rule)
    return {
        c.code: await stored_policy(c.id, replace(c.policy, pending=pending), now)
        for c in (issues.values() if pending is not None else ())
    }


async def activated(
    partner: Partner, partner_id: int, issues: Mapping[str, CurrencyTerms], now: datetime
) -> tuple[RuleTerms, ...]:
    """A partner's data rules, of all times, by their code. One that can't judge is left out."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT rule_id, definition, from_at, until_at, code FROM data_rule "
            "WHERE partner_id = $1 AND from_at IS NOT NULL ORDER BY code, revision",
            partner_id,
        )
    found = []
    for number, text, from_at, until_at, code in rows:
        try:
            definition = RuleDefinition.model_validate_json(text)
            if definition.currency not in issues:
                raise BadInput(f"its contract no longer lets it issue {definition.currency}")
            rule = rule_of(definition)
        except (BadInput, ValueError) as error:
            _log.warning("a data rule is left out", partner=partner.code, rule=code, why=str(error))
            continue
        policies = await _policies(rule, issues, now)
        found.append(RuleTerms(number, rule, policies, from_at, until_at))
    return tuple(found)
