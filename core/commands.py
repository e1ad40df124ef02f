"""The commands of an adapter as the engine's own: checked field by field, nothing is booked.

Knows nothing of deliveries, nor of how anything is booked. Every refusal names the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from core.activities import ActivityInput, check_activity
from core.errors import BadInput, Refusal
from core.events import EventKind
from core.members import TOLD, Enrolment, MemberRef, Telling
from core.purchases import Incoming, LineInput, PurchaseInput, check_purchase
from core.returns import (
    ReturnedLine,
    ReturnInput,
    Unit,
    check_cancel,
    check_edit,
    check_fulfilment,
    check_return,
    check_withdrawal,
)
from core.rulebook import PartnerTerms
from core.store.inbound import Stored
from laurels import adapters as sdk
from laurels.activities import ENROLMENT

#: What is booked; to ignore is nothing.
Booking: TypeAlias = Enrolment | Incoming | Unit
#: They say what a whole order is, or that it is no more: an older one says nothing new.
WHOLE = (sdk.RecordPurchase, sdk.EditPurchase, sdk.CancelPurchase)


def checked(
    partner: PartnerTerms, command: sdk.Command, received_at: datetime, *, waited: bool
) -> Booking | None:
    """What is to be booked, or None for what is ignored. Raises Refusal naming the field.

    An edit is taken for revision 2; see `revised`. What it tells is as late as it was when it was
    received; `waited`: it came before its purchase.
    """
    match command:
        case sdk.Ignore():
            return None
        case sdk.Enrol():
            refs = _identifiers(partner, command)
            greeted = ENROLMENT in partner.triggers
            return Enrolment(
                refs, command.name or None, partner=partner.id, greeted=greeted,
                telling=Telling.ADAPTER,
            )  # fmt: skip
        case sdk.RecordActivity():
            told = ActivityInput(
                command.external_id, _identifiers(partner, command.member)[0], command.occurred_at,
                command.type, command.attributes,
            )  # fmt: skip
            return replace(check_activity(partner, told), received_at=received_at)
        case sdk.RecordPurchase():
            given = PurchaseInput(
                command.external_id, _identifiers(partner, command.member)[0], command.occurred_at,
                command.currency, _lines(command.lines), command.store,
                tender=command.tender,
            )  # fmt: skip
            return replace(check_purchase(partner, given), received_at=received_at)
    return replace(_unit(partner, command), waited=waited, received_at=received_at)


def _unit(
    partner: PartnerTerms,
    command: sdk.EditPurchase
    | sdk.RecordReturn
    | sdk.CancelPurchase
    | sdk.FulfilPurchase
    | sdk.WithdrawActivity,
) -> Unit:
    match command:
        case sdk.WithdrawActivity():
            return check_withdrawal(partner, command.activity, command.occurred_at)
        case sdk.EditPurchase():
            return check_edit(
                partner, command.purchase, 2, command.occurred_at, _lines(command.lines),
                command.currency,
            )  # fmt: skip
        case sdk.CancelPurchase():
            return check_cancel(partner, command.purchase, command.occurred_at)
        case sdk.FulfilPurchase():
            return check_fulfilment(partner, command.purchase, command.event, command.occurred_at)
        case sdk.RecordReturn():
            lines = [
                ReturnedLine(x.line, x.quantity or None, x.amount or None, x.sku)
                for x in command.lines
            ]
            given = ReturnInput(
                command.external_id, command.purchase, command.occurred_at, lines,
                command.amount or None,
            )  # fmt: skip
            return check_return(partner, given)


def revised(unit: Unit, stored: Stored) -> Unit | None:
    """An edit as the purchase's next revision; None where the purchase says this already."""
    if (unit.content["money"], unit.content["lines"]) == (stored.money, stored.lines):
        return None
    revision = stored.edits + 2
    content = {**unit.content, "revision": revision}
    return replace(unit, external_id=f"{unit.purchase}#{revision}", content=content)


def is_edit(booking: Booking | None) -> bool:
    """Whether it is a new revision of a purchase."""
    return isinstance(booking, Unit) and booking.kind is EventKind.EDIT


def _lines(lines: Sequence[sdk.SoldLine]) -> list[LineInput]:
    return [
        LineInput(
            x.product_type, x.amount, x.quantity, x.sku, x.discount or "0", x.tax or "0",
            x.points_paid or None, str(x.kind),
        )
        for x in lines
    ]  # fmt: skip


def _identifiers(partner: PartnerTerms, given: sdk.MemberBy | sdk.Enrol) -> list[MemberRef]:
    refs = [
        MemberRef.make(kind, value, partner.id)
        for kind in TOLD
        if (value := getattr(given, kind.name.lower()))
    ]
    if not refs:
        raise BadInput("one of email, phone, card or reference is needed", "member")
    return refs


def told_of(refusal: Refusal) -> str:
    """In words, with the field."""
    where = ".".join(map(str, refusal.path))
    return f"{where}: {refusal.message}" if where else refusal.message
