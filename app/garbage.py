"""How often a serving process looks for garbage in circles. Knows nothing of what is served."""

from __future__ import annotations

import gc

#: Objects made and not gone that a look waits for: a few dozen requests at once hold so many, and
#: a look at them finds hardly anything. Python's own 700 takes an eighth of a query's time.
_YOUNG = 20_000


def settle() -> None:
    """What the start made lives as long as the process: it isn't looked at again."""
    gc.collect()
    gc.freeze()
    # The oldest seldom, for a look at them stops every request.
    gc.set_threshold(_YOUNG, 10, 200)
