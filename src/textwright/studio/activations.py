"""What a model does inside while it reads a text, on the NumPy runtimes: neurons and heads."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats
from textwright.configs import GPTConfig, ModelConfig, RecurrentConfig, TransformerConfig
from textwright.errors import RequestError
from textwright.generation import Generator
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.runtimes.gpt import GPTRuntime
from textwright.runtimes.kv_cache import AttentionState, NumPyAttention
from textwright.runtimes.recurrent import RecurrentRuntime
from textwright.runtimes.transformer import TransformerRuntime

MOST_TOKENS = 2000
"""Tokens of a recurrent model that are shown; of an attention model, one window."""
MOST_VALUES = 1 << 22
"""Numbers in an answer."""

RUNTIMES: dict[type[ModelConfig], Callable[[Any, Mapping[str, Floats]], Any]] = {
    RecurrentConfig: RecurrentRuntime,
    GPTConfig: GPTRuntime,
    TransformerConfig: TransformerRuntime,
}
"""The readable runtimes, whose states can be looked into."""


def look(run: Run, model: Generator, text: str, *, top: int = 10) -> dict[str, Any]:
    """What `model`, which lies in `run`, does while it reads `text`, as JSON holds it.

    Gives `kind` (`units` or `attention`), `tokens` (`text`, `shown`, `logprob`, `top`; None as the
    `logprob` of those that open a conversation), `layers` (numbers as bytes in base64, scaled by
    127 or 65535), `warnings`, and `cut` where not all of the text was read. A layer of units is
    (T, width), between −1 and 1: tanh of the cell of an LSTM, h of others. A layer of attention is
    (heads, T, T), what each token takes from those before.

    Raises:
        RequestError: the family has no such runtime.
    """
    config = run.config()
    make = RUNTIMES.get(type(config))
    if make is None:
        raise RequestError(f"run {run.name!r}: the family {config.family!r} can't be looked into")
    runtime = make(config, read_weights(run.weights_file))
    prompt = model.encode_prompt(text)
    attends = isinstance(runtime, NumPyAttention)
    kept = prompt.tokens[: _most(config, attends)]
    layers = _attention(runtime, kept) if attends else _units(runtime, kept)
    told = model.explain_tokens(kept, top=top)
    pieces = model.tokenizer.stream()
    texts = [pieces.push(token) for token in kept]
    marks = len(model.encode_prompt("").tokens) if model.tokenizer.chat else 0
    return {
        "kind": "attention" if attends else "units",
        "count": len(kept),
        "layers": [base64.b64encode(layer.tobytes()).decode() for layer in layers],
        "shapes": [list(layer.shape) for layer in layers],
        "tokens": [
            {
                "text": text,
                "shown": one.token,
                "logprob": None if place < marks else _log(one.probability),
                "top": [{"text": other, "logprob": _log(p)} for other, p in one.alternatives],
            }
            for place, (text, one) in enumerate(zip(texts, told, strict=True))
        ],
        "warnings": prompt.warnings,
        "cut": len(kept) < len(prompt.tokens),
    }


def _most(config: ModelConfig, attends: bool) -> int:
    if not attends:
        width = sum(config.layer_sizes) if isinstance(config, RecurrentConfig) else 1
        return min(MOST_TOKENS, max(1, MOST_VALUES // width))
    assert isinstance(config, GPTConfig | TransformerConfig)
    maps = config.num_layers * config.num_heads
    return min(config.block_size, max(1, int((MOST_VALUES / maps) ** 0.5)))


def _units(runtime: RecurrentRuntime, tokens: list[int]) -> list[NDArray[np.int8]]:
    """Layers of (T, width)."""
    state = runtime.initial_state()
    seen: list[list[Floats]] = [[] for _ in state.layers]
    for token in tokens:
        _, state = runtime(np.array([token]), state, last_only=True)
        for layer, parts in zip(seen, state.layers, strict=True):
            layer.append(np.tanh(parts[1]) if len(parts) > 1 else parts[0].copy())
    return [np.rint(np.stack(layer) * 127).astype(np.int8) for layer in seen]


def _attention(runtime: NumPyAttention, tokens: list[int]) -> list[NDArray[np.uint16]]:
    """Layers of (heads, T, T)."""
    config = runtime.config
    shape = (config.num_layers, config.num_heads, len(tokens), len(tokens))
    weights = np.zeros(shape, np.float32)
    state = AttentionState(config)
    state.watched = weights
    runtime.vectors(np.array(tokens), state)
    return list(np.rint(weights * 65535).astype("<u2"))


def _log(probability: float) -> float:
    return float(np.log(max(probability, 1e-30)))
