"""How much a caller may ask in a while: a bucket of cost for each, which fills again with time.

The buckets are this process's own: N processes allow N times as much. Knows no documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the settings are read before anything else is needed
    from schema.context import Viewer
from schema.roles import Role

#: Callers that are remembered; of more, whoever asked longest ago begins anew.
MOST_CALLERS = 100_000
#: Idle callers that are looked at whenever somebody asks: more than one, so that they grow less.
_SWEPT = 2


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket holds `size` at most, and gets `per_second` back."""

    size: int
    per_second: int

    def __post_init__(self) -> None:
        """Raise ValueError for a bucket that nothing ever fits in."""
        if self.size < 1 or self.per_second < 1:
            raise ValueError("a rate is a size and an amount per second, each 1 or more")

    @classmethod
    def of(cls, text: str) -> Rate:
        """`50000/2500` is a bucket of 50,000 that gets 2,500 a second. Raises ValueError."""
        size, slash, per_second = text.partition("/")
        if not slash or not size.strip().isdecimal() or not per_second.strip().isdecimal():
            raise ValueError("a rate is written size/per second, for example 50000/2500")
        return cls(int(size), int(per_second))


RATES: Mapping[Role, Rate] = {
    "anonymous": Rate(5_000, 250),
    "member": Rate(50_000, 2_500),
    "partner": Rate(500_000, 50_000),
    "admin": Rate(500_000, 50_000),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request for some cost. `wait`: seconds until it could be had; 0: it was."""

    rate: Rate
    remaining: int
    wait: float


class Buckets:
    """The buckets of all callers. The clock is in seconds and never goes back."""

    def __init__(self, rates: Mapping[Role, Rate], clock: Callable[[], float]) -> None:
        self.rates = rates
        self._clock = clock
        self._levels: dict[str, tuple[float, float, Rate]] = {}

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._levels)

    def take(self, viewer: Viewer, address: str, cost: int, *, whole: bool = True) -> Taken:
        """Take so much; where there isn't enough, nothing (`whole`) or what there is."""
        rate = self.rates[viewer.role]
        name = caller(viewer, address)
        now = self._clock()
        level = self._level(name, rate, now)
        wait = max(0.0, (cost - level) / rate.per_second)
        if wait == 0 or not whole:
            level = max(0.0, level - cost)
        # Taken out and put in again, so that the first in the dictionary are those long idle.
        self._levels.pop(name, None)
        self._levels[name] = (level, now, rate)
        self._sweep(now)
        return Taken(rate, int(level), wait)

    def _level(self, name: str, rate: Rate, now: float) -> float:
        known = self._levels.get(name)
        if known is None:
            return float(rate.size)
        level, at, _ = known
        return min(float(rate.size), level + (now - at) * rate.per_second)

    def _sweep(self, now: float) -> None:
        """Forget the longest idle: one whose bucket is full again is like one who never came."""
        for _ in range(_SWEPT):
            name, (level, at, rate) = next(iter(self._levels.items()))
            full = level + (now - at) * rate.per_second >= rate.size
            if not full and len(self._levels) <= MOST_CALLERS:
                return
            del self._levels[name]
            if not self._levels:
                return


def caller(viewer: Viewer, address: str) -> str:
    """Whose bucket it is. Strangers are told apart by address; a network of IPv6 is one."""
    if viewer.role != "anonymous":
        return viewer.caller
    try:
        known = ip_address(address)
    except ValueError:
        return f"stranger:{address}"
    if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
        return f"stranger:{int(known) >> 64:x}"
    return f"stranger:{known}"
