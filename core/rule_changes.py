"""A partner's staff write data rules: saved as revisions, put in force, ended.

A revision is never changed, and goes into force once. From its commit on every process judges what
happens by it; what happened before keeps the rules of its time, however late it is told. Knows
nothing of who may write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from core.data_rules import DataRule, parse, rule_of
from core.db import transaction
from core.errors import BadInput, UnknownReference, WrongState
from core.posting import Engine
from core.purchases import check_text, find_partner
from core.rule_definitions import RuleDefinition
from core.rulebook import PartnerTerms, RuleTerms
from core.store import data_rules as store
from core.store import shadows
from core.store.data_rules import DataRuleRow
from core.store.rules import Wanted, versions
from laurels.caps import Budget, Ceiling, shared_by
from laurels.lasting import ceilings_of, group_of, unwrapped
from laurels.rules import EarnRule

__all__ = [
    "Changed",
    "DataRuleRow",
    "activate",
    "checked",
    "draft_of",
    "end",
    "reset",
    "save",
    "shadow",
]

#: As many revisions as one rule may have.
MOST_REVISIONS = 1000


class Changed(NamedTuple):
    """A revision as it stands; `replayed` where it stood so before."""

    row: DataRuleRow
    replayed: bool = False


def checked(partner: PartnerTerms, given: Mapping[str, Any], since: datetime) -> RuleDefinition:
    """What a rule says, held against its partner's contract and the rules in force since then.

    One that names no basis is on its partner's usual one of now. Raises BadInput naming the field.
    """
    definition = parse(given).with_basis(partner.basis)
    _check(partner, definition, since)
    return definition


def _check(partner: PartnerTerms, definition: RuleDefinition, since: datetime) -> None:
    if definition.issue is not None and definition.issue.reward not in partner.rewards:
        raise BadInput(
            f"'{partner.code}' offers no reward '{definition.issue.reward}'", "issue", "reward"
        )
    if definition.currency is not None and definition.currency not in partner.issues:
        effect = "award" if definition.award is not None else "multiply"
        allowed = ", ".join(sorted(partner.issues)) or "none"
        raise BadInput(
            f"'{partner.code}' may not issue {definition.currency[:64]}: {allowed}",
            effect, "currency",
        )  # fmt: skip
    if any(r.rule.code == definition.code and not _of_data(r) for r in partner.earn):
        raise BadInput(f"the plugin has a rule {definition.code}: choose another code", "code")
    others = [r for r in partner.earn if r.until_at is None or r.until_at > since]
    _check_group(others, definition)
    _check_shared([(r.rule.code, r.ceilings) for r in others], definition)


def _check_group(others: Sequence[RuleTerms], definition: RuleDefinition) -> None:
    """A group chooses in one way: raises BadInput where the partner has it in another."""
    if definition.group is None:
        return
    wanted = definition.group.declared()
    for terms in others:
        group = group_of(terms.rule)
        if group is None or terms.rule.code == definition.code or group.code != wanted.code:
            continue
        if (group.mode, group.each_line) != (wanted.mode, wanted.each_line):
            how = f"{group.mode}{' on each line' if group.each_line else ''}"
            raise BadInput(f"rule {terms.rule.code} has this group as {how}", "group")


def _check_shared(
    others: Sequence[tuple[str, Sequence[Ceiling]]], definition: RuleDefinition
) -> None:
    """What rules share is the same for all of them: raises BadInput where another says otherwise.

    A revision to be may say otherwise of what its rule alone has.
    """
    mine = shared_by(ceilings_of(rule_of(definition)))
    for code, ceilings in others:
        if code == definition.code:
            continue
        for key, other in shared_by(ceilings).items():
            if mine.get(key, other) != other:
                field = "budget" if isinstance(other, Budget) else "caps"
                raise BadInput(f"rule {code} has it as: {other}", field)


def _judging(said: Mapping[str, Any]) -> EarnRule | None:
    """A rule in force; None where it can't judge any more, and was left out for that."""
    try:
        return rule_of(RuleDefinition.model_validate(said))
    except (BadInput, ValueError):
        return None


def _of_data(rule: RuleTerms) -> bool:
    return rule.from_at is not None


def draft_of(partner: PartnerTerms, definition: RuleDefinition, at: datetime) -> PartnerTerms:
    """The partner with its rules of an instant and this one, in place of one of its code."""
    return partner.with_rules(placed(partner.at(at).earn, rule_of(definition)))


def placed(others: Sequence[RuleTerms], draft: EarnRule) -> tuple[RuleTerms, ...]:
    """Rules with a draft where it would stand: data rules come after a plugin's, by their code."""
    kept = [r for r in others if r.rule.code != draft.code]
    later = (
        n for n, r in enumerate(kept)
        if isinstance(unwrapped(r.rule), DataRule) and r.rule.code > draft.code
    )  # fmt: skip
    place = next(later, len(kept))
    return (*kept[:place], RuleTerms(0, draft), *kept[place:])


async def save(
    partner: PartnerTerms, definition: RuleDefinition, caller: str, now: datetime
) -> Changed:
    """Keep a new revision of a `checked` rule, in force nowhere yet. The same again is the same.

    Raises BadInput where there are too many.
    """
    said = definition.model_dump(mode="json", exclude_defaults=True)
    async with transaction() as connection:
        before = await store.lock(connection, partner.id, definition.code)
        if before and before[0].definition == said and not _ended(before[0], now):
            return Changed(before[0], replayed=True)
        if len(before) >= MOST_REVISIONS:
            raise BadInput(f"a rule has at most {MOST_REVISIONS} revisions", "code")
        revision = before[0].revision + 1 if before else 1
        row = DataRuleRow(
            partner.id, definition.code, revision, said, caller, now, None, None, None
        )  # fmt: skip
        await store.add(connection, row)
        return Changed(row)


