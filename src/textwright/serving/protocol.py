"""HTTP/1 on a connection: uvicorn's, within bounds.

uvicorn on httptools takes headers of any length, waits for ever for a request that a connection
doesn't send and for a client that doesn't read, and takes as many connections as there are.
"""

from __future__ import annotations

import asyncio
import sys
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from textwright.serving.errors import HTTPError
from textwright.serving.logs import request_logger

LINGER_SECONDS = 2.0
"""That a refused client may still send: closed meanwhile, it would never see the response …"""
LINGER_BYTES = 1 << 22
"""… and how much."""


class Protocol(HttpToolsProtocol):
    """A connection. Its bounds are attributes of the class."""

    max_head = 64 << 10
    """Bytes of a request's line and headers, and of what is neither head nor body."""
    head_seconds = 10.0
    """For all of a request's head to arrive, also on a connection that is new and silent."""
    read_seconds = 60.0
    """After which a client that reads nothing of what is sent to it is dropped."""
    max_connections = 8192
    """At once; beyond them the one goes that has been without a whole request for longest."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._dropped = 0  # bytes that a refused client still sent
        self._begun = False  # whether anything of a first request came
        self._in_head = True
        self._counted = self._fields = 0
        # Of this server: its connections, and those without a whole request, the oldest first
        shared = vars(self.server_state)
        self._open: set[Protocol] = shared.setdefault("open", set())
        self._idle: dict[Protocol, None] = shared.setdefault("idle", {})
        self._open.add(self)
        self._idle[self] = None
        self._await_head()
        if len(self._open) > self.max_connections:
            oldest = next(iter(self._idle))
            if oldest is self:
                self._refuse(HTTPError(503, "too many connections; try again in a moment",
                                       headers={"retry-after": "1"}))  # fmt: skip
            else:
                oldest._leave()
                oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        for timer in (self._head_timer, self._read_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self.transport.abort()
            return
        self._counted += len(data)
        super().data_received(data)
        if self._in_head and self._head_timer is None and not self._is_refused:
            self._await_head()
        # What was received beyond fields and bodies: an unfinished header, the signs between chunks
        if not self._is_refused and self._counted > self.max_head:
            self._refuse_head()

    def on_message_begin(self) -> None:
        self._begun = self._in_head = True
        self._counted = self._fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count_field(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the head, or after the last chunk of a body."""
        self._count_field(len(name) + len(value))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._counted -= 8 * len(body)  # chunks may be small
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._idle.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._idle[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        if self._fields > self.max_head:
            self._refuse_head()
        else:
            self._refuse(HTTPError(400, "this is no HTTP request that can be read"))

    def on_headers_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._in_head = False
        self._counted = 0
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not None and self.scope["http_version"] == "1.0":
            cycle.send = _unchunked(cycle)  # type: ignore[method-assign]

    def _leave(self) -> None:
        self._open.discard(self)
        self._idle.pop(self, None)

    def _count_field(self, size: int) -> None:
        self._fields += size
        if self._fields > self.max_head:
            raise ValueError("a head that is too long")  # httptools: a fault in the request

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._give_up_head)

    def _give_up_head(self) -> None:
        if self._begun:
            self._refuse(HTTPError(408, "the request's headers took too long to arrive"))
        else:
            self.transport.close()

    def _await_reader(self, unread: int) -> None:
        def look() -> None:
            now = self.transport.get_write_buffer_size()
            if now >= unread:
                self.transport.abort()
            else:
                self._await_reader(now)

        self._read_timer = self.loop.call_later(self.read_seconds, look)

    def _refuse_head(self) -> None:
        message = f"the request's headers are longer than {self.max_head:,} bytes"
        self._refuse(HTTPError(431, message))

    def _refuse(self, error: HTTPError) -> None:
        """Answer in place of the app, and close the connection."""
        self._is_refused = True
        fields = {"status": error.status, "error": error.message,
                  "client": self.client[0] if self.client else None}  # fmt: skip
        request_logger.info("request", extra={"fields": fields})
        if self.transport.is_closing() or (self.cycle and not self.cycle.response_complete):
            self.transport.close()  # in the middle of another response there is no place for this
            return
        response = error.response(self.url.decode("latin-1") if hasattr(self, "url") else "")
        phrase = HTTPStatus(error.status).phrase
        lines = [f"HTTP/1.1 {error.status} {phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        head = b"\r\n".join([*lines, b"connection: close", b"", b""])
        self.transport.write(head + bytes(response.body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def _unchunked(cycle: RequestResponseCycle) -> Any:
    """The `send` of a cycle for a client that can't read chunks (RFC 9112, section 6.1); uvicorn
    closes such a client's connection after the response."""
    send = cycle.send

    async def unchunked(message: Any) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            if b"content-length" not in names:
                cycle.chunked_encoding, cycle.expected_content_length = False, sys.maxsize
        elif cycle.expected_content_length > sys.maxsize >> 1 and not message.get("more_body"):
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    return unchunked
