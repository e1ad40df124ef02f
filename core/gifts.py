"""Gifts: a member gives points to a colleague, with words and one of the company's values.

No transfer joins two holders: the giver's points go out by one posting and the receiver's come in
by another, in one transaction. Points of one currency go through an account in transit, where none
stay; where the currency changes, those given are redeemed and as many are issued. What was said is
kept apart, so that it can be erased while the books stand. Gifts count for no tier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson

from core.db import Connection, transaction
from core.decisions import FORMAT
from core.entries import Account, Kind, Lot
from core.errors import (
    BadInput,
    BookBroken,
    IdempotencyConflict,
    NotAllowed,
    NotEligible,
    UnknownReference,
)
from core.events import EventKind
from core.folding import MOST_HELD, Batch, Posting
from core.ledger import Ledger
from core.members import IdentifierKind, MemberRef
from core.posting import Engine, write
from core.purchases import check_text, find_partner
from core.rulebook import CurrencyTerms, PartnerTerms
from core.settling import digest, open_holders
from core.store import gifts as store
from core.store.gifts import GiftRow, Told
from core.store.lots import open_lots
from core.store.redemptions import claim_key
from laurels.caps import Cap
from laurels.declarations import MAX_POINTS
from laurels.durations import start_of
from laurels.giving import Giving

#: As long as what is said may be.
LONGEST_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class GiveRequest:
    """What is to be given. `value` is the code of one of the partner's values, where it has any."""

    caller: str
    key: str
    partner: str
    giver: int
    receiver: int
    points: int
    value: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """A gift as it stands in the books; `replayed` where it stood there before."""

    told: Told
    replayed: bool = False


def giving_of(partner: PartnerTerms) -> Giving:
    """What members give each other there. Raises NotAllowed where that is nothing."""
    if partner.giving is None:
        raise NotAllowed(f"members of {partner.name} give each other nothing", "partner")
    return partner.giving


def receiver_by(kind: IdentifierKind, value: str, scope: int = 0) -> MemberRef:
    """By what a receiver is named. Raises BadInput naming the field."""
    try:
        return MemberRef.make(kind, value, scope)
    except BadInput as refusal:
        refusal.path = ("to", *refusal.path[1:])
        raise


async def give(engine: Engine, request: GiveRequest, now: datetime) -> Given:
    """Give. Raises BadInput, UnknownReference, NotAllowed (beyond a limit, with the figures),
    NotEligible (too few points, with what is missing) or IdempotencyConflict.
    """
    check_text(request.key, "key", 255, least=1)
    check_text(request.partner, "partner", 1000)
    check_text(request.value or "", "value", 1000)
    check_text(request.message, "message", LONGEST_MESSAGE)
    if not 1 <= request.points <= MAX_POINTS:
        raise BadInput(f"from 1 to {MAX_POINTS} points are given", "points")
    # Of what was sent, before it is judged: a first outcome outlives the limits it kept to.
    asked = digest(
        "give", request.partner, request.giver, request.receiver, request.points, request.value,
        request.message,
    )  # fmt: skip
    async with transaction() as connection:
        gift, receipt = await engine.ids.take(2)
        before = await claim_key(
            connection, request.caller, request.key, asked, (request.giver, gift), now
        )
        if before is not None:
            return await _first_outcome(connection, asked, before)
        partner = find_partner(engine.rulebook, request.partner)
        giving = giving_of(partner)
        out, into = _currencies(partner, giving)
        _check_words(giving, request)
        holders = [request.giver, request.receiver]
        batch = await open_holders(connection, engine.rulebook, engine.ids, holders, now)
        await _check_colleagues(connection, partner, giving, request, now)
        await _check_limits(connection, partner, giving, request, now)
        batch.place(await open_lots(connection, holders, sorted({out.id, into.id})))
        row = GiftRow(
            request.giver, gift, request.receiver, receipt, partner.id, out.id, into.id,
            request.points, request.value, now,
        )  # fmt: skip
        _fold(batch, row, out, into)
        await write(connection, batch)
        message = request.message.strip()
        await store.add(connection, row, message)
        return Given(Told(row, message or None))


async def _first_outcome(
    connection: Connection, asked: bytes, before: tuple[bytes, list[int]]
) -> Given:
    if before[0] != asked:
        raise IdempotencyConflict("this key was used before for another request", "key")
    told = await store.get(connection, before[1][0], before[1][1])
    assert told is not None
    return Given(told, replayed=True)


def _currencies(partner: PartnerTerms, giving: Giving) -> tuple[CurrencyTerms, CurrencyTerms]:
    """What goes out and what comes in, as the contract lets them."""
    out, into = partner.accepts.get(giving.out), partner.issues.get(giving.into)
    if out is None or into is None:
        lacks = giving.out if out is None else giving.into
        raise NotAllowed(f"the contract of '{partner.code}' doesn't cover {lacks}", "partner")
    return out, into


def _check_words(giving: Giving, request: GiveRequest) -> None:
    if giving.values and request.value not in giving.values:
        raise BadInput(f"a value is one of {', '.join(sorted(giving.values))}", "value")
    if not giving.values and request.value is not None:
        raise BadInput("there are no values here: leave it out", "value")
    if not giving.wordless and not request.message.strip():
        raise BadInput("say what it is for", "message")


