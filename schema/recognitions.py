"""Recognition: a colleague's gift with its words, the feed of them, and how words are erased.

Knows nothing of how a gift is booked: `core.gifts` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core import gifts as engine
from core.errors import UnknownReference
from core.purchases import check_text
from core.store import gifts as store
from core.store.gifts import Told, Wanted
from schema.access import SERVICE, STAFF, allow, allow_change
from schema.acts import watch_member
from schema.colleagues import (
    Colleague,
    RecognitionValue,
    colleague_meant,
    company,
    tells,
)
from schema.context import Context, Info
from schema.errors import BadInputError, NotAllowedError, UnknownReferenceError
from schema.fields import answer, change
from schema.ids import HolderNode, numbers, parse_numbers
from schema.paging import After, First, check_first, moment_cursor, page, read_moment
from schema.partners import Currency, Partner, currency_of, partner_of
from schema.scalars import BigInt


@strawberry.type(description="A colleague gave points to another, and said what for.")
class Recognition(HolderNode):
    """As it stands in the books; what was said may have been erased."""

    key: relay.NodeID[str]
    told: strawberry.Private[Told]

    @classmethod
    def of(cls, told: Told) -> Recognition:
        """From the books."""
        return cls(key=f"{told.row.giver}.{told.row.id}", told=told)

    @answer("When.")
    def at(self) -> datetime:
        return self.told.row.at

    @answer("The points that arrived, as many as were given.")
    def points(self) -> BigInt:
        return BigInt(self.told.row.points)

    @answer("The unit of what arrived.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.told.row.into)

    @answer("The unit of what was given.")
    async def gave(self, info: Info) -> Currency:
        return await currency_of(info, self.told.row.out)

    @answer("Who gave.")
    def giver(self) -> Colleague:
        return Colleague.of(self.told.row.giver, self.told.row.partner)

    @answer("Who was given it.")
    def receiver(self) -> Colleague:
        return Colleague.of(self.told.row.receiver, self.told.row.partner)

    @answer("For which of the company's values; null where it has none.")
    def value(self, info: Info) -> RecognitionValue | None:
        code = self.told.row.value
        if code is None:
            return None
        return value_of(info.context, self.told.row.partner, code)

    @answer("What was said; null where nothing was, or where it was erased.")
    def message(self) -> str | None:
        return self.told.message

    @answer("The company.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.told.row.partner)


def value_of(context: Context, partner: int, code: str) -> RecognitionValue:
    """One of a partner's values, by its code where it is no longer on the list."""
    terms = context.engine.rulebook.partner_by_id(partner)
    values = {} if terms is None or terms.giving is None else terms.giving.values
    return RecognitionValue(code=code, title=values.get(code, code))


def _cursor(node: Recognition) -> str:
    return moment_cursor("recognition", node.told.row.at, node.told.row.id)


async def visible_recognition(info: Info, key: str) -> Recognition | None:
    """The recognition of this key, if the viewer may read its company's feed."""
    found = numbers(key, 2)
    if found is None:
        return None
    told = await store.read(*found)
    if told is None:
        return None
    partner = info.context.engine.rulebook.partner_by_id(told.row.partner)
    return Recognition.of(told) if await tells(info.context, partner) else None


@strawberry.type(description="The words are gone; the gift stands.")
class RecognitionMessageErased:
    """Said again, they are gone too."""

    recognition: Recognition = strawberry.field(description="As it stands now.")


EraseRecognitionMessageResult = Annotated[
    RecognitionMessageErased | BadInputError | UnknownReferenceError | NotAllowedError,
    strawberry.union("EraseRecognitionMessageResult", description="It is erased, or why it stays."),
]


@strawberry.type(description="Queries on recognition.")
class RecognitionQueries:
    """Root fields."""

    @answer(
        "A company's feed of recognition, newest first. Members who are no colleagues are told of "
        "none.",
        extensions=allow(member=True, partner="engagement:read", admin=STAFF),
    )
    async def recognitions(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The company's code.")],
        first: First = 20,
        after: After = None,
        colleague: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Only what this colleague gave or was given."),
        ] = None,
        team: Annotated[
            str | None,
            strawberry.argument(description="Only where one of the two was in this team then."),
        ] = None,
        value: Annotated[
            str | None, strawberry.argument(description="Only for the value of this code.")
        ] = None,
    ) -> relay.Connection[Recognition]:
        limit, place = check_first(first) + 1, read_moment("recognition", after)
        known = await company(info.context, partner)
        if known is None:
            return page(list[Recognition](), first, after, str)
        terms, giving = known
        holder = None
        if colleague is not None:
            holder = colleague_meant(info.context, terms, colleague, "colleague")
        wanted = Wanted(
            terms.id, holder,
            None if value is None else check_text(value, "value", 64),
            None if team is None else check_text(team, "team", 100),
        )  # fmt: skip
        found = await store.page(wanted, giving.team, place, limit)
        return page([Recognition.of(told) for told in found], first, after, _cursor)


@strawberry.type(description="Commands on recognition.")
class RecognitionMutations:
    """Root fields."""

    @change(
        "Erase what was said with a gift: for whoever gave or was given it, for the company and "
        "for the programme.",
        extensions=allow_change(member=True, partner="engagement:write", admin=SERVICE),
    )
    async def erase_recognition_message(
        self,
        info: Info,
        recognition: Annotated[
            strawberry.ID, strawberry.argument(description="The recognition's id.")
        ],
    ) -> EraseRecognitionMessageResult | None:
        context = info.context
        giver, gift = parse_numbers(context, "Recognition", recognition, 2, "recognition")
        told = await store.read(giver, gift)
        if told is None or not _has_a_say(context, told):
            raise UnknownReference("no such recognition", "recognition")
        await watch_member(context, giver)
        await engine.erase_message(giver, gift)
        return RecognitionMessageErased(recognition=Recognition.of(told._replace(message=None)))


def _has_a_say(context: Context, told: Told) -> bool:
    match context.viewer.role:
        case "admin":
            return True
        case "member":
            return context.viewer.holder in (told.row.giver, told.row.receiver)
        case "partner":
            return context.partner is not None and context.partner.id == told.row.partner
    return False
