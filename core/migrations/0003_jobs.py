"""The job runner's tables, in a schema of their own: procrastinate's, as the installed one has them."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from core.store.jobs import bring_up_to_date


async def install(apps: object, editor: object) -> None:
    """Inside the migration's transaction."""
    await bring_up_to_date(editor.client)  # type: ignore[attr-defined]


class Migration(migrations.Migration):
    dependencies = [("core", "0002_books")]
    operations = [ops.RunPython(install)]
