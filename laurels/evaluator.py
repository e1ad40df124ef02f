"""The pure evaluator: a partner's rules and one purchase in, awards line by line out.

It is the very code that the engine runs, so a brand's tests meet what production does. It knows
nothing of ledgers: whether an award may be booked is the engine's question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from operator import add

from laurels.basis import Basis, placed
from laurels.caps import Restraint
from laurels.combining import combine
from laurels.declarations import MAX_POINTS
from laurels.errors import LaurelsError, RuleError, RuleTooSlow, check_code, shown, storable
from laurels.evaluation import Evaluation, Granted, Issued, Refused
from laurels.purchase import Facts, Purchase, check_receipt
from laurels.rounding import spread
from laurels.rules import (
    MOST_ISSUED,
    MOST_ISSUES,
    Award,
    EarnRule,
    Issue,
    LastingRule,
    Multiply,
    Nothing,
    carries,
)


def evaluate(rules: Sequence[EarnRule], purchase: Purchase, facts: Facts) -> Evaluation:
    """Judge a purchase by rules: what they award, what of it stands, then what multiplies it.

    Raises RuleError, naming the rule, where one raises or returns what no rule may return; and
    PurchaseError where no till could have sent the purchase, which is no rule's fault.
    """
    check_receipt(purchase)
    granted: list[Granted] = []
    refused: list[Refused] = []
    multipliers: list[tuple[int, Multiply]] = []
    carried: dict[int, int] = {}
    issued: list[Issued] = []
    views: dict[Basis, Purchase] = {}
    for place, rule in enumerate(rules):
        seen: Purchase | None = purchase
        if type(rule) is LastingRule and rule.basis is not None:
            seen = _seen(rule.basis, place, purchase, views, refused)
        if seen is None:
            continue
        try:
            effects = rule.evaluate(seen, facts)
        except RuleTooSlow as late:
            raise RuleError(rule.code, "took longer than a rule may") from late
        except KeyboardInterrupt:
            raise  # the operator's own
        except BaseException as error:  # sys.exit() or a foreign panic in a rule ends no service
            raise RuleError(rule.code, _told(error)) from error
        some: Sequence[object] = () if effects is None else (effects,)
        if isinstance(effects, list | tuple):
            some = effects
        if not some:
            refused.append(Refused(place, _SILENT))
        for effect in some:
            if isinstance(effect, Award):
                _take(rule, place, effect, seen, granted, refused)
                if effect.carry is not None:
                    carried[place] = _checked_carry(rule, effect.carry)
            elif isinstance(effect, Nothing):
                refused.append(Refused(place, _words(rule, effect.because)))
                if effect.carry is not None:
                    carried[place] = _checked_carry(rule, effect.carry)
            elif isinstance(effect, Multiply):
                multipliers.append((place, _checked_multiply(rule, effect)))
            elif isinstance(effect, Issue):
                if len(issued) == MOST_ISSUES:
                    raise RuleError(rule.code, f"issued more than {MOST_ISSUES} rewards at once")
                issued.append(_checked_issue(rule, place, effect))
            else:
                raise RuleError(rule.code, f"returned {type(effect).__name__}, which is no effect")
    awarding = {g.rule for g in granted} if issued else set()
    lasting = {place: rule for place, rule in enumerate(rules) if type(rule) is LastingRule}
    if lasting:
        granted = _settle(rules, lasting, purchase, facts, granted, refused, carried, multipliers)
    elif multipliers:
        granted += _multiplied(rules, multipliers, granted, refused, len(purchase.lines))
    if issued:
        standing = {g.rule for g in granted}
        issued = [x for x in issued if x.rule in standing or x.rule not in awarding]
    return Evaluation(tuple(granted), tuple(refused), carried, tuple(issued))


def _settle(
    rules: Sequence[EarnRule],
    lasting: Mapping[int, LastingRule],
    purchase: Purchase,
    facts: Facts,
    granted: list[Granted],
    refused: list[Refused],
    carried: dict[int, int],
    multipliers: list[tuple[int, Multiply]],
) -> list[Granted]:
    """What stands of awards by caps and groups, and then what multiplies that.

    A rule's own caps come before its group: where they leave nothing, a rival gives (so does
    Square's trigger limit). What several rules share is taken by those that stand.
    """
    ceilings = {place: rule.ceilings for place, rule in lasting.items() if rule.ceilings}
    groups = {place: rule.group for place, rule in lasting.items() if rule.group is not None}
    restraint = Restraint(ceilings, {p: r.code for p, r in lasting.items()}, purchase, facts)
    if ceilings:
        granted, over = restraint.hold(granted, own=True, shared=False)
        refused += over
    if groups:
        granted, over = combine(groups, granted, [rule.title for rule in rules])
        refused += over
        for place in {r.rule for r in over}:
            carried.pop(place, None)
    if ceilings:
        granted, over = restraint.hold(granted, own=False, shared=True)
        refused += over
    if multipliers:
        more = _multiplied(rules, multipliers, granted, refused, len(purchase.lines))
        if ceilings:
            more, over = restraint.hold(more, own=True, shared=True)
            refused += over
        granted += more
    return granted


def _seen(
    basis: Basis,
    place: int,
    purchase: Purchase,
    views: dict[Basis, Purchase],
    refused: list[Refused],
) -> Purchase | None:
    """What a rule on this basis is shown, made once for all of them; None where nothing counts."""
    if basis not in views:
        views[basis] = basis.view(purchase)
    seen = views[basis]
    if seen.counts is not None and True not in seen.counts:
        refused.append(Refused(place, f"nothing here counts: it is for {basis}"))
        return None
    return seen


#: Of a rule that gives nothing and doesn't say why.
_SILENT = "its conditions weren't met"


def _told(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # the partner's own __str__
        text = "no text"
    return f"raised {type(error).__name__}: {text[:300]}"


def _words(rule: EarnRule, text: object) -> str:
    if text == "":
        return ""
    if not isinstance(text, str) or not storable(text):
        raise RuleError(rule.code, "gave a reason that is no text")
    return text[:500]


def _take(
    rule: EarnRule,
    place: int,
    award: Award,
    purchase: Purchase,
    granted: list[Granted],
    refused: list[Refused],
) -> None:
    points = award.points
    # type() and not isinstance: True is an int, and no number of points.
    if type(points) is not int or not 0 <= points <= MAX_POINTS:
        raise RuleError(rule.code, f"awarded {shown(points)}, not whole points to {MAX_POINTS}")
    if not isinstance(award.currency, str):
        raise RuleError(rule.code, f"awarded in {shown(award.currency)}, no currency's code")
    if points == 0:
        refused.append(Refused(place, _words(rule, award.because) or "it came to no whole point"))
        return
    if award.lines is None:
        lines = spread(points, purchase.amounts)
    else:
        lines = _checked_lines(rule, award.lines, points, len(purchase.lines))
    if purchase.counts is not None:
        lines = placed(lines, purchase.amounts, purchase.counts)
    wanted = award.wanted
    if wanted is not None and (type(wanted) is not int or not points <= wanted <= MAX_POINTS):
        raise RuleError(
            rule.code, f"wanted {shown(wanted)}, not from the {points} awarded to {MAX_POINTS}"
        )
    because = award.because and _words(rule, award.because)
    granted.append(Granted(place, award.currency, points, lines, None, wanted, because))


#: type() and not isinstance: True is an int, and no number of points.
_WHOLE = {int}


def _checked_issue(rule: EarnRule, place: int, effect: Issue) -> Issued:
    try:
        check_code("reward", effect.reward)
        if effect.currency is not None:
            check_code("currency", effect.currency)
    except LaurelsError as error:
        raise RuleError(rule.code, f"issued what is no reward: {error}") from None
    # type() and not isinstance: True is an int, and no number of pieces.
    if type(effect.quantity) is not int or not 1 <= effect.quantity <= MOST_ISSUED:
        raise RuleError(
            rule.code, f"issued {shown(effect.quantity)} pieces, not from 1 to {MOST_ISSUED}"
        )
    return Issued(place, effect.reward, effect.quantity, effect.currency)


def _checked_multiply(rule: EarnRule, effect: Multiply) -> Multiply:
    # Made without `multiply`, it may hold anything; a float would not be exact.
    factor: object = effect.factor
    if type(factor) not in (int, Fraction) or not 1 <= effect.factor <= 1000:
        raise RuleError(rule.code, f"multiplied by {shown(factor)}, not exactly 1 to 1000")
    if not isinstance(effect.currency, str):
        raise RuleError(rule.code, f"multiplied {shown(effect.currency)}, no currency's code")
    return effect


def _checked_lines(rule: EarnRule, lines: object, points: int, count: int) -> list[int]:
    if (
        not isinstance(lines, list | tuple)
        or len(lines) != count
        or set(map(type, lines)) != _WHOLE
        or min(lines) < 0
        or sum(lines) != points
    ):
        raise RuleError(
            rule.code, f"gave points by line that don't add up to {points} over {count} lines"
        )
    # A copy: a rule that keeps its list could change what was granted.
    return list(lines)


def _checked_carry(rule: EarnRule, carry: object) -> int:
    if not carries(rule):
        raise RuleError(rule.code, "carries money on, and doesn't say so: carries=True")
    # type() and not isinstance: True is an int, and no money.
    if type(carry) is not int or abs(carry) > MAX_POINTS:
        raise RuleError(rule.code, f"carries on {shown(carry)}, not whole minor units")
    return carry


def _multiplied(
    rules: Sequence[EarnRule],
    multipliers: list[tuple[int, Multiply]],
    granted: Sequence[Granted],
    refused: list[Refused],
    count: int,
) -> list[Granted]:
    found: list[Granted] = []
    base = {effect.currency: [0] * count for _, effect in multipliers}
    for g in granted:
        if g.currency in base:
            base[g.currency] = list(map(add, base[g.currency], g.lines))
    for place, effect in multipliers:
        because = _words(rules[place], effect.because)
        lines = base[effect.currency]
        total = sum(lines)
        extra = total * effect.factor.numerator // effect.factor.denominator - total
        if extra > MAX_POINTS:
            raise RuleError(rules[place].code, f"multiplied {total} points beyond {MAX_POINTS}")
        if extra == 0:
            why = "it came to no whole point" if total else "there was nothing to multiply"
            refused.append(Refused(place, because or why))
            continue
        shares = spread(extra, lines)
        found.append(Granted(place, effect.currency, extra, shares, total, None, because))
    return found
