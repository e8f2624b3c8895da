"""Errors as HTTP responses: their status, and their body in the shape of each API."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from textwright.errors import (
    BusyError,
    ClosedError,
    DeadlineError,
    ModelExistsError,
    ModelUnavailableError,
    NoRoomError,
    RequestError,
    TextwrightError,
    UnknownModelError,
)

CLIENT_CLOSED_REQUEST = 499
"""Only ever logged: nginx's status for a client that hung up before its response."""


class NativeError(BaseModel):
    """What went wrong, in one line."""

    error: str


class OpenAIErrorBody(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = Field(default=None, description="The field that it is about.")
    code: str | None = None


class OpenAIError(BaseModel):
    """An error in the shape of the OpenAI API."""

    error: OpenAIErrorBody


class HTTPError(Exception):
    """An error with its HTTP status, as a response."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    @property
    def kind(self) -> str:
        """The error's `type` in the OpenAI API."""
        default = "invalid_request_error" if self.status < 500 else "server_error"
        return _TYPES.get(self.status, default)

    def openai(self) -> dict[str, Any]:
        """The body as the OpenAI API has it."""
        body = {
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
        }  # fmt: skip
        return {"error": body}

    def response(self, path: str) -> Response:
        """The response to a request of `path`."""
        body = self.openai() if is_openai(path) else {"error": self.message}
        return Response(json.dumps(body), self.status, self.headers, media_type="application/json")


_TYPES = {401: "authentication_error", 429: "rate_limit_error", 404: "not_found_error"}


def is_openai(path: str) -> bool:
    """Whether a path belongs to the OpenAI API."""
    return path == "/v1" or path.startswith("/v1/")


_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/]+/)+|\b[A-Za-z]:\\(?:[^\s\\]+\\)+")


def without_folders(message: str) -> str:
    """A message for clients, whom this machine's folders don't concern: names alone."""
    return _FOLDERS.sub("", message)


def to_http_error(error: Exception) -> HTTPError:  # noqa: PLR0911 - a table
    """`error` as a client gets it; an unforeseen one without its message, which may be private."""
    match error:
        case HTTPError():
            return error
        case BusyError():
            seconds = error.retry_after
            headers = {
                "retry-after": str(math.ceil(seconds)),
                "retry-after-ms": str(round(seconds * 1000)),
            }
            return HTTPError(429, str(error), code="queue_full", headers=headers)
        case ClosedError():
            return HTTPError(503, str(error), code="shutting_down", headers={"retry-after": "5"})
        case DeadlineError():
            # as slow the next time: OpenAI's clients don't try again where they are told not to
            headers = {"x-should-retry": "false"}
            return HTTPError(503, str(error), code="deadline", headers=headers)
        case ModelUnavailableError():
            message = without_folders(str(error))
            return HTTPError(503, message, param="model", code="model_unavailable")
        case UnknownModelError():
            return HTTPError(404, str(error), param="model", code="model_not_found")
        case ModelExistsError():
            return HTTPError(409, str(error), param="model", code="model_exists")
        case NoRoomError():
            return HTTPError(507, str(error), param="model", code="no_room")
        case RequestError():
            return HTTPError(400, str(error))
        case TextwrightError():
            return HTTPError(500, without_folders(str(error)))
        case ClientDisconnect():
            return HTTPError(CLIENT_CLOSED_REQUEST, "the client has gone")
    return HTTPError(500, "a fault in textwright; its log tells more")


def error_responses(body: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for the OpenAPI document."""
    return {
        "4XX": {"model": body, "description": "The request can't be met."},
        "5XX": {"model": body, "description": "It went wrong here."},
    }


STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
"""The response of a request with `stream`, for the OpenAPI document."""
