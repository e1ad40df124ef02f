"""Whether a rule's terms are plain data: what JSON and the database hold exactly, and not too much.

Terms are stored with every version of a rule and hashed into the books, so that nothing may stand
in them that reads back otherwise. Knows nothing of rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from laurels import DeclarationError

MAX_BYTES = 16 * 1024
_MAX_DEPTH = 8


def check_plain(what: str, terms: object) -> None:
    """Raise DeclarationError unless `terms` is a mapping of plain data of at most 16 kB."""
    if not isinstance(terms, Mapping):
        raise DeclarationError(f"{what} is a mapping of plain data, not {type(terms).__name__}")
    size = len(json.dumps(_plain(what, terms, 0), ensure_ascii=False).encode())
    if size > MAX_BYTES:
        raise DeclarationError(f"{what} takes {size} bytes, more than {MAX_BYTES}")


def _plain(what: str, value: object, depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise DeclarationError(f"{what} is nested more than {_MAX_DEPTH} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise DeclarationError(f"{what}: a whole number has at most 64 bits")
        return int(value)
    if isinstance(value, str):
        return _text(what, value)
    if isinstance(value, Mapping):
        return {_key(what, k): _plain(f"{what}[{k!r:.40}]", v, depth + 1) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(f"{what}[{i}]", v, depth + 1) for i, v in enumerate(value)]
    hint = "; write a decimal text" if isinstance(value, float) else ""
    raise DeclarationError(f"{what}: {type(value).__name__} is no plain data{hint}")


def _key(what: str, key: object) -> str:
    if not isinstance(key, str):
        raise DeclarationError(f"{what}: a key is a text, not {type(key).__name__}")
    return _text(what, key)


def _text(what: str, text: str) -> str:
    # PostgreSQL stores neither NUL nor half a surrogate pair in jsonb.
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise DeclarationError(f"{what}: a text without NUL and lone surrogates")
    return str(text)
