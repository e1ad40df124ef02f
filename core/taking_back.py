"""What a return, a cancel, an edit or a fulfilment does to a member: points, tiers, the decision.

Folds in memory between the statements of `core.returning`. The arithmetic of what is still earned
is `core.entitlement`'s, that of lots is the ledger's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from core.activities import order_of_activity
from core.bought import Bought, Request, Returned
from core.decisions import FORMAT, content_of, packed
from core.entitlement import Given, Item, Remains, changes_of, given_of
from core.entries import AHEAD, Lot, Taken, spending_order
from core.errors import BadInput, NotAllowed, WrongState
from core.events import CANCELLING, EventKind
from core.folding import Batch, Posting, check_room
from core.following import came_back, corrected
from core.ledger import Ledger
from core.qualifying import disqualify
from core.rejudging import carried_again, judge_again
from core.reversals import Spent, reverse_for_order
from core.rulebook import PartnerTerms
from core.tally import Carried, carried_by
from laurels.evaluation import Evaluation
from laurels.policies import Renewal
from laurels.purchase import Line, Purchase


def book(
    batch: Batch,
    bought: Bought,
    spent: Spent,
    request: Request,
    said: tuple[list[Item], int, tuple[Line, ...], str],
    event: int,
    digest: bytes,
) -> Returned:
    """Book what came in on a purchase. Raises Refusal, having changed nothing."""
    items, number, lines, name = said
    _check_time(batch, request, bought)
    if request.kind is EventKind.FULFILMENT:
        return _fulfil(batch, bought, request, name, event, digest)
    if bought.cancelled:
        raise WrongState("the purchase was cancelled", "purchase")
    if request.kind is EventKind.EDIT:
        return _edit(batch, bought, request, number, lines, event, digest)
    cancel = request.kind in CANCELLING
    if cancel:
        # First, so that points spent on this order can be taken back rather than be owed.
        order = bought.external_id
        if bought.activity is not None:
            order = order_of_activity(order)
        reverse_for_order(batch, spent, (bought.partner, order), batch.now)
    after = bought.remains.emptied() if cancel else bought.remains.less(items, number)
    return _take_back(batch, bought, request, (items, number, after), event, digest)


def _check_time(batch: Batch, request: Request, bought: Bought) -> None:
    if request.occurred_at < bought.occurred_at:
        raise BadInput("it lies before its purchase", "occurredAt")
    if request.occurred_at > batch.now + AHEAD:
        raise NotAllowed("it lies more than five minutes ahead of our clock", "occurredAt")
    at = request.received_at
    exempt = batch.historical or (request.waited and at is None)
    if not exempt and request.occurred_at < (at or batch.now) - request.partner.late:
        raise NotAllowed(
            f"partner '{request.partner.code}' may report up to {request.partner.late.days} days "
            "late; what is older comes by import",
            "occurredAt",
        )


def _take_back(
    batch: Batch,
    bought: Bought,
    request: Request,
    said: tuple[Sequence[Item], int, Remains],
    event: int,
    digest: bytes,
) -> Returned:
    items, amount, after = said
    before, money_before = bought.entitled(), bought.remains.returned
    judged = judge_again(batch, bought, request, after)
    entitled = after.entitled(bought.given, judged)
    posting = Posting(
        batch, request.kind, event, bought.holder, bought.partner, request.occurred_at
    )
    falls = _by_currency(bought.given, before, entitled)
    taken = _collect(posting, bought, before, falls)
    carried = carried_again(bought, request, after)
    uncount(
        batch, bought, event, lost(bought.given, before, entitled), carried, nothing=after.nothing
    )
    visit_gone = bought.activity is None and after.nothing and not bought.remains.nothing
    bought.remains, bought.judged = after, judged
    bought.cancelled = request.kind in CANCELLING
    content = orjson.dumps(
        {
            "v": FORMAT,
            "p": bought.event,
            "s": dict(request.said),
            "a": amount,
            "j": sorted(judged.items()),
            "e": [
                [g.rule, g.currency, old, new]
                for g, old, new in zip(bought.given, before, entitled, strict=True)
                if old != new
            ],
            "t": taken,
            **({"c": [list(x) for x in carried]} if carried else {}),
        }
    )
    for item in _merged(items):
        batch.writes.lines.add_part(event, item.line + 1, item.quantity, item.amount)
    money = after.returned - money_before
    posting.seal(
        content, digest, request.external_id, purchase=bought.event,
        total=None if bought.activity else money, money=None if bought.activity else bought.money,
    )  # fmt: skip
    codes = {c.id: c.code for c in batch.rulebook.currencies.values()}
    batch.writes.occasions += came_back(batch, request, bought, event, money)
    moves = disqualify(
        batch, bought.holder, posting.cause, bought.occurred_at, bought.partner,
        {codes[c]: fall for c, fall in falls.items() if c in codes},
        (bought.money, money), visit_gone,
    )  # fmt: skip
    return Returned(event, bought.holder, bought.event, posting.cause.booked_at, False, moves)


def _merged(items: Sequence[Item]) -> list[Item]:
    """Each line once: a return may name it twice."""
    lines: dict[int, Item] = {}
    for item in items:
        before = lines.get(item.line, Item(item.line))
        lines[item.line] = Item(
            item.line, before.quantity + item.quantity, before.amount + item.amount
        )
    return list(lines.values())


def _by_currency(
    given: Sequence[Given], before: Sequence[int], after: Sequence[int]
) -> dict[int, int]:
    """By how much what is earned falls, of each currency in which it does."""
    falls: dict[int, int] = {}
    for g, old, new in zip(given, before, after, strict=True):
        if old != new:
            falls[g.currency] = falls.get(g.currency, 0) + old - new
    return {currency: fall for currency, fall in falls.items() if fall}


def _collect(
    posting: Posting, bought: Bought, before: Sequence[int], falls: Mapping[int, int]
) -> list[list[int]]:
    """Take back what falls come to, of each currency: as its decision tells it."""
    taken = []
    for currency, fall in sorted(falls.items()):
        left = sum(p for g, p in zip(bought.given, before, strict=True) if g.currency == currency)
        taken.append([currency, fall, *_charge(posting, bought, currency, fall, left)])
    for currency in falls:  # a correction (an edit) renews nothing, up or down
        until = posting.horizon(currency)
        posting.ledger(currency).slide(posting.cause, Renewal.RETURNING, until)
    return taken


def uncount(
    batch: Batch,
    bought: Bought,
    event: int,
    lost: Mapping[tuple[int, int], tuple[int, bool]],
    carried: Sequence[Carried],
    *,
    nothing: bool,
) -> None:
    """Take what is no longer earned off caps and budgets, and off what rules carry over."""
    batch.tally.give_back(
        bought.holder, bought.partner, bought.earning_events, event, lost, nothing=nothing
    )
    batch.tally.carry_on(bought.partner, bought.holder, carried)
    bought.carried.update((x.rule, x) for x in carried)


def lost(
    given: Sequence[Given], before: Sequence[int], after: Sequence[int]
) -> dict[tuple[int, int], tuple[int, bool]]:
    """By (rule, currency) what is no longer earned, and whether nothing of it is any more."""
    lost: dict[tuple[int, int], tuple[int, bool]] = {}
    for g, old, new in zip(given, before, after, strict=True):
        points, gone = lost.get((g.rule, g.currency), (0, True))
        lost[g.rule, g.currency] = (points + old - new, gone and not new)
    return lost


def _charge(
    posting: Posting, bought: Bought, currency: int, fall: int, entitled: int
) -> tuple[int, int, int, int]:
    """Take back what a fall comes to: (charged, from lots, into arrears, forgiven).

    What had expired of the purchase's points isn't charged: of what was still earned, that much
    is the member's loss already.
    """
    ledger = posting.ledger(currency)
    own = [lot for lot in ledger.lots if lot.event in bought.earning_events]
    gone = sum(lot.gone for lot in own)
    charged = max(0, min(fall, entitled - gone))
    taken = Taken(0, 0, 0)
    if charged and own:
        order = sorted(own, key=lambda lot: (lot.terms.policy.returns, lot.seq))
        reach = order[0].terms.policy.returns
        taken = ledger.claw_back(posting.cause, sorted(own, key=spending_order), charged, reach)
    return charged, *taken


def _edit(
    batch: Batch,
    bought: Bought,
    request: Request,
    revision: int,
    lines: tuple[Line, ...],
    event: int,
    digest: bytes,
) -> Returned:
    _check_editable(batch, bought, lines)
    if revision != bought.revision + 1:
        raise WrongState(
            f"the last revision is {bought.revision}; the next is {bought.revision + 1}", "revision"
        )
    receipt = bought.receipt(request.partner, lines)
    partner = request.partner.at(bought.occurred_at).on(receipt.trigger)
    evaluation, carried = _judge_revision(batch, partner, bought, receipt)
    decided = content_of(partner, receipt, evaluation, bought.facts(), carried, bought.noted)
    for undone in ("i", "a"):  # an edit neither issues nor notes
        decided.pop(undone, None)
    packed(partner, decided)
    check_room(batch, partner, evaluation, bought.holder)
    given = given_of(decided)
    money_before = sum(x.amount for x in bought.remains.lines)
    before, earned = bought.revise(lines, given)
    changes = changes_of(before, earned)
    posting = Posting(batch, request.kind, event, bought.holder, partner.id, request.occurred_at)
    taken = []
    for currency, change in sorted(changes.items()):
        if change < 0:
            entitled = sum(g.points for g in before if g.currency == currency)
            taken.append(
                [currency, -change, *_charge(posting, bought, currency, -change, entitled)]
            )
        elif more := bought.creditable(currency, change):
            _credit_more(posting, partner, bought, before, earned, currency, more)
    corrected(batch, bought, bool(evaluation.thanks), request.occurred_at)
    batch.tally.count(
        partner, evaluation, receipt, bought.holder, event, instead_of=bought.earning_events
    )
    batch.tally.carry_on(partner.id, bought.holder, carried)
    bought.carried.update((x.rule, x) for x in carried)
    bought.correct(changes, taken)
    bought.revision = revision
    bought.earning_events.append(event)
    batch.writes.lines.add(event, lines)
    content = orjson.dumps({**decided, "p": bought.event, "rev": revision, "t": taken})
    money = receipt.total_minor
    posting.seal(
        content, digest, request.external_id, total=money, money=bought.money,
        store_name=bought.store, purchase=bought.event, tender=bought.tender,
    )  # fmt: skip
    codes = {c.id: c.code for c in batch.rulebook.currencies.values()}
    moves = disqualify(
        batch, bought.holder, posting.cause, bought.occurred_at, partner.id,
        {codes[c]: -change for c, change in changes.items() if c in codes},
        (bought.money, money_before - money), False,
    )  # fmt: skip
    return Returned(event, bought.holder, bought.event, posting.cause.booked_at, False, moves)


def _check_editable(batch: Batch, bought: Bought, lines: Sequence[Line]) -> None:
    """Raise WrongState where something came back that other lines would change.

    What caps counted, what is carried over and what was judged again isn't put together anew.
    """
    if bought.remains.untouched:
        return
    if bought.judged or bought.carried or batch.tally.counts(bought.holder, bought.earning_events):
        raise WrongState(
            "part of the purchase came back, and a rule that gave for it counts what it gives; "
            "it can't be edited any more",
            "purchase",
        )
    bought.remains.revised(lines)


def _judge_revision(
    batch: Batch, partner: PartnerTerms, bought: Bought, receipt: Purchase
) -> tuple[Evaluation, list[Carried]]:
    """What rules make of a revision, as if its purchase had never been judged."""
    facts = batch.tally.facts(
        partner, receipt, bought.holder, bought.visits, bought.tiers, bought.attributes,
        bought.balances,
        without=bought.earning_events, earlier=bought.carried,
    )  # fmt: skip
    evaluation = batch.containment.judge(partner, receipt, facts)
    return evaluation, carried_by(partner, receipt, facts, evaluation, bought.carried)


def _credit_more(
    posting: Posting,
    partner: PartnerTerms,
    bought: Bought,
    before: Sequence[Given],
    after: Sequence[Given],
    currency: int,
    points: int,
) -> None:
    """Credit what a revision gives more, under the rules that give more of it, in their order."""
    rules = {r.id: r for r in partner.earn}
    terms = posting.batch.rulebook.currencies[currency]
    old: dict[int, int] = {}
    for g in before:
        if g.currency == currency:
            old[g.rule] = old.get(g.rule, 0) + g.points
    ledger = posting.ledger(currency)
    # Pending and expiry run from the purchase: an edit corrects it, and is no purchase of its own.
    dated = posting.cause._replace(occurred_at=bought.occurred_at)
    for g in after:
        if g.currency != currency or not points:
            continue
        more = min(points, max(0, g.points - old.get(g.rule, 0)))
        old[g.rule] = max(0, old.get(g.rule, 0) - g.points)
        if more:
            policy = rules[g.rule].policy(terms)
            held = policy.policy.pending
            came = None if held is None else bought.fulfilled.get(held.event)
            ledger.credit(dated, more, g.rule, policy, posting.horizon(currency), came=came)
            points -= more


def _fulfil(
    batch: Batch, bought: Bought, request: Request, name: str, event: int, digest: bytes
) -> Returned:
    """Activate the points of a purchase that waited for this event."""
    posting = Posting(
        batch, request.kind, event, bought.holder, bought.partner, request.occurred_at
    )
    activated = []
    for currency in sorted({g.currency for g in bought.given}):
        ledger = posting.ledger(currency)
        for lot in _awaiting(ledger, bought, name):
            activated.append([currency, lot.seq, lot.remaining])
            ledger.fulfil(posting.cause, lot, posting.horizon(currency))
    bought.fulfilled[name] = request.occurred_at
    content = orjson.dumps({"v": FORMAT, "p": bought.event, "event": name, "l": activated})
    posting.seal(content, digest, request.external_id, purchase=bought.event)
    return Returned(event, bought.holder, bought.event, posting.cause.booked_at)


def told_in_time(batch: Batch, bought: Bought, name: str, at: datetime) -> list[Lot]:
    """The lots that an event came in time for, however long its booking takes since then."""
    return [
        lot
        for currency in sorted({g.currency for g in bought.given})
        for lot in _awaiting(batch.ledger(bought.holder, currency), bought, name)
        if lot.lapses_at is not None and at < lot.lapses_at
    ]


def _awaiting(ledger: Ledger, bought: Bought, name: str) -> list[Lot]:
    return [
        lot
        for lot in ledger.lots
        if lot.event in bought.earning_events and lot.pending and lot.remaining
        and lot.active_at is None
        and lot.terms.policy.pending is not None and lot.terms.policy.pending.event == name
    ]  # fmt: skip
