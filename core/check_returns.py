"""Proves what became of purchases: each return, cancel, revision and fulfilment follows from them.

Goes through every purchase of which something came later, event by event, as it was booked: what
is still earned before and after, what was charged for the difference and where it was taken, what
it counted for on ladders, and the hash of what was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.bought import Bought
from core.checking import PREFETCH, Count, Found, Peek
from core.db import Connection, Row
from core.entitlement import Given
from core.entries import Account, Kind
from core.errors import Refusal
from core.events import EARNING, EventKind
from core.lines import line_of, said_of
from core.returns import unit_digest
from core.store import proof_events as store
from laurels.errors import LaurelsError


class Step(NamedTuple):
    """An event of a purchase, with what it decided and what came of it."""

    purchase: int
    event: int
    kind: int
    holder: int
    at: datetime
    booked_at: datetime
    partner: int
    money: str
    external_id: str
    store: str
    content: str | None
    tender: str | None
    content_hash: bytes
    total: int | None


@dataclass(slots=True)
class Past:
    """All rows of one purchase."""

    steps: list[Step]
    lines: list[Row]
    moves: list[Row]
    gone: list[Row]
    counted: list[Row]

    def moved(self, step: Step, currency: int, kind: Kind, *sources: Account) -> int:
        """The points that a step moved of a kind, from these accounts."""
        return sum(
            r[6] for r in self.moves
            if r[1] == step.event and r[2] == currency and r[3] == kind
            and (not sources or r[4] in sources)
        )  # fmt: skip

    def unused(self, step: Step, currency: int) -> int:
        """What had expired or lapsed of the purchase's points when a step was booked."""
        return sum(r[3] for r in self.gone if r[1] == currency and r[2] <= step.booked_at)


async def returns(connection: Connection, count: Count) -> Found:
    """Each event on a purchase follows from the purchase and from what came before it."""
    more = [
        Peek(connection.cursor(query, prefetch=PREFETCH))
        for query in (
            store.HISTORY_LINES, store.HISTORY_MOVES, store.HISTORY_GONE, store.HISTORY_COUNTED
        )
    ]  # fmt: skip
    n = 0
    steps: list[Step] = []
    async for row in connection.cursor(store.HISTORIES, prefetch=PREFETCH):
        n += 1
        if n % PREFETCH == 0:
            count(n)
        if steps and steps[0].purchase != row[0]:
            for found in _prove(await _past(more, steps)):
                yield found
            steps = []
        steps.append(Step(*row))
    if steps:
        for found in _prove(await _past(more, steps)):
            yield found


async def _past(more: Sequence[Peek], steps: list[Step]) -> Past:
    key = steps[0].purchase
    lines, moves, gone, counted = [[r async for r in peek.until(key)] for peek in more]
    return Past(steps, lines, moves, gone, counted)


def _prove(past: Past) -> Iterator[tuple[str, str]]:
    """The first difference of each event; after one that makes no sense at all, none."""
    for n, step in enumerate(past.steps):
        where = f"event {step.event} on purchase {step.purchase}"
        try:
            if n == 0:
                if step.kind not in EARNING:
                    yield where, "its purchase is missing"
                    return
                continue
            before, after = _gathered(past, n), _gathered(past, n + 1)
            problem = next(_problems(past, step, before, after), None)
        except Refusal as refusal:
            yield where, f"it takes back what isn't there: {refusal.message}"
            return
        except (ValueError, TypeError, LookupError, ArithmeticError, LaurelsError) as error:
            yield where, f"what was decided can't be read: {type(error).__name__}: {error}"
            return
        if problem is not None:
            yield where, problem


def _gathered(past: Past, count: int) -> Bought:
    """The purchase after so many of its events."""
    known = {step.event for step in past.steps[:count]}
    lines = [tuple(row)[1:] for row in past.lines if row[1] in known]
    (bought,) = Bought.gather([step[:12] for step in past.steps[:count]], lines).values()
    return bought


def _problems(past: Past, step: Step, before: Bought, after: Bought) -> Iterator[str]:
    content = orjson.loads(step.content or "")
    if content["p"] != step.purchase:
        yield f"it was decided for purchase {content['p']}"
    name, said = _said(past, step, content, before.external_id)
    if step.external_id != name:
        yield f"it is called {step.external_id}, not {name}"
    if unit_digest(before.external_id, step.at, said) != step.content_hash:
        yield "its hash isn't that of what it says"
    if step.kind == EventKind.FULFILMENT:
        yield from _activated(past, step, content)
        return
    if before.cancelled:
        yield "the purchase had been cancelled"
    if step.kind == EventKind.EDIT:
        yield from _edited(before, content)
        falls = _falls(before.given, before.entitled(), after.given, after.entitled())
        money = sum(line.amount for line in before.remains.lines) - (step.total or 0)
        whole = sum(line.amount for line in after.remains.lines)
    else:
        entitled = before.entitled(), after.entitled()
        listed = [
            [g.rule, g.currency, old, new]
            for g, old, new in zip(before.given, *entitled, strict=True)
            if old != new
        ]
        if content["e"] != listed:
            yield f"it says that {content['e']} is no longer earned, it is {listed}"
        falls = _falls(before.given, entitled[0], before.given, entitled[1])
        money = whole = after.remains.returned - before.remains.returned
    if before.activity is None and step.total != whole:
        yield f"it comes to {step.total}, its lines to {whole}"
    yield from _charges(past, step, content, before, falls)
    gone = after.remains.nothing and not before.remains.nothing and step.kind != EventKind.EDIT
    gone = gone and before.activity is None
    yield from _uncounted(past, step, falls, money, visit=gone)


