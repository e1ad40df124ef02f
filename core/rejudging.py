"""Judges a purchase again for what is left of it: what rules that ask for it give, and carry over.

Folds nothing; what becomes of the difference is `core.taking_back`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.bought import Bought, Request
from core.entitlement import Remains
from core.tally import Carried
from laurels.deadline import evaluate_in_time
from laurels.errors import RuleTooSlow
from laurels.lasting import carries, reevaluates

if TYPE_CHECKING:
    from core.folding import Batch


def judge_again(batch: Batch, bought: Bought, request: Request, after: Remains) -> dict[int, int]:
    """Points of the awards whose rule says to judge it again, on what remains, by their place.

    Only by the very version that gave them: a rule that has changed since goes by proportion, and
    so does one that fails. A return is never lost to a partner's fault. What a return took is
    never earned again: or the next one would take it twice.
    """
    judged = _judged_by_rules(batch, bought, request, after)
    before, now = bought.entitled(), after.entitled(bought.given, judged)
    for n, given in enumerate(bought.given):
        if given.base is None and now[n] > before[n]:
            judged[n] = before[n]
    return judged


def _judged_by_rules(
    batch: Batch, bought: Bought, request: Request, after: Remains
) -> dict[int, int]:
    rules = {r.id: r.rule for r in request.partner.earn if reevaluates(r.rule)}
    again = [n for n, g in enumerate(bought.given) if g.rule in rules and g.base is None]
    judged = dict.fromkeys(again, 0)
    lines = after.receipt()
    if not again or not lines:
        return judged
    receipt = bought.receipt(request.partner, lines)
    carried = {known.code: known.before for known in bought.carried.values()}
    codes = {c.id: c.code for c in batch.rulebook.currencies.values()}
    for n in again:
        given = bought.given[n]
        try:
            facts = bought.facts(carried)
            found = evaluate_in_time([rules[given.rule]], receipt, facts)
        except (Exception, RuleTooSlow):
            del judged[n]
            continue
        twins = [m for m in again if bought.given[m][:2] == given[:2]]
        granted = [g.points for g in found.granted if g.currency == codes.get(given.currency)]
        place = twins.index(n)
        judged[n] = granted[place] if place < len(granted) else 0
    return judged


def carried_again(bought: Bought, request: Request, after: Remains) -> list[Carried]:
    """What rules carry over now that part of a purchase came back: as if that had not been bought.

    Below zero where it was spent on points since: then the next receipts make up for it.
    """
    if not bought.carried:
        return []
    rules = {r.id: r for r in request.partner.earn}
    latest = {r.rule.code: r for r in request.partner.earn if carries(r.rule)}
    lines = after.receipt()
    found = []
    for known in bought.carried.values():
        left = known.before
        if lines:
            # By the version that carried it over, else by the rule as it is now, if it still does.
            rule = rules.get(known.version) or latest.get(known.code)
            if rule is None:
                continue
            facts = bought.facts({known.code: known.before})
            try:
                evaluation = evaluate_in_time(
                    [rule.rule], bought.receipt(request.partner, lines), facts
                )
            except (Exception, RuleTooSlow):
                continue
            left = evaluation.carried.get(0, left)
        if left != known.after:
            found.append(known._replace(after=left, change=left - known.after))
    return found
