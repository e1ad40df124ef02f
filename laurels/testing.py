"""What a brand tests itself with: receipts, members, a clock, and what the engine will ask of it.

It needs the SDK alone: no database, no application, no test runner. In a brand's own tests:

    class TestBakery(laurels.testing.Conformance):
        plugin = corner_bakery
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from laurels.activities import PURCHASE, RETURN, Activity, Value, check_attributes, is_own
from laurels.adapters import Adapter, DeliveryError, Received, check_received
from laurels.based import on_basis
from laurels.deadline import evaluate_in_time, in_time
from laurels.earning import ProductTypeRewardCalculator
from laurels.errors import DeclarationError, LaurelsError, RuleTooSlow
from laurels.evaluation import Evaluation
from laurels.lasting import trigger_of, unwrapped
from laurels.money import to_minor
from laurels.plugin.installed import Installed
from laurels.plugin.loading import load
from laurels.plugin.refusal import RefusalError
from laurels.purchase import Facts, Line, LineKind, Purchase
from laurels.verifying import Hmac, StandardWebhooks
from laurels.watching import watched

__all__ = [
    "NOW",
    "Clock",
    "Conformance",
    "activity",
    "brand",
    "judge",
    "member",
    "points",
    "problems",
    "purchase",
    "received",
    "signed",
]

#: Where a test's clock stands unless one moves it: a Sunday, at noon in UTC.
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that stands until it is moved: `clock.tick(days=3)`."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        """Now."""
        return self.at

    def tick(self, **span: float) -> datetime:
        """Move on by a timedelta's words, and say what it is then."""
        self.at += timedelta(**span)
        return self.at


def purchase(
    *lines: tuple[str, str] | tuple[str, str, str] | Line,
    currency: str = "USD",
    at: datetime = NOW,
    partner: str = "",
    time_zone: str = "UTC",
    store: str = "",
    external_id: str = "R-1",
    tender: str = "",
) -> Purchase:
    """A receipt of lines (product type, amount in major units, quantity): `("bread", "8.40", "2")`.

    A `Line` stands as it is, in minor units: `Line("bread", 840, tax=64)`.

    Raises MoneyError where an amount is none, ArithmeticError where a quantity is.
    """
    made = tuple(line if isinstance(line, Line) else _line(currency, *line) for line in lines)
    return Purchase(partner, external_id, at, currency, made, store, time_zone, tender=tender)


def activity(
    type: str,
    *,
    at: datetime = NOW,
    partner: str = "",
    time_zone: str = "UTC",
    external_id: str = "A-1",
    **attributes: Value,
) -> Activity:
    """An activity, or an occasion: `activity("review", stars=5)`. Raises PurchaseError."""
    check_attributes(attributes)
    return Activity.of(partner, external_id, at, type, attributes, time_zone)


def _line(currency: str, kind: str, amount: str, quantity: str = "1") -> Line:
    return Line(kind, to_minor(amount, currency), int(Decimal(quantity).scaleb(3)))


def member(visits: int = 0, **tiers: str) -> Facts:
    """What the engine knows of a member: `member(3, bakery="gold")`."""
    return Facts(visits, tiers)


def brand(plugin: object, settings: Mapping[str, object] | None = None) -> Installed:
    """All that a plugin declares, as the engine's host reads it.

    `settings` stand for what an operator sets: `{"api_key": "…"}`, checked by the plugin's model.
    Raises RefusalError in the very words with which the host would leave it out.
    """
    name = getattr(plugin, "__name__", type(plugin).__name__)
    return load(name, plugin, values=lambda _, __: settings or {})


def judge(
    plugin: object,
    bought: Purchase,
    facts: Facts | None = None,
    settings: Mapping[str, object] | None = None,
) -> Evaluation:
    """What a plugin's rules make of a purchase, by the engine's own evaluator and deadline.

    The purchase is taken as one at this partner, by its clock on the wall. Raises RuleError, and
    RefusalError where the plugin itself is refused.
    """
    return _judge(brand(plugin, settings), bought, facts or Facts())


def points(
    plugin: object,
    bought: Purchase,
    facts: Facts | None = None,
    settings: Mapping[str, object] | None = None,
) -> Mapping[str, int]:
    """The points of a purchase by currency: `{"CRUMB": 234}`. Raises as `judge` does."""
    total: Counter[str] = Counter()
    for granted in judge(plugin, bought, facts, settings).granted:
        total[granted.currency] += granted.points
    return dict(total)


