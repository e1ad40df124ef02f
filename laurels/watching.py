"""Hears what input and output is done while a rule is asked, which has no business with any."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: What the interpreter tells of, and a rule has no business with.
_OUTSIDE = (
    "socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.system",
    "os.exec", "os.spawn", "os.posix_spawn", "sqlite3.connect",
)  # fmt: skip
#: Of a module that is imported late.
_CODE = (".py", ".pyc", ".so")


class _Ear:
    """Hears what the interpreter does while a rule is asked. An audit hook can't be taken off."""

    def __init__(self) -> None:
        self.heard: list[str] | None = None
        self._installed = False

    def install(self) -> None:
        if not self._installed:
            sys.addaudithook(self._hear)
            self._installed = True

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.heard is None:
            return
        opened = event == "open" and not str(arguments[0]).endswith(_CODE)
        if opened or event.startswith(_OUTSIDE):
            self.heard.append(event)


_ear = _Ear()


@contextmanager
def watched() -> Iterator[list[str]]:
    """What input and output is done while inside, each kind once."""
    _ear.install()
    heard: list[str] = []
    done: list[str] = []
    _ear.heard = heard
    try:
        yield done
    finally:
        _ear.heard = None
        done += dict.fromkeys(heard)
