"""A client of the schema as last published still works, but where the changelog says it won't.

`schema/published.graphql` is the SDL of the last release: `make published` writes it, as a step of
making one. What isn't released yet stands in the part of the changelog whose heading says so.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import (
    DangerousChangeType,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
)

from schema.build import build_schema as ours

ROOT = Path(__file__).parents[2]
PUBLISHED = (ROOT / "schema" / "published.graphql").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()

BASE = """
  type Query { member(id: ID!): Member ranks(at: Int = 1): [Rank!] prize: Prize coin: Coin }
  type Member { name: String rank: Rank }
  enum Rank { SILVER GOLD }
  union Prize = Member | Card
  type Card { code: String }
  type Coin { worth: Int }
"""
UNRELEASED = "# Changelog\n\n## 0.2.0, not yet released\n\n{}\n\n## 0.1.0\n\n- Before: {}\n"


#: Of what graphql-core calls dangerous: a client may meet a value that it doesn't know, or another
#: answer to the same question. An optional argument or a further interface harms nobody.
SURPRISES = {
    DangerousChangeType.VALUE_ADDED_TO_ENUM,
    DangerousChangeType.TYPE_ADDED_TO_UNION,
    DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE,
}
_COORDINATE = re.compile(r"\w+\.\w+(?:\(\w+:\))?")


def unnamed(published: str, present: str, changelog: str) -> list[str]:
    """What breaks or surprises clients, in graphql-core's words, and isn't named as unreleased.

    A change is named by those words, or by its coordinate in backticks: `Type.field(argument:)`.
    """
    old, new = build_schema(published), build_schema(present)
    found = [change.description for change in find_breaking_changes(old, new)]
    found += [c.description for c in find_dangerous_changes(old, new) if c.type in SURPRISES]
    said = unreleased(changelog)
    return [change for change in found if change not in said and not _coordinate_in(change, said)]


def unreleased(changelog: str) -> str:
    """The part of the changelog on what isn't released yet; empty where there is none."""
    parts = re.split(r"^## ", changelog, flags=re.MULTILINE)
    return "".join(part for part in parts if "not yet released" in part.splitlines()[0])


def _coordinate_in(change: str, said: str) -> bool:
    named = _COORDINATE.search(change)
    return named is not None and f"`{named[0]}`" in said


def test_no_client_breaks_without_a_word_in_the_changelog() -> None:
    assert unnamed(PUBLISHED, ours().as_str(), CHANGELOG) == []


BROKEN = [
    ("name: String rank: Rank", "rank: Rank", "Field Member.name was removed."),
    ("name: String", "name: Int", "Field Member.name changed type from String to Int."),
    ("SILVER GOLD", "GOLD", "Enum value Rank.SILVER was removed."),
    ("SILVER GOLD", "SILVER GOLD RUBY", "Enum value Rank.RUBY was added."),
    ("id: ID!", "id: ID!, at: Int!", "A required argument Query.member(at:) was added."),
    ("at: Int = 1", "at: Int = 2", "Query.ranks(at:) has changed defaultValue from 1 to 2."),
    ("| Card", "| Card | Coin", "Coin was added to union type Prize."),
]


@pytest.mark.parametrize(("before", "after", "said"), BROKEN)
def test_what_breaks_is_seen_unless_it_is_named_as_unreleased(
    before: str, after: str, said: str
) -> None:
    present = BASE.replace(before, after)
    assert unnamed(BASE, present, UNRELEASED.format("- Nothing.", said)) == [said]
    assert unnamed(BASE, present, UNRELEASED.format(f"- {said}", "")) == []


def test_a_change_may_be_named_by_its_field() -> None:
    present = BASE.replace("name: String", "")
    assert unnamed(BASE, present, UNRELEASED.format("- `Member.name` has gone.", "")) == []
    assert unnamed(BASE, present, UNRELEASED.format("- `Member.names` has gone.", "")) != []


@pytest.mark.parametrize(
    ("before", "after"),
    [("name: String", "name: String born: Int"), ("id: ID!", "id: ID!, at: Int"), ("", "")],
)
def test_what_is_added_breaks_nobody(before: str, after: str) -> None:
    present = BASE.replace(before, after)
    assert unnamed(BASE, present, UNRELEASED.format("- Nothing.", "")) == []


def test_a_changelog_without_an_unreleased_part_names_nothing() -> None:
    assert unreleased("# Changelog\n\n## 0.1.0\n\n- Member.name was removed.\n") == ""
