"""Builds the shadow sets: which rules judge beside a partner's own, and under which run they count.

A shadow is a partner's next version, drafts of its data rules, or both; all its other rules are
those in force. Nothing of one is stored as a rule's version: no decision names it. What is wrong
with one costs nobody else a thing: it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import structlog

from core.db import Connection
from core.rulebook import (
    CurrencyTerms,
    PartnerTerms,
    PolicyTerms,
    RewardTerms,
    RuleTerms,
    ShadowTerms,
)
from core.shadowing import said_by, stamp
from core.store import shadows as store
from core.store.rules import readable

if TYPE_CHECKING:
    from core.store.reference import Declared

_log = structlog.get_logger("laurels.rules")


@dataclass(frozen=True, slots=True)
class Understudy:
    """A next version, with what its rules said when it was loaded: they may change their words.

    They judge on their partner's usual basis where they name none. Making one runs a partner's
    code, which may raise anything.
    """

    declared: Declared
    earn: tuple[RuleTerms, ...] = field(init=False, repr=False)
    said: tuple[tuple[str, str, str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rules = self.declared.rules
        object.__setattr__(self, "earn", tuple(RuleTerms(0, rule) for rule in rules))
        object.__setattr__(self, "said", tuple(said_by(rules)))


class _Cast(NamedTuple):
    """A shadow in the making: what it is called, its stamp, and the partner with its rules."""

    version: str
    stamp: str
    terms: PartnerTerms


async def cast(
    connection: Connection,
    terms: Mapping[str, PartnerTerms],
    declared: Sequence[Declared],
    shadows: Sequence[Understudy],
    now: datetime,
) -> dict[str, PartnerTerms]:
    """The partners, each with its shadow if it has one. Ends runs whose set isn't the same now."""
    coming = {x.declared.partner.code: x for x in shadows}
    drafts = await store.drafts(connection)
    found: dict[str, _Cast] = {}
    for d in declared:
        partner = terms[d.partner.code]
        try:
            made = _cast(partner, d, coming.get(partner.code), drafts.get(partner.id, ()))
        except KeyboardInterrupt:
            raise
        except BaseException:  # its rules run their own code when they are looked at: sys.exit()
            _log.exception("a shadow is left out", partner=partner.code)
            continue
        if made is not None:
            found[partner.code] = made
    wanted = [(made.terms.id, made.stamp, made.version) for made in found.values()]
    runs = await store.runs(connection, wanted, now)
    partners = dict(terms)
    for code, made in found.items():
        run = runs[made.terms.id]
        shadow = ShadowTerms(run.id, made.version, run.since, made.terms, run.paused_at)
        partners[code] = replace(terms[code], shadow=shadow)
    return partners


def _cast(
    partner: PartnerTerms,
    declared: Declared,
    shadow: Understudy | None,
    drafts: Sequence[store.Draft],
) -> _Cast | None:
    """A partner's shadow; None: it has none."""
    own = [r for r in partner.earn if r.from_at is None]
    version = declared.version
    said: list[tuple[str, str, str]] = []
    issues, rewards = dict(partner.issues), dict(partner.rewards)
    if shadow is not None:
        next_ = shadow.declared
        own, version = list(shadow.earn), next_.version
        said += shadow.said
        issues = {**_new_currencies(partner, next_), **issues}
        rewards = {**{r.code: RewardTerms(0, r) for r in next_.rewards}, **rewards}
    tried: dict[str, RuleTerms] = {}
    for draft in drafts:
        rule = readable(partner.code, draft.code, draft.definition, issues, rewards)
        if rule is not None:
            tried[draft.code] = RuleTerms(0, rule)
            version += f" + {draft.code}@{draft.revision}"
    if shadow is None and not tried:
        return None
    data = [r for r in partner.earn if r.from_at is not None and r.rule.code not in tried]
    data = sorted([*data, *tried.values()], key=lambda r: r.rule.code)
    made = replace(partner, earn=(*own, *data), issues=issues, rewards=rewards)
    return _Cast(version, stamp(partner, version, said), made)


def _new_currencies(partner: PartnerTerms, shadow: Declared) -> dict[str, CurrencyTerms]:
    """Those of the shadow's own that nobody has declared yet: its rules may award them."""
    return {
        c.code: CurrencyTerms(
            0, c.code, c.name, c.symbol,
            PolicyTerms(0, c.policy(c.time_zone or partner.time_zone)), partner.id,
        )
        for c in shadow.partner.currencies
    }  # fmt: skip
