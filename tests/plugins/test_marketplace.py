"""The marketplace as it is declared: coins worked out by hand, plan and rewards as told."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from graphql import parse, validate

from laurels import Duration, Facts, Line, Money, Purchase, evaluate, testing
from laurels.plugin.installed import Installed
from plugins.host import collect
from schema.build import build_schema

HOME = Path(__file__).resolve().parents[2] / "plugins" / "partners" / "marketplace"
AT = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def brand() -> Installed:
    """As the application finds it."""
    return next(x for x in collect().installed if x.name == "marketplace")


def test_it_imports_the_kit_alone_and_is_short() -> None:
    source = (HOME / "__init__.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) < 200
    nodes = list(ast.walk(ast.parse(source)))
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported == {"collections.abc", "laurels"}
    assert not [node for node in nodes if isinstance(node, ast.Import)]


@pytest.mark.parametrize(
    ("cents", "guest", "plus"),
    [
        (99, 0, 0),
        (100, 1, 2),
        (1999, 19, 38),  # nineteen full dollars, and as many again
        (10_000, 100, 200),
    ],
)
def test_coins(brand: Installed, cents: int, guest: int, plus: int) -> None:
    bought = Purchase(
        "marketplace", "R-1", AT, "USD", (Line("things", cents),), time_zone="America/Chicago"
    )
    for tier, points in (("guest", guest), ("plus", plus)):
        told = evaluate(brand.earn_rules, bought, Facts(1, {"marketplace": tier}))
        assert told.points("COIN") == points, tier


def test_the_plan(brand: Installed) -> None:
    (plan,) = brand.plans
    assert [(fee.code, fee.per, fee.price, fee.amount) for fee in plan.fees] == [
        ("monthly", "1M", Money(1299, "USD"), 0),
        ("yearly", "1Y", Money(12_900, "USD"), 0),
        ("monthly-coins", "1M", None, 1300),
        ("monthly-half", "1M", Money(649, "USD"), 650),
    ]
    assert (plan.tried, plan.spared) == (Duration(30, "D"), Duration(7, "D"))
    assert plan.tier == ("marketplace", "plus")
    assert {reward.code: reward.tier for reward in brand.rewards} == {
        "gift-wrap": None, "tasting": plan.tier, "ten-off": plan.tier,
    }  # fmt: skip


def test_the_queries_of_its_page_are_of_this_schema() -> None:
    page = (HOME / "README.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) < 60
    [block] = re.findall(r"```graphql\n(.*?)```", page, re.DOTALL)
    operations = re.split(r"\n(?=mutation|query)", re.sub("(?m)^#.*\n", "", block))
    assert len(operations) == 5
    for operation in operations:
        assert validate(build_schema()._schema, parse(operation)) == [], operation


def test_it_conforms() -> None:
    import plugins.partners.marketplace as module  # as the conformance suite is handed it

    assert testing.problems(module) == []
