"""The record of what an admin does: who, what, why; and what it was about before and after.

Kept before the act begins, so that none goes without; a mutation that can't be recorded isn't run.
Personal data and secrets are left out of what was asked: the records outlive them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import structlog
from graphql import GraphQLResolveInfo, value_from_ast_untyped

from core.errors import Refusal
from core.members import IdentifierKind
from core.store import audit, lookups
from schema.context import Act, Context

#: Fields of inputs whose values are left out.
LEFT_OUT = frozenset(
    {
        "email", "phone", "card", "reference", "name", "birthday", "note", "token", "secret",
        "codes", "body", "variables", "query", "value", "message",
        "comment",
    }
)  # fmt: skip
_HIDDEN = "…"
_MOST_BYTES = 16_384
#: A batch concerns many; the books themselves say whom.
_MOST_WATCHED = 10
_log = structlog.get_logger("laurels.audit")


async def recorded(
    context: Context, info: GraphQLResolveInfo[Context], run: Callable[[], Awaitable[Any]]
) -> Any:
    """What `run` answers, between the two halves of its record."""
    viewer = context.viewer
    # Coerced already: strawberry executes with them, whatever graphql-core calls the type.
    variables = cast("dict[str, Any]", info.variable_values)
    given = {
        argument.name.value: value_from_ast_untyped(argument.value, variables)
        for argument in info.field_nodes[0].arguments or ()
    }
    asked = audit.Asked(
        context.instant, viewer.subject[:200], sorted(viewer.staff), info.field_name,
        _short(without_secrets(given)), _why(context, given), context.request_id,
    )  # fmt: skip
    act = Act(await audit.begin(asked))
    context.act = act
    outcome = "FAILED"
    try:
        answer = await run()
        outcome = _outcome(answer)
        return answer
    except Refusal as refusal:
        outcome = refusal.code
        raise
    finally:
        context.act = None
        await _end(context, act, outcome)


async def _end(context: Context, act: Act, outcome: str) -> None:
    try:
        after = {name: without_secrets(await look()) for name, look in act.looks.items()}
        holders = sorted(act.holders)
        await audit.end(act.number, context.now(), outcome, holders, act.before, after)
    except Exception:  # the act is done and is answered; its record shows that its end is missing
        _log.exception("how an act ended couldn't be recorded", audit=act.number)


async def watch(
    context: Context, name: str, look: Callable[[], Awaitable[Mapping[str, Any] | None]]
) -> None:
    """Record what `look` sees now, and what it sees when the act is over. Nothing for others."""
    act = context.act
    if act is not None and name not in act.looks and len(act.looks) < _MOST_WATCHED:
        act.looks[name] = look
        act.before[name] = without_secrets(await look())


async def watch_member(context: Context, holder: int) -> None:
    """Record a member's ledgers and tiers before and after an act."""
    if context.act is not None:
        context.act.holders.add(holder)
        await watch(context, f"member {holder}", lambda: audit.standing_of(holder))


async def watch_identifiers(context: Context, holder: int, *, new: bool = False) -> None:
    """Record by what a member is known before and after an act: kinds and how many, no values.

    `new`: the act has made the member.
    """
    if context.act is not None:
        context.act.holders.add(holder)
        name = f"identifiers {holder}"
        await watch(context, name, lambda: _kinds(holder))
        if new:
            context.act.before[name] = None


async def _kinds(holder: int) -> dict[str, int]:
    known = await lookups.identifiers([holder])
    return dict(Counter(IdentifierKind(kind).name for kind, _, _ in known.get(holder, ())))


def without_secrets(value: Any) -> Any:
    """The same with personal data and secrets left out, whatever is in it."""
    if isinstance(value, Mapping):
        return {key: _told(key, x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(x) for x in value]
    return _storable(value) if isinstance(value, str) else value


def _told(key: str, value: Any) -> Any:
    if key in LEFT_OUT and value is not None:
        return _HIDDEN
    if key == "url" and isinstance(value, str):
        # What stands in front of a host or behind a path may be a password.
        try:
            parts = urlsplit(_storable(value))
        except ValueError:  # no address at all
            return _HIDDEN
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return without_secrets(value)


def _storable(text: str) -> str:
    """A text as PostgreSQL takes it: what a refusal is about need not be."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _short(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A batch of hundreds is told by its size: what it did is in the books."""
    if len(orjson.dumps(asked, default=str)) <= _MOST_BYTES:
        return dict(asked)
    inner = asked.get("input", asked)
    sizes = {key: f"{len(x)} items" for key, x in inner.items() if isinstance(x, list)}
    plain = {key: x for key, x in inner.items() if isinstance(x, str | int) and len(str(x)) < 200}
    return {"tooLong": {**plain, **sizes}}


def _why(context: Context, given: Mapping[str, Any]) -> str | None:
    """The reason that goes with the request, or the one that the input names."""
    inner = given.get("input")
    said = context.reason or (inner.get("reason") if isinstance(inner, Mapping) else None)
    return _storable(said[:500]) if isinstance(said, str) and said else None


def _outcome(answer: Any) -> str:
    code = getattr(answer, "code", None)
    name = type(answer).__name__
    return code if isinstance(code, str) and name.endswith("Error") else name[:64]
