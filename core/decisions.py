"""The stored form of what rules decided: facts, versions, points by line, cuts, refusals.

Compact; the words that a person reads are rendered when they ask. Knows nothing of booking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from core.errors import PartnerRuleFailed
from core.rulebook import PartnerTerms
from core.tally import Carried
from laurels.activities import Activity
from laurels.durations import Duration
from laurels.evaluation import Evaluation, Noted
from laurels.purchase import Facts, Purchase

#: The version of a decision's stored form, hashed with it.
FORMAT = 1


def content_of(
    partner: PartnerTerms,
    purchase: Purchase,
    evaluation: Evaluation,
    facts: Facts,
    carried: Sequence[Carried] = (),
    noted: Sequence[int] = (),
) -> dict[str, Any]:
    """What is stored of a judgement; what isn't there isn't mentioned.

    `f` facts (visits, tiers, ids of attributes, balances), `g` given (rule, currency, points by
    line, base, wanted, because, cut), `n` what gave nothing, `c` carried over, `i` issued, `a`
    noted of the member (rule, name, until), `th` thanks to who referred it, `k` what counts as one
    of a run (rule, currency), `x` an activity's type and attributes.
    """
    ids, issues = partner.ids, partner.issues
    given = []
    for rule, currency, _, lines, base, wanted, because, cut in evaluation.granted:
        given.append([ids[rule], issues[currency].id, lines, base, wanted, because])
        if cut:
            given[-1].append(cut)
    refused = [[ids[rule], because] for rule, because in evaluation.refused]
    known: list[object] = [facts.visits, dict(facts.tiers)]
    if noted or facts.balances:
        known.append(list(noted))
    if facts.balances:
        known.append(dict(facts.balances))
    content: dict[str, Any] = {"v": FORMAT, "f": known, "g": given, "n": refused}
    if carried:
        content["c"] = [list(x) for x in carried]
    if evaluation.issued:
        content["i"] = [[ids[x.rule], *x[1:]] for x in evaluation.issued]
    if evaluation.noted:
        content["a"] = [[ids[x.rule], x.name, until_of(x, purchase)] for x in evaluation.noted]
    if evaluation.thanks:
        content["th"] = [ids[place] for place in evaluation.thanks]
    if evaluation.counted:
        content["k"] = [_counted(partner, place) for place in evaluation.counted]
    if isinstance(purchase, Activity):
        content["x"] = [purchase.type, dict(purchase.attributes)]
    return content


def until_of(noted: Noted, purchase: Purchase) -> datetime | None:
    """Until when something noted of a member lasts."""
    if noted.lasts is None:
        return None
    return Duration.parse(noted.lasts).after(purchase.occurred_at, purchase.time_zone)


def _counted(partner: PartnerTerms, place: int) -> list[int]:
    run = partner.earn[place].run
    assert run is not None  # or the evaluator would have refused it
    return [partner.earn[place].id, partner.issues[run.currency].id]


def packed(partner: PartnerTerms, content: Mapping[str, Any]) -> bytes:
    """A decision's content as it is stored and hashed. Raises PartnerRuleFailed."""
    try:
        return orjson.dumps(content)
    except TypeError as error:  # half a character, or a number beyond 64 bits
        raise PartnerRuleFailed(
            f"partner '{partner.code}': a rule gave what can't be stored: {error}"
        ) from error
