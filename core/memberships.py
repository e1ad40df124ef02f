"""Memberships: joined, renewed, cancelled, resumed; each step an event and a row of its own.

Money isn't moved here: whoever took the fee says so, with the payment's name. Every call takes an
idempotency key: sent again it answers with the first outcome. What a membership *is* at an instant
is `core.membership`'s, how a step is booked `core.membership_desk`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.db import Connection, transaction
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotAllowed,
    NotEligible,
    UnknownReference,
    WrongState,
)
from core.membership import ActKind, Membership, State, found
from core.membership_desk import Desk, add_act, add_term, desk, name_of
from core.posting import Engine, LostRace
from core.purchases import check_text, find_partner
from core.settling import digest
from core.store import memberships as store
from core.store.redemptions import claim_key
from laurels.memberships import Fee, MembershipPlan
from laurels.money import Money


@dataclass(frozen=True, slots=True)
class Which:
    """A member's membership of a partner's plan, and whose request it is about."""

    caller: str
    key: str
    partner: str
    plan: str
    holder: int


@dataclass(frozen=True, slots=True)
class TermRequest:
    """A term to begin: of who has no membership now, or (`renewal`) the next one.

    `fee` None: the trial; of a renewal the fee that was agreed. `paid` and `payment` say which
    money was taken and by what the payment is known outside. Where `chosen`, `renews` is the fee of
    the terms to come, None for none. `redeems`: whether the caller may spend the member's points.
    """

    which: Which
    renewal: bool
    fee: str | None = None
    paid: Money | None = None
    payment: str | None = None
    renews: str | None = None
    chosen: bool = False
    redeems: bool = True


@dataclass(frozen=True, slots=True)
class Changed:
    """A membership as it stands after an event; `replayed` where that was booked before."""

    membership: Membership
    event: int
    replayed: bool = False


async def begin_term(engine: Engine, request: TermRequest, now: datetime) -> Changed:
    """Begin a membership, or its next term.

    Raises UnknownReference, BadInput, WrongState, NotAllowed (to redeem its points), NotEligible
    (the trial isn't for this member, too few points) or IdempotencyConflict (the key, or the
    payment, was used for something else).
    """
    which = request.which
    _check(which, fee=request.fee, renews=request.renews)
    _check_payment(request.payment)
    asked = digest(
        "renew" if request.renewal else "join", which.partner, which.plan, which.holder,
        request.fee, request.paid, request.payment, request.renews, request.chosen,
    )  # fmt: skip
    try:
        async with transaction() as connection:
            event, floor, redemption, spent = await engine.ids.take(4)
            if (before := await _claim(connection, which, asked, event, now)) is not None:
                return before
            partner = find_partner(engine.rulebook, which.partner)
            at = await desk(connection, engine, partner, which.plan, which.holder, now)
            fee, renews = _agreed(at, request)
            await _check_paid(at, fee, request)
            await add_term(at, (event, floor, redemption, spent), fee, renews, request.payment)
            return await _outcome(connection, which.holder, event, replayed=False)
    except LostRace:
        raise _used_before() from None


def _check(which: Which, **codes: str | None) -> None:
    check_text(which.key, "key", 255, least=1)
    for name, code in (("partner", which.partner), ("plan", which.plan), *codes.items()):
        check_text(code or "", name, 1000)


def _check_payment(payment: str | None) -> None:
    try:
        check_text("x" if payment is None else payment, "reference", 200, least=1)
    except BadInput as refusal:
        raise refusal.under("paid") from None


def _agreed(at: Desk, request: TermRequest) -> tuple[Fee | None, str | None]:
    """The fee that pays (None: the trial), and the fee of the terms to come."""
    plan, before, now = at.plan, at.before, at.now
    if plan is None:
        raise UnknownReference(f"{at.partner.name} has no plan '{at.code[:64]}'", "plan")
    live = before is not None and before.holds(now)
    if request.renewal:
        if before is None:
            raise WrongState("this member never had it: join it", "plan")
        if live and before.last.since > now:
            raise WrongState(f"it is renewed already, until {_told(before.last.until)}", "plan")
    elif before is not None and live:
        raise WrongState(f"it lasts already, until {_told(before.ends_at)}: renew it", "plan")
    code = request.fee
    if code is None and request.renewal:
        code = None if before is None else before.renews
        if code is None:
            raise BadInput("it isn't to be renewed by any fee: say by which one", "fee")
    fee = None if code is None else _fee(plan, code, "fee")
    if fee is None and (plan.tried is None or before is not None):
        raise NotEligible(
            "it has no trial" if plan.tried is None else "the trial is for who never had it", "fee"
        )
    _check_points(fee, "fee", redeems=request.redeems)
    if request.chosen:
        chosen = None if request.renews is None else _fee(plan, request.renews, "renews")
        _check_points(chosen, "renews", redeems=request.redeems)
        return fee, None if chosen is None else chosen.code
    if request.renewal and live and before is not None:
        return fee, before.renews  # one that was cancelled stays so
    _check_points(plan.fees[0] if fee is None else fee, "renews", redeems=request.redeems)
    return fee, (fee or plan.fees[0]).code


def _fee(plan: MembershipPlan, code: str, field: str) -> Fee:
    fee = plan.fee(code)
    if fee is None:
        known = ", ".join(x.code for x in plan.fees)
        raise UnknownReference(f"{plan.title} has no fee '{code[:64]}': {known}", field)
    return fee


def _check_points(fee: Fee | None, field: str, *, redeems: bool) -> None:
    if fee is not None and fee.amount and not redeems:
        raise NotAllowed("this token may not redeem points, which this fee takes", field)


def _told(at: datetime) -> str:
    return at.isoformat(timespec="minutes")


async def _check_paid(at: Desk, fee: Fee | None, request: TermRequest) -> None:
    """Hold what was paid against the fee."""
    price = None if fee is None else fee.price
    if price is None:
        if request.paid is not None or request.payment is not None:
            raise BadInput("no money is to be paid for this", "paid")
        return
    if request.paid is None or request.payment is None:
        raise BadInput(f"{price} is to be paid for this: say that it was", "paid")
    if request.paid != price:
        raise BadInput(f"the fee is {price}, not {request.paid}", "paid", "amount")
    if await store.paid_by(at.connection, at.partner.id, name_of(request.payment)):
        raise _used_before()


def _used_before() -> IdempotencyConflict:
    return IdempotencyConflict("this payment has paid a term already", "paid", "reference")


async def cancel(engine: Engine, which: Which, now: datetime) -> Changed:
    """It won't be renewed: it ends with its term, and at once in its grace.

    Raises UnknownReference, WrongState (it doesn't last, or is cancelled) or IdempotencyConflict.
    """
    return await _act(engine, which, ActKind.CANCELLED, None, now, redeems=True)


async def resume(
    engine: Engine, which: Which, fee: str | None, now: datetime, *, redeems: bool = True
) -> Changed:
    """It will be renewed after all, or by another fee; None: by the one that was agreed before.

    Raises UnknownReference, NotAllowed (to redeem the points of a fee that is named),
    WrongState (it doesn't last, or is to be renewed so already) or IdempotencyConflict.
    """
    return await _act(engine, which, ActKind.RESUMED, fee, now, redeems=redeems)


async def _act(
    engine: Engine, which: Which, kind: ActKind, fee: str | None, now: datetime, *, redeems: bool
) -> Changed:
    _check(which, renews=fee)
    asked = digest(kind.name, which.partner, which.plan, which.holder, fee)
    async with transaction() as connection:
        event, floor = await engine.ids.take(2)
        if (before := await _claim(connection, which, asked, event, now)) is not None:
            return before
        partner = find_partner(engine.rulebook, which.partner)
        at = await desk(connection, engine, partner, which.plan, which.holder, now)
        membership = at.before
        if membership is None or membership.state(now) is State.LAPSED:
            raise WrongState("this member has no such membership now", "plan")
        renews = None if kind is ActKind.CANCELLED else _resumed(at, membership, fee)
        # What was agreed before is no new word on the member's points.
        if at.plan is not None and renews is not None and renews not in membership.agreed[-1:]:
            _check_points(at.plan.fee(renews), "renews", redeems=redeems)
        if renews == membership.renews:
            said = "it is cancelled already" if renews is None else "it is to be renewed so already"
            raise WrongState(said, "plan")
        await add_act(at, membership, (event, floor), kind, renews)
        return await _outcome(connection, which.holder, event, replayed=False)


def _resumed(at: Desk, membership: Membership, fee: str | None) -> str:
    """The fee of the terms to come: the one named, or the last one that was agreed."""
    if at.plan is None:
        raise UnknownReference(f"{at.partner.name} has no plan '{at.code[:64]}' any more", "plan")
    if fee is None:
        known = [code for code in membership.agreed if at.plan.fee(code) is not None]
        fee = known[-1] if known else at.plan.fees[0].code
    return _fee(at.plan, fee, "renews").code


async def _claim(
    connection: Connection, which: Which, asked: bytes, event: int, now: datetime
) -> Changed | None:
    """Take the key; its first outcome where it was used before for the same."""
    before = await claim_key(connection, which.caller, which.key, asked, (which.holder, event), now)
    if before is None:
        return None
    if before[0] != asked:
        raise IdempotencyConflict("this key was used before for another request", "key")
    return await _outcome(connection, which.holder, before[1][1], replayed=True)


async def _outcome(connection: Connection, holder: int, event: int, *, replayed: bool) -> Changed:
    """The membership that an event was about, as it stands now."""
    of = await store.plan_of(connection, holder, event)
    assert of is not None
    membership = found((await store.load(connection, [holder]))[holder], *of)
    assert membership is not None
    return Changed(membership, event, replayed)
