"""The application as `tests.conformance.serve` serves it, with one resolver that fails: a control.

What `run.py` must find. Holds no assertion.
"""

from __future__ import annotations

import sys
from typing import Any

from core.store import lookups
from tests.conformance.serve import main


async def _fails(*arguments: Any) -> Any:
    del arguments
    raise RuntimeError("this resolver fails on purpose")


if __name__ == "__main__":
    vars(lookups)["member_page"] = _fails
    main(sys.argv[1:])
