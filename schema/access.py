"""Who may call which root field, and who may see which member. Default: nobody.

Every root field carries `allow(...)`; `schema.build` refuses one that doesn't. What a role may do
to *whom* is asked of the functions below. Knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphql import GraphQLError
from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension

from core.errors import NotAllowed
from core.purchases import find_partner
from core.rulebook import PartnerTerms
from schema.context import Context, Info, Role


class AccessDeniedError(GraphQLError):
    """The token doesn't permit this field at all; its text is safe to show."""

    def __init__(self, viewer: Role, wanted: Iterable[Role]) -> None:
        code = "UNAUTHENTICATED" if viewer == "anonymous" else "FORBIDDEN"
        super().__init__(
            f"this needs a token of role {' or '.join(wanted)}", extensions={"code": code}
        )


class Allow(FieldExtension):
    """Lets the named roles call a root field, and starts each mutation on a fresh instant."""

    def __init__(self, roles: tuple[Role, ...], *, mutation: bool) -> None:
        self.roles = roles
        self.mutation = mutation

    async def resolve_async(
        self, next_: AsyncExtensionResolver, source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Refuse, or go on."""
        context = info.context
        if self.mutation:
            context.renew()
        role = context.viewer.role
        # The token of a partner whose plugin isn't installed opens nothing.
        if role not in self.roles or (role == "partner" and context.partner is None):
            raise AccessDeniedError(role, self.roles)
        return await next_(source, info, **arguments)


def allow(*roles: Role) -> list[FieldExtension]:
    """The extensions of a query that these roles may ask."""
    return [Allow(roles, mutation=False)]


def allow_change(*roles: Role) -> list[FieldExtension]:
    """The extensions of a mutation that these roles may call."""
    return [Allow(roles, mutation=True)]


async def may_see(context: Context, holder: int) -> bool:
    """Whether the viewer may read this member: itself, one it has dealt with, or, admins, all."""
    match context.viewer.role:
        case "admin":
            return True
        case "member":
            return context.viewer.holder == holder
        case "partner":
            return bool(await context.loaders.related.load(holder))
    return False


def sees_currency(context: Context, currency: int) -> bool:
    """Whether the viewer may read ledgers in this currency: a partner those it issues or takes."""
    if context.viewer.role != "partner":
        return context.viewer.role != "anonymous"
    partner = context.partner
    return partner is not None and any(
        terms.id == currency for terms in (*partner.issues.values(), *partner.accepts.values())
    )


def partner_for(context: Context, code: str) -> PartnerTerms:
    """The partner that a request acts for, named by its field `partner`.

    Raises UnknownReference, and NotAllowed where a partner's token acts for another partner.
    """
    partner = find_partner(context.engine.rulebook, code)
    own = context.viewer.partner
    if context.viewer.role == "partner" and own != partner.code:
        raise NotAllowed(f"this token acts for '{own}' only", "partner")
    return partner
