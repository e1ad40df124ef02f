"""The codes that members show: imported ahead into a reward's pool, and looked up at the till."""

from __future__ import annotations

from typing import Annotated

import strawberry

from core import vouchers as engine
from core.purchases import check_text
from core.redeemed import from_row
from core.store import redemptions as store
from schema.access import MANAGERS, STAFF, allow, allow_change, partner_for
from schema.context import Info
from schema.errors import BadInputError, NotAllowedError, UnknownReferenceError
from schema.fields import answer, change
from schema.redemptions import Redemption


@strawberry.input(description="Codes for the pool of a reward that is declared with one.")
class ImportRewardCodesInput:
    """Safe to send again: a code that is there already is known."""

    partner: str = strawberry.field(description="The code of the partner that gives the reward.")
    reward: str = strawberry.field(description="The reward's code.")
    codes: list[str] = strawberry.field(
        description="The codes, at most 10,000 at once; spaces around one don't count."
    )


@strawberry.type(description="A code that wasn't taken.")
class RefusedCode:
    """The others of its list went in."""

    line: int = strawberry.field(description="Its place in the list, counted from 1.")
    message: str = strawberry.field(description="What is wrong with it, in words.")


@strawberry.type(description="What an import of codes came to.")
class RewardCodesImported:
    """Done."""

    added: int = strawberry.field(description="Codes that are new in the pool.")
    known: int = strawberry.field(description="Codes that this reward had already.")
    refused: list[RefusedCode] = strawberry.field(description="Those that weren't taken.")


ImportCodesResult = Annotated[
    RewardCodesImported | BadInputError | UnknownReferenceError | NotAllowedError,
    strawberry.union("ImportRewardCodesResult", description="The figures, or why there are none."),
]


@strawberry.type(description="Queries on codes.")
class VoucherQueries:
    """Root fields."""

    @answer(
        "The redemption that a code was issued for, void or not; null where nobody was shown it.",
        extensions=allow(partner="redemptions:read", admin=STAFF),
    )
    async def redemption_by_code(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
        code: Annotated[str, strawberry.argument(description="What the member shows.")],
    ) -> Redemption | None:
        context = info.context
        terms = partner_for(context, partner)
        row = await store.by_code(terms.id, check_text(code.strip(), "code", 200, least=1))
        return None if row is None else Redemption.of(from_row(row))


@strawberry.type(description="Commands on codes.")
class VoucherMutations:
    """Root fields."""

    @change(
        "Put codes into a reward's pool. Safe to send again.",
        extensions=allow_change(partner="redemptions:write", admin=MANAGERS),
    )
    async def import_reward_codes(
        self,
        info: Info,
        input: Annotated[ImportRewardCodesInput, strawberry.argument(description="The codes.")],
    ) -> ImportCodesResult | None:
        context = info.context
        partner_for(context, input.partner)
        done = await engine.import_codes(
            context.engine, input.partner, input.reward, input.codes, context.instant
        )
        refused = [RefusedCode(line=bad.line, message=bad.problem) for bad in done.refused]
        return RewardCodesImported(added=done.added, known=done.known, refused=refused)
