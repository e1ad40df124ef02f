"""Perks at the checkout: which of them a member holds, and each use of one, once.

A use is known by its natural key: the perk and the partner's external id of what it was used for.
Knows nothing of how a membership comes about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson

from core.db import transaction
from core.decisions import FORMAT
from core.errors import BadInput, IdempotencyConflict, NotEligible, UnknownReference
from core.events import EventKind
from core.folding import Batch, Posting
from core.membership import Membership, found
from core.posting import Engine, LostRace, write
from core.purchases import check_text, find_partner
from core.rulebook import PartnerTerms
from core.settling import digest
from core.store import memberships as store
from core.store import posting as rows
from core.store.memberships import Found, UseRow
from laurels.earning import TierMultiplier
from laurels.lasting import unwrapped
from laurels.memberships import MembershipPlan, Perk
from laurels.money import Money


class Held(NamedTuple):
    """A perk that a member holds, by which membership."""

    partner: PartnerTerms
    plan: MembershipPlan
    perk: Perk
    membership: Membership


@dataclass(frozen=True, slots=True)
class UseRequest:
    """A perk used for what the partner knows by `external_id`.

    `worth` is what it saved; None: what the perk says, if it says anything.
    """

    partner: str
    holder: int
    perk: str
    external_id: str
    worth: Money | None = None


class Used(NamedTuple):
    """A use of a perk; `replayed` where it was booked before."""

    row: UseRow
    replayed: bool


def multipliers(partner: PartnerTerms, code: str) -> tuple[str, ...]:
    """The codes of the partner's rules that multiply by the tier that a plan gives."""
    plan = partner.plans.get(code)
    if plan is None or plan.tier is None:
        return ()
    rules = ((r.code, unwrapped(r.rule)) for r in partner.earn)
    found = [c for c, x in rules if isinstance(x, TierMultiplier) and x.ladder == plan.tier[0]]
    return tuple(dict.fromkeys(found))


def held(partner: PartnerTerms, known: Found, now: datetime) -> Iterator[Held]:
    """The perks of a partner's plans that hold now, each once, in the order of the plans."""
    seen: set[str] = set()
    for plan in partner.plans.values():
        membership = found(known, partner.id, plan.code)
        if membership is not None and membership.holds(now):
            for perk in plan.perks:
                if perk.code not in seen:
                    seen.add(perk.code)
                    yield Held(partner, plan, perk, membership)


async def use(engine: Engine, request: UseRequest, now: datetime) -> Used:
    """Book a use. Raises UnknownReference, BadInput, NotEligible (the member doesn't hold it) or
    IdempotencyConflict (the same for another member, or of another worth).
    """
    for name, longest in (("partner", 1000), ("perk", 1000)):
        check_text(getattr(request, name), name, longest)
    check_text(request.external_id, "externalId", 200, least=1)
    partner = find_partner(engine.rulebook, request.partner)
    worth = request.worth
    if worth is not None and (worth.minor <= 0 or worth.currency not in partner.trades_in):
        known = ", ".join(sorted(partner.trades_in))
        raise BadInput(f"what was saved is above zero, in {known}", "worth")
    if not any(plan.perk(request.perk) for plan in partner.plans.values()):
        raise UnknownReference(f"{partner.name} has no perk '{request.perk[:64]}'", "perk")
    try:
        return await _use(engine, partner, request, now)
    except LostRace:  # another member's, this very moment
        raise _other() from None


def _other() -> IdempotencyConflict:
    return IdempotencyConflict("this was used before otherwise", "externalId")


async def _use(engine: Engine, partner: PartnerTerms, request: UseRequest, now: datetime) -> Used:
    name = f"{request.perk}:{request.external_id}"
    async with transaction() as connection:
        (event,) = await engine.ids.take(1)
        locked = await rows.lock_holders(connection, [request.holder], living=True)
        if not locked:
            raise UnknownReference("no such member", "member")
        before = await store.use_of(connection, partner.id, name)
        if before is not None:
            if not _same(before, request):
                raise _other()
            return Used(before, replayed=True)
        known = (await store.load(connection, [request.holder])).get(request.holder, {})
        holds = next((x for x in held(partner, known, now) if x.perk.code == request.perk), None)
        if holds is None:
            raise NotEligible("this member doesn't hold this perk now", "perk")
        worth = request.worth or holds.perk.saves
        row = UseRow(
            request.holder, event, partner.id, holds.plan.code,
            holds.membership.term_at(now).number, now, now, request.perk, request.external_id,
            None if worth is None else worth.minor, None if worth is None else worth.currency,
        )  # fmt: skip
        batch = Batch(engine.rulebook, now, historical=False, tips=locked)
        posting = Posting(batch, EventKind.PERK, event, request.holder, partner.id, now)
        facts = facts_of(row)
        content = orjson.dumps({"v": FORMAT, "r": facts})
        posting.seal(content, digest(EventKind.PERK, *facts), name)
        row = row._replace(booked_at=posting.cause.booked_at)
        await write(connection, batch)
        await store.add_use(connection, row)
        return Used(row, replayed=False)


def _same(row: UseRow, request: UseRequest) -> bool:
    worth = request.worth
    return row.holder == request.holder and (
        worth is None or (worth.minor, worth.currency) == (row.amount, row.money)
    )


def facts_of(row: UseRow) -> list[int | str]:
    """What the decision and the event say; `laurels check` holds the row to it."""
    return [
        row.plan, row.number, row.perk, row.external_id, row.amount or 0, row.money or "",
    ]  # fmt: skip
