"""What an entry that no rule gave is for, as a sentence for its member, with exact figures.

Reads the stored decision, the lots behind the entry and the purchase as it stands. Knows nothing
of who may ask, nor of how an award is told (`schema.explanations`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from core.entries import Account, Kind, Transfer
from core.events import EventKind
from core.membership_desk import PREFIX
from core.receipts import Part, Step, Story
from core.redeemed import Redemption, from_row
from core.store.receipts import Origin
from laurels.durations import zone
from laurels.money import Money
from laurels.policies import Expiry, Pending
from laurels.purchase import Line
from schema.context import Info
from schema.partners import currency_of, partner_of

_MOST_PARTS = 3
_MOST_ORIGINS = 3
_REDEEMING: Mapping[Kind, str] = {
    Kind.ACCRUAL: "{amount} made of {what}.",
    Kind.REDEMPTION: "{amount} redeemed for {what}.",
    Kind.RESERVATION: "{amount} reserved for {what}.",
    Kind.RELEASE: "{amount} given back: {what} was not taken.",
    Kind.REVERSAL: "{amount} given back: the redemption of {what} was reversed{why}.",
}


async def told(info: Info, entry: Transfer) -> str:
    """The sentence for an entry of any kind."""
    currency = await currency_of(info, entry.currency)
    return await _TELLERS[Kind(entry.kind)](info, entry, f"{entry.amount} {currency.name}")


async def content_of(info: Info, entry: Transfer) -> dict[str, Any]:
    """The stored decision behind an entry."""
    content = await info.context.loaders.decision.load((entry.holder, entry.booked_at))
    assert content is not None
    decided: dict[str, Any] = orjson.loads(content)
    return decided


async def origins_of(info: Info, entry: Transfer) -> list[Origin]:
    """The lots behind an entry, as far as they can be told."""
    loaders, key = info.context.loaders, (entry.holder, entry.currency, entry.seq)
    if entry.kind == Kind.ACTIVATION:
        return await _activated(info, entry, await loaders.activated.load(key))
    return await loaders.origins.load(key)


async def _activated(info: Info, entry: Transfer, found: Sequence[Origin]) -> list[Origin]:
    """Of the lots that this activation may mean: the one in its place, if that is certain."""
    posted = await info.context.loaders.posted.load((entry.holder, entry.booked_at))
    alike = [
        t.seq
        for t in posted
        if (t.kind, t.currency, t.rule, t.occurred_at)
        == (entry.kind, entry.currency, entry.rule, entry.occurred_at)
    ]
    if len(alike) == len(found):
        return [found[alike.index(entry.seq)]]
    return [origin for origin in found if origin.amount >= entry.amount]


def _day(at: datetime, time_zone: str) -> str:
    return f"{at.astimezone(zone(time_zone)):%Y-%m-%d}"


def _listed(parts: Sequence[str], most: int, rest: str) -> str:
    """One, two and three; or one, two, three and 4 more."""
    shown = list(parts[:most])
    if len(parts) > most:
        shown.append(f"{len(parts) - most} {rest}")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


# -- what time does ----------------------------------------------------------------------------


async def _expiry(info: Info, entry: Transfer, amount: str) -> str:
    origins = await origins_of(info, entry)
    time_zone = (await currency_of(info, entry.currency)).time_zone
    days = list(dict.fromkeys(_day(o.occurred_at, time_zone) for o in origins))
    since = list(
        dict.fromkeys(
            _day(o.active_at, time_zone)
            for o in origins
            if o.active_at is not None and o.active_at > o.occurred_at
        )
    )
    kept = list(dict.fromkeys(_kept(o.policy) for o in origins if o.policy))
    parts = [f"earned on {_listed(days, _MOST_ORIGINS, 'other days')}"] if days else []
    if since:
        parts.append(f"active since {_listed(since, _MOST_ORIGINS, 'other days')}")
    parts += [" or ".join(kept)] if kept else []
    return f"{amount} expired{': ' if parts else ''}{', '.join(parts)}."


def _kept(policy: str) -> str:
    expiry = Expiry.parse(policy)
    if expiry.days:
        return "kept to the end of " + " or ".join(map(str, expiry.days))
    if expiry.slides_on:
        return f"kept for {expiry.after} from the last {' or '.join(sorted(expiry.slides_on))}"
    return f"kept for {expiry.after}"


async def _activation(info: Info, entry: Transfer, amount: str) -> str:
    origins = await origins_of(info, entry)
    time_zone = (await currency_of(info, entry.currency)).time_zone
    day = _day(entry.occurred_at, time_zone)
    whys = list(dict.fromkeys(_held(o, day, time_zone) for o in origins))
    if len(whys) != 1:
        return f"{amount} became active on {day}."
    return f"{amount} became active{whys[0]}."


def _held(origin: Origin, day: str, time_zone: str) -> str:
    """What points were held back for, and when they were earned."""
    pending = None if origin.held is None else Pending.parse(origin.held)
    receipt = f" with receipt {origin.receipt}" if origin.receipt else ""
    if pending is not None and pending.event:
        of = f" for receipt {origin.receipt}" if origin.receipt else ""
        return f": '{pending.event}' was reported{of} on {day}"
    earned = f": earned{receipt} on {_day(origin.occurred_at, time_zone)}"
    if pending is None or pending.days:
        return f"{earned}, held until {day}"
    return f"{earned}, held for {pending.after}"


async def _lapse(info: Info, entry: Transfer, amount: str) -> str:
    time_zone = (await currency_of(info, entry.currency)).time_zone
    whys = []
    for origin in await origins_of(info, entry):
        event = "" if origin.held is None else Pending.parse(origin.held).event
        of = f" for receipt {origin.receipt}" if origin.receipt else ""
        whys.append(f"'{event}' hadn't been reported{of} by {_day(entry.occurred_at, time_zone)}")
    return f"{amount} lapsed: {_listed(whys, 1, 'more') if whys else 'what they waited for'}."


# -- what came back ----------------------------------------------------------------------------


async def _clawback(info: Info, entry: Transfer, amount: str) -> str:
    verb = "owed" if entry.source == Account.ARREARS else "taken back"
    content = await content_of(info, entry)
    story = await info.context.loaders.story.load(content.get("p", 0))
    if story is None:
        return f"{amount} {verb}."
    time_zone = (await partner_of(info, story.bought.partner)).time_zone
    text = f"{amount} {verb}: {came_back(story, story.step(entry.event), time_zone)}"
    for currency, fall, charged, _, _, forgiven in content["t"]:
        if currency != entry.currency:
            continue
        if charged > entry.amount:
            text += f"; {charged} in all"
        if fall > charged:
            text += f"; {fall - charged} had expired and weren't charged"
        if forgiven:
            text += f"; {forgiven} were let go"
    return f"{text}."


def came_back(story: Story, step: Step, time_zone: str) -> str:
    """What happened to a purchase: `1 of 3 of line 2 of receipt R-1 came back on 2026-03-01`."""
    day = _day(step.occurred_at, time_zone)
    if step.kind is EventKind.WITHDRAWAL:
        return f"{story.bought.trigger} {story.bought.external_id} was withdrawn on {day}"
    receipt = f"receipt {story.bought.external_id}"
    if step.kind is EventKind.CANCEL:
        return f"{receipt} was cancelled on {day}"
    if step.kind is EventKind.EDIT:
        return f"{receipt} was changed to revision {step.content['rev']} on {day}"
    lines, code = story.bought.remains.lines, story.bought.money
    parts = [x for part in step.parts for x in _parts(part, lines[part.line - 1], code)]
    if not parts:
        parts = [str(Money(step.money, code))]
    return f"{_listed(parts, _MOST_PARTS, 'other parts')} of {receipt} came back on {day}"


def _parts(part: Part, line: Line, code: str) -> list[str]:
    said = []
    if part.quantity:
        whole = part.quantity == line.quantity
        of = f"{quantity_text(part.quantity)} of {quantity_text(line.quantity)} of "
        said.append(f"{'' if whole else of}line {part.line}")
    if part.amount:
        said.append(f"{Money(part.amount, code)} of line {part.line}")
    return said


def quantity_text(thousandths: int) -> str:
    """A quantity as a person writes it: 2, 1.25."""
    whole, rest = divmod(thousandths, 1000)
    return f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)


# -- what was asked for --------------------------------------------------------------------------


async def _redeeming(info: Info, entry: Transfer, amount: str) -> str:
    """What a redemption's posting was for: a reward by its title, or money off."""
    redemption, *_ = (await content_of(info, entry))["r"]
    row = await info.context.loaders.redemption.load((entry.holder, redemption))
    assert row is not None
    found = from_row(row)
    what, why = f"{found.worth} off a bill", f" ({found.reason})" if found.reason else ""
    if found.reward is None and found.worth is None:
        what = f"a term of '{await _plan_of(info, found)}'"
    elif found.reward is not None:
        reward = await info.context.loaders.reward.load(found.reward)
        assert reward is not None
        what = (
            f"{found.quantity} times '{reward.title}'"
            if found.quantity > 1
            else f"'{reward.title}'"
        )
    return _REDEEMING[Kind(entry.kind)].format(amount=amount, what=what, why=why)


