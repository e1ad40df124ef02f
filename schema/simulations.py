"""What-if over real history: asked for, watched, cancelled, and what it came to.

Knows nothing of how history is judged: `core.simulation` does.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core import simulating as engine
from core.errors import BadInput, UnknownReference
from core.replaying import Change
from core.rule_changes import checked
from core.rule_definitions import RuleDefinition
from core.rulebook import LadderTerms, PartnerTerms
from core.simulation import Affected, Report, TierShift
from core.store import simulations as store
from schema.access import MANAGERS, STAFF, allow, allow_change, partner_for
from schema.context import Context, Info
from schema.enums import words
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.ids import numbers, parse_id
from schema.ladders import Tier
from schema.paging import NEWEST, After, First, check_first, cursor, page, read_number
from schema.partners import Currency, Partner, partner_of
from schema.redemptions import LazyMember
from schema.rule_inputs import DataRuleInput, said_by
from schema.scalars import BigInt


class SimulationState(enum.Enum):
    """Where a simulation stands; the numbers are the engine's."""

    WAITING = store.State.WAITING.value
    RUNNING = store.State.RUNNING.value
    DONE = store.State.DONE.value
    CANCELLED = store.State.CANCELLED.value
    FAILED = store.State.FAILED.value


words(
    SimulationState,
    "Where a simulation stands.",
    WAITING="It waits for a worker.",
    RUNNING="A worker runs it.",
    DONE="It ran to its end.",
    CANCELLED="Somebody stopped it.",
    FAILED="It couldn't be run.",
)


@strawberry.type(description="What history comes to in one currency.")
class SimulatedCurrency:
    """Points that are still earned: what came back counts no more."""

    currency: Currency = strawberry.field(description="The unit.")
    booked: BigInt = strawberry.field(description="What stands in the books.")
    now: BigInt = strawberry.field(description="What the rules in force give.")
    then: BigInt = strawberry.field(description="What the other rules would have given.")
    change: BigInt = strawberry.field(description="By how much more, or below zero less.")
    outstanding: BigInt = strawberry.field(
        description="How much of that would not have expired by now: what it would add to the "
        "programme's liability, but for what members would have spent."
    )


@strawberry.type(description="What one rule gives over the period.")
class SimulatedRule:
    """All of its points, whichever the currency."""

    code: str = strawberry.field(description="The rule's code.")
    now: BigInt = strawberry.field(description="By the rules in force.")
    then: BigInt = strawberry.field(description="By the other rules.")


