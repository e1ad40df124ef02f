"""What is left of receipts beyond full steps, and waits for a member's next purchase.

Reads what the engine carries over; knows nothing of how it came about.
"""

from __future__ import annotations

import strawberry

from core.rulebook import PartnerTerms
from core.store.caps import CarriedRow
from laurels import money
from laurels.rules import steps_of
from schema.context import Info
from schema.money import Money
from schema.partners import Partner


@strawberry.type(description="Money that a rule carries over to the member's next receipt.")
class Remainder:
    """Of a rule such as a star for every full 50.00."""

    partner: Partner = strawberry.field(description="Whose rule it is.")
    rule: str = strawberry.field(description="The rule's code.")
    title: str = strawberry.field(description="What it gives, in words for members.")
    carried: Money = strawberry.field(
        description="What is carried over; below zero where money came back after points were "
        "given for it."
    )
    missing: Money = strawberry.field(description="What is to be spent for the next full step.")


def remainder(partner: PartnerTerms, row: CarriedRow) -> Remainder | None:
    """As it stands; None where the rule is gone, or doesn't say what a full step is."""
    rule = next((r for r in reversed(partner.rules) if r.code == row.rule), None)
    per = None if rule is None else steps_of(rule)
    if rule is None or per is None:
        return None
    return Remainder(
        partner=Partner.of(partner), rule=row.rule, title=rule.title,
        carried=Money.of(money.Money(row.carried, per.currency)),
        missing=Money.of(money.Money(per.minor - row.carried, per.currency)),
    )  # fmt: skip


async def remainders_of(info: Info, holder: int) -> list[Remainder]:
    """A member's; a partner is told its own."""
    own = info.context.partner
    found = []
    for row in await info.context.loaders.carried.load(holder):
        partner = info.context.engine.rulebook.partner_by_id(row.partner)
        if partner is not None and own in (None, partner):
            told = remainder(partner.at(info.context.instant), row)
            found += [] if told is None else [told]
    return found
