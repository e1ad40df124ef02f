"""Serves an application on a free port for the browser tests, until standard input is closed."""

import asyncio
import json
import socket
import sys
from collections.abc import Mapping

import uvicorn
from starlette.types import ASGIApp


async def serve_until_told(app: ASGIApp, told: Mapping[str, object]) -> None:
    """Prints one line of JSON, the port and what else is `told`, and serves."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    print(json.dumps({"port": listener.getsockname()[1], **told}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving
