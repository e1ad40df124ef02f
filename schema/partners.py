"""Partners and currencies, as the rulebook in force has them, or as rows where they have gone.

Knows nothing of members.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeAlias

import strawberry
from strawberry import relay

from core.models import PartnerRow
from core.rulebook import CurrencyTerms, PartnerTerms
from core.store import faults
from laurels.based import basis_of_rule
from laurels.redeeming import RedeemRule as RedeemRuleTerms
from laurels.rules import EarnRule as EarnRuleTerms
from laurels.settings import Setting
from schema.access import STAFF, allow
from schema.context import Info
from schema.fields import answer
from schema.scalars import BigInt

if TYPE_CHECKING:
    from schema.shadows import Shadow

LazyShadow: TypeAlias = Annotated["Shadow", strawberry.lazy("schema.shadows")]

_ITS_OWN = allow(partner="rules:read", admin=STAFF, quiet=True)


@strawberry.type(description="A separately balanced unit: points, stars, stamps.")
class Currency(relay.Node):
    """By its code, which is unique in the coalition."""

    code: relay.NodeID[str]
    name: str = strawberry.field(description="The name, in the plural.")
    symbol: str = strawberry.field(description="A sign to show beside a figure; may be empty.")
    pending: str | None = strawberry.field(
        description="How long points earned can't be spent yet, such as 14D; null: not at all."
    )
    expires: str | None = strawberry.field(
        description="How long points live once active, such as 12M_U; null: for ever."
    )
    returns: str = strawberry.field(
        description="How far a return reaches: pending, within-balance or arrears."
    )
    redeemable: bool = strawberry.field(
        description="Whether its points can be spent; those that can't count for tiers only."
    )
    badge: bool = strawberry.field(
        description="Whether it is shown as a badge, as often as it was earned."
    )
    policy_version: int = strawberry.field(
        description="The version of these terms; points keep the version they were earned under."
    )
    time_zone: str = strawberry.field(description="The IANA zone in which its days begin.")
    shared: bool = strawberry.field(description="Whether the programme owns it, not one partner.")

    @answer("The code, unique in the programme.", name="code")
    def _code(self) -> str:
        return self.code

    @classmethod
    def of(cls, given: CurrencyTerms) -> Currency:
        """From the rulebook, or of a currency whose owner is gone."""
        pending, expires, returns, _, time_zone = given.policy.texts()
        return cls(
            code=given.code, name=given.name, symbol=given.symbol, pending=pending,
            expires=expires, returns=returns, redeemable=given.redeemable, badge=given.badge,
            policy_version=given.terms.version, time_zone=time_zone, shared=given.owner is None,
        )  # fmt: skip


@strawberry.type(description="A rule by which a partner's purchases earn.")
class EarnRule:
    """The rule in force; stored versions stand in explanations."""

    code: str = strawberry.field(description="The code, unique within the partner.")
    title: str = strawberry.field(description="What it gives, in words for members.")
    basis: str | None = strawberry.field(
        description="On what of a receipt it counts, in words; null: on what was paid."
    )

    @classmethod
    def of(cls, rule: EarnRuleTerms) -> EarnRule:
        """From the rulebook."""
        basis = basis_of_rule(rule)
        return cls(code=rule.code, title=rule.title, basis=None if basis is None else str(basis))


@strawberry.type(description="A rule by which points pay part of a bill at a partner's till.")
class RedeemRule:
    """Rewards with a fixed price are the catalogue's affair."""

    code: str = strawberry.field(description="The code, unique within the partner.")
    title: str = strawberry.field(description="What it does, in words for members.")
    currency: str = strawberry.field(description="The code of the currency that pays.")

    @classmethod
    def of(cls, rule: RedeemRuleTerms) -> RedeemRule:
        """From the rulebook."""
        return cls(code=rule.code, title=rule.title, currency=rule.currency)


@strawberry.type(description="A kind of fault of one of a partner's rules.")
class RuleFault:
    """What, how often and when; never what an exception said."""

    rule: str | None = strawberry.field(description="The rule's code; null: none can be named.")
    what: str = strawberry.field(description="What went wrong, such as: raised ValueError.")
    count: BigInt = strawberry.field(description="How often.")
    first_at: datetime = strawberry.field(description="When first.")
    last_at: datetime = strawberry.field(description="When last.")

    @classmethod
    def of(cls, row: faults.RuleFault) -> RuleFault:
        """From the store."""
        return cls(
            rule=row.rule or None, what=row.what, count=BigInt(row.faults), first_at=row.first_at,
            last_at=row.last_at,
        )  # fmt: skip


@strawberry.type(description="What the operator set for a partner's plugin.")
class PluginSetting:
    """As `laurels.settings` has it: a secret is masked before it comes here."""

    name: str = strawberry.field(description="The field's name; nested ones joined by dots.")
    value: str | None = strawberry.field(description="Its value; a secret's is masked. Null: none.")
    secret: bool = strawberry.field(description="Whether it is a secret.")
    variable: str = strawberry.field(description="The environment variable that sets it.")
    description: str = strawberry.field(description="What it is for; may be empty.")

    @classmethod
    def of(cls, setting: Setting) -> PluginSetting:
        """From the rulebook."""
        return cls(
            name=setting.name, value=setting.value, secret=setting.secret,
            variable=setting.variable, description=setting.description,
        )  # fmt: skip


@strawberry.type(description="An end point for the webhooks of a partner's own shop.")
class InboundAdapter:
    """As its plugin declares it."""

    code: str = strawberry.field(description="The code, unique within the partner.")
    path: str = strawberry.field(description="The path to post to, on this server.")


