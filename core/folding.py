"""Folds one purchase after another into a batch, in memory: judged, credited, qualified, sealed.

Between the statement that loads a batch and the ones that write it (`core.posting`): it knows no
connection. Each fold changes its holder's state alone, so a batch's size never shows in the books.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core.activities import hash_of
from core.containment import Containment
from core.decisions import content_of, packed
from core.entries import AHEAD, Cause, Lot, Transfer
from core.errors import (
    IdempotencyConflict,
    NotAllowed,
    PartnerRuleFailed,
)
from core.events import EventKind
from core.following import follow
from core.ledger import Ledger
from core.noted import AttributeRow, noted_at, values_of
from core.outcomes import Recorded
from core.purchases import Incoming, content_hash
from core.qualifying import qualify, take_standings
from core.rulebook import CurrencyTerms, LadderTerms, PartnerTerms, PolicyTerms, Rulebook
from core.sealing import seal
from core.shadowing import Shadows, beside
from core.store import writes as rows
from core.tally import Tally, carried_by
from core.tiers import Standing
from laurels.declarations import MAX_POINTS
from laurels.evaluation import Evaluation
from laurels.policies import Renewal
from laurels.purchase import Facts, Purchase

_TICK = timedelta(microseconds=1)
#: Far beyond any programme, and far within 64 bits.
MOST_HELD = 10**18


@dataclass(slots=True)
class Batch:
    """The state of all holders that one batch touches, and the rows it will write."""

    rulebook: Rulebook
    now: datetime
    historical: bool
    tips: dict[int, rows.Tip] = field(default_factory=dict)
    events: dict[tuple[int, str], tuple[int, int, bytes, datetime]] = field(default_factory=dict)
    attributes: dict[tuple[int, int], list[AttributeRow]] = field(default_factory=dict)
    ledgers: dict[tuple[int, int], Ledger] = field(default_factory=dict)
    relations: dict[tuple[int, int], int] = field(default_factory=dict)
    dealt: set[tuple[int, int]] = field(default_factory=set)
    standings: dict[tuple[int, int], Standing] = field(default_factory=dict)
    enrolled: dict[int, datetime] = field(default_factory=dict)
    awaiting: dict[tuple[int, str], dict[str, datetime]] = field(default_factory=dict)
    containment: Containment = field(default_factory=Containment)
    tentative: bool = False
    #: What judges in shadow what is booked; None: nothing does.
    shadows: Shadows | None = None
    tally: Tally = field(default_factory=Tally)
    #: Of these it is known that what they wait for has happened in time: it is booked next.
    spared: list[Lot] = field(default_factory=list)
    writes: rows.Writes = field(default_factory=rows.Writes)

    def take(self, rows: Sequence[Any]) -> None:
        """Fill in what `store.load` found (see LOAD there for the columns)."""
        for what, a, b, c, d, e, f, g, t, u, x, y in rows:
            match what:
                case 1:
                    self.events[b, x] = (a, c, y, t)
                case 2:
                    self.ledgers[a, b] = Ledger(a, b, c, d, e, f, g, t)
                case 3:
                    self.relations[a, b] = c
                case 8:  # of a fulfilment the event's name
                    self.awaiting.setdefault((a, x), {})[y.decode()] = t
                case 9:
                    value = None if y is None else y.decode()
                    row = AttributeRow(a, b, x, t, c, None, value, u)
                    self.attributes.setdefault((a, b), []).append(row)
        take_standings(self, rows)

    def ledger(self, holder: int, currency: int) -> Ledger:
        """The ledger, opened at zero if the holder has none in this currency yet."""
        key = (holder, currency)
        found = self.ledgers.get(key)
        if found is None:
            found = self.ledgers[key] = Ledger(holder, currency)
        return found

    def standing(self, holder: int, ladder: LadderTerms) -> Standing:
        """The standing, at the foot of the ladder if the holder has none yet."""
        key = (holder, ladder.id)
        found = self.standings.get(key)
        if found is None:
            found = self.standings[key] = Standing(
                holder, ladder, enrolled=self.enrolled.get(holder)
            )
        return found

    def place(self, lots: Iterable[tuple[tuple[int, int], Lot]]) -> None:
        """Put loaded lots into their ledgers; one that is there already stays as it is."""
        there: dict[tuple[int, int], set[int]] = {}
        for key, lot in lots:
            ledger = self.ledger(*key)
            known = there.get(key)
            if known is None:
                known = there[key] = {x.seq for x in ledger.lots}
            if lot.seq not in known:
                known.add(lot.seq)
                ledger.lots.append(lot)

    def horizon(self, currency: CurrencyTerms, at: datetime) -> datetime:
        """Up to when points count as gone: now, but in history that is told in order, then.

        Or points that each purchase renewed would all be dead before the next one is read.
        """
        return min(self.now, at) if self.historical and currency.sliding else self.now

    def book_time(self, holder: int) -> datetime:
        """When this posting is booked: now, but strictly after the holder's last one.

        And after the last seal: the digest of all heads is of all that was booked by then.
        """
        last = self.tips[holder].booked_at
        return self.now if last is None or last < self.now else last + _TICK


def fold(batch: Batch, item: Incoming, holder: int, event: int) -> Recorded:
    """Judge and book one purchase or activity in memory. Raises Refusal, having changed nothing."""
    purchase, bought = item.purchase, item.kind is EventKind.PURCHASE
    partner = item.partner.at(purchase.occurred_at).on(purchase.trigger)
    digest = hash_of(purchase, holder) or content_hash(purchase, holder)
    known = batch.events.get((partner.id, purchase.external_id))
    if known is not None:
        if known[2] != digest:
            raise IdempotencyConflict(
                f"{item.kind.name.lower()} {purchase.external_id} was recorded before with other "
                "content",
                "externalId",
            )
        return Recorded(known[0], holder, known[3], replayed=True)
    if item.kind is not EventKind.OCCASION:  # the engine is as late as it is
        _check_time(batch, partner, purchase, item.received_at or batch.now)
    ladders = batch.rulebook.ladders_of(partner)
    ranks = {x.id: batch.standing(holder, x).rank_at(purchase.occurred_at) for x in ladders}
    noted = noted_at(batch.attributes.get((holder, partner.id), ()), purchase.occurred_at)
    facts = _facts(batch, item, partner, holder, ranks, values_of(noted.values()))
    aside = _facts_aside(batch, partner, purchase, holder, facts)
    evaluation = batch.containment.judge(partner, purchase, facts, tentative=batch.tentative)
    carried = carried_by(partner, purchase, facts, evaluation)
    known_by = [row.id for row in noted.values()]
    content = packed(partner, content_of(partner, purchase, evaluation, facts, carried, known_by))
    check_room(batch, partner, evaluation, holder)
    posting = Posting(batch, item.kind, event, holder, partner.id, purchase.occurred_at)
    awaiting = batch.awaiting.get((partner.id, purchase.external_id), {}) if bought else {}
    _credit(posting, partner, evaluation, awaiting)
    if bought:
        batch.writes.lines.add(event, purchase.lines)
        posting.seal(
            content, digest, purchase.external_id, total=purchase.total_minor,
            money=purchase.currency, store_name=purchase.store, tender=purchase.tender,
        )  # fmt: skip
    else:
        posting.seal(content, digest, purchase.external_id)
    cause = posting.cause
    batch.tally.count(partner, evaluation, purchase, holder, event)
    batch.tally.carry_on(partner.id, holder, carried)
    follow(batch, partner, purchase, evaluation, holder, event)
    moves = qualify(batch, partner, purchase, evaluation, cause, holder, ranks)
    batch.relations[holder, partner.id] = facts.visits + bought
    batch.dealt.add((holder, partner.id))
    batch.events[partner.id, purchase.external_id] = (event, holder, digest, cause.booked_at)
    if bought and partner.shadow is not None and batch.shadows is not None:
        _shadow(batch, partner, purchase, aside, evaluation, (event, holder, cause.booked_at))
    return Recorded(
        event, holder, cause.booked_at, False, evaluation, moves, posting.moved(), facts
    )


def _facts(
    batch: Batch,
    item: Incoming,
    partner: PartnerTerms,
    holder: int,
    ranks: Mapping[int, int],
    attributes: Mapping[str, str],
) -> Facts:
    """What the partner's rules are told of the member."""
    tiers = {
        x.ladder.code: x.ladder.tiers[ranks[x.id]].code for x in batch.rulebook.ladders_of(partner)
    }
    if item.supposed:
        tiers.update(item.supposed)
    visits = batch.relations.get((holder, partner.id), 0)
    balances = _balances(batch, partner, holder) if partner.balanced else {}
    return batch.tally.facts(partner, item.purchase, holder, visits, tiers, attributes, balances)


