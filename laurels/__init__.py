"""Laurels' partner kit: the words, hooks and declarations that a brand writes its plugin against.

It imports nothing of the application; everything public stands in `__all__`.
"""

from laurels.activities import Activity
from laurels.based import based
from laurels.basis import Basis
from laurels.caps import Budget, Cap
from laurels.challenges import Challenge
from laurels.combining import Group, Mode
from laurels.declarations import (
    Currency,
    Ladder,
    Measure,
    Partner,
    Tier,
    spend,
    visits,
)
from laurels.durations import Duration
from laurels.earning import (
    FirstPurchaseBonus,
    PointsPerAmount,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    TierMultiplier,
)
from laurels.effects import (
    Deny,
    SetAttribute,
    ThankReferrer,
    deny,
    enter_segment,
    leave_segment,
    offer,
    set_attribute,
    thank_referrer,
)
from laurels.errors import DeclarationError, LaurelsError, RuleError
from laurels.evaluation import Evaluation, Granted, Issued, Noted, Refused
from laurels.evaluator import evaluate
from laurels.hookspecs import ENTRY_POINT_GROUP, SHADOW_GROUP, hookimpl
from laurels.lasting import LastingRule, capped, grouped, offered, on, pending, reevaluated
from laurels.money import Money, MoneyError
from laurels.policies import Expiry, Pending, Policy, Renewal, Returns
from laurels.purchase import Facts, Line, LineKind, Purchase, PurchaseError, Use
from laurels.redeeming import Checkout, Discount, PayWithPoints, RedeemRule
from laurels.rewards import CodeSource, Reward, RewardKind
from laurels.rounding import Rounding
from laurels.rules import (
    Award,
    EarnRule,
    Effect,
    Effects,
    FunctionRule,
    Issue,
    Multiply,
    Nothing,
    Terms,
    award,
    earn_rule,
    issue,
    multiply,
    nothing,
)
from laurels.streaks import Streak

__all__ = [
    "ENTRY_POINT_GROUP",
    "SHADOW_GROUP",
    "Activity",
    "Award",
    "Basis",
    "Budget",
    "Cap",
    "Challenge",
    "Checkout",
    "CodeSource",
    "Currency",
    "DeclarationError",
    "Deny",
    "Discount",
    "Duration",
    "EarnRule",
    "Effect",
    "Effects",
    "Evaluation",
    "Expiry",
    "Facts",
    "FirstPurchaseBonus",
    "FunctionRule",
    "Granted",
    "Group",
    "Issue",
    "Issued",
    "Ladder",
    "LastingRule",
    "LaurelsError",
    "Line",
    "LineKind",
    "Measure",
    "Mode",
    "Money",
    "MoneyError",
    "Multiply",
    "Noted",
    "Nothing",
    "Partner",
    "PayWithPoints",
    "Pending",
    "PointsPerAmount",
    "PointsPerVisit",
    "Policy",
    "ProductTypeRewardCalculator",
    "Purchase",
    "PurchaseError",
    "RedeemRule",
    "Refused",
    "Renewal",
    "Returns",
    "Reward",
    "RewardKind",
    "Rounding",
    "RuleError",
    "SetAttribute",
    "Streak",
    "Terms",
    "ThankReferrer",
    "Tier",
    "TierMultiplier",
    "Use",
    "award",
    "based",
    "capped",
    "deny",
    "earn_rule",
    "enter_segment",
    "evaluate",
    "grouped",
    "hookimpl",
    "issue",
    "leave_segment",
    "multiply",
    "nothing",
    "offer",
    "offered",
    "on",
    "pending",
    "reevaluated",
    "set_attribute",
    "spend",
    "thank_referrer",
    "visits",
]