def _said(
    past: Past, step: Step, content: dict[str, Any], purchase: str
) -> tuple[str, dict[str, Any]]:
    """By what name an event goes, and what was sent for it."""
    match step.kind:
        case EventKind.RETURN:
            return step.external_id, content["s"]
        case EventKind.CANCEL:
            return purchase, {}
        case EventKind.WITHDRAWAL:
            whole = past.steps[0].kind == EventKind.ACTIVITY
            return purchase if whole else f"occasion:{purchase}", {}
        case EventKind.EDIT:
            lines = [said_of(line_of(r[3:])) for r in past.lines if r[1] == step.event]
            said = {"revision": content["rev"], "money": step.money, "lines": lines}
            return f"{purchase}#{content['rev']}", said
        case EventKind.FULFILMENT:
            return f"{purchase}#{content['event']}", {"event": content["event"]}
    raise ValueError(f"an event of kind {step.kind} is none on a purchase")


def _activated(past: Past, step: Step, content: dict[str, Any]) -> Iterator[str]:
    """What waited for this event became active then; time itself may have done so to other lots."""
    rows = [
        (r[2], r[6]) for r in past.moves
        if r[1] == step.event and r[3] == Kind.ACTIVATION and r[5] == step.at
    ]  # fmt: skip
    for currency, _, points in content["l"]:
        if (currency, points) in rows:
            rows.remove((currency, points))
        else:
            yield f"{points} points of currency {currency} were to be activated, and weren't"


def _edited(before: Bought, content: dict[str, Any]) -> Iterator[str]:
    if content["rev"] != before.revision + 1:
        yield f"it is revision {content['rev']} after {before.revision}"


def _falls(
    given: Sequence[Given], before: Sequence[int], then: Sequence[Given], after: Sequence[int]
) -> dict[int, int]:
    """By how much what is earned falls, by currency; below zero where it rises."""
    falls: dict[int, int] = {}
    for sign, awards, points in ((1, given, before), (-1, then, after)):
        for g, n in zip(awards, points, strict=True):
            falls[g.currency] = falls.get(g.currency, 0) + sign * n
    return {currency: fall for currency, fall in falls.items() if fall}


def _charges(
    past: Past, step: Step, content: dict[str, Any], before: Bought, falls: dict[int, int]
) -> Iterator[str]:
    """What was decided to be taken back is what a fall comes to, and what was moved."""
    taken = {c: tuple(rest) for c, *rest in content["t"]}
    fallen = {currency: fall for currency, fall in falls.items() if fall > 0}
    if {c: rest[0] for c, rest in taken.items()} != fallen or len(content["t"]) != len(taken):
        yield f"it takes back {content['t']}, what is earned falls by {fallen}"
        return
    earned = before.entitled()
    touched = {r[2] for r in past.moves if r[1] == step.event} | set(falls)
    for currency in sorted(touched):
        fall, charged, lots, owed, forgiven = taken.get(currency, (0,) * 5)
        left = sum(
            n for g, n in zip(before.given, earned, strict=True) if g.currency == currency
        ) - past.unused(step, currency)  # fmt: skip
        if charged != max(0, min(fall, left)) or min(lots, owed, forgiven) < 0:
            yield f"{charged} of {fall} were charged, {left} were left of currency {currency}"
        elif lots + owed + forgiven != charged:
            yield f"{charged} were charged: {lots} taken, {owed} owed, {forgiven} let go"
        moved = (
            past.moved(step, currency, Kind.CLAWBACK, Account.ACTIVE, Account.PENDING),
            past.moved(step, currency, Kind.CLAWBACK, Account.ARREARS),
            past.moved(step, currency, Kind.ACCRUAL),
        )
        due = (lots, owed, before.creditable(currency, -falls.get(currency, 0)))
        if moved != due:
            yield f"of currency {currency} {moved} were taken, owed and given, not {due}"


def _uncounted(
    past: Past, step: Step, falls: dict[int, int], money: int, *, visit: bool
) -> Iterator[str]:
    """What came back no longer counts on the ladders where its purchase counted."""
    own = {r[2]: r[5] for r in past.counted if r[1] == step.event}
    for _, event, ladder, measure, currency, _ in past.counted:
        if event not in (step.event, step.purchase):
            continue
        if currency is not None:
            due = -falls.get(currency, 0)
        elif measure == "visits":
            due = -int(visit)
        else:
            due = -money if measure == f"spend:{step.money}" else 0
        if own.get(ladder, 0) != due:
            yield f"on ladder {ladder} ({measure}) it counts {own.get(ladder, 0)}, not {due}"
