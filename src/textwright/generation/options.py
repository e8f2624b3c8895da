"""The settings of one text, and their check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from pydantic import ValidationError

from textwright.configs import SamplingSettings, one_line
from textwright.errors import RequestError
from textwright.generation.generation_config import GenerationConfig
from textwright.generation.sampling import LogitsProcessor, check_seed, new_seed


@dataclass(frozen=True)
class Prompt:
    """A prompt, tokenized."""

    text: str
    tokens: list[int]
    """Ids of the prompt; where that is empty, what stands for the start of a text."""
    warnings: list[str]
    stop: tuple[str, ...] = ()
    """Strings that end the text, beside the request's."""
    is_chat: bool = False
    """Whether the text is a reply, which isn't empty: the end of text is never its first token."""


class Options(TypedDict, total=False):
    """Settings of one text. What is left out, or None, takes the run's default."""

    max_tokens: int | None
    """Tokens at most; 200 where the run has no default."""
    temperature: float | None
    """Logits are divided by it; 0 takes the likeliest token each time."""
    top_k: int | None
    """Keep the k likeliest tokens; 0 or less keeps all."""
    top_p: float | None
    """Keep the likeliest tokens that together reach this probability."""
    min_p: float | None
    """Keep tokens at least this likely, relative to the likeliest."""
    repetition_penalty: float | None
    """Logits of tokens already in the text shrink by this factor."""
    stop: str | Sequence[str] | None
    """Strings that end the text; they are not part of it."""
    seed: int | None
    """The same seed, model, prompt and settings give the same text; None draws one."""
    strict: bool
    """Make it an error if the prompt has characters that the model never saw."""
    logprobs: int | None
    """Give each token's log probability, with so many of the likeliest; None gives none."""
    allow_unk: bool
    """Let the model write `<unk>`, which is not drawn otherwise."""


@dataclass(frozen=True)
class Request:
    """Options, checked, with the defaults filled in."""

    sampling: SamplingSettings
    max_tokens: int
    seed: int
    """The one given, or a new one."""
    strict: bool
    logprobs: int | None
    allow_unk: bool = False
    logits_processor: LogitsProcessor = field(default_factory=LogitsProcessor)
    stop_tokens: frozenset[int] = frozenset()
    """Ids that end the text, beside the model's own; they are not part of it."""
    ignore_eos: bool = False
    """Treat the model's own end of text as any other token."""


def check(options: Options, defaults: GenerationConfig) -> Request:
    """`options` with `defaults` filled in.

    Raises:
        RequestError: an option is unknown, of the wrong kind or out of range.
    """
    given: dict[str, Any] = dict(options)
    max_tokens = _number("max_tokens", given.pop("max_tokens", None), at_least=1)
    strict = bool(given.pop("strict", False))
    allow_unk = bool(given.pop("allow_unk", False))
    logprobs = _number("logprobs", given.pop("logprobs", None), at_least=0)
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    elif given.get("stop") is not None:
        given["stop"] = list(given["stop"])
    changed = {name: value for name, value in given.items() if value is not None}
    try:
        sampling = SamplingSettings(**{**defaults.sampling.model_dump(), **changed})
    except ValidationError as error:
        raise RequestError(f"a setting can't be met: {one_line(error)}") from error
    return Request(
        sampling=sampling,
        max_tokens=defaults.max_tokens if max_tokens is None else max_tokens,
        seed=new_seed() if sampling.seed is None else check_seed(sampling.seed),
        strict=strict,
        logprobs=logprobs,
        allow_unk=allow_unk,
    )


def _number(name: str, value: Any, at_least: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise RequestError(f"{name} must be a whole number of at least {at_least}, not {value!r}")
    return value
