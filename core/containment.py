"""Contains the faults of partners' rules: they cost their purchase, and in a row their partner.

Installed code is trusted and contained against faults (DESIGN, "Trust"). Each evaluation has a
deadline (`laurels.deadline`); a partner whose rules fail again and again is suspended for a while,
which costs nobody else a thing. Knows no rule, and nothing of the books.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import structlog

from core.data_rules import DataRule, expect
from core.errors import PartnerRuleFailed
from laurels.adapters import Adapter, DeliveryError, Message, Received, check_received
from laurels.deadline import ask_in_time, evaluate_in_time, in_time
from laurels.earning import in_the_box
from laurels.errors import DeclarationError, RuleError, RuleTooSlow, storable
from laurels.evaluation import Evaluation
from laurels.lasting import unwrapped
from laurels.personal import Choice, History, PersonalOffers, checked_choices
from laurels.purchase import Facts, Purchase
from laurels.redeeming import Answer, Checkout, RedeemRule
from laurels.rules import EarnRule, Effects, Nothing, Terms

if TYPE_CHECKING:
    from core.rulebook import PartnerTerms

#: So many failures in a row suspend a partner, for seconds that double while it goes on failing.
FAILURES = 5
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
#: Seconds for which a verifier's next fault isn't noted.
_QUIET = 60.0
_TOO_SLOW = "took longer than a rule may"
_log = structlog.get_logger("laurels.rules")


class Fault(NamedTuple):
    """What a partner's rule did wrong; `rule` is empty where none can be named.

    `what` is the kind of fault, without what an exception says: that might name a member.
    """

    partner: int
    rule: str
    what: str


class OnFaults(StrEnum):
    """What becomes of a suspended partner's purchases; its contract names it."""

    DENY = "deny"
    BASE = "base"


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    pause: float = FIRST_PAUSE
    until: float | None = None


@dataclass(slots=True)
class Breakers:
    """Who is suspended, in this process. `clock` is monotonic: it moves with no event's time.

    A partner's earn rules by its id, a redeem rule of it by (id, code).
    """

    clock: Callable[[], float] = time.monotonic
    _breakers: dict[Hashable, _Breaker] = field(default_factory=dict)

    def left(self, partner: Hashable) -> float:
        """Seconds that a partner is suspended for; 0 where it isn't.

        After them its rules are tried once more.
        """
        breaker = self._breakers.get(partner)
        if breaker is None or breaker.until is None:
            return 0.0
        return max(0.0, breaker.until - self.clock())

    def failed(self, partner: Hashable) -> float:
        """Its rules failed; returns for how many seconds that suspends it, 0: it doesn't."""
        breaker = self._breakers.setdefault(partner, _Breaker())
        breaker.failures += 1
        if breaker.failures < FAILURES:
            return 0.0
        pause = breaker.pause
        breaker.until = self.clock() + pause
        breaker.pause = min(2 * pause, LONGEST_PAUSE)
        return pause

    def passed(self, partner: Hashable) -> None:
        """Its rules worked: whatever they did before is forgotten."""
        self._breakers.pop(partner, None)


class _Suspended:
    """Stands in for a rule of a suspended partner's own; the kit's rules go on."""

    code = title = "suspended"
    terms: Terms = MappingProxyType({})

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """Nothing, and why."""
        return Nothing("its brand's own rules are suspended after faults")


_SUSPENDED = _Suspended()


class _FaultError(Exception):
    """A partner's rules failed: which one, how, and what the caller is told."""

    def __init__(self, rule: str, what: str, told: str) -> None:
        super().__init__(told)
        self.rule = rule
        self.what = what


