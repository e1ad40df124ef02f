"""`node` and `nodes`: any object by its id. Each kind asks anew whether the viewer may read it.

An object that the viewer may not read is answered like one that isn't there. To whom a kind is
shown at all is declared beside how it is found, and asked first.
"""

from __future__ import annotations

from asyncio import gather
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, NamedTuple

import strawberry
from strawberry import relay

from core.errors import BadInput
from core.redeemed import from_row
from schema.access import AUDITORS, FINANCE, STAFF, Rule, allow, may_see, sees_currency
from schema.adjustments import visible_adjustment
from schema.ahead import visible_order
from schema.audit import visible_record
from schema.colleagues import visible_colleague
from schema.context import Info
from schema.fields import answer
from schema.fulfilments import visible_fulfilment
from schema.ids import numbers, parse_id
from schema.inbound import visible_delivery
from schema.ladders import TierLadder
from schema.ledgers import Ledger, LedgerEntry, Lot
from schema.lot_moves import visible_move
from schema.meetups import visible_meetup, visible_registration
from schema.members import visible_member
from schema.memberships import visible_term
from schema.notices import notice_of
from schema.paging import MOST
from schema.partners import Currency, Partner
from schema.receipts import visible_purchase
from schema.recognitions import visible_recognition
from schema.redemptions import Redemption
from schema.rewards import Offer, Reward
from schema.simulations import visible_simulation
from schema.surveys import visible_invitation
from schema.waiting import visible_waiting
from schema.webhook_deliveries import visible_sent
from schema.webhook_endpoints import visible_endpoint

AnyNode = relay.Node | None


async def _readable(info: Info, key: str, count: int) -> tuple[int, ...] | None:
    """The numbers of a key that begins with (holder, currency), if the viewer may read it."""
    found = numbers(key, count)
    if found is None or not sees_currency(info.context, found[1]):
        return None
    return found if await may_see(info.context, found[0]) else None


async def _member(info: Info, key: str) -> AnyNode:
    found = numbers(key, 1)
    return None if found is None else await visible_member(info, found[0])


async def _ledger(info: Info, key: str) -> AnyNode:
    found = await _readable(info, key, 2)
    if found is None or found[1] not in await info.context.loaders.ledgers.load(found[0]):
        return None
    return Ledger.of(found[0], found[1])


async def _entry(info: Info, key: str) -> AnyNode:
    found = await _readable(info, key, 3)
    if found is None or max(found[1:]) >= 2**31:
        return None
    entry = await info.context.loaders.entry.load((found[0], found[1], found[2]))
    return None if entry is None else LedgerEntry.of(entry)


async def _lot(info: Info, key: str) -> AnyNode:
    found = await _readable(info, key, 3)
    if found is None or max(found[1:]) >= 2**31:
        return None
    record = await info.context.loaders.lot.load((found[0], found[1], found[2]))
    return None if record is None else Lot.of(record)


async def _redemption(info: Info, key: str) -> AnyNode:
    found = numbers(key, 2)
    if found is None:
        return None
    row = await info.context.loaders.redemption.load((found[0], found[1]))
    if row is None:
        return None
    own = info.context.partner
    if own is not None:
        readable = row["partner_id"] == own.id
    else:
        readable = await may_see(info.context, found[0])
    return Redemption.of(from_row(row)) if readable else None


async def _order(info: Info, key: str) -> AnyNode:
    found = numbers(key, 2)
    return None if found is None else await visible_order(info, found[0], found[1])


async def _purchase(info: Info, key: str) -> AnyNode:
    found = numbers(key, 1)
    return None if found is None else await visible_purchase(info, found[0])


async def _waiting(info: Info, key: str) -> AnyNode:
    partner, kind, external_id = (*key.split(".", 2), "", "")[:3]
    found = numbers(f"{partner}.{kind}", 2)
    return None if found is None else await visible_waiting(info, found[0], found[1], external_id)


async def _notice(info: Info, key: str) -> AnyNode:
    *head, lead = (*key.split(".", 4), "")[:5]
    found = numbers(".".join(head), 4)
    if found is None or not await may_see(info.context, found[0]):
        return None
    return await notice_of(info, found, lead)


async def _partner(info: Info, key: str) -> AnyNode:
    terms = info.context.engine.rulebook.partners.get(key)
    return None if terms is None else Partner.of(terms)


async def _currency(info: Info, key: str) -> AnyNode:
    terms = info.context.engine.rulebook.currencies.values()
    return next((Currency.of(c) for c in terms if c.code == key), None)


async def _ladder(info: Info, key: str) -> AnyNode:
    terms = info.context.engine.rulebook.ladders.values()
    return next((TierLadder.of(x) for x in terms if x.ladder.code == key), None)


async def _reward(info: Info, key: str) -> AnyNode:
    code, _, reward = key.partition("/")
    partner = info.context.engine.rulebook.partners.get(code)
    terms = None if partner is None else partner.rewards.get(reward)
    if partner is None or terms is None:
        return None
    return Reward.of(code, Offer.of(partner, terms), info.context.viewer.holder)


