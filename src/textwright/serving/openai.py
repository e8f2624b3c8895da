"""What `/v1/completions` and `/v1/chat/completions` share."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from textwright.engine import Job
from textwright.generation import Generator, Options
from textwright.generation.options import Request
from textwright.generation.sampling import LogitsProcessor
from textwright.serving.errors import HTTPError
from textwright.serving.fields import (
    AS_INTEGER,
    Body,
    ModelName,
    Number,
    Seed,
    Temperature,
    TopP,
    seed_of,
    truncation,
)
from textwright.serving.foreign import STREAM_OPTIONS
from textwright.serving.responses import json_pieces
from textwright.serving.service import Service

MAX_LOGPROBS = 20
MIN_LOGPROB = -9999.0
"""Stands for minus infinity, which JSON hasn't."""

Stop = Annotated[str, Field(max_length=1000, description="An empty one stops nothing.")]


class StreamOptions(Body):
    """How to stream."""

    foreign = STREAM_OPTIONS

    include_usage: bool = Field(default=False, description="End with a chunk that has `usage`.")
    continuous_usage_stats: bool = Field(
        default=False, description="An extension: each chunk has `usage` so far."
    )


class RequestFields(Body):
    """The request fields of both routes."""

    @property
    def usage_in_chunks(self) -> bool:
        """Whether each chunk of a stream has the usage so far."""
        return self.stream_options is not None and self.stream_options.continuous_usage_stats

    model: ModelName = Field(
        default="", description="May be left out where one is served.", examples=["shakespeare"]
    )
    temperature: Temperature | None = None
    top_p: TopP | None = Field(default=None, description="0 takes the likeliest token each time.")
    n: Annotated[int, Field(ge=1), AS_INTEGER] = 1
    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: Stop | list[Stop] | None = None
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] = 0.0
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] = 0.0
    logit_bias: dict[str, Annotated[Number, Field(ge=-100, le=100)]] | None = Field(
        default=None, description="By token id."
    )
    seed: Seed | None = Field(default=None, description="-1 draws one, as null does.")
    top_k: Annotated[int, AS_INTEGER] | None = Field(
        default=None, description="An extension; 0 or less keeps all."
    )
    min_p: Annotated[Number, Field(ge=0, lt=1)] | None = Field(
        default=None, description="An extension."
    )
    repetition_penalty: Annotated[Number, Field(ge=0.01, le=100)] | None = Field(
        default=None, description="An extension."
    )
    stop_token_ids: list[Annotated[int, Field(ge=0), AS_INTEGER]] | None = Field(
        default=None, description="An extension: tokens that end the text."
    )
    allow_unk: bool = Field(
        default=False,
        description="An extension: a model of words may write `<unk>` for one it doesn't know.",
    )
    ignore_eos: bool = Field(
        default=False, description="An extension: the model's own end of text ends nothing."
    )


class Usage(BaseModel):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


FinishReason = Literal["stop", "length"]


class ResultFields(BaseModel):
    """The response fields of both routes, besides their choices."""

    id: str
    created: int
    model: str
    usage: Usage
    warnings: list[str] | None = Field(
        default=None,
        description="E.g. characters that the model never saw, or that it never saw a "
        "conversation.",
    )


def usage(jobs: Sequence[Job], prompts: Mapping[int, int] | None = None) -> dict[str, int]:
    """Token counts; a prompt that several jobs share counts once.

    Args:
        prompts: token counts of prompts without a job, by `id` of the prompt.
    """
    counts = {id(job.prompt): len(job.prompt.tokens) for job in jobs} | dict(prompts or {})
    prompt, completion = sum(counts.values()), sum(len(job.tokens) for job in jobs)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def head(kind: str, prefix: str, model: str) -> dict[str, Any]:
    """The first fields of a response, and of each chunk of a stream."""
    return {
        "id": f"{prefix}-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def chunk_prefix(head: Mapping[str, Any]) -> str:
    """The JSON that all chunks with a choice begin with, up to the choice's index."""
    return f'{json.dumps(head)[:-1]}, "choices": [{{"index": '


def chunk(
    prefix: str,
    index: int,
    field: str,
    value: Any,
    *,
    finish: str | None = None,
    logprobs: Mapping[str, Any] | None = None,
    usage: Mapping[str, int] | None = None,
) -> bytes:
    """A choice's chunk as a server-sent event, formatted by hand: there is one per token.

    Args:
        prefix: from `chunk_prefix`.
        field: the choice's field that has the text, with its `value`.
        usage: so far, where it is asked for in each chunk.
    """
    end = "null" if finish is None else f'"{finish}"'
    probabilities = "null" if logprobs is None else "".join(json_pieces(logprobs, ascii=True))
    rest = "" if usage is None else f', "usage": {json.dumps(usage)}'
    return (
        f'data: {prefix}{index}, "{field}": {json.dumps(value)}, "finish_reason": {end}, '
        f'"logprobs": {probabilities}}}]{rest}}}\n\n'
    ).encode()


def generation_request(
    service: Service,
    model: Generator,
    body: RequestFields,
    *,
    max_tokens: int | None,
    length: str,
    logprobs: int | None,
) -> Request:
    """The generation settings of a request, within the server's limits.

    Args:
        max_tokens: None for the model's default.
        length: name of that field, for messages.
        logprobs: alternatives per token; None for no log probabilities.
    """
    limits = service.settings
    service.check_count("n", body.n, limits.max_choices)
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    stops = [stop for stop in stops if stop]  # some clients send an empty one for none
    options: Options = {
        "max_tokens": max_tokens, "temperature": body.temperature,
        **truncation(body.top_k, body.top_p),
        "min_p": body.min_p, "repetition_penalty": body.repetition_penalty,
        "stop": stops or None, "seed": seed_of(body.seed), "logprobs": logprobs,
        "allow_unk": body.allow_unk,
    }  # fmt: skip
    request = service.check(model, options, length=length)
    stop_tokens = body.stop_token_ids or []
    service.check_count("stop_token_ids", len(stop_tokens), limits.max_stops)
    processor = LogitsProcessor(
        bias=_bias(model, body.logit_bias or {}),
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
    )
    return replace(
        request,
        logits_processor=processor,
        stop_tokens=frozenset(stop_tokens),
        ignore_eos=body.ignore_eos,
    )


def length_of(service: Service, tokens: int | None, *, param: str) -> int | None:
    """A request's length: None for the model's default, the server's limit for -1."""
    if tokens == 0:
        raise HTTPError(400, f"{param} must be at least 1, or -1 for no limit", param=param)
    return service.settings.max_length if tokens == -1 else tokens


def _bias(model: Generator, by_token: Mapping[str, float]) -> dict[int, float]:
    size = model.runtime.vocab_size
    bias = {}
    for token, value in by_token.items():
        if not (token.isascii() and token.isdigit() and len(token) < 10 and int(token) < size):
            raise HTTPError(
                400,
                f"logit_bias: {token[:20]!r} is no token id of this model, which has {size:,}",
                param="logit_bias",
            )
        bias[int(token)] = value
    return bias
