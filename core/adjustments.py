"""Adjustments: points given or taken by hand, each with a reason, within its caller's limits.

What is given opens a lot of its own, never pending; what is taken comes from the lots soonest to
expire. Every call takes an idempotency key: sent again it answers with the first outcome. What was
said of it in words is kept apart, so that it can be erased while the books stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson

from core.db import Connection, transaction
from core.decisions import FORMAT
from core.entries import Account, Kind
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotAllowed,
    NotEligible,
    UnknownReference,
)
from core.events import EventKind
from core.folding import MOST_HELD, Batch, Posting
from core.ledger import Ledger
from core.posting import Engine, write
from core.purchases import check_text, find_partner
from core.qualifying import disqualify
from core.redemptions import opened
from core.reviews import PROGRAMME
from core.rulebook import CurrencyTerms, Rulebook
from core.settling import digest
from core.store import adjustments as store
from core.store.adjustments import AdjustmentRow, Told
from core.store.lots import open_lots
from core.store.redemptions import claim_key
from laurels.declarations import MAX_POINTS
from laurels.durations import Duration, start_of

_DAY = Duration.parse("1D")


@dataclass(frozen=True, slots=True)
class AdjustRequest:
    """Points to give (above zero) or to take (below). `role` is the caller's: admin or partner.

    `cause` is the event that it is for; `counts` lets it count for tiers. `partner` says in whose
    name; None: in the programme's. `note` is free text, beside the reason's code.
    """

    caller: str
    key: str
    role: str
    holder: int
    currency: str
    points: int
    reason: str
    cause: int | None = None
    counts: bool = False
    note: str = ""
    partner: str | None = None


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An adjustment as it stands in the books; `replayed` where it stood there before."""

    told: Told
    replayed: bool = False

    @property
    def row(self) -> AdjustmentRow:
        """What the books say of it."""
        return self.told.row


async def adjust(engine: Engine, request: AdjustRequest, now: datetime) -> Adjusted:
    """Book an adjustment. Raises BadInput, UnknownReference, NotAllowed (over a limit, with the
    figures), NotEligible (more than there is, with what is missing) or IdempotencyConflict.
    """
    _check(request)
    # Of what was sent, before it is judged: a first outcome outlives the limits it kept to.
    asked = digest(
        "adjust", request.role, request.holder, request.currency, request.points, request.reason,
        request.cause, request.counts, request.note, request.partner,
    )  # fmt: skip
    async with transaction() as connection:
        (event,) = await engine.ids.take(1)
        before = await claim_key(
            connection, request.caller, request.key, asked, (request.holder, event), now
        )
        if before is not None:
            return await _first_outcome(connection, asked, before)
        partner, currency = _parties(engine.rulebook, request)
        await _check_limits(connection, engine.rulebook, request, currency, now)
        batch = await opened(connection, engine, request.holder, now)
        await _check_holder(connection, batch, request, partner)
        batch.place(await open_lots(connection, [request.holder], [currency.id]))
        row = _fold(batch, request, partner, currency, event, now)
        await write(connection, batch)
        await store.add(connection, row, request.note)
        told = await store.get(connection, row.holder, row.event)
        assert told is not None
        return Adjusted(told)


def _check(request: AdjustRequest) -> None:
    check_text(request.key, "key", 255, least=1)
    for name, longest in (("currency", 1000), ("reason", 1000), ("partner", 1000), ("note", 2000)):
        check_text(getattr(request, name) or "", name, longest)
    if not 1 <= abs(request.points) <= MAX_POINTS:
        raise BadInput(f"from 1 to {MAX_POINTS} points are given, or taken", "points")


async def _first_outcome(
    connection: Connection, asked: bytes, before: tuple[bytes, list[int]]
) -> Adjusted:
    if before[0] != asked:
        raise IdempotencyConflict("this key was used before for another request", "key")
    told = await store.get(connection, before[1][0], before[1][1])
    assert told is not None
    return Adjusted(told, replayed=True)


