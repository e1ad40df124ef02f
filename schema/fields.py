"""A field with a resolver, typed: strawberry's own decorator is untyped to a type checker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import strawberry
from strawberry.extensions.field_extension import FieldExtension

F = TypeVar("F", bound=Callable[..., Any])


def answer(
    description: str, *, name: str | None = None, extensions: Sequence[FieldExtension] = ()
) -> Callable[[F], F]:
    """Make a method the resolver of a field."""
    field = strawberry.field(name=name, description=description, extensions=list(extensions))
    return cast("Callable[[F], F]", field)


def change(description: str, *, extensions: Sequence[FieldExtension]) -> Callable[[F], F]:
    """Make a method the resolver of a mutation."""
    field = strawberry.mutation(description=description, extensions=list(extensions))
    return cast("Callable[[F], F]", field)
