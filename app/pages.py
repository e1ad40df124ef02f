"""The member's page and the programme's: static files, and the HTML that they begin with.

No build step: plain modules, one style, no library. They load nothing from another host and read
the public GraphQL API alone, by a session's cookie (`app.sessions`). Knows nothing of the schema.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from app.answers import failure
from app.authentication import ADMINS, MEMBERS, SessionKind

FOLDER = Path(__file__).parent / "static"
SECURITY_HEADERS = {
    "content-security-policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",  # nothing in them parses HTML
            "trusted-types 'none'",
        ]
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
FOREVER = "public, max-age=31536000, immutable"  # the address carries the hash of all files
_IMPORT = re.compile(r"from '\./([\w-]+\.js)'")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
#: What stands in the page before its script, by language; the first is spoken if none is asked for.
_WORDS = {
    "en": {"member": "Your points", "programme": "The programme", "script": "It needs JavaScript."},
    "tr": {"member": "Puanlarınız", "programme": "Program", "script": "JavaScript gerekir."},  # noqa: RUF001
}


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is sent, plain and compressed."""

    kind: str
    plain: bytes
    small: bytes


@dataclass(frozen=True, slots=True)
class _Page:
    """One page, and whose session opens it."""

    name: str
    kind: SessionKind


_PAGES = (_Page("member", MEMBERS), _Page("programme", ADMINS))


def page_routes(
    endpoint: str = "/graphql",
    *,
    session: str = "/session",
    sign_in: str | None = None,
    folder: Path = FOLDER,
) -> list[BaseRoute]:
    """`/member`, `/programme` and the files that they are made of.

    `session` is where a token becomes a cookie, and `sign_in` the way to the identity provider of
    the staff, where there is one.
    """
    files = {path.name: _read(path) for path in sorted(folder.iterdir())}
    needed = {page.name: sorted(_imported(files, f"{page.name}.js")) for page in _PAGES}
    version = hashlib.sha256(b"".join(file.plain for file in files.values())).hexdigest()[:16]

    def page(about: _Page) -> Route:
        async def shown(request: Request) -> Response:
            prefix: str = request.scope.get("root_path", "")
            there = f"{sign_in}?to={about.name}" if sign_in and about.name == "programme" else None
            config = {
                "page": about.name,
                "url": prefix + endpoint,
                "session": prefix + session,
                "as": about.kind.named,
                # Whoever has a cookie is shown the page by one request, and needn't be asked for.
                "cookie": about.kind.cookie in request.cookies,
                "signIn": None if there is None else prefix + there,
                "icon": f"{prefix}/pages/{version}/laurel.svg",
                "language": language_of(request.headers.get("accept-language", "")),
            }
            html = _html(about.name, f"{prefix}/pages/{version}", config, needed[about.name])
            headers = {
                **SECURITY_HEADERS,
                "cache-control": "no-store",
                "vary": "accept-language, cookie",
            }
            return HTMLResponse(html, headers=headers)

        return Route(f"/{about.name}", shown, name=about.name)

    async def file(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None or request.path_params["version"] != version:
            return failure(404, "there is no such file")
        headers = {**SECURITY_HEADERS, "cache-control": FOREVER, "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(found.small, headers=headers, media_type=found.kind)
        return Response(found.plain, headers=headers, media_type=found.kind)

    return [*map(page, _PAGES), Route("/pages/{version}/{name}", file)]


def language_of(accepted: str) -> str:
    """The language of ours that a browser would have first, by its header; English for none."""
    best, found = 0.0, next(iter(_WORDS))
    for part in accepted.split(","):
        name, _, rest = part.strip().partition(";")
        language = name.split("-")[0].lower()
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            continue
        if language in _WORDS and weight > best:
            best, found = weight, language
    return found


def _read(path: Path) -> _File:
    plain = path.read_bytes()
    return _File(_TYPES[path.suffix], plain, gzip.compress(plain, mtime=0))


def _imported(files: Mapping[str, _File], name: str) -> set[str]:
    """The modules that one imports, and those that they do."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        text = files[waiting.pop()].plain.decode()
        new = set(_IMPORT.findall(text)) - found
        found |= new
        waiting += new
    return found


def _html(page: str, static: str, config: Mapping[str, object], needed: Sequence[str]) -> str:
    language = str(config["language"])
    words = _WORDS[language]
    base = escape(static)
    texts = (f"texts-{language}.js", f"texts-{page}-{language}.js")
    # What the page's script imports is fetched beside it, not after it.
    preloads = "\n".join(
        f'<link rel="modulepreload" href="{base}/{name}">' for name in [*needed, *texts]
    )
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{words[page]} · Laurels</title>
<link rel="icon" type="image/svg+xml" href="{base}/laurel.svg">
<link rel="stylesheet" href="{base}/page.css">
<script type="application/json" id="page-config">{_json(config)}</script>
{preloads}
<script type="module" src="{base}/{page}.js"></script>
</head>
<body class="{page}">
<a id="skip" class="skip" href="#main">↓</a>
<header id="bar" class="bar"><a class="brand" href="">\
<img src="{base}/laurel.svg" alt="" width="28" height="28"><span>{words[page]}</span></a></header>
<main id="main" tabindex="-1" aria-busy="true">
<noscript><p class="card narrow">{words["script"]}</p></noscript>
<div class="skeleton" aria-hidden="true"><i></i><b></b><b></b><b></b><em></em><em></em></div>
</main>
<p id="voice" class="unseen" role="status"></p>
</body>
</html>
"""


def _json(config: Mapping[str, object]) -> str:
    """What the page's script reads. No `<` stays, so that no text in it can end the element."""
    return json.dumps(config).replace("<", "\\u003c")
