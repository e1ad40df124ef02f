"""Shadows as the host collects them: with the care that partners get, and never at their cost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.host import collect
from tests.plugins.faults import (
    HEAD,
    HOOKS,
    IMPORTS,
    PARTNER,
    RULES,
    WHO,
    Shelf,
    names,
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


def put_next(shelf: Shelf, name: str, source: str, *, of: str = "", dist: str = "") -> None:
    """Install a next version of the partner `of`, in a distribution of its own."""
    dist = dist or f"shelf-next-{name}"
    shelf.put(name, source.replace("NAME", of or name), version="2.0", dist=dist)
    (info,) = shelf.place.glob(f"{dist.replace('-', '_')}-*.dist-info")
    text = (info / "entry_points.txt").read_text()
    (info / "entry_points.txt").write_text(text.replace("laurels.partners", "laurels.shadows"))


def test_a_next_version_stands_beside_the_one_installed(shelf: Shelf) -> None:
    shelf.put("middle", HEAD + WHO)
    put_next(shelf, "middle", rule("Rule.title = 'The next one'"))
    collected = shelf.collect()
    assert (names(collected.installed), collected.refused) == (["middle"], ())
    (shadow,) = collected.shadows
    assert (shadow.name, shadow.version, shadow.partner.code) == ("middle", "2.0", "middle")
    assert [r.title for r in shadow.earn_rules] == ["The next one"]
    assert collected.installed[0].earn_rules == ()


def test_a_package_brings_its_next_version_in_another_module(shelf: Shelf) -> None:
    module = shelf.put("middle", HEAD + WHO)
    (shelf.place / f"{module}_next.py").write_text((HEAD + WHO).replace("NAME", "middle"))
    (info,) = shelf.place.glob("*.dist-info")
    with (info / "entry_points.txt").open("a") as file:
        file.write(f"[laurels.shadows]\nmiddle = {module}_next\n")
    collected = shelf.collect()
    assert (names(collected.installed), names(collected.shadows)) == (["middle"], ["middle"])


CASES = {
    **{f"import: {k}": v for k, v in IMPORTS.items()},
    **{f"hook: {k}": (source, words) for k, (source, _, words) in HOOKS.items()},
    **{f"declared: {k}": (source, words) for k, (source, _, words) in RULES.items()},
}


@pytest.mark.parametrize(("source", "words"), CASES.values(), ids=CASES.keys())
def test_a_faulty_shadow_is_named_and_costs_the_live_one_nothing(
    shelf: Shelf, source: str, words: str
) -> None:
    shelf.put("middle", HEAD + WHO, version="1.5")
    put_next(shelf, "middle", source)
    collected = shelf.collect()
    assert [(p.name, p.version) for p in collected.installed] == [("middle", "1.5")]
    assert collected.shadows == ()
    (refused,) = collected.refused
    assert refused.shadow
    assert str(refused).startswith("shadow 'middle' 2.0")
    assert words.replace("shelf_middle", "shelf_next_middle") in str(refused)


def test_a_shadow_is_of_a_partner_that_is_installed(shelf: Shelf) -> None:
    shelf.put("alpha", HEAD + WHO)
    put_next(shelf, "zeta", HEAD + WHO)
    shelf.put("broken", "raise SystemExit")
    put_next(shelf, "broken", HEAD + WHO)
    collected = shelf.collect()
    assert (names(collected.installed), collected.shadows) == (["alpha"], ())
    told = [str(r) for r in collected.refused if r.shadow]
    assert told == [
        f"shadow {name!r} 2.0, hook {PARTNER}: no partner {name!r} is installed to shadow"
        for name in ("broken", "zeta")
    ]


def test_a_partner_has_one_shadow(shelf: Shelf) -> None:
    shelf.put("alpha", HEAD + WHO)
    put_next(shelf, "one", HEAD + WHO, of="alpha")
    put_next(shelf, "two", HEAD + WHO, of="alpha")
    collected = shelf.collect()
    assert names(collected.shadows) == ["one"]
    (refused,) = collected.refused
    assert refused.reason == "partner 'alpha' has the shadow 'one'"


def test_a_shadow_claims_no_code_of_its_own(shelf: Shelf) -> None:
    """It may declare what the live one does, and what another has: nothing of it is booked."""
    shelf.put("alpha", HEAD + WHO)
    shelf.put("beta", HEAD + WHO)
    put_next(shelf, "alpha", HEAD + WHO.replace("NAME-POINT", "beta-POINT"))
    collected = shelf.collect()
    assert (names(collected.installed), collected.refused) == (["alpha", "beta"], ())
    assert names(collected.shadows) == ["alpha"]


def test_a_blocked_shadow_is_not_even_imported(shelf: Shelf) -> None:
    shelf.put("alpha", HEAD + WHO)
    put_next(shelf, "later", "raise SystemExit", of="alpha")
    collected = shelf.collect("later")
    assert (names(collected.installed), collected.shadows) == (["alpha"], ())
    assert (collected.refused, collected.blocked) == ((), ("later",))


def test_shadows_are_found_among_all_distributions(shelf: Shelf) -> None:
    shelf.put("alpha", HEAD + WHO)
    put_next(shelf, "alpha", HEAD + WHO)
    put_next(shelf, "bad", HEAD + WHO)
    (info,) = shelf.place.glob("shelf_next_bad-*.dist-info")
    (info / "entry_points.txt").write_text("[laurels.shadows]\nnonsense\n")
    collected = collect()
    assert names(collected.shadows) == ["alpha"]
    told = [str(r) for r in collected.refused]
    assert len(told) == 1
    assert told[0].startswith("plugin 'shelf-next-bad' 2.0: its entry_points.txt can't be read")