def _balances(batch: Batch, partner: PartnerTerms, holder: int) -> dict[str, int]:
    """What the member may spend of the currencies that a partner knows."""
    known = {**partner.issues, **partner.accepts}
    found = {code: batch.ledgers.get((holder, terms.id)) for code, terms in known.items()}
    return {
        code: 0 if ledger is None else ledger.free(batch.now)
        for code, ledger in sorted(found.items())
    }


def _facts_aside(
    batch: Batch, partner: PartnerTerms, purchase: Purchase, holder: int, facts: Facts
) -> Facts:
    """What shadow rules are told, before anything of the purchase is counted.

    Their caps aren't those in force: they reach further, say.
    """
    terms = None if batch.shadows is None else beside(partner, purchase)
    if terms is None:
        return facts
    balances = _balances(batch, terms, holder) if terms.balanced else {}
    return batch.tally.facts(
        terms, purchase, holder, facts.visits, facts.tiers, facts.attributes, balances
    )


def _shadow(
    batch: Batch,
    partner: PartnerTerms,
    purchase: Purchase,
    facts: Facts,
    evaluation: Evaluation,
    booked: tuple[int, int, datetime],
) -> None:
    """Last of all: nothing that shadow rules do can reach what is booked.

    Of a partner that is suspended its own rules didn't judge: there is nothing to compare.
    """
    if batch.shadows is not None and not batch.containment.breakers.left(partner.id):
        batch.shadows.judge(batch.writes, partner, purchase, facts, evaluation, booked)


