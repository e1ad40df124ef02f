"""What the engine refuses on purpose, as one tree with stable codes. Knows no transport.

    Refusal                     anything a caller can mend
    +- BadInput                 a field is malformed or absurd: `path` names it
    |  +- UnknownReference      names a partner, member, reward or redemption that nobody has
    +- NotAllowed               the contract doesn't cover it
    +- IdempotencyConflict      the same external id or key with other content
    +- NotEligible              the reward's terms aren't met: points, tier, stock
    +- WrongState               the redemption is no longer (or not yet) in the state needed
    +- PartnerRuleFailed        the partner's own rule raised or answered nonsense

`BookBroken` isn't one of them: it says that an invariant of ours failed, and nothing was booked.
"""

from __future__ import annotations


class Refusal(Exception):
    """Base of the expected errors: a stable `code`, a message for people, the path of the field."""

    code = "REFUSED"

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.path: tuple[str | int, ...] = path

    def under(self, *prefix: str | int) -> Refusal:
        """The same refusal seen from further out: item 3 of a batch, say."""
        self.path = (*prefix, *self.path)
        return self


class BadInput(Refusal):
    """A field is malformed, absurd, or contradicts another."""

    code = "BAD_INPUT"


class UnknownReference(BadInput):
    """The field names something that does not exist here."""

    code = "UNKNOWN_REFERENCE"


class NotAllowed(Refusal):
    """The partner's contract, or the caller's role, does not cover this."""

    code = "NOT_ALLOWED"


class IdempotencyConflict(Refusal):
    """This external id or key was used before with other content."""

    code = "IDEMPOTENCY_CONFLICT"


class NotEligible(Refusal):
    """The terms of a reward are not met; the message says which, with figures."""

    code = "NOT_ELIGIBLE"


class WrongState(Refusal):
    """The redemption is past the state that this needs."""

    code = "WRONG_STATE"


class PartnerRuleFailed(Refusal):
    """A partner's rule failed on this purchase; nothing of it was booked."""

    code = "PARTNER_RULE_FAILED"


class BookBroken(Exception):
    """An invariant of the books would have been broken: a fault of ours, never of a caller."""
