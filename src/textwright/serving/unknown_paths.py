"""Requests for what isn't there: what there is instead."""

from __future__ import annotations

import json
from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Match

from textwright.serving.gate import path_of

_APIS = (
    ("/v1/messages", "Anthropic's API isn't spoken here"),
    ("/v1/embeddings", "models here give no embeddings"),
    ("/embeddings", "models here give no embeddings"),
    ("/api/embed", "models here give no embeddings"),
)
"""(beginning of a path that some clients ask for, what to say of it)."""


def slash_redirect(http: Request) -> str | None:
    """Where a path is that has a slash too many or too few at its end; None where nowhere.

    Without scheme and host, which a proxy changes, and with the prefix that it may have taken away.
    """
    path = path_of(http.scope)
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    if not other.startswith("/") or other.startswith("//"):  # which would be another host
        return None
    root = http.scope["root_path"]
    scope = {**http.scope, "path": root + other}
    if all(route.matches(scope)[0] is Match.NONE for route in http.app.routes):
        return None
    query = http.scope["query_string"].decode("latin-1")
    return quote(root + other) + (f"?{query}" if query else "")


def wrong_method(http: Request, allowed: str) -> str:
    """One line on a path that isn't there with this method, but with those of `allowed`."""
    methods = " and ".join(sorted(allowed.split(", ")))
    return f"{http.scope['method']} isn't allowed for {_shown(http)}, {methods} is"


def describe(http: Request) -> str:
    """One line on a path that isn't there."""
    path = path_of(http.scope)
    there = list(http.app.openapi()["paths"])
    if path.startswith("/v1/v1"):
        why = ": the base URL has /v1 twice"
    elif f"/v1{path}" in there:
        why = f": it is at /v1{path}; a client's base URL ends with /v1"
    else:
        why = next((f": {why}" for begin, why in _APIS if path.startswith(begin)), "")
    return f"no {_shown(http)} here{why}; there are {', '.join(there)}"


def _shown(http: Request) -> str:
    return json.dumps(path_of(http.scope)[:100])[1:-1]
