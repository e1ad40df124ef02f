"""Data loaders, one set for a request: whatever many nodes ask for at once is one statement.

Knows the store's reads and nothing of GraphQL types or of who may see what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import orjson
from strawberry.dataloader import DataLoader

from core.db import Row
from core.eligibility import Eligibility, eligibility
from core.entries import Transfer
from core.lines import line_of
from core.models import PartnerRow, RewardRow
from core.posting import Engine
from core.rulebook import CurrencyTerms, PartnerTerms
from core.standings import TierStatus, standings
from core.store import inbound, lookups, reads, webhooks
from core.store.faults import RuleFault, of_partners
from core.store.redemptions import stock_left
from laurels.purchase import Line
from schema.loading import (
    EntryKey,
    LedgerKey,
    PostingKey,
    SpanKey,
    StoryLoaders,
    many,
    one,
)
from schema.loading_view import ViewLoaders


class Balances(NamedTuple):
    """A ledger's balances at an instant."""

    active: int = 0
    pending: int = 0
    reserved: int = 0
    arrears: int = 0


class Totals(NamedTuple):
    """What came into a ledger and what of it expired, up to an instant."""

    earned: int = 0
    expired: int = 0


class Receipt(NamedTuple):
    """The stored lines of a purchase and their money."""

    money: str
    lines: tuple[Line, ...]


class RuleRecord(NamedTuple):
    """One stored version of an earn rule."""

    id: int
    partner: int
    code: str
    version: int
    plugin_version: str
    title: str
    terms: Mapping[str, object]


class PageKey(NamedTuple):
    """A page of one ledger: the newest `limit` below `before`."""

    holder: int
    currency: int
    before: int
    limit: int