class Containment:
    """Judges by partners' rules, and keeps their faults to themselves. One for each engine.

    A `silent` one, a what-if's, writes no log: a rule that fails does so on every purchase.
    """

    def __init__(self, breakers: Breakers | None = None, *, silent: bool = False) -> None:
        self.breakers = breakers or Breakers()
        #: Of adapters, by partner and code: one that can't read suspends itself, and no rule.
        self.reading = Breakers(self.breakers.clock)
        #: Of what chooses personal offers, likewise.
        self.choosing = Breakers(self.breakers.clock)
        #: Of offers that were suspended, by partner and code: after whom, in which period.
        self.reached: dict[tuple[int, str], tuple[datetime, int]] = {}
        #: Of adapters whose verifier failed: until when that isn't noted again.
        self._quiet: dict[tuple[int, str], float] = {}
        self._silent = silent
        self._faults: Counter[Fault] = Counter()

    def judge(
        self, partner: PartnerTerms, purchase: Purchase, facts: Facts, *, tentative: bool = False
    ) -> Evaluation:
        """Evaluate a partner's rules and hold what they award against its contract.

        A `tentative` one, a quote's, is made of whatever somebody asks: it suspends nobody.
        Raises PartnerRuleFailed, naming the rule, or that the partner is suspended.
        """
        try:
            evaluation = self._judge(partner, purchase, facts)
        except _FaultError as failed:
            self._note(partner, failed.rule, failed.what, tentative=tentative)
            raise PartnerRuleFailed(str(failed)) from failed.__cause__
        if not tentative and not self.breakers.left(partner.id):
            self.breakers.passed(partner.id)
        return evaluation

    def _judge(self, partner: PartnerTerms, purchase: Purchase, facts: Facts) -> Evaluation:
        left = self.breakers.left(partner.id)
        rules: Sequence[EarnRule] = partner.rules
        if left and partner.on_faults is OnFaults.DENY:
            raise PartnerRuleFailed(
                f"partner '{partner.code}': its rules failed again and again and are suspended; "
                f"send it again in {ceil(left)} seconds"
            )
        if left:
            rules = tuple(rule if _harmless(rule) else _SUSPENDED for rule in rules)
        if partner.conditions is not None:
            expect(partner.conditions, purchase, facts)
        try:
            evaluation = evaluate_in_time(rules, purchase, facts)
        except RuleError as error:
            raise _FaultError(
                error.rule, _kind(error), f"partner '{partner.code}', {error}"
            ) from error
        except RuleTooSlow as error:
            told = f"partner '{partner.code}': its rules {_TOO_SLOW}"
            raise _FaultError("", _TOO_SLOW, told) from error
        except Exception as error:  # an error that can't say what it is, say
            what = f"raised {_type_of(error)}"
            raise _FaultError("", what, f"partner '{partner.code}': its rules {what}") from error
        for granted in evaluation.granted:
            if granted.currency not in partner.issues:
                rule = partner.earn[granted.rule].code
                raise _FaultError(
                    rule,
                    "issued what its contract doesn't name",
                    f"partner '{partner.code}', rule '{rule}': "
                    f"its contract doesn't let it issue {granted.currency}",
                )
        for issued in evaluation.issued:
            if issued.reward not in partner.rewards:
                rule = partner.earn[issued.rule].code
                raise _FaultError(
                    rule,
                    "issued a reward that its partner doesn't offer",
                    f"partner '{partner.code}', rule '{rule}': there is no reward {issued.reward}",
                )
        return evaluation

    def read(
        self, partner: PartnerTerms, adapter: Adapter, message: Message, *, tentative: bool = False
    ) -> Received:
        """What an adapter makes of a message, within the deadline. Raises DeliveryError.

        Raises PartnerRuleFailed where its `read` fails; one that does so again and again is
        suspended. A `tentative` reading, which is followed by another, is held against nobody.
        """
        key = (partner.id, adapter.code)
        if left := self.reading.left(key):
            raise PartnerRuleFailed(
                f"adapter '{adapter.code}' failed again and again and is suspended for "
                f"{ceil(left)} seconds"
            )
        try:
            received = in_time(lambda: check_received(_asked(adapter, message)))
        except (DeliveryError, KeyboardInterrupt):
            raise
        except RuleTooSlow:
            what = _TOO_SLOW
        except DeclarationError:
            what = "answered what no adapter may"
        except BaseException as error:  # sys.exit() too; its words might quote a customer
            what = f"raised {_type_of(error)}"
        else:
            if not tentative:
                self.reading.passed(key)
            return received
        if not tentative:
            pause = self.reading.failed(key)
            self._note_adapter(partner, adapter, what, pause)
        raise PartnerRuleFailed(f"adapter '{adapter.code}': its read {what}")

    def choose(
        self, partner: PartnerTerms, offers: PersonalOffers, history: History, known: Sequence[str]
    ) -> tuple[Choice, ...] | None:
        """What a brand offers a member, of the rules that it may; None where its `choose` failed.

        Again and again, and it is suspended: see `choosing`.
        """
        try:
            chosen = in_time(lambda: checked_choices(offers.choose(history), known))
        except KeyboardInterrupt:
            raise
        except RuleTooSlow:
            what = _TOO_SLOW
        except DeclarationError:
            what = "answered what none may choose"
        except BaseException as error:  # its words might quote a member's past
            what = f"raised {_type_of(error)}"
        else:
            self.choosing.passed((partner.id, offers.code))
            return chosen
        pause = self.choosing.failed((partner.id, offers.code))
        self._faults[Fault(partner.id, f"offers/{offers.code}"[:64], what)] += 1
        self._log(partner, f"offers/{offers.code}", what, pause)
        return None

    def verified(
        self,
        partner: PartnerTerms,
        adapter: Adapter,
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> bool:
        """Whether a message is genuine; False too where a brand's own verifier fails.

        Anybody may send what makes it fail: that suspends nobody, and is noted once in a while.
        """
        try:
            return in_time(lambda: adapter.verify.verify(headers, body, now)) is True
        except KeyboardInterrupt:
            raise
        except RuleTooSlow:
            what = _TOO_SLOW
        except BaseException as error:
            what = f"raised {_type_of(error)}"
        key, at = (partner.id, adapter.code), self.breakers.clock()
        if at >= self._quiet.get(key, at):
            self._quiet[key] = at + _QUIET
            self._note_adapter(partner, adapter, f"verify {what}", 0.0)
        return False

    def _note_adapter(
        self, partner: PartnerTerms, adapter: Adapter, what: str, pause: float
    ) -> None:
        self._faults[Fault(partner.id, f"in/{adapter.code}"[:64], what)] += 1
        _log.warning(
            "a partner's adapter failed", partner=partner.code, adapter=adapter.code, what=what,
            suspended_for=pause or None,
        )  # fmt: skip

    def _note(self, partner: PartnerTerms, rule: str, what: str, *, tentative: bool) -> None:
        self._faults[Fault(partner.id, rule, what)] += 1
        # What a harmless rule refuses is the receipt's doing; suspended, no others run.
        harmless = any(r.code == rule and _harmless(r.rule) for r in partner.earn)
        spared = tentative or harmless or self.breakers.left(partner.id)
        pause = 0.0 if spared else self.breakers.failed(partner.id)
        self._log(partner, rule, what, pause)

    def _log(self, partner: PartnerTerms, rule: str, what: str, pause: float) -> None:
        if not self._silent:
            _log.warning(
                "a partner's rule failed", partner=partner.code, rule=rule, what=what,
                suspended_for=pause or None,
            )  # fmt: skip

    def ask(self, partner: PartnerTerms, rule: RedeemRule, checkout: Checkout) -> Answer:
        """Ask a redeem rule, under the deadline; what it answers fits what was handed to it.

        One that fails again and again is suspended by itself: its partner's purchases and other
        rules go on. Raises PartnerRuleFailed, naming it.
        """
        name, key = f"partner '{partner.code}', rule '{rule.code}'", (partner.id, rule.code)
        if left := self.breakers.left(key):
            raise PartnerRuleFailed(
                f"{name}: it failed again and again and is suspended; "
                f"send it again in {ceil(left)} seconds"
            )
        try:
            answer = ask_in_time(rule, checkout)
        except RuleError as error:
            # An earn rule may have the same code.
            what = f"{_kind(error)} on a payment"
            self._faults[Fault(partner.id, rule.code, what)] += 1
            pause = self.breakers.failed(key)
            self._log(partner, rule.code, what, pause)
            raise PartnerRuleFailed(f"partner '{partner.code}', {error}") from error
        self.breakers.passed(key)
        return answer

    def take_faults(self) -> list[tuple[Fault, int]]:
        """What went wrong since this was asked last, and how often."""
        faults = sorted(self._faults.items())
        self._faults.clear()
        return faults

    def put_back(self, faults: Iterable[tuple[Fault, int]]) -> None:
        """They couldn't be kept: they are told next time."""
        for fault, count in faults:
            self._faults[fault] += count


def _asked(adapter: Adapter, message: Message) -> Received:
    """What an adapter answers; what it refuses, in its words as they are now."""
    try:
        return adapter.read(message)
    except DeliveryError as error:
        text = str(error)
    # Outside of the handler: an error of a brand's own class may raise when it is told.
    raise DeliveryError(text)


def _harmless(rule: EarnRule) -> bool:
    """Whether it runs no code of a partner's: one of the kit's box, or a data rule."""
    return in_the_box(rule) or isinstance(unwrapped(rule), DataRule)


def _kind(error: RuleError) -> str:
    cause = error.__cause__
    if isinstance(cause, RuleTooSlow):
        return _TOO_SLOW
    if cause is not None:
        return f"raised {_type_of(cause)}"
    return "answered what no rule may"


def _type_of(error: BaseException) -> str:
    name = type(error).__name__[:100]
    return name if storable(name) else "an exception"
