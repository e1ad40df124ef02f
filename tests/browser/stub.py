"""A small GraphQL server behind the GraphiQL page, for the browser to talk to.

Its fields tell which `Authorization` they were asked with, so that the test sees what the page
sends. It prints its port and serves until its standard input is closed. It is started from the
repository's root: `python -m tests.browser.stub`.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncGenerator
from typing import Any

import strawberry
import uvicorn
from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import Info

from app.ide import Tab, ide_routes

REVOKED = "Bearer revoked-token"


def caller(info: Info[Any, Any]) -> str:
    """The `Authorization` of the request, or of the socket's first message."""
    context = info.context
    in_message = (context.get("connection_params") or {}).get("Authorization")
    authorization: str | None = in_message or context["request"].headers.get("authorization")
    if authorization is None:
        raise GraphQLError("Who are you?", extensions={"code": "UNAUTHENTICATED"})
    return authorization


@strawberry.type(description="A member of the programme.")
class Member:
    name: str
    points: int


def find_members(info: Info[Any, Any], search: str = "") -> list[Member]:
    caller(info)
    known = [Member(name="Ayşe Demir", points=1240), Member(name="Deniz Kaya", points=310)]
    return [member for member in known if member.name.startswith(search)]


@strawberry.type
class Query:
    authorization: str = strawberry.field(
        resolver=caller, description="What this request was sent with."
    )
    members: list[Member] = strawberry.field(
        resolver=find_members, description="By how a name begins."
    )


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def callers(self, info: Info[Any, Any]) -> AsyncGenerator[str, None]:
        for turn in (1, 2):
            yield f"{turn}: {caller(info)}"


class RefusingGraphQL(GraphQL[None, None]):
    """Answers a revoked token as a gateway would: with 401, and no GraphQL."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if HTTPConnection(scope).headers.get("authorization") == REVOKED:
            await PlainTextResponse("revoked", status_code=401)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


TABS = [
    Tab("What the server sees", "query Authorization { authorization }"),
    Tab(
        "Find members; `</script>` in a title is text like any other",
        "query Members($search: String!) {\n  members(search: $search) { name points }\n}\n",
        {"search": "Ayşe"},
    ),
    Tab("Follow", "subscription Callers { callers }"),
]


async def serve() -> None:
    logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)  # refusals are the point
    schema = strawberry.Schema(Query, subscription=Subscription)
    endpoint = RefusingGraphQL(
        schema, graphql_ide=None, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL]
    )
    app = Starlette(
        routes=[
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", endpoint),
            *ide_routes("/graphql", TABS),
        ]
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    print(listener.getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(serve())