@strawberry.type(description="A business in the coalition.")
class Partner(relay.Node):
    """By its code."""

    code: relay.NodeID[str]
    name: str = strawberry.field(description="The name that members know.")
    time_zone: str = strawberry.field(description="The IANA zone of its tills.")
    installed: bool = strawberry.field(
        description="Whether its plugin is installed; else it can neither issue nor redeem."
    )
    terms: strawberry.Private[PartnerTerms | None] = None

    @answer("The code, unique in the programme.", name="code")
    def _code(self) -> str:
        return self.code

    @answer("The ISO 4217 codes of the money it trades in.")
    def trades_in(self) -> list[str]:
        return sorted(self.terms.trades_in) if self.terms else []

    @answer("The currencies that it may issue.")
    def issues(self) -> list[Currency]:
        return [Currency.of(c) for c in self.terms.issues.values()] if self.terms else []

    @answer("The currencies that its rewards may cost.")
    def accepts(self) -> list[Currency]:
        return [Currency.of(c) for c in self.terms.accepts.values()] if self.terms else []

    @answer("The rules by which its purchases earn now.")
    def earn_rules(self, info: Info) -> list[EarnRule]:
        if self.terms is None:
            return []
        return [EarnRule.of(r.rule) for r in self.terms.at(info.context.instant).earn]

    @answer("The rules by which points pay part of a bill at its till.")
    def redeem_rules(self) -> list[RedeemRule]:
        return [RedeemRule.of(r) for r in self.terms.redeem] if self.terms else []

    @answer(
        "What went wrong with its rules, the latest first. Null for others, and of other partners.",
        extensions=_ITS_OWN,
    )
    async def faults(self, info: Info) -> list[RuleFault] | None:
        if self.terms is None or not _is_its_own(info, self.terms):
            return None
        rows = await info.context.loaders.faults.load(self.terms.id)
        return [RuleFault.of(row) for row in rows]

    @answer(
        "Until when its own rules are suspended, having failed again and again: then they are "
        "tried once more. Null: they aren't, or you aren't told.",
        extensions=_ITS_OWN,
    )
    def suspended_until(self, info: Info) -> datetime | None:
        if self.terms is None or not _is_its_own(info, self.terms):
            return None
        left = info.context.engine.containment.breakers.left(self.terms.id)
        return info.context.instant + timedelta(seconds=left) if left else None

    @answer(
        "What its next version, or drafts of its data rules, came to that judge in shadow. Null: "
        "there is nothing of the kind, or you aren't told.",
        extensions=_ITS_OWN,
    )
    def shadow(self, info: Info) -> LazyShadow | None:
        from schema.shadows import Shadow  # it shows purchases, and they partners: a circle

        if self.terms is None or not _is_its_own(info, self.terms):
            return None
        return Shadow.of(self.terms)

    @answer(
        "What its plugin is set to in the process that answers, secrets masked. Null for others.",
        extensions=allow(admin=STAFF, quiet=True),
    )
    def settings(self) -> list[PluginSetting] | None:
        if self.terms is None:
            return None
        return [PluginSetting.of(setting) for setting in self.terms.settings]

    @answer(
        "Where its own shop's webhooks are taken. Null for others, and of other partners.",
        extensions=allow(partner="webhooks:read", admin=STAFF, quiet=True),
    )
    def adapters(self, info: Info) -> list[InboundAdapter] | None:
        if self.terms is None or not _is_its_own(info, self.terms):
            return None
        return [
            InboundAdapter(code=code, path=f"/in/{self.terms.code}/{code}")
            for code in sorted(self.terms.adapters)
        ]

    @classmethod
    def of(cls, terms: PartnerTerms) -> Partner:
        """From the rulebook."""
        return cls(
            code=terms.code, name=terms.name, time_zone=terms.time_zone, installed=True,
            terms=terms,
        )  # fmt: skip

    @classmethod
    def of_row(cls, row: PartnerRow) -> Partner:
        """From the stored row of one that has gone."""
        return cls(code=row.code, name=row.name, time_zone=row.time_zone, installed=False)


def _is_its_own(info: Info, terms: PartnerTerms) -> bool:
    """Whether the viewer is no other partner."""
    own = info.context.partner
    return info.context.viewer.role == "admin" or (own is not None and own.id == terms.id)


async def partner_of(info: Info, partner_id: int) -> Partner:
    """The partner of this stored id."""
    terms = info.context.engine.rulebook.partner_by_id(partner_id)
    if terms is not None:
        return Partner.of(terms)
    row = await info.context.loaders.partner.load(partner_id)
    assert row is not None
    return Partner.of_row(row)


async def currency_of(info: Info, currency_id: int) -> Currency:
    """The currency of this stored id."""
    terms = info.context.engine.rulebook.currencies.get(currency_id)
    if terms is None:
        terms = await info.context.loaders.currency.load(currency_id)
    assert terms is not None
    return Currency.of(terms)


@strawberry.type(description="Queries on partners.")
class PartnerQueries:
    """What anybody with a token may know of the coalition."""

    @answer(
        "The partners, or the one of this code.",
        extensions=allow(member=True, partner="any", admin=STAFF),
    )
    async def partners(
        self,
        info: Info,
        code: Annotated[
            str | None, strawberry.argument(description="Only the partner of this code.")
        ] = None,
    ) -> list[Partner]:
        installed = info.context.engine.rulebook.partners
        return [Partner.of(p) for c, p in sorted(installed.items()) if code in (None, c)]

    @answer(
        "The currencies of the programme.",
        extensions=allow(member=True, partner="any", admin=STAFF),
    )
    async def currencies(self, info: Info) -> list[Currency]:
        terms = info.context.engine.rulebook.currencies.values()
        return [Currency.of(c) for c in sorted(terms, key=lambda c: c.code)]
