"""What came before its purchase and waits for it, for whoever has to mend it.

Knows nothing of how it is matched.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core.errors import BadInput
from core.purchases import check_text
from core.returning import Waiting
from core.returns import Unit
from core.store.returns import Waits, waiting_of, waiting_under
from schema.access import STAFF, allow, partner_for
from schema.context import Info
from schema.fields import answer
from schema.paging import (
    After,
    First,
    check_first,
    cursor,
    instant_of,
    micros_of,
    page,
    read_cursor,
)
from schema.partners import Partner, partner_of
from schema.receipts import PurchaseEventKind


@strawberry.type(description="It came before its purchase, and is booked when that comes.")
class ReturnWaiting(relay.Node):
    """By its natural key: partner, kind and number."""

    key: relay.NodeID[str]
    kind: PurchaseEventKind = strawberry.field(description="What it is.")
    external_id: str = strawberry.field(
        description="The partner's own number: of the return, else of the purchase."
    )
    purchase: str = strawberry.field(description="The number of the purchase that it waits for.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    since: datetime = strawberry.field(description="Since when it waits.")
    problem: str | None = strawberry.field(
        description="Why it couldn't be booked when its purchase came; null before that."
    )
    partner_id: strawberry.Private[int]
    place: strawberry.Private[tuple[datetime, str, int, int]]

    @answer("The partner that sent it.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.partner_id)

    @classmethod
    def of(cls, row: Waits) -> ReturnWaiting:
        """From the store."""
        kind = PurchaseEventKind(row.kind)
        returned = kind is PurchaseEventKind.RETURN
        return cls(
            key=f"{row.partner}.{row.kind}.{row.external_id}", kind=kind,
            external_id=row.external_id if returned else row.purchase, purchase=row.purchase,
            occurred_at=row.occurred_at, since=row.since, problem=row.problem or None,
            partner_id=row.partner, place=(row.since, row.external_id, row.partner, row.kind),
        )  # fmt: skip

    @classmethod
    def put(cls, unit: Unit, outcome: Waiting) -> ReturnWaiting:
        """From the engine's answer."""
        return cls.of(
            Waits(
                unit.partner.id, unit.kind, unit.external_id, unit.purchase, unit.occurred_at,
                unit.digest, dict(unit.content), outcome.since, "",
            )
        )  # fmt: skip


def _place(after: str | None) -> tuple[datetime, str, int, int] | None:
    text = read_cursor("waiting", after)
    if text is None:
        return None
    since, partner, kind, external_id = (*text.split(".", 3), "", "", "")[:4]
    try:
        numbers = int(since), int(partner), int(kind)
    except ValueError:
        raise BadInput("after is no cursor of this list", "after") from None
    if not 0 <= numbers[1] < 2**31 or not 0 <= numbers[2] < 2**15:
        raise BadInput("after is no cursor of this list", "after")
    return instant_of(numbers[0]), check_text(external_id, "after", 300), numbers[1], numbers[2]


def _cursor(node: ReturnWaiting) -> str:
    since, external_id, partner, kind = node.place
    return cursor("waiting", f"{micros_of(since)}.{partner}.{kind}.{external_id}")


async def visible_waiting(
    info: Info, partner: int, kind: int, external_id: str
) -> ReturnWaiting | None:
    """What waits under this key, if anything does and the viewer may read it."""
    viewer, own = info.context.viewer, info.context.partner
    readable = viewer.role == "admin" or (own is not None and own.id == partner)
    if not readable or partner >= 2**31 or kind >= 2**15 or "\0" in external_id:
        return None
    row = await waiting_under(partner, kind, external_id)
    return None if row is None else ReturnWaiting.of(row)


@strawberry.type(description="Queries on what waits.")
class WaitingQueries:
    """Root fields."""

    @answer(
        "What came before its purchase, the longest waiting first. A partner is told its own.",
        extensions=allow(partner="purchases:read", admin=STAFF),
    )
    async def waiting_returns(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        partner: Annotated[
            str | None, strawberry.argument(description="Only those of this partner's code.")
        ] = None,
    ) -> relay.Connection[ReturnWaiting]:
        own = info.context.partner
        if partner is not None:
            terms = partner_for(info.context, partner)
            own = terms
        rows = await waiting_of(
            None if own is None else own.id, _place(after), check_first(first) + 1
        )
        return page([ReturnWaiting.of(row) for row in rows], first, after, _cursor)
