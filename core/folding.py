"""Folds one purchase after another into a batch, in memory: judged, credited, qualified, sealed.

Between the statement that loads a batch and the ones that write it (`core.posting`): it knows no
connection. Each fold changes its holder's state alone, so a batch's size never shows in the books.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from core.errors import (
    IdempotencyConflict,
    NotAllowed,
    PartnerRuleFailed,
    Refusal,
)
from core.events import EventKind
from core.ledger import Cause, Ledger
from core.purchases import Incoming, content_hash
from core.qualifying import qualify
from core.rulebook import CurrencyTerms, LadderTerms, PartnerTerms, Rulebook
from core.store import posting as store
from core.tiers import Standing, TierMove
from laurels.declarations import MAX_POINTS
from laurels.durations import Duration
from laurels.errors import RuleError
from laurels.evaluator import Evaluation, evaluate
from laurels.purchase import Facts, Purchase

#: How far ahead of our clock a till's clock may be.
AHEAD = timedelta(minutes=5)
_TICK = timedelta(microseconds=1)
#: The version of a decision's stored form, hashed with it.
FORMAT = 1
#: Far beyond any programme, and far within 64 bits.
_MOST_HELD = 10**18


@dataclass(frozen=True, slots=True)
class Recorded:
    """A purchase that stands in the books; `replayed` where it stood there before."""

    event: int
    holder: int
    booked_at: datetime
    replayed: bool = False
    evaluation: Evaluation | None = None
    moves: tuple[TierMove, ...] = ()


Outcome = Recorded | Refusal


@dataclass(slots=True)
class Batch:
    """The state of all holders that one batch touches, and the rows it will write."""

    rulebook: Rulebook
    now: datetime
    historical: bool
    booked: dict[int, datetime | None] = field(default_factory=dict)
    events: dict[tuple[int, str], tuple[int, int, bytes, datetime]] = field(default_factory=dict)
    ledgers: dict[tuple[int, int], Ledger] = field(default_factory=dict)
    relations: dict[tuple[int, int], tuple[int, datetime]] = field(default_factory=dict)
    standings: dict[tuple[int, int], Standing] = field(default_factory=dict)
    writes: store.Writes = field(default_factory=store.Writes)

    def take(self, rows: Sequence[Any]) -> None:
        """Fill in what `store.load` found (see LOAD there for the columns)."""
        for what, a, b, c, d, e, f, g, t, u, x, y in rows:
            match what:
                case 1:
                    self.events[b, x] = (a, c, y, t)
                case 2:
                    self.ledgers[a, b] = Ledger(a, b, c, d, e, f, g, y)
                case 3:
                    self.relations[a, b] = (c, t)
                case 4:
                    self.standings[a, b] = Standing(a, self.rulebook.ladders[b], t, c, d, u)
        for row in rows:
            if row[0] == 5:
                self.standings[row[1], row[2]].rows.append((row[8], row[3]))

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
            found = self.standings[key] = Standing(holder, ladder)
        return found

    def book_time(self, holder: int) -> datetime:
        """When this posting is booked: now, but strictly after the holder's last one."""
        last = self.booked.get(holder)
        at = self.now if last is None or last < self.now else last + _TICK
        self.booked[holder] = at
        self.writes.booked[holder] = at
        return at


def fold_purchase(batch: Batch, item: Incoming, holder: int, event: int) -> Recorded:
    """Judge and book one purchase in memory. Raises Refusal, having changed nothing."""
    purchase, partner = item.purchase, item.partner
    digest = content_hash(purchase, holder)
    known = batch.events.get((partner.id, purchase.external_id))
    if known is not None:
        if known[2] != digest:
            raise IdempotencyConflict(
                f"purchase {purchase.external_id} was recorded before with other content",
                "externalId",
            )
        return Recorded(known[0], holder, known[3], replayed=True)
    _check_time(batch, partner, purchase)
    visits, last = batch.relations.get((holder, partner.id), (0, purchase.occurred_at))
    ladders = batch.rulebook.ladders_of(partner)
    ranks = {x.id: batch.standing(holder, x).rank_at(purchase.occurred_at) for x in ladders}
    tiers = {x.ladder.code: x.ladder.tiers[ranks[x.id]].code for x in ladders}
    evaluation = judge(partner, purchase, Facts(visits, tiers))
    content = _content(partner, evaluation, visits, tiers)
    _check_room(batch, partner, evaluation, holder)
    booked_at = batch.book_time(holder)
    cause = Cause(event, partner.id, booked_at, purchase.occurred_at)
    batch.writes.events.append(
        store.EventRow(
            event, holder, purchase.occurred_at, booked_at, purchase.total_minor, partner.id,
            EventKind.PURCHASE, purchase.currency, digest, purchase.external_id, purchase.store,
        )
    )  # fmt: skip
    batch.writes.lines.add(event, purchase.lines)
    heads = _credit(batch, partner, evaluation, cause, holder, content)
    batch.writes.decisions.append(
        store.DecisionRow(
            holder, booked_at, event, purchase.occurred_at, partner.id, batch.rulebook.version,
            EventKind.PURCHASE, heads, content.decode(),
        )
    )  # fmt: skip
    moves = qualify(batch, partner, purchase, evaluation, cause, holder, ranks)
    batch.relations[holder, partner.id] = (visits + 1, max(last, purchase.occurred_at))
    batch.events[partner.id, purchase.external_id] = (event, holder, digest, booked_at)
    return Recorded(event, holder, booked_at, False, evaluation, moves)


