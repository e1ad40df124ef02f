"""Places on the globe, and how far it is between two. Pure; knows nothing of who is there."""

from __future__ import annotations

from math import asin, cos, isfinite, radians, sin, sqrt
from typing import NamedTuple

from core.errors import BadInput

#: The earth's mean radius in metres (IUGG): a sphere is within half a percent of the globe.
EARTH = 6_371_008.8


class Point(NamedTuple):
    """Degrees: north above zero, east above zero."""

    latitude: float
    longitude: float


def check_point(latitude: float, longitude: float, *path: str) -> Point:
    """A point of the globe. Raises BadInput naming the field under `path`."""
    for name, value, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
        if not isfinite(value) or abs(value) > most:
            raise BadInput(f"{name} is from -{most} to {most} degrees", *path, name)
    return Point(float(latitude), float(longitude))


def metres_between(a: Point, b: Point) -> float:
    """The way from one to the other over the ground, by the haversine formula."""
    north, east = radians(b.latitude - a.latitude), radians(b.longitude - a.longitude)
    part = cos(radians(a.latitude)) * cos(radians(b.latitude)) * sin(east / 2) ** 2
    # Opposite points may come to a hair above 1.
    return 2 * EARTH * asin(min(1.0, sqrt(sin(north / 2) ** 2 + part)))
