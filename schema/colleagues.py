"""Colleagues: the members of whom a partner has noted a team, as they and the partner are shown.

Names and teams are told to colleagues and to their company alone. Knows nothing of gifts.
"""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import relay

from core.errors import UnknownReference
from core.gifts import receiver_by
from core.members import IdentifierKind
from core.noted import noted_at
from core.purchases import check_text
from core.rulebook import PartnerTerms
from core.store import gifts as store
from core.store import lookups
from laurels.giving import Giving
from schema.access import STAFF, allow, partner_for
from schema.context import Context, Info
from schema.fields import answer
from schema.ids import HolderNode, numbers, parse_numbers
from schema.paging import After, First, check_first, cursor, page, read_number

#: No holder has this number.
NOBODY = 0


@strawberry.type(description="One of a company's values.")
class RecognitionValue:
    """Of its own list."""

    code: str = strawberry.field(description="What a gift names it by.")
    title: str = strawberry.field(description="What it is called; the code where it is gone.")


@strawberry.type(description="A colleague: a member of whom the company has noted a team.")
class Colleague(HolderNode):
    """By number of the holder and of the partner."""

    key: relay.NodeID[str]
    holder: strawberry.Private[int]
    partner: strawberry.Private[int]

    @classmethod
    def of(cls, holder: int, partner: int) -> Colleague:
        """Whoever hands one out has asked whether the viewer may know it."""
        return cls(key=f"{holder}.{partner}", holder=holder, partner=partner)

    @answer("The name, where one was given.")
    async def name(self, info: Info) -> str | None:
        record = await info.context.loaders.member.load(self.holder)
        return None if record is None else record.name

    @answer("The team now; null where the company says none any more.")
    async def team(self, info: Info) -> str | None:
        partner = info.context.engine.rulebook.partner_by_id(self.partner)
        if partner is None or partner.giving is None:
            return None
        rows = [
            row
            for row in await info.context.loaders.noted.load(self.holder)
            if row.partner == self.partner and row.name == partner.giving.team
        ]
        found = noted_at(rows, info.context.instant).get(partner.giving.team)
        return None if found is None else found.value


async def company(context: Context, code: str) -> tuple[PartnerTerms, Giving] | None:
    """The partner meant, and what is given there; None: nothing, or not among such as the viewer.

    Raises NotAllowed where a partner's token asks for another.
    """
    partner = partner_for(context, code)
    giving = partner.giving
    if giving is None or not await _is_of(context, partner, giving):
        return None
    return partner, giving


async def tells(context: Context, partner: PartnerTerms | None) -> bool:
    """Whether the viewer may know of a partner's colleagues."""
    if partner is None or partner.giving is None:
        return False
    return await _is_of(context, partner, partner.giving)


async def _is_of(context: Context, partner: PartnerTerms, giving: Giving) -> bool:
    viewer = context.viewer
    if viewer.role == "member":
        assert viewer.holder is not None
        rows = [
            row
            for row in await context.loaders.noted.load(viewer.holder)
            if row.partner == partner.id and row.name == giving.team
        ]
        return giving.team in noted_at(rows, context.instant)
    if viewer.role == "partner":
        own = context.partner
        return own is not None and own.id == partner.id and "engagement:read" in viewer.scopes
    return viewer.role == "admin"


@strawberry.input(one_of=True, description="One colleague: an id, or what the company knows.")
class ColleagueBy:
    """Whoever is no colleague is like nobody."""

    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="The colleague's id.")
    email: strawberry.Maybe[str] = strawberry.field(description="The e-mail address.")
    reference: strawberry.Maybe[str] = strawberry.field(description="The company's own reference.")


async def colleague_by(context: Context, partner: PartnerTerms, given: ColleagueBy) -> int:
    """The holder that is meant; NOBODY, who is refused like one who is no colleague, where none is.

    An answer of its own would tell any member who else is enrolled. Raises BadInput.
    """
    if given.id is not None:
        return colleague_meant(context, partner, given.id.value, "to", "id")
    if given.email is not None:
        ref = receiver_by(IdentifierKind.EMAIL, given.email.value)
    else:
        assert given.reference is not None
        ref = receiver_by(IdentifierKind.REFERENCE, given.reference.value, partner.id)
    return await lookups.holder_of(*ref.key) or NOBODY


def colleague_meant(context: Context, partner: PartnerTerms, text: str, *path: str) -> int:
    """The holder behind a colleague's id. Raises BadInput, or UnknownReference for another's."""
    holder, company_id = parse_numbers(context, "Colleague", text, 2, *path)
    if company_id != partner.id:
        raise UnknownReference(f"no such colleague at {partner.name}", *path)
    return holder


async def visible_colleague(info: Info, key: str) -> Colleague | None:
    """The colleague of this key, if the viewer may know it."""
    found = numbers(key, 2)
    if found is None:
        return None
    context = info.context
    partner = context.engine.rulebook.partner_by_id(found[1])
    if partner is None or partner.giving is None or not await tells(context, partner):
        return None
    team = partner.giving.team
    here = await store.teams_of([found[0]], partner.id, team, context.instant)
    return Colleague.of(*found) if found[0] in here else None


@strawberry.type(description="Queries on colleagues.")
class ColleagueQueries:
    """Root fields."""

    @answer(
        "A company's colleagues, who may be given something. Members who are none of them, and "
        "whoever asks where nothing is given, are told of nobody.",
        extensions=allow(member=True, partner="engagement:read", admin=STAFF),
    )
    async def colleagues(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The company's code.")],
        first: First = 20,
        after: After = None,
        named: Annotated[
            str | None,
            strawberry.argument(description="Only those whose name holds this, however written."),
        ] = None,
    ) -> relay.Connection[Colleague]:
        limit = check_first(first) + 1
        if named is not None:
            check_text(named, "named", 200)
        last = read_number("colleague", after, 0)
        known = await company(info.context, partner)
        if known is None:
            return page(list[Colleague](), first, after, str)
        terms, giving = known
        found = await store.colleagues(
            terms.id, giving.team, info.context.instant, named, last, limit
        )
        nodes = [Colleague.of(holder, terms.id) for holder in found]
        return page(nodes, first, after, lambda node: cursor("colleague", node.holder))
