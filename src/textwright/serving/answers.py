"""Answers: JSON, and streams of events."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from textwright.serving.errors import as_http

DONE = b"data: [DONE]\n\n"


def as_json(data: Any, status: int = 200) -> Response:
    """An answer in JSON; half a character, which UTF-8 can't hold, becomes `?`."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")


def event(data: Any) -> bytes:
    """One event of a stream."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


class EventStream(Response):
    """Server-sent events, ending with `[DONE]`; a fault on the way is an event too.

    The first event is asked for before the answer begins, so that what goes wrong until then has a
    status of its own.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], first: bytes) -> None:
        """
        Args:
            events: what comes after `first`.
        """
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events, self._first = events, first

    @classmethod
    async def begin(cls, events: AsyncGenerator[bytes]) -> EventStream:
        """The answer, once its first event is there."""
        return cls(events, await anext(events))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async for chunk in self._events:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except ClientDisconnect:
            raise
        except Exception as error:
            chunk = event(as_http(error).openai())
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            scope["textwright"]["fault"] = error
        finally:
            if isinstance(self._events, AsyncGenerator):
                await self._events.aclose()
        await send({"type": "http.response.body", "body": DONE, "more_body": False})
