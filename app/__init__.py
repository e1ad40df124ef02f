"""Runs Laurels: ASGI application, command line, worker, settings, the embedded PostgreSQL."""

import structlog

# Tracebacks without the values of variables: those hold card numbers and the like, and rendering
# them blocks the event loop for a tenth of a second each.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)
