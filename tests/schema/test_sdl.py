"""The committed SDL is the schema's own, and no root field goes without a rule of access."""

from __future__ import annotations

from pathlib import Path

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from schema.build import Mutation, Query, check_access
from schema.build import build_schema as ours
from schema.scalars import SCALARS
from schema.subscriptions import Subscription

SDL = Path(__file__).parents[2] / "schema" / "schema.graphql"


def test_the_committed_sdl_is_the_schema() -> None:
    """Whoever changes the schema shows it: `laurels schema > schema/schema.graphql`."""
    assert SDL.read_text() == ours().as_str() + "\n"


def test_a_root_field_without_a_rule_of_access_is_refused() -> None:
    """Default deny: forgetting is an error at start, not a hole."""
    for root in (Query, Mutation, Subscription):
        check_access(root)

    @strawberry.type
    class Open:
        @strawberry.field
        def door(self) -> int:
            return 1

    strawberry.Schema(Open, config=StrawberryConfig(scalar_map=SCALARS))
    with pytest.raises(TypeError, match=r"Open\.door says nobody"):
        check_access(Open)
