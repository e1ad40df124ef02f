"""The brands that ship with Laurels: points worked out by hand, to the last one.

They are found as the application finds them, by the entry points that its pyproject.toml names.
"""

from __future__ import annotations

import ast
import tomllib
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from laurels import (
    Checkout,
    Discount,
    Duration,
    Evaluation,
    Facts,
    Line,
    Money,
    Nothing,
    Purchase,
    RewardKind,
    evaluate,
)
from plugins.host import Installed, collect

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def brands() -> dict[str, Installed]:
    """All of them, by name, none refused."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = project["entry-points"]["laurels.partners"]
    collected = collect(
        entry_points=[EntryPoint(n, v, "laurels.partners") for n, v in named.items()]
    )
    assert collected.refused == ()
    return {plugin.name: plugin for plugin in collected.installed}


def buy(
    brand: Installed, *lines: tuple[str, int], visits: int = 1, tier: str | None = None
) -> Evaluation:
    """What this brand's rules make of a receipt; amounts are in cents."""
    partner = brand.partner
    receipt = tuple(Line(kind, cents) for kind, cents in lines)
    at = partner.time_zone
    purchase = Purchase(partner.code, "R-1", AT, partner.trades_in[0], receipt, time_zone=at)
    tiers = {} if tier is None else {partner.code: tier}
    return evaluate(brand.earn_rules, purchase, Facts(visits, tiers))


def test_the_brands_are_there(brands: dict[str, Installed]) -> None:
    assert sorted(brands) == [
        "cafe", "coffee", "grocer", "marketplace", "outdoors", "outfitter", "shop", "voice",
        "workplace",
    ]  # fmt: skip
    assert [p.partner.code for p in brands.values()] == list(brands)


@pytest.mark.parametrize("name", ["cafe", "grocer", "outfitter"])
def test_a_brand_imports_the_kit_alone_and_is_short(name: str) -> None:
    source = (ROOT / "plugins" / "partners" / f"{name}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) < 80
    imported = {n.module for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)}
    assert imported == {"collections.abc", "laurels"}
    assert not [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import)]


def test_grocer_counts_points_by_the_aisle_and_laurels_beside_them(
    brands: dict[str, Installed],
) -> None:
    told = buy(
        brands["grocer"],
        ("PRODUCE", 349),  # 3 x 3.49 = 10.47: 10
        ("MEAT", 1299),  # 2 x 12.99 = 25.98: 25
        ("SEAFOOD", 875),  # 2 x 8.75 = 17.50: 17
        ("FUEL", 4000),
        ("KIOSK-GAS", 2000),
        ("MISCELLANEOUS", 500),
        ("GROCERY", 499),  # 1 x 4.99: 4
    )
    basket, laurel = told.granted
    assert (basket.currency, basket.points) == ("BASKET", 56)
    assert list(basket.lines) == [10, 25, 17, 0, 0, 0, 4]
    # 95.22 in all, fuel included: nine full tens.
    assert (laurel.currency, laurel.points) == ("LAUREL", 9)


@pytest.mark.parametrize(
    ("lines", "basket", "laurel"),
    [
        ([("PRODUCE", 33)], 0, 0),  # 0.99
        ([("PRODUCE", 34)], 1, 0),  # 1.02
        ([("GROCERY", 50), ("GROCERY", 50)], 0, 0),  # each line is rounded down by itself
        ([("produce", 200)], 2, 0),  # a type's name is exact: the default rate
        ([("FUEL", 5000)], 0, 5),
        ([("MEAT", 999)], 19, 0),  # 19.98, a cent short of a laurel
        ([("MEAT", 1000)], 20, 1),
    ],
)
def test_grocer_at_the_edges(
    brands: dict[str, Installed], lines: list[tuple[str, int]], basket: int, laurel: int
) -> None:
    told = buy(brands["grocer"], *lines)
    assert (told.points("BASKET"), told.points("LAUREL")) == (basket, laurel)
    assert len([g for g in told.granted if g.currency == "BASKET"]) == min(basket, 1)


def test_grocers_terms(brands: dict[str, Installed]) -> None:
    grocer = brands["grocer"]
    (currency,) = grocer.partner.currencies
    assert (grocer.partner.time_zone, grocer.partner.trades_in) == ("UTC", ("USD",))
    assert (currency.code, currency.name) == ("BASKET", "Basket points")
    assert Duration.parse(currency.expires or "").after(AT, "Asia/Tokyo") == AT + timedelta(days=90)
    (ladder,) = grocer.ladders
    assert (ladder.code, str(ladder.measure), ladder.window) == ("grocer", "earned:BASKET", "12M")
    assert {t.code: t.at for t in ladder.tiers} == {
        "bronze": 0,
        "silver": 1000,
        "gold": 2500,
        "platinum": 5000,
    }


