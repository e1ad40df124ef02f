"""The executor of plans answers as graphql-core's own does, whatever is asked.

Here by random operations on a schema that fails, waits and propagates in every way; and
`tests.schema.client` asks every query of the other tests by both.
"""

from __future__ import annotations

import asyncio
import gc
from enum import Enum
from typing import Annotated, Any, cast

import pytest
import strawberry
from graphql import GraphQLError, OperationDefinitionNode, parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionContext, ExecutionResult

from schema.executor import FastExecutor
from schema.plans import MOST_OPERATIONS, Planned, Plans
from schema.waits import begun
from tests.schema.client import Client


class Colour(Enum):
    """Of which one value reads like another's name."""

    RED = "red"
    BLUE = "RED"


strawberry.enum(Colour)


async def _soon(value: Any) -> Any:
    """After a turn of the loop."""
    await asyncio.sleep(0)
    return value


@strawberry.interface
class Named:
    """What a leaf and a branch have."""

    name: str


@strawberry.type
class Leaf(Named):
    """The end."""

    colour: Colour

    @strawberry.field
    def shade(self) -> Colour:
        return self.colour


@strawberry.type
class Branch(Named):
    """Where everything can go wrong."""

    number: int

    @strawberry.field
    def plain(self) -> int:
        return self.number

    @strawberry.field
    def told(self, info: strawberry.Info) -> str:
        return f"{info.field_name} at {'.'.join(map(str, info.path.as_list()))}"

    @strawberry.field
    def added(self, to: int = 1, more: list[int] | None = None) -> int:
        return self.number + to + sum(more or [])

    @strawberry.field
    async def at_once(self) -> Branch:
        return Branch(name="now", number=self.number + 1)

    @strawberry.field
    async def later(self) -> Branch | None:
        return await _soon(Branch(name="later", number=self.number + 1))  # type: ignore[no-any-return]

    @strawberry.field
    async def never(self) -> Branch | None:
        return await _soon(None)  # type: ignore[no-any-return]

    @strawberry.field
    def failing(self) -> int | None:
        raise ValueError(f"no number {self.number}")

    @strawberry.field
    def wrong(self) -> int | None:
        return "not a number"  # type: ignore[return-value]  # on purpose

    @strawberry.field
    def missing(self) -> int:
        return None  # type: ignore[return-value]  # on purpose

    @strawberry.field
    async def late_missing(self) -> int:
        return await _soon(None)  # type: ignore[no-any-return]

    @strawberry.field
    async def late_failing(self) -> int | None:
        await _soon(None)
        raise ValueError("too late")

    @strawberry.field
    def named(self) -> list[Named]:
        return [Leaf(name="a", colour=Colour.RED), Branch(name="b", number=7)]

    @strawberry.field
    async def either(
        self,
    ) -> list[Annotated[Leaf | Branch, strawberry.union("Either")] | None]:
        return [Leaf(name="c", colour=Colour.BLUE), None, Branch(name="d", number=8)]

    @strawberry.field
    def holes(self) -> list[int | None]:
        return [1, None, "two"]  # type: ignore[list-item]  # on purpose

    @strawberry.field
    def solid(self) -> list[int] | None:
        return (3, 4, None)  # type: ignore[return-value]  # on purpose

    @strawberry.field
    def made(self) -> list[Leaf]:
        return (Leaf(name=n, colour=Colour.RED) for n in "ef")  # type: ignore[return-value]

    @strawberry.field
    def refused(self) -> Branch | None:
        return ValueError("given, not raised")  # type: ignore[return-value]  # on purpose


@strawberry.type
class Query:
    """Both ways in."""

    @strawberry.field
    async def slow(self) -> Branch | None:
        return await _soon(Branch(name="slow", number=1))  # type: ignore[no-any-return]

    @strawberry.field
    def quick(self) -> Branch | None:
        return Branch(name="quick", number=2)


class Plain(strawberry.Schema):
    """Without a gate: what is executed here is refused nowhere."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Nothing: they are compared."""


def _built(executor: type[StrawberryGraphQLCoreExecutionContext]) -> Plain:
    return Plain(
        Query, types=[Leaf], execution_context_class=executor,
        config=StrawberryConfig(disable_field_suggestions=True),
    )  # fmt: skip


FAST, BOOK = _built(FastExecutor), _built(StrawberryGraphQLCoreExecutionContext)
_LEAVES = (
    "__typename", "name", "number", "plain", "told", "added", "added(to: 5)", "failing", "holes",
    "added(to: $n, more: [1, $n])", "wrong", "solid", "lateFailing", "missing", "lateMissing",
)  # fmt: skip
_BELOW = ("atOnce", "later", "never", "refused")
_CONDITIONS = ("", "", "", " @skip(if: $x)", " @include(if: $x)", " @include(if: true)")


