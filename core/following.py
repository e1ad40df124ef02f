"""What follows from a judgement beside points: rewards to issue, what is noted, occasions to come.

Folds into a batch in memory; carried out with the batch, or right after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from core.activities import order_of
from core.decisions import until_of
from core.events import EventKind
from core.noted import BY_HAND, AttributeRow, Occasion, noted_at, number
from core.rulebook import PartnerTerms
from core.store import writes as rows
from laurels.activities import REFERRAL, RETURN, Value
from laurels.effects import SEGMENT
from laurels.evaluation import Evaluation
from laurels.purchase import Purchase

if TYPE_CHECKING:
    from core.bought import Bought, Request
    from core.folding import Batch

#: Not a trigger: an occasion that counts no more.
WITHDRAW = "withdraw"


def follow(
    batch: Batch,
    partner: PartnerTerms,
    purchase: Purchase,
    evaluation: Evaluation,
    holder: int,
    event: int,
) -> None:
    """Note what a judgement asks for beside points."""
    if evaluation.issued and not batch.historical:  # what history brings was given out then
        batch.writes.issues += [
            rows.IssueRow(
                holder, event, partner.earn[x.rule].id, n, partner.id, x.reward, x.quantity,
                x.currency, order_of(purchase), max(batch.now, purchase.occurred_at),
            )
            for n, x in enumerate(evaluation.issued)
        ]  # fmt: skip
    if evaluation.noted:
        _note(batch, partner, purchase, evaluation, holder, event)
    if evaluation.thanks and not batch.historical:
        batch.writes.thanks.append((holder, partner.id, purchase.occurred_at, event))


def _note(
    batch: Batch,
    partner: PartnerTerms,
    purchase: Purchase,
    evaluation: Evaluation,
    holder: int,
    event: int,
) -> None:
    at = purchase.occurred_at
    known = batch.attributes.setdefault((holder, partner.id), [])
    latest = {x.name: x for x in evaluation.noted}  # of two of a name the last one stands
    noted = [
        AttributeRow(
            holder, partner.id, x.name, at, number(event, place), event, x.value,
            until_of(x, purchase),
        )
        for place, x in enumerate(latest.values())
    ]  # fmt: skip
    # What is noted on entering a segment is no occasion: two could chase each other for ever.
    if not batch.historical and not purchase.trigger.startswith(SEGMENT):
        batch.writes.occasions += entered(batch.rulebook.partners[partner.code], known, noted)
    batch.writes.attributes += noted
    known += noted


def entered(
    partner: PartnerTerms, known: Iterable[AttributeRow], noted: Iterable[AttributeRow]
) -> list[Occasion]:
    """The segments that a member enters by this who wasn't in them, where a rule waits for that."""
    found = []
    for row in noted:
        if not row.name.startswith(SEGMENT) or row.value is None:
            continue
        waits = row.name in partner.at(row.at).triggers
        later = any(x.name == row.name and x.value is not None and x.at >= row.at for x in known)
        # Who entered it later had the occasion then, however late it is told that it was earlier.
        if waits and not later and row.name not in noted_at(known, row.at):
            name = f"{row.name}:{row.holder}:{row.id}"
            found.append(Occasion(partner.id, name, row.holder, row.name, {}, row.at))
    return found


def came_back(
    batch: Batch, request: Request, bought: Bought, event: int, money: int
) -> list[Occasion]:
    """The occasion of a return, where a rule waits for one; and thanks for it that are void now.

    `money` is what came back by this, in minor units; the purchase is as it stands after it.
    """
    found = []
    at, partner = request.occurred_at, request.partner
    returned = request.kind is EventKind.RETURN and not batch.historical
    if returned and RETURN in partner.at(at).triggers:
        told: dict[str, Value] = {
            "purchase": bought.external_id, "money": bought.money, "amount": money,
        }  # fmt: skip
        found.append(Occasion(partner.id, f"return:{event}", bought.holder, RETURN, told, at))
    if bought.thanked and bought.remains.nothing:
        found.append(unthanked(bought, at))
    if request.kind is EventKind.WITHDRAWAL:
        row = (bought.holder, bought.event, at, number(event, BY_HAND))
        batch.writes.unnoted.append(row)
    return found


def unthanked(bought: Bought, at: datetime) -> Occasion:
    """The thanks for a purchase are void: to be withdrawn, where it was this that brought them."""
    whose = f"{REFERRAL}:{bought.holder}"
    told: dict[str, Value] = {"occasion": whose, "for": bought.event}
    name = f"{WITHDRAW}:{bought.event}:{whose}"
    return Occasion(bought.partner, name, bought.holder, WITHDRAW, told, at)


def corrected(batch: Batch, bought: Bought, thanks: bool, at: datetime) -> None:
    """An edit gives the thanks that its purchase didn't, or the other way round."""
    if thanks and not bought.thanked:
        row = (bought.holder, bought.partner, bought.occurred_at, bought.event)
        batch.writes.thanks.append(row)
    elif bought.thanked and not thanks:
        batch.writes.occasions.append(unthanked(bought, at))
    bought.thanked = thanks
