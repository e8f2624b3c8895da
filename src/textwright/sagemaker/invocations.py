"""`/invocations`: one route for all that a model is asked for, told apart by the body.

The bodies, and their answers, are those of the HTTP API: `messages` makes a request for a chat
completion, `prompt` one for a completion, `inputs` one for texts in bulk, and an object without any
of them is a native request. `text/plain` is a prompt, and is answered by text, in pieces as it is
written. An endpoint's model is known, so what a body says of it is of no matter.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from textwright.serving import chat, completions, native
from textwright.serving.errors import HTTPError
from textwright.serving.fields import describe_error
from textwright.serving.service import Service, log_jobs

JSON = "application/json"
TEXT = "text/plain"

_Body = TypeVar("_Body", bound=BaseModel)


async def invoke(service: Service, model: str, http: Request) -> Response:
    """Answer what `http` asks of `model`.

    Raises:
        HTTPError, TextwrightError: it can't be met.
    """
    given = http.headers.get("content-type", "")
    media = given.partition(";")[0].strip().lower()
    body = await http.body()
    if media == TEXT:
        return await _continue(service, model, _text(body), http)
    if media not in ("", "*/*", JSON) and not media.endswith("+json"):
        raise HTTPError(415, f"content type {given[:100]} is none of {JSON}, {TEXT}")
    told = _object(body)
    if "messages" in told:
        talk = _checked(chat.ChatCompletion, {**told, "model": model})
        return await chat.converse(service, talk, http)
    if "prompt" in told:
        prompts = _checked(completions.Completion, {**told, "model": model})
        return await completions.complete(service, prompts, http)
    if "inputs" in told:
        bulk = _checked(native.AnyBulk, told)
        named = {"model_name": model}
        bulk.inputs = [each | named if isinstance(each, dict) else each for each in bulk.inputs]
        return await native.generate_bulk(service, bulk, http)
    told.pop("model", None)
    text = _checked(native.GenText, {**told, "model_name": model})
    return await native.generate(service, text, http)


def _checked(kind: type[_Body], told: dict[str, Any]) -> _Body:
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        message, param = describe_error(error)
        raise HTTPError(400, message, param=param) from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPError(400, "the body is not JSON") from error
    if not isinstance(told, dict):
        raise HTTPError(400, "the body must be a JSON object")
    return told


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise HTTPError(400, f"the text is not UTF-8 ({error.reason})") from error


async def _continue(service: Service, name: str, text: str, http: Request) -> Response:
    """A prompt and its continuation as plain text."""
    model = await service.model(name)
    request = service.check(model, {"max_tokens": native.DEFAULT_LENGTH}, length="max_tokens")
    prompt = await service.prompt(model, text, param="text")
    job = service.job(model, prompt, request, request.seed)

    async def pieces() -> AsyncGenerator[bytes]:
        try:
            async with service.reply([job], http, streams=True) as reply:
                yield prompt.text.encode("utf-8", "replace")
                done = False
                while not done:
                    await reply.next_event()
                    done = job.done  # before taking: nothing comes after it
                    yield job.take().encode("utf-8", "replace")
                reply.check()  # a status can't be taken back: the connection breaks off
        finally:
            log_jobs(http, [job], texts=service.settings.log_prompts)

    writing = pieces()
    first = await anext(writing)  # what goes wrong until now has a status of its own

    async def whole() -> AsyncGenerator[bytes]:
        yield first
        async for piece in writing:
            if piece:
                yield piece

    return StreamingResponse(whole(), media_type=TEXT)
