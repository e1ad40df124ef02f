"""`laurels simulate`: a partner's history judged again by other rules, watched, and told in tables.

It asks for a run as `simulateRules` does, and does it here unless a worker is faster. Knows nothing
of how history is judged.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.table import Column, Table
from rich.text import Text

from app.runtime import running
from app.shown import bars
from app.terminal import Database, Now, err, out, parse_now, run, settings
from core import simulating
from core.errors import BadInput
from core.posting import Engine
from core.purchases import find_partner
from core.replaying import Change
from core.rule_changes import checked
from core.rulebook import LadderTerms, PartnerTerms, Rulebook
from core.simulation import Affected, Report
from core.store.simulations import Run, State
from laurels.durations import Duration, at_local

_CALLER = "operator"
#: Seconds between two looks at how far a run has come.
_LOOK = 0.2
_YEAR = Duration.parse("1Y")
#: Fields that an option calls otherwise.
_OPTIONS = {"from": "since"}
Told: TypeAlias = tuple[Report, Rulebook]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be tried, as it was typed."""

    partner: str
    draft: dict[str, Any] | None
    without: tuple[str, ...]
    since: str | None
    until: str | None


def simulate(
    partner: Annotated[str, typer.Option(help="The partner whose history it is.")],
    draft: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A data rule in JSON, as for saveRule."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="The code of a rule to leave out.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Purchases from then on; left out: a year before the end.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="And before then; left out: now.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    database_name: Database = None,
    now: Now = None,
) -> None:
    """Judge a partner's history again by other rules, and tell what it would have come to.

    Books nothing. A day begins by the partner's own clock; an instant has its zone. The draft
    stands in place of a rule of its code. Ctrl+C cancels it.

    Examples:

      laurels simulate --partner grocer --draft tea.json --since 2026-01-01

      laurels simulate --partner cafe --without happy-hour --until 2026-07-01 --json
    """
    wish = Wish(partner, _read(draft), tuple(without or ()), since, until)
    at = parse_now(now)

    async def go() -> Told:
        async with running(settings(), name=database_name, now=at) as runtime:
            with bars(err) as bar:
                task = bar.add_task(f"simulating {partner}", total=None)

                def told(done: int, total: int) -> None:
                    bar.update(task, completed=done, total=total or None)

                report = await tried(runtime.engine, wish, at, told)
            return report, runtime.engine.rulebook

    report, rulebook = run(_mended(go()))
    if as_json:
        typer.echo(json.dumps(plain(report, rulebook), indent=2, ensure_ascii=False))
        return
    for table in tables(report, rulebook):
        out.print(table)


async def _mended(work: Coroutine[Any, Any, Told]) -> Told:
    """What is wrong with the wish is the caller's to mend: told by its field, with exit code 2."""
    try:
        return await work
    except BadInput as refusal:
        path = ".".join(_OPTIONS.get(str(part), _camel(str(part))) for part in refusal.path)
        err.print(Text(f"{path}: {refusal}" if path else str(refusal), style="red"))
        raise typer.Exit(2) from None
    except OverError as over:
        err.print(Text(str(over), style="red"))
        raise typer.Exit(1) from None


class OverError(Exception):
    """A run came to nothing."""


async def tried(
    engine: Engine, wish: Wish, now: datetime, told: Callable[[int, int], None]
) -> Report:
    """Ask for a run, do it or watch it, and return what it came to; cancelled, it cancels the run.

    Raises BadInput naming the field.
    """
    partner = find_partner(engine.rulebook, wish.partner)
    begin, end = _period(partner, wish, now)
    definition = None
    if wish.draft is not None:
        try:
            definition = checked(partner, wish.draft, begin)
        except BadInput as refusal:
            raise refusal.under("draft") from None
    request = (_CALLER, secrets.token_hex(16))
    change = Change(definition, wish.without)
    asked = await simulating.ask(engine, partner, change, (begin, end), request, now)
    try:
        found = await _watched(engine, asked.run, now, told)
    except asyncio.CancelledError:
        await simulating.cancel(asked.run.id)
        raise
    if found.report is None:
        raise OverError(found.problem or "it was cancelled")
    return simulating.report_of(found.report)


async def _watched(
    engine: Engine, asked: Run, now: datetime, told: Callable[[int, int], None]
) -> Run:
    """The run when it is over: done here, unless a worker has it; were that to die, here too."""
    working: asyncio.Task[int] | None = None
    try:
        while True:
            found = await simulating.find(asked.id)
            told(found.done, found.total)
            if found.state not in (State.WAITING, State.RUNNING):
                return found
            if working is None or working.done():
                if working is not None:
                    working.result()
                working = asyncio.create_task(simulating.work(engine, now, only=asked.id))
            await asyncio.wait({working}, timeout=_LOOK)
            if working.done():  # by now it is over, or somebody else has it
                await asyncio.sleep(_LOOK)
    finally:
        if working is not None:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working


def _period(partner: PartnerTerms, wish: Wish, now: datetime) -> tuple[datetime, datetime]:
    end = now if wish.until is None else _instant(partner, wish.until, "until")
    if wish.since is not None:
        return _instant(partner, wish.since, "since"), end
    return _YEAR.before(end, partner.time_zone), end


