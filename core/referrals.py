"""Referral: a member has a code, and who enrols with it was referred by that member, once.

What either of them gets is rules' business: see `laurels.thank_referrer`. Knows no rule.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from core.db import Connection, transaction
from core.errors import UnknownReference, WrongState
from core.noted import BY_HAND, AttributeRow, number
from core.store import attributes as store
from core.store import members
from core.store.ids import Ids

#: Without letters and digits that are taken for one another.
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_LENGTH = 8
_TRIES = 5
#: What a partner's rules find noted of a member whom somebody referred to it.
REFERRED = "referred"


async def code_of(holder: int, now: datetime) -> str:
    """By what code a member refers others; made where there is none yet."""
    async with transaction() as connection:
        if not await members.lock_member(connection, holder):
            raise UnknownReference("no such member", "member")
        for _ in range(_TRIES):
            code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
            found = await store.add_code(connection, holder, code, now)
            if found is not None:
                return found
    raise WrongState("no free code was found: try again", "member")


async def referrers(connection: Connection, codes: Mapping[int, str]) -> dict[int, int]:
    """Who refers by these codes, by place. Raises UnknownReference naming the place."""
    shaped = {n: _shaped(code) for n, code in codes.items()}
    found = await store.referrers_by(connection, sorted(set(shaped.values()))) if codes else {}
    for n, code in shaped.items():
        if code not in found:
            raise UnknownReference("nobody refers by this code", n, "referredBy")
    return {n: found[code] for n, code in shaped.items()}


def _shaped(code: str) -> str:
    """A code as it is kept; whatever else was typed is none."""
    text = code.strip().upper()[:40]
    return text if set(text) <= set(_LETTERS) else ""


async def refer(
    connection: Connection,
    ids: Ids,
    referred: Sequence[tuple[int, int, int]],
    now: datetime,
) -> None:
    """Note who referred whom to which partner: (holder, partner, referrer)."""
    await store.refer(connection, referred, now)
    numbers = await ids.take(len(referred))
    await store.note(
        connection,
        [
            AttributeRow(holder, partner, REFERRED, now, number(n, BY_HAND), None, "yes", None)
            for (holder, partner, _), n in zip(referred, numbers, strict=True)
        ],
    )
