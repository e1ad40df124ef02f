"""Serves an application on a free port for the browser tests, until standard input is closed."""

import asyncio
import json
import socket
import sys
from collections.abc import Mapping

import uvicorn


async def serve_until_told(server: uvicorn.Server, told: Mapping[str, object]) -> None:
    """Prints one line of JSON, the port and what else is `told`, and serves."""
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    print(json.dumps({"port": listener.getsockname()[1], **told}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving
