"""`/v1/completions` of the OpenAI API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from textwright.engine import Job, Scoring, Work
from textwright.generation import Generator
from textwright.generation.options import Prompt
from textwright.generation.steering import MOST
from textwright.serving.errors import STREAM, HTTPError, OpenAIError, error_responses
from textwright.serving.fields import AS_INTEGER, FIRST_FAULT, BodyRoute
from textwright.serving.foreign import COMPLETION
from textwright.serving.logprobs import JobLogprobs, Logprobs, prompt_logprobs
from textwright.serving.openai import (
    MAX_LOGPROBS,
    FinishReason,
    RequestFields,
    ResultFields,
    chunk,
    chunk_prefix,
    generation_request,
    head,
    usage,
)
from textwright.serving.responses import EventStream, event, json_response, large_json_response
from textwright.serving.service import Service, add_log_fields, free, log_jobs
from textwright.serving.steering import HeldUnit

DEFAULT_LENGTH = 16
"""`max_tokens` where a request doesn't say, as in the OpenAI API."""

Token = Annotated[int, Field(ge=0), AS_INTEGER]


class Completion(RequestFields):
    """What to continue, and how."""

    foreign = COMPLETION

    prompt: (
        str
        | Annotated[list[str], FIRST_FAULT]
        | Annotated[list[Token], FIRST_FAULT]
        | Annotated[list[Annotated[list[Token], FIRST_FAULT]], FIRST_FAULT]
    ) = Field(default="", description="Text or token ids, one or a list.", examples=["ROMEO:"])
    max_tokens: Annotated[int, Field(ge=-1), AS_INTEGER] = Field(
        default=DEFAULT_LENGTH,
        description="0, with `echo`, tells of the prompt alone; -1 is as many as are possible.",
    )
    logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS), AS_INTEGER] | None = Field(
        default=None, description="Log probabilities, with so many alternatives."
    )
    echo: bool = Field(default=False, description="Begin with the prompt.")
    best_of: Annotated[int, Field(ge=1), AS_INTEGER] | None = Field(
        default=None, description="Write so many, give the `n` likeliest; not with `stream`."
    )
    steer: Annotated[list[HeldUnit], Field(max_length=MOST)] = Field(
        default=[], description="An extension: units that are held at a value while it writes."
    )


class Choice(BaseModel):
    """A text."""

    index: int
    text: str
    finish_reason: FinishReason | None
    logprobs: Logprobs | None


class CompletionResult(ResultFields):
    """Texts, in the order of prompts, then of n."""

    object: Literal["text_completion"]
    choices: list[Choice]


def router(service: Service) -> APIRouter:
    """The route for one server."""
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, tags=["OpenAI"])

    responses = STREAM | error_responses(OpenAIError)

    @routes.post("/completions", response_model=CompletionResult, responses=responses)
    async def completions(body: Completion, http: Request) -> Response:
        """Continue prompts; with `stream`, as server-sent events of the same shape."""
        return await complete(service, body, http)

    return routes


async def complete(service: Service, body: Completion, http: Request) -> Response:
    """The response to `/v1/completions`."""
    body.model = body.model or service.only_model()
    batch = await _prepare(service, body)
    if body.stream:
        return await EventStream.begin(_events(service, batch, http))
    await service.run(batch.work, http)
    _log(service, batch, http)
    if body.logprobs is None:
        return json_response(_result(batch))
    response = await large_json_response(lambda: _result(batch))
    await free(batch.jobs)
    return response


def _log(service: Service, batch: _Batch, http: Request) -> None:
    log_jobs(http, batch.jobs, texts=service.settings.log_prompts)
    if batch.scorings:
        scored = sum(len(scoring.tokens) for scoring in batch.scorings)
        add_log_fields(http, model=batch.model.name, scored_tokens=scored)


