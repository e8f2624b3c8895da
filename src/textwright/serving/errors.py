"""Errors as answers: which status, and in which shape."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from textwright.errors import (
    BusyError,
    ClosedError,
    ModelExistsError,
    ModelUnavailableError,
    NoRoomError,
    RequestError,
    TextwrightError,
    UnknownModelError,
)

CLIENT_GONE = 499
"""What is logged where nobody is left to be answered, as proxies write it."""


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
    """An answer that is an error."""

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
        """The `type` of the OpenAI API."""
        return _TYPES.get(
            self.status, "invalid_request_error" if self.status < 500 else "server_error"
        )

    def openai(self) -> dict[str, Any]:
        """The body in the shape of the OpenAI API."""
        body = {
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
        }  # fmt: skip
        return {"error": body}

    def response(self, path: str) -> Response:
        """The answer to a request of `path`."""
        body = self.openai() if is_openai(path) else {"error": self.message}
        return Response(json.dumps(body), self.status, self.headers, media_type="application/json")


_TYPES = {401: "authentication_error", 429: "rate_limit_error", 404: "not_found_error"}


def is_openai(path: str) -> bool:
    """Whether a path belongs to the OpenAI API."""
    return path == "/v1" or path.startswith("/v1/")


def as_http(error: Exception) -> HTTPError:  # noqa: PLR0911 - a table
    """What an error means to a client; one that nobody foresaw tells nothing."""
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
        case ModelUnavailableError():
            return HTTPError(503, str(error), param="model", code="model_unavailable")
        case UnknownModelError():
            return HTTPError(404, str(error), param="model", code="model_not_found")
        case ModelExistsError():
            return HTTPError(409, str(error), param="model", code="model_exists")
        case NoRoomError():
            return HTTPError(507, str(error), param="model", code="no_room")
        case RequestError():
            return HTTPError(400, str(error))
        case TextwrightError():
            return HTTPError(500, str(error))
        case ClientDisconnect():
            return HTTPError(CLIENT_GONE, "the client has gone")
    return HTTPError(500, "a fault in textwright; its log tells more")


def native_errors() -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document."""
    return {
        "4XX": {"model": NativeError, "description": "The request can't be met."},
        "5XX": {"model": NativeError, "description": "It went wrong here."},
    }


def openai_errors() -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document."""
    return {
        "4XX": {"model": OpenAIError, "description": "The request can't be met."},
        "5XX": {"model": OpenAIError, "description": "It went wrong here."},
    }


STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
"""For the OpenAPI document: what comes with `stream`."""
