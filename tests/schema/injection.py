"""What tries to leave its place in a statement, and how it is seen that something did.

A text that becomes a part of a statement shows by one of three things: the statement breaks, an
answer depends on what is true in SQL, or a sequence moves that nothing but these texts names. A
sequence isn't rolled back, so that it counts also what failed afterwards. Holds no test.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.schema.slots import Operations, Slot

#: Sends an operation and returns its answer, whatever it is.
Send = Callable[[str, dict[str, object]], Awaitable[dict[str, Any]]]
#: How often the canary was called since it was asked last.
Sung = Callable[[], Awaitable[int]]

CANARY = "nextval('canary')"
#: Of one length and one alphabet: what tells them apart is what they mean in SQL alone.
TRIPLE = {"true": "zz' OR '1'='1", "false": "zz' OR '1'='2", "garbled": "zz' OW '1'='1"}
PAYLOADS = {
    **TRIPLE,
    "breaks": "zz'\"`\\;)--/*$$%s{0}$1",
    "stacked": f"zz'; SELECT {CANARY}; --",
    "escaped": f"zz\\'; SELECT {CANARY}; --",
    "union": f"zz' UNION SELECT {CANARY}::text --",
    "within": f"zz' || {CANARY} || '",
    "bare": f"1, {CANARY}",
    "named": f'code" || {CANARY}::text || "',
    "pattern": "%_%'",
}
#: Sent apart: what a whole request may be refused for would hide the others.
APART = {"nul": "zz\0'", "long": "z'" * 1500, "surrogate": "zz'\ud800"}
#: Sent first: what is done by the first text alone is done by this one.
WARM = {"warm": "zz' IW '1'='1"}
_OF_ID = ("breaks", "union")
_REFUSALS = {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED", "BAD_REQUEST", None}
_MOST = 15


@dataclass
class Findings:
    """What is wrong, as (slot, how it shows); how many slots were probed, and how often."""

    wrong: set[tuple[str, str]] = field(default_factory=set)
    slots: int = 0
    sent: int = 0


def wrapped(slot: Slot, types: Iterable[str], cursors: Iterable[str]) -> Iterator[dict[str, str]]:
    """The payloads as they come: plain, and within ids and cursors as this API hands them out."""
    yield PAYLOADS
    names = types if slot.scalar == "ID" else cursors if slot.argument[-1] == "after" else ()
    for name in names:
        yield {
            kind: base64.b64encode(f"{name}:{PAYLOADS[kind]}".encode()).decode() for kind in _OF_ID
        }


async def probe(
    operations: Operations, slot: Slot, tables: Iterable[dict[str, str]], send: Send, sung: Sung,
    found: Findings,
) -> None:  # fmt: skip
    """Send every payload to a slot, and note what shows that one was more than a text."""
    found.slots += 1
    for table in (*tables, APART):
        answers: dict[str, object] = {}
        texts = {**WARM, **table} if "true" in table else table
        step = _MOST if operations.may_be_null(slot) else 1
        for start in range(0, len(texts), step):
            chunk = dict(list(texts.items())[start : start + step])
            answers |= await _sent(operations, slot, chunk, send, found)
        told = [answers.get(kind) for kind in TRIPLE]
        if told[0] != told[1] or told[1] != told[2]:
            found.wrong.add((str(slot), f"boolean: {told}"))
    if await sung():
        found.wrong.add((str(slot), "canary"))


async def _sent(
    operations: Operations, slot: Slot, texts: dict[str, str], send: Send, found: Findings
) -> dict[str, object]:
    """What each payload is answered with, the payload itself taken out of it."""
    query, _ = operations.document(slot, len(texts))
    given = {
        f"v{n}": operations.value(slot, {"x": text} if slot.scalar == "JSON" else text)
        for n, text in enumerate(texts.values())
    }
    answer = await send(query, given)
    found.sent += len(texts)
    errors = answer.get("errors", [])
    codes = {error.get("extensions", {}).get("code") for error in errors}
    if "INTERNAL_SERVER_ERROR" in codes:
        found.wrong.add((str(slot), "error"))
    elif not codes <= _REFUSALS:
        found.wrong.add((str(slot), f"refused with {sorted(map(str, codes))}"))
    return {kind: _judged(answer, f"a{n}", text) for n, (kind, text) in enumerate(texts.items())}


def _judged(answer: dict[str, Any], alias: str, text: str) -> object:
    data = (answer.get("data") or {}).get(alias)
    shown = json.dumps(data).replace(json.dumps(text)[1:-1], "text")
    errors = [
        (error.get("extensions", {}).get("code"), error.get("path", [])[1:])
        for error in answer.get("errors", [])
        if error.get("path", [alias])[:1] == [alias]
    ]
    return re.sub(r"u\d{6}", "u", shown), errors
