"""HTTP/1 on a connection: uvicorn's, and what it leaves to be wished for."""

from __future__ import annotations

import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class Protocol(HttpToolsProtocol):
    """Sends HTTP/1.0 clients streams as they know them: to the end of the connection."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not None and self.scope["http_version"] == "1.0":
            cycle.send = _unchunked(cycle)  # type: ignore[method-assign]


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
