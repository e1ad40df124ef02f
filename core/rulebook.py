"""The rulebook: everything that the rules of all partners say, frozen, as one version.

Built once at start (and anew on a change) from the database's reference rows and the plugins'
declarations; the engine reads nothing else while it posts. Knows neither ORM nor pluggy.
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson

from core.containment import OnFaults
from core.data_rules import conditions_of
from core.programme import AdjustmentSettings
from core.pseudonyms import KEY_BYTES, Pseudonyms
from core.together import Together
from laurels.adapters import Adapter
from laurels.basis import Basis
from laurels.caps import Cap, Ceiling
from laurels.declarations import Ladder, Measure
from laurels.durations import Duration
from laurels.giving import Giving
from laurels.lasting import asks_balances, carried_within, carries, ceilings_of, trigger_of
from laurels.memberships import MembershipPlan
from laurels.personal import PersonalOffers
from laurels.plan import Plan
from laurels.policies import Policy
from laurels.redeeming import RedeemRule
from laurels.rewards import Reward
from laurels.rules import EarnRule
from laurels.settings import Setting
from laurels.streaks import Run, run_of
from laurels.surveys import Survey
from laurels.windows import Window, WindowKind

_NO_RULES = Plan(())


def _fleeting() -> Pseudonyms:
    return Pseudonyms(secrets.token_bytes(KEY_BYTES))


def stamp_of(policy: int, texts: Sequence[str | None]) -> bytes:
    """What stands for a stored policy in a hash: its number and all that it says."""
    return orjson.dumps([policy, *texts])


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """A stored version of what a currency says of the life of its points: pinned on each lot.

    `stamp` stands for it in the hash of each posting that puts a lot under it.
    """

    id: int
    policy: Policy
    version: int = 1
    stamp: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stamp", stamp_of(self.id, self.policy.texts()))


@dataclass(frozen=True, slots=True)
class CurrencyTerms:
    """A currency as the engine books it; `owner` is None where the programme owns it.

    `terms` is the policy under which lots are opened now; `sliding` whether any version of it
    was ever renewed by an activity, so that lots of it must be looked at.
    """

    id: int
    code: str
    name: str
    symbol: str
    terms: PolicyTerms
    owner: int | None
    sliding: bool = False
    redeemable: bool = True
    notices: tuple[Duration, ...] = ()
    badge: bool = False

    @property
    def policy(self) -> Policy:
        """What it says of the life of its points, now."""
        return self.terms.policy


class Reach(NamedTuple):
    """How much of a member's past a ladder needs (see LOAD in `core.store.posting`).

    `longest` is at least as long as a rolling window ever is, None for all time. `whole` ladders
    are judged from the member's first day on; `anchored` ones need to know that day. Standings
    measured by other `terms` than these are measured anew, from the first day too.
    """

    ladder: int
    longest: timedelta | None
    whole: bool
    terms: int
    anchored: bool


@dataclass(frozen=True, slots=True)
class LadderTerms:
    """A ladder as the engine measures it; `owner` is None where the programme owns it.

    `version` counts the changes of what bears on measuring. Of its window, `window` is the length
    of a rolling one, and `period` is a calendar's or an anniversary's; both None: all time. It is
    `plain` where the measure alone tells the rank, whatever was held before.
    """

    id: int
    ladder: Ladder
    time_zone: str
    owner: int | None
    version: int = 1
    window: Duration | None = field(init=False, default=None)
    period: Window | None = field(init=False, default=None)
    hold: Duration | None = field(init=False, default=None)
    grace: Duration | None = field(init=False, default=None)
    plain: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        if self.ladder.window is not None:
            window = Window.parse(self.ladder.window)
            if window.kind is WindowKind.ROLLING:
                object.__setattr__(self, "window", window.length)
            else:
                object.__setattr__(self, "period", window)
        for name in ("hold", "grace"):
            text = getattr(self.ladder, name)
            object.__setattr__(self, name, None if text is None else Duration.parse(text))
        asked = self.period or self.hold or self.grace or self.ladder.soft_landing
        stays = any(tier.never_down for tier in self.ladder.tiers)
        object.__setattr__(self, "plain", not (asked or stays))

    @property
    def reach(self) -> Reach:
        """What must be loaded to judge it."""
        anchored = self.period is not None and self.period.kind is WindowKind.ANNIVERSARY
        longest = None if self.window is None else _longest(self.window)
        return Reach(self.id, longest, not self.plain, self.version, anchored)

    @property
    def measure(self) -> Measure:
        """What it counts."""
        return self.ladder.measure

    def rank(self, value: int) -> int:
        """The place on the ladder that this measure reaches; 0 is where everybody starts."""
        place = 0
        for i, tier in enumerate(self.ladder.tiers):
            if value >= tier.at:
                place = i
        return place


def _longest(window: Duration) -> timedelta:
    """At least as long as the window ever is; exact bounds are Python's affair."""
    days = {"D": 1, "W": 7, "M": 31, "Y": 366}.get(window.unit)
    return timedelta(hours=window.count) if days is None else timedelta(days=days * window.count)


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """An earn rule with the id of its stored version.

    `policies` gives, by currency, the policy of a rule that holds its points back. A data rule is
    in force from `from_at` until before `until_at`; a plugin's always. `code`, `title` and
    `run`, where it counts one, are what the rule said when this was made: to read them later may
    run a partner's code.
    """

    id: int
    rule: EarnRule
    policies: Mapping[str, PolicyTerms] = field(default_factory=dict)
    from_at: datetime | None = None
    until_at: datetime | None = None
    code: str = ""
    title: str = ""
    run: Run | None = None

    def __post_init__(self) -> None:
        if not self.code:
            object.__setattr__(self, "run", run_of(self.rule))
            object.__setattr__(self, "code", self.rule.code)
            object.__setattr__(self, "title", self.rule.title)

    def in_force(self, at: datetime) -> bool:
        """Whether it judges what happened at this instant."""
        if self.from_at is not None and at < self.from_at:
            return False
        return self.until_at is None or at < self.until_at

    @property
    def ceilings(self) -> tuple[Ceiling, ...]:
        """The caps and budgets that it is held to."""
        return ceilings_of(self.rule)

    def policy(self, currency: CurrencyTerms) -> PolicyTerms:
        """The policy under which points of this rule are credited."""
        return self.policies.get(currency.code, currency.terms)