async def activate(
    engine: Engine,
    partner: str,
    code: str,
    revision: int,
    now: datetime,
    *,
    from_at: datetime | None = None,
    until_at: datetime | None = None,
) -> Changed:
    """Put a revision in force, from now or later on; the one before it ends there.

    Raises UnknownReference, BadInput (a time gone by) or WrongState.
    """
    terms = find_partner(engine.rulebook, partner)
    start = now if from_at is None else from_at
    if start < now:
        raise BadInput("what has happened keeps its rules: from now on, or later", "from")
    if until_at is not None and until_at <= start:
        raise BadInput("it ends after it begins", "until")
    async with transaction() as connection:
        rows = await store.lock(connection, terms.id, _code(code))
        row = _revision(rows, revision)
        if row.from_at is not None:
            if _same(row, from_at, until_at):
                return Changed(row, replayed=True)
            raise WrongState("this revision was in force already: save it again", "revision")
        definition = parse(row.definition)
        _check(terms, definition, start)
        # As it stands now: another server may have put one in force of which this one hasn't heard.
        others = [
            RuleTerms(0, rule)
            for said in await store.in_force(connection, terms.id, start)
            if (rule := _judging(said)) is not None
        ]
        _check_group(others, definition)
        _check_shared([(r.rule.code, r.ceilings) for r in others], definition)
        for other in rows:
            if other.from_at is None or (other.until_at is not None and other.until_at <= start):
                continue
            if other.from_at >= start:
                raise WrongState(
                    f"revision {other.revision} begins {other.from_at.isoformat()}: end it first",
                    "from",
                )
            await store.end(connection, other, start)
        rule = rule_of(definition)
        wanted = [Wanted(terms.id, "", rule)]
        (number,) = await versions(connection, wanted, start, anew=True)
        await store.put_in_force(connection, row, number, start, until_at)
        await store.tell(connection)
    await engine.renew(now)
    in_force = row._replace(rule=number, from_at=start, until_at=until_at, shadow_at=None)
    return Changed(in_force)


async def shadow(
    engine: Engine, partner: str, code: str, revision: int, now: datetime, *, on: bool
) -> Changed:
    """Let a draft judge in shadow, in place of its rule and of other drafts of it; or no more.

    Raises UnknownReference, BadInput (it says what it may not, by now) or WrongState.
    """
    terms = find_partner(engine.rulebook, partner)
    async with transaction() as connection:
        rows = await store.lock(connection, terms.id, _code(code))
        row = _revision(rows, revision)
        if (row.shadow_at is not None) == on:
            return Changed(row, replayed=True)
        if on and row.from_at is not None:
            raise WrongState("this revision was in force already: save it again", "revision")
        if on:
            checked(terms, row.definition, now)
        since = now if on else None
        await store.shadow(connection, row, since)
        await store.tell(connection)
    await engine.renew(now)
    return Changed(row._replace(shadow_at=since))


async def end(
    engine: Engine, partner: str, code: str, now: datetime, *, at: datetime | None = None
) -> Changed:
    """End the revision that is in force, or is to be, now or later on.

    Raises UnknownReference, BadInput (a time gone by) or WrongState where there is none.
    """
    terms = find_partner(engine.rulebook, partner)
    until = now if at is None else at
    if until < now:
        raise BadInput("what has happened keeps its rules: now, or later", "at")
    async with transaction() as connection:
        rows = await store.lock(connection, terms.id, _code(code))
        open_ones = [r for r in rows if r.from_at is not None and not _ended(r, now)]
        if not open_ones:
            raise WrongState("nothing of it is in force, or is to be", "code")
        row = open_ones[0]  # the latest: what is to begin goes first
        assert row.from_at is not None
        stop = max(until, row.from_at)
        if row.until_at == stop:
            return Changed(row, replayed=True)
        await store.end(connection, row, stop)
        await store.tell(connection)
    await engine.renew(now)
    return Changed(row._replace(until_at=stop))


async def reset(engine: Engine, partner: str, now: datetime) -> PartnerTerms:
    """Begin a partner's shadow anew: another run, that isn't paused. Returns the partner with it.

    Raises UnknownReference; WrongState where nothing of it is in shadow.
    """
    terms = find_partner(engine.rulebook, partner)
    if terms.shadow is None:
        raise WrongState(f"nothing of '{terms.code}' judges in shadow", "partner")
    await shadows.end(terms.id, terms.shadow.run, now)
    await engine.renew(now)
    return find_partner(engine.rulebook, partner)


def _code(code: str) -> str:
    check_text(code, "code", 64, least=1)
    return code


def _revision(rows: Sequence[DataRuleRow], revision: int) -> DataRuleRow:
    if not rows:
        raise UnknownReference("no such rule was saved", "code")
    for row in rows:
        if row.revision == revision:
            return row
    raise UnknownReference(f"the latest revision is {rows[0].revision}", "revision")


def _same(row: DataRuleRow, from_at: datetime | None, until_at: datetime | None) -> bool:
    return from_at in (None, row.from_at) and until_at in (None, row.until_at)


def _ended(row: DataRuleRow, now: datetime) -> bool:
    return row.until_at is not None and row.until_at <= now
