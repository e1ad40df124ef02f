"""Shadow rules: a partner's next version judges what its own rules judged, and books nothing.

They are asked after the rules in force, on facts as the books had them before (so what caps,
budgets and carrying over have counted is what those counted), under the same deadline, and their
faults stay theirs: they refuse no purchase and suspend no partner. Knows no connection: its rows
are `core.store.shadows`'s.
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


def beside(partner: PartnerTerms, purchase: Purchase) -> PartnerTerms | None:
    """The partner with the shadow rules that judge a purchase; None where none can."""
    shadow = partner.shadow
    if shadow is None or shadow.paused_at is not None:
        return None
    try:
        return shadow.terms.at(purchase.occurred_at).on(purchase.trigger)
    except KeyboardInterrupt:
        raise
    except BaseException:  # to look at them runs their code: told when they are to judge
        return None


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

        Leaves a row to be written, or that the run is to be paused; nothing of it is known here
        until it is `kept`. Raises nothing but KeyboardInterrupt.
        """
        shadow = partner.shadow
        if shadow is None or shadow.paused_at is not None:
            return
        run = shadow.run
        if writes.failing.get(run, self._failed[run]) >= FAILURES:
            writes.paused.add(run)
            return
        try:
            terms = shadow.terms.at(purchase.occurred_at).on(purchase.trigger)
            judged = self._containment.judge(terms, purchase, facts, tentative=True)
            row = _row(run, booked, (partner, evaluation), (terms, judged))
        except PartnerRuleFailed:
            row = self._fault(writes, run, booked)
        except KeyboardInterrupt:
            raise
        except BaseException:  # sys.exit() in what runs a rule's code when it is read, say
            self._containment.put_back([(Fault(partner.id, "", "gave what can't be told"), 1)])
            row = self._fault(writes, run, booked)
        else:
            writes.failing[run] = 0
        writes.shadowed.append(row)

    def _fault(self, writes: Writes, run: int, booked: tuple[int, int, datetime]) -> ShadowRow:
        writes.shadow_faults += self._containment.take_faults()
        writes.failing[run] = writes.failing.get(run, self._failed[run]) + 1
        if writes.failing[run] >= FAILURES:
            writes.paused.add(run)
        return ShadowRow(run, *booked, {}, failed=True)

    def keep(self, writes: Writes) -> None:
        """What was judged is committed: now it counts. What is tried again was never judged."""
        for row in writes.shadowed:
            if row.failed:
                self._failed[row.run] += 1
            else:
                self._failed.pop(row.run, None)
        self._containment.put_back(writes.shadow_faults)

    def take_faults(self) -> list[tuple[Fault, int]]:
        """What went wrong since this was asked last, and how often, told as a shadow's."""
        found = self._containment.take_faults()
        return [(fault._replace(what=f"{fault.what} in shadow"), n) for fault, n in found]


class _UntoldError(Exception):
    """What shadow rules gave can't be written down."""


def _row(
    run: int,
    booked: tuple[int, int, datetime],
    live: tuple[PartnerTerms, Evaluation],
    shadow: tuple[PartnerTerms, Evaluation],
) -> ShadowRow:
    """Both beside each other. What a member gets is compared, whichever rules give it."""
    points, pieces = _gets(live[1])
    others, other_pieces = _gets(shadow[1])
    if any(n > MAX_POINTS for n in others.values()):
        raise _UntoldError
    sums = {code: (points.get(code, 0), others.get(code, 0)) for code in {**points, **others}}
    if points == others and pieces == other_pieces:
        return ShadowRow(run, *booked, sums)
    return ShadowRow(run, *booked, sums, _told(given(*live)), _told(given(*shadow)))


def _gets(evaluation: Evaluation) -> tuple[dict[str, int], dict[str, int]]:
    """Points by currency, and pieces by reward."""
    points: dict[str, int] = {}
    for granted in evaluation.granted:
        points[granted.currency] = points.get(granted.currency, 0) + granted.points
    pieces: dict[str, int] = {}
    for issued in evaluation.issued:
        pieces[issued.reward] = pieces.get(issued.reward, 0) + issued.quantity
    return points, pieces


def given(partner: PartnerTerms, evaluation: Evaluation) -> list[Given]:
    """What each rule gave, in the order of the rules; its awards of a currency are added up."""
    amounts: dict[tuple[int, str | None, str | None], int] = {}
    for granted in evaluation.granted:
        key = (granted.rule, granted.currency, None)
        amounts[key] = amounts.get(key, 0) + granted.points
    for issued in evaluation.issued:
        piece = (issued.rule, None, issued.reward)
        amounts[piece] = amounts.get(piece, 0) + issued.quantity
    rules = partner.earn  # by the words that were read once: now a rule might run its code
    return [
        Given(rules[place].code, rules[place].title, amount, currency, reward)
        for (place, currency, reward), amount in sorted(amounts.items(), key=lambda x: x[0][0])
    ]


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
