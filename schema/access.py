"""Who may call which root field, and who may see which member. Default: nobody.

Every root field carries `allow(...)`, which its description says in words; `schema.build` refuses
one that doesn't. A field further in is read by whoever may read the object that it belongs to,
unless it carries a rule of its own. What a role may do to *whom* is asked of the functions below.
Knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from graphql import GraphQLError
from strawberry.extensions.field_extension import (
    AsyncExtensionResolver,
    FieldExtension,
    SyncExtensionResolver,
)

from core.errors import NotAllowed
from core.purchases import find_partner
from core.rulebook import PartnerTerms
from schema.acts import recorded
from schema.context import Context, Info, Viewer
from schema.roles import STAFF_ROLES, Scope, StaffRole

#: Whoever works for the programme, in whatever role: reads.
STAFF: frozenset[StaffRole] = frozenset(STAFF_ROLES)
#: Who serves members: books on their behalf, within limits.
SERVICE: frozenset[StaffRole] = frozenset({"support", "manager", "owner"})
#: Who runs the programme: its rules, tiers and partners.
MANAGERS: frozenset[StaffRole] = frozenset({"manager", "owner"})
#: Who reads the books as a whole.
FINANCE: frozenset[StaffRole] = frozenset({"finance", "auditor", "manager", "owner"})
#: Who reads what admins did.
AUDITORS: frozenset[StaffRole] = frozenset({"auditor", "owner"})


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom a field lets in: members, partners' keys of a scope or any, admins of certain roles.

    `newcomers`: somebody with a member's token who isn't enrolled yet, too. `strangers`: whoever
    has no token, and nobody else unless it is said.
    """

    member: bool = False
    partner: Scope | Literal["any"] | None = None
    admin: frozenset[StaffRole] = frozenset()
    newcomers: bool = False
    strangers: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a rule that admits nobody: it was forgotten."""
        if not (self.member or self.partner or self.admin or self.strangers):
            raise ValueError("a rule admits somebody")

    def admits(self, viewer: Viewer) -> bool:
        """Whether this viewer is let in."""
        match viewer.role:
            case "member":
                return self.member and (viewer.holder is not None or self.newcomers)
            case "partner":
                return self.partner == "any" or self.partner in viewer.scopes
            case "admin":
                return not self.admin.isdisjoint(viewer.staff)
        return self.strangers

    @property
    def words(self) -> str:
        """Whom it lets in, as the description of a field says it."""
        said = []
        if self.strangers:
            said.append("whoever has no token")
        if self.member:
            said.append("members")
        if self.partner is not None:
            scoped = "" if self.partner == "any" else f" with `{self.partner}`"
            said.append(f"partners{scoped}")
        if self.admin:
            roles = ", ".join(role for role in STAFF_ROLES if role in self.admin)
            said.append("all admins" if self.admin == STAFF else f"admins: {roles}")
        return f"For {'; '.join(said)}."


class AccessDeniedError(GraphQLError):
    """The token doesn't permit this field at all; its text is safe to show."""

    def __init__(self, viewer: Viewer, rule: Rule) -> None:
        code = "UNAUTHENTICATED" if viewer.role == "anonymous" else "FORBIDDEN"
        said = f"this token doesn't open this field. {rule.words}"
        if viewer.role == "anonymous":
            said = f"this needs a token. {rule.words}"
        elif viewer.role == "member" and viewer.holder is None and rule.member:
            said = "whoever has this token isn't enrolled yet: call joinProgramme first"
        super().__init__(said, extensions={"code": code})


