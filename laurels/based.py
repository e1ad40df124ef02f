"""Puts earn rules on a basis: one that a rule names, or its partner's usual one.

What a basis makes of a receipt is `laurels.basis`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from laurels.activities import PURCHASE
from laurels.basis import Basis, Of
from laurels.errors import DeclarationError, within
from laurels.lasting import LastingRule, as_lasting, trigger_of, unwrapped
from laurels.rules import EarnRule


def based(
    rule: EarnRule,
    of: str = Of.PAID,
    *,
    without: Sequence[str] = (),
    except_types: Sequence[str] = (),
) -> LastingRule:
    """The rule, counting on a basis: `based(rule, "net-of-points", without=["tax", "delivery"])`.

    In place of its partner's usual one. What only multiplies has none. Raises DeclarationError.
    """
    made = as_lasting("based", rule)
    what = f"earn rule {rule.code}"
    if multiplies(rule):
        raise DeclarationError(f"{what}: based: it multiplies what others count")
    return replace(made, basis=within(what, lambda _: Basis(of, without, except_types), None))


def on_basis(rule: EarnRule, usual: Basis | None) -> EarnRule:
    """The rule on its partner's usual basis, where it names none and counts at all."""
    if usual is None or multiplies(rule) or basis_of_rule(rule) is not None:
        return rule
    if trigger_of(rule) != PURCHASE:  # there is no money
        return rule
    return replace(as_lasting("basis", rule), basis=usual)


def basis_of_rule(rule: EarnRule) -> Basis | None:
    """The basis that a rule names, or was given."""
    return rule.basis if isinstance(rule, LastingRule) else None


def multiplies(rule: EarnRule) -> bool:
    """Whether a rule only multiplies what others give, whatever they count."""
    return bool(getattr(unwrapped(rule), "multiplies", False))
