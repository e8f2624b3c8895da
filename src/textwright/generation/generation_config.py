"""`generation_config.json`: a run's defaults for generating.

The file has the fields of `transformers`, so that `AutoModelForCausalLM.generate` does the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from textwright.configs import SamplingSettings, one_line
from textwright.errors import RunError
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
