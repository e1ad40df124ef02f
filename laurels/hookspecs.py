"""The hooks that a partner's plugin implements. All return declarations; none runs on a request.

Each is called once at start, one plugin at a time, so that whatever fails is named.
"""

from collections.abc import Sequence

import pluggy

from laurels.declarations import Ladder, Partner
from laurels.redeeming import RedeemRule
from laurels.rewards import Reward
from laurels.rules import EarnRule

#: The name of the plugin system, and the group of entry points that the host looks through.
PROJECT = "laurels"
ENTRY_POINT_GROUP = "laurels.partners"
#: Where a partner's next version stands that judges in shadow: compared, and never booked.
SHADOW_GROUP = "laurels.shadows"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def laurels_partner() -> Partner:  # type: ignore[empty-body]  # a specification has no body
    """Who the partner is: the one hook that every plugin implements, exactly once."""


@hookspec
def laurels_earn_rules() -> Sequence[EarnRule]:  # type: ignore[empty-body]  # as above
    """The rules by which purchases at this partner earn points, in the order they are judged."""


@hookspec
def laurels_redeem_rules() -> Sequence[RedeemRule]:  # type: ignore[empty-body]  # as above
    """The rules by which points pay at this partner's checkout."""


@hookspec
def laurels_rewards() -> Sequence[Reward]:  # type: ignore[empty-body]  # as above
    """The partner's catalogue: what a member can have for points."""


@hookspec
def laurels_ladders() -> Sequence[Ladder]:  # type: ignore[empty-body]  # as above
    """Tier ladders of the partner's own, beside those that the programme shares."""
