"""What an operator sets for a plugin: its model, the variables that set it, and how it is shown.

Secrets are masked here, and what is wrong with a value is told without the value. Must not know
where values come from: whoever runs the plugin reads them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TypeAlias, get_args

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core.core_schema import ErrorType

from laurels.errors import DeclarationError, shown

#: What stands where a secret would.
MASK = "**********"
#: Told a plugin's name and its model, the plain values that are set for it.
Values: TypeAlias = Callable[[str, type[BaseModel]], Mapping[str, object]]

_SECRETS = (Secret, SecretStr, SecretBytes)
#: A brand's own check, or one that quotes what it was given, is told without its words.
_TELLING = {*get_args(ErrorType)} - {"assertion_error", "union_tag_invalid", "value_error"}
#: So many characters of a longer secret are enough to tell it by.
_RECOGNISED = 8
#: A password may hold any character, so that only the last @ surely ends it.
_PASSWORD = re.compile(r"(?<=://).*(?=@)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a plugin as people may see it.

    `name` is its field's, nested ones by dots; `value` is None where it has none, and masked where
    it is a `secret`; `variable` is what an operator sets it by.
    """

    name: str
    value: str | None
    secret: bool
    variable: str
    description: str


def nothing_set(name: str, model: type[BaseModel]) -> Mapping[str, object]:
    """Values of a plugin for which nothing is set."""
    del name, model
    return {}


def prefix(plugin: str) -> str:
    """What the variables of a plugin begin with: `LAURELS_PLUGIN_CORNER_BAKERY_`."""
    return f"LAURELS_PLUGIN_{re.sub(r'[^A-Z0-9]', '_', plugin.upper())}_"


def variable(plugin: str, path: Sequence[object]) -> str:
    """The variable that sets the field at this path: its names joined by `__`."""
    return prefix(plugin) + "__".join(str(part).upper() for part in path)


def check_model(value: object) -> type[BaseModel]:
    """The model that `laurels_settings` returned. Raises DeclarationError."""
    if not isinstance(value, type) or not issubclass(value, BaseModel):
        raise DeclarationError(f"returned {shown(value)}, where a pydantic model class is wanted")
    if any(base.__module__.startswith("pydantic_settings") for base in value.__mro__):
        raise DeclarationError(
            f"{value.__name__} reads the environment itself: make it a BaseModel, and be handed "
            "what is set"
        )
    for path, field in _fields(value):
        if field.alias is not None or field.validation_alias is not None:
            raise DeclarationError(
                f"{value.__name__}: {'.'.join(path)} has an alias: a setting goes by its field's "
                "name, and so does the variable that sets it"
            )
    return value


def validated(plugin: str, model: type[BaseModel], values: Mapping[str, object]) -> BaseModel:
    """The settings. Raises DeclarationError that names each field and its variable, no value."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        told = [_problem(plugin, model, e["loc"], e["type"], e["msg"]) for e in found]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # such as KeyError, whose words are the value
        told = [f"the plugin's own check raised {type(error).__name__}"]
    # Outside of the handler: what pydantic raised holds the values, and must not be its context.
    raise DeclarationError("; ".join(told))


def _problem(
    plugin: str, model: type[BaseModel], loc: Sequence[int | str], kind: str, message: str
) -> str:
    if not loc:
        return "the settings together are refused by the plugin's own check"
    by = variable(plugin, _settable(model, loc))
    name = ".".join(map(str, loc))
    if kind == "missing":
        return f"{name} is missing: set {by}"
    told = (
        f"{message[0].lower()}{message[1:]}" if kind in _TELLING else "the plugin's check refused"
    )
    return f"{name} ({by}): {told}"


def _settable(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The part of an error's place that is fields: no number in a list, no member of a union."""
    path: list[str] = []
    known = model.model_fields
    for part in loc:
        if not isinstance(part, str) or part not in known:
            # A misspelt name is one that somebody set; it is named as they wrote it.
            return [*path, str(part)] if known and isinstance(part, str) else path
        path.append(part)
        inner = _model_of(known[part])
        known = {} if inner is None else inner.model_fields
    return path


def described(plugin: str, settings: BaseModel | None) -> tuple[Setting, ...]:
    """A plugin's settings as people may see them, in the order of its model."""
    if settings is None:
        return ()
    return tuple(_described(plugin, settings, ()))


def _described(plugin: str, settings: BaseModel, path: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        here = (*path, name)
        if isinstance(value, BaseModel):
            yield from _described(plugin, value, here)
            continue
        text = None if value is None else _text(value)
        secret = _mentions_secret(field.annotation) or (text is not None and MASK in text)
        yield Setting(".".join(here), text, secret, variable(plugin, here), field.description or "")


def _text(value: object) -> str:
    """A value in words. Never by the model's own serializers: they may tell secrets."""
    if isinstance(value, _SECRETS):
        return MASK
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(k)}: {_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(map(_text, value)) + "]"
    text = str(value.value if isinstance(value, Enum) else value)
    return _PASSWORD.sub(MASK, text)


def secrets_of(value: object) -> Iterator[str]:
    """Every secret text in a value, however deep: what no message may hold."""
    if isinstance(value, _SECRETS):
        inner = value.get_secret_value()
        if isinstance(inner, bytes):
            yield inner.decode("utf-8", "replace")
        yield str(inner)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name))
    elif isinstance(value, Mapping):
        for key, held in value.items():
            yield from (*secrets_of(key), *secrets_of(held))
    elif isinstance(value, list | tuple | set | frozenset | deque):
        for held in value:
            yield from secrets_of(held)
    elif is_dataclass(value):
        for part in fields(value):
            yield from secrets_of(getattr(value, part.name, None))


def masked(text: str, settings: BaseModel | None) -> str:
    """A message without the secrets of these settings, nor what is left of one that was cut."""
    told = {
        form
        for secret in filter(None, secrets_of(settings))
        for form in (secret, repr(secret)[1:-1], " ".join(secret.split()))
    }
    for form in sorted(told, key=len, reverse=True):
        text = text.replace(form, MASK)
    for form in told:
        if len(form) > _RECOGNISED and (place := text.find(form[:_RECOGNISED])) >= 0:
            text = text[:place] + MASK
    return text


def _mentions_secret(annotation: object) -> bool:
    kinds = (annotation, getattr(annotation, "__origin__", None))
    if any(isinstance(kind, type) and issubclass(kind, _SECRETS) for kind in kinds):
        return True
    return any(_mentions_secret(inner) for inner in get_args(annotation))


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _fields(
    model: type[BaseModel], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in model.model_fields.items():
        here = (*path, name)
        yield here, field
        inner = _model_of(field)
        if inner is not None and len(here) < 8:  # a model may hold its own kind
            yield from _fields(inner, here)
