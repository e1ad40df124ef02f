"""The plugin host keeps to itself: nothing global, and hooks called in one place only."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_importing_the_host_registers_nothing() -> None:
    script = """
        import gc, sys
        import plugins, plugins.host
        from pluggy import PluginManager
        assert not [m for m in sys.modules if m.startswith("plugins.partners")]
        assert not [o for o in gc.get_objects() if isinstance(o, PluginManager)]
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_hooks_are_called_in_one_place_alone() -> None:
    callers = [
        path.relative_to(ROOT).as_posix()
        for layer in ("app", "schema", "plugins", "core", "laurels")
        for path in (ROOT / layer).rglob("*.py")
        if ".hook." in path.read_text(encoding="utf-8")
    ]
    assert callers == ["laurels/plugin/loading.py"]
