"""The settings of one text, their check, and a run's defaults for them: `generation_config.json`.

The file has the fields of `transformers`, so that `AutoModelForCausalLM.generate` does the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from pydantic import ValidationError

from textwright.configs import SamplingSettings, nearest, one_line
from textwright.errors import RequestError, RunError
from textwright.generation.sampling import LogitsProcessor, check_seed, new_seed
from textwright.runs import Run
from textwright.tokenizers import Tokenizer

MAX_TOKENS = 200
"""Of a text, where neither the request nor the run sets it."""


@dataclass(frozen=True)
class GenerationConfig:
    """What holds for settings that a request leaves out."""

    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    max_tokens: int = MAX_TOKENS
    eos_ids: frozenset[int] = frozenset()
    """Ids that end the text, beside the tokenizer's own."""
    suppress_tokens: frozenset[int] = frozenset()
    """Ids that are never drawn, beside the tokenizer's own."""


def write_generation_config(
    run: Run, sampling: SamplingSettings, tokenizer: Tokenizer, max_tokens: int = MAX_TOKENS
) -> None:
    """Write a run's defaults: all settings but the seed, which belongs to one text."""
    config: dict[str, Any] = {"do_sample": sampling.temperature > 0}
    if config["do_sample"]:
        config["temperature"] = sampling.temperature
        config["top_k"] = max(0, sampling.top_k)  # written even if off: transformers assumes 50
        config["top_p"] = sampling.top_p
        if sampling.min_p > 0:
            config["min_p"] = sampling.min_p
    config["repetition_penalty"] = sampling.repetition_penalty
    config["max_new_tokens"] = max_tokens
    if sampling.stop:
        config["stop_strings"] = sampling.stop
    ids = (("bos", tokenizer.bos_id), ("eos", end_token(tokenizer)), ("pad", tokenizer.pad_id))
    config |= {f"{name}_token_id": token for name, token in ids if token is not None}
    if tokenizer.suppress_tokens:
        config["suppress_tokens"] = list(tokenizer.suppress_tokens)
    run.write_json(run.generation_config_file, config)


def read_generation_config(run: Run) -> GenerationConfig:
    """A run's defaults; the package's own where it has no such file.

    Raises:
        RunError: the file is damaged, or a value is out of range.
    """
    if not run.generation_config_file.exists():
        return GenerationConfig()
    config = run.read_json(run.generation_config_file)
    names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
    values = {name: config[name] for name in names if config.get(name) is not None}
    if config.get("do_sample") is False:
        values["temperature"] = 0.0
    if stops := config.get("stop_strings"):
        values["stop"] = [stops] if isinstance(stops, str) else stops
    try:
        return GenerationConfig(
            sampling=SamplingSettings(**values),
            max_tokens=_positive(config.get("max_new_tokens") or MAX_TOKENS),
            eos_ids=_ids(config, "eos_token_id"),
            suppress_tokens=_ids(config, "suppress_tokens"),
        )
    except (ValidationError, ValueError, TypeError) as error:
        raise RunError(
            f"{run.generation_config_file.name} is damaged: {one_line(error)}; "
            "correct it, or delete it to take the usual settings"
        ) from error


def end_token(tokenizer: Tokenizer) -> int | None:
    """The id that ends a text, if there is one.

    Where `<eos>` stands for a line end, as in the WikiText benchmarks, it doesn't end the text.
    """
    end = tokenizer.eos_id
    return end if end is not None and tokenizer.decode([end]) == "" else None


def _positive(value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"max_new_tokens is {value!r}, not a number of tokens")
    return value


def _ids(config: dict[str, Any], name: str) -> frozenset[int]:
    """transformers writes one id, or a list of them, or null."""
    value = config.get(name)
    ids = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(token, int) and token >= 0 for token in ids):
        raise ValueError(f"{name} is {value!r}, not token ids")
    return frozenset(ids)


@dataclass(frozen=True)
class Prompt:
    """A prompt, tokenized."""

    text: str
    tokens: Sequence[int]
    """Ids of the prompt; where that is empty, what stands for the start of a text. An array where
    they may be many: whoever lets go of it last, such as a server's event loop, frees one block,
    not an object a token."""
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
    for name in changed:
        if name not in SamplingSettings.model_fields:
            known = ["prompt", *Options.__annotations__]
            raise RequestError(f"no setting {name!r} of a text{nearest(name, known)}")
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