class _Batch:
    """A request's prompts, and `count` jobs for each, in order."""

    def __init__(self, body: Completion, model: Generator, prompts: list[Prompt]) -> None:
        self.body, self.model, self.prompts = body, model, prompts
        self.count = max(body.n, body.best_of or 1)
        self.from_ids = not isinstance(body.prompt, str) and not isinstance(body.prompt[0], str)
        self.jobs: list[Job] = []
        self.scorings: list[Scoring] = []
        """One a prompt, where its log probabilities are asked for."""
        self.head = head("text_completion", "cmpl", body.model)

        said = [each for prompt in prompts for each in prompt.warnings]
        self.warnings = list(dict.fromkeys([*said, *body.ignored_warnings()]))

    @property
    def work(self) -> list[Work]:
        return [*self.scorings, *self.jobs]

    def echo(self, position: int) -> tuple[str, dict[str, Any] | None]:
        """What the texts of the prompt at `position` begin with: itself and its log probabilities,
        as requested."""
        prompt = self.prompts[position]
        if not self.body.echo:
            return "", None
        if not self.scorings:
            return prompt.text, None
        top = self.body.logprobs or 0
        name = self.model.tokenizer.token_text
        pieces = self.scorings[position].scores
        tokens = [each for piece in pieces for each in piece.explain(name)]
        return prompt.text, prompt_logprobs(tokens, self._places(prompt), top)

    def _places(self, prompt: Prompt) -> list[int]:
        """Where in a prompt's text each of its tokens is."""
        if self.from_ids:
            tokens = self.model.tokenizer.places()
            return [tokens.push(token) for token in prompt.tokens]
        return self.model.prompt_places(prompt.text)


async def _prepare(service: Service, body: Completion) -> _Batch:
    model = await service.model(body.model)
    limits = service.settings
    if body.steer:
        several = isinstance(body.prompt, list) and not isinstance((body.prompt or [0])[0], int)
        if several or body.n > 1 or (body.best_of or 1) > 1:
            raise HTTPError(400, "steer: one prompt and one text at a time", param="steer")
        model = await asyncio.to_thread(service.steering.model, model, body.steer)
    if body.best_of is not None:
        service.check_count("best_of", body.best_of, limits.max_choices)
        if body.best_of < body.n or (body.stream and body.best_of > body.n):
            raise HTTPError(
                400, "best_of must be at least n, and n where it is streamed", param="best_of"
            )
    if body.max_tokens == 0 and not body.echo:
        raise HTTPError(400, "max_tokens 0 needs echo", param="max_tokens")
    if body.echo and body.logprobs is not None and body.max_tokens == 1:
        # Programs that score a text ask so, since servers may know no `max_tokens` of 0, and drop
        # the last entry as the token written: an end of text has to be an entry, too
        body.ignore_eos = True
    is_ranked = body.best_of is not None and body.best_of > body.n
    request = generation_request(
        service,
        model,
        body,
        max_tokens=limits.max_length if body.max_tokens == -1 else body.max_tokens or 1,
        length="max_tokens",
        logprobs=0 if is_ranked and body.logprobs is None else body.logprobs,
    )
    batch = _Batch(body, model, await _prompts(service, model, body))
    if body.logprobs is not None:
        scored = sum(len(prompt.tokens) for prompt in batch.prompts) if body.echo else 0
        written = request.max_tokens * batch.count * len(batch.prompts) if body.max_tokens else 0
        service.check_logprobs(body.n * scored + written, body.logprobs)
        if body.echo:
            batch.scorings = [
                service.scoring(model, prompt, body.logprobs) for prompt in batch.prompts
            ]
    if body.max_tokens:
        prompts = [each for each in batch.prompts for _ in range(batch.count)]
        batch.jobs = await service.jobs(model, prompts, request)
    return batch


async def _prompts(service: Service, model: Generator, body: Completion) -> list[Prompt]:
    items: Any = body.prompt
    if isinstance(items, str) or (items and isinstance(items[0], int)):
        items = [items]
    if not items:
        raise HTTPError(400, "prompt: an empty list; send a text", param="prompt")
    service.check_count("prompt", len(items), service.settings.max_inputs)
    size = model.runtime.vocab_size
    prompts = []
    for item in items:
        if isinstance(item, str):
            prompts.append(await service.prompt(model, item, param="prompt"))
            continue
        empty = model.encode_prompt("")

        def as_prompt(ids: list[int] = item, empty: Prompt = empty) -> Prompt:
            if any(token >= size for token in ids):
                raise HTTPError(400, f"prompt: token ids of this model end at {size - 1:,}",
                                param="prompt")  # fmt: skip
            text, tokens = model.tokenizer.decode(ids), ids or empty.tokens
            return replace(empty, text=text, tokens=tokens, warnings=model.context_warnings(tokens))

        prompts.append(await service.encode(len(item), as_prompt, param="prompt"))
    return prompts


def _result(batch: _Batch) -> dict[str, Any]:
    choices: list[dict[str, Any]] = []
    body = batch.body
    for position in range(len(batch.prompts)):
        text, echoed = batch.echo(position)
        jobs = batch.jobs[position * batch.count :][: batch.count]
        if len(jobs) > body.n:
            jobs = sorted(jobs, key=_mean_logprob, reverse=True)[: body.n]
        if not jobs:
            choices += [_choice(len(choices), text, "length", echoed) for _ in range(body.n)]
        for job in jobs:
            generation = job.generation
            logprobs = echoed
            if body.logprobs is not None:
                own = JobLogprobs(job, len(text)).take(generation.text, body.logprobs, done=True)
                logprobs = own if echoed is None else {key: echoed[key] + own[key] for key in own}
            full_text = text + generation.text
            choices.append(_choice(len(choices), full_text, generation.finish_reason, logprobs))
    result = {**batch.head, "choices": choices, "usage": _usage(batch)}
    if batch.warnings:
        result["warnings"] = batch.warnings
    return result


def _usage(batch: _Batch) -> dict[str, int]:
    return usage(batch.jobs, {id(prompt): len(prompt.tokens) for prompt in batch.prompts})


async def _events(service: Service, batch: _Batch, http: Request) -> AsyncGenerator[bytes]:
    """A stream's chunks: the echoed prompts, then what each job generates, as it comes."""
    body = batch.body
    warnings = {"warnings": batch.warnings} if batch.warnings else {}
    prefix = chunk_prefix(batch.head | warnings)
    try:
        async with service.reply(batch.work, http, streams=True) as reply:
            yield b""  # they have their places, so the headers go out
            begins = [0] * len(batch.jobs)
            if body.echo:
                for position in range(len(batch.prompts)):
                    if batch.scorings:
                        await reply.until(batch.scorings[position])
                    text, echoed = await asyncio.to_thread(batch.echo, position)
                    for number in range(body.n):
                        index = position * body.n + number
                        finish = None if batch.jobs else "length"
                        used = _usage(batch) if body.usage_in_chunks else None
                        yield chunk(
                            prefix, index, "text", text, finish=finish, logprobs=echoed, usage=used
                        )
                        if batch.jobs:
                            begins[index] = len(text)
            write = _write(batch, prefix, begins)
            async for chunks in reply.chunks(batch.jobs, write, large=body.logprobs is not None):
                yield chunks
        if body.stream_options is not None and body.stream_options.include_usage:
            yield event({**batch.head, "choices": [], "usage": _usage(batch)})
        if body.logprobs is not None:
            await free(batch.jobs)
    finally:
        _log(service, batch, http)


def _write(batch: _Batch, prefix: str, begins: list[int]) -> Callable[..., bytes]:
    """What makes chunks of a job's new text: see `Reply.chunks`; `begins` are the lengths that were
    sent of each choice before."""
    top = batch.body.logprobs
    unsent = [JobLogprobs(job, begin) for job, begin in zip(batch.jobs, begins, strict=True)]

    def write(index: int, text: str, tokens: int, done: bool) -> bytes:
        if not (text or done):
            return b""
        logprobs = None if top is None else unsent[index].take(text, top, done=done)
        finish = str(batch.jobs[index].outcome) if done else None
        used = _usage(batch) if batch.body.usage_in_chunks else None
        return chunk(prefix, index, "text", text, finish=finish, logprobs=logprobs, usage=used)

    return write


def _choice(index: int, text: str, finish: str, logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": finish, "logprobs": logprobs}


def _mean_logprob(job: Job) -> float:
    return sum(token.logprob for token in job.logprobs) / max(1, len(job.logprobs))
