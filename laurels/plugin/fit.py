"""Whether a plugin's declarations fit together.

Only what the plugin itself can get wrong: whether a shared currency or ladder exists, and who may
issue it, is the programme's contract, and the engine's question.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from laurels import (
    Challenge,
    FirstPurchaseBonus,
    PointsPerAmount,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    TierMultiplier,
)
from laurels.lasting import is_offered, unwrapped
from laurels.money import Money
from laurels.plugin.installed import Installed
from laurels.plugin.refusal import RefusalError

# A partner's own rule may mean anything by `currency`; those of the box mean points.
_BOXED = (
    Challenge,
    FirstPurchaseBonus,
    PointsPerAmount,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    TierMultiplier,
)


def check_fit(plugin: Installed) -> None:
    """Raise RefusalError where a rule or reward names a currency or tier that isn't there."""
    partner = plugin.partner
    own = {currency.code for currency in partner.currencies}
    issues, accepts = own.union(partner.issues), own.union(partner.accepts)
    hook = "laurels_earn_rules"
    for rule in map(unwrapped, plugin.earn_rules):
        if isinstance(rule, _BOXED):
            _check_currency(hook, f"earn rule {rule.code!r}", rule.currency, issues, "issues")
        if isinstance(rule, TierMultiplier):
            factors = rule.terms["factors"]
            for tier in factors if isinstance(factors, Mapping) else ():
                _check_tier(plugin, hook, f"earn rule {rule.code!r}", rule.ladder, tier)
    if plugin.personal and not any(map(is_offered, plugin.earn_rules)):
        reason = "there is none of its rules to offer: make one `offered(...)`"
        raise RefusalError("laurels_personal_offers", reason)
    hook = "laurels_redeem_rules"
    for redeem in plugin.redeem_rules:
        _check_currency(hook, f"redeem rule {redeem.code!r}", redeem.currency, accepts, "accepts")
    hook = "laurels_giving"
    if plugin.giving is not None:
        _check_currency(hook, "what is given", plugin.giving.out, accepts, "accepts")
        _check_currency(hook, "what arrives", plugin.giving.into, issues, "issues")
        if plugin.giving.out == plugin.giving.into and plugin.giving.out not in own:
            # Another's liability would become this partner's.
            reason = f"{plugin.giving.out!r} is passed on as it is, and isn't the partner's own"
            raise RefusalError(hook, f"{reason}: name what arrives by as_")
    hook = "laurels_rewards"
    for reward in plugin.rewards:
        for code in reward.prices:
            _check_currency(hook, f"reward {reward.code!r}", code, accepts, "accepts")
        if reward.tier is not None:
            _check_tier(plugin, hook, f"reward {reward.code!r}", *reward.tier)
    _check_plans(plugin, accepts)


def _check_plans(plugin: Installed, accepts: Collection[str]) -> None:
    hook = "laurels_plans"
    for plan in plugin.plans:
        for fee in plan.fees:
            what = f"plan {plan.code!r}: fee {fee.code!r}"
            if fee.currency is not None:
                _check_currency(hook, what, fee.currency, accepts, "accepts")
            _check_money(plugin, hook, what, fee.price)
        for perk in plan.perks:
            _check_money(plugin, hook, f"plan {plan.code!r}: perk {perk.code!r}", perk.saves)
        if plan.tier is not None:
            what = f"plan {plan.code!r}"
            _check_tier(plugin, hook, what, *plan.tier)
            _check_above(plugin, hook, what, *plan.tier)


def _check_money(plugin: Installed, hook: str, what: str, money: Money | None) -> None:
    known = plugin.partner.trades_in
    if money is not None and money.currency not in known:
        raise RefusalError(
            hook,
            f"{what} is in {money.currency}, in which the partner doesn't trade "
            f"({', '.join(known) or 'it names none'})",
        )


def _check_above(plugin: Installed, hook: str, what: str, ladder: str, tier: str) -> None:
    for own in plugin.ladders:
        if own.code == ladder and own.tiers[0].code == tier:
            raise RefusalError(hook, f"{what} gives tier {tier!r}, which everybody has anyway")


def _check_currency(hook: str, what: str, code: str, known: Collection[str], verb: str) -> None:
    if code not in known:
        reason = f"{what} is in {code!r}, which the partner neither declares nor {verb}"
        raise RefusalError(hook, f"{reason} ({', '.join(sorted(known)) or 'it has none'})")


def _check_tier(plugin: Installed, hook: str, what: str, ladder: str, tier: str) -> None:
    for own in plugin.ladders:
        if own.code == ladder and tier not in {t.code for t in own.tiers}:
            known = ", ".join(t.code for t in own.tiers)
            reason = f"{what} names tier {tier!r}, which ladder {ladder!r} doesn't have ({known})"
            raise RefusalError(hook, reason)
