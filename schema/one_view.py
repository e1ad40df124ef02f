"""What a member's page shows beside points: what it bought and answered, and what was said.

The part of `Member` that a shop's staff calls its view of the customer. Whoever hands a member out
has asked whether the viewer may read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry import relay

from schema.context import Info
from schema.fields import answer
from schema.paging import After, First
from schema.surveys import SurveyInvitation, invitations_of


@strawberry.type(description="What a member's page shows beside points.")
class OneView:
    """Fields of `Member`."""

    if TYPE_CHECKING:
        holder: int

    @answer(
        "What the member was asked, newest first; a partner is told its own, with "
        "`engagement:read` alone."
    )
    async def survey_invitations(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        answered: Annotated[
            bool | None,
            strawberry.argument(description="Only those answered, or not; left out: all."),
        ] = None,
    ) -> relay.Connection[SurveyInvitation]:
        return await invitations_of(info, self.holder, first, after, answered)
