"""Paying part of a bill with points, by a redeem rule of the partner.

The rule is asked between two statements, on plain data, and its answer is held against what was
handed to it: a rule can't take more than was offered, nor give more than the bill.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.db import transaction
from core.errors import BadInput, NotEligible, PartnerRuleFailed, UnknownReference
from core.posting import Engine
from core.purchases import check_text, find_partner
from core.redeemed import Redemption
from core.redemptions import Taken, check_order, debit, opened, write_down
from core.rulebook import PartnerTerms
from core.settling import digest, first_outcome
from core.store import redemptions as store
from core.store.lots import open_lots
from laurels.durations import Duration
from laurels.errors import DeclarationError
from laurels.money import Money
from laurels.redeeming import Checkout, Discount, RedeemRule
from laurels.rewards import REVERSIBLE, check_reversible
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
        answer = _discount(partner, rule, offer)
        taken = Taken(
            None, rule.code, currency, 1, answer.points, answer.worth, None,
            _reversible(partner, rule), request.order,
        )  # fmt: skip
        done = debit(batch, partner, request.holder, taken, request.hold, (new, event), now)
        return await write_down(connection, batch, done, event, rule.title)


def _reversible(partner: PartnerTerms, rule: RedeemRule) -> str | None:
    """How long a payment by this rule may be reversed. Raises PartnerRuleFailed."""
    what = f"partner '{partner.code}', rule '{rule.code}'"
    try:
        return check_reversible(what, getattr(rule, "reversible", REVERSIBLE))
    except DeclarationError as error:
        raise PartnerRuleFailed(str(error)) from None


def _discount(partner: PartnerTerms, rule: RedeemRule, checkout: Checkout) -> Discount:
    """Ask a redeem rule, and hold its answer against what was handed to it.

    Raises NotEligible in the rule's words, PartnerRuleFailed where it raises or overreaches.
    """
    name = f"partner '{partner.code}', rule '{rule.code}'"
    try:
        answer = _any(rule.discount(checkout))
    except Exception as error:
        raise PartnerRuleFailed(f"{name}: raised {type(error).__name__}") from error
    if isinstance(answer, Nothing):
        raise NotEligible(answer.because, "total")
    most = checkout.balance
    if checkout.offered is not None:
        most = min(most, checkout.offered)
    if isinstance(answer, Discount) and _fits(answer, most, checkout.total):
        return answer
    raise PartnerRuleFailed(f"{name}: answered {answer!r:.120}, which is more than was offered")


def _fits(answer: Discount, most: int, total: Money) -> bool:
    if not _whole(answer.points) or not 0 < answer.points <= most:
        return False
    return answer.worth.currency == total.currency and 0 < answer.worth.minor <= total.minor


def _any(answer: object) -> object:  # a rule may answer anything, whatever its signature says
    return answer


def _whole(points: object) -> bool:  # whatever the rule put there; True is an int, too
    return type(points) is int