def _check_time(batch: Batch, partner: PartnerTerms, purchase: Purchase, told_at: datetime) -> None:
    if purchase.occurred_at > batch.now + AHEAD:
        raise NotAllowed(
            "the purchase lies more than five minutes ahead of our clock", "occurredAt"
        )
    if not batch.historical and purchase.occurred_at < told_at - partner.late:
        raise NotAllowed(
            f"partner '{partner.code}' may report purchases up to {partner.late.days} days late; "
            "older ones come by import",
            "occurredAt",
        )


def check_room(batch: Batch, partner: PartnerTerms, evaluation: Evaluation, holder: int) -> None:
    """Refuse what a ledger can't hold, before anything changes: one brand's fault stays its own."""
    for code in {g.currency for g in evaluation.granted}:
        points = evaluation.points(code)
        ledger = batch.ledger(holder, partner.issues[code].id)
        held = ledger.active + ledger.reserved + ledger.pending
        if points > MAX_POINTS or held + points > MOST_HELD:
            raise PartnerRuleFailed(
                f"partner '{partner.code}': its rules awarded {points} {code}, beyond what one "
                "purchase may give or a ledger may hold"
            )


def _credit(
    posting: Posting,
    partner: PartnerTerms,
    evaluation: Evaluation,
    awaiting: Mapping[str, datetime],
) -> None:
    """Open the lots of an evaluation. `awaiting`: what was told of the purchase before, when."""
    batch = posting.batch
    for granted in evaluation.granted:
        currency = partner.issues[granted.currency]
        now = batch.horizon(currency, posting.cause.occurred_at)
        ledger = posting.ledger(currency.id, now)
        rule = partner.earn[granted.rule]
        terms = rule.policy(currency)
        came = _came(terms, posting.cause.occurred_at, awaiting, now)
        ledger.credit(posting.cause, granted.points, rule.id, terms, now, came=came)
    for ledger in posting.ledgers():
        currency = batch.rulebook.currencies[ledger.currency]
        if currency.sliding:
            now = batch.horizon(currency, posting.cause.occurred_at)
            ledger.slide(posting.cause, Renewal.EARNING, now)


