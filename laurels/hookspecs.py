"""The hooks that a partner's plugin implements. All return declarations; none runs on a request.

Each is called once at start, one plugin at a time, so that whatever fails is named. An
implementation needn't take `settings`: what the operator set, an instance of the plugin's own
model; None where it declares no model.
"""

from collections.abc import Sequence

import pluggy
from pydantic import BaseModel

from laurels.adapters import Adapter
from laurels.declarations import Ladder, Partner
from laurels.giving import Giving
from laurels.memberships import MembershipPlan
from laurels.personal import PersonalOffers
from laurels.redeeming import RedeemRule
from laurels.rewards import Reward
from laurels.rules import EarnRule
from laurels.surveys import Survey

#: The name of the plugin system, and the group of entry points that the host looks through.
PROJECT = "laurels"
ENTRY_POINT_GROUP = "laurels.partners"
#: Where a partner's next version stands that judges in shadow: compared, and never booked.
SHADOW_GROUP = "laurels.shadows"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def laurels_settings() -> type[BaseModel]:  # type: ignore[empty-body]  # a specification has no body
    """The model of what an operator sets for this plugin; it is asked for before the others."""


@hookspec
def laurels_partner(settings: BaseModel | None) -> Partner:  # type: ignore[empty-body]  # as above
    """Who the partner is: the one hook that every plugin implements, exactly once."""


@hookspec
def laurels_earn_rules(settings: BaseModel | None) -> Sequence[EarnRule]:  # type: ignore[empty-body]  # as above
    """The rules by which purchases at this partner earn points, in the order they are judged."""


@hookspec
def laurels_redeem_rules(settings: BaseModel | None) -> Sequence[RedeemRule]:  # type: ignore[empty-body]  # as above
    """The rules by which points pay at this partner's checkout."""


@hookspec
def laurels_rewards(settings: BaseModel | None) -> Sequence[Reward]:  # type: ignore[empty-body]  # as above
    """The partner's catalogue: what a member can have for points."""


@hookspec
def laurels_ladders(settings: BaseModel | None) -> Sequence[Ladder]:  # type: ignore[empty-body]  # as above
    """Tier ladders of the partner's own, beside those that the programme shares."""


@hookspec
def laurels_plans(settings: BaseModel | None) -> Sequence[MembershipPlan]:  # type: ignore[empty-body]  # as above
    """Paid memberships with perks: what a member can join for a fee."""


@hookspec
def laurels_surveys(settings: BaseModel | None) -> Sequence[Survey]:  # type: ignore[empty-body]  # as above
    """What members are asked after something happened here, by a link each."""


@hookspec
def laurels_adapters(settings: BaseModel | None) -> Sequence[Adapter]:  # type: ignore[empty-body]  # as above
    """End points that take the webhooks of the partner's own shop or tills."""


@hookspec
def laurels_personal_offers(settings: BaseModel | None) -> Sequence[PersonalOffers]:  # type: ignore[empty-body]  # as above
    """What chooses, for each member from its own past here, which offered rules it is offered."""


@hookspec
def laurels_giving(settings: BaseModel | None) -> Giving | None:
    """What members may give each other; None: nothing, as if the hook weren't there."""