def judge(partner: PartnerTerms, purchase: Purchase, facts: Facts) -> Evaluation:
    """Evaluate a partner's rules and hold what they award against its contract.

    Raises PartnerRuleFailed, naming the rule.
    """
    try:
        evaluation = evaluate(partner.rules, purchase, facts)
    except RuleError as error:
        raise PartnerRuleFailed(f"partner '{partner.code}', {error}") from error
    except Exception as error:  # an error that can't say what it is, say
        raise PartnerRuleFailed(
            f"partner '{partner.code}': its rules failed with {type(error).__name__}"
        ) from error
    for granted in evaluation.granted:
        if granted.currency not in partner.issues:
            raise PartnerRuleFailed(
                f"partner '{partner.code}', rule '{partner.rules[granted.rule].code}': "
                f"its contract doesn't let it issue {granted.currency}"
            )
    return evaluation


def _check_time(batch: Batch, partner: PartnerTerms, purchase: Purchase) -> None:
    if purchase.occurred_at > batch.now + AHEAD:
        raise NotAllowed(
            "the purchase lies more than five minutes ahead of our clock", "occurredAt"
        )
    if not batch.historical and purchase.occurred_at < batch.now - partner.late:
        raise NotAllowed(
            f"partner '{partner.code}' may report purchases up to {partner.late.days} days late; "
            "older ones come by import",
            "occurredAt",
        )


def _content(
    partner: PartnerTerms, evaluation: Evaluation, visits: int, tiers: Mapping[str, str]
) -> bytes:
    """The decision's compact, canonical form: facts, versions, points by line, cuts, refusals."""
    earn = partner.earn
    given = [
        [earn[g.rule].id, partner.issues[g.currency].id, list(g.lines), g.base, g.wanted, g.because]
        for g in evaluation.granted
    ]
    refused = [[earn[r.rule].id, r.because] for r in evaluation.refused]
    try:
        return orjson.dumps({"v": FORMAT, "f": [visits, tiers], "g": given, "n": refused})
    except TypeError as error:  # half a character, or a number beyond 64 bits
        raise PartnerRuleFailed(
            f"partner '{partner.code}': a rule gave what can't be stored: {error}"
        ) from error


def _check_room(batch: Batch, partner: PartnerTerms, evaluation: Evaluation, holder: int) -> None:
    """Refuse what a ledger can't hold, before anything changes: one brand's fault stays its own."""
    for code in {g.currency for g in evaluation.granted}:
        points = evaluation.points(code)
        ledger = batch.ledger(holder, partner.issues[code].id)
        if points > MAX_POINTS or ledger.active + ledger.reserved + points > _MOST_HELD:
            raise PartnerRuleFailed(
                f"partner '{partner.code}': its rules awarded {points} {code}, beyond what one "
                "purchase may give or a ledger may hold"
            )


def _credit(
    batch: Batch,
    partner: PartnerTerms,
    evaluation: Evaluation,
    cause: Cause,
    holder: int,
    content: bytes,
) -> bytes:
    """Open the lots of an evaluation; returns each touched ledger's new head, packed."""
    touched: dict[int, int] = {}
    for granted in evaluation.granted:
        currency = partner.issues[granted.currency]
        ledger = batch.ledger(holder, currency.id)
        touched.setdefault(currency.id, len(ledger.transfers))
        expires_at, policy = _expiry(currency, cause.occurred_at)
        rule = partner.earn[granted.rule].id
        ledger.credit(cause, granted.points, rule, expires_at, policy, batch.now)
    return b"".join(
        seal(batch.ledgers[holder, currency], start, content)
        for currency, start in sorted(touched.items())
    )


def seal(ledger: Ledger, start: int, content: bytes) -> bytes:
    """Chain a posting to its ledger: hash of the last head, the content and the new transfers."""
    h = hashlib.blake2b(ledger.head, digest_size=16, person=b"laurels1")
    h.update(content)
    for t in ledger.transfers[start:]:
        h.update(
            b"%d|%d|%d|%d|%d|%d|%d|%d|%d|%d;"
            % (t.holder, t.currency, t.seq, _micros(t.booked_at), _micros(t.occurred_at), t.kind,
               t.source, t.target, t.amount, t.event)
        )  # fmt: skip
    ledger.head = h.digest()
    return ledger.currency.to_bytes(4, "big") + ledger.head


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _TICK


def _expiry(currency: CurrencyTerms, at: datetime) -> tuple[datetime | None, str]:
    policy: Duration | None = currency.expires
    if policy is None:
        return None, ""
    return policy.after(at, currency.time_zone), str(policy)
