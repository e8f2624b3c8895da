"""The page's files, unchanged, under a strict Content-Security-Policy. `/api/address`: where others
on the network find the page, also as a QR code."""

from __future__ import annotations

import gzip
import html
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from textwright.errors import RequestError
from textwright.page import WEB
from textwright.page.languages import languages
from textwright.serving.hosts import address_for_others
from textwright.serving.responses import json_response
from textwright.serving.settings import ServerSettings

MEDIA = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
LONGEST = 100
"""Characters of a host's name that is shown."""


def router(settings: ServerSettings, api: str | None) -> APIRouter:
    """A route for each file, read once: no path from a request ever reaches the file system.

    Raises:
        RequestError: `api` is not a server's address.
    """
    routes = APIRouter(prefix="/studio", include_in_schema=False)
    headers = {
        "content-security-policy": _policy(api),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
        "vary": "accept-encoding",
    }

    def add(path: str, content: bytes, media: str) -> None:
        packed = gzip.compress(content, mtime=0)

        @routes.get(path)
        async def file(http: Request) -> Response:
            if "gzip" in http.headers.get("accept-encoding", ""):
                fields = headers | {"content-encoding": "gzip"}
                return Response(packed, headers=fields, media_type=media)
            return Response(content, headers=headers, media_type=media)

    for file in WEB.rglob("*"):
        if file.suffix in MEDIA:
            content = file.read_bytes()
            path = file.relative_to(WEB).as_posix()
            if path == "index.html":
                path, content = "", _whole(content.decode(), api).encode()
            add(f"/{path}", content, MEDIA[file.suffix])

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


def _whole(page: str, api: str | None) -> str:
    """The page, with its languages, and the address of the server that it sends requests to."""
    page = page.replace('data-languages=""', f'data-languages="{" ".join(languages())}"')
    if api is None:
        return page
    meta = f'<meta name="api" content="{html.escape(api)}">'
    return page.replace("</head>", f"{meta}\n</head>")


def _policy(api: str | None) -> str:
    """The Content-Security-Policy: own files only, requests to this server or to `api`."""
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
        connect = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
