"""The pure evaluator: a partner's rules and one purchase in, awards line by line out.

It is the very code that the engine runs, so a brand's tests meet what production does. It knows
nothing of ledgers: whether an award may be booked is the engine's question.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from laurels.basis import Basis, placed
from laurels.caps import Restraint
from laurels.combining import combine
from laurels.declarations import MAX_POINTS
from laurels.errors import LaurelsError, RuleError, RuleTooSlow, check_code, shown, storable
from laurels.evaluation import Evaluation, Granted, Issued, Refused
from laurels.lasting import carries
from laurels.noting import Notes
from laurels.plan import Plan
from laurels.purchase import Facts, Purchase, check_receipt
from laurels.rounding import spread
from laurels.rules import (
    MOST_ISSUED,
    MOST_ISSUES,
    Award,
    EarnRule,
    Issue,
    Multiply,
    Nothing,
)
from laurels.streaks import run_of


def evaluate(rules: Sequence[EarnRule], purchase: Purchase, facts: Facts) -> Evaluation:
    """Judge a purchase by rules: what they award, what of it stands, then what multiplies it.

    Raises RuleError, naming the rule, where one raises or returns what no rule may return; and
    PurchaseError where no till could have sent the purchase, which is no rule's fault.
    """
    check_receipt(purchase)
    plan = rules if type(rules) is Plan else Plan(rules)
    granted: list[Granted] = []
    refused: list[Refused] = []
    multipliers: list[tuple[int, Multiply]] = []
    carried: dict[int, int] = {}
    issued: list[Issued] = []
    notes: Notes | None = None  # few rules need any
    views: dict[Basis, Purchase] = {}
    for place, rule, judge, basis in plan.judges.get(purchase.trigger, ()):
        seen = purchase if basis is None else _seen(basis, purchase, views)
        try:
            effects = judge(seen, facts)
        except BaseException as error:  # sys.exit() or a foreign panic in a rule ends no service
            raise _fault(rule, error) from error
        if effects is None:
            refused.append(_new(Refused, (place, _SILENT)))
            continue
        some = (effects,) if type(effects) in _EFFECTS else _several(effects)
        for effect in some:
            if isinstance(effect, Award):
                _take(rule, place, effect, seen, granted, refused)
                if effect.carry is not None or effect.counts:
                    notes = _keep(rule, place, effect, carried, notes)
            elif isinstance(effect, Nothing):
                refused.append(_new(Refused, (place, _words(rule, effect.because))))
                if effect.carry is not None or effect.counts:
                    notes = _keep(rule, place, effect, carried, notes)
            elif isinstance(effect, Multiply):
                multipliers.append((place, _checked_multiply(rule, effect)))
            elif isinstance(effect, Issue):
                issued.append(_checked_issue(rule, place, effect, len(issued)))
            else:
                notes = notes or Notes()
                notes.take(rule, place, effect)
    if notes is not None and notes.denials:
        return _denied(plan, notes, granted, multipliers, refused, issued)
    awarding = {g.rule for g in granted} if issued or notes is not None else set()
    if plan.lasting:
        granted = _settle(plan, purchase, facts, granted, refused, carried, multipliers)
    elif multipliers:
        granted += _multiplied(plan, multipliers, granted, refused, len(purchase.lines))
    if issued:
        issued = _standing(issued, granted, awarding)
    if notes is not None:
        notes.stand(awarding - {g.rule for g in granted})
    if notes is None:
        return Evaluation(tuple(granted), tuple(refused), carried, tuple(issued))
    return Evaluation(tuple(granted), tuple(refused), carried, tuple(issued), *notes.told)


def _standing(issued: list[Issued], granted: list[Granted], awarding: set[int]) -> list[Issued]:
    """What is issued of rules that give nothing else, or whose award stands."""
    standing = {g.rule for g in granted}
    return [x for x in issued if x.rule in standing or x.rule not in awarding]


def _denied(
    rules: Sequence[EarnRule],
    notes: Notes,
    granted: Sequence[Granted],
    multipliers: Sequence[tuple[int, Multiply]],
    refused: Sequence[Refused],
    issued: Sequence[Issued],
) -> Evaluation:
    """Nothing is given, and nothing carried on: each rule that wanted to says who denied it."""
    _, because = notes.denials[0]
    word = f"{rules[notes.denials[0][0]].title}: {because}"
    deniers = dict(notes.denials)
    wanted = {g.rule for g in granted} | {place for place, _ in multipliers}
    wanted |= {x.rule for x in issued} | notes.asking
    # What counted would have said how far it came: it came nowhere.
    told = [r for r in refused if r.rule not in wanted and r.rule not in deniers]
    told += [Refused(place, word) for place in sorted(wanted - set(deniers))]
    told += [Refused(place, why) for place, why in deniers.items()]
    notes.denied()
    return Evaluation((), tuple(told), noted=tuple(notes.noted))


def _settle(
    plan: Plan,
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
    lasting = plan.lasting
    ceilings = {place: rule.ceilings for place, rule in lasting.items() if rule.ceilings}
    groups = {place: rule.group for place, rule in lasting.items() if rule.group is not None}
    restraint = Restraint(ceilings, {p: r.code for p, r in lasting.items()}, purchase, facts)
    if ceilings:
        granted, over = restraint.hold(granted, own=True, shared=False)
        refused += over
    if groups:
        granted, over = combine(groups, granted, [rule.title for rule in plan])
        refused += over
        for place in {r.rule for r in over}:
            carried.pop(place, None)
    if ceilings:
        granted, over = restraint.hold(granted, own=False, shared=True)
        refused += over
    if multipliers:
        more = _multiplied(plan, multipliers, granted, refused, len(purchase.lines))
        if ceilings:
            more, over = restraint.hold(more, own=True, shared=True)
            refused += over
        granted += more
    return granted


#: Makes a named tuple of all its fields in half the time that its own constructor takes.
_new = tuple.__new__
#: What nearly every rule returns: one of these, by itself.
_EFFECTS = frozenset((Award, Multiply, Nothing, Issue))


def _several(effects: object) -> Sequence[object]:
    """What a rule returned that is none of the effects, one by one: several, none, or nonsense."""
    # An effect is a tuple itself, and so is one of a class that a partner derived.
    if isinstance(effects, (Award, Multiply, Nothing, Issue)) or not isinstance(
        effects, (list, tuple)
    ):
        return (effects,)
    return effects or (Nothing(_SILENT),)


def _seen(basis: Basis, purchase: Purchase, views: dict[Basis, Purchase]) -> Purchase:
    """What a rule on this basis is shown, made once for all of them."""
    if basis not in views:
        views[basis] = basis.view(purchase)
    return views[basis]


def _fault(rule: EarnRule, error: BaseException) -> RuleError:
    """What a rule raised, told by its name; raises what is the operator's own."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, RuleTooSlow):
        return RuleError(rule.code, "took longer than a rule may")
    return RuleError(rule.code, _told(error))


