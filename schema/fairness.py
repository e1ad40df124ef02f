"""The fairness audit: whether rules and people treated like alike.

What is judged, and what a rule may look at, stands in `core.fairness` and `core.grants`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core import fairness as engine
from core import grants as by_hand
from core.errors import BadInput
from core.fairness import Changed
from core.store import fairness as store
from schema.access import FINANCE, allow, partner_for
from schema.context import Info
from schema.enums import words
from schema.fields import answer
from schema.partners import Currency, Partner, currency_of, partner_of
from schema.scalars import BigInt

#: Seconds that a report may judge; the command line has no limit.
LONGEST = 5.0

words(
    Changed,
    "What of a purchase was changed that may make no difference to a rule.",
    name="FairnessChange",
    NOTHING="Nothing: it was judged again as it was.",
    NUMBER="Whose it is: it has another member's receipt number.",
    ORDER="The order in which purchases are judged.",
)

Begin = Annotated[datetime, strawberry.argument(name="from", description="From this instant on.")]
End = Annotated[datetime, strawberry.argument(description="And before this instant.")]


@strawberry.type(description="A purchase of which a rule gave something else when nothing changed.")
class FairnessDifference:
    """With both figures."""

    purchase: str = strawberry.field(description="The purchase's external id.")
    currency: str = strawberry.field(description="The code of what was given.")
    changed: Changed = strawberry.field(description="What was changed.")
    points: BigInt = strawberry.field(description="What the rule gives for it as it was.")
    otherwise: BigInt | None = strawberry.field(
        description="What it gives then; null: a rule failed."
    )


@strawberry.type(description="Two purchases, equal in all that may be looked at, not in points.")
class UnequalPair:
    """As they were booked."""

    purchase: str = strawberry.field(description="The external id of the one.")
    other: str = strawberry.field(description="The external id of the other.")
    currency: str = strawberry.field(description="The code of what was given.")
    points: BigInt = strawberry.field(description="What the one was given by this rule.")
    others: BigInt = strawberry.field(description="What the other was given by it.")


@strawberry.type(description="Whether a rule treated like alike.")
class RuleFairness:
    """Counts of purchases; of what speaks against it a few examples."""

    code: str = strawberry.field(description="The rule's code.")
    title: str = strawberry.field(description="The rule's title.")
    fair: bool = strawberry.field(description="Whether nothing in the sample speaks against it.")
    judged: int = strawberry.field(description="So many purchases were judged again.")
    same: int = strawberry.field(description="So many came to the same whatever was changed.")
    pairs: int = strawberry.field(
        description="So many pairs of equal purchases were compared as they were booked; none of a "
        "rule that is capped, carries over or multiplies."
    )
    unequal: int = strawberry.field(description="So many of the pairs had unequal points.")
    differences: list[FairnessDifference] = strawberry.field(
        description=f"Purchases that came to something else: up to {engine.EXAMPLES}."
    )
    unequals: list[UnequalPair] = strawberry.field(
        description=f"Pairs with unequal points: up to {engine.EXAMPLES}."
    )

    @classmethod
    def of(cls, own: engine.RuleFairness) -> RuleFairness:
        """From the engine."""
        return cls(
            code=own.code, title=own.title, fair=own.fair, judged=own.judged, same=own.same,
            pairs=own.pairs, unequal=own.unequal,
            differences=[
                FairnessDifference(
                    purchase=d.purchase, currency=d.currency, changed=d.changed,
                    points=BigInt(d.points),
                    otherwise=None if d.otherwise is None else BigInt(d.otherwise),
                )
                for d in own.differences
            ],
            unequals=[
                UnequalPair(
                    purchase=u.purchase, other=u.other, currency=u.currency,
                    points=BigInt(u.points), others=BigInt(u.others),
                )
                for u in own.unequals
            ],
        )  # fmt: skip


@strawberry.type(description="What an audit of a partner's rules found; it books nothing.")
class FairnessReport:
    """The same sample for the same seed, however often it is asked for."""

    partner: Partner = strawberry.field(description="Whose rules.")
    total: int = strawberry.field(description="How many purchases there are in the time.")
    sampled: int = strawberry.field(description="How many of them are the sample.")
    failed: int = strawberry.field(description="Of these, on so many a rule failed: left out.")
    complete: bool = strawberry.field(
        description="Whether all of the sample was judged; else time ran out: take a smaller one."
    )
    fair: bool = strawberry.field(description="Whether every rule is fair, as far as it was seen.")
    rules: list[RuleFairness] = strawberry.field(description="Rule by rule, by their codes.")


@strawberry.type(description="What one caller gave and took by hand for one reason.")
class StaffGrant:
    """In one currency."""

    row: strawberry.Private[store.ByHand]
    caller: str = strawberry.field(description="Who: the role, and which admin or partner.")
    reason: str = strawberry.field(description="The code of the reason.")
    times: int = strawberry.field(description="How often.")
    given: BigInt = strawberry.field(description="The points given.")
    taken: BigInt = strawberry.field(description="The points taken, above zero.")
    median: BigInt = strawberry.field(description="The median of what was moved at once.")

    @answer("The unit.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.row.currency)


@strawberry.type(description="Somebody who gave far more by hand than most did.")
class GrantOutlier:
    """A question to ask, and no verdict."""

    found: strawberry.Private[by_hand.Outlier]
    caller: str = strawberry.field(description="Who.")
    given: BigInt = strawberry.field(description="The points given in all.")
    median: float = strawberry.field(description="The median of what each caller gave.")
    deviation: float = strawberry.field(
        description="The median of how far each lies from it; the mean, where that is zero."
    )
    score: float = strawberry.field(
        description=f"How far this one lies from it; from {by_hand.OUTLYING} on it is told, where "
        f"{by_hand.FEWEST} or more gave any."
    )

    @answer("The unit.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.found.currency)


@strawberry.type(description="What people gave and took by hand.")
class StaffGrants:
    """What the programme itself let lapse isn't among it."""

    rows: list[StaffGrant] = strawberry.field(description="By caller, reason and currency.")
    outliers: list[GrantOutlier] = strawberry.field(
        description="Who gave far more of a currency than most, the furthest first."
    )


