"""The guide's word is kept: its signatures are the hooks' own, its examples conform."""

from __future__ import annotations

import inspect
import re
import types
from pathlib import Path

import pytest

import laurels
from laurels import hookspecs, testing
from laurels.plugin.loading import load

GUIDE = (Path(__file__).parent.parent / "plugins" / "GUIDE.md").read_text("utf-8")
_SIGNATURE = re.compile(r"<!-- signature: (\w+) -->\n```python\n(.*?)\n```", re.DOTALL)
_EXAMPLE = re.compile(r"<!-- example -->\n```python\n(.*?)```", re.DOTALL)
HOOKS = [name for name in vars(hookspecs) if name.startswith("laurels_")]
EXAMPLES = _EXAMPLE.findall(GUIDE)


def written(name: str) -> str:
    """A hook's signature as the guide must have it."""
    signature = inspect.signature(getattr(hookspecs, name), eval_str=True)
    told = inspect.formatannotation(signature.return_annotation).replace("collections.abc.", "")
    arguments = ", ".join(map(str, signature.parameters.values()))
    return re.sub(r"(laurels|pydantic)[.a-z_]*[.]", "", f"def {name}({arguments}) -> {told}")


def test_every_hook_is_there_with_its_own_signature() -> None:
    assert dict(_SIGNATURE.findall(GUIDE)) == {name: written(name) for name in HOOKS}


def module(source: str) -> types.ModuleType:
    """An example as the module of a plugin."""
    made = types.ModuleType("example")
    exec(compile(source, "GUIDE.md", "exec", dont_inherit=True), made.__dict__)
    return made


@pytest.mark.parametrize("source", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_conforms(source: str) -> None:
    # What an operator must set; an example without it passes over what it doesn't know.
    assert testing.problems(module(source), {"webhook_secret": "for tests alone"}) == []


def test_a_secret_of_an_example_has_no_default() -> None:
    (source,) = [source for source in EXAMPLES if "webhook_secret" in source]
    (told,) = testing.problems(module(source))
    assert told.startswith("hook laurels_settings: webhook_secret is missing")


def test_each_hook_has_an_example() -> None:
    shown = "".join(EXAMPLES)
    assert all(f"def {name}(" in shown for name in HOOKS)
    assert len(EXAMPLES) == len(HOOKS)


def test_an_example_that_does_not_conform_would_be_seen() -> None:
    wrong = EXAMPLES[1].replace("award(CRUMBS, 100)", 'award("GOLD", 100)')
    assert wrong != EXAMPLES[1]
    assert any("GOLD" in problem for problem in testing.problems(module(wrong)))


def test_what_it_says_of_the_kit_is_there() -> None:
    assert load("all", module(EXAMPLES[3])).rewards[1].codes is laurels.CodeSource.POOL
    assert f"`{hookspecs.ENTRY_POINT_GROUP}`" in GUIDE
    assert f"`{hookspecs.SHADOW_GROUP}`" in GUIDE
    assert "quarter of a second" in GUIDE
    assert laurels.deadline.DEADLINE == 0.25
