"""`python -m bench.evaluation`: what judging a receipt costs, however many partners there are.

A receipt of ten lines, a partner's twenty rules, the decision's compact form included: rules in
Python with ten partners installed and with a thousand; beside them data rules with a condition on
the receipt, and with one on each line. No database.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import typer

from bench.setting import write_page
from core.containment import Containment
from core.data_rules import parse, rule_of
from core.decisions import content_of, packed
from core.rulebook import CurrencyTerms, PartnerTerms, PolicyTerms, Rulebook, RuleTerms
from laurels import (
    EarnRule,
    Effects,
    Facts,
    Policy,
    Purchase,
    award,
    earn_rule,
    multiply,
    nothing,
)
from laurels.purchase import Line

RESULTS = Path(__file__).with_name("RESULTS-evaluation.md")
RULES = 20
GOAL, DATA_GOAL, RATIO = 60.0, 150.0, 1.1
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
POLICY = PolicyTerms(1, Policy.parse(None, "12M"))
CURRENCY = CurrencyTerms(1, "STAR", "Stars", "", POLICY, None)


def rules() -> list[EarnRule]:
    """Twenty rules as partners write them: by line, total, visit, tier; some don't match."""
    made: list[EarnRule] = []
    for n in range(RULES):

        def by_type(purchase: Purchase, facts: Facts, n: int = n) -> Effects:
            lines = [
                x.amount // 100 if x.product_type == f"type {n}" else 0 for x in purchase.lines
            ]
            points = sum(lines)
            return award("STAR", points, lines=lines) if points else nothing("nothing of this type")

        def by_total(purchase: Purchase, facts: Facts, n: int = n) -> Effects:
            missing = 1000 * n - purchase.total_minor
            return nothing("spend more") if missing > 0 else award("STAR", 10 + n)

        def by_visit(purchase: Purchase, facts: Facts, n: int = n) -> Effects:
            return award("STAR", 5) if facts.visits % (n + 1) == 0 else None

        def by_tier(purchase: Purchase, facts: Facts, n: int = n) -> Effects:
            return multiply("STAR", 2) if facts.tiers.get("club") == f"tier {n}" else None

        kind = (by_type, by_total, by_visit, by_tier)[n % 4]
        made.append(earn_rule(f"rule-{n}", f"Rule {n}")(kind))
    return made


def data_rules(*, of_lines: bool) -> list[EarnRule]:
    """Twenty as a partner's staff write them; half of them hold."""
    made = []
    for n in range(RULES):
        when = (
            f"purchase.total >= {n}.0 && purchase.currency == 'USD'",
            f"local.hour >= {n} && local.weekday != 'monday'",
            f"member.visits % {n + 1} == 0",
            f"has(member.tiers.club) && member.tiers.club == 'tier {n % 8}'",
        )[n % 4]
        said = {"code": f"rule-{n}", "title": f"Rule {n}", "when": when}
        if of_lines:
            said["lines"] = f"line.type == 'type {n % 12}' || line.amount > {n}.5"
        made.append(rule_of(parse({**said, "award": {"currency": "STAR", "points": 5 + n}})))
    return made


def rulebook(partners: int, twenty: Callable[[], list[EarnRule]] = rules) -> Rulebook:
    """So many partners with twenty rules each."""
    terms = {
        f"p{n}": PartnerTerms(
            n, f"p{n}", f"Partner {n}", "UTC", frozenset({"USD"}), {"STAR": CURRENCY}, {},
            tuple(RuleTerms(n * RULES + i, rule) for i, rule in enumerate(twenty())),
        )
        for n in range(1, partners + 1)
    }  # fmt: skip
    return Rulebook(1, terms, {1: CURRENCY}, {})


RECEIPT = tuple(Line(f"type {n}", 1000 + 137 * n, 1000, f"sku {n}") for n in range(10))


def measure(book: Rulebook, count: int, containment: Containment) -> float:
    """Microseconds of a receipt, the partners taking turns."""
    partners = list(book.partners.values())
    work = [
        (partner, Purchase(partner.code, f"R-{n}", NOW, "USD", RECEIPT), n)
        for n, partner in ((n, partners[n * 7919 % len(partners)]) for n in range(count))
    ]
    tiers = {"club": "tier 3"}
    gc.collect()
    start = time.perf_counter()
    for partner, purchase, visits in work:
        facts = Facts(visits, tiers)
        evaluation = containment.judge(partner, purchase, facts)
        packed(partner, content_of(partner, purchase, evaluation, facts))
    return (time.perf_counter() - start) / count * 1e6


def main(
    rounds: int = typer.Option(9, min=1, help="How often each is measured, in turn."),
    receipts: int = typer.Option(2000, min=1, help="Receipts in a round."),
) -> None:
    """Measure the evaluation of a receipt."""
    books = {
        "few": rulebook(10),
        "many": rulebook(1000),
        "data": rulebook(1000, partial(data_rules, of_lines=False)),
        "lines": rulebook(10, partial(data_rules, of_lines=True)),
    }
    gc.collect()
    gc.freeze()  # as the application does when it has started
    containment = Containment()
    found: dict[str, list[float]] = {name: [] for name in books}
    for _ in range(rounds):
        for name, book in books.items():
            found[name].append(measure(book, receipts, containment))
    typer.echo(write_page(RESULTS, "What judging a receipt costs", "bench.evaluation", told(found)))


def told(found: Mapping[str, Sequence[float]]) -> str:
    """The figures as lines."""
    few, many, data, lines = (
        statistics.median(found[name]) for name in ("few", "many", "data", "lines")
    )
    held = "holds" if many <= GOAL else "MISSED"
    ratio = many / few
    return (
        f"{RULES} rules in Python, 10 lines, decision included, 1,000 partners installed: "
        f"{many:.1f} us (least {min(found['many']):.1f}; goal {GOAL:.0f}: {held})\n"
        f"the same with 10 installed: {few:.1f} us; ratio {ratio:.2f} "
        f"(goal {RATIO}: {'holds' if ratio <= RATIO else 'MISSED'})\n"
        f"{RULES} data rules, a condition on the receipt each, 1,000 partners installed: "
        f"{data:.1f} us (goal {DATA_GOAL:.0f}: {'holds' if data <= DATA_GOAL else 'MISSED'})\n"
        f"{RULES} data rules with a condition on each of the 10 lines besides: {lines:.1f} us"
    )


if __name__ == "__main__":
    typer.run(main)
