"""Ollama's API: `/api/generate`, `/api/chat`, `/api/tags`, `/api/show`, `/api/version`.

Answers are lines of JSON, streamed unless `stream` is false. A model's name may end with `:latest`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from textwright.engine import Job
from textwright.generation import Message, StreamStripper
from textwright.serving.chat import MAX_MESSAGES, as_message, content_logprobs, reply_jobs
from textwright.serving.errors import NativeError, error_responses, to_http_error
from textwright.serving.fields import (
    AS_INTEGER,
    Body,
    BodyRoute,
    ModelName,
    Number,
    Seed,
    Temperature,
    TopP,
)
from textwright.serving.foreign import MESSAGE, OLLAMA, OLLAMA_OPTIONS
from textwright.serving.ollama_models import (
    TAG,
    Shown,
    ShowRequest,
    Tags,
    list_tags,
    show_model,
    time_text,
)
from textwright.serving.openai import (
    MAX_LOGPROBS,
    RequestFields,
    Stop,
    generation_request,
    length_of,
)
from textwright.serving.responses import EventStream, json_response, large_json_response
from textwright.serving.service import Service, log_jobs

VERSION = "0.12.11"
"""Of Ollama, whose API is spoken here: clients ask for it."""

LINES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/x-ndjson": {}}}}


class Options(Body):
    """Settings; what is left out is as the model's defaults say."""

    foreign = OLLAMA_OPTIONS

    temperature: Temperature | None = None
    top_k: Annotated[int, AS_INTEGER] | None = None
    top_p: TopP | None = None
    min_p: Annotated[Number, Field(ge=0, lt=1)] | None = None
    seed: Seed | None = None
    stop: Stop | list[Stop] | None = None
    num_predict: Annotated[int, Field(ge=-2), AS_INTEGER] | None = Field(
        default=None, description="Tokens; below 0: as many as are possible."
    )
    repeat_penalty: Annotated[Number, Field(ge=0.01, le=100)] | None = None
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] = 0.0
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] = 0.0


class OllamaRequest(Body):
    """The fields of both requests."""

    foreign = OLLAMA

    model: ModelName = Field(examples=["shakespeare"])
    stream: bool = True
    options: Options = Field(default_factory=Options)
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS), AS_INTEGER] = 0

    @property
    def alternatives(self) -> int | None:
        """Alternatives per token; None for no log probabilities."""
        return self.top_logprobs if self.logprobs else None

    @property
    def name(self) -> str:
        """Of the model, as it is known here."""
        return self.model.removesuffix(TAG)

    @property
    def length(self) -> int | None:
        tokens = self.options.num_predict
        return -1 if tokens is not None and tokens < 0 else tokens

    def settings(self) -> RequestFields:
        """As the OpenAI routes have them."""
        given = self.options.model_dump(exclude={"num_predict", "repeat_penalty"})
        penalty = self.options.repeat_penalty
        return RequestFields(model=self.name, repetition_penalty=penalty, **given)


class GenerateRequest(OllamaRequest):
    """What to continue; a model of conversations replies to it, unless it is `raw`."""

    prompt: str = Field(default="", examples=["ROMEO:"], description="Empty loads the model.")
    system: str = Field(default="", description="A message before it, to which it replies.")
    raw: bool = False


class OllamaMessage(Body):
    """One turn."""

    foreign = MESSAGE

    role: Literal["system", "user", "assistant"]
    content: str = ""


class ChatRequest(OllamaRequest):
    """A conversation to reply to."""

    messages: list[OllamaMessage] = Field(
        default_factory=list,
        max_length=MAX_MESSAGES,
        examples=[[{"role": "user", "content": "Where is the king?"}]],
    )


class Version(BaseModel):
    """The version of Ollama whose API this is."""

    version: str


class Answer(BaseModel):
    """A text, or a part of it; counts and times (in nanoseconds) are with the last."""

    model: str
    created_at: str
    response: str | None = Field(default=None, description="Of `/api/generate`.")
    message: OllamaMessage | None = Field(default=None, description="Of `/api/chat`.")
    done: bool
    done_reason: Literal["stop", "length", "load"] | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None
    warnings: list[str] | None = None


