"""Laurels' partner kit: the words, hooks and declarations that a brand writes its plugin against.

It imports nothing of the application; everything public stands in `__all__`.
"""

from laurels.activities import Activity
from laurels.adapters import (
    Adapter,
    CancelPurchase,
    Command,
    Delivery,
    DeliveryError,
    EditPurchase,
    Enrol,
    FulfilPurchase,
    Ignore,
    MemberBy,
    Message,
    Received,
    RecordActivity,
    RecordPurchase,
    RecordReturn,
    ReturnedLine,
    SoldLine,
    WithdrawActivity,
    instant,
)
from laurels.based import based
from laurels.basis import Basis
from laurels.caps import Budget, Cap
from laurels.challenges import Challenge
from laurels.collecting import Collection
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
from laurels.giving import Giving
from laurels.hookspecs import ENTRY_POINT_GROUP, SHADOW_GROUP, hookimpl
from laurels.lasting import LastingRule, capped, grouped, offered, on, pending, reevaluated
from laurels.memberships import Fee, MembershipPlan, Perk
from laurels.money import Money, MoneyError
from laurels.personal import Choice, History, PersonalOffers, Visit
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
from laurels.surveys import Survey, SurveyKind
from laurels.verifying import Hmac, StandardWebhooks, Timestamp, Verifier

__all__ = [
    "ENTRY_POINT_GROUP",
    "SHADOW_GROUP",
    "Activity",
    "Adapter",
    "Award",
    "Basis",
    "Budget",
    "CancelPurchase",
    "Cap",
    "Challenge",
    "Checkout",
    "Choice",
    "CodeSource",
    "Collection",
    "Command",
    "Currency",
    "DeclarationError",
    "Delivery",
    "DeliveryError",
    "Deny",
    "Discount",
    "Duration",
    "EarnRule",
    "EditPurchase",
    "Effect",
    "Effects",
    "Enrol",
    "Evaluation",
    "Expiry",
    "Facts",
    "Fee",
    "FirstPurchaseBonus",
    "FulfilPurchase",
    "FunctionRule",
    "Giving",
    "Granted",
    "Group",
    "History",
    "Hmac",
    "Ignore",
    "Issue",
    "Issued",
    "Ladder",
    "LastingRule",
    "LaurelsError",
    "Line",
    "LineKind",
    "Measure",
    "MemberBy",
    "MembershipPlan",
    "Message",
    "Mode",
    "Money",
    "MoneyError",
    "Multiply",
    "Noted",
    "Nothing",
    "Partner",
    "PayWithPoints",
    "Pending",
    "Perk",
    "PersonalOffers",
    "PointsPerAmount",
    "PointsPerVisit",
    "Policy",
    "ProductTypeRewardCalculator",
    "Purchase",
    "PurchaseError",
    "Received",
    "RecordActivity",
    "RecordPurchase",
    "RecordReturn",
    "RedeemRule",
    "Refused",
    "Renewal",
    "ReturnedLine",
    "Returns",
    "Reward",
    "RewardKind",
    "Rounding",
    "RuleError",
    "SetAttribute",
    "SoldLine",
    "StandardWebhooks",
    "Streak",
    "Survey",
    "SurveyKind",
    "Terms",
    "ThankReferrer",
    "Tier",
    "TierMultiplier",
    "Timestamp",
    "Use",
    "Verifier",
    "Visit",
    "WithdrawActivity",
    "award",
    "based",
    "capped",
    "deny",
    "earn_rule",
    "enter_segment",
    "evaluate",
    "grouped",
    "hookimpl",
    "instant",
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
