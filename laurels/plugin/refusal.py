"""How one plugin's fault is caught and worded, so that it costs that plugin and no other.

Knows nothing of what is being tried: it runs a call, and what that raises
becomes a RefusalError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from laurels import LaurelsError

T = TypeVar("T")
_LONGEST = 400


class RefusalError(Exception):
    """The plugin at hand is left out. Never leaves the host: it becomes a `Refused`."""

    def __init__(self, hook: str | None, reason: str) -> None:
        super().__init__(reason)
        self.hook = hook
        self.reason = reason

    @property
    def told(self) -> str:
        """The reason, with its hook."""
        return f"hook {self.hook}: {self.reason}" if self.hook else self.reason


def told(error: BaseException) -> str:
    """An exception's type and text on one line, short enough for a log and safe to store."""
    try:
        text = " ".join(str(error).replace("\0", "?").split())
    except Exception:
        text = "(its text can't be read)"
    name = type(error).__name__
    return f"{name}: {text[:_LONGEST]}" if text else name


def guarded(hook: str | None, doing: str, call: Callable[[], T]) -> T:
    """What `call` returns. Whatever it raises becomes a RefusalError that starts with `doing`."""
    try:
        return call()
    except (KeyboardInterrupt, RefusalError):
        # The operator's own Ctrl-C is no fault of the plugin.
        raise
    except BaseException as error:
        # SystemExit too: one brand's sys.exit() must not end the service of all.
        raise RefusalError(hook, f"{doing} {told(error)}") from error


def checked(hook: str, check: Callable[[], T]) -> T:
    """What `check` returns. What it says against a declaration becomes a RefusalError."""

    def judge() -> T:
        try:
            return check()
        except LaurelsError as error:
            raise RefusalError(hook, str(error)) from error

    # A plugin's objects run its code when they are looked at (properties, __len__): guarded too.
    return guarded(hook, "returned what can't be examined:", judge)
