"""The rows that the ORM keeps: reference data, and the personal data that can be erased.

The books (events, decisions, transfers, lots …) have composite keys and are plain SQL: see
`core/store/books.py`. Nothing here holds logic.
"""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.models import Model


class ProgrammeRow(Model):
    """The programme's terms, one row a version; the highest is in force."""

    version = fields.IntField(primary_key=True, generated=False)
    settings: dict[str, Any] = fields.JSONField()  # any JSON: checked by core.programme when read
    at = fields.DatetimeField()

    class Meta(Model.Meta):
        table = "programme"


class PartnerRow(Model):
    """A business in the coalition, with the plugin that speaks for it."""

    id = fields.IntField(primary_key=True)
    code = fields.CharField(64, unique=True)
    name = fields.CharField(200)
    time_zone = fields.CharField(64)
    plugin = fields.CharField(200)
    plugin_version = fields.CharField(64)
    installed = fields.BooleanField(default=True)

    class Meta(Model.Meta):
        table = "partner"


class CurrencyRow(Model):
    """A currency; `owner_id` is null where the programme owns it."""

    id = fields.IntField(primary_key=True)
    code = fields.CharField(64, unique=True)
    name = fields.CharField(100)
    symbol = fields.CharField(16)
    redeemable = fields.BooleanField(default=True)
    badge = fields.BooleanField(default=False)
    owner_id = fields.IntField(null=True)

    class Meta(Model.Meta):
        table = "currency"


class PolicyRow(Model):
    """One version of what a currency says of the life of its points; each lot names its own."""

    id = fields.IntField(primary_key=True)
    currency_id = fields.IntField()
    version = fields.IntField()
    pending = fields.CharField(200, null=True)
    expires = fields.CharField(200, null=True)
    returns = fields.CharField(16)
    grace = fields.CharField(16, null=True)
    time_zone = fields.CharField(64)
    since = fields.DatetimeField()

    class Meta(Model.Meta):
        table = "policy"
        unique_together = (("currency_id", "version"),)


class LadderRow(Model):
    """A tier ladder; `owner_id` is null where the programme owns it."""

    id = fields.IntField(primary_key=True)
    code = fields.CharField(64, unique=True)
    name = fields.CharField(100)
    measure = fields.CharField(80)
    window = fields.CharField(32, null=True)
    hold = fields.CharField(16, null=True)
    grace = fields.CharField(16, null=True)
    soft_landing = fields.BooleanField(default=False)
    time_zone = fields.CharField(64)
    tiers: list[dict[str, Any]] = fields.JSONField()  # checked by laurels.Tier when read
    version = fields.IntField(default=1)  # counts the changes of what bears on measuring
    owner_id = fields.IntField(null=True)

    class Meta(Model.Meta):
        table = "ladder"


class RuleRow(Model):
    """One version of one earn rule: its words and figures as they were, for ever."""

    id = fields.IntField(primary_key=True)
    partner_id = fields.IntField()
    code = fields.CharField(64)
    version = fields.IntField()
    plugin_version = fields.CharField(64)
    title = fields.CharField(500)
    terms: dict[str, Any] = fields.JSONField()  # plain data that the rule declared
    digest = fields.CharField(64)
    since = fields.DatetimeField()

    class Meta(Model.Meta):
        table = "rule"
        unique_together = (("partner_id", "code", "version"),)


class RewardRow(Model):
    """A reward of a partner's catalogue; withdrawn ones stay: redemptions name them."""

    id = fields.IntField(primary_key=True)
    partner_id = fields.IntField()
    code = fields.CharField(64)
    title = fields.CharField(500)
    description = fields.TextField(default="")
    kind = fields.CharField(16)
    prices: dict[str, int] = fields.JSONField()
    worth = fields.CharField(40, null=True)
    cash = fields.CharField(40, null=True)
    codes = fields.CharField(16, default="generated")
    reversible = fields.CharField(16, null=True)
    tier: list[str] | None = fields.JSONField(null=True)
    limited = fields.BooleanField(default=False)
    offered = fields.BooleanField(default=True)

    class Meta(Model.Meta):
        table = "reward"
        unique_together = (("partner_id", "code"),)


class MemberRow(Model):
    """Who a holder is. Personal: can be erased while the books stand."""

    holder_id = fields.BigIntField(primary_key=True, generated=False)
    name = fields.CharField(200, null=True)
    claimed = fields.BooleanField(default=True)
    # The month and the day, 423 for 23 April: nobody needs the year.
    birthday = fields.SmallIntField(null=True, db_index=True)
    login = fields.CharField(64, null=True)  # a hash: see core.joining
    enrolled_at = fields.DatetimeField()

    class Meta(Model.Meta):
        table = "member"


class IdentifierRow(Model):
    """By what a member is known: e-mail, phone, card, or a partner's own reference. Personal."""

    id = fields.BigIntField(primary_key=True)
    kind = fields.SmallIntField()
    scope = fields.IntField(default=0)
    value = fields.CharField(320)
    holder_id = fields.BigIntField(db_index=True)

    class Meta(Model.Meta):
        table = "identifier"
        unique_together = (("kind", "scope", "value"),)
