"""What the GraphQL face keeps beside the books, and what is told to the outside."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from core.store.ahead import AHEAD_TABLES
from core.store.exports import EXPORT_TABLES
from core.store.fulfilments import FULFILMENT_TABLE
from core.store.gifts import GIFT_TABLES
from core.store.keys import KEY_TABLES
from core.store.meetups import MEETUP_TABLES
from core.store.members import PARTED_TABLE
from core.store.memberships import MEMBERSHIP_TABLES
from core.store.outbox import OUTBOX_TABLES
from core.store.passcodes import PASSCODE_TABLE
from core.store.personal import PERSONAL_TABLES
from core.store.pseudonyms import PSEUDONYM_TABLE
from core.store.surveys import SURVEY_TABLES
from core.store.webhooks import WEBHOOK_TABLES

_TABLES = (
    PSEUDONYM_TABLE,
    KEY_TABLES,
    OUTBOX_TABLES,
    WEBHOOK_TABLES,
    EXPORT_TABLES,
    PARTED_TABLE,
    PASSCODE_TABLE,
    MEETUP_TABLES,
    SURVEY_TABLES,
    GIFT_TABLES,
    FULFILMENT_TABLE,
    MEMBERSHIP_TABLES,
    PERSONAL_TABLES,
    AHEAD_TABLES,
)


class Migration(migrations.Migration):
    dependencies = [("core", "0003_jobs")]
    operations = [ops.RunSQL(sql) for sql in _TABLES]
