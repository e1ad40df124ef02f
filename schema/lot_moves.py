"""Moving old lots under their currency's policy of today: what it would do, doing it, the report.

Knows nothing of policies: `core.lot_moves` does.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import strawberry
from strawberry import relay

from core import lot_moves as engine
from core.errors import BadInput
from core.purchases import check_text
from core.store import lot_moves as store
from schema.access import FINANCE, MANAGERS, allow, allow_change
from schema.context import Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.ids import numbers
from schema.ledgers import Lot
from schema.paging import After, First, check_first, cursor, page, read_cursor
from schema.partners import Currency, currency_of
from schema.redemptions import LazyMember
from schema.scalars import BigInt

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@strawberry.type(description="So many lots with so many points.")
class LotTally:
    """A sum over members."""

    lots: int = strawberry.field(description="How many lots.")
    points: BigInt = strawberry.field(description="The points that they hold.")

    @classmethod
    def of(cls, tally: engine.Tally) -> LotTally:
        """From the engine."""
        return cls(lots=tally.lots, points=BigInt(tally.points))


@strawberry.type(description="One lot that would move.")
class LotMoveExample:
    """By the new policy's word, whether or not sooner is allowed."""

    example: strawberry.Private[engine.Example]
    currency: strawberry.Private[int]

    @answer("The points that it holds.")
    def points(self) -> BigInt:
        return BigInt(self.example.points)

    @answer("When they end as it is; null: never, or not known yet.")
    def expires_before(self) -> datetime | None:
        return self.example.before

    @answer("When they would end by the policy of today.")
    def expires_after(self) -> datetime | None:
        return self.example.after

    @answer("The lot.")
    async def lot(self, info: Info) -> Lot | None:
        key = (self.example.holder, self.currency, self.example.seq)
        record = await info.context.loaders.lot.load(key)
        return None if record is None else Lot.of(record)

    @answer("Whose it is.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # a circle, closed here

        return await visible_member(info, self.example.holder)


@strawberry.type(description="What moving old lots would do now.")
class LotMovePreview:
    """Nothing was changed."""

    found: strawberry.Private[engine.Preview]
    members: int = strawberry.field(description="How many members have such lots.")
    moved: LotTally = strawberry.field(description="All lots that would move.")
    sooner: LotTally = strawberry.field(
        description="Of these, what would end sooner; unless that is allowed it keeps its end."
    )
    later: LotTally = strawberry.field(description="Of these, what would end later, or never.")
    at_once: LotTally = strawberry.field(
        description="Of what would end sooner, what would be gone at once."
    )

    @answer("The unit, with the policy of today.")
    def currency(self) -> Currency:
        return Currency.of(self.found.currency)

    @answer(f"The first lots, at most {engine.EXAMPLES}.")
    def examples(self) -> list[LotMoveExample]:
        return [
            LotMoveExample(example=x, currency=self.found.currency.id) for x in self.found.examples
        ]

    @classmethod
    def of(cls, found: engine.Preview) -> LotMovePreview:
        """From the engine."""
        return cls(
            found=found, members=found.members, moved=LotTally.of(found.moved),
            sooner=LotTally.of(found.sooner), later=LotTally.of(found.later),
            at_once=LotTally.of(found.at_once),
        )  # fmt: skip


@strawberry.type(description="A run that put old lots under their currency's policy of its day.")
class LotMove(relay.Node):
    """As far as it has come."""

    key: relay.NodeID[int]
    run: strawberry.Private[store.Run]
    at: datetime = strawberry.field(description="When it began.")
    done_at: datetime | None = strawberry.field(
        description="When it was done; null: it runs, or was cut off. The same call goes on."
    )
    from_version: int | None = strawberry.field(
        description="Only lots of this version of the policy; null: of any earlier one."
    )
    allow_sooner: bool = strawberry.field(
        description="Whether points were allowed to end sooner than their members were told."
    )
    members: int = strawberry.field(description="How many members' lots were moved.")
    lots: int = strawberry.field(description="How many lots.")

    @answer("Who did it.")
    def caller(self) -> str:
        return self.run.caller.rstrip(":")

    @answer("The points in these lots.")
    def points(self) -> BigInt:
        return BigInt(self.run.moved.points)

    @answer("Of these, what ends sooner than before.")
    def sooner(self) -> BigInt:
        return BigInt(self.run.moved.sooner)

    @answer("Of these, what ends later than before, or never.")
    def later(self) -> BigInt:
        return BigInt(self.run.moved.later)

    @answer("Of what ends sooner, what expired at once.")
    def expired(self) -> BigInt:
        return BigInt(self.run.moved.expired)

    @answer("The unit.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.run.currency)

    @classmethod
    def of(cls, run: store.Run) -> LotMove:
        """From the books."""
        return cls(
            key=run.id, run=run, at=run.at, done_at=run.done_at, from_version=run.from_version,
            allow_sooner=run.allow_sooner, members=run.moved.members, lots=run.moved.lots,
        )  # fmt: skip


@strawberry.input(description="Old lots to put under their currency's policy of today.")
class MoveLotsInput:
    """See previewLotMove first."""

    key: str = strawberry.field(
        description="The idempotency key. Sent again, a run that was cut off goes on."
    )
    currency: str = strawberry.field(description="The currency's code.")
    from_version: strawberry.Maybe[int] = strawberry.field(
        description="Only lots of this version of its policy; left out: of any earlier one."
    )
    allow_sooner: bool = strawberry.field(
        description="Lets points end sooner than their members were told, even at once. Without "
        "it they keep their end, and only the rest of the policy changes.",
        default=False,
    )


@strawberry.type(description="The lots were moved.")
class LotsMoved:
    """Done."""

    replayed: bool = strawberry.field(
        description="Whether the key was used before, and this is its run."
    )
    move: LotMove = strawberry.field(description="What was done.")


MoveLotsResult = Annotated[
    LotsMoved | BadInputError | UnknownReferenceError | WrongStateError | IdempotencyConflictError,
    strawberry.union("MoveLotsResult", description="The run, or why there is none."),
]


@strawberry.type(description="Commands that move lots.")
class LotMoveMutations:
    """Root fields."""

    @change(
        "Put old lots under their currency's policy of today. It may take long where there are "
        "many; cut off, send it again.",
        extensions=allow_change(admin=MANAGERS),
    )
    async def move_lots(
        self,
        info: Info,
        input: Annotated[MoveLotsInput, strawberry.argument(description="Which lots.")],
    ) -> MoveLotsResult | None:
        context = info.context
        version = None if input.from_version is None else input.from_version.value
        request = engine.MoveRequest(
            context.viewer.caller, input.key, input.currency, version, input.allow_sooner
        )
        done = await engine.move(context.engine, request, context.instant)
        return LotsMoved(replayed=done.replayed, move=LotMove.of(done.run))


def _place(after: str | None) -> tuple[datetime, int] | None:
    text = read_cursor("lotMove", after)
    if text is None:
        return None
    found = numbers(text, 2)
    if found is None:
        raise BadInput("after is no cursor of this list", "after")
    try:
        return _EPOCH + found[0] * _TICK, found[1]
    except OverflowError:
        raise BadInput("after is no cursor of this list", "after") from None


def _cursor(node: LotMove) -> str:
    return cursor("lotMove", f"{(node.at - _EPOCH) // _TICK}.{node.run.id}")


@strawberry.type(description="Queries on moves of lots.")
class LotMoveQueries:
    """Root fields."""

    @answer(
        "What moving the old lots of a currency would do now, to whom. Reads all of them: no "
        "query for every page.",
        extensions=allow(admin=FINANCE),
    )
    async def preview_lot_move(
        self,
        info: Info,
        currency: Annotated[str, strawberry.argument(description="The currency's code.")],
        from_version: Annotated[
            int | None, strawberry.argument(description="Only lots of this version of its policy.")
        ] = None,
    ) -> LotMovePreview:
        context = info.context
        check_text(currency, "currency", 1000)
        found = await engine.preview(context.engine, currency, context.instant, from_version)
        return LotMovePreview.of(found)

    @answer("The runs that moved lots, newest first.", extensions=allow(admin=FINANCE))
    async def lot_moves(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[LotMove]:
        runs = await store.report(_place(after), check_first(first) + 1)
        return page([LotMove.of(run) for run in runs], first, after, _cursor)


async def visible_move(info: Info, run: int) -> LotMove | None:
    """The run of this number, if there is one and the viewer may read it."""
    found = await store.read(run) if info.context.viewer.role == "admin" else None
    return None if found is None else LotMove.of(found)
