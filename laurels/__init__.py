"""Laurels' partner kit: the words, hooks and declarations that a brand writes its plugin against.

It imports nothing of the application; everything public stands in `__all__`.
"""

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
from laurels.errors import DeclarationError, LaurelsError, RuleError
from laurels.evaluation import Evaluation, Granted, Issued, Refused
from laurels.evaluator import evaluate
from laurels.hookspecs import ENTRY_POINT_GROUP, SHADOW_GROUP, hookimpl
from laurels.money import Money, MoneyError
from laurels.policies import Activity, Expiry, Pending, Policy, Returns
from laurels.purchase import Facts, Line, Purchase, PurchaseError, Use
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
    LastingRule,
    Multiply,
    Nothing,
    Terms,
    award,
    capped,
    earn_rule,
    grouped,
    issue,
    multiply,
    nothing,
    pending,
    reevaluated,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "SHADOW_GROUP",
    "Activity",
    "Award",
    "Budget",
    "Cap",
    "Challenge",
    "Checkout",
    "CodeSource",
    "Currency",
    "DeclarationError",
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
    "Measure",
    "Mode",
    "Money",
    "MoneyError",
    "Multiply",
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
    "Returns",
    "Reward",
    "RewardKind",
    "Rounding",
    "RuleError",
    "Terms",
    "Tier",
    "TierMultiplier",
    "Use",
    "award",
    "capped",
    "earn_rule",
    "evaluate",
    "grouped",
    "hookimpl",
    "issue",
    "multiply",
    "nothing",
    "pending",
    "reevaluated",
    "spend",
    "visits",
]
