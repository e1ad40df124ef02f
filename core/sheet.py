"""The trial balance: every account of every currency, and what became of what each partner issued.

As of any instant, by the instants at which things happened, whatever was booked when. The open
lots and the flows through the other accounts are summed apart, so their sum, which must be zero,
proves something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from core.db import transaction
from core.entries import Account
from core.store import sheet as store

_ACCOUNTS = (
    Account.ACTIVE, Account.PENDING, Account.RESERVED, Account.ARREARS, Account.ISSUED,
    Account.REDEEMED, Account.EXPIRED, Account.CLAWED_BACK, Account.ADJUSTED, Account.LAPSED,
    Account.IN_TRANSIT,
)  # fmt: skip


class Issued(NamedTuple):
    """What became of the points of one currency that one partner issued; 0: the programme.

    `given` and `taken` are adjustments by hand, and gifts that change no currency; `repaid` went
    into arrears. Its lots hold `active` and `pending` points; `arrears` are owed to it by members
    who returned what they bought there.
    """

    partner: int
    open_lots: int
    issued: int
    given: int
    active: int
    pending: int
    reserved: int
    redeemed: int
    expired: int
    lapsed: int
    clawed_back: int
    repaid: int
    taken: int
    arrears: int = 0

    @property
    def outstanding(self) -> int:
        """What members hold of it: a liability."""
        return self.active + self.pending + self.reserved

    @property
    def difference(self) -> int:
        """What came in less what became of it: zero, unless the books are broken."""
        return self.issued + self.given - (
            self.outstanding + self.redeemed + self.expired + self.lapsed + self.clawed_back
            + self.repaid + self.taken
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CurrencySheet:
    """One currency: the points on each account, and by issuing partner.

    Points that came from an account count below zero: what was issued, what is owed.
    """

    currency: int
    ledgers: int
    accounts: Mapping[Account, int]
    partners: tuple[Issued, ...]

    @property
    def sum(self) -> int:
        """Of all accounts: zero, unless the books are broken."""
        return sum(self.accounts.values())


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """All currencies as of an instant."""

    at: datetime
    members: int
    currencies: tuple[CurrencySheet, ...]


async def trial_balance(at: datetime) -> TrialBalance:
    """The books as of an instant, in one snapshot."""
    async with transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        accounts = await store.accounts(connection, at)
        issued = {
            (row[0], row[1]): Issued(*map(int, row[1:]))
            for row in await store.partners(connection, at)
        }
        for currency, partner, points in await store.arrears(connection, at):
            found = issued.get((currency, partner), Issued(partner, *(0,) * 12))
            issued[currency, partner] = found._replace(arrears=int(points))
        members = await store.members(connection, at)
    sheets = tuple(
        CurrencySheet(
            row[0],
            row[1],
            dict(zip(_ACCOUNTS, map(int, row[2:]), strict=True)),
            tuple(found for (currency, _), found in sorted(issued.items()) if currency == row[0]),
        )
        for row in accounts
    )
    return TrialBalance(at, members, sheets)
