"""A field with a resolver, typed: strawberry's own decorator is untyped to a type checker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import strawberry
from strawberry.extensions.field_extension import FieldExtension

from schema.access import Allow

F = TypeVar("F", bound=Callable[..., Any])


def answer(
    description: str, *, name: str | None = None, extensions: Sequence[FieldExtension] = ()
) -> Callable[[F], F]:
    """Make a method the resolver of a field; its description says whom its rule lets in."""
    said = _with_access(description, extensions)
    field = strawberry.field(name=name, description=said, extensions=list(extensions))
    return cast("Callable[[F], F]", field)


def change(description: str, *, extensions: Sequence[FieldExtension]) -> Callable[[F], F]:
    """Make a method the resolver of a mutation; its description says whom its rule lets in."""
    said = _with_access(description, extensions)
    field = strawberry.mutation(description=said, extensions=list(extensions))
    return cast("Callable[[F], F]", field)


def stream(description: str, *, extensions: Sequence[FieldExtension]) -> Callable[[F], F]:
    """Make a method that yields a subscription; its description says whom its rule lets in."""
    said = _with_access(description, extensions)
    field = strawberry.subscription(description=said, extensions=list(extensions))
    return cast("Callable[[F], F]", field)


def _with_access(description: str, extensions: Sequence[FieldExtension]) -> str:
    rules = [extension.rule.words for extension in extensions if isinstance(extension, Allow)]
    return " ".join([description, *rules])
