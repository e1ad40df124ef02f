"""The refusals a caller can mend, as members of a field's result union, and how they come there.

A resolver raises what the engine raises; the handlers here make of it the union's member. What
isn't a refusal is a fault of ours and never reaches a caller in its own words.
"""

from __future__ import annotations

from typing import TypeAlias

import strawberry
from strawberry.types.field import StrawberryField

from core import errors
from schema.context import Info


@strawberry.interface(description="Something that the caller can mend; nothing was changed.")
class Error:
    """The shape of every expected error."""

    code: str = strawberry.field(description="What kind of refusal it is; it never changes.")
    message: str = strawberry.field(description="What is wrong, in words for people.")
    path: list[str] = strawberry.field(
        description="The input field that is meant, from the outside in; empty for the whole."
    )


@strawberry.type(description="A field of the input is malformed, absurd or contradicts another.")
class BadInputError(Error):
    """See `core.errors.BadInput`."""


@strawberry.type(description="The input names something that nobody here has.")
class UnknownReferenceError(Error):
    """See `core.errors.UnknownReference`."""


@strawberry.type(description="The partner's contract, or the caller's role, doesn't cover this.")
class NotAllowedError(Error):
    """See `core.errors.NotAllowed`."""


@strawberry.type(description="This external id or key was used before with other content.")
class IdempotencyConflictError(Error):
    """See `core.errors.IdempotencyConflict`."""


@strawberry.type(description="The terms of what is asked for aren't met; the message says which.")
class NotEligibleError(Error):
    """See `core.errors.NotEligible`."""


@strawberry.type(description="It is no longer in the state that this needs, or not yet.")
class WrongStateError(Error):
    """See `core.errors.WrongState`."""


@strawberry.type(description="The partner's own rule failed; nothing of the purchase was booked.")
class PartnerRuleFailedError(Error):
    """See `core.errors.PartnerRuleFailed`."""


AnyError: TypeAlias = (
    BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | NotEligibleError
    | WrongStateError
    | PartnerRuleFailedError
)

# The narrower first: an unknown reference is a bad input too.
_TYPES: tuple[tuple[type[errors.Refusal], type[AnyError]], ...] = (
    (errors.UnknownReference, UnknownReferenceError),
    (errors.BadInput, BadInputError),
    (errors.NotAllowed, NotAllowedError),
    (errors.IdempotencyConflict, IdempotencyConflictError),
    (errors.NotEligible, NotEligibleError),
    (errors.WrongState, WrongStateError),
    (errors.PartnerRuleFailed, PartnerRuleFailedError),
)


def as_error(refusal: errors.Refusal) -> AnyError:
    """The union's member for a refusal. One without a member is a fault of ours: raised."""
    for kind, member in _TYPES:
        if isinstance(refusal, kind):
            return member(
                code=refusal.code, message=refusal.message, path=[str(p) for p in refusal.path]
            )
    raise refusal


class _Handler:
    """Answers one kind of refusal with one type of error, in fields whose union holds it."""

    def __init__(self, kind: type[errors.Refusal], member: type[AnyError]) -> None:
        self.exception_type = kind
        self.error_type = member

    def handle(self, exception: errors.Refusal, *, field: StrawberryField, info: Info) -> AnyError:
        """The error, told as data."""
        del field, info
        return as_error(exception)


HANDLERS = [_Handler(kind, member) for kind, member in _TYPES]
