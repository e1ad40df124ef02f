"""The feed against a model of it: nothing missed in silence, nothing told twice, bounded memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schema.feed import AT_ONCE, MOST_KEYS, PARTS, Change, Feed, Follower, Place, Seen

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


def change(holder: int = 1, **changed: Any) -> Change:
    plain: dict[str, Any] = {
        "event": 1, "partner": 1, "kind": 1, "currencies": (), "ladders": (), "redemption": None,
    }  # fmt: skip
    return Change(holder=holder, **{**plain, **changed})


def currencies(told: Change) -> Iterable[int]:
    return told.currencies


def at_once(follower: Follower[Any]) -> Seen[Any] | None:
    """What a look finds without waiting; None where it would wait."""
    if not (follower._keys or follower._anew or follower._due):
        return None
    looking = follower.look()
    with pytest.raises(StopIteration) as done:
        looking.send(None)
    found: Seen[Any] = done.value.value
    return found


async def test_what_changed_meanwhile_is_told_once_and_in_its_order() -> None:
    feed = Feed()
    with feed.follow(Place(holder=1), currencies) as follower:
        feed.tell([change(currencies=(3,)), change(currencies=(2, 3)), change(2, currencies=(9,))])
        assert await follower.look() == Seen(keys=(3, 2))
        assert at_once(follower) is None


async def test_who_waits_is_woken_by_what_concerns_it_and_by_nothing_else() -> None:
    feed = Feed()
    with feed.follow(Place(holder=1), currencies) as follower:
        looking = asyncio.create_task(follower.look())
        await asyncio.sleep(0)
        feed.tell([change(2, currencies=(1,)), change(1, ladders=(1,))])
        await asyncio.sleep(0)
        assert not looking.done()
        feed.tell([change(currencies=(7,))])
        assert await looking == Seen(keys=(7,))


async def test_a_notice_is_what_the_dispatcher_tells() -> None:
    feed = Feed()
    rows = [[5, 1, 2, 1, [3], [4], None], [6, 1, 2, 3, [], [], 77]]
    with feed.follow(Place(), lambda told: [told]) as follower:
        feed.hear(orjson.dumps(rows).decode())
        assert await follower.look() == Seen(
            keys=(Change(5, 1, 2, 1, (3,), (4,), None), Change(6, 1, 2, 3, (), (), 77))
        )


@pytest.mark.parametrize(
    "notice",
    ["", "{}", "[1]", "[[1]]", '[["a",1,1,1,[],[],null]]', "[[1,1,1,1,2,[],null]]", "[null]"],
)
async def test_any_other_notice_is_refused_whole(notice: str) -> None:
    feed = Feed()
    with feed.follow(Place(), lambda told: [told]) as follower:
        with pytest.raises(ValueError, match=r"."):
            feed.hear(notice)
        assert at_once(follower) is None


async def test_after_a_break_all_look_anew() -> None:
    feed = Feed()
    with (
        feed.follow(Place(holder=1), currencies) as one,
        feed.follow(Place(partner=1), currencies) as other,
    ):
        feed.tell([change(currencies=(1,))])
        feed.miss()
        assert await one.look() == Seen(anew=True)
        feed.tell([change(currencies=(1,))])
        assert await one.look() == Seen(keys=(1,))
        # What came after the break is in what is looked at anew.
        assert await other.look() == Seen(anew=True)


@pytest.mark.parametrize("many", [AT_ONCE + 1, 10 * AT_ONCE])
async def test_after_a_break_they_look_one_part_after_the_other(many: int) -> None:
    """And each finds that it may have missed something, whenever it looks."""
    feed, parts = Feed(), list[int]()
    with ExitStack() as stack:
        followers = [feed.follow(Place(holder=n), currencies) for n in range(many)]
        for follower in followers:
            stack.enter_context(follower)
        looking = [asyncio.create_task(follower.look()) for follower in followers[2:]]
        await asyncio.sleep(0)
        feed.miss()
        feed.tell([change(many - 1, currencies=(1,))])
        assert at_once(followers[0]) == Seen(anew=True)  # it was busy, and comes by itself
        while True:
            await asyncio.sleep(0)
            parts.append(sum(task.done() for task in looking) - sum(parts))
            if sum(parts) == len(looking):
                break
            feed.expire(NOW)
        assert [await task for task in looking] == [Seen(anew=True)] * len(looking)
        again = asyncio.create_task(followers[0].look())
        await asyncio.sleep(0)
        for _ in range(PARTS):
            feed.expire(NOW)
        await asyncio.sleep(0)
        assert not again.done()
        again.cancel()
        # Whoever leaves waits no more.
        feed.miss()
    assert (feed.followers, feed._places, feed._late) == (0, {}, {})
    part = max(AT_ONCE, many // PARTS)
    assert parts == [part - 2] + [part] * (many // part - 1) + [many % part] * (many % part > 0)


async def test_breaks_that_follow_each_other_fast_keep_nobody_waiting() -> None:
    feed = Feed()
    with ExitStack() as stack:
        looking = []
        for n in range(3 * AT_ONCE):
            follower = stack.enter_context(feed.follow(Place(holder=n), currencies))
            looking.append(asyncio.create_task(follower.look()))
        await asyncio.sleep(0)
        for _ in range(3):
            feed.miss()
        await asyncio.sleep(0)
        assert all(task.done() for task in looking)


async def test_who_reads_slowly_holds_a_bounded_set_and_then_looks_anew() -> None:
    feed = Feed()
    with feed.follow(Place(), lambda told: [told.event]) as follower:
        feed.tell(change(event=n) for n in range(MOST_KEYS))
        assert len(follower._keys) == MOST_KEYS
        feed.tell([change(event=0)])
        assert len(follower._keys) == MOST_KEYS  # known already
        feed.tell(change(event=n) for n in range(MOST_KEYS, 3 * MOST_KEYS))
        assert follower._keys == {}
        assert await follower.look() == Seen(anew=True)


async def test_its_time_is_up_to_the_second_and_once() -> None:
    feed = Feed()
    with feed.follow(Place(holder=1), currencies) as follower:
        follower.extend(NOW + timedelta(seconds=10))
        feed.expire(NOW + timedelta(seconds=10))
        assert at_once(follower) is None
        feed.expire(NOW + timedelta(seconds=11))
        assert await follower.look() == Seen(due=True)
        feed.expire(NOW + timedelta(days=1))
        assert at_once(follower) is None
        follower.extend(NOW + timedelta(days=2))
        follower.extend(NOW + timedelta(days=3))
        feed.expire(NOW + timedelta(days=2, seconds=5))
        assert at_once(follower) is None
    assert feed._seconds == {}


async def test_thousands_that_wait_cost_no_task_and_no_timer() -> None:
    """The only tasks are the test's own; a timer would stand in the loop's schedule."""
    feed, followers, waiting = Feed(), 2000, []
    loop: Any = asyncio.get_running_loop()
    tasks, timers = len(asyncio.all_tasks()), len(loop._scheduled)
    for n in range(followers):
        follower = feed.follow(Place(holder=n), currencies)
        follower.__enter__()
        follower.extend(NOW + timedelta(seconds=n % 60))
        looking = follower.look()
        looking.send(None)
        waiting.append((follower, looking))
    assert feed.followers == followers
    assert len(asyncio.all_tasks()) == tasks
    assert len(loop._scheduled) == timers
    assert len(feed._seconds) == 60
    for follower, looking in waiting:
        looking.close()
        follower.__exit__(None, None, None)
    assert (feed.followers, feed._places, feed._seconds) == (0, {}, {})


@pytest.mark.parametrize("kept", [0, 5])
async def test_who_leaves_is_forgotten(kept: int) -> None:
    """With a control: those that stay are found by the same count."""
    feed = Feed()
    stay = [feed.follow(Place(holder=1), currencies) for _ in range(kept)]
    for follower in stay:
        follower.__enter__()
    for _ in range(50):
        with feed.follow(Place(holder=1), currencies) as follower:
            follower.extend(NOW)
    del follower
    gc.collect()
    alive = [x for x in gc.get_objects() if isinstance(x, Follower) and x._feed is feed]
    assert len(alive) == kept == feed.followers


_IDS = st.integers(1, 3)
_CHANGES = st.builds(
    change, _IDS, event=st.integers(1, 10**6), partner=_IDS,
    currencies=st.lists(_IDS, max_size=3).map(tuple),
)  # fmt: skip
_PLACES = st.one_of(
    st.builds(lambda n: Place(holder=n), _IDS), st.builds(lambda n: Place(partner=n), _IDS),
    st.just(Place()),
)  # fmt: skip


class Told(RuleBasedStateMachine):
    """Any number of followers; the model keeps every change since a follower's last look."""

    def __init__(self) -> None:
        super().__init__()
        self.feed = Feed()
        self.names = count()
        self.followers: dict[int, tuple[Place, Follower[int]]] = {}
        self.since: dict[int, list[Change]] = {}
        self.anew: dict[int, bool] = {}

    @rule(place=_PLACES)
    def come(self, place: Place) -> None:
        name = next(self.names)
        follower = self.feed.follow(place, currencies)
        follower.__enter__()
        self.followers[name] = (place, follower)
        self.since[name], self.anew[name] = [], False

    @precondition(lambda self: self.followers)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.followers)))
        self.followers.pop(name)[1].__exit__(None, None, None)

    @rule(changes=st.lists(_CHANGES, max_size=4))
    def tell(self, changes: list[Change]) -> None:
        self.feed.tell(changes)
        for kept in self.since.values():
            kept += changes

    @rule()
    def miss(self) -> None:
        self.feed.miss()
        self.anew = dict.fromkeys(self.anew, True)

    @precondition(lambda self: self.followers)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.followers)))
        place, follower = self.followers[name]
        meant = [
            c for c in self.since[name]
            if place.holder in (None, c.holder) and place.partner in (None, c.partner)
        ]  # fmt: skip
        keys = tuple(dict.fromkeys(key for c in meant for key in c.currencies))
        wanted = Seen(anew=True) if self.anew[name] else Seen(keys=keys) if keys else None
        assert at_once(follower) == wanted
        self.since[name], self.anew[name] = [], False

    @invariant()
    def counted(self) -> None:
        assert self.feed.followers == len(self.followers)


TestTold = Told.TestCase
TestTold.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.lists(_CHANGES, max_size=30))
def test_the_model_can_fail(changes: list[Change]) -> None:
    """A feed that forgets every third change is found out, where that third one mattered."""
    feed = Feed()
    with feed.follow(Place(), lambda told: [told.event]) as follower:
        feed.tell(c for n, c in enumerate(changes) if n % 3 != 2)
        seen = at_once(follower)
    told = () if seen is None else seen.keys
    lost = {c.event for c in changes[2::3]} - {c.event for n, c in enumerate(changes) if n % 3 != 2}
    assert (set(told) == {c.event for c in changes}) == (not lost)