def test_cafes_tenth_drink_is_free(brands: dict[str, Installed]) -> None:
    cafe = brands["cafe"]
    price = next(r.prices["STAMP"] for r in cafe.rewards if r.code == "free-drink")
    stamps = [buy(cafe, ("espresso", 150), visits=n).points("STAMP") for n in range(9)]
    assert stamps == [1] * 9
    assert sum(stamps[:8]) < price == sum(stamps)
    # The free one costs nothing and gets no stamp: the eleventh drink is the first of a new card.
    free = buy(cafe, ("espresso", 0), visits=9)
    assert free.granted == ()
    assert free.refused[0].because == "needs at least 0.01 EUR, this was 0.00 EUR"


def test_cafe_gives_one_stamp_however_much_is_drunk(brands: dict[str, Installed]) -> None:
    told = buy(brands["cafe"], ("latte", 420), ("cake", 555))
    assert told.points("STAMP") == 1
    assert told.points("STAR") == 9  # 9.75


@pytest.mark.parametrize(
    ("visits", "tier", "stars"),
    [
        (5, None, 8),  # 8.25
        (5, "green", 8),
        (5, "gold", 16),
        (0, "green", 33),  # 8 and 25 for the first purchase
        (0, "gold", 66),  # gold elsewhere, matched here: all of the receipt is doubled
    ],
)
def test_cafes_stars(
    brands: dict[str, Installed], visits: int, tier: str | None, stars: int
) -> None:
    told = buy(brands["cafe"], ("latte", 475), ("cake", 350), visits=visits, tier=tier)
    assert told.points("STAR") == stars


def test_cafes_doubling_is_an_award_of_its_own(brands: dict[str, Installed]) -> None:
    extra = buy(brands["cafe"], ("latte", 475), ("cake", 350), tier="gold").granted[-1]
    assert (extra.points, extra.base) == (8, 8)
    assert brands["cafe"].earn_rules[extra.rule].code == "gold-double"


def test_outfitter_counts_threads_by_the_garment(brands: dict[str, Installed]) -> None:
    told = buy(
        brands["outfitter"],
        ("coat", 19999),  # 5 x 199.99 = 999.95: 999
        ("shoes", 8950),  # 3 x 89.50 = 268.50: 268
        ("sale", 3333),  # 33.33 / 2 = 16.665: 16
        ("gift card", 10000),
        ("scarf", 2550),  # 2 x 25.50 = 51
    )
    assert [list(g.lines) for g in told.granted] == [[999, 268, 16, 0, 51]]
    assert told.points("THREAD") == 1334


def test_outfitters_cap_reduces_and_is_shared_by_the_lines(brands: dict[str, Installed]) -> None:
    # 2000 and 300 are cut to 2000: 1739.13 and 260.87, the point left goes to the larger rest.
    (granted,) = buy(brands["outfitter"], ("coat", 40000), ("shoes", 10000)).granted
    assert (granted.points, granted.wanted, list(granted.lines)) == (2000, 2300, [1739, 261])
    (exact,) = buy(brands["outfitter"], ("coat", 40000)).granted
    assert (exact.points, exact.wanted) == (2000, None)


@pytest.mark.parametrize(
    ("bill", "balance", "offered", "points"),
    [
        ("10.00 USD", 1000, None, 500),  # half of the bill
        ("10.00 USD", 1000, 350, 300),  # whole steps only
        ("10.00 USD", 250, 900, 200),  # what is there
        ("10.00 USD", 1000, 199, 0),  # fewer than the least
        ("3.99 USD", 1000, None, 0),  # 1.99 of the bill is one step, two are the least
        ("4.00 USD", 1000, None, 200),
        ("10.00 EUR", 1000, None, 0),
    ],
)
def test_outfitter_takes_threads_at_the_till(
    brands: dict[str, Installed], bill: str, balance: int, offered: int | None, points: int
) -> None:
    (rule,) = brands["outfitter"].redeem_rules
    told = rule.discount(Checkout(Money.parse(bill), balance, offered))
    if points:
        assert told == Discount(points, Money(points, "USD"))  # a thread is worth a cent
    else:
        assert isinstance(told, Nothing)


def test_outfitters_catalogue(brands: dict[str, Installed]) -> None:
    rewards = {reward.code: reward for reward in brands["outfitter"].rewards}
    assert rewards["tote"].stock == 50
    assert rewards["tailoring"].tier == ("outfitter", "gold")
    assert rewards["ten-off"].kind is RewardKind.DISCOUNT
    assert Money.parse(rewards["ten-off"].worth or "") == "10.00 USD"


def test_earn_at_the_grocer_and_burn_at_the_outfitter(brands: dict[str, Installed]) -> None:
    grocer, outfitter = brands["grocer"].partner, brands["outfitter"].partner
    assert (grocer.issues, outfitter.accepts) == (("LAUREL",), ("LAUREL",))
    # It is the programme's: no brand declares it as its own.
    own = {c.code for brand in brands.values() for c in brand.partner.currencies}
    assert own >= {"BASKET", "STAMP", "STAR", "THREAD"}
    tote = next(r for r in brands["outfitter"].rewards if r.code == "tote")
    earned = [
        buy(brands["grocer"], ("PRODUCE", cents)).points("LAUREL") for cents in (25999, 15000)
    ]
    assert earned == [25, 15]
    assert sum(earned) == tote.prices["LAUREL"] == 40