@dataclass(frozen=True, slots=True)
class RewardTerms:
    """A reward with its stored id."""

    id: int
    reward: Reward


@dataclass(frozen=True, slots=True)
class ShadowTerms:
    """Other rules that judge beside a partner's own and book nothing: its next version, or drafts.

    `terms` is the partner with these in place of its own. What they come to is counted under the
    number of their `run`, `since` then; once it is `paused_at` they judge no more.
    """

    run: int
    version: str
    since: datetime
    terms: PartnerTerms
    paused_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PartnerTerms:
    """A partner with its contract and its rules.

    `issues` and `accepts` map a currency's code to its terms: what this partner's rules may award,
    and what its rewards may cost. `late` is how old an event may be (imports are
    exempt), `on_faults` what becomes of its purchases while its rules are suspended. `earn` are the
    rules of all times; judge by those of `at` an instant. `basis` is what data rules are saved on
    that name none. `settings` is what its plugin was set to in this process, secrets masked.
    `pseudonyms` are its names for members; without a stored key they last as long as this object.
    """

    id: int
    code: str
    name: str
    time_zone: str
    trades_in: frozenset[str]
    issues: Mapping[str, CurrencyTerms]
    accepts: Mapping[str, CurrencyTerms]
    earn: tuple[RuleTerms, ...] = ()
    redeem: tuple[RedeemRule, ...] = ()
    rewards: Mapping[str, RewardTerms] = field(default_factory=dict)
    late: timedelta = timedelta(days=90)
    on_faults: OnFaults = OnFaults.DENY
    basis: Basis | None = None
    settings: tuple[Setting, ...] = ()
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    shadow: ShadowTerms | None = None
    giving: Giving | None = None
    plans: Mapping[str, MembershipPlan] = field(default_factory=dict)
    surveys: Mapping[str, Survey] = field(default_factory=dict)
    personal: tuple[PersonalOffers, ...] = ()
    pseudonyms: Pseudonyms = field(repr=False, compare=False, default_factory=_fleeting)
    #: The rules themselves, ready to judge; the ids of their stored versions in the same order.
    rules: Plan = field(init=False, default=_NO_RULES)
    ids: tuple[int, ...] = field(init=False, repr=False, compare=False, default=())
    #: The rules that carry over, with their period; whether there are any, or caps or budgets.
    carrying: Mapping[str, Window | None] = field(init=False, default_factory=dict)
    tallied: bool = field(init=False, default=False)
    #: Whether one of its rules asks for the member's balances.
    balanced: bool = field(init=False, default=False)
    #: What its rules judge: purchases, activities, occasions.
    triggers: frozenset[str] = field(init=False, default=frozenset())
    _conditions: Together | bool | None = field(
        init=False, repr=False, compare=False, default=False
    )
    _changes: tuple[datetime, ...] = field(init=False, repr=False, compare=False, default=())
    _at: dict[int, PartnerTerms] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _on: dict[str, PartnerTerms] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", Plan(r.rule for r in self.earn))
        object.__setattr__(self, "ids", tuple(r.id for r in self.earn))
        object.__setattr__(self, "triggers", frozenset(map(trigger_of, self.rules)))
        object.__setattr__(self, "balanced", any(map(asks_balances, self.rules)))
        carrying = {r.code: carried_within(r) for r in self.rules if carries(r)}
        object.__setattr__(self, "carrying", carrying)
        capped = any(r.ceilings or r.run is not None for r in self.earn)
        object.__setattr__(self, "tallied", bool(carrying) or capped)
        changes = {at for r in self.earn for at in (r.from_at, r.until_at) if at is not None}
        object.__setattr__(self, "_changes", tuple(sorted(changes)))

    @property
    def conditions(self) -> Together | None:
        """Those of its data rules, to be judged together; joined when they are first asked for."""
        found = self._conditions
        if isinstance(found, bool):
            found = conditions_of(self.rules)
            object.__setattr__(self, "_conditions", found)
        return found

    def at(self, instant: datetime) -> PartnerTerms:
        """The same with the rules that were in force at an instant, and no others."""
        if not self._changes:
            return self
        place = bisect_right(self._changes, instant)
        found = self._at.get(place)
        if found is None:
            earn = [
                replace(r, from_at=None, until_at=None) for r in self.earn if r.in_force(instant)
            ]
            found = self._at[place] = replace(self, earn=tuple(earn))
        return found

    def on(self, trigger: str) -> PartnerTerms:
        """The same with the rules that judge this, and no others."""
        if self.triggers <= {trigger}:
            return self
        found = self._on.get(trigger)
        if found is None:
            earn = [r for r in self.earn if trigger_of(r.rule) == trigger]
            found = self._on[trigger] = replace(self, earn=tuple(earn))
        return found

    def uses_since(self, at: datetime) -> dict[str, datetime | None]:
        """From when on what was given bears on the caps of a purchase, by key; None: from ever."""
        found: dict[str, datetime | None] = {}
        for rule in self.earn:
            for cap in rule.ceilings:
                if isinstance(cap, Cap):
                    key = cap.key(rule.code)
                    begins = None if cap.reach is None else cap.reach.begins(at, self.time_zone)
                    before = found.get(key, begins)
                    ever = begins is None or before is None
                    found[key] = None if ever else min(begins or at, before or at)
            if rule.run is not None:
                found[rule.run.key(rule.code)] = rule.run.since(at, self.time_zone)
        return found

    def with_rules(self, earn: tuple[RuleTerms, ...]) -> PartnerTerms:
        """The same with other rules."""
        return replace(self, earn=earn)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """One immutable version of everybody's rules. Ladders that a partner sees are found by it."""

    version: int
    partners: Mapping[str, PartnerTerms]
    currencies: Mapping[int, CurrencyTerms]
    ladders: Mapping[int, LadderTerms]
    time_zone: str = "UTC"
    adjustments: AdjustmentSettings = field(default_factory=AdjustmentSettings)
    reaches: tuple[Reach, ...] = field(init=False, default=())
    _by_partner: dict[int, tuple[LadderTerms, ...]] = field(init=False, default_factory=dict)
    _partners: dict[int, PartnerTerms] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reaches", tuple(x.reach for x in self.ladders.values()))
        for partner in self.partners.values():
            self._partners[partner.id] = partner
            self._by_partner[partner.id] = tuple(
                ladder for ladder in self.ladders.values() if ladder.owner in (None, partner.id)
            )

    def ladders_of(self, partner: PartnerTerms) -> tuple[LadderTerms, ...]:
        """The ladders whose tiers this partner's rules may read: its own and the programme's."""
        return self._by_partner[partner.id]

    @property
    def sliding(self) -> tuple[int, ...]:
        """The currencies whose lots an activity may renew."""
        return tuple(c.id for c in self.currencies.values() if c.sliding)

    def partner_by_id(self, partner_id: int) -> PartnerTerms | None:
        """The partner of this id, if it is installed."""
        return self._partners.get(partner_id)
