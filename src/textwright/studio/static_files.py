"""The page's files, as they stand, under a strict policy."""

from __future__ import annotations

import html
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from textwright.errors import RequestError
from textwright.page import WEB
from textwright.serving.settings import ServerSettings

MEDIA = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


def router(settings: ServerSettings, api: str | None) -> APIRouter:
    """Routes for each file there is, so that no path from outside ever meets the disk.

    Raises:
        RequestError: `api` is no address of a server.
    """
    routes = APIRouter(prefix="/studio", include_in_schema=False)
    headers = {
        "content-security-policy": _policy(api),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }

    def add(path: str, content: bytes, media: str) -> None:
        @routes.get(path)
        async def file() -> Response:
            return Response(content, headers=headers, media_type=media)

    for file in WEB.rglob("*"):
        if file.suffix in MEDIA:
            content = file.read_bytes()
            path = file.relative_to(WEB).as_posix()
            if path == "index.html":
                path, content = "", _told(content.decode(), api).encode()
            add(f"/{path}", content, MEDIA[file.suffix])

    @routes.get("")
    async def without_slash() -> Response:
        return RedirectResponse(f"{settings.root_path}/studio/")

    return routes


def _told(page: str, api: str | None) -> str:
    """The page, knowing which server to ask."""
    if api is None:
        return page
    meta = f'<meta name="api" content="{html.escape(api)}">'
    return page.replace("</head>", f"{meta}\n</head>")


def _policy(api: str | None) -> str:
    connect = "'self'"
    if api is not None:
        try:
            parts = urlsplit(api)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if not fits or set(api) & set(" ;,'\""):
            raise RequestError(f"--api {api}: write a server's address, e.g. http://host:8000")
        connect = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
