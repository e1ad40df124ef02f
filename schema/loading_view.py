"""The loaders of a member's page beside points: surveys, purchases, what staff wrote.

Knows the store's reads and nothing of GraphQL types or of who may see what.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from strawberry.dataloader import DataLoader

from core.store import one_view, surveys
from schema.loading import NotePage, PurchasePage, SurveyPage, many, one


class ViewLoaders:
    """The part of a request's loaders that a member's page asks for."""

    @cached_property
    def invitation(self) -> DataLoader[tuple[int, int], surveys.Asked | None]:
        """An invitation to a survey by (holder, id)."""
        return one(surveys.by_key)

    @cached_property
    def surveyed(self) -> DataLoader[SurveyPage, list[surveys.Asked]]:
        """A page of a member's invitations."""

        async def fetch(keys: list[SurveyPage]) -> Mapping[SurveyPage, list[surveys.Asked]]:
            found: dict[SurveyPage, list[surveys.Asked]] = {}
            for rest in dict.fromkeys(key[1:] for key in keys):
                group = [key.holder for key in keys if key[1:] == rest]
                rows = await surveys.of_holders(group, *rest)
                found |= {SurveyPage(holder, *rest): rows[holder] for holder in rows}
            return found

        return many(fetch)

    @cached_property
    def purchases(self) -> DataLoader[PurchasePage, list[one_view.Bought]]:
        """A page of a member's purchases."""

        async def fetch(keys: list[PurchasePage]) -> Mapping[PurchasePage, list[one_view.Bought]]:
            found: dict[PurchasePage, list[one_view.Bought]] = {}
            for rest in dict.fromkeys(key[1:] for key in keys):
                group = [key.holder for key in keys if key[1:] == rest]
                rows = await one_view.purchases(group, *rest)
                found |= {PurchasePage(holder, *rest): rows[holder] for holder in rows}
            return found

        return many(fetch)

    @cached_property
    def staff_notes(self) -> DataLoader[NotePage, list[one_view.Noted]]:
        """The newest words of staff on a member."""

        async def fetch(keys: list[NotePage]) -> Mapping[NotePage, list[one_view.Noted]]:
            found: dict[NotePage, list[one_view.Noted]] = {}
            for rest in dict.fromkeys(key[1:] for key in keys):
                group = [key.holder for key in keys if key[1:] == rest]
                rows = await one_view.notes(group, *rest)
                found |= {NotePage(holder, *rest): rows[holder] for holder in rows}
            return found

        return many(fetch)

    @cached_property
    def last_given(self) -> DataLoader[tuple[int, int, str], datetime | None]:
        """When a rule last gave a member points, by (holder, partner, rule's code)."""
        return one(one_view.last_given)