@st.composite
def _selections(draw: st.DrawFn, depth: int) -> str:
    """Selections on a branch; `#` becomes a number, so that no two aliases are the same."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        alias = draw(st.sampled_from(("", "", "a#: ")))
        condition = draw(st.sampled_from(_CONDITIONS))
        form = draw(st.integers(0, 9)) if depth else 0
        inner = draw(_selections(depth - 1)) if form > 3 else ""
        if form < 4:
            field = draw(st.sampled_from(_LEAVES))
            # Two of one name with other arguments would be a conflict.
            parts.append(f"{alias or ('b#: ' if '(' in field else '')}{field}{condition}")
        elif form < 7:
            parts.append(f"{alias}{draw(st.sampled_from(_BELOW))}{condition} {{ {inner} }}")
        elif form == 7:
            on_branch = f"... on Branch {{ {inner} }}"
            parts.append(f"{alias}named{condition} {{ name ... on Leaf {{ shade }} {on_branch} }}")
        elif form == 8:
            on_branch = f"... on Branch {{ {inner} }}"
            parts.append(
                f"{alias}either{condition} {{ __typename ... on Leaf {{ colour }} {on_branch} }}"
            )
        else:
            parts.append(f"...{condition} {{ {inner} made {{ name colour }} }} ...Some{condition}")
    return " ".join(parts)


def _told(result: ExecutionResult) -> tuple[str, list[str], set[str]]:
    """The data, in order too; the errors of what is null in it; and what is null for errors below.

    Of several errors below one null the first that is met may hide the others: the specification
    leaves it open which. In what order errors are listed nobody promises either.
    """
    own, below = [], set()
    for error in result.errors or ():
        path, value = error.path or [], cast("Any", result.data)
        depth = 0
        while value is not None and depth < len(path):
            value = value[path[depth]]
            depth += 1
        if depth == len(path):
            own.append(repr(error.formatted))
        else:
            below.add(repr(path[:depth]))
    return repr(result.data), sorted(own), below


_OPERATION = (
    "query($n: Int!, $x: Boolean!) {{ __typename added: quick {{ added(to: $n) }} "
    "slow @skip(if: $x) {{ {} }} quick {{ {} ...Some }} }} fragment Some on Branch {{ name plain }}"
)


def _operation(one: str, two: str) -> str:
    text = _OPERATION.format(one, two)
    for n in range(text.count("#")):
        text = text.replace("#", str(n), 1)
    return text


# What graphql-core itself leaves when null takes the place of what it has begun; ours would be
# FastExecutor's.
@pytest.mark.filterwarnings(r"ignore:coroutine '(GraphQLCoreConverter|Executor)\.:RuntimeWarning")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(_selections(3), _selections(3), st.booleans(), st.integers(0, 9))
def test_random_operations_are_answered_as_by_the_book(one: str, two: str, x: bool, n: int) -> None:
    """Data, order, errors with their paths and places; twice, for the second is by a kept plan."""
    text = _operation(one, two)
    variables = {"n": n, "x": x}
    # Collected here and nowhere else: in the midst of a named tuple, which knows no imports, the
    # warning of a coroutine that graphql-core left would itself fail.
    gc.disable()
    try:
        told = [
            _told(asyncio.run(schema.execute(text, variables))) for schema in (BOOK, FAST, FAST)
        ]
        gc.collect(0)
    finally:
        gc.enable()
    assert "'added'" in told[0][0]  # it was run at all
    assert told[1] == told[0]
    assert told[2] == told[0]


def test_a_wrong_answer_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle's control: a null without its error, and one that should have spread."""
    text = "{ quick { failing later { missing } } }"
    right = _told(asyncio.run(BOOK.execute(text)))
    assert _told(asyncio.run(FAST.execute(text))) == right
    monkeypatch.setattr(FastExecutor, "_failed", lambda *_: None)
    wrong = _told(asyncio.run(FAST.execute(text)))
    assert wrong[0] != right[0]
    assert wrong[1] != right[1]


async def test_a_wrong_answer_to_any_query_is_seen(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the check in `tests.schema.client`, which passes without the fault."""
    query = "{ currencies { code symbol } }"  # asked by no other test
    await api.ask("admin:root", query)
    monkeypatch.setattr(FastExecutor, "_list", lambda *_: [])
    with pytest.raises(AssertionError):
        await api.ask("admin:root", query)


def test_who_begins_early_may_wait_for_the_same() -> None:
    """Two resolvers wait for one future before any task does; and one for a future that fails."""

    async def both() -> list[Any]:
        future = asyncio.get_running_loop().create_future()

        async def wait() -> Any:
            return await future

        begin = [begun(wait()) for _ in range(3)]
        assert [ended for _, ended in begin] == [False] * 3

        async def end(started: Any) -> Any:
            return await started

        tasks = [asyncio.ensure_future(end(started)) for started, _ in begin]
        tasks[0].cancel()
        await asyncio.sleep(0)
        future.set_result("told")
        return await asyncio.gather(*tasks, return_exceptions=True)

    # Who is cancelled cancels the future that it waits for, as everywhere in asyncio.
    first, *others = asyncio.run(both())
    assert isinstance(first, asyncio.CancelledError)
    assert others == ["told", "told"]


def test_plans_are_kept_within_bounds() -> None:
    """The latest used stay; each choice of conditions has a plan of its own."""
    plans = Plans()
    for n in range(MOST_OPERATIONS + 5):
        document = parse(f"query($x: Boolean!) {{ a{n}: quick @skip(if: $x) {{ name }} }}")
        [asked] = document.definitions
        assert isinstance(asked, OperationDefinitionNode)
        made: list[bool] = []

        def make(x: bool, made: list[bool] = made) -> list[Planned]:
            made.append(x)
            return []

        for x in (True, False, True):
            plans.root(FAST._schema, asked, {}, {"x": x}, lambda x=x: make(x))  # type: ignore[misc]
        assert made == [True, False]
    assert len(plans._kept) == MOST_OPERATIONS


def test_plans_are_bounded_by_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few great ones are as much as many small ones: beyond it all are forgotten."""
    plans = Plans()
    monkeypatch.setattr("schema.plans.MOST_FIELDS", 100)
    held = []
    for n in range(6):
        [asked] = parse(f"{{ a{n}: quick {{ name }} }}").definitions
        assert isinstance(asked, OperationDefinitionNode)

        def make() -> list[Planned]:
            monkeypatch.setattr(Planned, "made", Planned.made + 40)  # as so many fields would
            return []

        plans.root(FAST._schema, asked, {}, {}, make)
        held.append(len(plans._kept))
    assert held == [1, 2, 3, 1, 2, 3]
