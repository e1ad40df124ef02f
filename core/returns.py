"""Returns, cancels, edits and fulfilments of purchases: what came in, checked, and how it is run.

One transaction a batch, as for purchases; what a return does to a member is `core.taking_back`'s.
What comes before its purchase waits, visibly, and is booked when the purchase is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from core.bought import Bought, Request, Returned
from core.db import Connection, transaction
from core.entitlement import Item
from core.entries import AHEAD
from core.errors import BadInput, IdempotencyConflict, Refusal, UnknownReference
from core.events import EventKind
from core.folding import Batch
from core.posting import Engine, LostRace, write
from core.purchases import LineInput, check_text, parse_lines, parse_quantity
from core.rulebook import PartnerTerms
from core.store import nightly
from core.store import posting as rows
from core.store import returns as store
from core.store.lots import earned_lots, open_lots
from core.taking_back import book
from laurels.errors import LaurelsError, check_code
from laurels.money import MoneyError, to_minor
from laurels.purchase import Line

_MATCHES = 500
_RETRIES = 5


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """Part of a receipt's line that comes back: `line` counts from 1; a quantity or an amount."""

    line: int
    quantity: str | None = None
    amount: str | None = None


@dataclass(frozen=True, slots=True)
class ReturnInput:
    """A return as a till sends it: lines, or an amount of the whole receipt in major units."""

    external_id: str
    purchase: str
    occurred_at: datetime
    lines: Sequence[ReturnedLine] = ()
    amount: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """It came before its purchase and waits for it."""

    external_id: str
    purchase: str
    since: datetime


