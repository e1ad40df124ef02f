"""What the GraphQL face keeps of its own: partners' API keys."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from core.store.keys import KEY_TABLES


class Migration(migrations.Migration):
    dependencies = [("core", "0003_jobs")]
    operations = [ops.RunSQL(sql) for sql in (KEY_TABLES,)]
