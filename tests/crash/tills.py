"""The load: tills that sell, take back, redeem and hold, and send again until they are answered.

Each till is one client with one partner's token. It never leaves an operation before it knows what
became of it, and now and then sends an old one again to hear the same answer.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.crash.acknowledgements import AGAIN, Acknowledgements, Act, Operation
from tests.crash.processes import RigError
from tests.crash.wire import (
    DOCUMENTS,
    RECORD,
    RETURN,
    NoAnswerError,
    Wire,
    event_answer,
    receipt,
    redemption_answer,
)

LONGEST_PAUSE = (
    0.5  # seconds between two sendings; short, so that a recovery is told to a part of it
)
PATIENCE = 180.0  # seconds until an operation that nobody acknowledges fails the whole run


@dataclass(frozen=True, slots=True)
class Trade:
    """What a partner's tills sell and give away; (reward, currency that pays)."""

    partner: str
    money: str
    goods: tuple[str, ...]
    dearest: int
    rewards: tuple[tuple[str, str], ...]


#: The brands that ship with the application, with figures that let members afford their rewards.
TRADES = (
    Trade("grocer", "USD", ("PRODUCE", "MEAT", "GROCERY"), 150, (("five-off", "BASKET"),)),
    Trade("outfitter", "USD", ("coat", "shoes", "sale"), 200,
          (("tote", "THREAD"), ("tote", "LAUREL"), ("ten-off", "THREAD"))),
    Trade("cafe", "EUR", ("coffee", "cake"), 20, (("free-drink", "STAMP"),)),
)  # fmt: skip


def trade_of(number: int) -> Trade:
    """Whose till this is."""
    return TRADES[number % len(TRADES)]


@dataclass(frozen=True, slots=True)
class Habits:
    """How the tills behave; `new_name_each_time` is wrong on purpose: a control."""

    members: int = 24
    largest_batch: int = 6
    pause: float = 0.08
    replay: float = 0.04
    redeem: float = 0.3
    bring_back: float = 0.12
    new_name_each_time: bool = False


