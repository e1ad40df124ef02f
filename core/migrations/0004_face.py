"""What faces the outside: what is told of bookings, and to whom."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from core.store.outbox import OUTBOX_TABLES
from core.store.webhooks import WEBHOOK_TABLES


class Migration(migrations.Migration):
    dependencies = [("core", "0003_jobs")]
    operations = [ops.RunSQL(sql) for sql in (OUTBOX_TABLES, WEBHOOK_TABLES)]
