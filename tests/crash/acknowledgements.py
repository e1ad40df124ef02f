"""The clients' side of the truth: what was asked for, how often it was sent, and what was answered.

Lives in the rig's own memory, which no fault touches. Knows neither the wire nor the database.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

#: Stands between an operation's own name and the number of the sending, where a client (wrongly)
#: takes a new name for each: the oracle knows them for one operation all the same.
AGAIN = "~"


class Act(StrEnum):
    """What a client does."""

    PURCHASE = "purchase"
    RETURN = "return"
    REDEEM = "redeem"
    HOLD = "hold"
    CONFIRM = "confirm"
    CANCEL = "cancel"


#: What is known by the partner's own number of it, and needs no idempotency key.
NATURAL = (Act.PURCHASE, Act.RETURN)


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledgement. `text` is all of it that must be the same whenever it is sent again.

    `changes` are (currency, points added to or taken from the active balance), sorted; `redemption`
    is the number that the engine gave it, 0 for what has a natural key.
    """

    text: str
    changes: tuple[tuple[str, int], ...] = ()
    redemption: int = 0


@dataclass(slots=True)
class Operation:
    """One thing that a client wants done once, however often it is sent.

    `name` is its natural key ("grocer/R-1") or idempotency key; `target` the name of the hold that
    a confirmation or cancellation is for.
    """

    act: Act
    name: str
    card: str
    target: str = ""
    sent: int = 0
    unanswered: int = 0
    replayed: int = 0
    answer: Answer | None = None
    refusal: str = ""
    first_sent_at: float = 0.0
    acknowledged_at: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether the client knows what became of it."""
        return self.answer is not None or bool(self.refusal)


def logical(name: str) -> str:
    """The operation's own name, whatever it was called at this sending."""
    return name.partition(AGAIN)[0]


@dataclass(slots=True)
class Acknowledgements:
    """All operations of all clients, and the replays that were answered otherwise."""

    operations: dict[str, Operation] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    #: When the request of each fresh acknowledgement was sent, and when its answer came; seconds.
    moments: list[tuple[float, float]] = field(default_factory=list)

    def add(self, operation: Operation) -> Operation:
        """Remember an operation before it is sent. Raises ValueError for a name used before."""
        if operation.name in self.operations:
            raise ValueError(f"there is an operation {operation.name} already")
        self.operations[operation.name] = operation
        return operation

    def sending(self, operation: Operation) -> None:
        """It goes out, perhaps again."""
        operation.sent += 1
        if operation.first_sent_at == 0.0:
            operation.first_sent_at = time.monotonic()

    def unanswered(self, operation: Operation) -> None:
        """No answer came, or none that says what became of it: it may have been done, or not."""
        operation.unanswered += 1

    def answered(self, operation: Operation, answer: Answer, sent_at: float) -> None:
        """It was acknowledged; a later answer must be the same as the first."""
        if operation.answer is None:
            operation.answer = answer
            operation.acknowledged_at = time.monotonic()
            self.moments.append((sent_at, operation.acknowledged_at))
            return
        operation.replayed += 1
        if operation.answer != answer:
            self.differing.append(
                f"{operation.name}: first {operation.answer.text}, then {answer.text}"
            )

    def refused(self, operation: Operation, code: str) -> None:
        """It was refused for good: nothing of it may be booked by the sending that was answered."""
        if operation.answer is not None:
            self.differing.append(f"{operation.name}: acknowledged at first, then refused: {code}")
        operation.refusal = code

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations.values())

    def done(self) -> list[Operation]:
        """Everything acknowledged so far, in the order in which it was first sent."""
        return [operation for operation in self if operation.answer is not None]

    def first_after(self, instant: float) -> float | None:
        """When the first request that was sent after an instant was acknowledged; None: not yet."""
        return min((answered for sent, answered in self.moments if sent > instant), default=None)

    @property
    def longest(self) -> float:
        """The longest that a client waited for an acknowledgement, retries and all; seconds."""
        return max((x.acknowledged_at - x.first_sent_at for x in self.done()), default=0.0)