class Till:
    """One client. `number` makes its names its own."""

    def __init__(
        self, number: int, wire: Wire, told: Acknowledgements, habits: Habits, seed: int
    ) -> None:
        self.number = number
        self.trade = trade_of(number)
        self.wire = wire
        self.told = told
        self.habits = habits
        self.chance = random.Random(f"{seed}/{number}")
        self._count = 0
        self._old: list[Callable[[], Awaitable[None]]] = []
        self._bought: list[tuple[Operation, str, int]] = []

    async def run(self, closing: asyncio.Event) -> None:
        """Work until closing time; what was begun is finished."""
        while not closing.is_set():
            luck = self.chance.random()
            if luck < self.habits.replay and self._old:
                await self.chance.choice(self._old)()
            elif luck < self.habits.replay + self.habits.redeem:
                await self.take()
            elif luck > 1 - self.habits.bring_back and self._bought:
                await self.bring_back()
            else:
                await self.sell()
            await asyncio.sleep(self.chance.uniform(0, 2 * self.habits.pause))

    async def replay(self, share: float) -> None:
        """Send a share of everything again: whatever was answered must be answered so again."""
        for again in self._old:
            if self.chance.random() < share:
                await again()

    def _number(self) -> str:
        self._count += 1
        return f"{self.number}-{self._count}"

    def _card(self) -> str:
        return str(self.chance.randrange(self.habits.members))

    # --- purchases and returns ------------------------------------------------------------------

    async def sell(self) -> None:
        """A batch of purchases."""
        batch = []
        for _ in range(self.chance.randint(1, self.habits.largest_batch)):
            number = f"R{self._number()}"
            cents = [
                self.chance.randint(100, 100 * self.trade.dearest)
                for _ in range(self.chance.randint(1, 3))
            ]
            lines = [(self.chance.choice(self.trade.goods), f"{c / 100:.2f}") for c in cents]
            name = f"{self.trade.partner}/{number}"
            operation = self.told.add(Operation(Act.PURCHASE, name, self._card()))
            item = receipt(number, operation.card, _now(), self.trade.money, lines)
            batch.append((operation, item))
            self._bought.append((operation, number, sum(cents)))
        await self._record(RECORD, "purchases", batch)

    async def bring_back(self) -> None:
        """Half of what a purchase cost; each comes back once."""
        bought, purchase, cents = self._bought.pop(self.chance.randrange(len(self._bought)))
        number = f"B{self._number()}"
        name = f"{self.trade.partner}/{number}"
        operation = self.told.add(Operation(Act.RETURN, name, bought.card))
        item = {
            "externalId": number, "purchase": purchase, "occurredAt": _now(),
            "amount": f"{cents // 2 / 100:.2f}",
        }  # fmt: skip
        await self._record(RETURN, "returns", [(operation, item)])

    async def _record(
        self, document: str, field: str, batch: list[tuple[Operation, dict[str, Any]]]
    ) -> None:
        await self._send_batch(document, field, batch)

        async def again() -> None:
            # Alone or with some of the others, in another order: each item stands for itself.
            some = self.chance.sample(batch, self.chance.randint(1, len(batch)))
            await self._send_batch(document, field, some)

        self._old.append(again)

    async def _send_batch(
        self, document: str, field: str, batch: list[tuple[Operation, dict[str, Any]]]
    ) -> None:
        operations = [operation for operation, _ in batch]

        def given(sending: int) -> dict[str, Any]:
            items = [
                item | {"externalId": self._renamed(item["externalId"], sending)}
                for _, item in batch
            ]
            return {"partner": self.trade.partner, field: items}

        answer, sent_at = await self._ask(operations, document, given)
        for operation, told in zip(operations, answer["results"], strict=True):
            if told["__typename"] in ("PurchaseRecorded", "ReturnRecorded"):
                self.told.answered(operation, event_answer(told), sent_at)
            else:
                self.told.refused(operation, told.get("code", told["__typename"]))

    # --- redemptions ----------------------------------------------------------------------------

    async def take(self) -> None:
        """A reward, at once or held; most holds are then confirmed or cancelled."""
        act = self.chance.choice((Act.REDEEM, Act.HOLD))
        reward, currency = self.chance.choice(self.trade.rewards)
        operation = self.told.add(Operation(act, f"take-{self._number()}", self._card()))
        given = {
            "partner": self.trade.partner, "reward": reward, "currency": currency,
            "member": {"card": operation.card},
        }  # fmt: skip
        if act is Act.HOLD:
            given["hold"] = "2h"
        found = await self._command(operation, given)
        end = self.chance.choices((Act.CONFIRM, Act.CANCEL, None), (5, 4, 1))[0]
        if act is Act.HOLD and found is not None and end is not None:
            name = f"settle-{self._number()}"
            settling = self.told.add(Operation(end, name, operation.card, operation.name))
            await self._command(settling, {"redemption": found})

    async def _command(self, operation: Operation, given: dict[str, Any]) -> str | None:
        """The redemption's id; None where it was refused."""
        document = DOCUMENTS[operation.act]

        def keyed(sending: int) -> dict[str, Any]:
            return given | {"key": self._renamed(operation.name, sending)}

        async def send() -> str | None:
            answer, sent_at = await self._ask([operation], document, keyed)
            if answer["__typename"] != "RewardRedeemed":
                self.told.refused(operation, answer["code"])
                return None
            self.told.answered(operation, redemption_answer(operation.act, answer), sent_at)
            return str(answer["redemption"]["id"])

        async def again() -> None:
            await send()

        found = await send()
        if found is not None:  # a refusal isn't remembered: sent again it may well be granted
            self._old.append(again)
        return found

    # --- until there is an answer ---------------------------------------------------------------

    def _renamed(self, name: str, sending: int) -> str:
        return f"{name}{AGAIN}{sending}" if self.habits.new_name_each_time and sending else name

    async def _ask(
        self,
        operations: list[Operation],
        document: str,
        given: Callable[[int], dict[str, Any]],
    ) -> tuple[dict[str, Any], float]:
        """Send until there is an answer: it, and when the answered request was sent."""
        deadline = time.monotonic() + PATIENCE
        sending = 0
        while True:
            sent_at = time.monotonic()
            for operation in operations:
                self.told.sending(operation)
            try:
                return await self.wire.ask(document, given(sending)), sent_at
            except NoAnswerError as nothing:
                sending += 1
                for operation in operations:
                    self.told.unanswered(operation)
                if time.monotonic() > deadline:
                    what = f"{operations[0].name}: no answer in {PATIENCE:.0f} s, last: {nothing}"
                    raise RigError(what) from nothing
            pause = min(LONGEST_PAUSE, 0.05 * 2**sending)
            await asyncio.sleep(pause * self.chance.uniform(0.5, 1))


def _now() -> str:
    return datetime.now(UTC).isoformat()
