"""Members' own card numbers: what a till scans from a telephone.

Sixteen digits, of which the last one checks the others (Luhn), so that a number mistyped by one
digit is nobody's. It is an identifier like any card. Knows no picture of it.
"""

from __future__ import annotations

import secrets

from core.db import Connection, transaction
from core.errors import UnknownReference, WrongState
from core.store import members as store

#: How those made here begin: with what no payment card does.
_PREFIX = "90"
_LENGTH = 16
_TRIES = 5


async def card_for(holder: int) -> str:
    """The member's card number, made where it has none yet. Raises UnknownReference."""
    async with transaction() as connection:
        return await give_card(connection, holder)


async def give_card(connection: Connection, holder: int) -> str:
    """Like `card_for`, within a transaction; of two at once one makes it."""
    if not await store.lock_member(connection, holder):
        raise UnknownReference("no such member", "member")
    known = shown(await store.cards(connection, holder))
    for _ in range(_TRIES):
        if known is not None:
            return known
        known = await store.add_card(connection, holder, _new())
    if known is None:
        raise WrongState("no free number was found: try again", "member")
    return known


def shown(cards: list[str]) -> str | None:
    """Which of a member's card numbers is shown: the one made here, else the first."""
    return next((card for card in cards if is_ours(card)), cards[0] if cards else None)


def is_ours(card: str) -> bool:
    """Whether a number is of the form of those made here, and checks."""
    plain = card.isascii() and card.isdigit() and len(card) == _LENGTH
    return plain and card.startswith(_PREFIX) and check_digit(card[:-1]) == card[-1]


def check_digit(digits: str) -> str:
    """The digit that is put behind these (Luhn)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def _new() -> str:
    free = _LENGTH - len(_PREFIX) - 1
    digits = f"{_PREFIX}{secrets.randbelow(10**free):0{free}}"
    return digits + check_digit(digits)
