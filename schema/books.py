"""The trial balance, for admins: every account of every currency, and by issuing partner.

Knows nothing of how it is summed.
"""

from __future__ import annotations

from datetime import datetime

import strawberry

from core.entries import Account
from core.reviews import PROGRAMME
from core.sheet import CurrencySheet, Issued, trial_balance
from schema.access import FINANCE, allow
from schema.context import Info
from schema.fields import answer
from schema.ledgers import AsOf
from schema.partners import Currency, Partner, currency_of, partner_of
from schema.scalars import BigInt


@strawberry.type(description="What one account holds of a currency, over all members.")
class AccountSum:
    """Below zero where points came from it."""

    account: Account = strawberry.field(description="The account.")
    points: BigInt = strawberry.field(
        description="Its points. Below zero where they came from it: what was issued, what members "
        "owe, and by hand more than was taken."
    )


@strawberry.type(description="What became of the points of one currency that one partner issued.")
class IssuedPoints:
    """By its lots."""

    found: strawberry.Private[Issued]
    issued: BigInt = strawberry.field(description="Earned by its rules.")
    given: BigInt = strawberry.field(
        description="Given by hand in its name, or by members to each other as they were."
    )
    outstanding: BigInt = strawberry.field(
        description="What members hold of it: active, pending and reserved."
    )
    active: BigInt = strawberry.field(description="Can be spent.")
    pending: BigInt = strawberry.field(description="Can't be spent yet.")
    reserved: BigInt = strawberry.field(description="Held for redemptions.")
    redeemed: BigInt = strawberry.field(description="Spent, wherever.")
    expired: BigInt = strawberry.field(description="Expired.")
    lapsed: BigInt = strawberry.field(description="Lapsed: what it waited for never came.")
    clawed_back: BigInt = strawberry.field(description="Taken back from its lots by returns.")
    repaid: BigInt = strawberry.field(description="Went into what their member owed.")
    taken: BigInt = strawberry.field(
        description="Taken by hand, or given by members to each other as they were."
    )
    arrears: BigInt = strawberry.field(
        description="What members owe still for what they bought at this partner and returned."
    )
    open_lots: int = strawberry.field(description="How many lots hold points still.")

    @answer("The partner. Null: given by hand in the programme's own name.")
    async def partner(self, info: Info) -> Partner | None:
        if self.found.partner == PROGRAMME:
            return None
        return await partner_of(info, self.found.partner)

    @answer("What came in less what became of it: zero, or the books are broken.")
    def difference(self) -> BigInt:
        return BigInt(self.found.difference)

    @classmethod
    def of(cls, found: Issued) -> IssuedPoints:
        """From the books."""
        figures = {
            name: BigInt(getattr(found, name))
            for name in Issued._fields
            if name not in ("partner", "open_lots")
        }
        return cls(
            found=found, open_lots=found.open_lots, outstanding=BigInt(found.outstanding),
            **figures,
        )  # fmt: skip


@strawberry.type(description="One currency in the trial balance.")
class CurrencyBalance:
    """Its accounts, and its issuers."""

    found: strawberry.Private[CurrencySheet]
    ledgers: int = strawberry.field(description="How many members had a ledger in it by then.")

    @answer("The unit.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.found.currency)

    @answer("Every account.")
    def accounts(self) -> list[AccountSum]:
        return [AccountSum(account=a, points=BigInt(n)) for a, n in self.found.accounts.items()]

    @answer("The sum of all accounts: zero, or the books are broken.")
    def sum(self) -> BigInt:
        return BigInt(self.found.sum)

    @answer("By issuing partner.")
    def partners(self) -> list[IssuedPoints]:
        return [IssuedPoints.of(found) for found in self.found.partners]


@strawberry.type(description="Every account of every currency at one instant.")
class TrialBalance:
    """By the instants at which things happened."""

    at: datetime = strawberry.field(description="The instant.")
    members: int = strawberry.field(description="How many members were enrolled by then.")
    currencies: list[CurrencyBalance] = strawberry.field(
        description="Each currency that anybody had points of."
    )


@strawberry.type(description="Queries on the books as a whole.")
class BooksQueries:
    """Root fields."""

    @answer(
        "Every account of every currency at an instant, summing to zero, and what became of what "
        "each partner issued. Reads all of the books: no query for every page.",
        extensions=allow(admin=FINANCE),
    )
    async def trial_balance(self, info: Info, as_of: AsOf = None) -> TrialBalance:
        found = await trial_balance(as_of or info.context.instant)
        return TrialBalance(
            at=found.at, members=found.members,
            currencies=[CurrencyBalance(found=c, ledgers=c.ledgers) for c in found.currencies],
        )  # fmt: skip
