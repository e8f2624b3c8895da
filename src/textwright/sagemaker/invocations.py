"""`/invocations`: one route for all kinds of requests, distinguished by the body.

Bodies and responses are those of the HTTP API: with `messages` it is a chat completion, with
`prompt` a completion, with `inputs` texts in bulk, without any of them a native request. A body of
`text/plain` is a prompt, and the response a stream of text. An endpoint has one model, so the
body's `model` is ignored.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from textwright.serving import chat, completions, native
from textwright.serving.errors import HTTPError
from textwright.serving.fields import describe_error, is_large, parse_json
from textwright.serving.service import Service, log_jobs

JSON = "application/json"
TEXT = "text/plain"
WARNINGS = "x-textwright-warnings"
"""Header of a plain text's response: a JSON list."""

_Body = TypeVar("_Body", bound=BaseModel)


async def invoke(service: Service, model: str, http: Request) -> Response:
    """The response of `model` to `http`.

    Raises:
        HTTPError, TextwrightError: the request is wrong, or fails.
    """
    content_type = http.headers.get("content-type", "")
    media = content_type.partition(";")[0].strip().lower()
    body = await http.body()
    large = is_large(body)
    if media == TEXT:
        text = await asyncio.to_thread(_text, body) if large else _text(body)
        return await _continue(service, model, text, http)
    if media not in ("", "*/*", JSON) and not media.endswith("+json"):
        raise HTTPError(415, f"content type {content_type[:100]} is none of {JSON}, {TEXT}")
    parsed = await asyncio.to_thread(_read, body, model) if large else _read(body, model)
    if isinstance(parsed, chat.ChatCompletion):
        return await chat.converse(service, parsed, http)
    if isinstance(parsed, completions.Completion):
        return await completions.complete(service, parsed, http)
    if isinstance(parsed, native.AnyBulk):
        return await native.generate_bulk(service, parsed, http)
    return await native.generate(service, parsed, http)


_AnyBody: TypeAlias = chat.ChatCompletion | completions.Completion | native.AnyBulk | native.GenText


def _read(body: bytes, model: str) -> _AnyBody:
    """What a body asks of `model`.

    Raises:
        HTTPError: it isn't JSON, or not what a route takes.
    """
    data = parse_json(body)
    if not isinstance(data, dict):
        raise HTTPError(400, "the body must be a JSON object")
    if "messages" in data:
        return _validate(chat.ChatCompletion, {**data, "model": model})
    if "prompt" in data:
        return _validate(completions.Completion, {**data, "model": model})
    if "inputs" in data:
        bulk = _validate(native.AnyBulk, data)
        named = {"model_name": model}
        bulk.inputs = [each | named if isinstance(each, dict) else each for each in bulk.inputs]
        return bulk
    data.pop("model", None)
    return _validate(native.GenText, {**data, "model_name": model})


def _validate(body_class: type[_Body], data: dict[str, Any]) -> _Body:
    try:
        return body_class.model_validate(data)
    except ValidationError as error:
        message, param = describe_error(error, data)
        raise HTTPError(400, message, param=param) from error


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise HTTPError(400, f"the text is not UTF-8 ({error.reason})") from error


async def _continue(service: Service, name: str, text: str, http: Request) -> Response:
    """The response to a plain prompt: it and its continuation, as a stream of text."""
    model = await service.model(name)
    request = service.check(model, {"max_tokens": native.DEFAULT_LENGTH}, length="max_tokens")
    prompt = await service.prompt(model, text, param="text")
    job = service.job(model, prompt, request, request.seed)

    def write(_: int, text: str, tokens: int, done: bool) -> bytes:
        return text.encode("utf-8", "replace")

    async def pieces() -> AsyncGenerator[bytes]:
        try:
            async with service.reply([job], http, streams=True) as reply:
                yield prompt.text.encode("utf-8", "replace")
                # An error is too late for a status here: it breaks the connection off
                async for piece in reply.chunks([job], write, large=False):
                    yield piece
        finally:
            log_jobs(http, [job], texts=service.settings.log_prompts)

    stream = pieces()
    first = await anext(stream)  # an error up to here is a response with its own status

    async def content() -> AsyncGenerator[bytes]:
        yield first
        async for piece in stream:
            yield piece

    headers = {WARNINGS: json.dumps(prompt.warnings)} if prompt.warnings else None
    return StreamingResponse(content(), media_type=TEXT, headers=headers)
