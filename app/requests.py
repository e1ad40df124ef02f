"""What a request asks for, read from its body or its address. Knows no schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

#: The fields of a request, and what they are beside null.
_FIELDS: dict[str, tuple[type, str]] = {
    "query": (str, "a string"),
    "variables": (dict, "an object"),
    "operationName": (str, "a string"),
    "extensions": (dict, "an object"),
    "documentId": (str, "a string"),
}


class BadRequestError(Exception):
    """The body isn't a request; says why in words that are safe to show."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    query: str | None
    variables: dict[str, Any] | None
    operation: str | None
    extensions: dict[str, Any] | None


def read_parameters(query_string: bytes) -> Asked:
    """What the address of a GET asks for. Raises BadRequestError."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), errors="strict", max_num_fields=20)
    except ValueError:
        raise BadRequestError("the address holds no parameters in UTF-8") from None
    given: dict[str, Any] = dict(pairs)
    _refuse_repeated([name for name, _ in pairs])
    for name in ("variables", "extensions"):
        if given.get(name):
            given[name] = _loads(given[name], f"{name} isn't JSON")
    return _asked({name: value for name, value in given.items() if value != ""})


def read_request(body: bytes) -> Asked:
    """What a body asks for. Raises BadRequestError."""
    read = _loads(body, "the body isn't JSON in UTF-8")
    if isinstance(read, list):
        raise BadRequestError("a request holds one operation: batches aren't served")
    if not isinstance(read, dict):
        raise BadRequestError("the body is a JSON object with a query")
    # Others on the way may see the other one. The exact look is taken only where a name is found
    # twice: it may be a variable's too.
    if any(body.count(b'"%s"' % name.encode()) > 1 for name in _FIELDS):
        objects: list[list[str]] = []
        try:
            json.loads(body, object_pairs_hook=lambda pairs: objects.append([n for n, _ in pairs]))
        except RecursionError:  # its own limit, which is below that of what read it before
            raise BadRequestError("the body is nested too deeply") from None
        _refuse_repeated(objects[-1])  # the outermost ends last
    return _asked(read)


def _loads(text: str | bytes, refused: str) -> Any:
    """JSON. Unlike the standard library's: no NaN, no lone surrogate, no bad UTF-8."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadRequestError(refused) from None


def _refuse_repeated(names: Sequence[str]) -> None:
    for name in _FIELDS:
        if names.count(name) > 1:
            raise BadRequestError(f"{name} is there twice")


def _asked(read: Mapping[str, Any]) -> Asked:
    for name, (kind, said) in _FIELDS.items():
        if not isinstance(read.get(name), kind | None):
            raise BadRequestError(f"{name} is {said} or null")
    extensions = read.get("extensions")
    if (document := read.get("documentId")) is not None:
        asked = {"version": 1, "sha256Hash": document.removeprefix("sha256:")}
        extensions = {**(extensions or {}), "persistedQuery": asked}
    if not read.get("query") and "persistedQuery" not in (extensions or {}):
        raise BadRequestError("the query is missing")
    return Asked(read.get("query"), read.get("variables"), read.get("operationName"), extensions)
