"""Shadow rules: a partner's next version judges what its own rules judged, and books nothing.

They are asked after the rules in force, on the same facts (so caps, budgets and what is carried
over are as the books have them), under the same deadline, and their faults stay theirs: they refuse
no purchase and suspend no partner. Knows no connection: its rows are `core.store.shadows`'s.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson

from core.containment import FAILURES, Containment, Fault
from core.errors import PartnerRuleFailed
from core.rulebook import PartnerTerms
from core.store.writes import Given, ShadowRow, Writes
from laurels.declarations import MAX_POINTS
from laurels.errors import storable
from laurels.evaluation import Evaluation
from laurels.purchase import Facts, Purchase
from laurels.rules import EarnRule


class Shadows:
    """Judges in shadow, for one engine, and knows which runs fail again and again."""

    def __init__(self) -> None:
        self._containment = Containment(silent=True)
        self._failed: Counter[int] = Counter()

    def judge(
        self,
        writes: Writes,
        partner: PartnerTerms,
        purchase: Purchase,
        facts: Facts,
        evaluation: Evaluation,
        booked: tuple[int, int, datetime],
    ) -> None:
        """Judge a purchase that the rules in force made this of; `booked` is (event, holder, when).

        Leaves a row to be written, or that the run is to be paused. Raises nothing.
        """
        shadow = partner.shadow
        if shadow is None or shadow.paused_at is not None:
            return
        run = shadow.run
        if self._failed[run] >= FAILURES:
            writes.paused.add(run)
            return
        try:
            terms = shadow.terms.at(purchase.occurred_at)
            judged = self._containment.judge(terms, purchase, facts, tentative=True)
            row = _row(run, booked, given(partner, evaluation), given(terms, judged))
        except PartnerRuleFailed:
            row = self._fault(writes, run, booked)
        except Exception:  # a title of a rule's own, say, which runs its code when it is read
            self._containment.put_back([(Fault(partner.id, "", "gave what can't be told"), 1)])
            row = self._fault(writes, run, booked)
        else:
            self._failed.pop(run, None)
        writes.shadowed.append(row)

    def _fault(self, writes: Writes, run: int, booked: tuple[int, int, datetime]) -> ShadowRow:
        self._failed[run] += 1
        if self._failed[run] >= FAILURES:
            writes.paused.add(run)
        return ShadowRow(run, *booked, {}, failed=True)

    def take_faults(self) -> list[tuple[Fault, int]]:
        """What went wrong since this was asked last, and how often, told as a shadow's."""
        found = self._containment.take_faults()
        return [(fault._replace(what=f"{fault.what} in shadow"), n) for fault, n in found]


class _UntoldError(Exception):
    """What shadow rules gave can't be written down."""


def given(partner: PartnerTerms, evaluation: Evaluation) -> list[Given]:
    """What each rule gave, in the order of the rules; its awards of a currency are added up."""
    points: dict[tuple[int, str], int] = {}
    for granted in evaluation.granted:
        key = (granted.rule, granted.currency)
        points[key] = points.get(key, 0) + granted.points
    pieces: dict[tuple[int, str], int] = {}
    for issued in evaluation.issued:
        key = (issued.rule, issued.reward)
        pieces[key] = pieces.get(key, 0) + issued.quantity
    rules = partner.rules
    found = [
        (place, Given(rules[place].code, rules[place].title, n, currency))
        for (place, currency), n in points.items()
    ]
    found += [
        (place, Given(rules[place].code, rules[place].title, n, None, reward))
        for (place, reward), n in pieces.items()
    ]
    return [x for _, x in sorted(found, key=lambda pair: pair[0])]


def _row(
    run: int, booked: tuple[int, int, datetime], live: Sequence[Given], shadow: Sequence[Given]
) -> ShadowRow:
    """Both beside each other. What a member gets is compared, whichever rules give it."""
    sums: dict[str, tuple[int, int]] = {}
    pieces: dict[str, tuple[int, int]] = {}
    for own, side in ((True, live), (False, shadow)):
        for x in side:
            told, name = (sums, x.currency) if x.reward is None else (pieces, x.reward)
            assert name is not None
            a, b = told.get(name, (0, 0))
            told[name] = (a + x.amount, b) if own else (a, b + x.amount)
    if any(b > MAX_POINTS for _, b in sums.values()):
        raise _UntoldError
    if all(a == b for a, b in (*sums.values(), *pieces.values())):
        return ShadowRow(run, *booked, sums)
    return ShadowRow(run, *booked, sums, _told(live), _told(shadow))


def _told(side: Sequence[Given]) -> str:
    # Codes and titles were looked at when the plugin was loaded; a rule may have changed its own.
    texts: list[object] = [text for x in side for text in (x.rule, x.title)]
    if not all(isinstance(text, str) and storable(text) for text in texts):
        raise _UntoldError
    return orjson.dumps([list(x) for x in side]).decode()


def said_by(rules: Iterable[EarnRule]) -> list[tuple[str, str, str]]:
    """What rules say of themselves: code, title and terms."""
    return [
        (r.code, r.title, orjson.dumps(r.terms, option=orjson.OPT_SORT_KEYS, default=dict).decode())
        for r in rules
    ]


def stamp(partner: PartnerTerms, version: str, said: Sequence[tuple[str, str, str]]) -> str:
    """Tells one run from another: what the shadow rules say, and which rules they stand beside."""
    told = [version, said, [(r.id, r.from_at, r.until_at) for r in partner.earn]]
    return hashlib.blake2b(orjson.dumps(told), digest_size=20).hexdigest()