def _parties(rulebook: Rulebook, request: AdjustRequest) -> tuple[int, CurrencyTerms]:
    """In whose name (the partner's id, or PROGRAMME) and in which currency."""
    reasons = rulebook.adjustments.reasons
    if request.reason not in reasons:
        raise BadInput(f"a reason is one of {', '.join(sorted(reasons))}", "reason")
    known = {c.code: c for c in rulebook.currencies.values()}
    currency = known.get(request.currency)
    if currency is None:
        raise UnknownReference(f"there is no currency '{request.currency[:64]}'", "currency")
    if request.partner is None:
        if request.role == "partner":
            raise BadInput("a partner adjusts in its own name", "partner")
        return PROGRAMME, currency
    partner = find_partner(rulebook, request.partner)
    if currency.code not in partner.issues:
        raise NotAllowed(
            f"partner '{partner.code}' may not issue {currency.code}, nor adjust it", "currency"
        )
    return partner.id, currency


async def _check_limits(
    connection: Connection,
    rulebook: Rulebook,
    request: AdjustRequest,
    currency: CurrencyTerms,
    now: datetime,
) -> None:
    """Hold a request against what its role may adjust at once, and its caller in a day."""
    settings = rulebook.adjustments
    limits = settings.admin if request.role == "admin" else settings.partner
    if limits is None:
        raise NotAllowed("the programme doesn't let partners adjust points by hand")
    points = abs(request.points)
    if limits.each is not None and points > limits.each:
        raise NotAllowed(
            f"at most {limits.each} {currency.code} are adjusted at once, not {points}", "points"
        )
    if limits.per_day is None:
        return
    await store.alone_today(connection, request.caller, currency.id)
    start = start_of(now, "D", rulebook.time_zone)
    end = _DAY.after(start, rulebook.time_zone)
    used = await store.adjusted(connection, request.caller, currency.id, start, end)
    if used + points > limits.per_day:
        raise NotAllowed(
            f"at most {limits.per_day} {currency.code} are adjusted in a day: {used} were today, "
            f"so {max(0, limits.per_day - used)} are left, not {points}",
            "points",
        )


async def _check_holder(
    connection: Connection, batch: Batch, request: AdjustRequest, partner: int
) -> None:
    if request.role == "partner" and (request.holder, partner) not in batch.relations:
        # Like a member that isn't there: ids can be guessed.
        raise UnknownReference("no such member", "member")
    if request.cause is not None and not (
        0 < request.cause < 2**63
        and await store.is_event_of(connection, request.holder, request.cause)
    ):
        raise UnknownReference("nothing of the kind happened to this member", "cause")


def _fold(
    batch: Batch,
    request: AdjustRequest,
    partner: int,
    currency: CurrencyTerms,
    event: int,
    now: datetime,
) -> AdjustmentRow:
    """Book it in memory; raises NotEligible or BadInput, and then nothing is written."""
    posting = Posting(batch, EventKind.ADJUSTMENT, event, request.holder, partner, now)
    seq = _move(posting, posting.ledger(currency.id), currency, request.points)
    row = AdjustmentRow(
        request.holder, event, now, posting.cause.booked_at, currency.id, seq, request.points,
        request.reason, request.cause, request.counts, partner, request.role, request.caller,
    )  # fmt: skip
    facts = said(row)
    posting.seal(orjson.dumps({"v": FORMAT, "r": facts}), digest(posting.kind, *facts), str(event))
    if request.counts:
        earned = {currency.code: -request.points}
        disqualify(batch, request.holder, posting.cause, now, partner, earned, ("", 0), False)
    return row


def _move(posting: Posting, ledger: Ledger, currency: CurrencyTerms, points: int) -> int:
    """Give or take; the transfer's place in the ledger."""
    cause = posting.cause
    if points > 0:
        held = ledger.active + ledger.reserved + ledger.pending
        if held + points > MOST_HELD:
            raise BadInput(f"a ledger holds at most {MOST_HELD} points", "points")
        return ledger.credit(
            cause, points, None, currency.terms, posting.batch.now, Kind.ADJUSTMENT
        ).seq
    seq = ledger.debit(cause, Kind.ADJUSTMENT, Account.ADJUSTED, -points)
    if seq is None:
        there = ledger.spendable(cause.occurred_at)
        raise NotEligible(
            f"{-points} {currency.code} can't be taken: {there} are there, "
            f"{-points - there} are missing",
            "points",
        )
    return seq


def said(row: AdjustmentRow) -> list[int | str]:
    """What the decision and the event say of an adjustment; `laurels check` holds it to this."""
    return [
        row.event, row.currency, row.seq, row.points, row.reason, row.cause or 0, int(row.counts),
        row.role, row.caller,
    ]  # fmt: skip
