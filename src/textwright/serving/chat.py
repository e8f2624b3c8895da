"""`/v1/chat/completions` of the OpenAI API.

A model trained on conversations gets them in its own chat template; one of plain text
improvises a dialogue, of which the response (or the first chunk of a stream) has a warning.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Discriminator, Field, Tag

from textwright.engine import Job
from textwright.generation import ChatPrompt, Message, StreamStripper
from textwright.serving.errors import STREAM, HTTPError, OpenAIError, error_responses
from textwright.serving.fields import AS_INTEGER, Body, BodyRoute
from textwright.serving.foreign import CHAT, MESSAGE, PART
from textwright.serving.logprobs import finite
from textwright.serving.openai import (
    MAX_LOGPROBS,
    FinishReason,
    RequestFields,
    ResultFields,
    chunk,
    chunk_prefix,
    generation_request,
    head,
    length_of,
    usage,
)
from textwright.serving.responses import EventStream, event, json_response, large_json_response
from textwright.serving.service import Service, aside, free, log_jobs

MAX_MESSAGES = 1000

Role: TypeAlias = Literal["system", "developer", "user", "assistant"]


class Part(Body):
    """A part of a message; text is all there is here."""

    foreign = PART

    type: Literal["text"]
    text: str


class ChatMessage(Body):
    """One turn."""

    foreign = MESSAGE

    role: Role
    content: Annotated[
        Annotated[str, Tag("text")] | Annotated[list[Part], Tag("parts")],
        Discriminator(lambda content: "parts" if isinstance(content, list) else "text"),
    ]


class ChatCompletion(RequestFields):
    """A conversation to reply to, and how."""

    foreign = CHAT

    messages: list[ChatMessage] = Field(
        min_length=1,
        max_length=MAX_MESSAGES,
        examples=[[{"role": "user", "content": "Where is the king?"}]],
    )
    max_tokens: Annotated[int, Field(ge=-1), AS_INTEGER] | None = Field(
        default=None, description="Else as the model's defaults say; -1: as many as are possible."
    )
    max_completion_tokens: Annotated[int, Field(ge=-1), AS_INTEGER] | None = Field(
        default=None, description="The newer name of `max_tokens`; goes before it."
    )
    logprobs: bool = Field(default=False, description="Log probabilities of the reply's tokens.")
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS), AS_INTEGER] | None = Field(
        default=None, description="With so many alternatives; needs `logprobs`."
    )


class TopLogprob(BaseModel):
    """A token that might have been."""

    token: str
    logprob: float
    bytes: list[int] = Field(
        description="Joined with those of its neighbours, the text's UTF-8; none for a special "
        "token."
    )


class ContentLogprob(TopLogprob):
    """A token of the reply."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    """Natural logarithms of probabilities, before any sampling setting."""

    content: list[ContentLogprob]


class ReplyMessage(BaseModel):
    """The reply."""

    role: Literal["assistant"]
    content: str


class ChatChoice(BaseModel):
    """A reply and how it ended."""

    index: int
    message: ReplyMessage
    finish_reason: FinishReason
    logprobs: ChatLogprobs | None


class ChatResult(ResultFields):
    """Replies."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]


def router(service: Service) -> APIRouter:
    """The route for one server."""
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, tags=["OpenAI"])

    @routes.post(
        "/chat/completions",
        response_model=ChatResult,
        responses=STREAM | error_responses(OpenAIError),
    )
    async def chat_completions(body: ChatCompletion, http: Request) -> Response:
        """Reply to a conversation; with `stream`, as server-sent events."""
        return await converse(service, body, http)

    return routes


async def converse(service: Service, body: ChatCompletion, http: Request) -> Response:
    """The response to `/v1/chat/completions`."""
    body.model = body.model or service.only_model()
    jobs, warnings = await _jobs(service, body)
    texts = service.settings.log_prompts
    if body.stream:
        return await EventStream.begin(_events(service, body, jobs, http, warnings))
    await service.run(jobs, http)
    log_jobs(http, jobs, texts=texts)

    def result() -> dict[str, Any]:
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": job.generation.text.strip()},
                "finish_reason": job.outcome,
                "logprobs": {"content": content_logprobs(job, 0, len(job.logprobs))}
                if body.logprobs
                else None,
            }
            for index, job in enumerate(jobs)
        ]
        result = head("chat.completion", "chatcmpl", body.model)
        result |= {"choices": choices, "usage": usage(jobs)}
        if warnings:
            result["warnings"] = warnings
        return result

    if not body.logprobs:
        return json_response(result())
    response = await large_json_response(result)
    await free(jobs)
    return response


def _warnings(prompt: ChatPrompt) -> list[str]:
    if not prompt.dropped:
        return prompt.warnings
    return [
        *prompt.warnings,
        f"the model's context is full: it doesn't see the oldest {prompt.dropped} messages",
    ]


