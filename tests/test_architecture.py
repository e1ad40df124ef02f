"""The shape of the code, held: sizes, docstrings, and which words may stand where.

Import contracts between the packages are import-linter's (`make lint`); here is what it can't say.
Every check is a function from sources to complaints, and is shown a planted fault that it must see.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONG_FUNCTION = 30
SHARE_OF_LONG_FUNCTIONS = 0.10

Sources = Mapping[str, str]
Check = Callable[[Sources], list[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module")
def sources() -> Sources:
    """Every Python file that git tracks, or would."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [path for path in listing.stdout.split("\0") if path and (ROOT / path).is_file()]
    return {path: (ROOT / path).read_text("utf-8") for path in paths}


# --- the checks -----------------------------------------------------------------------------------


def long_files(sources: Sources) -> list[str]:
    lengths = {path: len(text.splitlines()) for path, text in sources.items()}
    return [
        f"{path} has {length} lines" for path, length in lengths.items() if length > LONGEST_FILE
    ]


def long_functions(sources: Sources) -> list[str]:
    return [
        f"{path}:{function.lineno} {function.name} has {length(function)} lines"
        for path, function in _functions(sources)
        if length(function) > LONGEST_FUNCTION
    ]


def too_many_longish_functions(sources: Sources) -> list[str]:
    functions = list(_functions(sources))
    longish = [
        f"{path}:{function.lineno} {function.name} has {length(function)} lines"
        for path, function in functions
        if length(function) > LONG_FUNCTION
    ]
    return longish if len(longish) > SHARE_OF_LONG_FUNCTIONS * len(functions) else []


def missing_docstrings(sources: Sources) -> list[str]:
    return [
        f"{path} does not say what it is for"
        for path, tree in _trees(sources)
        if not ast.get_docstring(tree) and not (path.endswith("__init__.py") and not tree.body)
    ]


def orm_outside_its_places(sources: Sources) -> list[str]:
    """The ORM is known to the models, the queries, the migrations and the one connection module."""
    allowed = ("core/models.py", "core/models/", "core/store/", "core/migrations/", "core/db.py")
    return [
        f"{path}:{line} imports {name}"
        for path, line, name in _imports(sources)
        if name.split(".")[0] == "tortoise" and not path.startswith((*allowed, "tests/"))
    ]


