"""Responses: JSON, and server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from textwright.serving.errors import to_http_error

DONE = b"data: [DONE]\n\n"


def json_response(data: Any, status: int = 200) -> Response:
    """A response in JSON; a lone surrogate, which UTF-8 can't encode, becomes `?`."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")


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
        try:
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async for chunk in self._events:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except ClientDisconnect:
            raise
        except Exception as error:
            chunk = self.failure(error)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            scope["textwright"]["stream_error"] = error
        finally:
            if isinstance(self._events, AsyncGenerator):
                await self._events.aclose()
        await send({"type": "http.response.body", "body": self.end, "more_body": False})

    def failure(self, error: Exception) -> bytes:
        """What is sent of an error after the response began."""
        return event(to_http_error(error).openai())