async def _plan_of(info: Info, found: Redemption) -> str:
    """The title of the plan whose fee was paid, its code where it is gone."""
    partner = info.context.engine.rulebook.partner_by_id(found.partner)
    code = (found.rule or "").removeprefix(PREFIX)
    plan = None if partner is None else partner.plans.get(code)
    return code if plan is None else plan.title


async def _adjustment(info: Info, entry: Transfer, amount: str) -> str:
    verb = "taken away" if entry.source == Account.ACTIVE else "added"
    code = (await content_of(info, entry))["r"][4]
    reasons = info.context.engine.rulebook.adjustments.reasons
    return f"{amount} {verb} by hand: {reasons.get(code, code)}."


async def _gift(info: Info, entry: Transfer, amount: str) -> str:
    *_, code = (await content_of(info, entry))["r"]
    partner = info.context.engine.rulebook.partner_by_id(entry.partner)
    values = {} if partner is None or partner.giving is None else partner.giving.values
    what = f", for {values.get(code, code)}" if code else ""
    given = entry.source == Account.ACTIVE
    return f"{amount} {'given to' if given else 'received from'} a colleague{what}."


async def _repayment(info: Info, entry: Transfer, amount: str) -> str:
    return f"{amount} repaid what was owed."


async def _accrual(info: Info, entry: Transfer, amount: str) -> str:
    if "m" in await content_of(info, entry):  # a reward that is made into points
        return await _redeeming(info, entry, amount)
    return f"{amount} earned."


_Teller: TypeAlias = Callable[[Info, Transfer, str], Awaitable[str]]
_TELLERS: Mapping[Kind, _Teller] = {
    Kind.ACCRUAL: _accrual,
    Kind.REDEMPTION: _redeeming,
    Kind.EXPIRY: _expiry,
    Kind.RESERVATION: _redeeming,
    Kind.RELEASE: _redeeming,
    Kind.REPAYMENT: _repayment,
    Kind.ACTIVATION: _activation,
    Kind.CLAWBACK: _clawback,
    Kind.LAPSE: _lapse,
    Kind.ADJUSTMENT: _adjustment,
    Kind.REVERSAL: _redeeming,
    Kind.GIFT: _gift,
}
