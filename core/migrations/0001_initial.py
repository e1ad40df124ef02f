"""The reference data and the members: what the ORM keeps."""

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="CurrencyRow",
            fields=[
                (
                    "id",
                    fields.IntField(generated=True, primary_key=True, unique=True, db_index=True),
                ),
                ("code", fields.CharField(unique=True, max_length=64)),
                ("name", fields.CharField(max_length=100)),
                ("symbol", fields.CharField(max_length=16)),
                ("redeemable", fields.BooleanField(default=True)),
                ("badge", fields.BooleanField(default=False)),
                ("owner_id", fields.IntField(null=True)),
            ],
            options={
                "table": "currency",
                "app": "core",
                "pk_attr": "id",
                "table_description": "A currency; `owner_id` is null where the programme owns it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PolicyRow",
            fields=[
                (
                    "id",
                    fields.IntField(generated=True, primary_key=True, unique=True, db_index=True),
                ),
                ("currency_id", fields.IntField()),
                ("version", fields.IntField()),
                ("pending", fields.CharField(null=True, max_length=200)),
                ("expires", fields.CharField(null=True, max_length=200)),
                ("returns", fields.CharField(max_length=16)),
                ("grace", fields.CharField(null=True, max_length=16)),
                ("time_zone", fields.CharField(max_length=64)),
                ("since", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "policy",
                "app": "core",
                "unique_together": (("currency_id", "version"),),
                "pk_attr": "id",
                "table_description": "One version of what a currency says of the life of its points; each lot names its own.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="IdentifierRow",
            fields=[
                (
                    "id",
                    fields.BigIntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                ("kind", fields.SmallIntField()),
                ("scope", fields.IntField(default=0)),
                ("value", fields.CharField(max_length=320)),
                ("holder_id", fields.BigIntField(db_index=True)),
            ],
            options={
                "table": "identifier",
                "app": "core",
                "unique_together": (("kind", "scope", "value"),),
                "pk_attr": "id",
                "table_description": "By what a member is known: e-mail, phone, card, or a partner's own reference. Personal.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LadderRow",
            fields=[
                (
                    "id",
                    fields.IntField(generated=True, primary_key=True, unique=True, db_index=True),
                ),
                ("code", fields.CharField(unique=True, max_length=64)),
                ("name", fields.CharField(max_length=100)),
                ("measure", fields.CharField(max_length=80)),
                ("window", fields.CharField(null=True, max_length=32)),
                ("hold", fields.CharField(null=True, max_length=16)),
                ("grace", fields.CharField(null=True, max_length=16)),
                ("soft_landing", fields.BooleanField(default=False)),
                ("time_zone", fields.CharField(max_length=64)),
                ("tiers", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("version", fields.IntField(default=1)),
                ("owner_id", fields.IntField(null=True)),
            ],
            options={
                "table": "ladder",
                "app": "core",
                "pk_attr": "id",
                "table_description": "A tier ladder; `owner_id` is null where the programme owns it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="MemberRow",
            fields=[
                (
                    "holder_id",
                    fields.BigIntField(
                        generated=False, primary_key=True, unique=True, db_index=True
                    ),
                ),
                ("name", fields.CharField(null=True, max_length=200)),
                ("claimed", fields.BooleanField(default=True)),
                ("birthday", fields.SmallIntField(null=True, db_index=True)),
                ("login", fields.CharField(null=True, max_length=64)),
                ("enrolled_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "member",
                "app": "core",
                "pk_attr": "holder_id",
                "table_description": "Who a holder is. Personal: can be erased while the books stand.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PartnerRow",
            fields=[
                (
                    "id",
                    fields.IntField(generated=True, primary_key=True, unique=True, db_index=True),
                ),
                ("code", fields.CharField(unique=True, max_length=64)),
                ("name", fields.CharField(max_length=200)),
                ("time_zone", fields.CharField(max_length=64)),
                ("plugin", fields.CharField(max_length=200)),
                ("plugin_version", fields.CharField(max_length=64)),
                ("installed", fields.BooleanField(default=True)),
            ],
            options={
                "table": "partner",
                "app": "core",
                "pk_attr": "id",
                "table_description": "A business in the coalition, with the plugin that speaks for it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ProgrammeRow",
            fields=[
                (
                    "version",
                    fields.IntField(generated=False, primary_key=True, unique=True, db_index=True),
                ),
                ("settings", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "programme",
                "app": "core",
                "pk_attr": "version",
                "table_description": "The programme's terms, one row a version; the highest is in force.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="RewardRow",
            fields=[
                (
                    "id",
                    fields.IntField(generated=True, primary_key=True, unique=True, db_index=True),
                ),
                ("partner_id", fields.IntField()),
                ("code", fields.CharField(max_length=64)),
                ("title", fields.CharField(max_length=500)),
                ("description", fields.TextField(default="", unique=False)),
                ("kind", fields.CharField(max_length=16)),
                ("prices", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("worth", fields.CharField(null=True, max_length=40)),
                ("cash", fields.CharField(null=True, max_length=40)),
                ("codes", fields.CharField(default="generated", max_length=16)),
                ("reversible", fields.CharField(null=True, max_length=16)),
                ("tier", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("limited", fields.BooleanField(default=False)),
                ("offered", fields.BooleanField(default=True)),
            ],
            options={
                "table": "reward",
                "app": "core",
                "unique_together": (("partner_id", "code"),),
                "pk_attr": "id",
                "table_description": "A reward of a partner's catalogue; withdrawn ones stay: redemptions name them.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="RuleRow",
            fields=[
                (
                    "id",
                    fields.IntField(generated=True, primary_key=True, unique=True, db_index=True),
                ),
                ("partner_id", fields.IntField()),
                ("code", fields.CharField(max_length=64)),
                ("version", fields.IntField()),
                ("plugin_version", fields.CharField(max_length=64)),
                ("title", fields.CharField(max_length=500)),
                ("terms", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("digest", fields.CharField(max_length=64)),
                ("since", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "rule",
                "app": "core",
                "unique_together": (("partner_id", "code", "version"),),
                "pk_attr": "id",
                "table_description": "One version of one earn rule: its words and figures as they were, for ever.",
            },
            bases=["Model"],
        ),
    ]