@strawberry.type(description="Queries of the fairness audit.")
class FairnessQueries:
    """Root fields."""

    @answer(
        "Whether a partner's rules treat like alike: a sample of its purchases judged again, with "
        "what may make no difference changed, and equal ones compared.",
        extensions=allow(partner="rules:read", admin=FINANCE),
    )
    async def fairness_report(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
        since: Begin,
        until: End,
        sample: Annotated[
            int,
            strawberry.argument(
                description=f"How many purchases to judge, up to {engine.MOST_SAMPLED}."
            ),
        ] = 200,
        seed: Annotated[
            str, strawberry.argument(description="Another seed is another sample.")
        ] = "",
    ) -> FairnessReport:
        terms = partner_for(info.context, partner)
        rulebook = info.context.engine.rulebook
        found = await engine.audit(rulebook, terms, since, until, sample, seed, LONGEST)
        return FairnessReport(
            partner=await partner_of(info, terms.id), total=found.total, sampled=found.sampled,
            failed=found.failed, complete=found.complete, fair=found.fair,
            rules=[RuleFairness.of(own) for own in found.rules],
        )  # fmt: skip

    @answer(
        "What people gave and took by hand, by caller and reason; and who gave far more than most.",
        extensions=allow(admin=FINANCE),
    )
    async def staff_grants(
        self,
        info: Info,
        since: Begin,
        until: End,
        partner: Annotated[
            str | None,
            strawberry.argument(description="Only what was done in this partner's name."),
        ] = None,
    ) -> StaffGrants:
        if until <= since:
            raise BadInput("it ends after it begins", "until")
        terms = None if partner is None else partner_for(info.context, partner)
        found = await by_hand.grants(None if terms is None else terms.id, since, until)
        return StaffGrants(
            rows=[
                StaffGrant(
                    row=row, caller=row.caller, reason=row.reason, times=row.times,
                    given=BigInt(row.given), taken=BigInt(row.taken), median=BigInt(row.median),
                )
                for row in found.rows
            ],
            outliers=[
                GrantOutlier(
                    found=x, caller=x.caller, given=BigInt(x.given), median=float(x.median),
                    deviation=float(x.deviation), score=x.score,
                )
                for x in found.outliers
            ],
        )  # fmt: skip
