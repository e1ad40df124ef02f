"""Keeps the reference rows in step with what is declared, and builds the rulebook of them.

The one place where declarations meet ids. Rows are never deleted: the books name them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from core.db import Connection, Row, transaction
from core.errors import BadInput
from core.programme import ContractSettings, Programme
from core.pseudonyms import Pseudonyms
from core.rulebook import CurrencyTerms, LadderTerms, PartnerTerms, RewardTerms, Rulebook
from core.store import pseudonyms, rules
from core.store.casting import Understudy, cast
from core.store.keeping import INSTALL_LOCK, kept
from core.store.posting import columns as arrays
from core.store.rules import Policies
from laurels.activities import PURCHASE
from laurels.adapters import Adapter
from laurels.based import on_basis
from laurels.declarations import Currency, Ladder, Partner
from laurels.durations import Duration
from laurels.giving import Giving
from laurels.memberships import MembershipPlan
from laurels.personal import PersonalOffers
from laurels.redeeming import RedeemRule
from laurels.rewards import Reward
from laurels.rules import EarnRule
from laurels.settings import Setting
from laurels.surveys import Survey

_STOCK_SLICES = 4


@dataclass(frozen=True, slots=True)
class Declared:
    """All that one plugin declared."""

    plugin: str
    version: str
    partner: Partner
    earn_rules: Sequence[EarnRule] = ()
    redeem_rules: Sequence[RedeemRule] = ()
    rewards: Sequence[Reward] = ()
    ladders: Sequence[Ladder] = ()
    settings: Sequence[Setting] = ()
    adapters: Sequence[Adapter] = ()
    giving: Giving | None = None
    plans: Sequence[MembershipPlan] = ()
    surveys: Sequence[Survey] = ()
    personal: Sequence[PersonalOffers] = ()

    @property
    def rules(self) -> list[EarnRule]:
        """The earn rules as they judge: on their partner's usual basis where they name none."""
        return [on_basis(rule, self.partner.basis) for rule in self.earn_rules]


async def _seed(connection: Connection, programme: Programme, now: datetime) -> Programme:
    """Store the programme if none is stored yet; returns the one in force."""
    stored = await connection.fetchval(
        "SELECT settings FROM programme ORDER BY version DESC LIMIT 1"
    )
    if stored is not None:
        return Programme.model_validate_json(stored)
    await connection.execute(
        "INSERT INTO programme (version, settings, at) VALUES (1, $1::jsonb, $2)",
        programme.model_dump_json(),
        now,
    )
    return programme


async def install(
    programme: Programme,
    declared: Sequence[Declared],
    now: datetime,
    shadows: Sequence[Understudy] = (),
) -> Rulebook:
    """Bring the reference rows up to date and build the rulebook in force; `shadows` book nothing.

    Several processes may start at once: one at a time does this, on one connection alone: who waits
    for another's turn mustn't hold what that one needs. Raises BadInput where a contract
    names a currency that nobody declares.
    """
    async with transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", INSTALL_LOCK)
        programme = await _seed(connection, programme, now)
        _check_owners(programme, declared)
        partners = await _partners(connection, declared)
        policies = await rules.Policies.read(connection, now)
        currencies = await _currencies(connection, programme, declared, partners, policies)
        ladders = await _ladders(connection, programme, declared, partners)
        terms = await _terms(connection, declared, programme, partners, currencies, policies)
        terms = await cast(connection, terms, declared, shadows, now)
        version = await connection.fetchval(
            "INSERT INTO rulebook (digest, at) VALUES ($1, $2) "
            "ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest RETURNING version",
            _digest(terms, currencies.values(), ladders.values()),
            now,
        )
    by_id = {c.id: c for c in currencies.values()}
    for partner in terms.values():
        _ = partner.at(now).on(PURCHASE).conditions  # joined here, and not on a request
    return Rulebook(version, terms, by_id, ladders, programme.time_zone, programme.adjustments)


