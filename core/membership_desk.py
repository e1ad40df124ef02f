"""A member's memberships, locked and loaded, and what is booked of them: terms, acts, tiers.

Points of a fee are redeemed in the same transaction. While a membership lasts it gives the tier
that its plan names, by a rank given for a time (`core.assignments`): where one can't be extended a
new one is given and the old one ends. Knows no request: who asks for what is `core.memberships`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import orjson

from core.assignments import Given, fold_floors
from core.db import Connection
from core.decisions import FORMAT
from core.errors import NotEligible, UnknownReference
from core.events import EventKind
from core.folding import Batch, Posting
from core.judging import Floor
from core.membership import ActKind, Membership, TermKind, found, next_span
from core.posting import Engine, write
from core.pricing import Taken
from core.qualifying import END, MANUAL
from core.redeemed import Redemption
from core.redemptions import debit, write_down
from core.rulebook import CurrencyTerms, LadderTerms, PartnerTerms, Rulebook
from core.settling import digest, end_holds
from core.store import assignments as assigned
from core.store import memberships as store
from core.store import posting as rows
from core.store.assignments import AssignmentRow
from core.store.lots import open_lots
from core.store.memberships import ActRow, TermRow
from core.tiers import Standing
from laurels.memberships import Fee, MembershipPlan

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
#: After all that is booked.
_LATER = datetime.max.replace(tzinfo=UTC)
#: By what the reason of a tier, and the rule of a redemption, say that they are for a membership.
PREFIX = "membership."


@dataclass(slots=True)
class Desk:
    """One member's memberships, locked and loaded, and what is booked of them in a batch."""

    engine: Engine
    connection: Connection
    batch: Batch
    holder: int
    partner: PartnerTerms
    code: str
    plan: MembershipPlan | None
    before: Membership | None
    tier: tuple[LadderTerms, int] | None
    now: datetime
    given: list[AssignmentRow] = field(default_factory=list)

    def post(self, event: int, kind: EventKind, name: str, facts: Sequence[int | str]) -> datetime:
        """Book what was decided, in the partner's name; when it is booked."""
        posting = Posting(self.batch, kind, event, self.holder, self.partner.id, self.now)
        content = orjson.dumps({"v": FORMAT, "r": facts})
        posting.seal(content, digest(kind, *facts), name)
        key = (self.holder, self.partner.id)
        self.batch.relations.setdefault(key, 0)
        self.batch.dealt.add(key)
        return posting.cause.booked_at

    async def cover(self, until: datetime, floor: int, *, anew: bool) -> int | None:
        """Have the tier last until then, by ranks given: the id of a new one, if there is one.

        `anew`: where none is in force it is given; else whoever took it away has taken it. One that
        would last longer is ended. Of a plan that is gone it is the tier that it gave.
        """
        own = frozenset() if self.before is None else self.before.floors
        mine = [
            (standing, f)
            for standing in self.batch.standings.values() for f in standing.floors
            if f.event in own and (f.until is None or f.until > self.now)
        ]  # fmt: skip
        tier = self.tier
        if tier is None and mine:
            tier = (mine[-1][0].ladder, mine[-1][1].rank)
        given = None
        if tier is not None and until > self.now and (anew or mine):
            given = self._give(*tier, until, floor)
        for standing, old in mine:
            if old.until is None or old.until > until:
                (event,) = await self.engine.ids.take(1)
                left = [f._replace(until=self.now) if f is old else f for f in standing.floors]
                row = (standing.ladder.id, END, old.rank, self.now, None, old.reason, old.event)
                self._fold(standing, left, event, row)
        return given

    def _give(self, ladder: LadderTerms, rank: int, until: datetime, floor: int) -> int | None:
        """Give a rank, unless the same one is in force until then; its id."""
        standing = self.batch.standing(self.holder, ladder)
        standing.whole = True
        reason = f"{PREFIX}{self.code}"
        new = Floor(floor, rank, self.now, until, False, reason)
        own = frozenset() if self.before is None else self.before.floors
        if any(f.event in own and (f.until, f.rank) == (until, rank) for f in standing.floors):
            return None
        row = (ladder.id, MANUAL, rank, self.now, until, reason, None)
        self._fold(standing, [*standing.floors, new], floor, row)
        return floor

    def _fold(self, standing: Standing, floors: list[Floor], event: int, row: Given) -> None:
        self.given.append(fold_floors(self.batch, standing, floors, event, row)[1])

    async def add_tiers(self) -> None:
        """Add the rows of the ranks that were given, once the batch is written."""
        for row in self.given:
            await assigned.add(self.connection, row)


def tier_of(rulebook: Rulebook, plan: MembershipPlan | None) -> tuple[LadderTerms, int] | None:
    """The ladder and the rank that a plan gives; None: none, or one that isn't there."""
    if plan is None or plan.tier is None:
        return None
    for ladder in rulebook.ladders.values():
        codes = [tier.code for tier in ladder.ladder.tiers]
        if ladder.ladder.code == plan.tier[0] and plan.tier[1] in codes[1:]:
            return ladder, codes.index(plan.tier[1])
    return None


