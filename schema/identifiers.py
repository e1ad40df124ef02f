"""By what a member is known, in the API's words. Knows no rule of who may see it."""

from __future__ import annotations

import strawberry

from core.members import IdentifierKind
from schema.enums import words

words(
    IdentifierKind,
    "By what a member is known.",
    name="IdentifierKind",
    EMAIL="An e-mail address.",
    PHONE="A telephone number.",
    CARD="The number of a card or app code.",
    REFERENCE="A partner's own reference.",
    LOGIN="The account at the identity provider that its owner signs in with.",
)


@strawberry.type(description="By what a member is known.")
class Identifier:
    """Personal."""

    kind: IdentifierKind = strawberry.field(description="What it is.")
    value: str = strawberry.field(description="Its normal form.")
