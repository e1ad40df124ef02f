"""A plugin that passed every check: what it declares, frozen, and plain to read."""

from __future__ import annotations

from dataclasses import dataclass

from laurels import (
    Adapter,
    EarnRule,
    Giving,
    Ladder,
    MembershipPlan,
    Partner,
    PersonalOffers,
    RedeemRule,
    Reward,
    Survey,
)
from laurels.settings import Setting


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin that passed every check.

    `name` is its entry point's, `dist` the distribution that brought it (None where none did);
    `version` is that distribution's, and is stored with every decision its rules make. `settings`
    are what it was set to, secrets masked.
    """

    name: str
    version: str
    dist: str | None
    partner: Partner
    earn_rules: tuple[EarnRule, ...]
    redeem_rules: tuple[RedeemRule, ...]
    rewards: tuple[Reward, ...]
    ladders: tuple[Ladder, ...]
    settings: tuple[Setting, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    giving: Giving | None = None
    plans: tuple[MembershipPlan, ...] = ()
    surveys: tuple[Survey, ...] = ()
    personal: tuple[PersonalOffers, ...] = ()
