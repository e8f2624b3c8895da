"""`/v1/responses` of the OpenAI API: text in, text out, streamed or not.

Nothing is kept: a conversation is sent whole each time, as `input`.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Discriminator, Field, Tag

from textwright.engine import Job
from textwright.generation import Message, StreamStripper
from textwright.serving.chat import (
    MAX_MESSAGES,
    ContentLogprob,
    Role,
    as_message,
    content_logprobs,
    reply_jobs,
)
from textwright.serving.errors import STREAM, HTTPError, OpenAIError, error_responses, to_http_error
from textwright.serving.fields import AS_INTEGER, Body, BodyRoute
from textwright.serving.foreign import RESPONSE, RESPONSE_ITEM, RESPONSE_PART
from textwright.serving.openai import MAX_LOGPROBS, RequestFields, usage
from textwright.serving.responses import EventStream, json_response
from textwright.serving.service import Service, aside, log_jobs

_LOGPROBS = "message.output_text.logprobs"
_TAGGED = Discriminator(lambda value: "list" if isinstance(value, list) else "text")


class InputPart(Body):
    """A part of a message; text is all there is here."""

    foreign = RESPONSE_PART

    type: Literal["input_text", "output_text", "text"]
    text: str


class InputItem(Body):
    """One turn; also the output of an earlier response, as it came."""

    foreign = RESPONSE_ITEM

    type: Literal["message"] = "message"
    role: Role
    content: Annotated[
        Annotated[str, Tag("text")] | Annotated[list[InputPart], Tag("list")], _TAGGED
    ] = ""

    def message(self) -> Message:
        if isinstance(self.content, str):
            return as_message(self.role, self.content)
        return as_message(self.role, "\n".join(part.text for part in self.content))


class ResponseRequest(RequestFields):
    """What to reply to, and how."""

    foreign = RESPONSE

    input: Annotated[
        Annotated[str, Tag("text")]
        | Annotated[list[InputItem], Field(min_length=1, max_length=MAX_MESSAGES), Tag("list")],
        _TAGGED,
    ] = Field(examples=["Where is the king?"])
    instructions: str | None = Field(default=None, description="A system message before it.")
    max_output_tokens: Annotated[int, Field(ge=1), AS_INTEGER] | None = Field(
        default=None, description="Else as the model's defaults say."
    )
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS), AS_INTEGER] | None = None
    include: list[Literal["message.output_text.logprobs"]] | None = None

    def messages(self) -> list[Message]:
        said = [as_message("system", self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return [*said, as_message("user", self.input)]
        return [*said, *(item.message() for item in self.input)]

    @property
    def alternatives(self) -> int | None:
        """Alternatives per token; None for no log probabilities."""
        if self.top_logprobs is None and _LOGPROBS not in (self.include or ()):
            return None
        return self.top_logprobs or 0


class OutputText(BaseModel):
    """The text."""

    type: Literal["output_text"]
    text: str
    annotations: list[str]
    logprobs: list[ContentLogprob]


class OutputMessage(BaseModel):
    """The reply."""

    type: Literal["message"]
    id: str
    status: Literal["in_progress", "completed", "incomplete"]
    role: Literal["assistant"]
    content: list[OutputText]


class ResponseUsage(BaseModel):
    """Tokens."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class ResponseResult(BaseModel):
    """A reply, with settings of its request that OpenAI's clients look for."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    incomplete_details: dict[str, str] | None
    model: str
    output: list[OutputMessage]
    usage: ResponseUsage
    warnings: list[str] | None = None


def router(service: Service) -> APIRouter:
    """The route for one server."""
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, tags=["OpenAI"])

    @routes.post(
        "/responses",
        response_model=ResponseResult,
        responses=STREAM | error_responses(OpenAIError),
    )
    async def responses(body: ResponseRequest, http: Request) -> Response:
        """Reply to a text or a conversation; with `stream`, as server-sent events."""
        return await respond(service, body, http)

    return routes


async def respond(service: Service, body: ResponseRequest, http: Request) -> Response:
    """The response to `/v1/responses`."""
    body.model = body.model or service.only_model()
    if body.n > 1:
        raise HTTPError(400, "n: one reply at a time here", param="n")
    count = 1 if isinstance(body.input, str) else len(body.input)
    messages, ignored = await aside(count, lambda: (body.messages(), body.ignored_warnings()))
    jobs, warnings = await reply_jobs(
        service,
        body,
        messages,
        max_tokens=body.max_output_tokens,
        length="max_output_tokens",
        logprobs=body.alternatives,
        param="input",
    )
    made = _Made(body, jobs[0], [*warnings, *ignored])
    if body.stream:
        return await _Stream.begin(_events(service, made, http))
    await service.run(jobs, http)
    log_jobs(http, jobs, texts=service.settings.log_prompts)
    return json_response(made.response())


class _Made:
    """A response in the making: its objects at any time."""

    def __init__(self, body: ResponseRequest, job: Job, warnings: list[str]) -> None:
        self.body, self.job, self.warnings = body, job, warnings
        self.id, self.item_id = f"resp_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}"
        self.created = int(time.time())

    @property
    def status(self) -> str:
        if not self.job.done:
            return "in_progress"
        return "incomplete" if self.job.outcome == "length" else "completed"

    def response(self, error: dict[str, Any] | None = None) -> dict[str, Any]:
        body, job = self.body, self.job
        status = "failed" if error else self.status
        limit = {"reason": "max_output_tokens"} if status == "incomplete" else None
        sampling = job.request.sampling
        result: dict[str, Any] = {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": error,
            "incomplete_details": limit,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "model": body.model,
            "output": [self.item(self.part())] if job.done and not error else [],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "store": False,
            "temperature": sampling.temperature,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": body.top_logprobs,
            "top_p": sampling.top_p,
            "truncation": "auto",
            "usage": self._usage() if job.done and not error else None,
            "metadata": {},
        }
        return result | ({"warnings": self.warnings} if self.warnings else {})

    def item(self, *parts: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "message", "id": self.item_id, "status": self.status, "role": "assistant",
            "content": list(parts),
        }  # fmt: skip

    def part(self, text: str | None = None) -> dict[str, Any]:
        """The part with `text`; with the whole text and its log probabilities where it is None."""
        whole = text is None
        return {
            "type": "output_text",
            "text": self.job.generation.text.strip() if text is None else text,
            "annotations": [],
            "logprobs": self.logprobs(0, len(self.job.logprobs)) if whole else [],
        }

    def logprobs(self, begin: int, end: int) -> list[dict[str, Any]]:
        return content_logprobs(self.job, begin, end)

    def _usage(self) -> dict[str, Any]:
        counts = usage([self.job])
        return {
            "input_tokens": counts["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": counts["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": counts["total_tokens"],
        }


class _Stream(EventStream):
    """The events of a response, which end without `[DONE]`."""

    end = b""

    def failure(self, error: Exception) -> bytes:
        http_error = to_http_error(error)
        code, message = http_error.code or http_error.kind, http_error.message
        return _event("error", 0, {"code": code, "message": message, "param": http_error.param})


def _event(kind: str, number: int, fields: dict[str, Any]) -> bytes:
    data = {"type": kind, "sequence_number": number, **fields}
    return f"event: {kind}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()


async def _events(service: Service, made: _Made, http: Request) -> AsyncGenerator[bytes]:
    job = made.job
    count = 0

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal count
        count += 1
        return _event(f"response.{kind}", count - 1, fields)

    item: dict[str, Any] = {"output_index": 0}
    part = {"item_id": made.item_id, "content_index": 0, **item}
    try:
        async with service.reply([job], http, streams=True) as reply:
            yield b"".join((
                event("created", response=made.response()),
                event("in_progress", response=made.response()),
                event("output_item.added", **item, item=made.item()),
                event("content_part.added", **part, part=made.part("")),
            ))  # fmt: skip
            stripper = StreamStripper()
            sent = 0  # tokens whose log probabilities went out

            def write(_: int, text: str, tokens: int, done: bool) -> bytes:
                nonlocal sent
                text = stripper.push(text)
                if not text:
                    return b""
                begin, sent = sent, tokens
                new = made.logprobs(begin, tokens)
                return event("output_text.delta", **part, delta=text, logprobs=new)

            large = job.request.logprobs is not None
            async for chunks in reply.chunks([job], write, large=large):
                yield chunks
            whole = made.part()
            logprobs = whole["logprobs"]
            end = "incomplete" if made.status == "incomplete" else "completed"
            yield b"".join((
                event("output_text.done", **part, text=whole["text"], logprobs=logprobs),
                event("content_part.done", **part, part=whole),
                event("output_item.done", **item, item=made.item(whole)),
                event(end, response=made.response()),
            ))  # fmt: skip
    finally:
        log_jobs(http, [job], texts=service.settings.log_prompts)