def _check_owners(programme: Programme, declared: Sequence[Declared]) -> None:
    """Refuse, before a row is written, a code that two owners declare; names the later plugin."""
    for field in ("currencies", "ladders"):
        owners = {x.code: "the programme" for x in getattr(programme, field)}
        for d in declared:
            for x in d.partner.currencies if field == "currencies" else d.ladders:
                if x.code in owners:
                    raise BadInput(
                        f"plugin '{d.plugin}' declares {x.code} in its {field}, which is "
                        f"{owners[x.code]}'s already; block the plugin or rename it",
                        field,
                    )
                owners[x.code] = f"plugin '{d.plugin}'"


def _digest(
    terms: Mapping[str, PartnerTerms],
    currencies: Iterable[CurrencyTerms],
    ladders: Iterable[LadderTerms],
) -> str:
    """Tells one rulebook from another: which rule versions, currencies and ladders are in it."""
    content = [
        sorted(
            (p.code, [(r.id, r.from_at, r.until_at) for r in p.earn], sorted(p.issues))
            for p in terms.values()
        ),
        sorted((c.id, c.terms.id) for c in currencies),
        sorted((x.id, x.version, repr(x.ladder)) for x in ladders),
    ]
    return hashlib.blake2b(orjson.dumps(content), digest_size=20).hexdigest()


async def _partners(connection: Connection, declared: Sequence[Declared]) -> dict[str, int]:
    """The partners' ids by their codes; whose plugin is gone is no longer installed."""
    rows = [
        (d.partner.code, d.partner.name, d.partner.time_zone, d.plugin, d.version, True)
        for d in declared
    ]
    ids = await kept(connection, "partner", {"code": "text"}, _PARTNER, rows)
    codes = [row[0] for row in rows]
    await connection.execute(
        "UPDATE partner SET installed = false WHERE installed AND code <> ALL($1)", codes
    )
    return {code: ids[(code,)] for code in codes}


_PARTNER = {
    "name": "text", "time_zone": "text", "plugin": "text", "plugin_version": "text",
    "installed": "bool",
}  # fmt: skip
_CURRENCY = {
    "name": "text",
    "symbol": "text",
    "redeemable": "bool",
    "badge": "bool",
    "owner_id": "int",
}


async def _currencies(
    connection: Connection,
    programme: Programme,
    declared: Sequence[Declared],
    partners: Mapping[str, int],
    policies: Policies,
) -> dict[str, CurrencyTerms]:
    wanted: list[tuple[Currency, str, int | None]] = [
        (c.declared(), programme.time_zone, None) for c in programme.currencies
    ]
    for d in declared:
        theirs = partners[d.partner.code]
        wanted += [(c, d.partner.time_zone, theirs) for c in d.partner.currencies]
    codes: set[str] = set()
    for currency, _, _ in wanted:
        if currency.code in codes:
            raise BadInput(f"two owners declare the currency {currency.code}", "currencies")
        codes.add(currency.code)
    rows = [(c.code, c.name, c.symbol, c.redeemable, c.badge, owner) for c, _, owner in wanted]
    ids = await kept(connection, "currency", {"code": "text"}, _CURRENCY, rows)
    terms: dict[str, CurrencyTerms] = {}
    for currency, owners_zone, owner in wanted:
        number = ids[(currency.code,)]
        policy = currency.policy(currency.time_zone or owners_zone)
        in_force = await policies.version(number, policy)
        terms[currency.code] = CurrencyTerms(
            number, currency.code, currency.name, currency.symbol, in_force, owner,
            policies.slid(number), currency.redeemable,
            tuple(map(Duration.parse, currency.notices)), currency.badge,
        )  # fmt: skip
    return terms


_LADDER = {
    "measure": "text", "window": "text", "hold": "text", "grace": "text", "soft_landing": "bool",
    "time_zone": "text", "tiers": "jsonb", "name": "text", "owner_id": "int", "version": "int",
}  # fmt: skip


