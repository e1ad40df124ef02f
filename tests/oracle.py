"""What the books must say: DESIGN's rules on plain lists, slow and obvious, by another hand.

It shares nothing with the engine but calendar arithmetic (`laurels.durations`). Time comes first:
every operation books what has happened by its `now` before it does anything. A refusal leaves the
figures as they are. Points are int, money minor units, quantities and shares exact fractions.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from tests.oracle_ladders import LadderModel, Row
from tests.oracle_ledger import RESERVED, Balance, Key, Ledger, LotView, Refused, Terms
from tests.oracle_purchases import Award, Back, Bought, LineBought, Redeemed, Waits


class Oracle:
    """A programme's currencies and ladders, and what became of its members."""

    ledger_type: type[Ledger] = Ledger
    purchase_type: type[Bought] = Bought

    def __init__(
        self, currencies: Mapping[str, Terms], ladders: Mapping[str, LadderModel] | None = None
    ) -> None:
        self.currencies = dict(currencies)
        self.ladders = dict(ladders or {})
        self.ledgers: dict[tuple[int, str], Ledger] = {}
        self.purchases: dict[Key, Bought] = {}
        self.waiting: dict[Key, list[Waits]] = defaultdict(list)
        self.redemptions: dict[str, Redeemed] = {}
        self.rows: dict[tuple[int, str], list[Row]] = defaultdict(list)

    # -- what it answers ---------------------------------------------------------------------

    def balance(self, holder: int, currency: str, at: datetime, now: datetime) -> Balance:
        """The balance as of `at`, by all that is known at `now`; `at` may lie in the future.

        As of an instant before `now`, active less arrears is what is certain: which arrears a late
        credit paid is a matter of when it was booked.
        """
        seen = copy.deepcopy(self.ledgers.get((holder, currency)) or self.ledger_type())
        seen.catch_up(max(at, now))
        return seen.at(at)

    def lots(self, holder: int, currency: str, now: datetime) -> list[LotView]:
        """The lots in the order they were opened, once all is booked that has happened."""
        found = self._ledger(holder, currency, now).lots
        return [LotView(x.amount, x.remaining, x.active_at, x.expires_at) for x in found]

    def rank(self, holder: int, ladder: str, at: datetime) -> int:
        """The rank as of `at`, by all that is known."""
        return self.ladders[ladder].rank(self.rows[holder, ladder], at)

    # -- purchases ---------------------------------------------------------------------------

    def purchase(
        self,
        holder: int,
        key: Key,
        at: datetime,
        lines: Sequence[LineBought],
        awards: Sequence[Award],
        now: datetime,
    ) -> None:
        """Book a purchase, late or not, and the returns that waited for it."""
        self.time_out(now, holder)
        if key in self.purchases:
            raise Refused("it is booked already")
        bought = self.purchase_type(
            key, holder, at, lines, awards, [a.points for a in awards], [Fraction(0)] * len(lines)
        )
        self.purchases[key] = bought
        # In the order in which it happened, then in which it was told.
        waiting = sorted(self.waiting.pop(key, []), key=lambda w: w[:2])
        came = next((w.at for w in waiting if w.what == "shipped" and at <= w.at <= now), None)
        for award in awards:
            self._accrue(bought, award, award.points, now, came)
        for currency in {a.currency for a in awards if a.points}:
            self._ledger(holder, currency, now).slide("earning", at)
            self._qualify(bought, currency, _points(awards, currency), at)
        self._qualify(bought, None, 1, at)
        for told in waiting:
            try:
                if told.what == "shipped":
                    self.shipped(key, told.at, now)
                else:
                    self._come_back(key, told.items, told.at, now)
            except Refused:
                continue  # it is shown to the partner as failed

    def edit(
        self,
        key: Key,
        lines: Sequence[LineBought],
        awards: Sequence[Award],
        at: datetime,
        now: datetime,
    ) -> None:
        """A new revision of a purchase of which nothing came back; what it earned is corrected.

        More of a currency is credited under the rules that give more of it, in their order.
        """
        bought = self.purchases.get(key)
        if bought is not None:
            self.time_out(now, bought.holder)
        if bought is None or at < bought.at or any(bought.fractions) or bought.off:
            raise Refused("it can't be edited")
        before, after = _by_rule(bought.awards), _by_rule(awards)
        for currency in dict.fromkeys(c for c, _ in (*after, *before)):
            net = _points(awards, currency) - _points(bought.awards, currency)
            kept = bought.uncollected[currency]
            more = max(0, net - kept)
            bought.uncollected[currency] = max(0, kept - max(0, net))
            for award in (a for a in awards if a.currency == currency):
                gained = award.points - before.get((currency, award.rule), 0)
                self._accrue(bought, award, max(0, min(more, gained)), now)
                more -= max(0, min(more, gained))
            held = self._held(bought.holder, currency, now)
            self._charge(bought, currency, max(0, -net), at, now)
            if net < 0:  # what expired or was let go isn't given again by the next revision
                collected = held - self._held(bought.holder, currency, now)
                bought.uncollected[currency] += -net - collected
            self._qualify(bought, currency, net, bought.at if net > 0 else at)
        bought.lines, bought.awards = lines, awards
        bought.entitled = [a.points for a in awards]
        bought.fractions = [Fraction(0)] * len(lines)

    def shipped(self, key: Key, at: datetime, now: datetime) -> None:
        """What the lots of a purchase wait for happened; once. Too late: nothing follows."""
        bought = self.purchases.get(key)
        if bought is None:
            self.waiting[key].append(Waits(at, now, "shipped"))
            return
        self.time_out(now, bought.holder)
        if at < bought.at or bought.shipped_at:
            raise Refused("no such purchase then")
        bought.shipped_at = at
        for currency in self.currencies:
            ledger = self._ledger(bought.holder, currency, now)
            for lot in ledger.of(key):
                if lot.pending and lot.remaining and lot.active_at is None:
                    ledger.fulfil(lot, at, now)

    def _accrue(
        self,
        bought: Bought,
        award: Award,
        points: int,
        now: datetime,
        came: datetime | None = None,
    ) -> None:
        """`came`: when what its points wait for had happened, which is told next."""
        if points:
            terms = self.currencies[award.currency]
            if award.pending is not None:
                terms = replace(terms, pending=award.pending)
            source = (award.rule, bought.key)
            ledger = self._ledger(bought.holder, award.currency, now)
            lapses_at = terms.activation(bought.at)[1]
            late = lapses_at is not None and lapses_at <= now
            shipped_at = bought.shipped_at or (came if late else None)
            ledger.credit(points, terms, bought.at, now, source, shipped_at)

    # -- returns -----------------------------------------------------------------------------

    def give_back(self, key: Key, items: Sequence[Back], at: datetime, now: datetime) -> None:
        """A return, which waits where its purchase isn't there yet."""
        if key in self.purchases:
            self._come_back(key, items, at, now)
        else:
            self.waiting[key].append(Waits(at, now, "return", items))

    def cancel(self, key: Key, at: datetime, now: datetime) -> None:
        """Everything that is left comes back, and what was redeemed on the order is reversed.

        That, too, where the order isn't known as a purchase.
        """
        if key in self.purchases:
            self._come_back(key, None, at, now)
        else:
            self.waiting[key].append(Waits(at, now, "cancel"))
            self._reverse_on(key, now)

    def _come_back(
        self, key: Key, items: Sequence[Back] | None, at: datetime, now: datetime
    ) -> None:
        bought = self.purchases[key]
        self.time_out(now, bought.holder)
        if items is None:
            for holder in self._spenders(key):
                self.time_out(now, holder)
        tried = copy.copy(bought)
        tried.fractions = list(bought.fractions)
        if at < bought.at:
            raise Refused("it lies before its purchase")
        if bought.cancelled or (items is not None and not bought.kept):
            raise Refused("nothing is left to come back")
        if items is None:
            tried.fractions = [Fraction(1)] * len(bought.lines)
            self._reverse_on(key, now)
            bought.cancelled = True
        else:
            tried.take(items)
        due = tried.judge()
        for currency in dict.fromkeys(a.currency for a in bought.awards if a.points):
            lost = sum(
                b - d
                for b, d, a in zip(bought.entitled, due, bought.awards, strict=True)
                if a.currency == currency
            )
            self._charge(bought, currency, lost, at, now)
            if lost:
                self._ledger(bought.holder, currency, now).slide("returning", at)
            self._qualify(bought, currency, -lost, at)
        if bought.kept and not tried.kept:
            self._qualify(bought, None, -1, at)
        bought.fractions, bought.off, bought.entitled = tried.fractions, tried.off, due

    def _charge(
        self, bought: Bought, currency: str, lost: int, at: datetime, now: datetime
    ) -> None:
        """Take back what is no longer due, but not what had expired."""
        ledger = self._ledger(bought.holder, currency, now)
        own = ledger.of(bought.key)
        gone = sum(x.gone for x in own)
        points = self.chargeable(bought, currency, lost, gone)
        bought.charged[currency] += points
        if points:
            ledger.claw_back(own, points, at)

    def chargeable(self, bought: Bought, currency: str, lost: int, gone: int) -> int:
        """How many points of a difference can be asked for; `gone` expired or lapsed."""
        pairs = zip(bought.awards, bought.entitled, strict=True)
        return max(0, min(lost, sum(n for a, n in pairs if a.currency == currency) - gone))

    # -- redemptions and adjustments -----------------------------------------------------------

    def redeem(
        self,
        name: str,
        holder: int,
        currency: str,
        points: int,
        now: datetime,
        hold_until: datetime | None = None,
        order: Key | None = None,
    ) -> None:
        """Take points, at once or into a hold; not on an order that was cancelled."""
        if order is not None:
            known = self.purchases.get(order)
            early = any(w.what == "cancel" for w in self.waiting.get(order, ()))
            if early or (known is not None and known.cancelled):
                raise Refused("the order was cancelled")
        with self._all_or_nothing():
            self.time_out(now, holder)
            taken = self._ledger(holder, currency, now).debit(points, now)
        ledger = self._ledger(holder, currency, now)
        ledger.slide("spending", now)
        if hold_until is not None:
            ledger.moves.append((now, RESERVED, points))
        state = "completed" if hold_until is None else "held"
        self.redemptions[name] = Redeemed(holder, currency, points, taken, state, hold_until, order)

    def confirm(self, name: str, now: datetime) -> None:
        """What was held is redeemed. Refused when its time has run out."""
        found = self._find(name, "held")
        if found.hold_until is not None and found.hold_until <= now:
            raise Refused("its time has run out")
        self.time_out(now, found.holder)
        found.state = "completed"
        self._ledger(found.holder, found.currency, now).moves.append((now, RESERVED, -found.points))

    def cancel_hold(self, name: str, now: datetime) -> None:
        """A hold is off. Refused when its time has run out: then it is off already."""
        found = self._find(name, "held")
        if found.hold_until is not None and found.hold_until <= now:
            raise Refused("its time has run out")
        self.time_out(now, found.holder)
        self.release(name, now)

    def release(self, name: str, now: datetime, state: str = "cancelled") -> None:
        """What was held goes back to where it came from, at the latest when its time ran out."""
        found = self._find(name, "held")
        found.state = state
        at = min(now, found.hold_until or now)
        ledger = self._ledger(found.holder, found.currency, at)
        ledger.moves.append((at, RESERVED, -found.points))
        ledger.give_back(found.taken, at)

    def time_out(self, now: datetime, holder: int | None = None) -> None:
        """Release every hold (of one member) whose time has run out, in that order."""
        over = [
            (found.hold_until, name)
            for name, found in self.redemptions.items()
            if holder in (None, found.holder)
            and found.state == "held" and found.hold_until and found.hold_until <= now
        ]  # fmt: skip
        for _, name in sorted(over, key=lambda x: x[0]):
            self.release(name, now, "timed out")

    def reverse(self, name: str, now: datetime) -> None:
        """A completed redemption is undone."""
        found = self._find(name, "completed")
        self.time_out(now, found.holder)
        found.state = "reversed"
        self._ledger(found.holder, found.currency, now).give_back(found.taken, now)

    def adjust(self, holder: int, currency: str, points: int, now: datetime) -> None:
        """By hand, up or down."""
        ledger = self._ledger(holder, currency, now)
        if points > 0:
            self.time_out(now, holder)
            ledger.credit(points, replace(self.currencies[currency], pending=None), now, now)
        else:
            with self._all_or_nothing():
                self.time_out(now, holder)
                self._ledger(holder, currency, now).debit(-points, now)

    def night(self, now: datetime) -> None:
        """Book what has happened in every ledger: first what was held too long comes back."""
        self.time_out(now)
        for ledger in self.ledgers.values():
            ledger.catch_up(now)

    def _held(self, holder: int, currency: str, now: datetime) -> int:
        ledger = self._ledger(holder, currency, now)
        return sum(x.remaining for x in ledger.lots) - ledger.arrears

    # -- within ----------------------------------------------------------------------------------

    def _find(self, name: str, state: str) -> Redeemed:
        found = self.redemptions.get(name)
        if found is None or found.state != state:
            raise Refused(f"no redemption {name} that is {state}")
        return found

    def _reverse_on(self, order: Key, now: datetime) -> None:
        """Whoever spent it."""
        for holder in self._spenders(order):
            self.time_out(now, holder)
        for name, found in list(self.redemptions.items()):
            if found.order == order:
                if found.state == "completed":
                    self.reverse(name, now)
                elif found.state == "held":
                    self.release(name, now)

    def _spenders(self, order: Key) -> set[int]:
        some = self.redemptions.values()
        return {x.holder for x in some if x.order == order and x.state in ("held", "completed")}

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """What is refused leaves everything as it was."""
        before = copy.deepcopy((self.ledgers, self.redemptions))
        try:
            yield
        except Refused:
            self.ledgers, self.redemptions = before
            raise

    def _ledger(self, holder: int, currency: str, now: datetime) -> Ledger:
        """A ledger in which all is booked that has happened."""
        ledger = self.ledgers.setdefault((holder, currency), self.ledger_type())
        ledger.catch_up(now)
        return ledger

    def _qualify(self, bought: Bought, currency: str | None, amount: int, since: datetime) -> None:
        for name, ladder in self.ladders.items():
            if ladder.earned == currency and amount:
                self.rows[bought.holder, name].append(Row(bought.at, since, amount))


def _points(awards: Sequence[Award], currency: str) -> int:
    return sum(a.points for a in awards if a.currency == currency)


def _by_rule(awards: Sequence[Award]) -> dict[tuple[str, str], int]:
    return {(a.currency, a.rule): a.points for a in awards}