class Loaders(StoryLoaders, ViewLoaders):
    """The loaders of one request, each made when it is first asked.

    None of their functions knows the set, so that it goes with the request, not with the garbage.
    """

    def __init__(self, engine: Engine, partner: PartnerTerms | None) -> None:
        self._engine = engine
        self._partner = partner
        self._held: dict[datetime, DataLoader[int, Mapping[int, Balances] | None]] = {}
        self._totals: dict[datetime, DataLoader[LedgerKey, Totals | None]] = {}
        self._tiers: dict[datetime, DataLoader[int, list[TierStatus]]] = {}
        self._chances: dict[datetime, DataLoader[tuple[int, int], Eligibility | None]] = {}

    @cached_property
    def member(self) -> DataLoader[int, lookups.MemberRecord | None]:
        """A member by holder."""
        return one(lookups.members)

    @cached_property
    def identifiers(self) -> DataLoader[int, list[tuple[int, int, str]]]:
        """A holder's identifiers."""
        return many(lookups.identifiers)

    @cached_property
    def ledgers(self) -> DataLoader[int, list[int]]:
        """The currencies of a holder's ledgers."""
        return many(lookups.ledgers)

    @cached_property
    def related(self) -> DataLoader[int, bool | None]:
        """Whether the partner that is asking has dealt with a holder."""
        partner = self._partner

        async def fetch(holders: list[int]) -> Mapping[int, bool]:
            return {} if partner is None else await lookups.related(partner.id, holders)

        return one(fetch)

    @cached_property
    def body(self) -> DataLoader[int, bytes | None]:
        """The body of a webhook that came in, by its number."""
        return one(inbound.bodies)

    @cached_property
    def endpoint(self) -> DataLoader[int, webhooks.Endpoint | None]:
        """Where a partner wants to be told, by its number."""
        return one(webhooks.read)

    @cached_property
    def partner(self) -> DataLoader[int, PartnerRow | None]:
        """The stored row of a partner."""
        return one(lookups.partners)

    @cached_property
    def currency(self) -> DataLoader[int, CurrencyTerms | None]:
        """A currency on its last terms, declared or not."""
        return one(lookups.currencies)

    @cached_property
    def reward(self) -> DataLoader[int, RewardRow | None]:
        """The stored row of a reward."""
        return one(lookups.rewards)

    @cached_property
    def stock(self) -> DataLoader[int, int | None]:
        """What is left of a limited reward."""
        return one(stock_left)

    @cached_property
    def event(self) -> DataLoader[int, lookups.EventRecord | None]:
        """A booked event."""
        return one(lookups.events)

    @cached_property
    def entry(self) -> DataLoader[EntryKey, Transfer | None]:
        """One transfer."""
        return one(lookups.entries)

    @cached_property
    def lot(self) -> DataLoader[EntryKey, lookups.LotRecord | None]:
        """One lot."""
        return one(lookups.lots)

    @cached_property
    def sources(self) -> DataLoader[EntryKey, list[lookups.Source]]:
        """Which lots a transfer took from."""
        return many(lookups.sources)

    @cached_property
    def posted(self) -> DataLoader[PostingKey, list[Transfer]]:
        """The transfers of a posting."""
        return many(lookups.posted)

    @cached_property
    def tier_changes(self) -> DataLoader[PostingKey, list[lookups.TierChange]]:
        """The tier changes of a posting."""
        return many(lookups.tier_changes)

    @cached_property
    def redemption(self) -> DataLoader[LedgerKey, Row | None]:
        """A redemption by (holder, id)."""
        return one(lookups.redemptions)

    @cached_property
    def decision(self) -> DataLoader[PostingKey, str | None]:
        """The stored content of the decision behind a posting."""

        async def fetch(keys: list[PostingKey]) -> Mapping[PostingKey, str]:
            return {(row[0], row[1]): row[7] for row in await reads.decisions(keys)}

        return one(fetch)

    @cached_property
    def receipt(self) -> DataLoader[int, Receipt | None]:
        """The stored lines of a purchase, by its event."""

        async def fetch(events: list[int]) -> Mapping[int, Receipt]:
            money: dict[int, str] = {}
            lines: dict[int, list[Line]] = {}
            for event, currency, *columns in await reads.lines(events):
                money[event] = currency
                lines.setdefault(event, []).append(line_of(columns))
            return {event: Receipt(money[event], tuple(lines[event])) for event in money}

        return one(fetch)

    @cached_property
    def rule(self) -> DataLoader[int, RuleRecord | None]:
        """One stored version of a rule."""

        async def fetch(ids: list[int]) -> Mapping[int, RuleRecord]:
            return {row[0]: rule_record(row) for row in await reads.rules(ids)}

        return one(fetch)

    @cached_property
    def entries(self) -> DataLoader[PageKey, list[Transfer]]:
        """A page of a ledger's transfers, newest first."""

        async def fetch(keys: list[PageKey]) -> Mapping[PageKey, list[Transfer]]:
            found: dict[PageKey, list[Transfer]] = {}
            for (before, limit), group in _grouped(keys).items():
                for row in await reads.entries(group, before, limit):
                    key = PageKey(row[0], row[1], before, limit)
                    found.setdefault(key, []).append(Transfer(*row))
            return found

        return many(fetch)

    @cached_property
    def lots(self) -> DataLoader[PageKey, list[lookups.LotRecord]]:
        """A page of a ledger's lots, newest first."""

        async def fetch(keys: list[PageKey]) -> Mapping[PageKey, list[lookups.LotRecord]]:
            found: dict[PageKey, list[lookups.LotRecord]] = {}
            for (before, limit), group in _grouped(keys).items():
                for row in await reads.lots(group, before, limit):
                    key = PageKey(row[0], row[1], before, limit)
                    found.setdefault(key, []).append(lookups.LotRecord(*row))
            return found

        return many(fetch)

    @cached_property
    def redemptions(self) -> DataLoader[tuple[int, int, int], list[Row]]:
        """A page of a holder's redemptions (at the partner that asks), newest first.

        By (holder, before, limit).
        """
        partner = None if self._partner is None else self._partner.id

        async def fetch(keys: list[EntryKey]) -> Mapping[EntryKey, list[Row]]:
            found: dict[EntryKey, list[Row]] = {}
            for before, limit in dict.fromkeys(key[1:] for key in keys):
                group = [key[0] for key in keys if key[1:] == (before, limit)]
                rows = await lookups.redemption_page(group, before, limit, partner)
                found |= {(holder, before, limit): rows[holder] for holder in rows}
            return found

        return many(fetch)

    @cached_property
    def faults(self) -> DataLoader[int, list[RuleFault]]:
        """What went wrong with the rules of a partner, the latest first."""

        async def fetch(partners: list[int]) -> Mapping[int, list[RuleFault]]:
            found: dict[int, list[RuleFault]] = {}
            for row in await of_partners(partners):
                found.setdefault(row.partner, []).append(row)
            return found

        return many(fetch)

    @cached_property
    def expiring(self) -> DataLoader[SpanKey, list[tuple[datetime, int]]]:
        """(instant, points) of what of a ledger dies in a span, soonest first."""

        async def fetch(keys: list[SpanKey]) -> Mapping[SpanKey, list[tuple[datetime, int]]]:
            # Currencies end their days in different zones: one statement over the widest span.
            first, last = min(k.after for k in keys), max(k.until for k in keys)
            dying: dict[LedgerKey, list[tuple[datetime, int]]] = {}
            ledgers = sorted({(k.holder, k.currency) for k in keys})
            for holder, currency, at, points in await reads.expiring(ledgers, first, last):
                dying.setdefault((holder, currency), []).append((at, points))
            return {
                key: [
                    (at, points)
                    for at, points in dying.get((key.holder, key.currency), [])
                    if key.after < at <= key.until
                ]
                for key in keys
            }

        return many(fetch)

    def held(self, at: datetime) -> DataLoader[int, Mapping[int, Balances] | None]:
        """A holder's balances as of an instant, by currency: of every ledger that there is."""

        async def fetch(holders: list[int]) -> Mapping[int, Mapping[int, Balances]]:
            found: dict[int, dict[int, Balances]] = {}
            for holder, currency, *figures in await reads.balances(holders, at):
                found.setdefault(holder, {})[currency] = Balances(*figures)
            return found

        if at not in self._held:
            self._held[at] = one(fetch)
        return self._held[at]

    def totals(self, at: datetime) -> DataLoader[LedgerKey, Totals | None]:
        """What came of a ledger up to an instant."""

        async def fetch(keys: list[LedgerKey]) -> Mapping[LedgerKey, Totals]:
            rows = await reads.figures(sorted({holder for holder, _ in keys}), at)
            return {(row[0], row[1]): Totals(*row[6:]) for row in rows}

        if at not in self._totals:
            self._totals[at] = one(fetch)
        return self._totals[at]

    def tiers(self, at: datetime) -> DataLoader[int, list[TierStatus]]:
        """A holder's status on every ladder as of an instant."""
        engine = self._engine

        async def fetch(holders: list[int]) -> Mapping[int, list[TierStatus]]:
            return await standings(engine, holders, at)

        if at not in self._tiers:
            self._tiers[at] = many(fetch)
        return self._tiers[at]

    def chances(self, at: datetime) -> DataLoader[tuple[int, int], Eligibility | None]:
        """Whether a holder can have a reward, by (holder, reward)."""
        engine = self._engine

        async def fetch(
            keys: list[tuple[int, int]],
        ) -> Mapping[tuple[int, int], Eligibility]:
            return await eligibility(engine, sorted({h for h, _ in keys}), at)

        if at not in self._chances:
            self._chances[at] = one(fetch)
        return self._chances[at]


def _grouped(keys: Sequence[PageKey]) -> dict[tuple[int, int], list[LedgerKey]]:
    """The ledgers whose pages are alike: siblings in one query always are."""
    groups: dict[tuple[int, int], list[LedgerKey]] = {}
    for key in keys:
        groups.setdefault((key.before, key.limit), []).append((key.holder, key.currency))
    return groups


def rule_record(row: Row) -> RuleRecord:
    """A stored rule; its terms come as the text of a JSON object."""
    *rest, terms = row
    return RuleRecord._make([*rest, orjson.loads(terms) if isinstance(terms, str) else terms])
