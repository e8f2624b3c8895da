"""The page's files, unchanged, under a strict Content-Security-Policy. `/api/address`: where others
on the network find the page, also as a QR code."""

from __future__ import annotations

import gzip
import html
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from textwright.errors import RequestError
from textwright.page import WEB, can_learn, offline_page
from textwright.page.languages import languages
from textwright.page.learning import engine, knowledge
from textwright.serving.hosts import address_for_others
from textwright.serving.responses import json_response
from textwright.serving.settings import ServerSettings

MEDIA = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
LONGEST = 100
"""Characters of a host's name that is shown."""
MADE: dict[str, Callable[[], bytes]] = {
    "engine.wasm": engine,
    "knowledge.json": lambda: json.dumps(knowledge()).encode(),
    "train.html": lambda: offline_page(None).encode(),
}
"""What training in a tab needs besides: the engine, what it must know, and the page as one file
without a model, which a model that was trained in a tab is put into."""


def router(settings: ServerSettings, api: str | None) -> APIRouter:
    """A route for each file, read once: no path from a request ever reaches the file system.

    Those of `MADE` are there where the package can train in a tab.

    Raises:
        RequestError: `api` is not a server's address.
    """
    routes = APIRouter(prefix="/studio", include_in_schema=False)
    learns = can_learn()
    headers = {
        "content-security-policy": _policy(api, learns=learns),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
        "vary": "accept-encoding",
    }

    def add(path: str, make: Callable[[], bytes]) -> None:
        media = MEDIA[PurePosixPath(path).suffix or ".html"]
        content = cache(make)
        packed = cache(lambda: gzip.compress(content(), mtime=0))

        @routes.get(f"/{path}")
        def file(http: Request) -> Response:
            if "gzip" in http.headers.get("accept-encoding", ""):
                fields = headers | {"content-encoding": "gzip"}
                return Response(packed(), headers=fields, media_type=media)
            return Response(content(), headers=headers, media_type=media)

    files = _files(api, learns=learns)
    made = MADE if learns else {}
    known = json.dumps([path or "." for path in [*files, *made]])
    files["service.js"] = f"const FILES = {known};\n".encode() + files["service.js"]
    for path, content in files.items():
        add(path, partial(bytes, content))
    for path, make in made.items():
        add(path, make)

    @routes.get("")
    async def without_slash() -> Response:
        return RedirectResponse(f"{settings.root_path}/studio/")

    return routes


def address_router(settings: ServerSettings) -> APIRouter:
    """The route that says where others find the page; what the server listens on is the app's
    state `listens`, once it does."""
    routes = APIRouter(prefix="/api", include_in_schema=False)

    @routes.get("/address")
    def address(http: Request) -> Response:
        host, port = getattr(http.app.state, "listens", (None, 0))
        name = None if settings.root_path else address_for_others(http.headers, host)
        if name is None or len(name) > LONGEST:
            return json_response({"url": None, "rows": []})
        url = f"http://{f'[{name}]' if ':' in name else name}:{port}/studio/"
        return json_response({"url": url, "rows": _qr_code(url)})

    return routes


def _qr_code(text: str) -> list[str]:
    """The rows of a QR code (ISO/IEC 18004) with its quiet zone, a 1 for each dark square; none
    where the package isn't installed, since the address can be typed."""
    try:
        import segno
    except ImportError:
        return []
    code = segno.make(text, error="m", micro=False)
    return ["".join("1" if square else "0" for square in row) for row in code.matrix_iter(border=4)]


def _files(api: str | None, *, learns: bool) -> dict[str, bytes]:
    """The page's files by their paths; that of the page itself is empty."""
    files = {
        file.relative_to(WEB).as_posix(): file.read_bytes()
        for file in WEB.rglob("*")
        if file.suffix in MEDIA
    }
    page = files.pop("index.html").decode()
    return {"": _whole(page, api, learns=learns).encode(), **files}


def _whole(page: str, api: str | None, *, learns: bool) -> str:
    """The page, with its languages, the address of the server that it sends requests to, and
    whether it can train in its tab."""
    page = page.replace('data-languages=""', f'data-languages="{" ".join(languages())}"')
    tags = []
    if api is not None:
        tags.append(f'<meta name="api" content="{html.escape(api)}">\n')
    if learns:
        tags.append('<meta name="learns" content="yes">\n')
        tags.append('<link rel="manifest" href="app.webmanifest">\n')
    return page.replace("</head>", f"{''.join(tags)}</head>")


def _policy(api: str | None, *, learns: bool) -> str:
    """The Content-Security-Policy: own files only, requests to this server or to `api`; workers
    and WebAssembly where the page trains in its tab."""
    connect = "'self'"
    if api is not None:
        try:
            parts = urlsplit(api)
            is_valid = (
                parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            )
        except ValueError:
            is_valid = False
        if not is_valid or set(api) & set(" ;,'\""):
            raise RequestError(f"--api {api}: write a server's address, e.g. http://host:8000")
        server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        connect = f"'self' {server}" if learns else server
    compiles = " 'wasm-unsafe-eval'" if learns else ""
    more = "worker-src 'self'; manifest-src 'self'; " if learns else ""
    return (
        f"default-src 'none'; script-src 'self'{compiles}; style-src 'self'; "
        f"img-src 'self' data:; connect-src {connect}; {more}"
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
