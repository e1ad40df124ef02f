"""Which media type an answer has, by what the client accepts (RFC 9110). Knows no GraphQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENTS = "text/event-stream"


@lru_cache(64)
def negotiated(accept: str | None, offered: Sequence[str] = (JSON, GRAPHQL_JSON)) -> str | None:
    """The offered type that is liked best; None: none is acceptable.

    Of types that are liked equally, the one whose range is the most exact, then the later offered:
    a client that names the new type knows it, and one that takes anything may not.
    """
    if not accept or not accept.strip():
        return offered[0]
    ranges = list(_ranges(accept[:2000]))
    best: tuple[float, int, int] | None = None
    chosen = None
    for place, media in enumerate(offered):
        matching = [(exact, q) for name, q in ranges if (exact := _exactness(name, media)) >= 0]
        if not matching:
            continue
        exact, q = max(matching, key=lambda found: found[0])
        rank = (q, exact, place if exact == 2 else -place)
        if q > 0 and (best is None or rank > best):
            best, chosen = rank, media
    return chosen


def prefers_events(accept: str) -> bool:
    """Whether a client would rather have events than any other type that it names.

    Some clients name every type that they know on every request; of equals the first counts.
    """
    name, quality = max(_ranges(accept[:2000]), key=lambda pair: pair[1])
    return name == EVENTS and quality > 0


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        yield (
            name,
            next(
                (_quality(p[2:]) for p in parameters if p.startswith("q=")),
                1.0,
            ),
        )


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _exactness(name: str, media: str) -> int:
    if name == media:
        return 2
    if name == f"{media.partition('/')[0]}/*":
        return 1
    return 0 if name == "*/*" else -1


def json_in_utf8(content_type: str) -> bool:
    """Whether a body is said to be JSON, in the one encoding that JSON has."""
    name, *parameters = (piece.strip().lower() for piece in content_type.split(";"))
    charsets = [p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")]
    return name == JSON and all(charset in ("utf-8", "utf8", "us-ascii") for charset in charsets)