async def _jobs(service: Service, body: ChatCompletion) -> tuple[list[Job], list[str]]:
    """A job per reply, and the warnings."""
    if body.top_logprobs and not body.logprobs:
        raise HTTPError(400, "top_logprobs needs logprobs: true", param="top_logprobs")
    is_newer = body.max_completion_tokens is not None
    length = "max_completion_tokens" if is_newer else "max_tokens"
    tokens = body.max_completion_tokens if is_newer else body.max_tokens
    top = (body.top_logprobs or 0) if body.logprobs else None

    def read() -> tuple[list[Message], list[str]]:
        messages = [as_message(one.role, _content(one)) for one in body.messages]
        return messages, body.ignored_warnings()

    messages, ignored = await aside(len(body.messages), read)
    jobs, warnings = await reply_jobs(
        service, body, messages, max_tokens=tokens, length=length, logprobs=top
    )
    return jobs, [*warnings, *ignored]


async def reply_jobs(
    service: Service,
    body: RequestFields,
    messages: list[Message],
    *,
    max_tokens: int | None,
    length: str,
    logprobs: int | None,
    param: str = "messages",
) -> tuple[list[Job], list[str]]:
    """A job per reply to `messages`, and the warnings.

    Args:
        body: the settings.
        max_tokens: None for the model's default, -1 for as many as are possible.
        length, param: the names of the fields with that and the messages, for errors.
        logprobs: alternatives per token; None for no log probabilities.
    """
    model = await service.model(body.model)
    tokens = length_of(service, max_tokens, param=length)
    request = generation_request(
        service, model, body, max_tokens=tokens, length=length, logprobs=logprobs
    )
    if logprobs is not None:
        service.check_logprobs(request.max_tokens * body.n, logprobs)
    size = sum(len(message.content) for message in messages)
    prompt = await service.encode(size, lambda: model.encode_messages(messages), param=param)
    return await service.jobs(model, [prompt] * body.n, request), _warnings(prompt)


def as_message(role: Role, text: str) -> Message:
    """A turn; a developer's words are the system's."""
    return Message("system" if role == "developer" else role, text)


def _content(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content)


async def _events(
    service: Service,
    body: ChatCompletion,
    jobs: list[Job],
    http: Request,
    warnings: list[str],
) -> AsyncGenerator[bytes]:
    fields = head("chat.completion.chunk", "chatcmpl", body.model)
    prefix = chunk_prefix(fields)
    first = chunk_prefix({**fields, "warnings": warnings}) if warnings else prefix
    try:
        async with service.reply(jobs, http, streams=True) as reply:
            role = {"role": "assistant", "content": ""}
            used = usage(jobs) if body.usage_in_chunks else None
            yield b"".join(
                chunk(first, index, "delta", role, usage=used) for index in range(len(jobs))
            )
            write = _write(body, jobs, prefix)
            async for chunks in reply.chunks(jobs, write, large=body.logprobs):
                yield chunks
        if body.stream_options is not None and body.stream_options.include_usage:
            yield event({**fields, "choices": [], "usage": usage(jobs)})
        if body.logprobs:
            await free(jobs)
    finally:
        log_jobs(http, jobs, texts=service.settings.log_prompts)


def _write(body: ChatCompletion, jobs: list[Job], prefix: str) -> Callable[..., bytes]:
    """What makes chunks of a reply's new text: see `Reply.chunks`."""
    strippers = [StreamStripper() for _ in jobs]
    sent = [0] * len(jobs)  # tokens whose log probabilities went out

    def write(index: int, text: str, tokens: int, done: bool) -> bytes:
        text = strippers[index].push(text)
        new = None
        if body.logprobs and (text or done):
            new = {"content": content_logprobs(jobs[index], sent[index], tokens)}
            sent[index] = tokens
        used = usage(jobs) if body.usage_in_chunks else None
        chunks = b""
        if text or new:
            delta = {"content": text}
            chunks = chunk(prefix, index, "delta", delta, logprobs=new, usage=used)
        if done:
            finish = str(jobs[index].outcome)
            chunks += chunk(prefix, index, "delta", {}, finish=finish, usage=used)
        return chunks

    return write


def content_logprobs(job: Job, begin: int, end: int) -> list[dict[str, Any]]:
    """The log probabilities of the tokens from `begin` to `end`."""
    bytes_of = job.generator.tokenizer.token_bytes

    def entry(token: str, number: int, logprob: float) -> dict[str, Any]:
        return {"token": token, "logprob": finite(logprob), "bytes": list(bytes_of(number))}

    return [
        {
            **entry(token.token, token.id, token.logprob),
            "top_logprobs": [
                entry(text, number, logprob)
                for (text, logprob), number in zip(token.top, token.top_ids, strict=True)
            ],
        }
        for token in job.logprobs[begin:end]
    ]