def _came(
    terms: PolicyTerms, at: datetime, awaiting: Mapping[str, datetime], now: datetime
) -> datetime | None:
    """When the event came that points earned at `at` wait for, where they would lapse at once.

    It is booked after the purchase, as everything that waited: too late for them.
    """
    pending = terms.policy.pending
    came = None if pending is None else awaiting.get(pending.event)
    lapses_at = terms.policy.life(at).lapses_at
    late = came is not None and at <= came <= now and lapses_at is not None and lapses_at <= now
    return came if late else None


class Posting:
    """One event and its decision on one holder's ledgers, in the making.

    Ask it for ledgers, move points by its `cause`, then `seal` it: what was moved since, in
    whichever ledgers, is chained to the holder's last decision together with this one's content.
    """

    def __init__(
        self, batch: Batch, kind: EventKind, event: int, holder: int, partner: int, at: datetime
    ) -> None:
        self.batch = batch
        self.kind = kind
        self.holder = holder
        self.cause = Cause(event, partner, batch.book_time(holder), at)
        self._began: dict[int, tuple[int, int]] = {}

    def ledger(
        self,
        currency: int,
        now: datetime | None = None,
        *,
        expiring: bool = True,
    ) -> Ledger:
        """The holder's ledger; lots that were loaded are brought up to now first."""
        ledger = self.batch.ledger(self.holder, currency)
        if currency not in self._began:
            self._began[currency] = (len(ledger.transfers), len(ledger.changes))
            if ledger.lots:
                until = now or self.horizon(currency)
                ledger.catch_up(self.cause, until, expiring=expiring, spared=self.batch.spared)
        return ledger

    def horizon(self, currency: int) -> datetime:
        """Up to when points of a currency count as gone (see `Batch.horizon`)."""
        terms = self.batch.rulebook.currencies.get(currency)
        if terms is None:
            return self.batch.now
        return self.batch.horizon(terms, self.cause.occurred_at)

    def ledgers(self) -> list[Ledger]:
        """Those asked for so far, by currency."""
        return [self.batch.ledger(self.holder, c) for c in sorted(self._began)]

    def moved(self) -> tuple[Transfer, ...]:
        """The transfers so far, in their order: by currency."""
        return tuple(
            transfer
            for currency, (begins, _) in sorted(self._began.items())
            for transfer in self.batch.ledgers[self.holder, currency].transfers[begins:]
        )

    def seal(
        self,
        content: bytes,
        digest: bytes,
        external_id: str,
        *,
        total: int | None = None,
        money: str | None = None,
        store_name: str = "",
        purchase: int | None = None,
        tender: str = "",
    ) -> None:
        """Write the event and the decision, and chain them and what was moved."""
        batch, cause = self.batch, self.cause
        moved = [
            (batch.ledgers[self.holder, currency], *began)
            for currency, began in sorted(self._began.items())
        ]
        decided = rows.DecisionRow(
            self.holder, cause.booked_at, cause.event, cause.occurred_at, cause.partner,
            batch.rulebook.version, self.kind, batch.tips[self.holder].head, content.decode(),
        )  # fmt: skip
        head = seal(decided, digest, external_id, moved)
        batch.tips[self.holder] = batch.writes.tips[self.holder] = rows.Tip(cause.booked_at, head)
        batch.writes.events.append(
            rows.EventRow(
                cause.event, self.holder, cause.occurred_at, cause.booked_at, total, cause.partner,
                self.kind, money, digest, external_id, store_name, purchase,
                tender or None,
            )
        )  # fmt: skip
        batch.writes.decisions.append(decided._replace(head=head))