#: Of a rule that gives nothing and doesn't say why.
_SILENT = "its conditions weren't met"


def _told(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # the partner's own __str__
        text = "no text"
    if not storable(text):
        text = "what is no text"
    return f"raised {type(error).__name__}: {text[:300]}"


def _words(rule: EarnRule, text: object) -> str:
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
    currency, points, lines, because, wanted, _, _ = award
    # type() and not isinstance: True is an int, and no number of points.
    if type(points) is not int or not 0 <= points <= MAX_POINTS:
        raise RuleError(rule.code, f"awarded {shown(points)}, not whole points to {MAX_POINTS}")
    if not isinstance(currency, str):
        raise RuleError(rule.code, f"awarded in {shown(currency)}, no currency's code")
    if points == 0:
        refused.append(Refused(place, _words(rule, because) or "it came to no whole point"))
        return
    if lines is None:
        lines = spread(points, purchase.amounts)
    else:
        lines = _checked_lines(rule, lines, points, len(purchase.lines))
    if purchase.counts is not None:
        lines = placed(lines, purchase.amounts, purchase.counts)
    if wanted is not None and (type(wanted) is not int or not points <= wanted <= MAX_POINTS):
        raise RuleError(
            rule.code, f"wanted {shown(wanted)}, not from the {points} awarded to {MAX_POINTS}"
        )
    if because:
        because = _words(rule, because)
    granted.append(_new(Granted, (place, currency, points, lines, None, wanted, because, "")))


#: type() and not isinstance: True is an int, and no number of points.
_WHOLE = {int}


def _checked_issue(rule: EarnRule, place: int, effect: Issue, before: int) -> Issued:
    if before == MOST_ISSUES:
        raise RuleError(rule.code, f"issued more than {MOST_ISSUES} rewards at once")
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
    # In whole numbers: a fraction compares slowly.
    if type(factor) not in (int, Fraction) or not (
        effect.factor.denominator <= effect.factor.numerator <= 1000 * effect.factor.denominator
    ):
        raise RuleError(rule.code, f"multiplied by {shown(factor)}, not exactly 1 to 1000")
    if not isinstance(effect.currency, str):
        raise RuleError(rule.code, f"multiplied {shown(effect.currency)}, no currency's code")
    return effect


def _checked_lines(rule: EarnRule, lines: object, points: int, count: int) -> list[int]:
    if (
        not isinstance(lines, (list, tuple))
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


def _keep(
    rule: EarnRule,
    place: int,
    effect: Award | Nothing,
    carried: dict[int, int],
    notes: Notes | None,
) -> Notes | None:
    """What an effect carries on to the next receipt, and whether it is one of a run."""
    if effect.carry is not None:
        carried[place] = _checked_carry(rule, effect.carry)
    if not effect.counts:
        return notes
    if run_of(rule) is None:
        raise RuleError(rule.code, "counts as one of a run, and has none")
    notes = notes or Notes()
    notes.counted.append(place)
    return notes


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
    base: dict[str, list[int]] = {}
    for currency in {effect.currency for _, effect in multipliers}:
        given = [g.lines for g in granted if g.currency == currency]
        base[currency] = list(map(sum, zip(*given, strict=True))) if given else [0] * count
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