@strawberry.type(description="A member who would have more, or less.")
class SimulatedMember:
    """In one currency."""

    holder: strawberry.Private[int]
    currency: Currency = strawberry.field(description="The unit.")
    now: BigInt = strawberry.field(description="The points by the rules in force.")
    then: BigInt = strawberry.field(description="The points by the other rules.")

    @answer("Who. Null where the viewer's key reads no members.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # a circle, closed here

        return await visible_member(info, self.holder)


@strawberry.type(description="Members who would stand on another tier today.")
class SimulatedTierChange:
    """So many."""

    ladder: str = strawberry.field(description="The ladder's code.")
    now: Tier = strawberry.field(description="Where they stand.")
    then: Tier = strawberry.field(description="Where they would stand.")
    members: int = strawberry.field(description="How many.")


@strawberry.type(description="What a partner's history comes to by other rules.")
class SimulationReport:
    """Rules are told the tiers that were held at the time."""

    purchases: int = strawberry.field(description="How many purchases were judged.")
    failed: int = strawberry.field(
        description="On how many of them a rule failed: these are in no other figure."
    )
    otherwise: int = strawberry.field(
        description="How many the rules in force judge otherwise than they were booked: rules, or "
        "the plugin, have changed since."
    )
    members: int = strawberry.field(description="How many members would have more, or less.")
    currencies: list[SimulatedCurrency] = strawberry.field(description="By currency.")
    rules: list[SimulatedRule] = strawberry.field(description="By rule.")
    winners: list[SimulatedMember] = strawberry.field(description="Who would gain most.")
    losers: list[SimulatedMember] = strawberry.field(description="Who would lose most.")
    tiers: list[SimulatedTierChange] = strawberry.field(description="Who would change tier.")

    @classmethod
    def of(cls, context: Context, report: Report) -> SimulationReport:
        """From the engine; what is no longer declared is left out."""
        rulebook = context.engine.rulebook
        units = {c.code: Currency.of(c) for c in rulebook.currencies.values()}
        return cls(
            purchases=report.purchases, failed=report.failed, otherwise=report.otherwise,
            members=report.members,
            currencies=[
                SimulatedCurrency(
                    currency=units[code], booked=BigInt(x.booked), now=BigInt(x.now),
                    then=BigInt(x.then), change=BigInt(x.then - x.now),
                    outstanding=BigInt(x.outstanding),
                )
                for code, x in sorted(report.currencies.items()) if code in units
            ],
            rules=[
                SimulatedRule(code=code, now=BigInt(was), then=BigInt(would))
                for code, (was, would) in sorted(report.rules.items())
            ],
            winners=[_affected(units, x) for x in report.winners if x.currency in units],
            losers=[_affected(units, x) for x in report.losers if x.currency in units],
            tiers=[
                _shift(rulebook.ladders[x.ladder], x)
                for x in report.tiers if x.ladder in rulebook.ladders
            ],
        )  # fmt: skip


def _affected(units: dict[str, Currency], x: Affected) -> SimulatedMember:
    return SimulatedMember(
        holder=x.holder, currency=units[x.currency], now=BigInt(x.now), then=BigInt(x.then)
    )


def _shift(ladder: LadderTerms, x: TierShift) -> SimulatedTierChange:
    return SimulatedTierChange(
        ladder=ladder.ladder.code, now=Tier.at(ladder, x.now), then=Tier.at(ladder, x.then),
        members=x.members,
    )  # fmt: skip


@strawberry.type(description="A partner's history, judged again by other rules. Books nothing.")
class Simulation(relay.Node):
    """Done by a worker; look again for how far it has come."""

    key: relay.NodeID[int]
    run: strawberry.Private[store.Run]
    state: SimulationState = strawberry.field(description="Where it stands.")
    from_at: datetime = strawberry.field(name="from", description="Purchases from then on,")
    until_at: datetime = strawberry.field(name="until", description="and before then.")
    requested_at: datetime = strawberry.field(description="When it was asked for.")
    done: int = strawberry.field(description="How many purchases are judged so far.")
    total: int = strawberry.field(description="Of how many; 0 while that isn't known.")
    problem: str = strawberry.field(description="Why it failed; else empty.")

    @answer("Whose rules.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.run.partner)

    @answer("The draft that was tried; null: rules were only left out.")
    def draft(self) -> str | None:
        draft = engine.meant(self.run.asked).draft
        return None if draft is None else draft.code

    @answer("The codes of rules that were left out.")
    def without(self) -> list[str]:
        return list(engine.meant(self.run.asked).without)

    @answer("What it came to; null while it isn't done.")
    def report(self, info: Info) -> SimulationReport | None:
        stored = self.run.report
        if stored is None:
            return None
        return SimulationReport.of(info.context, engine.report_of(stored))

    @classmethod
    def of(cls, run: store.Run) -> Simulation:
        """From the store."""
        return cls(
            key=run.id, run=run, state=SimulationState(run.state.value), from_at=run.begin,
            until_at=run.end, requested_at=run.requested_at, done=run.done, total=run.total,
            problem=run.problem,
        )  # fmt: skip


@strawberry.input(description="Other rules, and a period of history to judge by them.")
class SimulateRulesInput:
    """A draft, rules to leave out, or both."""

    key: str = strawberry.field(description="The idempotency key.")
    partner: str = strawberry.field(description="The code of the partner whose history it is.")
    draft: strawberry.Maybe[DataRuleInput] = strawberry.field(
        description="A data rule to try, saved or not, in place of one of its code."
    )
    without: list[str] = strawberry.field(
        default_factory=list, description="Codes of rules to leave out."
    )
    from_at: datetime = strawberry.field(name="from", description="Purchases from then on,")
    until_at: datetime = strawberry.field(name="until", description="and before then.")


@strawberry.type(description="The simulation is under way, or was already.")
class SimulationAsked:
    """Look at it again by its id."""

    replayed: bool = strawberry.field(description="Whether its key asked for it before.")
    simulation: Simulation = strawberry.field(description="As it stands.")


@strawberry.input(description="A simulation to stop.")
class CancelSimulationInput:
    """Safe to send again."""

    id: strawberry.ID = strawberry.field(description="Which one.")


@strawberry.type(description="The simulation is cancelled.")
class SimulationCancelled:
    """It judges no further."""

    simulation: Simulation = strawberry.field(description="As it stands.")


SimulateResult = Annotated[
    SimulationAsked
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError,
    strawberry.union("SimulateRulesResult", description="The simulation, or what is wrong."),
]
CancelResult = Annotated[
    SimulationCancelled | BadInputError | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("CancelSimulationResult", description="Cancelled, or why not."),
]


@strawberry.type(description="Queries on simulations.")
class SimulationQueries:
    """For whoever writes rules."""

    @answer(
        "Simulations, newest first. A partner is told its own.",
        extensions=allow(partner="rules:read", admin=STAFF),
    )
    async def simulations(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[Simulation]:
        own = info.context.partner
        if info.context.viewer.role == "partner" and own is None:
            return page([], first, after, _cursor)
        before = read_number("simulation", after, NEWEST)
        runs = await store.of_partner(
            None if own is None else own.id, before, check_first(first) + 1
        )
        return page([Simulation.of(run) for run in runs], first, after, _cursor)


def _cursor(node: Simulation) -> str:
    return cursor("simulation", node.run.id)


def _checked(partner: PartnerTerms, given: DataRuleInput, since: datetime) -> RuleDefinition:
    """What was sent; raises BadInput naming the field within `draft`."""
    try:
        return checked(partner, said_by(given), since)
    except BadInput as refusal:
        raise refusal.under("draft") from None


@strawberry.type(description="Commands on simulations.")
class SimulationMutations:
    """Books nothing."""

    @change(
        "Judge a partner's history again by other rules, in the background. Books nothing.",
        extensions=allow_change(partner="rules:write", admin=MANAGERS),
    )
    async def simulate_rules(
        self,
        info: Info,
        input: Annotated[SimulateRulesInput, strawberry.argument(description="What to try.")],
    ) -> SimulateResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        draft = None if input.draft is None else _checked(partner, input.draft.value, input.from_at)
        asked = await engine.ask(
            context.engine, partner, Change(draft, tuple(input.without)),
            (input.from_at, input.until_at), (context.viewer.caller, input.key), context.instant,
        )  # fmt: skip
        return SimulationAsked(replayed=asked.replayed, simulation=Simulation.of(asked.run))

    @change("Stop a simulation.", extensions=allow_change(partner="rules:write", admin=MANAGERS))
    async def cancel_simulation(
        self,
        info: Info,
        input: Annotated[CancelSimulationInput, strawberry.argument(description="Which one.")],
    ) -> CancelResult | None:
        kind, key = parse_id(info.context, input.id, "id")
        found = numbers(key, 1) if kind == "Simulation" else None
        if found is None or await visible_simulation(info, found[0]) is None:
            raise UnknownReference("no such simulation", "id")
        return SimulationCancelled(simulation=Simulation.of(await engine.cancel(found[0])))


async def visible_simulation(info: Info, number: int) -> Simulation | None:
    """The simulation of this number, if there is one and the viewer may read it."""
    context = info.context
    if context.viewer.role not in ("partner", "admin"):
        return None
    run = await store.read(number)
    own = context.partner
    others = context.viewer.role == "partner" and (
        own is None or run is None or own.id != run.partner
    )
    return None if run is None or others else Simulation.of(run)