def transactions_outside_their_place(sources: Sources) -> list[str]:
    """One function opens transactions, so that nobody has to look for the others.

    Benchmarks measure the bare driver beside it, and tests prepare what they like.
    """
    return [
        f"{path}:{node.lineno} opens a transaction"
        for path, tree in _trees(sources)
        if path != "core/db.py" and not path.startswith(("bench/", "tests/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom | ast.Call) and _opens_transaction(node)
    ]


def tries_in_resolvers(sources: Sources) -> list[str]:
    """Resolvers let errors pass: one place turns those that are expected into results.

    A plain function of a module is no resolver; there, text that a caller sent may be parsed. Nor
    is what stands around all resolvers: the gate, and the record of what an admin did, which is
    ended however that ended.
    """
    around = ("errors", "gate", "deadline", "acts", "executor", "waits")
    no_resolvers = [f"schema/{name}.py" for name in around]
    return [
        f"{path}:{node.lineno} catches"
        for path, tree in _trees(sources)
        if path.startswith("schema/") and path not in no_resolvers
        for scope in tree.body
        if not isinstance(scope, ast.FunctionDef) or scope.decorator_list
        for node in ast.walk(scope)
        if isinstance(node, ast.Try | ast.TryStar)
    ]


def partners_found_unasked(sources: Sources) -> list[str]:
    """Whoever names a partner may act for it: but where what is read is asked for by itself."""
    places = ("schema/access.py", "schema/inputs.py", "schema/receipts.py")
    return [
        f"{path}:{node.lineno} finds a partner without asking whether the viewer may"
        for path, tree in _trees(sources)
        if path.startswith("schema/") and path not in places
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "find_partner"
    ]


def hooks_outside_their_place(sources: Sources) -> list[str]:
    """No hook is called but where one plugin is asked, one plugin at a time."""
    return [
        f"{path}:{node.lineno} calls hooks"
        for path, tree in _trees(sources)
        if not path.startswith(("laurels/plugin/", "plugins/", "tests/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"hook", "subset_hook_caller"}
    ]


def brands_that_know_too_much(sources: Sources) -> list[str]:
    """The brands we ship import what an outside partner can: the SDK, pydantic, Python's library.

    And what stands in their own package.
    """
    return [
        f"{path}:{line} imports {name}"
        for path, line, name in _imports(sources)
        if path.startswith("plugins/partners/")
        and name.split(".")[0] not in {"laurels", "pydantic", *sys.stdlib_module_names}
        and not name.startswith(".".join(Path(path).parts[:3]))
    ]


def impure_rules(sources: Sources) -> list[str]:
    """The SDK's rules and evaluator have no clock but the one that is handed in."""
    clocks = {"now", "utcnow", "today"}
    return [
        f"{path}:{node.lineno} reads the clock"
        for path, tree in _trees(sources)
        if path.startswith(("laurels/", "core/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in clocks
        and isinstance(node.func.value, ast.Name | ast.Attribute)
        and _last_name(node.func.value) in {"datetime", "date"}
    ]


# --- how they look --------------------------------------------------------------------------------


def _trees(sources: Sources) -> Iterator[tuple[str, ast.Module]]:
    for path, text in sources.items():
        yield path, _parsed(text, path)


@functools.cache
def _parsed(text: str, path: str) -> ast.Module:
    return ast.parse(text, path)


def _functions(sources: Sources) -> Iterator[tuple[str, Function]]:
    for path, tree in _trees(sources):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def length(function: Function) -> int:
    """From `def` to the last line; decorators are declarations, not work."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _imports(sources: Sources) -> Iterator[tuple[str, int, str]]:
    for path, tree in _trees(sources):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield path, node.lineno, alias.name
            elif isinstance(node, ast.ImportFrom):
                yield path, node.lineno, node.module or "."


def _opens_transaction(node: ast.ImportFrom | ast.Call) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "in_transaction" for alias in node.names)
    name = _last_name(node.func)
    return name == "in_transaction" or (
        # A bare `transaction()` is our own function, a method is the driver's.
        name == "transaction" and isinstance(node.func, ast.Attribute)
    )


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


# --- the code passes, and each planted fault is seen ----------------------------------------------

_MANY_SHORT = "".join(f"def f{n}() -> None: ...\n" for n in range(8))


def _function_of(lines: int) -> str:
    return "def long() -> None:\n" + "    pass\n" * (lines - 1)


FAULTS: list[tuple[Check, str, str]] = [
    (long_files, "core/x.py", "x = 1\n" * (LONGEST_FILE + 1)),
    (long_functions, "core/x.py", _function_of(LONGEST_FUNCTION + 1)),
    (too_many_longish_functions, "core/x.py", _MANY_SHORT + _function_of(LONG_FUNCTION + 1)),
    (missing_docstrings, "core/x.py", "x = 1\n"),
    (missing_docstrings, "core/__init__.py", "x = 1\n"),
    (orm_outside_its_places, "core/tiers.py", "from tortoise import fields\n"),
    (orm_outside_its_places, "schema/me.py", "def f():\n    import tortoise.models\n"),
    (
        transactions_outside_their_place,
        "core/store/x.py",
        "async with connection.transaction(): 1\n",
    ),
    (
        transactions_outside_their_place,
        "core/x.py",
        "from tortoise.transactions import in_transaction\n",
    ),
    (transactions_outside_their_place, "app/x.py", "async with db.in_transaction('x'): ...\n"),
    (tries_in_resolvers, "schema/me.py", "async def f():\n    try: g()\n    finally: ...\n"),
    (tries_in_resolvers, "schema/me.py", "@field\ndef f():\n    try: g()\n    finally: ...\n"),
    (tries_in_resolvers, "schema/me.py", "class A:\n    try: g()\n    finally: ...\n"),
    (partners_found_unasked, "schema/x.py", "terms = find_partner(rulebook, code)\n"),
    (hooks_outside_their_place, "core/x.py", "manager.hook.laurels_partner()\n"),
    (hooks_outside_their_place, "app/x.py", "manager.subset_hook_caller('laurels_partner', [])\n"),
    (brands_that_know_too_much, "plugins/partners/cafe.py", "from plugins.host import Host\n"),
    (brands_that_know_too_much, "plugins/partners/cafe.py", "import httpx\n"),
    (impure_rules, "laurels/x.py", "from datetime import datetime\nat = datetime.now()\n"),
]

INNOCENT: list[tuple[Check, str, str]] = [
    (long_files, "core/x.py", "x = 1\n" * LONGEST_FILE),
    (long_functions, "core/x.py", _function_of(LONGEST_FUNCTION)),
    (too_many_longish_functions, "core/x.py", _MANY_SHORT * 2 + _function_of(LONG_FUNCTION + 1)),
    (missing_docstrings, "core/__init__.py", ""),
    (orm_outside_its_places, "core/store/members.py", "from tortoise import Tortoise\n"),
    (transactions_outside_their_place, "core/x.py", "from core.db import transaction\n"),
    (transactions_outside_their_place, "core/x.py", "async with transaction(): ...\n"),
    (tries_in_resolvers, "schema/me.py", "def f():\n    try: g()\n    finally: ...\n"),
    (tries_in_resolvers, "core/me.py", "try:\n    g()\nfinally: ...\n"),
    (partners_found_unasked, "schema/x.py", "terms = partner_for(context, code)\n"),
    (partners_found_unasked, "core/x.py", "terms = find_partner(rulebook, code)\n"),
    (hooks_outside_their_place, "laurels/plugin/loading.py", "manager.hook.laurels_partner()\n"),
    (brands_that_know_too_much, "plugins/partners/cafe.py", "from laurels import Partner\n"),
    (impure_rules, "app/x.py", "from datetime import datetime\nat = datetime.now()\n"),
]

CHECKS = list(dict.fromkeys(check for check, _, _ in FAULTS))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_code_keeps_to_it(check: Check, sources: Sources) -> None:
    assert check(sources) == []


@pytest.mark.parametrize(("check", "path", "text"), FAULTS)
def test_the_check_sees_a_fault(check: Check, path: str, text: str) -> None:
    assert check({path: text})


@pytest.mark.parametrize(("check", "path", "text"), INNOCENT)
def test_the_check_lets_the_innocent_pass(check: Check, path: str, text: str) -> None:
    assert check({path: text}) == []


def test_there_is_something_to_check(sources: Sources) -> None:
    assert "app/postgres.py" in sources
