"""Declarations: what a partner may say, and that each refusal names what and which field."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels import Reward
from laurels.declarations import (
    Currency,
    Ladder,
    Measure,
    MeasureKind,
    Partner,
    Tier,
    currency_code,
    spend,
    visits,
)
from laurels.durations import Duration
from laurels.errors import DeclarationError
from laurels.policies import Expiry, Pending, Policy, Renewal, Returns

relaxed = settings(deadline=None)
STAR = Currency("STAR", "Stars", "★", "12M_U", "Europe/Istanbul")
BRONZE, GOLD = Tier("bronze", 0), Tier("gold", 100)
MOST = 10**15
NO_DURATION = (
    "is no duration: a whole number and h, D, W, M or Y, then perhaps _D (down to the unit's "
    "start) or _U (up to the next unit's start), then perhaps the unit to round to: 12M_UQ"
)
EXPIRY = "it reads 12M_U, on 12-31, or sliding 6M on earning spending"
PENDING = "it reads 14D, on 04-01 10-01, or until EVENT within 30D"
CODE = "a code is a text of 1 to 64 characters, not"
CHARACTERS = "a code has ASCII letters, digits, '.', '_', '-' only"
ISO = "a money currency is an ISO 4217 code such as EUR, not"

PLAIN: dict[Any, dict[str, Any]] = {
    Currency: {"code": "STAR", "name": "Stars"},
    Measure: {"kind": MeasureKind.VISITS},
    Tier: {"code": "gold", "at": 100},
    Ladder: {"code": "club", "measure": visits(), "tiers": [BRONZE, GOLD]},
    Reward: {"code": "mug", "title": "A mug", "price": {STAR: 50}},
    Partner: {"code": "cafe", "name": "Cafe"},
}

REFUSALS: list[tuple[Any, dict[str, Any], str]] = [
    (Currency, {"code": ""}, f"currency: {CODE} ''"),
    (Currency, {"code": "a b"}, f"currency 'a b': {CHARACTERS}"),
    (
        Currency,
        {"name": ""},
        "currency STAR: name: a text of 1 to 100 characters is wanted, not ''",
    ),
    (
        Currency,
        {"name": "x" * 101},
        f"currency STAR: name: a text of 1 to 100 characters is wanted, not '{'x' * 59}",
    ),
    (
        Currency,
        {"symbol": "s" * 17},
        f"currency STAR: symbol: a text of at most 16 characters is wanted, not '{'s' * 17}'",
    ),
    (
        Currency,
        {"symbol": "\0"},
        "currency STAR: symbol: a text of at most 16 characters is wanted, not '\\x00'",
    ),
    (
        Currency,
        {"symbol": None},
        "currency STAR: symbol: a text of at most 16 characters is wanted, not None",
    ),
    (Currency, {"expires": "30"}, f"currency STAR: expires: '30' {NO_DURATION}"),
    (Currency, {"expires": 30}, f"currency STAR: expires: 30: {EXPIRY}"),
    (Currency, {"expires": ""}, f"currency STAR: expires: '': {EXPIRY}"),
    (Currency, {"expires": "0D"}, "currency STAR: expires: '0D' is no duration: from 1D to 9999D"),
    (Currency, {"time_zone": "Mars"}, "currency STAR: time_zone: 'Mars' is no IANA time zone"),
    (Currency, {"time_zone": 3}, "currency STAR: time_zone: 3 is no IANA time zone"),
    (Currency, {"pending": "soon"}, f"currency STAR: pending: 'soon' {NO_DURATION}"),
    (Currency, {"pending": 14}, f"currency STAR: pending: 14: {PENDING}"),
    (
        Currency,
        {"returns": "never"},
        "currency STAR: returns: 'never': it is pending, within-balance, arrears",
    ),
    (
        Currency,
        {"returns": None},
        "currency STAR: returns: None: it is pending, within-balance, arrears",
    ),
    (Currency, {"grace": "on 12-31"}, f"currency STAR: grace: 'on 12-31' {NO_DURATION}"),
    (Currency, {"grace": 5}, f"currency STAR: grace: 5 {NO_DURATION}"),
    (
        Currency,
        {"notices": "30D"},
        "currency STAR: notices: a sequence of str is wanted, not '30D'",
    ),
    (Currency, {"notices": [30]}, "currency STAR: notices: 30 is no str"),
    (Currency, {"notices": ["30D", "soon"]}, f"currency STAR: notices: 'soon' {NO_DURATION}"),
    (Currency, {"redeemable": 1}, "currency STAR: redeemable: yes or no, not 1"),
    (Currency, {"badge": "gold"}, "currency STAR: badge: yes or no, not 'gold'"),
    (Currency, {"redeemable": None}, "currency STAR: redeemable: yes or no, not None"),
    (
        Measure,
        {"kind": "karma"},
        "measure: 'karma' is none: earned:CURRENCY, spend:MONEY or visits",
    ),
    (Measure, {"kind": MeasureKind.SPEND, "unit": "eur"}, f"measure spend: {ISO} 'eur'"),
    (Measure, {"kind": MeasureKind.EARNED}, f"measure earned: {CODE} ''"),
    (Measure, {"unit": "EUR"}, "measure visits: has no unit, not 'EUR'"),
    (Tier, {"code": "x y"}, f"tier 'x y': {CHARACTERS}"),
    (Tier, {"at": -1}, f"tier gold: at: a whole number from 0 to {MOST}, not -1"),
    (Tier, {"at": True}, f"tier gold: at: a whole number from 0 to {MOST}, not True"),
    (Tier, {"at": 1.0}, f"tier gold: at: a whole number from 0 to {MOST}, not 1.0"),
    (Tier, {"at": MOST + 1}, f"tier gold: at: a whole number from 0 to {MOST}, not {MOST + 1}"),
    (Tier, {"never_down": 1}, "tier gold: never_down: it is True or False, not 1"),
    (Tier, {"name": " "}, "tier gold: name: a text of 1 to 100 characters is wanted, not ' '"),
    (Tier, {"benefits": "tea"}, "tier gold: benefits: a sequence of str is wanted, not 'tea'"),
    (Tier, {"benefits": {"tea"}}, "tier gold: benefits: a sequence of str is wanted, not {'tea'}"),
    (Tier, {"benefits": [5]}, "tier gold: benefits: 5 is no str"),
    (
        Tier,
        {"benefits": ["tea", ""]},
        "tier gold: benefits: a text of 1 to 500 characters is wanted, not ''",
    ),
    (Ladder, {"code": None}, f"ladder: {CODE} None"),
    (Ladder, {"tiers": []}, "ladder club: tiers: the first starts at 0"),
    (Ladder, {"tiers": [GOLD]}, "ladder club: tiers: the first starts at 0"),
    (Ladder, {"tiers": ["gold"]}, "ladder club: tiers: 'gold' is no Tier"),
    (Ladder, {"tiers": 5}, "ladder club: tiers: a sequence of Tier is wanted, not 5"),
    (
        Ladder,
        {"tiers": [BRONZE, GOLD, Tier("silver", 100)]},
        "ladder club: tiers: they rise, each strictly above the one before",
    ),
    (
        Ladder,
        {"tiers": [BRONZE, GOLD, Tier("gold", 200)]},
        "ladder club: tiers: gold stands there twice",
    ),
    (
        Ladder,
        {"measure": "visits"},
        "ladder club: measure: it is CURRENCY.earned, spend(…) or visits()",
    ),
    (Ladder, {"window": "12"}, f"ladder club: window: '12' {NO_DURATION}"),
    (Ladder, {"window": 12}, "ladder club: window: a text is wanted, not 12"),
    (Ladder, {"window": "12M_D"}, "ladder club: window: '12M_D': a window isn't rounded"),
    (
        Ladder,
        {"window": "yearly 1Y"},
        "ladder club: window: 'yearly 1Y' is no window: it reads 12M, calendar 1Y or "
        "anniversary 12M",
    ),
    (Ladder, {"hold": "soon"}, f"ladder club: hold: 'soon' {NO_DURATION}"),
    (
        Ladder,
        {"hold": "6M", "window": "calendar 1Y"},
        "ladder club: hold: only where the window rolls; a calendar or anniversary window keeps a "
        "rank to the next period's end, and nothing leaves all time",
    ),
    (
        Ladder,
        {"hold": "6M", "window": None},
        "ladder club: hold: only where the window rolls; a calendar or anniversary window keeps a "
        "rank to the next period's end, and nothing leaves all time",
    ),
    (Ladder, {"grace": 30}, f"ladder club: grace: 30 {NO_DURATION}"),
    (
        Ladder,
        {"notices": "30D"},
        "ladder club: notices: a sequence of str is wanted, not '30D'",
    ),
    (Ladder, {"notices": ["30D", "x"]}, f"ladder club: notices: 'x' {NO_DURATION}"),
    (Ladder, {"soft_landing": "yes"}, "ladder club: soft_landing: it is True or False, not 'yes'"),
    (Ladder, {"notices": "7D"}, "ladder club: notices: a sequence of str is wanted, not '7D'"),
    (Ladder, {"notices": ["7D", "soon"]}, f"ladder club: notices: 'soon' {NO_DURATION}"),
    (
        Ladder,
        {"name": "\t"},
        "ladder club: name: a text of 1 to 100 characters is wanted, not '\\t'",
    ),
    (Ladder, {"time_zone": "X"}, "ladder club: time_zone: 'X' is no IANA time zone"),
    (Reward, {"code": "é"}, f"reward 'é': {CHARACTERS}"),
    (Reward, {"title": ""}, "reward mug: title: a text of 1 to 500 characters is wanted, not ''"),
    (
        Reward,
        {"description": "\0"},
        "reward mug: description: a text of at most 4000 characters is wanted, not '\\x00'",
    ),
    (Reward, {"price": {}}, "reward mug: price: at least one currency is wanted"),
    (
        Reward,
        {"price": 50},
        "reward mug: price: a mapping of currency to points is wanted, not 50",
    ),
    (Reward, {"price": {STAR: 0}}, f"reward mug: price: a whole number from 1 to {MOST}, not 0"),
    (Reward, {"price": {"a b": 5}}, f"reward mug: price: currency 'a b': {CHARACTERS}"),
    (Reward, {"price": {STAR: 5, "STAR": 6}}, "reward mug: price: STAR stands there twice"),
    (Reward, {"stock": -1}, f"reward mug: stock: a whole number from 0 to {MOST}, not -1"),
    (Reward, {"stock": True}, f"reward mug: stock: a whole number from 0 to {MOST}, not True"),
    (Reward, {"tier": "ab"}, "reward mug: tier: it is (ladder, tier)"),
    (Reward, {"tier": ("club",)}, "reward mug: tier: it is (ladder, tier)"),
    (Reward, {"tier": 5}, "reward mug: tier: it is (ladder, tier)"),
    (Reward, {"tier": ("club", "")}, f"reward mug: tier: {CODE} ''"),
    (Reward, {"kind": "gift"}, "reward mug: kind: 'gift' is none: product, discount, perk"),
    (Reward, {"worth": "5.00 EUR"}, "reward mug: worth: a discount, and nothing else, has one"),
    (Reward, {"kind": "discount"}, "reward mug: worth: a discount, and nothing else, has one"),
    (Reward, {"kind": "discount", "worth": "5"}, f"reward mug: worth: {ISO} ''"),
    (Reward, {"kind": "discount", "worth": "0 EUR"}, "reward mug: worth: it is above zero"),
    (Reward, {"cash": "5"}, f"reward mug: cash: {ISO} ''"),
    (Reward, {"cash": "0 EUR"}, "reward mug: cash: it is above zero"),
    (
        Reward,
        {"gives": {"GEM": 0}},
        "reward mug: gives: a whole number from 1 to 1000000000000000, not 0",
    ),
    (Reward, {"gives": {"STAR": 5}}, "reward mug: gives: it costs STAR, too"),
    (
        Reward,
        {"gives": [("GEM", 5)]},
        "reward mug: gives: a mapping of currency to points is wanted, not [('GEM', 5)]",
    ),
    (Reward, {"codes": "found"}, "reward mug: codes: 'found' is none: generated, pool"),
    (Reward, {"fulfilled": "soon"}, f"reward mug: fulfilled: 'soon' {NO_DURATION}"),
    (Reward, {"reversible": "soon"}, f"reward mug: reversible: 'soon' {NO_DURATION}"),
    (
        Reward,
        {"reversible": 30},
        "reward mug: reversible: a duration such as '30D' or None, not 30",
    ),
    (Partner, {"code": "ca fe"}, f"partner 'ca fe': {CHARACTERS}"),
    (Partner, {"name": 5}, "partner cafe: name: a text of 1 to 200 characters is wanted, not 5"),
    (Partner, {"time_zone": "Y"}, "partner cafe: time_zone: 'Y' is no IANA time zone"),
    (Partner, {"trades_in": ()}, "partner cafe: trades_in: at least one money is wanted"),
    (
        Partner,
        {"trades_in": "EUR"},
        "partner cafe: trades_in: a sequence of str is wanted, not 'EUR'",
    ),
    (Partner, {"trades_in": ["euro"]}, f"partner cafe: trades_in: {ISO} 'euro'"),
    (Partner, {"trades_in": ["EUR", "EUR"]}, "partner cafe: trades_in: EUR stands there twice"),
    (Partner, {"currencies": ["STAR"]}, "partner cafe: currencies: 'STAR' is no Currency"),
    (
        Partner,
        {"currencies": [STAR, Currency("STAR", "Other")]},
        "partner cafe: currencies: STAR stands there twice",
    ),
    (Partner, {"issues": [STAR]}, f"partner cafe: issues: {repr(STAR)[:60]} is no str"),
    (Partner, {"issues": ["a b"]}, f"partner cafe: issues 'a b': {CHARACTERS}"),
    (Partner, {"accepts": [""]}, f"partner cafe: accepts: {CODE} ''"),
    (Partner, {"basis": "paid"}, "partner cafe: basis: 'paid' is no Basis"),
    (Partner, {"accepts": ["A", "A"]}, "partner cafe: accepts: A stands there twice"),
]


@pytest.mark.parametrize(("kind", "fields", "problem"), REFUSALS)
def test_refuses(kind: Any, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        kind(**{**PLAIN[kind], **fields})
    assert str(caught.value) == problem


@pytest.mark.parametrize("kind", list(PLAIN))
def test_what_the_refusals_start_from_is_accepted(kind: Any) -> None:
    assert kind(**PLAIN[kind]) == kind(**PLAIN[kind])
    assert hash(kind(**PLAIN[kind])) == hash(kind(**PLAIN[kind]))


def test_every_declared_field_is_refused_somewhere() -> None:
    # `prices` is derived and cannot be given.
    for kind, plain in PLAIN.items():
        fields = {f.name for f in dataclasses.fields(kind) if f.init}
        tried = {name for k, given_, _ in REFUSALS if k is kind for name in given_}
        assert tried == fields, (kind, plain)


@pytest.mark.parametrize("kind", list(PLAIN))
def test_is_frozen(kind: Any) -> None:
    made = kind(**PLAIN[kind])
    for field in dataclasses.fields(kind):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, field.name, None)


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("earned:STAR", STAR.earned),
        ("spend:EUR", spend("EUR")),
        ("visits", visits()),
    ],
)
def test_measures_read_back(text: str, measure: Measure) -> None:
    assert str(measure) == text
    assert Measure.parse(text) == measure


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "measure: '' is none: earned:CURRENCY, spend:MONEY or visits"),
        ("spend", f"measure spend: {ISO} ''"),
        ("spend:EUR:x", f"measure spend: {ISO} 'EUR:x'"),
        ("visits:EUR", "measure visits: has no unit, not 'EUR'"),
        (5, "measure: a text is wanted, not 5"),
    ],
)
def test_refuses_a_measure(text: Any, problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Measure.parse(text)
    assert str(caught.value) == problem


@relaxed
@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True))
def test_any_currency_can_be_measured(code: str) -> None:
    measure = Currency(code, "Points").earned
    assert Measure.parse(str(measure)) == measure


def test_a_currency_is_spendable_at_once_for_ever_and_returns_reach_into_arrears() -> None:
    plain = Currency("STAR", "Stars")
    assert plain.policy("Asia/Kolkata") == Policy(None, None, Returns.ARREARS, None, "Asia/Kolkata")
    assert (plain.notices, plain.redeemable, plain.badge) == ((), True, False)
    assert not Currency("PIN", "Pins", badge=True).redeemable  # a badge buys nothing


def test_a_currencys_texts_make_its_policy() -> None:
    notices = ["30D", "7D"]
    currency = Currency(
        "STAR", "Stars", "★", "sliding 6M on spending earning", "Europe/Istanbul",
        "until shipped within 30D", "within-balance", "10D", notices, redeemable=False,
    )  # fmt: skip
    notices.clear()
    assert currency.policy("Asia/Kolkata") == Policy(
        Pending(event="shipped", within=Duration(30, "D")),
        Expiry(Duration(6, "M"), (), frozenset([Renewal.EARNING, Renewal.SPENDING])),
        Returns.WITHIN_BALANCE,
        Duration(10, "D"),
        "Asia/Kolkata",
    )
    assert (currency.notices, currency.redeemable) == (("30D", "7D"), False)


def test_a_tier_is_named_after_its_code() -> None:
    tier = Tier("gold", 100, benefits=["Free tea"])
    assert (tier.name, tier.benefits) == ("Gold", ("Free tea",))
    assert Tier("gold", 100, "Ouro").name == "Ouro"


def test_a_ladder_keeps_its_tiers() -> None:
    tiers = [BRONZE, GOLD]
    ladder = Ladder("club", STAR.earned, tiers)
    tiers.clear()
    assert ladder.tiers == (BRONZE, GOLD)
    assert (ladder.name, ladder.window) == ("Club", "12M")
    assert Ladder("club", visits(), [BRONZE], window=None).window is None


def test_a_partner_keeps_what_it_lists() -> None:
    partner = Partner("cafe", "Cafe", [STAR], "Europe/Istanbul", ["TRY", "EUR"], ["A"], ["B", "C"])
    assert partner.currencies == (STAR,)
    assert partner.trades_in == ("TRY", "EUR")
    assert (partner.issues, partner.accepts) == (("A",), ("B", "C"))


def test_a_currency_by_itself_or_by_code() -> None:
    assert currency_code(STAR) == currency_code("STAR") == "STAR"
