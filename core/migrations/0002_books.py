"""The books beside the ORM's tables: keys, checks, triggers, roles and grants."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from core.store.books import GRANTS, GUARDS, ROLES, TABLES


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [ops.RunSQL(sql) for sql in (TABLES, GUARDS, ROLES, GRANTS)]
