"""What was booked, handed to whoever follows it: by member, by partner, or all of it.

A follower holds a bounded set of *what* changed and no queue of messages, so whoever reads slowly
costs little and finds the newest state when it looks. It is a data structure: it opens no task and
no timer, whoever runs the process tells it what was heard (`app.feeding`). Knows nothing of
GraphQL, of who may see what, or of the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

K = TypeVar("K", bound=Hashable)

#: Things that one follower is told of apart; of more it is told to look at everything anew.
MOST_KEYS = 1000
#: Whoever looks anew reads the database: after a break all do so in this many parts, a tick of the
#: clock apart, but no part is smaller than the other number.
PARTS = 5
AT_ONCE = 100


class Change(NamedTuple):
    """One booked event: whose, at which partner, and which things it changed, by their ids."""

    event: int
    holder: int
    partner: int
    kind: int
    currencies: tuple[int, ...]
    ladders: tuple[int, ...]
    redemption: int | None


class Place(NamedTuple):
    """What a follower is told of: a member's events, a partner's, or, with neither, all."""

    holder: int | None = None
    partner: int | None = None


@dataclass(frozen=True, slots=True)
class Seen(Generic[K]):
    """What happened since a follower looked last.

    `keys` are what changed, the oldest change first. `anew`: changes may have been missed. `due`:
    its time is up, see `Follower.extend`.
    """

    keys: tuple[K, ...] = ()
    anew: bool = False
    due: bool = False


class Follower(Generic[K]):
    """One that is told of changes until it leaves; used by `with`. One at a time may `look`."""

    __slots__ = (
        "_anew",
        "_due",
        "_feed",
        "_keys",
        "_pick",
        "_place",
        "_second",
        "_waiting",
        "until",
    )

    def __init__(self, feed: Feed, place: Place, pick: Callable[[Change], Iterable[K]]) -> None:
        self._feed = feed
        self._place = place
        self._pick = pick
        self._keys: dict[K, None] = {}
        self._anew = False
        self._due = False
        #: As it was told to `extend`: this, too, may be past while there is much to tell.
        self.until: datetime | None = None
        self._second: int | None = None
        self._waiting: asyncio.Future[None] | None = None

    def __enter__(self) -> Follower[K]:
        """From now on nothing is missed."""
        self._feed._add(self._place, self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Forgotten."""
        self._feed._remove(self._place, self)
        self.extend(None)

    async def look(self) -> Seen[K]:
        """What happened since the last look; waits until something did."""
        if not (self._keys or self._anew or self._due):
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        seen = Seen(tuple(self._keys), self._anew, self._due)
        self._keys, self._anew, self._due = {}, False, False
        return seen

    def extend(self, until: datetime | None) -> None:
        """Be told `due` at this instant (to the second, late rather than early); None: never."""
        self.until = until
        before, self._second = self._second, None if until is None else int(until.timestamp()) + 1
        if before != self._second:
            self._feed._move(self, before, self._second)

    def _tell(self, change: Change) -> None:
        if self._anew:
            return
        for key in self._pick(change):
            self._keys.setdefault(key)
        if len(self._keys) > MOST_KEYS:
            self._forget()
        if self._keys or self._anew:
            self._wake()

    def _forget(self) -> None:
        self._keys, self._anew = {}, True

    def _expire(self) -> None:
        self._second, self._due = None, True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        self._waiting = None


class Feed:
    """All followers of this process."""

    def __init__(self) -> None:
        self._places: dict[Place, dict[Follower[Any], None]] = {}
        self._seconds: dict[int, dict[Follower[Any], None]] = {}
        self._late: dict[Follower[Any], None] = {}
        self._part = AT_ONCE

    @property
    def followers(self) -> int:
        """How many follow."""
        return sum(map(len, self._places.values()))

    def follow(self, place: Place, pick: Callable[[Change], Iterable[K]]) -> Follower[K]:
        """A follower of a place; `pick` says by which keys a change is told, by none: not at all.

        Keys that are equal are told once for any number of changes.
        """
        return Follower(self, place, pick)

    def hear(self, notice: str) -> None:
        """Take a notice of the dispatcher, an array of changes. Raises ValueError for another."""
        self.tell([_change(row) for row in _rows(notice)])

    def tell(self, changes: Iterable[Change]) -> None:
        """Hand changes to whoever follows them."""
        for change in changes:
            for place in (Place(holder=change.holder), Place(partner=change.partner), Place()):
                for follower in self._places.get(place, ()):
                    follower._tell(change)

    def miss(self) -> None:
        """Something may not have been heard: all look anew, the first part of them at once."""
        # Whoever waits from a break before comes first: breaks may follow each other fast.
        self._late = dict.fromkeys([*self._late, *self._all()])
        self._part = max(AT_ONCE, -(-len(self._late) // PARTS))
        for follower in self._late:
            follower._forget()
        self._wake_some()

    def expire(self, now: datetime) -> None:
        """Tell those whose time is up, and the next of those that look anew."""
        self._wake_some()
        for second in [s for s in self._seconds if s <= now.timestamp()]:
            for follower in self._seconds.pop(second):
                follower._expire()

    def _wake_some(self) -> None:
        for follower in list(islice(self._late, self._part)):
            del self._late[follower]
            if follower._anew:  # else it has looked meanwhile
                follower._wake()

    def _all(self) -> Iterator[Follower[Any]]:
        for followers in self._places.values():
            yield from followers

    def _add(self, place: Place, follower: Follower[Any]) -> None:
        self._places.setdefault(place, {})[follower] = None

    def _remove(self, place: Place, follower: Follower[Any]) -> None:
        followers = self._places[place]
        del followers[follower]
        self._late.pop(follower, None)
        if not followers:
            del self._places[place]

    def _move(self, follower: Follower[Any], before: int | None, after: int | None) -> None:
        if before is not None and before in self._seconds:
            self._seconds[before].pop(follower, None)
            if not self._seconds[before]:
                del self._seconds[before]
        if after is not None:
            self._seconds.setdefault(after, {})[follower] = None


def _rows(notice: str) -> list[Any]:
    found = orjson.loads(notice)
    if not isinstance(found, list):
        raise ValueError("a notice is an array of changes")
    return found


def _change(row: Any) -> Change:
    try:
        event, holder, partner, kind, currencies, ladders, redemption = row
        return Change(
            int(event), int(holder), int(partner), int(kind), tuple(map(int, currencies)),
            tuple(map(int, ladders)), None if redemption is None else int(redemption),
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise ValueError(f"no change as the dispatcher tells them: {row!r}") from error