class Allow(FieldExtension):
    """Lets in whom the rule admits. Each mutation has its own instant; an admin's is recorded.

    Others are refused; where it is `quiet` they are answered null. A member who isn't there (any
    more) changes nothing, but for what says itself what it does then (`departed`).
    """

    def __init__(
        self, rule: Rule, *, mutation: bool = False, quiet: bool = False, departed: bool = False
    ) -> None:
        self.rule = rule
        self.mutation = mutation
        self.quiet = quiet
        self.departed = departed

    def admits(self, context: Context) -> bool:
        """Whether the viewer is let in. Raises AccessDeniedError where it isn't told by null."""
        # The token of a partner whose plugin isn't installed opens nothing.
        gone = context.viewer.role == "partner" and context.partner is None
        if not gone and self.rule.admits(context.viewer):
            return True
        if self.quiet:
            return False
        raise AccessDeniedError(context.viewer, self.rule)

    def resolve(
        self, next_: SyncExtensionResolver, source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Refuse, or go on: before a resolver that doesn't wait."""
        return next_(source, info, **arguments) if self.admits(info.context) else None

    async def resolve_async(
        self, next_: AsyncExtensionResolver, source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Refuse, or go on."""
        if self.mutation:
            info.context.renew()
            info.context.changing = True
        if not self.admits(info.context):
            return None
        own = info.context.viewer.holder
        gone = self.mutation and own is not None and not self.departed
        if gone and not await is_there(info.context, own or 0):
            raise AccessDeniedError(info.context.viewer, self.rule)
        if self.mutation and info.context.viewer.role == "admin":
            return await recorded(
                info.context, info._raw_info, lambda: next_(source, info, **arguments)
            )
        return await next_(source, info, **arguments)


class AllowStream(Allow):
    """Lets in whom the rule admits to a subscription, and asks again before each message."""

    async def resolve_async(
        self, next_: AsyncExtensionResolver, source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Refuse, or hand out the stream."""
        self.admits(info.context)
        # Strawberry takes a resolver that yields for one that is awaited.
        stream: AsyncGenerator[Any, None] = next_(source, info, **arguments)  # type: ignore[assignment]
        return self._checked(info.context, stream)

    async def _checked(
        self, context: Context, stream: AsyncGenerator[Any, None]
    ) -> AsyncGenerator[Any, None]:
        async with aclosing(stream) as messages:
            async for message in messages:
                self.admits(context)
                yield message


def allow(
    *,
    member: bool = False,
    partner: Scope | Literal["any"] | None = None,
    admin: frozenset[StaffRole] = frozenset(),
    newcomers: bool = False,
    strangers: bool = False,
    quiet: bool = False,
) -> list[FieldExtension]:
    """The extensions of a query, or of a field further in, that these may ask.

    `quiet`: others are answered null, of a field further in that may be null.
    """
    return [Allow(Rule(member, partner, admin, newcomers, strangers), quiet=quiet)]


def allow_change(
    *,
    member: bool = False,
    partner: Scope | Literal["any"] | None = None,
    admin: frozenset[StaffRole] = frozenset(),
    newcomers: bool = False,
    strangers: bool = False,
    departed: bool = False,
) -> list[FieldExtension]:
    """The extensions of a mutation that these may call; `departed`: members who are gone, too."""
    rule = Rule(member, partner, admin, newcomers, strangers)
    return [Allow(rule, mutation=True, departed=departed)]


def allow_stream(
    *,
    member: bool = False,
    partner: Scope | Literal["any"] | None = None,
    admin: frozenset[StaffRole] = frozenset(),
) -> list[FieldExtension]:
    """The extensions of a subscription that these may open."""
    return [AllowStream(Rule(member, partner, admin))]


async def knows(context: Context, holder: int) -> bool:
    """Whether a member is the viewer's affair: itself, one it has dealt with, or, admins, all."""
    match context.viewer.role:
        case "admin":
            return True
        case "member":
            return context.viewer.holder == holder and await is_there(context, holder)
        case "partner":
            return bool(await context.loaders.related.load(holder))
    return False


async def is_there(context: Context, holder: int) -> bool:
    """Whether there is such a member, who wasn't erased."""
    return await context.loaders.member.load(holder) is not None


async def may_see(context: Context, holder: int) -> bool:
    """Whether the viewer may read this member: it knows it, and its key reads members at all."""
    viewer = context.viewer
    if viewer.role == "partner" and "members:read" not in viewer.scopes:
        return False
    return await knows(context, holder)


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