async def _ladders(
    connection: Connection,
    programme: Programme,
    declared: Sequence[Declared],
    partners: Mapping[str, int],
) -> dict[int, LadderTerms]:
    wanted: list[tuple[Ladder, str, int | None]] = [
        (x.declared(), programme.time_zone, None) for x in programme.ladders
    ]
    for d in declared:
        wanted += [(x, d.partner.time_zone, partners[d.partner.code]) for x in d.ladders]
    known = {row["code"]: row for row in await connection.fetch("SELECT * FROM ladder")}
    rows: dict[str, tuple[Any, ...]] = {}
    terms: list[tuple[Ladder, str, int | None]] = []
    for ladder, owners_zone, owner in wanted:
        if ladder.code in rows:
            raise BadInput(f"two owners declare the ladder {ladder.code}", "ladders")
        time_zone = ladder.time_zone or owners_zone
        row = await _ladder(connection, known.get(ladder.code), ladder, time_zone, owner)
        rows[ladder.code] = row
        terms.append((ladder, time_zone, owner))
    ids = await kept(connection, "ladder", {"code": "text"}, _LADDER, list(rows.values()))
    found = [
        LadderTerms(ids[(ladder.code,)], ladder, zone, owner, rows[ladder.code][-1])
        for ladder, zone, owner in terms
    ]
    return {ladder.id: ladder for ladder in found}


async def _ladder(
    connection: Connection, row: Row | None, ladder: Ladder, time_zone: str, owner: int | None
) -> tuple[Any, ...]:
    """A ladder as it is stored; what bears on measuring makes a new version of it.

    By its version the engine knows which standings are to be measured anew. Raises BadInput where
    another measure is declared than was counted by: that can't be counted again.
    """
    tiers = [
        {
            "code": t.code, "at": t.at, "name": t.name, "benefits": list(t.benefits),
            "never_down": t.never_down,
        }
        for t in ladder.tiers
    ]  # fmt: skip
    bears = (
        str(ladder.measure), ladder.window, ladder.hold, ladder.grace, ladder.soft_landing,
        time_zone,
    )  # fmt: skip
    version = 1
    if row is not None:
        if row["measure"] != bears[0] and await connection.fetchval(_COUNTED, row["id"]):
            raise BadInput(
                f"the ladder {ladder.code} has counted {row['measure']} so far, and what qualified "
                f"can't be counted anew by {bears[0]}: declare a ladder of another code",
                "ladders",
            )
        before = [(t["at"], t.get("never_down", False)) for t in orjson.loads(row["tiers"])]
        same = before == [(t["at"], t["never_down"]) for t in tiers]
        names = ("measure", "window", "hold", "grace", "soft_landing", "time_zone")
        unchanged = same and bears == tuple(row[name] for name in names)
        version = row["version"] + (0 if unchanged else 1)
    return (ladder.code, *bears, orjson.dumps(tiers).decode(), ladder.name, owner, version)


_COUNTED = (
    "SELECT EXISTS (SELECT FROM standing s JOIN qualification q USING (holder_id, ladder_id) "
    "WHERE s.ladder_id = $1)"
)


async def _terms(
    connection: Connection,
    declared: Sequence[Declared],
    programme: Programme,
    partners: Mapping[str, int],
    currencies: Mapping[str, CurrencyTerms],
    policies: Policies,
) -> dict[str, PartnerTerms]:
    wanted = [
        rules.Wanted(partners[d.partner.code], d.version, rule)
        for d in declared
        for rule in d.rules
    ]
    numbers = iter(await rules.versions(connection, wanted, policies.now))
    written = await rules.activated(connection)
    rewards = await _rewards(connection, declared, partners)
    keys = await pseudonyms.keys(connection, partners.values())
    terms: dict[str, PartnerTerms] = {}
    for d in declared:
        partner = d.partner
        number, contract = partners[partner.code], programme.contract(partner.code)
        own = [c.code for c in partner.currencies]
        issues = _named(partner, "issues", own, contract, currencies)
        earn = [await rules.terms_of(policies, rule, next(numbers), issues) for rule in d.rules]
        offered = {reward.code for reward in d.rewards}
        data = written.get(number, ())
        earn += await rules.judging(policies, partner.code, data, issues, offered)
        terms[partner.code] = PartnerTerms(
            number, partner.code, partner.name, partner.time_zone,
            frozenset(partner.trades_in if contract.trades_in is None else contract.trades_in),
            issues, _named(partner, "accepts", own, contract, currencies), tuple(earn),
            tuple(d.redeem_rules),
            {r.code: RewardTerms(rewards[number, r.code], r) for r in d.rewards},
            contract.late, contract.on_faults, partner.basis, tuple(d.settings),
            {adapter.code: adapter for adapter in d.adapters},
            personal=tuple(d.personal), pseudonyms=Pseudonyms(keys[number]),
            plans={p.code: p for p in d.plans}, giving=d.giving,
            surveys={s.code: s for s in d.surveys},
        )  # fmt: skip
    return terms