async def _adjustment(info: Info, key: str) -> AnyNode:
    found = numbers(key, 2)
    return None if found is None else await visible_adjustment(info, found[0], found[1])


async def _lot_move(info: Info, key: str) -> AnyNode:
    found = numbers(key, 1)
    return None if found is None else await visible_move(info, found[0])


async def _simulation(info: Info, key: str) -> AnyNode:
    found = numbers(key, 1)
    return None if found is None else await visible_simulation(info, found[0])


async def _meetup(info: Info, key: str) -> AnyNode:
    found = numbers(key, 1)
    return None if found is None else await visible_meetup(info, found[0])


async def _registration(info: Info, key: str) -> AnyNode:
    found = numbers(key, 2)
    return None if found is None else await visible_registration(info, *found)


async def _term(info: Info, key: str) -> AnyNode:
    found = numbers(key, 2)
    return None if found is None else await visible_term(info, found[0], found[1])


class Kind(NamedTuple):
    """A kind of object: how one is found, and whom any of its kind is shown to at all."""

    find: Callable[[Info, str], Awaitable[AnyNode]]
    rule: Rule


async def _invitation(info: Info, key: str) -> AnyNode:
    found = numbers(key, 2)
    return None if found is None else await visible_invitation(info, *found)


_OF_MEMBERS = Rule(member=True, partner="members:read", admin=STAFF)
_ENGAGED = Rule(member=True, partner="engagement:read", admin=STAFF)
_PUBLIC = Rule(member=True, partner="any", admin=STAFF)
KINDS: Mapping[str, Kind] = {
    "Member": Kind(_member, _OF_MEMBERS),
    "Ledger": Kind(_ledger, _OF_MEMBERS),
    "LedgerEntry": Kind(_entry, _OF_MEMBERS),
    "Lot": Kind(_lot, _OF_MEMBERS),
    "Notice": Kind(_notice, _OF_MEMBERS),
    "Redemption": Kind(_redemption, Rule(member=True, partner="redemptions:read", admin=STAFF)),
    "Purchase": Kind(_purchase, Rule(member=True, partner="purchases:read", admin=STAFF)),
    "AheadOrder": Kind(_order, Rule(member=True, partner="purchases:read", admin=STAFF)),
    "ReturnWaiting": Kind(_waiting, Rule(partner="purchases:read", admin=STAFF)),
    "Adjustment": Kind(_adjustment, Rule(partner="points:adjust", admin=STAFF)),
    "MembershipTerm": Kind(_term, Rule(member=True, partner="engagement:read", admin=STAFF)),
    "LotMove": Kind(_lot_move, Rule(admin=FINANCE)),
    "Simulation": Kind(_simulation, Rule(partner="rules:read", admin=STAFF)),
    "Colleague": Kind(visible_colleague, _ENGAGED),
    "Recognition": Kind(visible_recognition, _ENGAGED),
    "Fulfilment": Kind(
        visible_fulfilment, Rule(member=True, partner="redemptions:read", admin=STAFF)
    ),
    "InboundDelivery": Kind(visible_delivery, Rule(partner="webhooks:read", admin=STAFF)),
    "WebhookEndpoint": Kind(visible_endpoint, Rule(partner="webhooks:read", admin=STAFF)),
    "WebhookDelivery": Kind(visible_sent, Rule(partner="webhooks:read", admin=STAFF)),
    "Meetup": Kind(_meetup, _ENGAGED),
    "MeetupRegistration": Kind(_registration, _ENGAGED),
    "SurveyInvitation": Kind(_invitation, _ENGAGED),
    "AuditRecord": Kind(visible_record, Rule(admin=AUDITORS)),
    "Partner": Kind(_partner, _PUBLIC),
    "Currency": Kind(_currency, _PUBLIC),
    "TierLadder": Kind(_ladder, _PUBLIC),
    "Reward": Kind(_reward, _PUBLIC),
}


async def _found(info: Info, text: str, *path: str) -> AnyNode:
    name, key = parse_id(info.context, text, *path)
    kind = KINDS.get(name)
    if kind is None or not kind.rule.admits(info.context.viewer):
        return None
    return await kind.find(info, key)


@strawberry.type(description="Queries by id.")
class NodeQueries:
    """Root fields."""

    @answer(
        "Any object by its id. Null where there is none, or none that the viewer may read.",
        extensions=allow(member=True, partner="any", admin=STAFF),
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The object's id.")],
    ) -> relay.Node | None:
        return await _found(info, id, "id")

    @answer(
        f"Objects by their ids, up to {MOST}, in the order of the ids; null in the place of each "
        "that there isn't, or that the viewer may not read.",
        extensions=allow(member=True, partner="any", admin=STAFF),
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="The objects' ids.")],
    ) -> list[relay.Node | None]:
        if len(ids) > MOST:
            raise BadInput(f"at most {MOST} ids, not {len(ids)}", "ids")
        # At once, so that what the loaders read for all of them is one statement of a kind.
        return await gather(*(_found(info, text, "ids", str(n)) for n, text in enumerate(ids)))
