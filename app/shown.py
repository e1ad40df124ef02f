"""How long work and its results look in a terminal: bars for steps, tables of what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
)
from rich.table import Column, Table
from rich.text import Text

from core.nightly import Night
from core.store.shadows import Shadowed
from laurels.plugin.installed import Installed

_STEPS = {
    "holds": "releasing holds",
    "match": "matching returns",
    "activate": "activating points",
    "memberships": "renewing memberships",
    "review": "reviewing tiers",
    "expire": "expiring points",
    "notices": "writing notices",
    "digest": "sealing the books",
}
_DONE = {
    "released": "holds released",
    "activated": "points activated",
    "lapsed": "points lapsed",
    "ranks": "ranks changed",
    "expired": "points expired",
    "matched": "returns matched",
    "notices": "notices written",
    "forgotten": "webhooks forgotten",
    "renewed": "memberships renewed",
    "asked": "membership fees asked for",
}


def bars(console: Console) -> Progress:
    """Progress bars that leave nothing behind."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
    )


class Steps:
    """A bar for each step of the work, as it is told of them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """So much of this step is done, of so much; 0: not known."""
        bars_ = self._progress
        if step not in self._bars:
            for before in self._bars.values():
                bars_.update(before, total=bars_.tasks[before].completed)
            self._bars[step] = bars_.add_task(_STEPS.get(step, step), total=None)
        bars_.update(self._bars[step], completed=done, total=total or None)


def done_table(done: Night) -> Table:
    """What the jobs did."""
    table = Table("done", Column(justify="right"))
    for field in fields(done):
        name = _DONE.get(field.name, field.name.replace("_", " "))
        table.add_row(name, f"{getattr(done, field.name):,}")
    return table


def plugin_table(installed: Sequence[Installed]) -> Table:
    """What each plugin brings."""
    table = Table("plugin", "version", "partner", "earn rules", "redeem rules", "rewards")
    for p in installed:
        table.add_row(
            p.name,
            p.version,
            p.partner.name,
            ", ".join(r.code for r in p.earn_rules),
            ", ".join(r.code for r in p.redeem_rules),
            ", ".join(r.code for r in p.rewards),
        )
    return table


def shadow_table(found: Sequence[Shadowed]) -> Table:
    """What the partners' shadow rules came to."""
    heads = ("judged", "same", "different", "faults", "points in force", "points in shadow")
    columns = [Column(head, justify="right") for head in heads]
    table = Table("partner", Column("shadow", no_wrap=True), "since", *columns)
    for x in found:
        t = x.totals
        counts = (t.same + t.different, t.same, t.different, t.faults)
        live, shadow = (
            "\n".join(f"{points[side]:,} {code}" for code, points in sorted(t.points.items()))
            for side in (0, 1)
        )
        since = f"{x.since:%Y-%m-%d %H:%M} UTC"
        if x.paused_at is not None:
            since += f"\npaused {x.paused_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(x.partner, x.version, since, *(f"{n:,}" for n in counts), live, shadow)
    return table


def setting_table(installed: Sequence[Installed]) -> Table:
    """What each plugin is set to, and by which variable; its secrets are masked already."""
    table = Table("plugin", "setting", "value", Column("variable", overflow="fold"), "what it is")
    for p in installed:
        for s in p.settings:
            # As texts: a brand's brackets are no markup.
            table.add_row(*map(Text, (p.name, s.name, s.value or "", s.variable, s.description)))
    return table
