"""What became of a purchase or an activity that was recorded. Knows no batch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.entries import Transfer
from core.errors import Refusal
from core.tiers import TierMove
from laurels.evaluation import Evaluation
from laurels.purchase import Facts


@dataclass(frozen=True, slots=True)
class Recorded:
    """It stands in the books; `replayed` where it stood there before.

    `moved` are its transfers as they were booked, unless it is replayed: then they are looked up.
    `facts` are what its rules were told of the member.
    """

    event: int
    holder: int
    booked_at: datetime
    replayed: bool = False
    evaluation: Evaluation | None = None
    moves: tuple[TierMove, ...] = ()
    moved: tuple[Transfer, ...] = ()
    facts: Facts | None = None


Outcome = Recorded | Refusal
