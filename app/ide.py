"""The admin's GraphiQL page: its HTML, its headers and the files it is made of.

The page loads nothing from another host. Its script, style, workers and fonts come from
`app/graphiql/dist`, which `make graphiql` builds; as long as that is missing, the page says so. It
must know nothing of the schema: an operation to start from is a `Tab` that the caller hands in.
Nor of tokens: the page itself trades one for a session's cookie, at the address it is told.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

DIST = Path(__file__).parent / "graphiql" / "dist"

SECURITY_HEADERS = {
    "content-security-policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # Monaco sets the style of each line it draws
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
FOREVER = "public, max-age=31536000, immutable"  # every file name in dist/static carries a hash


@dataclass(frozen=True)
class Fresh:
    """A variable that is another text on each page: an idempotency key that nobody has used."""

    beginning: str


@dataclass(frozen=True)
class Tab:
    """An operation that is ready to run.

    In its variables a `timedelta` stands for the instant so far from now, and a `Fresh` for a new
    key. It is offered in the page's list of operations; `opened`: the page opens with it, too.
    """

    title: str
    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    opened: bool = True

    @property
    def written(self) -> str:
        """The variables as JSON, as of now; '' without any."""
        if not self.variables:
            return ""
        return json.dumps(dict(self.variables), indent=2, ensure_ascii=False, default=_now_or_new)


def ide_routes(
    endpoint: str = "/graphql",
    tabs: Sequence[Tab] = (),
    *,
    session: str = "/session",
    sign_in: str | None = None,
    dist: Path = DIST,
) -> list[BaseRoute]:
    """The page at `/graphiql`, sending operations and subscriptions to `endpoint`.

    `session` is where a token becomes a cookie, and `sign_in` the way to the identity provider,
    where there is one.
    """

    async def page(request: Request) -> HTMLResponse:
        prefix: str = request.scope.get("root_path", "")
        manifest = _manifest(dist)
        if manifest is None:
            html = _INSTRUCTIONS
        else:
            config = {
                "url": prefix + endpoint,
                "subscriptionUrl": prefix + endpoint,
                "session": prefix + session,
                "signIn": None if sign_in is None else prefix + sign_in,
                "tabs": [_shown(tab) for tab in tabs],
            }
            html = _page_html(manifest, f"{prefix}/graphiql/static", config)
        return HTMLResponse(html, headers={**SECURITY_HEADERS, "cache-control": "no-store"})

    return [
        Route("/graphiql", page, name="graphiql"),
        Mount("/graphiql/static", _Bundle(directory=dist / "static", check_dir=False)),
    ]


class _Bundle(StaticFiles):
    """The built files, which may be built while the application runs."""

    async def check_config(self) -> None:
        """Starlette's own check fails without the folder; here a file of it is merely not found."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update({**SECURITY_HEADERS, "cache-control": FOREVER})
        return response


def _manifest(dist: Path) -> dict[str, str] | None:
    try:
        manifest: dict[str, str] = json.loads((dist / "manifest.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    return manifest


def _page_html(manifest: Mapping[str, str], static: str, config: Mapping[str, object]) -> str:
    files = {name: escape(f"{static}/{file}") for name, file in manifest.items()}
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Laurels</title>
<link rel="icon" type="image/svg+xml" href="{files["icon"]}">
<link rel="license" href="{files["notices"]}">
<link rel="stylesheet" href="{files["style"]}">
<script type="application/json" id="graphiql-config">{_json(config)}</script>
<script type="module" src="{files["script"]}"></script>
</head>
<body>
<div id="graphiql"><p class="before-script">Loading GraphiQL. It needs JavaScript.</p></div>
</body>
</html>
"""


def _json(config: Mapping[str, object]) -> str:
    """What the page's script reads. No `<` stays, so that no text in it can end the element."""
    return json.dumps(config).replace("<", "\\u003c")


def _shown(tab: Tab) -> dict[str, object]:
    return {
        "title": tab.title,
        "query": tab.query,
        "variables": tab.written,
        "opened": tab.opened,
    }


def _now_or_new(value: object) -> str:
    if isinstance(value, timedelta):
        return (datetime.now(UTC) + value).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Fresh):
        return f"{value.beginning}-{secrets.token_hex(4)}"
    raise TypeError(f"no variable of an operation: {value!r}")


_INSTRUCTIONS = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Laurels: GraphiQL is not built</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; }
body { max-width: 38rem; margin: 10vh auto; padding: 0 1.5rem; font: 16px/1.6 sans-serif; }
h1 { font-size: 1.5rem; }
pre { padding: .75rem 1rem; border: 1px solid; border-radius: 6px; }
</style>
</head>
<body>
<h1>GraphiQL is not built yet</h1>
<p>This page is bundled from pinned npm packages, so that it needs no other host once it is built.
Building it takes node 20 or newer with npm, and a few seconds:</p>
<pre>make graphiql</pre>
<p>Then reload this page; the application need not be restarted. The GraphQL endpoint works without
it.</p>
</body>
</html>
"""
