"""A small GraphQL server behind the GraphiQL page, for the browser to talk to.

Its fields tell who asks, so that the test sees what the page sends. It prints its port and serves
until its standard input is closed. It is started from the repository's root:
`python -m tests.browser.stub`.
"""

import asyncio
import logging
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
from tests.browser.cookies import BRIEF, Sessions
from tests.browser.serving import serve_until_told

SESSIONS = Sessions(
    {
        "laurels_0123456789_secretpart": "ayse",
        "laurels_0123456789_another": "deniz",
        "laurels_0123456789_hurried": BRIEF,
    }
)


def caller(info: Info[Any, Any]) -> str:
    """Whose session the request is of."""
    request: HTTPConnection = info.context["request"]
    name = SESSIONS.caller(request)
    if name is None:
        raise GraphQLError("Who are you?", extensions={"code": "UNAUTHENTICATED"})
    return f"{name} by {request.headers.get('authorization', 'the cookie alone')}"


@strawberry.type(description="A member of the programme.")
class Member:
    name: str
    points: int


def find_members(info: Info[Any, Any], search: str = "") -> list[Member]:
    caller(info)
    known = [Member(name="Ayşe Demir", points=1240), Member(name="Deniz Kaya", points=310)]
    return [member for member in known if member.name.startswith(search)]


def forget(info: Info[Any, Any]) -> bool:
    caller(info)
    SESSIONS.forget()
    return True


@strawberry.type
class Query:
    caller: str = strawberry.field(resolver=caller, description="Who asks.")
    members: list[Member] = strawberry.field(
        resolver=find_members, description="By how a name begins."
    )


@strawberry.type
class Mutation:
    forget: bool = strawberry.mutation(resolver=forget, description="End all sessions.")


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def callers(self, info: Info[Any, Any]) -> AsyncGenerator[str, None]:
        for turn in (1, 2):
            yield f"{turn}: {caller(info)}"


class RefusingGraphQL(GraphQL[None, None]):
    """Answers who isn't signed in as a gateway would: with 401, and no GraphQL."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        if scope["type"] == "http" and SESSIONS.caller(connection) is None:
            await PlainTextResponse("who?", status_code=401)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


TABS = [
    Tab("What the server sees", "query Caller { caller }"),
    Tab(
        "Find members; `</script>` in a title is text like any other",
        "query Members($search: String!) {\n  members(search: $search) { name points }\n}\n",
        {"search": "Ayşe"},
    ),
    Tab("Follow", "subscription Callers { callers }"),
    Tab("Forget", "mutation Forget { forget }"),
    Tab("Listed only", "query Listed { caller }", opened=False),
]


def application() -> Starlette:
    """The page, the sessions and the endpoint."""
    logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)  # refusals are the point
    schema = strawberry.Schema(Query, Mutation, Subscription)
    endpoint = RefusingGraphQL(
        schema, graphql_ide=None, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL]
    )
    return Starlette(
        routes=[
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", endpoint),
            Route("/session", SESSIONS.serve, methods=["GET", "POST", "DELETE"]),
            *ide_routes("/graphql", TABS, sign_in="/session/login"),
        ]
    )


if __name__ == "__main__":
    config = uvicorn.Config(application(), log_level="warning", ws="websockets-sansio")
    asyncio.run(serve_until_told(uvicorn.Server(config), {}))