async def _check_colleagues(
    connection: Connection,
    partner: PartnerTerms,
    giving: Giving,
    request: GiveRequest,
    now: datetime,
) -> None:
    """Both are the partner's colleagues, and two."""
    who = [request.giver, request.receiver]
    found = await store.teams(connection, who, partner.id, giving.team, now)
    if request.giver not in found:
        raise NotAllowed(f"only colleagues at {partner.name} give each other something")
    if request.receiver not in found:
        # Like a member that isn't there: ids can be guessed.
        raise UnknownReference(f"no such colleague at {partner.name}", "to")
    if request.giver == request.receiver:
        raise NotAllowed("nobody gives to oneself", "to")


async def _check_limits(
    connection: Connection,
    partner: PartnerTerms,
    giving: Giving,
    request: GiveRequest,
    now: datetime,
) -> None:
    """Hold a gift against the partner's limits; the giver is locked, so no two pass at once."""
    points, code = request.points, giving.out
    if giving.each is not None and points > giving.each:
        raise NotAllowed(f"at most {giving.each} {code} are given at once, not {points}", "points")
    since = (
        start_of(now, "D", partner.time_zone),
        _begins(giving.to_one, partner, now),
        _begins(giving.back, partner, now),
    )
    used = await store.used(connection, request.giver, request.receiver, partner.id, since)
    if giving.per_day is not None:
        _check_room(giving.per_day, used.in_all, points, f"{code} are given in a day")
    if giving.to_one is not None and giving.to_one.points is not None:
        period = f"{code} go to one colleague per {giving.to_one.per}"
        _check_room(giving.to_one.points, used.to_one, points, period)
    if giving.back is not None and giving.back.points is not None and used.was_given:
        period = f"{code} go back to a colleague who gave to you within {giving.back.per}"
        _check_room(giving.back.points, used.back, points, period)


def _begins(cap: Cap | None, partner: PartnerTerms, now: datetime) -> datetime:
    """Since when gifts count under a cap; without one nothing does."""
    if cap is None or cap.reach is None:
        return now
    return cap.reach.begins(now, partner.time_zone)


def _check_room(limit: int, used: int, points: int, what: str) -> None:
    if used + points > limit:
        raise NotAllowed(
            f"at most {limit} {what}: {used} were, so {max(0, limit - used)} are left, not "
            f"{points}",
            "points",
        )


def _fold(batch: Batch, row: GiftRow, out: CurrencyTerms, into: CurrencyTerms) -> None:
    """Book both postings in memory; raises NotEligible or BadInput, and then nothing is written."""
    same = out.id == into.id
    giving = Posting(batch, EventKind.GIFT, row.id, row.giver, row.partner, row.at)
    ledger = giving.ledger(out.id)
    target = Account.IN_TRANSIT if same else Account.REDEEMED
    seq = ledger.debit(giving.cause, Kind.GIFT, target, row.points)
    if seq is None:
        there = ledger.spendable(row.at)
        raise NotEligible(
            f"{row.points} {out.code} can't be given: {there} are there, "
            f"{row.points - there} are missing",
            "points",
        )
    _seal(giving, row)
    taken = {a.lot: a.amount for a in ledger.allocations if a.seq == seq}
    lots = [(lot, taken[lot.seq]) for lot in ledger.lots if lot.seq in taken]
    receiving = Posting(
        batch, EventKind.GIFT_RECEIVED, row.receipt, row.receiver, row.partner, row.at
    )
    to = receiving.ledger(into.id)
    if to.active + to.reserved + to.pending + row.points > MOST_HELD:
        raise BadInput(f"a ledger holds at most {MOST_HELD} points", "points")
    if same:
        _pass_on(receiving, to, lots)
    else:
        to.credit(
            receiving.cause, row.points, None, into.terms, batch.now, Kind.GIFT,
            source=Account.ISSUED,
        )  # fmt: skip
    came = sum(t.amount for t in to.transfers if (t.event, t.kind) == (row.receipt, Kind.GIFT))
    if came != row.points:
        raise BookBroken(f"{row.points} points were given, {came} would arrive")
    _seal(receiving, row)


def _pass_on(posting: Posting, ledger: Ledger, lots: list[tuple[Lot, int]]) -> None:
    """Open lots for points of the same currency: under their policies, to their ends, as before.

    Else a gift there and back would give points a longer life.
    """
    ends: dict[tuple[int, datetime | None], tuple[Lot, int]] = {}
    for lot, points in lots:
        key = (lot.terms.id, lot.expires_at)
        ends[key] = (lot, points + ends.get(key, (lot, 0))[1])
    for lot, points in ends.values():
        opened = ledger.credit(
            posting.cause, points, None, lot.terms, posting.batch.now, Kind.GIFT,
            source=Account.IN_TRANSIT,
        )  # fmt: skip
        if opened.expires_at != lot.expires_at:
            ledger.move(posting.cause, opened, lot.terms, lot.expires_at)


def _seal(posting: Posting, row: GiftRow) -> None:
    facts = said(row)
    posting.seal(orjson.dumps({"v": FORMAT, "r": facts}), digest(posting.kind, *facts), str(row.id))


def said(row: GiftRow) -> list[int | str]:
    """What both decisions and events say of a gift; `laurels check` holds it to this."""
    return [row.id, row.giver, row.receiver, row.out, row.into, row.points, row.value or ""]


async def erase_message(giver: int, gift: int) -> bool:
    """Erase what was said with a gift; False where nothing was there. The books stand."""
    async with transaction() as connection:
        return await store.erase_message(connection, giver, gift)
