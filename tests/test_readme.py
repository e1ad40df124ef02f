"""The README's word is kept: the tour is run and its answers compared, its brand is installed.

Run `python -m tests.test_readme` to write the tour's answers anew after a change.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import types
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from graphql import GraphQLSchema, parse, validate

from app.ide_tabs import ADMIN_TABS
from app.runtime import PROGRAMME_FILE
from core import programme
from core.db import connected
from core.entries import Account, Kind
from core.posting import Engine
from core.store.reference import Declared, install
from plugins.host import collect
from schema.access import STAFF
from schema.build import build_schema
from schema.context import Context, Viewer
from tests.support import Databases

README = Path(__file__).parent.parent / "README.md"
TOUR = README.parent / "docs" / "tour.md"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
_STEP = re.compile(r"<!-- tour -->\n```graphql\n(.*?)```\n(?:\n```json\n(.*?)```\n)?", re.DOTALL)
_BRAND = re.compile(r'```python\n("""Corner Bakery.*?)```', re.DOTALL)


async def _engine() -> Engine:
    declared = [
        Declared(p.name, p.version, p.partner, p.earn_rules, p.redeem_rules, p.rewards, p.ladders)
        for p in collect().installed
    ]
    build = partial(install, programme.read(PROGRAMME_FILE), declared)
    return Engine(await build(NOW), build)


async def _answers(steps: list[str]) -> list[object]:
    """What the tour's operations answer, one after the other, to an admin."""
    schema = build_schema()
    engine = await _engine()
    answers: list[object] = []
    for step in steps:
        context = Context(engine, Viewer("admin", staff=STAFF), lambda: NOW)
        result = await schema.execute(step, context_value=context)
        assert not result.errors, result.errors
        answers.append(result.data)
    return answers


async def test_the_tour_answers_as_written(database: str) -> None:
    steps = _STEP.findall(TOUR.read_text("utf-8"))
    assert len(steps) >= 6
    answers = await _answers([operation for operation, _ in steps])
    assert [json.loads(written or "null") for _, written in steps] == answers


def test_the_brand_is_found_whole_and_pays_what_it_says() -> None:
    """The plugin in the README is collected by the host without a complaint, and earns."""
    from importlib.metadata import EntryPoint

    from laurels import Facts, Line, Purchase, evaluate

    found = _BRAND.search(README.read_text("utf-8"))
    assert found is not None
    module = types.ModuleType("corner_bakery_readme")
    sys.modules[module.__name__] = module
    try:
        exec(compile(found[1], "README.md", "exec"), module.__dict__)
        entry = EntryPoint("bakery", module.__name__, "laurels.partners")
        collected = collect(entry_points=[entry])
    finally:
        del sys.modules[module.__name__]
    assert [str(r) for r in collected.refused] == []
    (bakery,) = collected.installed
    tuesday = datetime(2026, 11, 24, 9, tzinfo=UTC)
    lines = (Line("bread", 8400), Line("cake", 2000))
    purchase = Purchase("bakery", "1", tuesday, "TRY", lines, "", "Europe/Istanbul")
    # 84.00 at 2 is 168, 20.00 at 1 is 20, and fifty for a quiet Tuesday with 104.00.
    assert evaluate(bakery.earn_rules, purchase, Facts()).points("CRUMB") == 238


def test_every_operation_in_the_readme_is_valid_against_the_schema() -> None:
    """Those in blocks of their own, and those that curl is handed."""
    text = README.read_text("utf-8")
    schema: GraphQLSchema = build_schema()._schema
    handed = re.findall(r'"query": ("(?:[^"\\]|\\.)*")', text)
    found = re.findall(r"```graphql\n(.*?)```", text, re.DOTALL) + [json.loads(q) for q in handed]
    assert len(found) >= 5
    for operation in found:
        assert validate(schema, parse(operation)) == [], operation


def test_the_glossary_has_each_word() -> None:
    """What entries and accounts are called, and what members and partners are told of."""
    text = (README.parent / "docs" / "glossary.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    words = {re.sub(r" \(.*\)", "", w).strip() for row in rows for w in row.split(",")}
    outside = {"issued", "redeemed", "expired", "clawed back", "adjusted", "lapsed"}
    wanted = {name.lower().replace("_", " ") for name in (*Kind.__members__, *Account.__members__)}
    wanted |= {"hold", "grace", "soft landing", "status match", "notice", "digest"}
    assert wanted - words == outside


def test_every_tab_of_graphiql_is_valid_against_the_schema() -> None:
    schema: GraphQLSchema = build_schema()._schema
    for tab in ADMIN_TABS:
        assert validate(schema, parse(tab.query)) == [], tab.title
    assert validate(schema, parse("{ nobody }")) != []


def _pretty(value: object, depth: int = 0) -> str:
    """JSON as a person would lay it out: what fits on a line stands on one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + 2 * depth <= 96 or not isinstance(value, dict | list):
        return line
    pad, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        inner = [f"{pad}{json.dumps(k)}: {_pretty(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(inner) + f"\n{end}}}"
    return "[\n" + ",\n".join(pad + _pretty(v, depth + 1) for v in value) + f"\n{end}]"


async def _write() -> None:
    from app.postgres import throwaway

    text = TOUR.read_text("utf-8")
    steps = [operation for operation, _ in _STEP.findall(text)]
    with throwaway() as server:
        databases = Databases(server.url)
        async with databases.migrated() as url, connected(url):
            answers = iter(await _answers(steps))
        await databases.close()

    def told(match: re.Match[str]) -> str:
        answer = _pretty(next(answers))
        return f"<!-- tour -->\n```graphql\n{match[1]}```\n\n```json\n{answer}\n```\n"

    TOUR.write_text(_STEP.sub(told, text), "utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
