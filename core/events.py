"""The kinds of event, as numbers that are stored and so never change. Knows nothing else."""

from __future__ import annotations

from enum import IntEnum


class EventKind(IntEnum):
    """What happened. A natural key is unique within its partner and kind."""

    PURCHASE = 1
    REDEMPTION = 2
    RESERVATION = 3
    CONFIRMATION = 4
    CANCELLATION = 5
    TIME_OUT = 6
    REVIEW = 7
    RETURN = 8
    CANCEL = 9
    EDIT = 10
    FULFILMENT = 11
    ADJUSTMENT = 12
    REVERSAL = 13
    NIGHT = 14
    ASSIGNMENT = 15
    ASSIGNMENT_END = 16
    LOT_MOVE = 17
    ACTIVITY = 18
    OCCASION = 19
    WITHDRAWAL = 20
    GIFT = 31
    GIFT_RECEIVED = 32
    MEMBERSHIP = 21
    MEMBERSHIP_DUE = 22
    PERK = 23


#: What rules judge: all of them earn.
EARNING = frozenset({EventKind.PURCHASE, EventKind.ACTIVITY, EventKind.OCCASION})
#: What takes all of it back.
CANCELLING = frozenset({EventKind.CANCEL, EventKind.WITHDRAWAL})
