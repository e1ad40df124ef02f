"""The engine and the model (`tests.oracle`) side by side: told the same, then compared."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import count
from typing import Any, TypeVar

from core import nightly, redemptions, returning, returns
from core.adjustments import AdjustRequest, adjust
from core.bought import Returned
from core.check import prove
from core.errors import Refusal
from core.outcomes import Recorded
from core.pricing import RedeemRequest
from core.purchases import LineInput, PurchaseInput, check_purchase
from core.redeemed import Redemption
from core.returning import Waiting
from core.returns import ReturnedLine, ReturnInput, Unit
from core.reversals import ReverseRequest, reverse_redemption
from core.standings import standings
from core.store import reads
from laurels import (
    Duration,
)
from tests.core.twin_shop import FACTORS, LADDERS, SHOP, START, TERMS, Ground, awards
from tests.oracle import Oracle
from tests.oracle_ledger import Key, Refused
from tests.oracle_purchases import Back, LineBought
from tests.support import card, enrol_cards, figures

T = TypeVar("T")


@dataclass(slots=True)
class Receipt:
    """A purchase as it was last sent."""

    holder: int
    at: datetime
    lines: list[tuple[str, LineBought]]
    factor: Fraction | None
    revision: int = 1
    cancelled: bool = False
    shipped: bool = False


#: What a receipt notes of what is done to it once.
_DONE = {"cancel": "cancelled", "ship": "shipped"}


def money(minor: int) -> str:
    """Minor units as a till writes them."""
    return f"{minor // 100}.{minor % 100:02}"


def line_input(kind: str, line: LineBought) -> LineInput:
    """A line as a till sends it."""
    return LineInput(kind, money(line.amount), str(float(line.quantity)))


class Twins:
    """Two members' lives, told to the engine and to the model, with one clock."""

    def __init__(self, ground: Ground, model: Oracle) -> None:
        ground.clear()
        self.run, self.engine, self.model = ground.run, ground.engine, model
        self.now = START
        self.marks = [START]
        self.receipts: dict[str, Receipt] = {}
        self.held: dict[str, Redemption] = {}
        self.early: set[tuple[str, str]] = set()
        self.cards = ["9001", "9002"]
        self.holders = self.run(enrol_cards(self.cards, self.engine.ids))
        self.names = {c.id: c.code for c in self.engine.rulebook.currencies.values()}
        self.partner = self.engine.rulebook.partners[SHOP]
        self._keys = count(1)

    # -- doings --------------------------------------------------------------------------------

    def wait(self, passes: timedelta) -> None:
        """Time goes by."""
        self.now += passes
        self.marks.append(self.now)

    def buy(self, name: str, who: int, ago: timedelta, lines: list[tuple[str, LineBought]]) -> None:
        """A purchase that happened some time ago."""
        at = self.now - ago
        given = PurchaseInput(
            name, card(self.cards[who]), at, "USD", [line_input(*x) for x in lines]
        )
        incoming = check_purchase(self.partner, given)
        (outcome,) = self.run(self.engine.record_purchases([incoming], self.now))
        holder = self.holders[who]
        factor = FACTORS.get(self.model.rank(holder, "coalition", at))
        self.model.purchase(
            holder, self.key(name), at, [x for _, x in lines], awards(lines, factor), self.now
        )
        assert isinstance(outcome, Recorded), outcome
        known = self.model.purchases[self.key(name)]
        self.receipts[name] = Receipt(
            holder, at, lines, factor, 1, known.cancelled, known.shipped_at is not None
        )
        self.early -= {(name, "cancel"), (name, "ship")}
        if at not in self.marks:
            self.marks.append(at)

    def edit(self, name: str, ago: timedelta, lines: list[tuple[str, LineBought]]) -> None:
        """A purchase's lines are others now."""
        receipt, at = self.receipts[name], self.now - ago
        inputs = [line_input(*x) for x in lines]
        unit = returns.check_edit(self.partner, name, receipt.revision + 1, at, inputs, "USD")
        given = awards(lines, receipt.factor)
        took = self._both(
            unit,
            lambda: self.model.edit(self.key(name), [x for _, x in lines], given, at, self.now),
        )
        if took:
            receipt.revision, receipt.lines = receipt.revision + 1, lines

    def give_back(self, name: str, ago: timedelta, items: Sequence[Back]) -> None:
        """Something of a purchase comes back, perhaps before the purchase is known."""
        at = self.now - ago
        whole = sum(x.amount or 0 for x in items if x.line is None)
        lines = [
            ReturnedLine(
                x.line + 1,
                None if x.quantity is None else str(float(x.quantity)),
                None if x.amount is None else money(x.amount),
            )
            for x in items
            if x.line is not None
        ]
        given = ReturnInput(
            f"r{next(self._keys)}",
            name,
            at,
            lines,
            money(whole) if whole else None,
        )
        unit = returns.check_return(self.partner, given)
        self._both(unit, lambda: self.model.give_back(self.key(name), items, at, self.now))
        if name not in self.receipts:
            self.now += timedelta(seconds=1)  # of two that wait, one was told first

    def cancel(self, name: str, ago: timedelta) -> None:
        """All of a purchase comes back, perhaps before it is known; once."""
        unit = returns.check_cancel(self.partner, name, self.now - ago)
        self._once(name, "cancel", unit, self.model.cancel)

    def ship(self, name: str, ago: timedelta) -> None:
        """The event that pending points wait for, perhaps before their purchase is known; once."""
        unit = returns.check_fulfilment(self.partner, name, "shipped", self.now - ago)
        self._once(name, "ship", unit, self.model.shipped)

    def _once(
        self, name: str, what: str, unit: Unit, tell: Callable[[Key, datetime, datetime], None]
    ) -> None:
        receipt = self.receipts.get(name)
        if receipt is None and (name, what) not in self.early:
            self.early.add((name, what))
            self._both(unit, lambda: tell(self.key(name), unit.occurred_at, self.now))
            self.now += timedelta(seconds=1)  # of two that wait, one was told first
        elif receipt is not None and not getattr(receipt, _DONE[what]):
            took = self._both(unit, lambda: tell(self.key(name), unit.occurred_at, self.now))
            setattr(receipt, _DONE[what], took)

    def redeem(
        self, who: int, currency: str, points: int, hold: str | None, order: str | None = None
    ) -> None:
        """Points for a reward, at once or held."""
        request = RedeemRequest(
            "till", f"k{next(self._keys)}", SHOP, self.holders[who],
            f"{currency.lower()}-{points}", None, None if hold is None else Duration.parse(hold),
            order=order,
        )  # fmt: skip
        until = None if hold is None else Duration.parse(hold).after(self.now, "UTC")
        name = request.key
        done = self._settled(
            redemptions.redeem(self.engine, request, self.now),
            lambda: self.model.redeem(
                name,
                request.holder,
                currency,
                points,
                self.now,
                until,
                None if order is None else self.key(order),
            ),
        )
        if done is not None:
            self.held[name] = done

    def settle(self, name: str, confirmed: bool) -> None:
        """A hold is confirmed or cancelled; refused where it is none any more."""
        held, key = self.held[name], f"k{next(self._keys)}"
        close = redemptions.confirm if confirmed else redemptions.cancel
        tell = self.model.confirm if confirmed else self.model.cancel_hold
        self._settled(
            close(self.engine, held.holder, held.id, "till", key, self.now),
            lambda: tell(name, self.now),
        )

    def reverse(self, name: str) -> None:
        """A completed redemption is taken back; refused where it isn't completed."""
        held = self.held[name]
        request = ReverseRequest(
            "till", f"k{next(self._keys)}", held.holder, held.id, "damaged", by_admin=True
        )
        self._settled(
            reverse_redemption(self.engine, request, self.now),
            lambda: self.model.reverse(name, self.now),
        )

    def adjust(self, who: int, currency: str, points: int) -> None:
        """By hand, up or down."""
        holder = self.holders[who]
        request = AdjustRequest(
            "admin", f"k{next(self._keys)}", "admin", holder, currency, points, "goodwill"
        )
        self._settled(
            adjust(self.engine, request, self.now),
            lambda: self.model.adjust(holder, currency, points, self.now),
        )

    def time_out(self) -> None:
        """Holds that ran out are released."""
        self.run(redemptions.time_out(self.engine, self.now))
        self.model.time_out(self.now)

    def prove(self) -> None:
        """The books prove themselves, too."""
        assert self.run(prove()) == []

    def night(self) -> None:
        """The nightly run, after which the books hold all that has happened."""
        self.run(nightly.run(self.engine, self.now))
        self.model.night(self.now)
        self.compare_lots()

    # -- comparing -----------------------------------------------------------------------------

    def compare(self) -> None:
        """Balances and ranks now, at instants before, and as they will be."""
        earlier = {self.marks[(7 * len(self.marks) + n) % len(self.marks)] for n in range(3)}
        later = {self.now + timedelta(days=n) for n in (0, 4, 33)}
        for at in sorted(earlier | later):
            told = self.run(self._told(at))
            for holder in self.holders:
                for currency in TERMS:
                    expected: tuple[int, ...] = self.model.balance(holder, currency, at, self.now)
                    found = told[holder, currency]
                    if at < self.now:
                        # Late bookings may pay what was owed only later: the sum is certain.
                        assert min(found) >= 0
                        assert not (found[0] and found[3])
                        expected, found = _netted(expected), _netted(found)
                    assert found == expected, (holder, found, expected, currency, at, self.now)
        for at in sorted({*earlier, self.now, self.now + timedelta(days=12)}):
            self._compare_ranks(at)

    def compare_lots(self) -> None:
        """Every lot, once all is booked."""
        keys = [(h, c) for h in self.holders for c in self.names]
        found: dict[tuple[int, str], list[tuple[Any, ...]]] = {}
        for row in reversed(self.run(reads.lots(keys, reads.NEWEST, 1000))):
            found.setdefault((row[0], self.names[row[1]]), []).append(
                (row[3], row[4], row[6], row[7])
            )
        for holder in self.holders:
            for currency in TERMS:
                expected = self.model.lots(holder, currency, self.now)
                told = found.get((holder, currency), [])
                assert told == expected, (holder, told, expected, currency, self.now)

    def _compare_ranks(self, at: datetime) -> None:
        told = self.run(standings(self.engine, self.holders, at))
        for holder in self.holders:
            ranks = {x.ladder.ladder.code: x.rank for x in told[holder]}
            expected = {name: self.model.rank(holder, name, at) for name in LADDERS}
            assert ranks == expected, (ranks, expected, at, self.now)

    async def _told(self, at: datetime) -> Mapping[tuple[int, str], tuple[int, ...]]:
        none = (0, 0, 0, 0)
        told = {(h, c): none for h in self.holders for c in TERMS}
        for row in await figures(self.holders, at):
            told[row[0], self.names[row[1]]] = (row[2], row[3], row[4], row[5])
        return told

    # -- within --------------------------------------------------------------------------------

    def key(self, name: str) -> Key:
        """A purchase as the model knows it."""
        return (SHOP, name)

    def _both(self, unit: Unit, tell: Callable[[], None]) -> bool:
        (outcome,) = self.run(returning.record(self.engine, [unit], self.now))
        try:
            tell()
            done = True
        except Refused:
            done = False
        assert isinstance(outcome, Returned | Waiting if done else Refusal), outcome
        return done

    def _settled(self, asked: Coroutine[Any, Any, T], tell: Callable[[], None]) -> T | None:
        try:
            done = self.run(asked)
        except Refusal as refusal:
            try:
                tell()
            except Refused:
                return None
            raise AssertionError(refusal) from refusal
        try:
            tell()
        except Refused as refused:
            raise AssertionError(done) from refused
        return done


def _netted(figures: Sequence[int]) -> tuple[int, int, int]:
    active, held, reserved, arrears = figures
    return active - arrears, held, reserved
