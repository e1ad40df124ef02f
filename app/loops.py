"""The event loop that processes of ours run on. Knows nothing of what runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

if sys.platform != "win32" and sys.implementation.name == "cpython":
    import uvloop

    #: A request costs less on it.
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
else:  # where it isn't made
    new_event_loop = asyncio.new_event_loop
