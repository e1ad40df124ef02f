"""What a redemption asks for, and what that comes to: points, worth, cash, how long it is held.

Knows neither a ledger nor a connection: what is taken is `core.redemptions`'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from core.errors import BadInput, NotAllowed, UnknownReference
from core.purchases import check_text
from core.rulebook import CurrencyTerms, PartnerTerms, RewardTerms
from laurels.durations import Duration
from laurels.money import Money
from laurels.rewards import CodeSource

#: As many pieces of a reward as one redemption takes.
MOST_PIECES = 100


@dataclass(frozen=True, slots=True)
class RedeemRequest:
    """What is asked for. `currency` may stay None where the reward has one price only.

    `order` is the external id of the purchase that it comes with: cancelled, it goes back too.
    """

    caller: str
    key: str
    partner: str
    holder: int
    reward: str
    currency: str | None = None
    hold: Duration | None = None
    quantity: int = 1
    order: str | None = None


class Taken(NamedTuple):
    """What is to be taken, and for what: pieces of a reward, or money off by a redeem rule.

    `made` are the points that are issued for it, by currency.
    """

    reward: int | None
    rule: str | None
    currency: int
    quantity: int
    points: int
    worth: Money | None
    cash: Money | None
    reversible: str | None
    order: str | None
    stocked: bool = False
    pooled: bool = False
    made: tuple[tuple[CurrencyTerms, int], ...] = ()


def priced(partner: PartnerTerms, request: RedeemRequest) -> tuple[RewardTerms, CurrencyTerms]:
    """The reward meant, and what pays for it. Raises UnknownReference or BadInput."""
    reward = partner.rewards.get(request.reward)
    if reward is None:
        raise UnknownReference(f"{partner.name} offers no reward '{request.reward[:64]}'", "reward")
    prices = [c for c in reward.reward.prices if c in partner.accepts]
    code = request.currency or (prices[0] if len(prices) == 1 else None)
    if code is None:
        raise BadInput(f"choose a currency: {', '.join(prices) or 'none is accepted'}", "currency")
    if code not in prices:
        raise BadInput(f"'{reward.reward.title}' isn't to be had for {code[:64]}", "currency")
    return reward, partner.accepts[code]


def hold_of(reward: RewardTerms, request: RedeemRequest) -> Duration | None:
    """How long the points are held; of what a person hands out, as long as the reward says."""
    if reward.reward.fulfilled is None:
        return request.hold
    if request.hold is not None:
        raise BadInput("it is handed out by a person, and held until then", "hold")
    return Duration.parse(reward.reward.fulfilled)


def check_order(order: str | None) -> None:
    """Raise BadInput where an order's external id is none."""
    if order is not None:
        check_text(order, "order", 200, least=1)


def taken_for(
    partner: PartnerTerms, reward: RewardTerms, currency: CurrencyTerms, request: RedeemRequest
) -> Taken:
    """What a request comes to. Raises BadInput, or NotAllowed where the partner may not issue."""
    terms, n = reward.reward, request.quantity
    return Taken(
        reward.id, None, currency.id, n, n * terms.prices[currency.code], _times(n, terms.worth),
        _times(n, terms.cash), terms.reversible, request.order, terms.stock is not None,
        terms.codes is CodeSource.POOL, _made(partner, reward, request),
    )  # fmt: skip


def _made(
    partner: PartnerTerms, reward: RewardTerms, request: RedeemRequest
) -> tuple[tuple[CurrencyTerms, int], ...]:
    """What is issued for it. Raises BadInput, or NotAllowed where the partner may not.

    At once alone: points that a hold or a cancelled order takes back may be spent by then.
    """
    made = reward.reward.made
    for field, asked in (("hold", request.hold), ("order", request.order)):
        if made and asked is not None:
            raise BadInput("what is made into other points is made at once, on no order", field)
    for code in made:
        if code not in partner.issues:
            raise NotAllowed(f"partner '{partner.code}' may not issue {code}", "reward")
    return tuple((partner.issues[code], request.quantity * n) for code, n in sorted(made.items()))


def _times(quantity: int, money: str | None) -> Money | None:
    if money is None:
        return None
    one = Money.parse(money)
    return Money(quantity * one.minor, one.currency)
