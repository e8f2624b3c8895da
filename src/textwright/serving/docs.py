"""`/docs`: Swagger UI, from local files.

FastAPI's own page loads them from a CDN: it is blank without a network, and the CDN sees who opens
it. The files come with the package `fastapi-offline`; all URLs on the page are relative, so it
works under any path, and its Content-Security-Policy forbids all other sources.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
"""The page's files and their media types."""

PATHS = {"/docs", *(f"/docs/{name}" for name in ASSETS)}


def router(title: str) -> APIRouter:
    """The page, titled `title`, and its files."""
    routes = APIRouter(include_in_schema=False)
    folder = files("fastapi_offline") / "static"
    page, policy = _page(title)

    @routes.get("/docs")
    async def show() -> Response:
        return HTMLResponse(page, headers={"content-security-policy": policy})

    def add(name: str, media_type: str) -> None:
        @routes.get(f"/docs/{name}")
        def asset() -> Response:
            headers = {"cache-control": "max-age=86400"}
            return Response((folder / name).read_bytes(), headers=headers, media_type=media_type)

    for name, media_type in ASSETS.items():
        add(name, media_type)
    return routes


def _page(title: str) -> tuple[str, str]:
    """The HTML, and the policy that allows its one inline script alone."""
    html = bytes(
        get_swagger_ui_html(
            openapi_url="openapi.json",
            title=title,
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon.png",
            swagger_ui_parameters={"validatorUrl": None},  # else a service on the web is called
        ).body
    ).decode()
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy
