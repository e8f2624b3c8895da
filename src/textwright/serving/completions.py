"""`/v1/completions` of the OpenAI API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from textwright.engine import Job
from textwright.generation import Generator
from textwright.generation.options import Prompt
from textwright.serving.answers import EventStream, as_json, event
from textwright.serving.errors import STREAM, HTTPError, openai_errors
from textwright.serving.fields import AS_WHOLE
from textwright.serving.logprobs import Logprobs, logprobs_of, prompt_logprobs
from textwright.serving.openai import (
    MAX_LOGPROBS,
    Answer,
    FinishReason,
    Sampling,
    checked,
    chunk,
    head,
    lead,
    usage,
)
from textwright.serving.replies import Reply
from textwright.serving.service import Service, note_jobs

DEFAULT_LENGTH = 16
"""Tokens where a request doesn't say, as the OpenAI API has it."""

Token = Annotated[int, Field(ge=0), AS_WHOLE]


class Completion(Sampling):
    """What to continue, and how."""

    prompt: str | list[str] | list[Token] | list[list[Token]] = Field(
        default="", description="Text or token ids, one or a list.", examples=["ROMEO:"]
    )
    max_tokens: Annotated[int, Field(ge=0), AS_WHOLE] = Field(
        default=DEFAULT_LENGTH, description="0, with `echo`, tells of the prompt alone."
    )
    logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS), AS_WHOLE] | None = Field(
        default=None, description="Log probabilities, with so many alternatives."
    )
    echo: bool = Field(default=False, description="Begin with the prompt.")
    best_of: Annotated[int, Field(ge=1), AS_WHOLE] | None = Field(
        default=None, description="Write so many, give the `n` likeliest; not with `stream`."
    )


class Choice(BaseModel):
    """A text."""

    index: int
    text: str
    finish_reason: FinishReason | None
    logprobs: Logprobs | None


class CompletionResult(Answer):
    """Texts, in the order of prompts, then of n."""

    object: Literal["text_completion"]
    choices: list[Choice]


def router(service: Service) -> APIRouter:
    """The route, for one server."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI"])

    @routes.post(
        "/completions", response_model=CompletionResult, responses=STREAM | openai_errors()
    )
    async def completions(body: Completion, http: Request) -> Response:
        """Continue prompts; with `stream`, as server-sent events of the same shape."""
        return await complete(service, body, http)

    return routes


async def complete(service: Service, body: Completion, http: Request) -> Response:
    """The answer to a request for completions."""
    writing = await _prepare(service, body)
    if body.stream:
        return await EventStream.begin(_events(service, writing, http))
    await service.write(writing.jobs, http)
    note_jobs(http, writing.jobs, texts=service.settings.log_prompts)
    return as_json(await _answer(writing))


class _Writing:
    """A request being met: its prompts, and `count` jobs for each."""

    def __init__(self, body: Completion, model: Generator, prompts: list[Prompt]) -> None:
        self.body, self.model, self.prompts = body, model, prompts
        self.count = max(body.n, body.best_of or 1)
        self.jobs: list[Job] = []
        self.head = head("text_completion", "cmpl", body.model)

    @property
    def warnings(self) -> list[str]:
        return list(dict.fromkeys(one for prompt in self.prompts for one in prompt.warnings))

    async def echo(self, prompt: Prompt) -> tuple[str, dict[str, Any] | None]:
        """A prompt as the beginning of its texts, with how likely it was where asked for."""
        if not self.body.echo:
            return "", None
        if self.body.logprobs is None:
            return prompt.text, None
        top = self.body.logprobs
        told = await asyncio.to_thread(self.model.explain_tokens, prompt.tokens, top=max(top, 1))
        return prompt.text, prompt_logprobs(told, top)


async def _prepare(service: Service, body: Completion) -> _Writing:
    model = await service.model(body.model)
    limits = service.settings
    if body.best_of is not None:
        service.check_count("best_of", body.best_of, limits.max_choices)
        if body.best_of < body.n or (body.stream and body.best_of > 1):
            raise HTTPError(
                400, "best_of must be at least n, and can't be streamed", param="best_of"
            )
    if body.max_tokens == 0 and not body.echo:
        raise HTTPError(400, "max_tokens 0 needs echo", param="max_tokens")
    ranks = body.best_of is not None and body.best_of > body.n
    request = checked(
        service,
        model,
        body,
        max_tokens=body.max_tokens or 1,
        length="max_tokens",
        logprobs=0 if ranks and body.logprobs is None else body.logprobs,
    )
    writing = _Writing(body, model, await _prompts(service, model, body))
    if body.max_tokens:
        writing.jobs = [
            service.job(model, prompt, request, (request.seed + number) % 2**63)
            for prompt in writing.prompts
            for number in range(writing.count)
        ]
    return writing


async def _prompts(service: Service, model: Generator, body: Completion) -> list[Prompt]:
    given: Any = body.prompt
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        given = [given]
    if not given:
        raise HTTPError(400, "prompt: an empty list; send a text", param="prompt")
    service.check_count("prompt", len(given), service.settings.max_inputs)
    size = model.runtime.vocab_size
    prompts = []
    for one in given:
        if isinstance(one, str):
            prompts.append(await service.prompt(model, one, param="prompt"))
            continue
        if any(token >= size for token in one):
            raise HTTPError(400, f"prompt: token ids of this model end at {size - 1:,}",
                            param="prompt")  # fmt: skip
        empty = model.encode_prompt("")

        def as_prompt(ids: list[int] = one, empty: Prompt = empty) -> Prompt:
            return replace(empty, text=model.tokenizer.decode(ids), tokens=ids or empty.tokens)

        prompts.append(await service.encode(len(one), as_prompt, param="prompt"))
    return prompts


async def _answer(writing: _Writing) -> dict[str, Any]:
    choices: list[dict[str, Any]] = []
    body = writing.body
    for place, prompt in enumerate(writing.prompts):
        text, told = await writing.echo(prompt)
        jobs = writing.jobs[place * writing.count :][: writing.count]
        if len(jobs) > body.n:
            jobs = sorted(jobs, key=_mean_logprob, reverse=True)[: body.n]
        if not jobs:
            choices += [_choice(len(choices), text, "length", told) for _ in range(body.n)]
        for job in jobs:
            generation = job.generation
            logprobs = told
            if body.logprobs is not None:
                own = logprobs_of(job.logprobs, len(text), body.logprobs)
                logprobs = own if told is None else {key: told[key] + own[key] for key in own}
            whole = text + generation.text
            choices.append(_choice(len(choices), whole, generation.finish_reason, logprobs))
    answer = {**writing.head, "choices": choices, "usage": _usage(writing)}
    if writing.warnings:
        answer["warnings"] = writing.warnings
    return answer


def _usage(writing: _Writing) -> dict[str, int]:
    return usage(writing.jobs, {id(prompt): len(prompt.tokens) for prompt in writing.prompts})


async def _events(service: Service, writing: _Writing, http: Request) -> AsyncGenerator[bytes]:
    """A stream's chunks: for each job what came since the last, as soon as something has."""
    body = writing.body
    warned = {"warnings": writing.warnings} if writing.warnings else {}
    begin = lead(writing.head | warned)
    try:
        async with service.reply(writing.jobs, http, streams=True) as reply:
            offsets = [0] * len(writing.jobs)
            if body.echo:
                for place, prompt in enumerate(writing.prompts):
                    text, told = await writing.echo(prompt)
                    for number in range(body.n):
                        index = place * body.n + number
                        finish = None if writing.jobs else "length"
                        yield chunk(begin, index, "text", text, finish=finish, logprobs=told)
                        if writing.jobs:
                            offsets[index] = len(text)
            async for piece in _pieces(reply, writing, begin, offsets):
                yield piece
        if body.stream_options is not None and body.stream_options.include_usage:
            yield event({**writing.head, "choices": [], "usage": _usage(writing)})
    finally:
        note_jobs(http, writing.jobs, texts=service.settings.log_prompts)


async def _pieces(
    reply: Reply, writing: _Writing, begin: str, offsets: list[int]
) -> AsyncGenerator[bytes]:
    top = writing.body.logprobs
    told = [0] * len(reply.jobs)
    open_jobs = dict(enumerate(reply.jobs))
    while open_jobs:
        await reply.news()
        chunks = []
        for index, job in list(open_jobs.items()):
            done = job.done  # before taking: nothing comes after it
            known = len(job.logprobs)
            text = job.take()
            if done:
                if job.outcome in ("error", "cancelled"):
                    reply.check()
                del open_jobs[index]
            elif not text:
                continue
            logprobs = None
            if top is not None:
                # Tokens may be ahead of their text, which a stop string holds back
                logprobs = logprobs_of(job.logprobs[told[index] : known], offsets[index], top)
                offsets[index] += sum(map(len, logprobs["tokens"]))
                told[index] = known
            finish = str(job.outcome) if done else None
            chunks.append(chunk(begin, index, "text", text, finish=finish, logprobs=logprobs))
        if chunks:
            yield b"".join(chunks)


def _choice(index: int, text: str, finish: str, logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": finish, "logprobs": logprobs}


def _mean_logprob(job: Job) -> float:
    return sum(one.logprob for one in job.logprobs) / max(1, len(job.logprobs))