def _named(
    partner: Partner,
    field: str,
    own: Sequence[str],
    contract: ContractSettings,
    currencies: Mapping[str, CurrencyTerms],
) -> dict[str, CurrencyTerms]:
    """A partner's own currencies, and the shared ones that its contract (or its plugin) names."""
    agreed = contract.issues if field == "issues" else contract.accepts
    asked = partner.issues if field == "issues" else partner.accepts
    if agreed is None:  # without a word in the contract: what the plugin asks, as far as it exists
        names = [*own, *(code for code in asked if code in currencies)]
    else:
        names = [*own, *agreed]
    for code in names:
        if code not in currencies:
            raise BadInput(
                f"the contract of '{partner.code}' names the currency {code}, which nobody declares",
                "contracts",
                partner.code,
                field,
            )
    return {code: currencies[code] for code in names}


_REWARD = {
    "title": "text", "description": "text", "kind": "text", "prices": "jsonb", "worth": "text",
    "cash": "text", "codes": "text", "reversible": "text", "tier": "jsonb", "limited": "bool",
    "offered": "bool",
}  # fmt: skip
#: The declared stock is what there was at first; from then on the rows count what is left.
_STOCK = """
WITH s AS (
    INSERT INTO reward_stock (reward_id, slice, remaining)
    SELECT * FROM unnest($1::int[], $2::smallint[], $3::bigint[]) ON CONFLICT DO NOTHING RETURNING *
)
INSERT INTO stock_move (reward_id, slice, event_id, kind, amount)
SELECT reward_id, slice, 0, 1, remaining FROM s
"""


async def _rewards(
    connection: Connection, declared: Sequence[Declared], partners: Mapping[str, int]
) -> dict[tuple[int, str], int]:
    """The rewards' ids by partner and code; what is no longer declared is no longer offered."""
    catalogue = [(partners[d.partner.code], r) for d in declared for r in d.rewards]
    rows = [
        (
            partner, r.code, r.title, r.description, str(r.kind),
            orjson.dumps(dict(r.prices)).decode(), r.worth, r.cash, str(r.codes), r.reversible,
            None if r.tier is None else orjson.dumps(list(r.tier)).decode(), r.stock is not None,
            True,
        )
        for partner, r in catalogue
    ]  # fmt: skip
    keys = {"partner_id": "int", "code": "text"}
    found = await kept(connection, "reward", keys, _REWARD, rows)
    ids = {(partner, r.code): found[partner, r.code] for partner, r in catalogue}
    await connection.execute(
        "UPDATE reward SET offered = false WHERE offered AND partner_id = ANY($1) AND id <> ALL($2)",
        list(partners.values()),
        list(ids.values()),
    )
    stock = []
    for partner, r in catalogue:
        if r.stock is not None:
            whole, more = divmod(r.stock, _STOCK_SLICES)
            number = ids[partner, r.code]
            stock += [(number, n, whole + (n < more)) for n in range(_STOCK_SLICES)]
    if stock:
        await connection.execute(_STOCK, *arrays(stock, 3))
    return ids