def _instant(partner: PartnerTerms, text: str, field: str) -> datetime:
    """An instant, or a day's beginning by the partner's clock. Raises BadInput."""
    try:
        at = datetime.fromisoformat(text)
        return at_local(at, partner.time_zone) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput("a day such as 2026-01-01, or an instant with its zone", field) from None


def _read(file: Path | None) -> dict[str, Any] | None:
    """A draft as it is checked. Raises typer.BadParameter."""
    if file is None:
        return None
    try:
        said = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{file.name} is no JSON: {error}") from None
    if not isinstance(said, dict):
        raise typer.BadParameter(f"{file.name}: a data rule is an object with a code and a title")
    snake: dict[str, Any] = _snake(said)
    notes = snake.get("notes")
    for note in notes if isinstance(notes, list) else ():
        if isinstance(note, dict):  # here alone null isn't what is left out: it stands no longer
            note.setdefault("value", "yes")
    mended: dict[str, Any] = _without_nulls(snake)
    return mended


def _snake(said: Any, place: str = "") -> Any:
    """The words of GraphQL in those of the engine: eachUnit, each_unit; NET_OF_POINTS likewise."""
    if isinstance(said, dict):
        snake = {_UPPER.sub(lambda c: f"_{c[0].lower()}", k): v for k, v in said.items()}
        return {k: _snake(v, f"{place}.{k}") for k, v in snake.items()}
    if isinstance(said, list):
        return [_snake(x, place) for x in said]
    enum = place in _ENUMS and isinstance(said, str)
    return said.lower().replace("_", "-") if enum else said


def _without_nulls(said: Any) -> Any:
    """To GraphQL null is as if it were left out."""
    if isinstance(said, dict):
        return {k: _without_nulls(v) for k, v in said.items() if v is not None}
    return [_without_nulls(x) for x in said] if isinstance(said, list) else said


#: Where a draft names one of GraphQL's enums.
_ENUMS = (".basis.of", ".basis.without", ".group.mode")
_UPPER = re.compile(r"(?<!^)[A-Z]")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(map(str.capitalize, rest))


# -- what it came to -------------------------------------------------------------------------------


def plain(report: Report, rulebook: Rulebook) -> dict[str, Any]:
    """The report as JSON has it, in the words of GraphQL."""
    return {
        "purchases": report.purchases,
        "failed": report.failed,
        "otherwise": report.otherwise,
        "members": report.members,
        "currencies": [
            {"currency": code, **asdict(x), "change": x.then - x.now}
            for code, x in sorted(report.currencies.items())
        ],
        "rules": [
            {"code": code, "now": was, "then": would}
            for code, (was, would) in sorted(report.rules.items())
        ],
        "winners": [_member(x) for x in report.winners],
        "losers": [_member(x) for x in report.losers],
        "tiers": [
            {
                "ladder": ladder.ladder.code, "now": _tier(ladder, x.now),
                "then": _tier(ladder, x.then), "members": x.members,
            }
            for x in report.tiers
            if (ladder := rulebook.ladders.get(x.ladder)) is not None
        ],
    }  # fmt: skip


def _member(x: Affected) -> dict[str, Any]:
    return {"member": x.holder, "currency": x.currency, "now": x.now, "then": x.then}


def _tier(ladder: LadderTerms, place: int) -> str:
    return ladder.ladder.tiers[place].code


def tables(report: Report, rulebook: Rulebook) -> Iterable[Table]:
    """The report as tables; those of which there is nothing to tell are left out."""
    said = plain(report, rulebook)
    yield _table(
        "what was judged",
        ["purchases", "rules failed on", "booked otherwise", "members affected"],
        [[report.purchases, report.failed, report.otherwise, report.members]],
    )
    yield _table(
        "points by currency",
        ["currency", "booked", "now", "then", "change", "outstanding"],
        [
            [x[k] for k in ("currency", "booked", "now", "then", "change", "outstanding")]
            for x in said["currencies"]
        ],
    )
    yield _table(
        "points by rule",
        ["rule", "now", "then", "change"],
        [[x["code"], x["now"], x["then"], x["then"] - x["now"]] for x in said["rules"]],
    )
    for title, name in (("who would gain most", "winners"), ("who would lose most", "losers")):
        if said[name]:
            yield _table(
                title,
                ["member", "currency", "now", "then", "change"],
                [
                    [str(x["member"]), x["currency"], x["now"], x["then"], x["then"] - x["now"]]
                    for x in said[name]
                ],
            )
    if said["tiers"]:
        yield _table(
            "who would stand on another tier",
            ["ladder", "now", "then", "members"],
            [[x["ladder"], x["now"], x["then"], x["members"]] for x in said["tiers"]],
        )


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str | int]]) -> Table:
    columns = [
        Column(head, justify="right" if rows and isinstance(rows[0][n], int) else "left")
        for n, head in enumerate(heads)
    ]
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{x:,}" if isinstance(x, int) else x for x in row))
    return table
