"""The host: what it refuses, in which words, and that one plugin's fault never costs another.

Plugins are written to disk as real modules with real metadata, as an installer leaves them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from plugins.host import collect
from tests.plugins.faults import (
    HEAD,
    HOOKS,
    IMPORTS,
    LADDERS,
    LADDERS_HOOK,
    ONE_REWARD,
    PARTNER,
    RULE,
    RULES,
    WHO,
    Shelf,
    hook,
    names,
    refused_between_two_good_ones,
    rule,
)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """An empty shelf, importable for this test only."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield Shelf(tmp_path)
    for module in set(sys.modules) - before:
        if module.startswith("shelf_"):
            del sys.modules[module]


@pytest.mark.parametrize(("source", "words"), IMPORTS.values(), ids=IMPORTS.keys())
def test_a_plugin_that_fails_to_import_is_named(shelf: Shelf, source: str, words: str) -> None:
    refused = refused_between_two_good_ones(shelf, source)
    assert refused.hook is None
    assert str(refused).startswith("plugin 'middle' 4.5: can't be imported: ")
    assert words in str(refused)


@pytest.mark.parametrize(
    ("source", "where", "words"),
    [*HOOKS.values(), *RULES.values()],
    ids=[*(f"hook: {k}" for k in HOOKS), *(f"declared: {k}" for k in RULES)],
)
def test_a_faulty_hook_is_named_with_its_plugin(
    shelf: Shelf, source: str, where: str, words: str
) -> None:
    refused = refused_between_two_good_ones(shelf, source)
    assert refused.hook == where
    assert str(refused).startswith(f"plugin 'middle' 4.5, hook {where}: ")
    assert words in refused.reason


def test_the_operator_can_still_interrupt(shelf: Shelf) -> None:
    shelf.put("alpha", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        shelf.collect()


def test_an_entry_point_of_a_class_is_refused(shelf: Shelf) -> None:
    module = shelf.put("alpha", HEAD + RULE)
    entry = EntryPoint("alpha", f"{module}:Rule", "laurels.partners")
    (refused,) = collect(entry_points=[entry]).refused
    assert "plugin 'alpha' unknown: its entry point names the class Rule" in str(refused)


SAME_PARTNER = HEAD + WHO.replace('Partner("NAME"', 'Partner("alpha"')
SAME_CURRENCY = HEAD + WHO.replace("NAME-POINT", "alpha-POINT")
WITH_LADDER = HEAD + WHO + LADDERS


@pytest.mark.parametrize(
    ("source", "where", "words"),
    [
        (SAME_PARTNER, PARTNER, "partner 'alpha' already belongs to plugin 'alpha'"),
        (SAME_CURRENCY, PARTNER, "currency 'alpha-POINT' already belongs to plugin 'alpha'"),
        (WITH_LADDER, LADDERS_HOOK, "ladder 'ranks' already belongs to plugin 'alpha'"),
    ],
    ids=["partner", "currency", "ladder"],
)
def test_of_two_with_the_same_code_the_later_is_refused(
    shelf: Shelf, source: str, where: str, words: str
) -> None:
    shelf.put("beta", source)
    shelf.put("alpha", WITH_LADDER)
    shelf.put("gamma", HEAD + WHO)
    collected = shelf.collect()
    assert names(collected.installed) == ["alpha", "gamma"]
    assert str(collected.refused[0]) == f"plugin 'beta' 1.0, hook {where}: {words}"


def test_of_two_with_the_same_name_the_later_is_refused(shelf: Shelf) -> None:
    shelf.put("alpha", HEAD + WHO, version="1.0", dist="shelf-a")
    shelf.put("alpha", HEAD + WHO, version="2.0", dist="shelf-b")
    collected = shelf.collect()
    assert [(p.name, p.dist) for p in collected.installed] == [("alpha", "shelf-a")]
    assert "plugin 'alpha' 2.0: another plugin has this name" in str(collected.refused[0])
    assert "shelf_a of shelf-a" in str(collected.refused[0])


def test_a_refused_plugin_holds_no_code(shelf: Shelf) -> None:
    shelf.put("alpha", hook("rewards", "return 1").replace('"NAME"', '"gamma"'))
    shelf.put("gamma", HEAD + WHO)
    collected = shelf.collect()
    assert (names(collected.installed), names(collected.refused)) == (["gamma"], ["alpha"])


def test_a_blocked_plugin_is_not_even_imported(shelf: Shelf) -> None:
    module = shelf.put("alpha", "raise SystemExit")
    shelf.put("beta", HEAD + WHO)
    collected = shelf.collect("alpha", "never-installed")
    assert names(collected.installed) == ["beta"]
    assert (collected.refused, collected.blocked) == ((), ("alpha",))
    assert module not in sys.modules


def test_a_block_list_is_no_text() -> None:
    with pytest.raises(TypeError, match="collection of names"):
        collect(blocked="alpha", entry_points=[])


def test_what_is_installed_is_recorded_whole(shelf: Shelf) -> None:
    body = f'return [{ONE_REWARD.replace("middle", "alpha")}, tier=("ranks", "low"))]'
    rules = "\n@hookimpl\ndef laurels_earn_rules():\n    return (Rule(),)\n"
    pays = rules.replace("earn", "redeem")
    shelf.put("alpha", hook("rewards", body, LADDERS + RULE + rules + pays), version="1.2.3")
    (plugin,) = shelf.collect().installed
    assert (plugin.name, plugin.version, plugin.dist) == ("alpha", "1.2.3", "shelf-alpha")
    assert plugin.partner.name == "alpha and Sons"
    assert [r.code for r in plugin.earn_rules] == ["own"]
    assert [r.code for r in plugin.redeem_rules] == ["own"]
    assert [r.code for r in plugin.rewards] == ["tote"]
    assert [ladder.code for ladder in plugin.ladders] == ["ranks"]


def test_what_a_rule_says_of_its_points_is_kept(shelf: Shelf) -> None:
    shelf.put("alpha", hook("earn_rules", 'return [pending("14D", reevaluated(Rule()))]', RULE))
    (plugin,) = shelf.collect().installed
    (found,) = plugin.earn_rules
    assert (found.code, dict(found.terms)) == ("own", {"pending": "14D", "reevaluated": True})


def test_two_partners_may_have_a_rule_of_the_same_code(shelf: Shelf) -> None:
    for name in ("alpha", "beta"):
        shelf.put(name, rule(f'Rule.title = "The rule of {name}"'))
    found = [
        (p.partner.code, r.code, r.title) for p in shelf.collect().installed for r in p.earn_rules
    ]
    assert found == [("alpha", "own", "The rule of alpha"), ("beta", "own", "The rule of beta")]


def test_broken_metadata_of_one_distribution_hide_no_other(shelf: Shelf) -> None:
    shelf.put("alpha", HEAD + WHO)
    shelf.put("beta", HEAD + WHO)
    shelf.put("gamma", HEAD + WHO)
    for name, text in (("beta", "[laurels.partners]\nnonsense\n"), ("gamma", "[else]\nnonsense\n")):
        (shelf.place / f"shelf_{name}-1.0.dist-info" / "entry_points.txt").write_text(text)
    collected = collect()
    assert "alpha" in names(collected.installed)
    ours = [str(r) for r in collected.refused if r.name.startswith("shelf-")]
    assert len(ours) == 1
    assert ours[0].startswith("plugin 'shelf-beta' 1.0: its entry_points.txt can't be read")
