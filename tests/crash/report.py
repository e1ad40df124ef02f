"""The figures of a run, as a person reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.crash.controls import Caught
from tests.crash.oracle import Finding, Wrong
from tests.crash.rig import Fault, Figures

_SHOWN = 20
LIMITS = (
    "What this can't show: power loss and broken disks. What a process wrote stays in the kernel's "
    "page cache when the process is killed, so that even a server with fsync off would pass. "
    "Instead fsync, full_page_writes and synchronous_commit were asserted to be on before the "
    "first fault. Nor does it show a failover between hosts, or clocks that disagree."
)


def show(out: Console, figures: Figures, clients: Counter[str], seconds: float) -> None:
    """The main run's tables."""
    recoveries = Table("fault", "times", "recovery: min", "median", "max", title="Faults")
    for column in recoveries.columns[1:]:
        column.justify = "right"
    for fault in Fault:
        times = figures.recoveries.get(fault, [])
        if times:
            spread = (min(times), median(times), max(times))
            recoveries.add_row(fault.value, str(len(times)), *(f"{x:.2f} s" for x in spread))
    out.print(recoveries)
    rows: Sequence[tuple[str, object]] = (
        ("operations", clients["operations"]),
        ("acknowledged", clients["acknowledged"]),
        ("refused for want of points or stock", clients["refused"]),
        ("sent in all", clients["sendings"]),
        ("sent without an answer, and so again", clients["without an answer"]),
        ("replayed later, answer compared", clients["replayed"]),
        ("processes killed", figures.processes_killed),
        ("replies cut off", figures.replies_cut),
        ("purchases and returns in the books", figures.events),
        ("redemptions in the books", figures.redemptions),
        ("looked up after a fault", figures.looked_up),
        ("proofs of the books (laurels check)", figures.proved),
        ("longest wait for an acknowledgement", f"{figures.longest:.1f} s"),
        ("the whole run", f"{seconds:.0f} s"),
    )
    counted = Table("figure", "", title="Operations", show_header=False)
    counted.columns[1].justify = "right"
    for name, value in rows:
        counted.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    counted.add_section()
    lost, doubled = figures.count(Wrong.LOST), figures.count(Wrong.DOUBLED)
    others = len(figures.findings) - sum(
        x.wrong in (Wrong.LOST, Wrong.DOUBLED) for x in figures.findings
    )
    for name, bad in (
        ("acknowledged and lost", lost),
        ("booked twice", doubled),
        ("wrong otherwise", others),
        ("replays answered otherwise", figures.differing),
        ("found by the proofs", len(figures.proofs)),
    ):
        counted.add_row(name, f"[bold {'red' if bad else 'green'}]{bad}[/]")
    out.print(counted)


def blame(out: Console, findings: Sequence[Finding | str]) -> None:
    """What is wrong, the first of it."""
    for finding in findings[:_SHOWN]:
        out.print(f"[red]✗[/] {finding}", soft_wrap=True, highlight=False)
    if len(findings) > _SHOWN:
        out.print(f"[red]✗[/] … and {len(findings) - _SHOWN} more")


def show_controls(out: Console, caught: Mapping[str, Caught]) -> None:
    """Whether the rig saw what was broken on purpose."""
    table = Table("broken on purpose", "faults", "found", "", title="Controls")
    for name, control in caught.items():
        seen = f"[green]caught[/]: {control.found} {control.looked_for}"
        found = seen if control.found else f"[red]MISSED[/]: none {control.looked_for}"
        table.add_row(name, str(control.faults), found, control.remark)
    out.print(table)
