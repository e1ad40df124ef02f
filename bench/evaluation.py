"""`python -m bench.evaluation`: what judging a receipt costs, however many partners there are.

A receipt of ten lines, a partner's twenty rules in Python, the decision's compact form included;
beside it the same with ten partners installed and with a thousand. No database.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from bench.setting import write_page
from core.containment import Containment
from core.folding import content_of, packed
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
GOAL, RATIO = 60.0, 1.1
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


def rulebook(partners: int) -> Rulebook:
    """So many partners with twenty rules each."""
    terms = {
        f"p{n}": PartnerTerms(
            n, f"p{n}", f"Partner {n}", "UTC", frozenset({"USD"}), {"STAR": CURRENCY}, {},
            tuple(RuleTerms(n * RULES + i, rule) for i, rule in enumerate(rules())),
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
        evaluation = containment.judge(partner, purchase, Facts(visits, tiers))
        packed(partner, content_of(partner, evaluation, visits, tiers))
    return (time.perf_counter() - start) / count * 1e6


def main(
    rounds: int = typer.Option(9, min=1, help="How often each is measured, in turn."),
    receipts: int = typer.Option(2000, min=1, help="Receipts in a round."),
) -> None:
    """Measure the evaluation of a receipt."""
    books = {size: rulebook(size) for size in (10, 1000)}
    gc.collect()
    gc.freeze()  # as the application does when it has started
    containment = Containment()
    found: dict[int, list[float]] = {size: [] for size in books}
    for _ in range(rounds):
        for size, book in books.items():
            found[size].append(measure(book, receipts, containment))
    typer.echo(write_page(RESULTS, "What judging a receipt costs", "bench.evaluation", told(found)))


def told(found: dict[int, Sequence[float]] | dict[int, list[float]]) -> str:
    """The figures as lines."""
    few, many = (statistics.median(found[size]) for size in sorted(found))
    held = "holds" if many <= GOAL else "MISSED"
    ratio = many / few
    return (
        f"{RULES} rules in Python, 10 lines, decision included, 1,000 partners installed: "
        f"{many:.1f} us (least {min(found[1000]):.1f}; goal {GOAL:.0f}: {held})\n"
        f"the same with 10 installed: {few:.1f} us; ratio {ratio:.2f} "
        f"(goal {RATIO}: {'holds' if ratio <= RATIO else 'MISSED'})"
    )


if __name__ == "__main__":
    typer.run(main)
