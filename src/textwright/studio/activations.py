"""Hidden units and attention weights of a model over a text, on the NumPy runtimes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
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

MAX_TOKENS = 2000
"""Tokens that a recurrent model reads; an attention model reads one window."""
MAX_VALUES = 1 << 22
"""Numbers in a response."""

RUNTIMES: dict[type[ModelConfig], Callable[[Any, Mapping[str, Floats]], Any]] = {
    RecurrentConfig: RecurrentRuntime,
    GPTConfig: GPTRuntime,
    TransformerConfig: TransformerRuntime,
}
"""The NumPy runtimes, whose states can be read; compiled ones keep theirs in C."""


def inspect_activations(run: Run, model: Generator, text: str, *, top: int = 10) -> dict[str, Any]:
    """The activations of `model`, loaded from `run`, over `text`, as JSON holds them.

    Returns `kind` (`units` or `attention`), `tokens` (`text`, `shown`, `logprob`, `top`; `logprob`
    is None for those that open a conversation), `layers` (numbers as bytes in base64, scaled by
    127 or 65535), `warnings`, and `cut`, true where not all of the text was read. A layer of units
    is (T, width), between −1 and 1: tanh of an LSTM's cell, h of others. A layer of attention is
    (heads, T, T): the weights of each token over those up to it. With attention comes `stream`, the
    residual stream behind each block: `layers` of (T, C), each channel divided by its `peaks` (C,).

    Raises:
        RequestError: the family has no such runtime.
    """
    config = run.config()
    make = RUNTIMES.get(type(config))
    if make is None:
        raise RequestError(
            f"run {run.name!r} is of the family {config.family}, which can't be looked into; "
            "gpt, transformer, lstm, gru and rnn can"
        )
    runtime = make(config, read_weights(run.weights_file))
    prompt = model.encode_prompt(text)
    is_attention = isinstance(runtime, NumPyAttention)
    tokens = list(prompt.tokens[: _token_limit(config, is_attention)])
    stream: dict[str, Any] = {}
    layers: Sequence[NDArray[Any]]
    if is_attention:
        layers, stream["stream"] = _attention(runtime, tokens)
    else:
        layers = _hidden_units(runtime, tokens)
    explained = model.explain_tokens(tokens, top=top)
    decoder = model.tokenizer.stream()
    texts = [decoder.push(token) for token in tokens]
    opening = len(model.encode_prompt("").tokens) if model.tokenizer.chat else 0
    return {
        "kind": "attention" if is_attention else "units",
        "count": len(tokens),
        "layers": [_base64(layer) for layer in layers],
        **stream,
        "shapes": [list(layer.shape) for layer in layers],
        "tokens": [
            {
                "text": text,
                "shown": one.token,
                "logprob": None if position < opening else _log(one.probability),
                "top": [{"text": other, "logprob": _log(p)} for other, p in one.alternatives],
            }
            for position, (text, one) in enumerate(zip(texts, explained, strict=True))
        ],
        "warnings": prompt.warnings,
        "cut": len(tokens) < len(prompt.tokens),
    }


def _token_limit(config: ModelConfig, is_attention: bool) -> int:
    """How many tokens are read, so that `layers` holds at most `MAX_VALUES` numbers."""
    if not is_attention:
        width = sum(config.layer_sizes) if isinstance(config, RecurrentConfig) else 1
        return min(MAX_TOKENS, max(1, MAX_VALUES // width))
    assert isinstance(config, GPTConfig | TransformerConfig)
    maps = config.num_layers * config.num_heads
    channels = config.num_layers * config.hidden_size
    most = min(int((MAX_VALUES / maps) ** 0.5), MAX_VALUES // channels)
    return min(config.block_size, max(1, most))


def _hidden_units(runtime: RecurrentRuntime, tokens: list[int]) -> list[NDArray[np.int8]]:
    """Layers of (T, width)."""
    state = runtime.initial_state()
    hidden: list[list[Floats]] = [[] for _ in state.layers]
    for token in tokens:
        _, state = runtime(np.array([token]), state, last_only=True)
        for layer, parts in zip(hidden, state.layers, strict=True):
            layer.append(np.tanh(parts[1]) if len(parts) > 1 else parts[0].copy())
    return [np.rint(np.stack(layer) * 127).astype(np.int8) for layer in hidden]


def _attention(
    runtime: NumPyAttention, tokens: list[int]
) -> tuple[list[NDArray[np.uint16]], dict[str, Any]]:
    """Layers of (heads, T, T), and the residual stream."""
    config = runtime.config
    shape = (config.num_layers, config.num_heads, len(tokens), len(tokens))
    weights = np.zeros(shape, np.float32)
    state = AttentionState(config)
    state.attention_weights = weights
    state.residual = np.zeros((config.num_layers, len(tokens), config.hidden_size), np.float32)
    runtime.hidden_states(np.array(tokens), state)
    peaks = np.maximum(np.abs(state.residual).max(axis=1), np.float32(1e-9))  # (layers, C)
    scaled = np.rint(state.residual / peaks[:, None] * 127).astype(np.int8)
    stream = {
        "shape": [len(tokens), config.hidden_size],
        "layers": [_base64(layer) for layer in scaled],
        "peaks": [_base64(layer.astype("<f4")) for layer in peaks],
    }
    return list(np.rint(weights * 65535).astype("<u2")), stream


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _log(probability: float) -> float:
    return float(np.log(max(probability, 1e-30)))
