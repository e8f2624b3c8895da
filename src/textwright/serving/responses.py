"""Responses: JSON, and server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from textwright.serving.errors import to_http_error

PIECE_VALUES = 500
"""Of JSON that are encoded in one call."""
SLICE = 1 << 17
"""Bytes of a large response that are sent at once."""
KEEP_ALIVE_SECONDS = 5.0
"""After which a stream that has nothing to send sends a comment: proxies end a silent one."""

DONE = b"data: [DONE]\n\n"


def json_response(data: Any, status: int = 200) -> Response:
    """A response in JSON; a lone surrogate, which UTF-8 can't encode, becomes `?`."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")


async def large_json_response(make: Callable[[], Any]) -> Response:
    """As `json_response` of what `make` returns, which may be many megabytes: made and encoded in a
    thread, in pieces, and sent in pieces, so that the event loop is never held up for long."""

    def encode() -> bytes:
        return "".join(json_pieces(make())).encode("utf-8", "replace")

    return _Sliced(await asyncio.to_thread(encode), media_type="application/json")


def json_pieces(data: Any, *, ascii: bool = False) -> Iterator[str]:  # noqa: A002
    """`data` as JSON in pieces of a bounded number of values: `json.dumps` lets no other thread
    run before it returns."""
    if _count(data, PIECE_VALUES) < PIECE_VALUES or not isinstance(data, dict | list):
        yield json.dumps(data, ensure_ascii=ascii, allow_nan=False, separators=(",", ":"))
        return
    is_object = isinstance(data, dict)
    yield "{" if is_object else "["
    entries = data.items() if isinstance(data, dict) else ((None, value) for value in data)
    for position, (key, value) in enumerate(entries):
        comma = "," if position else ""
        yield comma if key is None else f"{comma}{json.dumps(key)}:"
        yield from json_pieces(value, ascii=ascii)
    yield "}" if is_object else "]"


def _count(data: Any, limit: int) -> int:
    """How many values `data` holds, itself among them; no more than `limit` are counted."""
    count = 1
    if isinstance(data, dict | list):
        for value in data.values() if isinstance(data, dict) else data:
            if count >= limit:
                break
            count += _count(value, limit - count)
    return count


class _Sliced(Response):
    """A response that is sent in slices, each when its client has taken those before."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        body = bytes(self.body)
        for begin in range(0, len(body), SLICE):
            end = begin + SLICE
            more = end < len(body)
            await send({"type": "http.response.body", "body": body[begin:end], "more_body": more})
            await asyncio.sleep(0)


def event(data: Any) -> bytes:
    """One server-sent event."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


class EventStream(Response):
    """Server-sent events, ending with `[DONE]`; an error meanwhile is sent as an event too.

    The first event is awaited before the response begins, so that an error up to then is answered
    with its own status.
    """

    media_type = "text/event-stream"
    end = DONE
    """What comes last."""
    comment = b": waiting\n\n"
    """What clients pass over."""

    def __init__(self, events: AsyncIterator[bytes], first: bytes) -> None:
        """
        Args:
            events: those after `first`.
        """
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events, self._first = events, first

    @classmethod
    async def begin(cls, events: AsyncGenerator[bytes]) -> EventStream:
        """The response, once its first event has come."""
        return cls(events, await anext(events))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        loop = asyncio.get_running_loop()
        sent = loop.time()

        async def keep_alive() -> None:
            while True:
                await asyncio.sleep(KEEP_ALIVE_SECONDS)
                if self.comment and loop.time() - sent >= KEEP_ALIVE_SECONDS:
                    part = {"type": "http.response.body", "body": self.comment, "more_body": True}
                    await send(part)

        keeper = asyncio.ensure_future(keep_alive())
        try:
            if self._first:
                await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async for chunk in self._events:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                sent = loop.time()
        except ClientDisconnect:
            raise
        except Exception as error:
            chunk = self.failure(error)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            scope["textwright"]["stream_error"] = error
        finally:
            keeper.cancel()
            if isinstance(self._events, AsyncGenerator):
                await self._events.aclose()
        await send({"type": "http.response.body", "body": self.end, "more_body": False})

    def failure(self, error: Exception) -> bytes:
        """What is sent of an error after the response began."""
        return event(to_http_error(error).openai())
