"""What the GraphQL face keeps beside the books."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from core.store.pseudonyms import PSEUDONYM_TABLE


class Migration(migrations.Migration):
    dependencies = [("core", "0003_jobs")]
    operations = [ops.RunSQL(sql) for sql in (PSEUDONYM_TABLE,)]