def router(service: Service) -> APIRouter:
    """The routes for one server."""
    routes = APIRouter(prefix="/api", route_class=BodyRoute, tags=["Ollama"])
    errors = error_responses(NativeError)

    @routes.post("/generate", response_model=Answer, responses=LINES | errors)
    async def generate(body: GenerateRequest, http: Request) -> Response:
        """Continue a prompt, as lines of JSON unless `stream` is false."""
        model = await service.model(body.name)
        if not body.prompt and not body.system:
            return _loaded(body, {"response": ""})
        if body.system or (model.tokenizer.chat and not body.raw):
            said = [Message("system", body.system)] if body.system else []
            jobs, warnings = await _replies(service, body, [*said, Message("user", body.prompt)])
            return await _answer(service, body, jobs[0], warnings, http, _as_response, strip=True)
        settings = body.settings()
        request = generation_request(
            service,
            model,
            settings,
            max_tokens=length_of(service, body.length, param="num_predict"),
            length="num_predict",
            logprobs=body.alternatives,
        )
        if body.alternatives is not None:
            service.check_logprobs(request.max_tokens, body.alternatives)
        prompt = await service.prompt(model, body.prompt, param="prompt")
        job = service.job(model, prompt, request, request.seed)
        return await _answer(service, body, job, prompt.warnings, http, _as_response, strip=False)

    @routes.post("/chat", response_model=Answer, responses=LINES | errors)
    async def chat(body: ChatRequest, http: Request) -> Response:
        """Reply to a conversation, as lines of JSON unless `stream` is false."""
        if not body.messages:
            await service.model(body.name)
            return _loaded(body, _as_message(""))
        messages = [as_message(one.role, one.content) for one in body.messages]
        jobs, warnings = await _replies(service, body, messages)
        return await _answer(service, body, jobs[0], warnings, http, _as_message, strip=True)

    @routes.get("/tags", response_model=Tags, responses=errors)
    async def tags() -> Response:
        """The models that can be asked."""
        return json_response({"models": await asyncio.to_thread(list_tags, service)})

    @routes.post("/show", response_model=Shown, responses=errors)
    async def show(body: ShowRequest) -> Response:
        """One model."""
        return json_response(await show_model(service, (body.model or body.name).removesuffix(TAG)))

    @routes.get("/version", response_model=Version)
    async def version() -> Response:
        """The version of Ollama whose API this is."""
        return json_response({"version": VERSION})

    return routes


async def _replies(
    service: Service, body: OllamaRequest, messages: list[Message]
) -> tuple[list[Job], list[str]]:
    return await reply_jobs(
        service,
        body.settings(),
        messages,
        max_tokens=body.length,
        length="num_predict",
        logprobs=body.alternatives,
    )


def _as_response(text: str) -> dict[str, Any]:
    return {"response": text}


def _as_message(text: str) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}}


def _head(body: OllamaRequest) -> dict[str, Any]:
    return {"model": body.model, "created_at": time_text(time.time())}


def _loaded(body: OllamaRequest, empty: dict[str, Any]) -> Response:
    return json_response({**_head(body), **empty, "done": True, "done_reason": "load"})


async def _answer(
    service: Service,
    body: OllamaRequest,
    job: Job,
    warnings: list[str],
    http: Request,
    wrap: Any,
    *,
    strip: bool,
) -> Response:
    """The response with a job's text, each part of which `wrap` makes an object of."""
    warnings = [*warnings, *body.ignored_warnings()]
    if body.stream:
        return await _Lines.begin(_lines(service, body, job, warnings, http, wrap, strip))
    await service.run([job], http)
    log_jobs(http, [job], texts=service.settings.log_prompts)
    text = job.generation.text
    result = {**_head(body), **wrap(text.strip() if strip else text), **_end(job, warnings)}
    if not body.logprobs:
        return json_response(result)
    return await large_json_response(
        lambda: {**result, "logprobs": content_logprobs(job, 0, len(job.logprobs))}
    )


class _Lines(EventStream):
    """Lines of JSON."""

    media_type = "application/x-ndjson"
    end = comment = b""

    def failure(self, error: Exception) -> bytes:
        return _line({"error": to_http_error(error).message})


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data, allow_nan=False).encode() + b"\n"


async def _lines(
    service: Service,
    body: OllamaRequest,
    job: Job,
    warnings: list[str],
    http: Request,
    wrap: Any,
    strip: bool,
) -> AsyncGenerator[bytes]:
    stripper = StreamStripper()
    sent = 0  # tokens whose log probabilities went out

    def line(text: str, tokens: int, **fields: Any) -> bytes:
        nonlocal sent
        new = {"logprobs": content_logprobs(job, sent, tokens)} if body.logprobs else {}
        sent = tokens
        return _line({**_head(body), **wrap(text), "done": False, **new, **fields})

    def write(_: int, text: str, tokens: int, done: bool) -> bytes:
        text = stripper.push(text) if strip else text
        lines = line(text, tokens) if text else b""
        return lines + line("", tokens, **_end(job, warnings)) if done else lines

    try:
        async with service.reply([job], http, streams=True) as reply:
            async for lines in reply.chunks([job], write, large=body.logprobs):
                yield lines
    finally:
        log_jobs(http, [job], texts=service.settings.log_prompts)


def _end(job: Job, warnings: list[str]) -> dict[str, Any]:
    """What the last object says of the whole text."""
    began = job.submitted or time.monotonic()
    ended = job.ended or time.monotonic()
    first = job.first_token or ended
    return {
        "done": True,
        "done_reason": job.outcome,
        "total_duration": round(1e9 * (ended - began)),
        "load_duration": 0,
        "prompt_eval_count": len(job.prompt.tokens),
        "prompt_eval_duration": round(1e9 * (first - began)),
        "eval_count": len(job.tokens),
        "eval_duration": round(1e9 * (ended - first)),
    } | ({"warnings": warnings} if warnings else {})
