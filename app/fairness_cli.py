"""`laurels fairness`: whether rules and people treated like alike, in tables.

Knows nothing of how that is found out.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from app.runtime import running
from app.terminal import Database, Now, err, out, parse_now, run, settings
from core import fairness
from core.errors import BadInput
from core.grants import Grants, grants
from core.purchases import find_partner
from laurels.durations import Duration

_YEAR = Duration.parse("1Y")


def fairness_command(
    partner: Annotated[str, typer.Option(help="The partner whose rules are audited.")],
    since: Annotated[
        str | None, typer.Option(help="Purchases from then on; left out: a year before the end.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="And before then; left out: now.")] = None,
    sample: Annotated[int, typer.Option(help="How many purchases to judge.")] = 200,
    seed: Annotated[str, typer.Option(help="Another seed is another sample.")] = "",
    database_name: Database = None,
    now: Now = None,
) -> None:
    """Judge a sample of purchases again with what may make no difference changed.

    Told are, rule by rule, how many came to the same, and of the others both figures; then what
    people gave by hand, and who far more than most. Exit code 1 where a rule isn't fair.

    Example: laurels fairness --partner grocer --since 2026-01-01T00:00:00Z --sample 500
    """
    at = parse_now(now)
    end = at if until is None else parse_now(until)
    begin = _YEAR.before(end, "UTC") if since is None else parse_now(since)

    async def go() -> tuple[fairness.Report, Grants, dict[int, str]]:
        async with running(settings(), name=database_name, now=at) as runtime:
            rulebook = runtime.engine.rulebook
            try:
                terms = find_partner(rulebook, partner)
                report = await fairness.audit(rulebook, terms, begin, end, sample, seed)
            except BadInput as refusal:  # the caller's to mend; 1 is for rules that aren't fair
                path = ".".join(map(str, refusal.path))
                err.print(Text(f"{path}: {refusal}" if path else str(refusal), style="red"))
                raise typer.Exit(2) from None
            codes = {c.id: c.code for c in rulebook.currencies.values()}
            return report, await grants(None, begin, end), codes

    report, by_hand, codes = run(go())
    out.print(rules_table(report))
    for rule in report.rules:
        for line in told(rule):
            out.print(line, soft_wrap=True)
    out.print(grants_table(by_hand, codes))
    if not report.fair:
        raise typer.Exit(1)


def rules_table(report: fairness.Report) -> Table:
    """Rule by rule, in figures."""
    title = f"{report.sampled:,} of {report.total:,} purchases, {report.failed:,} failed"
    table = Table("rule", "judged", "same", "pairs", "unequal", "fair", title=title)
    for rule in report.rules:
        figures = (rule.judged, rule.same, rule.pairs, rule.unequal)
        table.add_row(rule.code, *map(str, figures), "yes" if rule.fair else "[red]NO[/]")
    return table


def told(rule: fairness.RuleFairness) -> list[str]:
    """What speaks against a rule, in words."""
    found = [
        f"{rule.code}: {d.purchase}: {d.points} {d.currency}, {d.changed.value}: "
        f"{'it failed' if d.otherwise is None else d.otherwise}"
        for d in rule.differences
    ]
    return found + [
        f"{rule.code}: {u.purchase} and {u.other} are equal: {u.points} and {u.others} {u.currency}"
        for u in rule.unequals
    ]


def grants_table(found: Grants, codes: dict[int, str]) -> Table:
    """By caller and reason; who stands out is marked, with the score."""
    scores = {(x.caller, x.currency): x.score for x in found.outliers}
    table = Table(
        "caller", "reason", "currency", "times", "given", "taken", "median", "score",
        title="given and taken by hand, in whosever name",
    )  # fmt: skip
    for row in found.rows:
        score = scores.get((row.caller, row.currency))
        figures = (row.times, row.given, row.taken, row.median)
        table.add_row(
            row.caller, row.reason, codes.get(row.currency, "?"), *map(str, figures),
            "" if score is None else f"[red]{score:.1f}[/]",
        )  # fmt: skip
    return table
