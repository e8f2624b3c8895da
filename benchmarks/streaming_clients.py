"""Clients of a server's streams that cost next to nothing, so that they take no core from it.

A well-kept HTTP library spends as much CPU time on a chunk as the server does, on the same machine.
These write a request and look for three things in what comes back: the status, the time of the
first event that holds text, and the tokens counted at the end.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_STATUS = re.compile(rb"HTTP/1\.[01] (\d+)")
_USAGE = re.compile(rb'"completion_tokens": ?(\d+)')
_TEXT = re.compile(rb'"(?:text|content)": ?"[^"]')
_BORDER = re.compile(rb"\r\n[0-9a-fA-F]+\r\n")
"""Between two chunks of a body, wherever it falls."""


@dataclass
class Outcome:
    """What came of one stream; seconds from its request."""

    status: int = 0
    tokens: int = 0
    events: int = 0
    first: float = 0.0
    seconds: float = 0.0
    whole: bool = False
    pauses: list[float] = field(default_factory=list)
    """Between one read that held an event and the next."""


async def stream(url: str, body: dict[str, Any], *, done: bytes = b"data: [DONE]") -> Outcome:
    """Ask once and read to the end.

    Args:
        url: of the route.
        body: sent as JSON.
        done: what a stream that is whole ends with.
    """
    parts = urlsplit(url)
    data = json.dumps(body).encode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    outcome, began = Outcome(), time.perf_counter()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(head.encode() + data)
        tail = b""
        last = 0.0
        while piece := await reader.read(1 << 16):
            if b"data: " in piece:
                now = time.perf_counter()
                if last:
                    outcome.pauses.append(now - last)
                last = now
            outcome.events += piece.count(b"data: ")
            tail += piece
            if not outcome.status and (status := _STATUS.match(tail)):
                outcome.status = int(status[1])
            if not outcome.first and _TEXT.search(tail):
                outcome.first = time.perf_counter() - began
            tail = tail[-2000:]
    finally:
        writer.close()
    outcome.seconds = time.perf_counter() - began
    tail = _BORDER.sub(b"", tail)
    outcome.whole = done in tail
    if usage := _USAGE.findall(tail):
        outcome.tokens = int(usage[-1])
    return outcome


def together(url: str, bodies: list[dict[str, Any]]) -> tuple[float, list[Outcome]]:
    """One stream a body, all at once; the seconds that it took, and what came of each."""

    async def ask() -> list[Outcome]:
        return list(await asyncio.gather(*(stream(url, body) for body in bodies)))

    began = time.perf_counter()
    outcomes = asyncio.run(ask())
    return time.perf_counter() - began, outcomes