def unit_digest(purchase: str, occurred_at: datetime, content: Mapping[str, Any]) -> bytes:
    """16 bytes that stand for what came in on a purchase."""
    packed = orjson.dumps([purchase, occurred_at, content], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(packed, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Unit:
    """What came in on a purchase, checked as far as it can be without knowing the purchase."""

    partner: PartnerTerms
    kind: EventKind
    external_id: str
    purchase: str
    occurred_at: datetime
    content: Mapping[str, Any] = field(default_factory=dict)
    waited: bool = False

    @property
    def digest(self) -> bytes:
        """16 bytes by which it is told from another with its external id."""
        return unit_digest(self.purchase, self.occurred_at, self.content)


Outcome = Returned | Waiting | Refusal


def check_return(partner: PartnerTerms, given: ReturnInput) -> Unit:
    """A return, checked field by field. Raises BadInput naming the field.

    Amounts are read when the purchase is known, in its money.
    """
    if bool(given.lines) == (given.amount is not None):
        raise BadInput("a return names lines, or an amount of the whole receipt", "lines")
    content: dict[str, Any] = {}
    if given.amount is not None:
        content["amount"] = check_text(given.amount, "amount", 40, least=1)
    for n, line in enumerate(given.lines):
        try:
            content.setdefault("lines", []).append(_returned_line(line))
        except BadInput as error:
            error.under("lines", n)
            raise
    return _unit(
        partner, EventKind.RETURN, given.external_id, given.purchase, given.occurred_at, content
    )


def _returned_line(given: ReturnedLine) -> list[object]:
    if not 1 <= given.line <= 10_000:
        raise BadInput("lines are counted from 1", "line")
    if (given.quantity is None) == (given.amount is None):
        raise BadInput("a quantity or an amount of the line comes back", "quantity")
    if given.quantity is not None:
        quantity = parse_quantity(given.quantity)
        if not quantity:
            raise BadInput("nothing comes back", "quantity")
        return [given.line, quantity, ""]
    return [given.line, 0, check_text(given.amount or "", "amount", 40, least=1)]


def check_cancel(partner: PartnerTerms, purchase: str, occurred_at: datetime) -> Unit:
    """The cancel of a whole purchase: its natural key is the purchase's own."""
    return _unit(partner, EventKind.CANCEL, purchase, purchase, occurred_at, {})


def check_edit(
    partner: PartnerTerms,
    purchase: str,
    revision: int,
    occurred_at: datetime,
    lines: Sequence[LineInput],
    currency: str,
) -> Unit:
    """A new revision of a purchase, from 2 on: all its lines as they are now."""
    if not 2 <= revision <= 10_000:
        raise BadInput("the purchase itself is revision 1; the next is 2", "revision")
    parsed = parse_lines(lines, currency)
    content = {"revision": revision, "money": currency, "lines": [list(x) for x in parsed]}
    return _unit(partner, EventKind.EDIT, f"{purchase}#{revision}", purchase, occurred_at, content)


def check_fulfilment(
    partner: PartnerTerms, purchase: str, event: str, occurred_at: datetime
) -> Unit:
    """An event that pending points waited for: the order was shipped, the stay completed."""
    try:
        check_code("event", event)
    except LaurelsError as error:
        raise BadInput(str(error), "event") from error
    content = {"event": event}
    return _unit(
        partner, EventKind.FULFILMENT, f"{purchase}#{event}", purchase, occurred_at, content
    )


def _unit(
    partner: PartnerTerms,
    kind: EventKind,
    external_id: str,
    purchase: str,
    occurred_at: datetime,
    content: Mapping[str, Any],
) -> Unit:
    check_text(purchase, "purchase", 200, least=1)
    # The name of an edit or a fulfilment is the purchase's with something behind it.
    check_text(external_id, "externalId", 200 if kind is EventKind.RETURN else 300, least=1)
    if occurred_at.tzinfo is None:
        raise BadInput("occurredAt needs a time zone, such as +03:00 or Z", "occurredAt")
    if not 1970 <= occurred_at.year <= 9000:
        raise BadInput("occurredAt is no year of trade", "occurredAt")
    return Unit(partner, kind, external_id, purchase, occurred_at.astimezone(UTC), content)


async def record(
    engine: Engine, units: Sequence[Unit], now: datetime, *, historical: bool = False
) -> list[Outcome]:
    """Book what came in on purchases, each on its own: an outcome or a refusal, in order.

    Safe to send again. `historical` lifts the limit on how old it may be: imports.
    """
    if not units:
        return []
    outcomes = await _attempt(engine, units, now, historical)
    if any(isinstance(outcome, Waiting) for outcome in outcomes):
        # The purchase may have been booked while this was put to wait: then it is matched now.
        await match_waiting(engine, now, historical=historical)
    return outcomes


async def _attempt(
    engine: Engine, units: Sequence[Unit], now: datetime, historical: bool
) -> list[Outcome]:
    for _ in range(_RETRIES):
        try:
            async with transaction() as connection:
                return await _record(connection, engine, units, now, historical)
        except LostRace:
            continue
    raise IdempotencyConflict("the same external ids are being recorded elsewhere right now")


async def match_waiting(engine: Engine, now: datetime, *, historical: bool = False) -> int:
    """Book what waited for purchases that are known by now; returns how many were booked.

    What can't be booked (more came back than was bought) stays, with the reason. `historical`
    where history is being told, in its order.
    """
    booked = 0
    while found := await store.matched(_MATCHES):
        units: list[Unit] = []
        known: list[store.Waits] = []
        for row in found:
            partner = engine.rulebook.partner_by_id(row.partner)
            if partner is None:
                await store.tell_problem(row, "its partner is no longer installed")
                continue
            kind = EventKind(row.kind)
            known.append(row)
            units.append(
                Unit(
                    partner, kind, row.external_id, row.purchase, row.occurred_at, row.content, True
                )
            )  # fmt: skip
        if not units:
            continue
        outcomes = await _attempt(engine, units, now, historical)
        for row, outcome in zip(known, outcomes, strict=True):
            if isinstance(outcome, Returned):
                booked += 1
            elif isinstance(outcome, Refusal):
                await store.tell_problem(row, outcome.message)
    return booked


async def _record(
    connection: Connection,
    engine: Engine,
    units: Sequence[Unit],
    now: datetime,
    historical: bool,
) -> list[Outcome]:
    asked = [(n, u.partner.id, u.purchase) for n, u in enumerate(units)]
    found = await store.find_purchases(connection, asked)
    keys = [(n, u.partner.id, int(u.kind), u.external_id) for n, u in enumerate(units)]
    holders = sorted({holder for _, holder in found.values()})
    batch = Batch(engine.rulebook, now, historical)
    batch.booked = dict(await nightly.lock_holders(connection, holders)) if holders else {}
    known = await store.known(connection, keys)
    bought = await _load(connection, engine, batch, found, units, now) if found else {}
    events = iter(await engine.ids.take(connection, len(units)))
    waiting = await store.waits(connection, keys)
    outcomes: list[Outcome] = []
    first: dict[tuple[int, int, str], int] = {}
    for n, unit in enumerate(units):
        event = next(events)
        twin = first.setdefault(keys[n][1:], n)
        try:
            if n in known:
                outcomes.append(_again(unit, known[n][2], known[n]))
            elif twin != n and not isinstance(outcomes[twin], Refusal):
                outcomes.append(_repeated(unit, units[twin], outcomes[twin]))
            elif n not in found:
                outcomes.append(_wait(unit, waiting.get(n), now))
            else:
                request = Request(
                    unit.partner, unit.kind, unit.external_id, unit.occurred_at, unit.content,
                    unit.waited,
                )  # fmt: skip
                purchase = bought[found[n][0]]
                outcomes.append(
                    await book(
                        connection, engine, batch, purchase, request, _read(unit, purchase), event,
                        unit.digest,
                    )
                )  # fmt: skip
        except Refusal as refusal:
            outcomes.append(refusal)
            if twin == n:
                del first[keys[n][1:]]
    await write(connection, batch)
    put = [
        store.Waits(
            u.partner.id, u.kind, u.external_id, u.purchase, u.occurred_at, u.digest,
            dict(u.content), outcome.since, "",
        )
        for n, (u, outcome) in enumerate(zip(units, outcomes, strict=True))
        if isinstance(outcome, Waiting) and n not in waiting
    ]  # fmt: skip
    if put and await store.wait(connection, put) < len({w[:3] for w in put}):
        raise LostRace  # another took a name since: then it may say something else
    if settled := [keys[n][1:] for n in waiting if isinstance(outcomes[n], Returned)]:
        await store.forget(connection, settled)
    return outcomes


def _again(unit: Unit, digest: bytes, row: tuple[int, int, bytes, datetime, int]) -> Returned:
    if digest != unit.digest:
        raise _conflict(unit)
    return Returned(row[0], row[1], row[4], row[3], replayed=True)


def _repeated(unit: Unit, before: Unit, outcome: Outcome) -> Outcome:
    """The same twice in one batch: the first one's outcome."""
    if before.digest != unit.digest:
        raise _conflict(unit)
    if isinstance(outcome, Returned):
        return Returned(
            outcome.event, outcome.holder, outcome.purchase, outcome.booked_at, replayed=True
        )
    return outcome


def _conflict(unit: Unit) -> IdempotencyConflict:
    return IdempotencyConflict(
        f"{unit.kind.name.lower()} {unit.external_id} was recorded before with other content",
        "externalId",
    )


def _wait(unit: Unit, before: store.Waits | None, now: datetime) -> Waiting:
    if before is not None and before.content_hash != unit.digest:
        raise _conflict(unit)
    if unit.kind is EventKind.EDIT:
        raise UnknownReference(f"no purchase '{unit.purchase[:64]}' is recorded", "purchase")
    return Waiting(unit.external_id, unit.purchase, now if before is None else before.since)


def _read(unit: Unit, bought: Bought) -> tuple[list[Item], int, tuple[Line, ...], str]:
    """What a unit says of a purchase, in its money: (items, amount or revision, lines, event)."""
    content, money = unit.content, bought.money
    if unit.kind is EventKind.EDIT:
        if content["money"] != money:
            raise BadInput(f"the purchase was in {money}", "currency")
        return [], content["revision"], tuple(Line(*x) for x in content["lines"]), ""
    items = [_item(n, x, bought) for n, x in enumerate(content.get("lines", ()))]
    amount = content.get("amount")
    whole = 0 if amount is None else _minor(amount, money, "amount")
    return items, whole, (), content.get("event", "")


def _item(n: int, given: Sequence[Any], bought: Bought) -> Item:
    number, quantity, amount = given
    count = len(bought.remains.lines)
    if number > count:
        raise BadInput(f"the receipt has {count} lines", "lines", n, "line")
    minor = _minor(amount, bought.money, "lines", n, "amount") if amount else 0
    return Item(number - 1, quantity, minor)


def _minor(text: str, money: str, *path: str | int) -> int:
    try:
        minor = to_minor(text, money)
    except MoneyError as error:
        raise BadInput(str(error), *path) from error
    if minor <= 0:
        raise BadInput("what comes back is above zero", *path)
    return minor


async def _load(
    connection: Connection,
    engine: Engine,
    batch: Batch,
    found: Mapping[int, tuple[int, int]],
    units: Sequence[Unit],
    now: datetime,
) -> dict[int, Bought]:
    """The purchases with all that became of them; their holders' ledgers, lots, standings."""
    histories, lines = await store.history(connection, sorted({e for e, _ in found.values()}))
    bought = Bought.gather(histories, lines)
    spans: dict[int, tuple[datetime, datetime]] = {}
    for n, (event, holder) in found.items():
        at = bought[event].occurred_at
        lo, hi = spans.get(holder, (at, now))
        spans[holder] = (min(lo, at), max(hi, at, min(units[n].occurred_at, now + AHEAD)))
    batch.take(await rows.load(connection, spans, [], engine.rulebook.reaches, 0))
    keys = [(b.holder, event) for b in bought.values() for event in b.earning_events]
    batch.place(await earned_lots(connection, keys))
    currencies = sorted(
        {c.id for c in engine.rulebook.currencies.values()}
        | {currency for holder, currency in batch.ledgers if holder in spans}
    )
    batch.place(await open_lots(connection, list(spans), currencies))
    return bought
