"""What every request passes before a route sees it, and every answer on its way out.

A number of its own, a key, a body of bounded size that arrives in bounded time; then a line in the
log. All paths need a key but those named here, so a route that is added later can't be forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textwright.serving import docs
from textwright.serving.errors import CLIENT_GONE, HTTPError, as_http
from textwright.serving.logs import requests
from textwright.serving.settings import ServerSettings

OPEN = {"/", "/health", "/openapi.json", *docs.PATHS}
"""Paths that need no key: none of them generates or tells of what was generated."""

PAGE = "/studio/"
"""What lies under this path is open too: the files of the web page, the same for everybody."""

OTHER_MEDIA: set[str] = set()
"""Paths whose body need not be JSON."""

HOSTED = re.compile(r"/invocations|/models/[^/]+/invoke")
"""Paths of a hosting container: they say themselves what a body may be."""

DISCARDED = 8
"""Times the size of a body that is possible, which is read of one that is too long …"""
DISCARD_SECONDS = 5.0
"""… in so much time."""

_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)

logger = logging.getLogger("textwright")


class Gate:
    """The outermost part of the app, an ASGI middleware."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._keys = [_digest(key.get_secret_value()) for key in settings.api_keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["root_path"] = self._settings.root_path
        headers = Headers(scope=scope)
        wanted = headers.get("x-request-id", "")
        number = wanted if _REQUEST_ID.fullmatch(wanted) else uuid.uuid4().hex
        facts: dict[str, Any] = {"request_id": number}
        scope["textwright"] = facts
        path = path_of(scope)
        began = time.monotonic()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = number
            await send(message)

        try:
            self._check_key(path, headers)
            body = await self._body(path, scope["method"], headers, receive)
            await self._app(scope, _replayed(body, receive), send_on)
        except Exception as error:
            answer = as_http(error)
            if answer.status == 500:
                logger.error("a request failed", exc_info=error, extra={"facts": dict(facts)})
            if status == 0 and answer.status != CLIENT_GONE:
                await answer.response(path)(scope, receive, send_on)
            status = answer.status
        finally:
            if (fault := facts.pop("fault", None)) is not None:
                facts["error"] = str(fault)
            client = scope.get("client")
            line = {
                "method": scope["method"],
                "path": path[:200],
                "status": status,
                "milliseconds": round(1000 * (time.monotonic() - began), 1),
                "client": client[0] if client else None,
            }
            requests.info("request", extra={"facts": {**facts, **line}})

    def _check_key(self, path: str, headers: Headers) -> None:
        """Every key is compared, in a time that doesn't tell how much of it was right."""
        if not self._keys or path in OPEN or f"{path}/".startswith(PAGE):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        digest = _digest(given.strip() if scheme.lower() == "bearer" else "")
        if not sum(hmac.compare_digest(digest, key) for key in self._keys):
            raise HTTPError(
                401,
                "this server wants an API key: send the header 'Authorization: Bearer KEY'",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )

    async def _body(self, path: str, method: str, headers: Headers, receive: Receive) -> bytes:
        """All of the body, within the limits; none is read that wasn't announced."""
        if method != "POST":
            return b""
        most = self._settings.max_body
        too_long = HTTPError(
            413, f"the body is longer than {most:,} bytes", headers={"connection": "close"}
        )
        announced = headers.get("content-length", "0")
        coming = "expect" not in headers  # who asks first has sent nothing yet
        if announced.isdecimal() and int(announced) > most:
            if coming:
                await self._discard(receive)
            raise too_long
        if announced == "0" and "transfer-encoding" not in headers:
            return b""
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        json = media == "application/json" or media.endswith("+json")
        if not json and path not in OTHER_MEDIA and not HOSTED.fullmatch(path):
            if coming:
                await self._discard(receive)
            raise HTTPError(
                415,
                "the body must be JSON: send the header 'Content-Type: application/json'",
                headers={"connection": "close"},
            )
        parts = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HTTPError(CLIENT_GONE, "the client has gone")
                    parts += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(parts) > most:
                        if more:
                            await self._discard(receive)
                        raise too_long
        except TimeoutError:
            raise HTTPError(
                408, "the body took too long to arrive", headers={"connection": "close"}
            ) from None
        return bytes(parts)

    async def _discard(self, receive: Receive) -> None:
        """Read on for a while: a connection that is closed while its client still sends is reset,
        and the client never reads the answer."""
        left = DISCARDED * self._settings.max_body
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(DISCARD_SECONDS, self._settings.body_timeout)):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return


def path_of(scope: Scope) -> str:
    """The path within the app, also where a proxy left its own prefix in."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if root and path.startswith(root + "/") else path


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that has been read already, then what really comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