async def desk(
    connection: Connection,
    engine: Engine,
    partner: PartnerTerms,
    code: str,
    holder: int,
    now: datetime,
) -> Desk:
    """Lock a member and load what a change of its membership needs. Raises UnknownReference."""
    plan = partner.plans.get(code)
    tier = tier_of(engine.rulebook, plan)
    locked = await rows.lock_holders(connection, [holder], living=True)
    if not locked:
        raise UnknownReference("no such member", "member")
    batch = Batch(engine.rulebook, now, historical=False, tips=locked)
    reaches = [
        r._replace(whole=True) if tier is not None and r.ladder == tier[0].id else r
        for r in engine.rulebook.reaches
    ]
    batch.take(await rows.load(connection, {holder: (now, now)}, [], reaches, 0))
    await end_holds(connection, engine.ids, batch)
    known = (await store.load(connection, [holder])).get(holder, {})
    before = found(known, partner.id, code)
    return Desk(engine, connection, batch, holder, partner, code, plan, before, tier, now)


def name_of(payment: str) -> str:
    """The name of the event of a term that a payment paid: so a payment pays one."""
    return f"payment:{payment}"


async def add_term(
    at: Desk,
    ids: tuple[int, int, int, int],
    fee: Fee | None,
    renews: str | None,
    payment: str | None,
) -> TermRow:
    """Book a term that was agreed, with its points and its tier. Raises NotEligible."""
    event, floor, redemption, spent = ids
    plan, zone = at.plan, at.partner.time_zone
    assert plan is not None
    per = str(plan.tried) if fee is None else fee.per
    length = plan.tried if fee is None else fee.length
    assert length is not None
    since, until = next_span(at.before, length, per, at.now, zone)
    grace = until if plan.spared is None else plan.spared.after(until, zone)
    taken = None if fee is None else await _redeem(at, fee, redemption, spent)
    ends = until if renews is None else grace
    price = None if fee is None else fee.price
    term = TermRow(
        at.holder, event, at.partner.id, at.code,
        1 if at.before is None else at.before.last.number + 1, at.now, at.now,
        TermKind.TRIAL if fee is None else TermKind.PAID, None if fee is None else fee.code, per,
        since, until, grace, renews,
        None if price is None else price.minor, None if price is None else price.currency,
        None if taken is None else taken.currency, None if taken is None else taken.points,
        None if taken is None else taken.id, payment, await at.cover(ends, floor, anew=True),
    )  # fmt: skip
    name = str(event) if payment is None else name_of(payment)
    booked_at = at.post(event, EventKind.MEMBERSHIP, name, facts_of(term))
    term = term._replace(booked_at=booked_at)
    if taken is None:
        await write(at.connection, at.batch)
    else:
        await write_down(at.connection, at.batch, taken, spent, plan.title)
    await at.add_tiers()
    await store.add_term(at.connection, term, None if at.before is None else at.before.last)
    return term


async def missing_for(at: Desk, fee: Fee) -> int:
    """How many points are missing for a fee. Raises NotEligible where nobody takes its points."""
    if fee.currency is None:
        return 0
    currency = _currency(at, fee.currency)
    at.batch.place(await open_lots(at.connection, [at.holder], [currency.id]))
    return max(0, fee.amount - at.batch.ledger(at.holder, currency.id).spendable(at.now))


def _currency(at: Desk, code: str) -> CurrencyTerms:
    currency = at.partner.accepts.get(code)
    if currency is None:
        raise NotEligible(f"{at.partner.name} doesn't take {code}", "fee")
    return currency


async def _redeem(at: Desk, fee: Fee, redemption: int, event: int) -> Redemption | None:
    """Take the points of a fee, if it has any."""
    if fee.currency is None:
        return None
    if missing := await missing_for(at, fee):
        raise NotEligible(f"{missing} more points are needed", "fee")
    currency = _currency(at, fee.currency)
    rule = f"{PREFIX}{at.code}"
    taken = Taken(None, rule, currency.id, 1, fee.amount, None, None, None, None)
    return debit(at.batch, at.partner, at.holder, taken, None, (redemption, event), at.now)


def facts_of(row: TermRow | ActRow) -> list[int | str]:
    """What the decision and the event say; `laurels check` holds the row to it."""
    if isinstance(row, ActRow):
        return [row.plan, row.number, int(row.kind), row.renews or "", row.floor or 0]
    return [
        row.plan, row.number, int(row.kind), row.fee or "", row.per,
        *((instant - _EPOCH) // _TICK for instant in (row.since, row.until, row.grace_until)),
        row.renews or "", row.amount or 0, row.money or "", row.currency or 0, row.points or 0,
        row.redemption or 0, row.payment or "", row.floor or 0,
    ]  # fmt: skip


async def add_act(
    at: Desk,
    membership: Membership,
    ids: tuple[int, int],
    kind: ActKind,
    renews: str | None,
) -> None:
    """Book what was done about a membership, with what it means for the tier."""
    event, floor = ids
    act = ActRow(
        at.holder, event, at.partner.id, at.code, membership.last.number, at.now, at.now,
        int(kind), renews,
    )  # fmt: skip
    due = kind is ActKind.DUE
    if not due:
        later = replace(membership, acts=[*membership.acts, act._replace(booked_at=_LATER)])
        act = act._replace(floor=await at.cover(later.ends_at, floor, anew=False))
    what = EventKind.MEMBERSHIP_DUE if due else EventKind.MEMBERSHIP
    name = f"{at.holder}:{act.number}:{at.code}" if due else str(event)
    booked_at = at.post(event, what, name, facts_of(act))
    await write(at.connection, at.batch)
    await at.add_tiers()
    await store.add_act(at.connection, act._replace(booked_at=booked_at))
