"""The middleware around all routes: request ids, keys, limits on bodies, the request log.

A body must be of bounded size and arrive in bounded time. All paths need a key except those listed
here, so that a route added later can't be left open by accident.
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
from textwright.serving.errors import CLIENT_CLOSED_REQUEST, HTTPError, to_http_error
from textwright.serving.hosts import CLIENT, is_loopback, unknown_host
from textwright.serving.logs import request_logger
from textwright.serving.settings import ServerSettings

PUBLIC_PATHS = {"/", "/health", "/openapi.json", docs.PATH}
"""Paths that need no key: none generates text or reveals any."""

PUBLIC_PREFIX = "/studio/"
"""No key either: the files of the web page, which are the same for all."""

NON_JSON_PATHS: set[str] = set()
"""Paths whose body need not be JSON."""

ASSUMED_JSON_PATHS = {"/api/generate", "/api/chat", "/api/show"}
"""Paths whose body is JSON whatever its media type, as Ollama's clients need it; not where a page
in a browser sends it, which may send JSON to those servers alone that let it."""

HOSTED = re.compile(r"/invocations|/models/[^/]+/invoke")
"""Paths of a hosting container, whose routes check the media type themselves."""

DISCARD_FACTOR = 8
"""Times `max_body`: as many bytes of a body that is refused are read …"""
DISCARD_SECONDS = 5.0
"""… within this time."""

LARGE_BYTES = 1 << 20
"""Of a body that is put together beside the event loop."""

_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)

logger = logging.getLogger("textwright")


class Gate:
    """The app's outermost ASGI middleware."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._keys = [_digest(key.get_secret_value()) for key in settings.api_keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        root = scope["root_path"] = self._settings.root_path
        # Of a proxy that takes the prefix away, too: ASGI's path has it
        scope["path"] = root + path_of(scope)
        is_head = scope["method"] == "HEAD"
        headers = Headers(scope=scope)
        given_id = headers.get("x-request-id", "")
        request_id = given_id if _REQUEST_ID.fullmatch(given_id) else uuid.uuid4().hex
        fields: dict[str, Any] = {"request_id": request_id}
        scope["textwright"] = fields
        path = path_of(scope)
        began = time.monotonic()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            self._check_host(headers)
            self._check_key(path, headers)
            scope[CLIENT] = self._client(scope, headers)
            body = await self._read_body(path, scope["method"], headers, receive)
            if path in ASSUMED_JSON_PATHS:
                MutableHeaders(scope=scope)["content-type"] = "application/json"
            # HEAD is what GET is, without its body, which the server leaves out
            inner = {**scope, "method": "GET"} if is_head else scope
            await self._app(inner, _replay(body, receive), send_with_id)
        except Exception as error:
            http_error = to_http_error(error)
            if http_error.status == 500:
                logger.error("a request failed", exc_info=error, extra={"fields": dict(fields)})
            if status == 0 and http_error.status != CLIENT_CLOSED_REQUEST:
                await http_error.response(path)(scope, receive, send_with_id)
            fields.setdefault("error", http_error.message)
            status = http_error.status
        finally:
            if (stream_error := fields.pop("stream_error", None)) is not None:
                fields["error"] = str(stream_error)
            client = scope.get("client")
            line = {
                "method": scope["method"],
                "path": path[:200],
                "status": status,
                "milliseconds": round(1000 * (time.monotonic() - began), 1),
                "client": client[0] if client else None,
            }
            request_logger.info("request", extra={"fields": {**fields, **line}})

    def _check_host(self, headers: Headers) -> None:
        names = self._settings.hosts
        if names is not None and (host := unknown_host(headers, names)) is not None:
            name = host[:100].rpartition(":")[0] if ":" in host else host[:100]
            raise HTTPError(
                403,
                f"this server isn't asked by the name {host[:100]!r}; if that is its own, start it "
                f"with --allow-host {name}",
                code="host_not_allowed",
            )

    def _check_key(self, path: str, headers: Headers) -> None:
        """Compare with every key, in constant time: none is revealed character by character."""
        if not self._keys or path in PUBLIC_PATHS or f"{path}/".startswith(PUBLIC_PREFIX):
            return
        digest = _given_key(headers)
        if not sum(hmac.compare_digest(digest, key) for key in self._keys):
            raise HTTPError(
                401,
                "this server wants an API key: send the header 'Authorization: Bearer KEY'",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )

    def _client(self, scope: Scope, headers: Headers) -> str | None:
        """Whose share a request counts towards: its key's where there are several; else its
        address's, unless that is this machine's, where a proxy's clients all seem to be."""
        if len(self._keys) > 1:
            return _given_key(headers).hex()
        address = scope.get("client")
        return None if address is None or is_loopback(address[0]) else str(address[0])

    async def _read_body(self, path: str, method: str, headers: Headers, receive: Receive) -> bytes:
        """All of the body, within the limits; empty where the headers announce none."""
        if method != "POST":
            return b""
        if (refusal := self._unacceptable(path, headers)) is not None:
            if "expect" not in headers:  # such a client sends its body once it is told to
                await self._discard(receive)
            raise refusal
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            return b""
        limit = self._settings.max_body
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HTTPError(CLIENT_CLOSED_REQUEST, "the client has gone")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    more = message.get("more_body", False)
                    if size > limit:
                        if more:
                            await self._discard(receive)
                        raise _too_long(limit)
        except TimeoutError:
            raise HTTPError(
                408, "the body took too long to arrive", headers={"connection": "close"}
            ) from None
        # A join of a megabyte or more lets other threads run meanwhile
        return b"".join(parts) if size < LARGE_BYTES else await asyncio.to_thread(b"".join, parts)

    def _unacceptable(self, path: str, headers: Headers) -> HTTPError | None:
        """Why a body with these headers isn't read; None where it is."""
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._settings.max_body:
            return _too_long(self._settings.max_body)
        if length == "0" and "transfer-encoding" not in headers:
            return None
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        is_json = media == "application/json" or media.endswith("+json")
        is_assumed = path in ASSUMED_JSON_PATHS and "origin" not in headers
        is_other = path in NON_JSON_PATHS or HOSTED.fullmatch(path)
        if not is_json and not is_assumed and not is_other:
            return HTTPError(
                415,
                "the body must be JSON: send the header 'Content-Type: application/json'",
                headers={"connection": "close"},
            )
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            return HTTPError(
                415,
                f"a body with the header 'Content-Encoding: {encoding[:40]}' isn't taken; send it "
                "as it is",
                headers={"connection": "close", "accept-encoding": "identity"},
            )
        return None

    async def _discard(self, receive: Receive) -> None:
        """Read on for a while: a connection closed while its client still sends is reset, and the
        client never sees the response."""
        left = DISCARD_FACTOR * self._settings.max_body
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(DISCARD_SECONDS, self._settings.body_timeout)):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return


def _too_long(limit: int) -> HTTPError:
    return HTTPError(
        413, f"the body is longer than {limit:,} bytes", headers={"connection": "close"}
    )


def path_of(scope: Scope) -> str:
    """The path within the app, without the prefix of a proxy that passes it on."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    if root and path == root:
        return "/"
    return path.removeprefix(root) if root and path.startswith(root + "/") else path


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns a body which was read already, then what `receive` does."""
    is_replayed = False

    async def replay() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _given_key(headers: Headers) -> bytes:
    """The digest of a request's key; of an empty one where it has none."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return _digest(given.strip() if scheme.lower() == "bearer" else "")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
