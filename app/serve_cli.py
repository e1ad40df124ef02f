"""`laurels serve` and `laurels demo`.

Knows nothing of what is served.
"""

from __future__ import annotations

from app import demo, serving
from app.terminal import Database, out
from app.terminal import run as _run
from app.terminal import settings as _settings


def serve(database_name: Database = None) -> None:
    """Serve GraphQL, GraphiQL and health checks; starts the embedded PostgreSQL if none is set.

    Example: LAURELS_PORT=8080 laurels serve
    """
    settings = _settings()
    _run(serving.serve(settings, database_name, out))


def demo_command() -> None:
    """Serve the demo coalition: seeds it at first, prints what to open and which tokens to use."""
    settings = _settings()
    _run(serving.serve(settings, demo.DATABASE, out, prepare=demo.prepare))