def _judge(installed: Installed, bought: Purchase, facts: Facts) -> Evaluation:
    partner = installed.partner
    if isinstance(bought, Activity):
        told = Activity.of(
            partner.code, bought.external_id, bought.occurred_at, bought.type, bought.attributes,
            partner.time_zone,
        )  # fmt: skip
        return evaluate_in_time(installed.earn_rules, told, facts)
    here = Purchase(
        partner.code, bought.external_id, bought.occurred_at, bought.currency, bought.lines,
        bought.store, partner.time_zone, tender=bought.tender,
    )  # fmt: skip
    rules = [on_basis(rule, partner.basis) for rule in installed.earn_rules]
    return evaluate_in_time(rules, here, facts)


def signed(
    plugin: object,
    adapter: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    settings: Mapping[str, object] | None = None,
    at: datetime = NOW,
) -> dict[str, str]:
    """The headers with which a shop would send this body to an adapter, its signature among them.

    Raises KeyError where the plugin has no such adapter, TypeError where its verifier can't sign.
    """
    made = _adapter(brand(plugin, settings), adapter)
    if not isinstance(made.verify, Hmac | StandardWebhooks):
        raise TypeError(f"{type(made.verify).__name__} can't sign: sign it yourself")
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return lower | made.verify.sign(body, at)


def received(
    plugin: object,
    adapter: str,
    body: bytes,
    headers: Mapping[str, str],
    settings: Mapping[str, object] | None = None,
    at: datetime = NOW,
) -> Received:
    """What an adapter makes of a message, as the engine asks it: verified, then read in time.

    Raises DeliveryError where it isn't genuine or can't be understood, and what `verify` or `read`
    raises.
    """
    made = _adapter(brand(plugin, settings), adapter)
    lower = {name.lower(): value for name, value in headers.items()}
    if not _let_in(made, lower, body, at):
        raise DeliveryError("the signature isn't good")
    return check_received(in_time(lambda: made.read(made.message(lower, body))))


def _let_in(adapter: Adapter, headers: Mapping[str, str], body: bytes, at: datetime) -> bool:
    """As the engine takes its word: nothing but True lets a message in."""
    return in_time(lambda: adapter.verify.verify(headers, body, at)) is True


def _adapter(installed: Installed, code: str) -> Adapter:
    return {made.code: made for made in installed.adapters}[code]


class Conformance:
    """What the engine asks of every plugin, as tests: set `plugin` in a class of your own.

    And `settings`, where it can't do without.
    """

    plugin: object
    settings: Mapping[str, object] | None = None

    def test_its_declarations_are_accepted(self) -> None:
        """As the host accepts them when it starts."""
        brand(self.plugin, self.settings)

    def test_its_rules_keep_their_word_on_every_receipt(self) -> None:
        """Over receipts small, large and strange, for members of every tier."""
        found = problems(self.plugin, self.settings)
        if found:
            raise AssertionError("\n".join(found))


def problems(plugin: object, settings: Mapping[str, object] | None = None) -> list[str]:
    """What is wrong with a plugin, in words; nothing where it conforms.

    Each rule is asked twice of receipts of every kind: it must answer in time and alike, in whole
    points of currencies that its partner issues, without input or output of its own. Adapters are
    asked of strange messages: they let none in, and answer alike, in time, without input or output.
    """
    try:
        installed = brand(plugin, settings)
    except RefusalError as refusal:
        return [refusal.told]
    found: dict[str, None] = dict.fromkeys(_adapters_problems(installed))
    for name, bought in _receipts(installed):
        for facts in _members(installed):
            for problem in _misbehaviour(installed, bought, facts):
                found.setdefault(f"{problem} (on {name})")
                if len(found) == _MOST_PROBLEMS:
                    return list(found)
    return list(found)


_MOST_PROBLEMS = 20
_MESSAGES = (b"", b"{}", b"[]", b"null", b'"\\u0000"', b"\xff", b"[" * 5000, b'{"id": 1}')


def _adapters_problems(installed: Installed) -> Iterator[str]:
    for adapter in installed.adapters:
        for body in _MESSAGES:
            yield from _misreading(adapter, body)


def _misreading(adapter: Adapter, body: bytes) -> Iterator[str]:
    """That it raises is no problem: such a message is refused, and kept."""
    what = f"adapter '{adapter.code}'"
    headers = dict.fromkeys(adapter.headers, "")
    message = adapter.message(headers, body)
    answers: list[object] = []
    with watched() as done:
        try:
            if _let_in(adapter, headers, body, NOW):
                yield f"{what}: takes a message without a signature"
        except (RuleTooSlow, Exception) as error:
            yield f"{what}: its verify raised {type(error).__name__}: it never raises"
        for _ in range(2):
            try:
                answers.append(in_time(lambda: check_received(adapter.read(message))))
            except RuleTooSlow:
                yield f"{what}: its read took longer than it may"
                return
            except DeclarationError as error:
                yield f"{what}: its read answered what no adapter may: {error}"
                return
            except Exception as error:
                answers.append(type(error))
    if answers[0] != answers[1]:
        yield f"{what}: read the same message otherwise the second time: it is pure"
    for kind in done:
        yield f"{what}: does input or output ({kind}): it is pure"


