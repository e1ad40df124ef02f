"""What admins did: who, what, before, after, why. Knows nothing of how it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from core.purchases import check_text
from core.store import audit as store
from schema.access import AUDITORS, allow
from schema.context import Info
from schema.fields import answer
from schema.ids import numbers
from schema.inputs import MemberBy, find_holder
from schema.paging import NEWEST, After, First, check_first, cursor, page, read_number
from schema.redemptions import LazyMember

_NOBODY = 0


@strawberry.type(description="Something that an admin did, or tried to do.")
class AuditRecord(relay.Node):
    """Kept for good; personal data were left out of it."""

    key: relay.NodeID[int]
    record: strawberry.Private[store.Record]

    @classmethod
    def of(cls, record: store.Record) -> AuditRecord:
        """From the records."""
        return cls(key=record.id, record=record)

    @answer("When it began.")
    def at(self) -> datetime:
        return self.record.asked.at

    @answer("Who did it, as the identity provider names the admin.")
    def actor(self) -> str:
        return self.record.asked.actor

    @answer("In which roles.")
    def roles(self) -> list[str]:
        return list(self.record.asked.roles)

    @answer("What was done: the name of the mutation.")
    def action(self) -> str:
        return self.record.asked.action

    @answer("What was asked for, without personal data and secrets.")
    def asked(self) -> JSON:
        return _json(self.record.asked.asked)

    @answer("Why, where it was said: by the header `X-Reason`, or by the input's own reason.")
    def reason(self) -> str | None:
        return self.record.asked.reason

    @answer(
        "How it ended: the type of the answer, or the code of the refusal. Null: it was cut off, "
        "and may or may not have been done."
    )
    def outcome(self) -> str | None:
        return self.record.outcome

    @answer("What it was about, before: a member's ledgers and tiers, or a rule's revisions.")
    def before(self) -> JSON:
        return _json(self.record.before)

    @answer("The same after it.")
    def after(self) -> JSON:
        return _json(self.record.after)

    @answer("Whom it was about, where it named members one by one.")
    async def members(self, info: Info) -> list[LazyMember]:
        from schema.members import visible_member  # a circle, closed here

        found = [await visible_member(info, holder) for holder in self.record.holders]
        return [member for member in found if member is not None]

    @answer("The id of the request, by which the log tells it.")
    def request_id(self) -> str | None:
        return self.record.asked.request_id


def _json(value: Mapping[str, Any]) -> JSON:
    return JSON(dict(value))


@strawberry.type(description="Queries on what admins did.")
class AuditQueries:
    """Root fields."""

    @answer("What admins did, newest first.", extensions=allow(admin=AUDITORS))
    async def audit_records(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        actor: Annotated[
            str | None, strawberry.argument(description="Only what this admin did.")
        ] = None,
        action: Annotated[
            str | None, strawberry.argument(description="Only this mutation.")
        ] = None,
        member: Annotated[
            MemberBy | None, strawberry.argument(description="Only what was about this member.")
        ] = None,
        since: Annotated[
            datetime | None,
            strawberry.argument(name="from", description="Only from this instant on."),
        ] = None,
        until: Annotated[
            datetime | None, strawberry.argument(description="Only before this instant.")
        ] = None,
    ) -> relay.Connection[AuditRecord]:
        holder = None
        if member is not None:
            holder = await find_holder(info.context, member, None) or _NOBODY
        wanted = store.Wanted(
            None if actor is None else check_text(actor, "actor", 200),
            None if action is None else check_text(action, "action", 64),
            holder, since, until,
        )  # fmt: skip
        below = read_number("audit", after, NEWEST)
        found = await store.page(wanted, below, check_first(first) + 1)
        nodes = [AuditRecord.of(record) for record in found]
        return page(nodes, first, after, lambda n: cursor("audit", n.key))


async def visible_record(info: Info, key: str) -> AuditRecord | None:
    """The record of this number, if there is one and the viewer may read it."""
    viewer = info.context.viewer
    found = numbers(key, 1)
    if viewer.role != "admin" or viewer.staff.isdisjoint(AUDITORS) or found is None:
        return None
    record = await store.read(found[0])
    return None if record is None else AuditRecord.of(record)
