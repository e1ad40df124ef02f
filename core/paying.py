"""Paying part of a bill with points, by a redeem rule of the partner.

The rule is asked between two statements, on plain data and under a deadline, and its answer is
held against what was handed to it (`core.containment`): a rule can't take more than was offered,
nor give more than the bill.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.db import transaction
from core.errors import BadInput, NotEligible, UnknownReference
from core.posting import Engine
from core.pricing import Taken, check_order
from core.purchases import check_text, find_partner
from core.redeemed import Redemption
from core.redemptions import debit, opened, write_down
from core.settling import digest, first_outcome
from core.store import redemptions as store
from core.store.lots import open_lots
from laurels.durations import Duration
from laurels.money import Money
from laurels.redeeming import Checkout
from laurels.rules import Nothing


@dataclass(frozen=True, slots=True)
class PayRequest:
    """Points offered for part of a bill, by a redeem rule of the partner; None offers all.

    `order` is the external id of the purchase whose bill it is: cancelled, the points come back.
    """

    caller: str
    key: str
    partner: str
    holder: int
    rule: str
    total: Money
    offered: int | None = None
    hold: Duration | None = None
    order: str | None = None


async def pay(engine: Engine, request: PayRequest, now: datetime) -> Redemption:
    """Pay part of a bill with points, by a redeem rule of the partner.

    Raises UnknownReference, BadInput, NotEligible (the rule's own words), PartnerRuleFailed or
    IdempotencyConflict; then nothing was booked.
    """
    try:
        return await _pay(engine, request, now)
    finally:
        await engine.tell_faults(now)


async def _pay(engine: Engine, request: PayRequest, now: datetime) -> Redemption:
    check_text(request.key, "key", 255, least=1)
    if request.total.minor <= 0 or (request.offered is not None and request.offered <= 0):
        raise BadInput("a bill, and points where they are named, are above zero", "total")
    check_order(request.order)
    asked = digest(
        "pay", request.partner, request.holder, request.rule, request.total, request.offered,
        request.hold, request.order,
    )  # fmt: skip
    async with transaction() as connection:
        new, event = await engine.ids.take(2)
        before = await store.claim_key(
            connection, request.caller, request.key, asked, (request.holder, new), now
        )
        if before is not None:
            return await first_outcome(connection, asked, before)
        partner = find_partner(engine.rulebook, request.partner)
        rule = next((r for r in partner.redeem if r.code == request.rule), None)
        if rule is None or rule.currency not in partner.accepts:
            raise UnknownReference(f"{partner.name} has no such redeem rule", "rule")
        if request.order is not None:
            await store.lock_orders(connection, [(partner.id, request.order)])
        batch = await opened(connection, engine, request.holder, now)
        currency = partner.accepts[rule.currency].id
        batch.place(await open_lots(connection, [request.holder], [currency]))
        spendable = batch.ledger(request.holder, currency).spendable(now)
        offer = Checkout(request.total, spendable, request.offered)
        answer = engine.containment.ask(partner, rule, offer)
        said = answer.said
        if isinstance(said, Nothing):
            raise NotEligible(said.because, "total")
        taken = Taken(
            None, rule.code, currency, 1, said.points, said.worth, None, answer.reversible,
            request.order,
        )  # fmt: skip
        done = debit(batch, partner, request.holder, taken, request.hold, (new, event), now)
        return await write_down(connection, batch, done, event, rule.title)