def _misbehaviour(installed: Installed, bought: Purchase, facts: Facts) -> Iterator[str]:
    try:
        with watched() as done:
            first, again = (_judge(installed, bought, facts) for _ in range(2))
    except RuleTooSlow:
        yield "its rules took longer than rules may"
        return
    except LaurelsError as error:
        yield str(error)
        return
    if first != again:
        yield "its rules answered the same question otherwise the second time: a rule is pure"
    for what in done:
        yield f"a rule does input or output ({what}): a rule is pure"
    issues = {c.code for c in installed.partner.currencies}.union(installed.partner.issues)
    for granted in first.granted:
        if granted.currency not in issues:
            rule = installed.earn_rules[granted.rule].code
            yield f"rule '{rule}': gives {granted.currency}, which its partner doesn't issue"
    offered = {reward.code for reward in installed.rewards}
    for issued in first.issued:
        if issued.reward not in offered:
            rule = installed.earn_rules[issued.rule].code
            yield f"rule '{rule}': issues {issued.reward}, which its partner doesn't offer"


# -- what they are asked of ------------------------------------------------------------------------


def _receipts(installed: Installed) -> Iterator[tuple[str, Purchase]]:
    """Receipts of every kind, each with a name, in all money that the partner trades in."""
    kinds = [kind for rule in map(unwrapped, installed.earn_rules) for kind in _named(rule)]
    kinds = list(dict.fromkeys(kinds))[:50] or ["bread"]
    for money in sorted(installed.partner.trades_in) or ["USD"]:
        for name, lines in _LINES.items():
            yield f"{name}, {money}", Purchase("", "R-1", NOW, money, lines)
        known = tuple(Line(kind, 1999 + n) for n, kind in enumerate(kinds))
        for name, at in _TIMES.items():
            yield f"all product types {name}, {money}", Purchase("", "R-1", at, money, known)
    # What the engine tells of itself; what a brand tells of its own activities, it knows best.
    for trigger in sorted({trigger_of(rule) for rule in installed.earn_rules} - {PURCHASE}):
        if not is_own(trigger):
            told: dict[str, Value] = {}
            if trigger == RETURN:
                told = {"purchase": "R-1", "money": "USD", "amount": 199}
            yield f"the occasion {trigger}", Activity.of("", "A-1", NOW, trigger, told)


def _named(rule: object) -> Sequence[str]:
    if not isinstance(rule, ProductTypeRewardCalculator):
        return ()
    rates = rule.terms["rates"]
    return list(rates) if isinstance(rates, Mapping) else ()


_LINES: Mapping[str, tuple[Line, ...]] = {
    "a free line": (Line("bread", 0),),
    "a single cent": (Line("bread", 1),),
    "a line of no type": (Line("", 1250),),
    "weighed goods": (Line("cheese", 1234, 357),),
    "nothing of something": (Line("bread", 0, 0),),
    "strange words": (Line("ekmek 🥖 «çörek»", 999, 1000, "SKU/\u200f1"),),
    "a fortune": (Line("gold", 10**12), Line("silver", 10**12 - 1)),
    "goods with all there is": (Line("bread", 1200, 2000, "B1", 300, 111, 450),),
    "what points paid for": (Line("bread", 500, points_paid=500),),
    "a gift card alone": (Line("gift card", 5000, kind=LineKind.GIFT_CARD),),
    "delivery and a fee": (
        Line("", 490, kind=LineKind.DELIVERY),
        Line("bag", 25, kind=LineKind.FEE),
        Line("bread", 350),
    ),
    "five hundred lines": tuple(Line(f"type {n % 7}", 100 + n, 1000 * (n % 3)) for n in range(500)),
}
_TIMES: Mapping[str, datetime] = {
    "at noon": NOW,
    "at midnight": datetime(2026, 3, 16, tzinfo=UTC),
    "on a leap day": datetime(2028, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    "at the turn of the year": datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
    "long ago": datetime(1970, 1, 1, tzinfo=UTC),
}


def _members(installed: Installed) -> Iterator[Facts]:
    """A member who is new, one who comes often, and one of each tier."""
    yield Facts()
    yield Facts(1000)
    for ladder in installed.ladders:
        for tier in ladder.tiers:
            yield Facts(3, {ladder.code: tier.code})
